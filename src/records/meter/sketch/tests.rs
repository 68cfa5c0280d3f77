use super::*;
use crate::records::meter::MESSAGE_WEIGHT;
use proptest::prelude::*;
use std::collections::HashMap;

const SEED: u64 = 3;

fn sketch() -> Sketch {
    Sketch::new(&SharedSeed::from_u64(SEED))
}

fn messages(messages: u64) -> Counts {
    Counts {
        messages,
        ..Counts::default()
    }
}

/// A stream that is counted by a sketch, and by its twin, which keeps all.
struct Both {
    sketch: Sketch,
    exact: HashMap<Vec<u8>, Counts>,
}

impl Both {
    fn new() -> Both {
        Both {
            sketch: sketch(),
            exact: HashMap::new(),
        }
    }

    fn add(&mut self, subject: &[u8], counts: &Counts) {
        self.sketch.add(None, subject, counts);
        self.exact.entry(subject.to_vec()).or_default().add(counts);
    }

    fn merge(&mut self, other: &Both) {
        self.sketch.merge(&other.sketch);
        for (subject, counts) in &other.exact {
            self.exact.entry(subject.clone()).or_default().add(counts);
        }
    }

    /// That all that is promised holds.
    fn check(&self) {
        let total: u64 = self.exact.values().map(Counts::weight).sum();
        let bound = total / SUBJECTS_MAX as u64;
        let entries = self.sketch.entries();
        assert!(entries.len() <= SUBJECTS_MAX);
        assert_eq!(entries.len(), self.exact.len().min(SUBJECTS_MAX));
        let ranks: u64 = entries.iter().map(Entry::rank).sum();
        assert!(ranks <= total, "ranks of {ranks} in a stream of {total}");
        assert!(self.sketch.floor() <= bound);
        let kept: HashMap<&[u8], &Entry> = entries.iter().map(|one| (one.subject(), one)).collect();
        assert_eq!(kept.len(), entries.len(), "a subject is kept once");
        for (subject, exact) in &self.exact {
            let Some(entry) = kept.get(subject.as_slice()) else {
                assert!(exact.weight() <= self.sketch.floor(), "{subject:?} is lost");
                continue;
            };
            let counted = entry.counts.weight();
            assert!(counted <= exact.weight(), "{subject:?}");
            assert!(exact.weight() <= counted + entry.error, "{subject:?}");
            assert!(entry.error <= bound, "{subject:?}");
            for (counted, exact, unit) in [
                (entry.counts.messages, exact.messages, MESSAGE_WEIGHT),
                (entry.counts.unrouted, exact.unrouted, MESSAGE_WEIGHT),
                (entry.counts.bytes, exact.bytes, 1),
            ] {
                assert!(counted <= exact && exact <= counted + entry.error / unit);
            }
        }
    }
}

/// A stream in which few subjects have nearly all and very many a little, as numbers of Zipf's law.
fn skewed(seed: u64, subjects: u64, len: usize) -> impl Iterator<Item = (Vec<u8>, Counts)> {
    let mut random = seed | 1;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..len).map(move |_| {
        let rank = (subjects as f64).powf(next()) as u64;
        let bytes = (next() * 2000.0) as u64;
        let counts = Counts {
            messages: 1,
            bytes,
            unrouted: u64::from(bytes.is_multiple_of(3)),
            estimated: 0,
        };
        (format!("subject.{rank}").into_bytes(), counts)
    })
}

#[test]
fn what_fits_is_counted_to_the_message() {
    let mut both = Both::new();
    for (subject, counts) in skewed(1, SUBJECTS_MAX as u64 - 1, 20_000) {
        both.add(&subject, &counts);
    }
    both.check();
    for entry in both.sketch.entries() {
        assert_eq!(entry.counts, both.exact[entry.subject()]);
        assert_eq!(entry.error, 0);
    }
}

#[test]
fn of_a_hundred_thousand_subjects_the_heavy_ones_are_known() {
    let mut both = Both::new();
    for (subject, counts) in skewed(2, 100_000, 300_000) {
        both.add(&subject, &counts);
    }
    both.check();
    // By their guaranteed part, the first ones stand in their true order, but for close ones.
    let mut entries = both.sketch.entries().to_vec();
    entries.sort_by_key(|entry| Reverse(entry.counts.messages));
    let mut exact: Vec<_> = both.exact.iter().collect();
    exact.sort_by_key(|(_, counts)| Reverse(counts.messages));
    for (entry, (subject, _)) in entries.iter().zip(exact).take(5) {
        assert_eq!(entry.subject(), subject.as_slice());
    }
}

#[test]
fn a_subject_with_a_share_of_the_bytes_is_kept_whatever_its_messages() {
    let mut both = Both::new();
    for number in 0..200_000_u64 {
        both.add(format!("_INBOX.{number}").as_bytes(), &messages(1));
        if number.is_multiple_of(5000) {
            let bytes = 1_000_000;
            let file = Counts {
                bytes,
                ..messages(1)
            };
            both.add(b"file", &file);
        }
    }
    both.check();
    let is_file = |entry: &&Entry| entry.subject() == b"file";
    let file = both.sketch.entries().iter().find(is_file);
    assert_eq!(file.map(|file| file.counts.messages), Some(40));
}

#[test]
fn it_takes_no_memory_before_it_counts_and_a_bounded_amount_then() {
    let mut sketch = sketch();
    assert_eq!(sketch.bytes(), 0);
    for number in 0..100_000_u64 {
        let subject = format!("{number}.{}", "long".repeat(1000));
        sketch.add(None, subject.as_bytes(), &messages(1));
    }
    assert!(sketch.bytes() < 256 * 1024, "{}", sketch.bytes());
    let before = sketch.bytes();
    sketch.clear();
    for number in 0..100_000_u64 {
        sketch.add(None, &number.to_be_bytes(), &messages(1));
    }
    assert_eq!(sketch.bytes(), before);
}

#[test]
fn long_subjects_that_begin_alike_are_told_apart() {
    let mut sketch = sketch();
    let long = "x".repeat(SUBJECT_BYTES_MAX);
    let subjects = [
        long.clone(),
        long.clone() + "1",
        long.clone() + "2",
        long + "12",
    ];
    for (number, subject) in (1..).zip(&subjects) {
        sketch.add(None, subject.as_bytes(), &messages(number));
        sketch.add(None, subject.as_bytes(), &messages(number));
    }
    let told: Vec<_> = sketch
        .entries()
        .iter()
        .map(|entry| (entry.counts.messages, entry.is_cut()))
        .collect();
    assert_eq!(told, [(2, false), (4, true), (6, true), (8, true)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any subjects with any weights, in any order, in several sketches that are merged.
    #[test]
    fn the_bounds_hold_for_any_stream_and_any_merge(
        parts in prop::collection::vec(
            prop::collection::vec((0_u16..2000, 0_u16..40, 1_u64..50, 0_u64..5000), 0..4000),
            1..4,
        ),
    ) {
        let mut all = Both::new();
        for part in parts {
            let mut one = Both::new();
            for (subject, repeated, messages, bytes) in part {
                // Some are light and many, some heavy and few.
                let subject = if repeated < 30 { subject } else { subject % 16 };
                let unrouted = messages.min(bytes % 7);
                let counts = Counts { messages, bytes, unrouted, estimated: 0 };
                one.add(format!("s.{subject}").as_bytes(), &counts);
            }
            one.check();
            all.merge(&one);
            all.check();
        }
    }
}
