//! Matches per second, by depth of the subject, by wildcard, by number of subscriptions, and by what
//! the cache knows; what it costs to come and to go; and, on Linux, the memory of a subscription.
//!
//! Before anything is measured each sublist is asked for each subject and must answer as a loop
//! over all subscriptions does.

use criterion::{Criterion, Throughput};
use midge::sublist::{ReceiverId, Sids, Sublist};
use midge_protocol::subject;
use std::hint::black_box;
use std::time::Duration;

/// Subjects published to in turn, so that not one and the same is always in the cache.
const SUBJECTS: usize = 1000;

/// Some subscriptions, and subjects of messages.
struct Case {
    name: String,
    subscriptions: Vec<String>,
    subjects: Vec<String>,
}

fn main() {
    // All micro-benches together take a few minutes.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    memory();
    matching(&mut criterion);
    once(&mut criterion);
    coming_and_going(&mut criterion);
    many_come_and_go(&mut criterion);
    criterion.final_summary();
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sublist");
    for case in cases() {
        let mut sublist = Sublist::default();
        for (number, subject) in case.subscriptions.iter().enumerate() {
            let sid = number.to_string();
            sublist.insert(subject.as_bytes(), None, sid.as_bytes(), ReceiverId(0));
        }
        check(&case, &mut sublist);

        let mut found = Vec::new();
        group.throughput(Throughput::Elements(case.subjects.len() as u64));
        group.bench_function(&case.name, |bencher| {
            bencher.iter(|| {
                for subject in &case.subjects {
                    found.clear();
                    sublist.matches(black_box(subject.as_bytes()), &mut found);
                    black_box(&found);
                }
            });
        });
    }
    group.finish();
}

/// The slow and obvious twin, for a few of the subjects if there are many subscriptions.
fn check(case: &Case, sublist: &mut Sublist) {
    let step = (case.subscriptions.len() * case.subjects.len() / 1_000_000).max(1);
    for published in case.subjects.iter().step_by(step) {
        let reached =
            |pattern: &&String| subject::matches(pattern.as_bytes(), published.as_bytes());
        let mut expected: Vec<&str> = case
            .subscriptions
            .iter()
            .filter(reached)
            .map(String::as_str)
            .collect();
        let mut found = Vec::new();
        sublist.matches(published.as_bytes(), &mut found);
        let mut ids = Vec::new();
        for set in found {
            ids.extend(sublist.set(set).0.plain().iter().copied());
        }
        let mut answered: Vec<&str> = ids
            .iter()
            .map(|id| std::str::from_utf8(sublist.subject(*id)).expect("it was a string"))
            .collect();
        expected.sort_unstable();
        answered.sort_unstable();
        assert_eq!(answered, expected, "{}: {published}", case.name);
    }
}

/// Subjects that nobody asks for again, as replies are: each is searched for, and none is kept.
fn once(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sublist");
    group.throughput(Throughput::Elements(1));
    let mut sublist = Sublist::default();
    for number in 0..1000 {
        let subject = format!("_INBOX.client{number}.*");
        sublist.insert(subject.as_bytes(), None, b"1", ReceiverId(0));
    }
    let (mut number, mut found) = (0_u64, Vec::new());
    let mut subject = *b"_INBOX.client007.0123456789abcdef";
    group.bench_function("1000 partial wildcards, each subject once", |bencher| {
        bencher.iter(|| {
            number += 1;
            let name = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            for (to, bits) in subject[17..].chunks_exact_mut(2).zip(name) {
                to.copy_from_slice(&[b'A' + (bits >> 4), b'A' + (bits & 15)]);
            }
            found.clear();
            sublist.matches(black_box(&subject), &mut found)
        });
    });
    group.finish();
}

/// What 100,000 subscriptions cost, each with a subject of its own, and the sids that a client
/// library counts.
fn many_come_and_go(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sublist");
    group
        .throughput(Throughput::Elements(MANY as u64))
        .sample_size(20);
    for (kind, subject) in KINDS {
        let subjects: Vec<String> = (0..MANY).map(subject).collect();
        group.bench_function(format!("{MANY} come and go, {kind}"), |bencher| {
            bencher.iter(|| {
                let (mut sublist, mut sids) = subscribed(&subjects);
                for number in 1..=subjects.len() {
                    let sid = number.to_string();
                    let id = sids.get(sid.as_bytes(), &sublist).expect("subscribed");
                    sublist.remove(id);
                    sids.remove(id, sid.as_bytes(), &sublist);
                }
                assert!(sublist.is_empty() && sids.is_empty());
            });
        });
    }
    group.finish();
}

/// Prints the resident memory that a subscription takes.
fn memory() {
    // All are kept, since what one gave back would be taken by the next and not be seen.
    let mut kept = Vec::new();
    for (kind, subject) in KINDS {
        let subjects: Vec<String> = (0..MANY).map(subject).collect();
        let before = resident_bytes();
        kept.push(subscribed(&subjects));
        if let (Some(before), Some(after)) = (before, resident_bytes()) {
            let each = after.saturating_sub(before) / MANY;
            println!("sublist/{MANY} subscriptions, {kind}: {each} bytes each");
        }
    }
}

