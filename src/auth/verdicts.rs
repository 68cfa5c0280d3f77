//! `Verdicts`: what users may publish, as it was found out lately.
//!
//! To look a subject up in a user's lists takes some hundred instructions. So the answers are kept, for all users
//! together, in a table of cache lines, each in one of the two places that its subject leads to:
//!
//! ```text
//! grant │ length of the subject │ whether it may be published │ subject, as long as it fits    the newer one
//! grant │ length of the subject │ whether it may be published │ subject                        the older one
//! ```
//!
//! A [grant](Grant) never changes, and each has a number of its own: an answer stays right, and new settings bring
//! new numbers. Those who choose subjects that share a place gain nothing, since the whole subject is compared.

use crate::config::Grant;
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::hash::Hasher;

/// Pairs of places: 256 KiB, once some user has permissions. Enough for two thousand subjects in turn.
const PAIRS: usize = 2048;

/// Longest subject that is kept.
const SUBJECT_BYTES_MAX: usize = 54;

/// What users may publish, as it was found out lately.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    /// None until the first is asked for.
    pairs: Vec<[Place; 2]>,
}

#[derive(Clone, Debug)]
#[repr(align(64))]
struct Place {
    /// The number of the grant; 0 if it holds nothing.
    grant: u64,
    len: u8,
    is_allowed: bool,
    subject: [u8; SUBJECT_BYTES_MAX],
}

const EMPTY: Place = Place {
    grant: 0,
    len: 0,
    is_allowed: false,
    subject: [0; SUBJECT_BYTES_MAX],
};

impl Place {
    #[inline(always)]
    fn is_of(&self, grant: &Grant, subject: &[u8]) -> bool {
        self.grant == grant.number()
            && usize::from(self.len) == subject.len()
            && self.subject.get(..subject.len()) == Some(subject)
    }
}

impl Verdicts {
    /// Whether a subject is allowed by a grant: known from before, or as `look` says.
    #[inline]
    pub(super) fn ask(
        &mut self,
        grant: &Grant,
        subject: &[u8],
        look: impl FnOnce() -> bool,
    ) -> bool {
        let at = pair(grant.number(), subject);
        if let Some(pair) = self.pairs.get(at) {
            let is = |place: &&Place| place.is_of(grant, subject);
            if let Some(known) = pair.iter().find(is) {
                return known.is_allowed;
            }
        }
        let is_allowed = look();
        self.keep(at, grant, subject, is_allowed);
        is_allowed
    }

    #[inline(never)]
    fn keep(&mut self, at: usize, grant: &Grant, subject: &[u8], is_allowed: bool) {
        if subject.len() > SUBJECT_BYTES_MAX {
            return;
        }
        if self.pairs.is_empty() {
            self.pairs = vec![[EMPTY; 2]; PAIRS];
        }
        let [newer, older] = &mut self.pairs[at];
        *older = std::mem::replace(newer, EMPTY);
        (newer.grant, newer.len, newer.is_allowed) =
            (grant.number(), subject.len() as u8, is_allowed);
        newer.subject[..subject.len()].copy_from_slice(subject);
    }
}

/// Where the answer for a subject is kept.
#[inline]
fn pair(grant: u64, subject: &[u8]) -> usize {
    let mut hasher = FoldHasher::with_seed(grant, SharedSeed::global_fixed());
    hasher.write(subject);
    hasher.finish() as usize % PAIRS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Permissions;

    #[test]
    fn what_was_asked_is_known_for_that_grant_and_subject_alone() {
        let mut verdicts = Verdicts::default();
        let [one, other] = [(); 2].map(|()| Grant::from(Permissions::default()));
        assert!(verdicts.ask(&one, b"a", || true));
        assert!(verdicts.ask(&one, b"a", || panic!("it is known")));
        assert!(!verdicts.ask(&other, b"a", || false));
        assert!(!verdicts.ask(&other, b"a", || panic!("it is known")));
        assert!(!verdicts.ask(&one, b"b", || false));
        // Long ones are looked up each time.
        for (len, expected) in [(SUBJECT_BYTES_MAX, 1), (SUBJECT_BYTES_MAX + 1, 2), (300, 2)] {
            let (subject, mut looks) = ("x".repeat(len), 0);
            for _ in 0..2 {
                verdicts.ask(&one, subject.as_bytes(), || {
                    looks += 1;
                    true
                });
            }
            assert_eq!(looks, expected, "{len}");
        }
    }

    #[test]
    fn many_subjects_in_turn_are_told_apart() {
        let mut verdicts = Verdicts::default();
        let grant = Grant::from(Permissions::default());
        for turn in 0..3 {
            for number in 0..10_000 {
                let subject = format!("a.{number}");
                let is_even = number % 2 == 0;
                let answer = verdicts.ask(&grant, subject.as_bytes(), || is_even);
                assert_eq!(answer, is_even, "{subject} in turn {turn}");
            }
        }
    }

    #[test]
    fn a_place_is_a_cache_line() {
        assert_eq!(size_of::<Place>(), 64);
    }
}
