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
            && are_same(&self.subject[..subject.len()], subject)
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
        if subject.len() > SUBJECT_BYTES_MAX {
            return look();
        }
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

/// Where the answer for a subject is kept. A hash of few instructions: subjects that fall together are looked up, and no
/// more.
#[inline(always)]
fn pair(grant: u64, subject: &[u8]) -> usize {
    /// Of FxHash; odd, and half of its bits are set.
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    let add = |hash: u64, word: [u8; 8]| {
        (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR)
    };
    let hash = match subject.last_chunk() {
        Some(last) => {
            let (words, _) = subject.as_chunks();
            let hash = words.iter().fold(grant, |hash, word| add(hash, *word));
            add(hash, *last)
        }
        None => {
            let mut word = [0; 8];
            word[..subject.len()].copy_from_slice(subject);
            add(grant, word)
        }
    };
    // The highest bits depend on all, once more mixed: those of short subjects would be too much alike.
    let mixed = (hash ^ hash >> 32).wrapping_mul(FACTOR);
    (mixed >> (u64::BITS - PAIRS.ilog2())) as usize
}

/// Whether two subjects of one length are the same. Without a call of memcmp, which costs more than the few words there
/// mostly are; those that differ do so in their ends mostly.
#[inline(always)]
fn are_same(one: &[u8], other: &[u8]) -> bool {
    match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        (Some(last), Some(other_last)) => {
            let ((words, _), (others, _)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
            last == other_last && words.iter().zip(others).all(|(word, other)| word == other)
        }
        _ => one == other,
    }
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
    fn each_byte_counts_in_a_comparison() {
        for len in 0..=SUBJECT_BYTES_MAX {
            let subject = vec![b'x'; len];
            assert!(are_same(&subject, &subject.clone()));
            for at in 0..len {
                let mut other = subject.clone();
                other[at] = b'y';
                assert!(!are_same(&subject, &other), "byte {at} of {len}");
            }
        }
    }

    #[test]
    fn subjects_are_spread_over_the_pairs_wherever_they_differ() {
        type Name = fn(usize) -> String;
        let names: [(&str, Name); 4] = [
            ("the beginning", |n| format!("{n}.sensor.temperature")),
            ("the middle", |n| format!("sensors.{n:04}.temperature")),
            ("the end", |n| format!("sensor.temperature.{n}")),
            ("short", |n| format!("s.{n}")),
        ];
        for (what, name) in names {
            let mut filled = vec![0; PAIRS];
            (0..1000).for_each(|number| filled[pair(7, name(number).as_bytes())] += 1);
            // By chance it would be 31: those for which their pair has no room.
            let crowded: usize = filled
                .iter()
                .map(|count: &usize| count.saturating_sub(2))
                .sum();
            assert!(crowded < 60, "{what}: {crowded} of 1000 do not fit");
        }
    }

    #[test]
    fn a_place_is_a_cache_line() {
        assert_eq!(size_of::<Place>(), 64);
    }
}
