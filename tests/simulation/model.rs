//! Who must have got what, worked out from the clients' logs alone.
//!
//! ```text
//! publisher   sent ................ confirmed       by the PONG of a later PING
//! subscriber  confirmed ........................ unsubscribed
//! ```
//!
//! What is sent after a subscription was confirmed, and confirmed before it was given up, must
//! arrive; what overlaps in no way must not; what lies between may.

use crate::client::{Log, Subscribed};
use midge_protocol::subject;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Logs = BTreeMap<u64, Log>;

pub(crate) fn check(logs: &Logs) {
    for (to, log) in logs {
        for (sid, subscription) in log.subscriptions.iter().enumerate() {
            let who = format!("client {to} sid {sid} on {}", subscription.pattern);
            check_order(logs, *to, subscription, &who);
            if subscription.queue.is_none() {
                check_all(logs, *to, log, subscription, &who);
            }
        }
    }
    check_queues(logs);
}

/// Whether `number` of `from` must have reached the subscription of `to`.
fn must(logs: &Logs, (to, log): (u64, &Log), one: &Subscribed, from: u64, number: usize) -> bool {
    let sent = &logs[&from].published[number];
    could(logs, (to, log), one, from, number)
        && one.confirmed.is_some_and(|at| at < sent.sent)
        && sent
            .confirmed
            .is_some_and(|at| one.unsubscribed.is_none_or(|end| at < end))
}

/// Whether it may have.
fn could(logs: &Logs, (to, log): (u64, &Log), one: &Subscribed, from: u64, number: usize) -> bool {
    let sent = &logs[&from].published[number];
    subject::matches(one.pattern.as_bytes(), sent.subject.as_bytes())
        && (log.echo || to != from)
        && sent.confirmed.is_none_or(|at| at > one.sent)
        && one.gone.is_none_or(|at| sent.sent < at)
}

/// Nothing twice, nothing out of order, nothing that was not meant for it, no more than its limit.
fn check_order(logs: &Logs, to: u64, one: &Subscribed, who: &str) {
    let mut last = BTreeMap::new();
    for (from, number) in &one.got {
        let published = &logs[from].published;
        assert!(*number < published.len(), "{who} got what was not sent");
        assert!(
            could(logs, (to, &logs[&to]), one, *from, *number),
            "{who} got {from}'s number {number}, which is not for it"
        );
        if let Some(before) = last.insert(*from, *number) {
            assert!(
                before < *number,
                "{who} got {from}'s number {number} after {before}"
            );
        }
    }
    if let Some(max) = one.max {
        // The limit may arrive after the subscription and some messages: then it ends at once.
        let count = one.got.len();
        let later = one.got.iter().any(|(from, number)| {
            let sent = logs[from].published[*number].sent;
            one.confirmed.is_some_and(|at| at < sent)
        });
        assert!(
            count <= max || !later,
            "{who} got {count} messages and wanted {max}"
        );
    }
}

/// A plain subscription has got all it must; one whose connection or limit has ended, all before
/// the last of each publisher.
fn check_all(logs: &Logs, to: u64, log: &Log, one: &Subscribed, who: &str) {
    let complete = !log.ended && !log.left && one.max.is_none_or(|max| one.got.len() < max);
    let got: BTreeSet<(u64, usize)> = one.got.iter().copied().collect();
    for (from, sender) in logs {
        let last = got.range((*from, 0)..=(*from, usize::MAX)).next_back();
        let end = match (complete, last) {
            (true, _) => sender.published.len(),
            (false, Some((_, last))) => *last,
            (false, None) => continue,
        };
        for number in 0..end {
            assert!(
                got.contains(&(*from, number)) || !must(logs, (to, log), one, *from, number),
                "{who} never got {from}'s number {number}"
            );
        }
    }
}

/// Each queue group has got each message once: no more, and no less if nobody who may have been
/// chosen has gone since.
fn check_queues(logs: &Logs) {
    let mut groups: BTreeMap<&str, Vec<(u64, &Log, &Subscribed)>> = BTreeMap::new();
    for (to, log) in logs {
        for one in &log.subscriptions {
            if let Some(queue) = one.queue {
                groups.entry(queue).or_default().push((*to, log, one));
            }
        }
    }
    for (queue, members) in groups {
        let mut got = BTreeSet::new();
        for message in members.iter().flat_map(|(.., one)| &one.got) {
            assert!(got.insert(*message), "{queue} got {message:?} twice");
        }
        for (from, sender) in logs {
            for number in 0..sender.published.len() {
                let reached = |(to, log, one): &&(u64, &Log, &Subscribed)| {
                    could(logs, (*to, log), one, *from, number)
                };
                let certain = members.iter().any(|(to, log, one)| {
                    one.max.is_none_or(|max| one.got.len() < max)
                        && must(logs, (*to, log), one, *from, number)
                });
                let all_there = members
                    .iter()
                    .filter(reached)
                    .all(|(_, log, _)| !log.ended && !log.left);
                assert!(
                    !certain || !all_there || got.contains(&(*from, number)),
                    "{queue} never got {from}'s number {number}"
                );
            }
        }
    }
}