/// Bytes of this process that are in memory, if the system tells.
fn resident_bytes() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

const MANY: usize = 100_000;

/// A name, and the subjects by number.
type Kind = (&'static str, fn(usize) -> String);

const KINDS: [Kind; 3] = [
    ("literal", |number| {
        format!("bench.t{}.k{number}.v", number % 100)
    }),
    ("wildcard", |number| {
        format!("bench.t{}.k{number}.*", number % 100)
    }),
    ("half of each", |number| {
        let last = ["v", "*"][number % 2];
        format!("bench.t{}.k{number}.{last}", number % 100)
    }),
];

/// One client's subscriptions, with sids from 1 on.
fn subscribed(subjects: &[String]) -> (Sublist, Sids) {
    let (mut sublist, mut sids) = (Sublist::default(), Sids::default());
    for (number, subject) in (1..).zip(subjects) {
        let sid: i32 = number;
        let sid = sid.to_string();
        assert!(sids.get(sid.as_bytes(), &sublist).is_none());
        let id = sublist.insert(subject.as_bytes(), None, sid.as_bytes(), ReceiverId(0));
        sids.insert(id, &sublist);
    }
    (sublist, sids)
}

fn coming_and_going(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sublist");
    group.throughput(Throughput::Elements(1));
    for (name, subject) in [
        ("subscribe and leave, literal", &b"_INBOX.Zx81kQw0.7"[..]),
        ("subscribe and leave, wildcard", b"_INBOX.Zx81kQw0.*"),
        ("subscribe and leave, one of 100000", b"crowd"),
    ] {
        let mut sublist = Sublist::default();
        for number in 0..100_000 {
            let sid = number.to_string();
            sublist.insert(b"crowd", None, sid.as_bytes(), ReceiverId(0));
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let id = sublist.insert(black_box(subject), None, b"1", ReceiverId(1));
                sublist.remove(id)
            });
        });
        assert_eq!(sublist.len(), 100_000, "{name}");
    }
    group.finish();
}

fn cases() -> Vec<Case> {
    // The first five tokens are the digits of the number.
    let literal = |depth: usize, number: usize| {
        let branch = |level| format!("t{}", number / 10_usize.pow(level) % 10);
        let mut tokens: Vec<String> = (0..5).map(branch).collect();
        tokens.resize(depth.max(5), "deep".to_owned());
        tokens.join(".")
    };
    let subjects = |depth| {
        (0..SUBJECTS)
            .map(|number| literal(depth, number * 97))
            .collect()
    };
    let mut cases = vec![
        Case {
            name: "nobody".to_owned(),
            subscriptions: Vec::new(),
            subjects: subjects(5),
        },
        Case {
            name: "nobody, with a wildcard elsewhere".to_owned(),
            subscriptions: vec!["elsewhere.*".to_owned()],
            subjects: subjects(5),
        },
    ];
    for count in [1_000, 100_000] {
        cases.push(Case {
            name: format!("{count} literals"),
            subscriptions: (0..count).map(|number| literal(5, number)).collect(),
            subjects: subjects(5),
        });
        cases.push(Case {
            name: format!("{count} literals, one full wildcard"),
            subscriptions: (0..count)
                .map(|number| literal(5, number))
                .chain([">".to_owned()])
                .collect(),
            subjects: subjects(5),
        });
    }
    for (kind, subject) in KINDS {
        // Each as often as any other, and as if at random.
        let drawn = (0..2 * MANY).map(|number| number * 61_813 % MANY);
        cases.push(Case {
            name: format!("{MANY} subscriptions, {kind}, subjects far apart"),
            subscriptions: (0..MANY).map(subject).collect(),
            subjects: drawn
                .map(|number| subject(number).replace('*', "v"))
                .collect(),
        });
    }
    cases.push(Case {
        name: "two wildcards, more subjects than are kept".to_owned(),
        subscriptions: vec!["bench.t1.*.v".to_owned(), "bench.*.k7.>".to_owned()],
        subjects: (0..MANY).map(KINDS[0].1).collect(),
    });
    for depth in [5, 10, 20] {
        let wildcards = |pattern: fn(&str) -> String| {
            (0..SUBJECTS).map(move |number| pattern(&literal(depth, number * 97)))
        };
        cases.push(Case {
            name: format!("1000 partial wildcards, {depth} tokens"),
            subscriptions: wildcards(|subject| match subject.split_once('.') {
                Some((_, rest)) => format!("*.{rest}"),
                None => "*".to_owned(),
            })
            .collect(),
            subjects: subjects(depth),
        });
        cases.push(Case {
            name: format!("1000 full wildcards, {depth} tokens"),
            subscriptions: wildcards(|subject| match subject.rsplit_once('.') {
                Some((start, _)) => format!("{start}.>"),
                None => ">".to_owned(),
            })
            .collect(),
            subjects: subjects(depth),
        });
    }
    cases
}
