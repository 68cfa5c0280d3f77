//! `Verdicts`: what users may publish, as it was found out lately.
//!
//! To look a subject up in a user's lists takes some hundred instructions. So the answers are kept, for all users
//! together, in a table of cache lines, each in the one place that its subject leads to:
//!
//! ```text
//! grant │ subject, as long as it fits │ its length │ whether it may be published
//! ```
//!
//! A [grant](Grant) never changes, and each has a number of its own: an answer stays right, and new settings bring
//! new numbers. Those who choose subjects that share a place gain nothing, since the whole subject is compared.

use crate::config::Grant;
use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use std::hash::Hasher;

/// Places: 256 KiB, once some user has permissions. Enough for some thousand subjects in turn.
const PLACES: usize = 4096;

/// Longest subject that is kept.
const SUBJECT_BYTES_MAX: usize = 54;

/// What users may publish, as it was found out lately.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    /// None until the first is asked for.
    places: Vec<Place>,
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

impl Verdicts {
    /// Whether a subject is allowed by a grant: known from before, or as `look` says.
    #[inline]
    pub(super) fn ask(
        &mut self,
        grant: &Grant,
        subject: &[u8],
        look: impl FnOnce() -> bool,
    ) -> bool {
        let at = place(grant.number(), subject);
        if let Some(place) = self.places.get(at)
            && place.grant == grant.number()
            && usize::from(place.len) == subject.len()
            && place.subject.get(..subject.len()) == Some(subject)
        {
            return place.is_allowed;
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
        if self.places.is_empty() {
            self.places = vec![EMPTY; PLACES];
        }
        let place = &mut self.places[at];
        (place.grant, place.len, place.is_allowed) =
            (grant.number(), subject.len() as u8, is_allowed);
        place.subject[..subject.len()].copy_from_slice(subject);
    }
}

/// Where the answer for a subject is kept.
#[inline]
fn place(grant: u64, subject: &[u8]) -> usize {
    let mut hasher = FoldHasher::with_seed(grant, SharedSeed::global_fixed());
    hasher.write(subject);
    hasher.finish() as usize % PLACES
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
