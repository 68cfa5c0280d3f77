//! The sublist answers as the obvious twin does: a list of subscriptions, asked one by one.
//!
//! The data is a string of commands; each byte below is taken from it as needed:
//!
//! ```text
//! 0, queue, subject    subscribe         queue 0 is none, else one of three groups
//! 1, which             end one of the subscriptions there are
//! 2, subject           match, and compare
//! 3, which, max        let one end after some messages, and count one
//!
//! subject   length, then that many tokens, each an index into TOKENS
//! ```

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge::sublist::{ReceiverId, SubId, Sublist};
use midge_protocol::subject;
use std::collections::BTreeMap;

/// Wildcards, what only looks like them, and an empty token.
const TOKENS: [&[u8]; 8] = [b"a", b"b", b"c", b"*", b">", b"a*", b">b", b""];

const TOKENS_MAX: u8 = 6;

/// Commands between two looks at all of the sublist.
const CHECKED_EVERY: u32 = 16;

const QUEUES: [Option<&[u8]>; 4] = [None, Some(b"q"), Some(b"r"), Some(b"*")];

/// One subscription as the twin remembers it.
#[derive(Clone)]
struct Twin {
    id: SubId,
    subject: Vec<u8>,
    queue: Option<&'static [u8]>,
    receiver: u32,
    delivered: u64,
    max: Option<u64>,
}

impl Twin {
    fn sid(&self) -> [u8; 4] {
        self.receiver.to_be_bytes()
    }
}

fuzz_target!(|data: &[u8]| {
    let mut data = data.iter().copied();
    let mut sublist = Sublist::default();
    let mut twins: Vec<Twin> = Vec::new();
    let mut receiver = 0;
    let mut commands = 0_u32;
    while let Some(command) = data.next() {
        match command % 4 {
            0 => {
                let queue = QUEUES[usize::from(data.next().unwrap_or(0)) % QUEUES.len()];
                let subject = read_subject(&mut data);
                if !subject::is_subscribable(&subject) {
                    continue;
                }
                receiver += 1;
                let sid = u32::to_be_bytes(receiver);
                let id = sublist.insert(&subject, queue, &sid, ReceiverId(receiver));
                assert_eq!(sublist.subject(id), subject);
                twins.push(Twin {
                    id,
                    subject,
                    queue,
                    receiver,
                    delivered: 0,
                    max: None,
                });
            }
            1 => {
                if let Some(at) = choose(&mut data, &twins) {
                    let twin = &twins[at];
                    let is_like =
                        |one: &&Twin| (&one.subject, one.queue) == (&twin.subject, twin.queue);
                    let members = twins.iter().filter(is_like).count();
                    assert_eq!(sublist.members_with(twin.id), members);
                    end(&mut sublist, &twins.swap_remove(at));
                }
            }
            2 => compare(&mut sublist, &twins, &read_subject(&mut data)),
            _ => {
                if let Some(at) = choose(&mut data, &twins) {
                    count(&mut sublist, &mut twins[at], data.next());
                }
            }
        }
        assert_eq!(sublist.len(), twins.len());
        assert_eq!(sublist.is_empty(), twins.is_empty());
        // What a change has touched is looked at by itself, as debug assertions are on.
        commands += 1;
        if commands.is_multiple_of(CHECKED_EVERY) {
            sublist.invariants();
        }
    }
    sublist.invariants();
    for twin in &twins {
        compare(&mut sublist, &twins, &twin.subject);
    }
    while let Some(twin) = twins.pop() {
        end(&mut sublist, &twin);
    }
    assert!(sublist.is_empty());
    sublist.invariants();
    for subject in [&b"a"[..], b"a.b", b"a.b.c", b"*", b">"] {
        compare(&mut sublist, &[], subject);
    }
});

fn read_subject(data: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let tokens = 1 + data.next().unwrap_or(0) % TOKENS_MAX;
    let tokens: Vec<&[u8]> = (0..tokens)
        .map(|_| TOKENS[usize::from(data.next().unwrap_or(0)) % TOKENS.len()])
        .collect();
    tokens.join(&b'.')
}

fn choose(data: &mut impl Iterator<Item = u8>, twins: &[Twin]) -> Option<usize> {
    let which = usize::from(data.next()?);
    (!twins.is_empty()).then(|| which % twins.len())
}

/// Ends a subscription, which is the one that was made.
fn end(sublist: &mut Sublist, twin: &Twin) {
    let ended = sublist.remove(twin.id);
    assert_eq!(ended.receiver, ReceiverId(twin.receiver));
    assert_eq!(ended.sid.as_slice(), twin.sid());
    assert_eq!(ended.delivered, twin.delivered);
}

fn count(sublist: &mut Sublist, twin: &mut Twin, max: Option<u8>) {
    let subscription = sublist.subscription_mut(twin.id);
    if let Some(max) = max {
        subscription.end_after(max.into());
        twin.max = Some(max.into());
    }
    // One that is over gets nothing.
    if subscription.finished() {
        return;
    }
    twin.delivered += 1;
    subscription.count(1);
    let last = twin.max.is_some_and(|max| twin.delivered >= max);
    assert_eq!(subscription.finished(), last);
}

/// Who gets a message to `subject`: single receivers, and the members of each group.
type Reached = (Vec<u32>, BTreeMap<Vec<u8>, Vec<u32>>);

fn compare(sublist: &mut Sublist, twins: &[Twin], subject: &[u8]) {
    let mut expected = Reached::default();
    for twin in twins {
        if subject::matches(&twin.subject, subject) {
            match twin.queue {
                None => expected.0.push(twin.receiver),
                Some(queue) => expected
                    .1
                    .entry(queue.into())
                    .or_default()
                    .push(twin.receiver),
            }
        }
    }
    expected.0.sort_unstable();
    expected
        .1
        .values_mut()
        .for_each(|members| members.sort_unstable());

    // The name behind a group's number, from any of its members.
    let name = |receiver: u32| {
        let twin = twins.iter().find(|twin| twin.receiver == receiver);
        twin.and_then(|twin| twin.queue)
            .expect("a member of a group")
    };
    // Twice for nothing: then the third answer comes from the cache, if there is a wildcard.
    let mut found = Vec::new();
    for _ in 0..3 {
        found.clear();
        sublist.matches(subject, &mut found);
    }
    let mut got = Reached::default();
    let mut numbers = BTreeMap::new();
    for set in found {
        let (set, subscriptions) = sublist.set(set);
        assert!(
            !set.plain().is_empty() || !set.groups().is_empty(),
            "an empty set is kept"
        );
        let receiver = |id: &SubId| subscriptions[id.index()].receiver.0;
        got.0.extend(set.plain().iter().map(receiver));
        for group in set.groups() {
            let queue = name(receiver(&group.members[0]));
            assert_eq!(*numbers.entry(queue).or_insert(group.queue), group.queue);
            for member in &group.members {
                assert_eq!(name(receiver(member)), queue);
                got.1
                    .entry(queue.into())
                    .or_default()
                    .push(receiver(member));
            }
        }
    }
    got.0.sort_unstable();
    got.1
        .values_mut()
        .for_each(|members| members.sort_unstable());
    assert_eq!(got, expected, "to {}", String::from_utf8_lossy(subject));
}
