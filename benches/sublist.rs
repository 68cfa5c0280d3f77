//! Matches per second, by depth of the subject, by wildcard and by number of subscriptions; and
//! what it costs to come and to go.
//!
//! Before anything is measured each sublist is asked for each subject and must answer as a loop
//! over all subscriptions does.

use criterion::{Criterion, Throughput};
use midge::sublist::{ReceiverId, Sublist};
use midge_protocol::subject;
use std::hint::black_box;

/// Subjects published to in turn, so that not one and the same is always in the cache.
const SUBJECTS: usize = 1000;

/// Some subscriptions, and subjects of messages.
struct Case {
    name: String,
    subscriptions: Vec<String>,
    subjects: Vec<String>,
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    matching(&mut criterion);
    coming_and_going(&mut criterion);
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
