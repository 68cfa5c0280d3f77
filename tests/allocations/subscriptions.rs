//! What very many subscriptions take: bytes that are allocated, counted and not estimated.

use midge::sublist::{ReceiverId, Sids, Sublist};

const MANY: usize = 100_000;

/// Bytes for each of many subscriptions of one client, which counts its sids.
fn bytes_each(subject: impl Fn(usize) -> String, queue: Option<&[u8]>) -> usize {
    let mut kept = (Sublist::default(), Sids::default());
    let (sublist, sids) = &mut kept;
    let info = allocation_counter::measure(|| {
        for number in 1..=MANY {
            let (subject, sid) = (subject(number), number.to_string());
            let id = sublist.insert(subject.as_bytes(), queue, sid.as_bytes(), ReceiverId(0));
            sids.insert(id, sublist);
        }
    });
    assert_eq!((sublist.len(), sids.len()), (MANY, MANY));
    usize::try_from(info.bytes_current).expect("more is kept than before") / MANY
}

#[track_caller]
fn check(bytes_max: usize, subject: impl Fn(usize) -> String, queue: Option<&[u8]>) {
    let bytes = bytes_each(&subject, queue);
    let example = subject(MANY);
    assert!(
        bytes <= bytes_max,
        "{bytes} bytes for each like {example}, {bytes_max} are allowed"
    );
}

#[test]
fn a_subscription_is_small() {
    check(160, |number| format!("bench.topic.{number}.literal"), None);
    check(220, |number| format!("bench.topic.{number}.*"), None);
    check(
        250,
        |number| format!("_INBOX.HvRWXr8s0tVwBmYgAa{number:04}.*"),
        None,
    );
    check(80, |_| "crowd".to_owned(), None);
    check(80, |_| "crowd".to_owned(), Some(b"workers"));
    check(
        400,
        |number| format!("bench.topic.{number}.queue"),
        Some(b"workers"),
    );
}
