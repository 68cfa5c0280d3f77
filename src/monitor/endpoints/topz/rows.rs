//! The rows of `/topz`: its head, a subject, a connection.

use crate::core::receiver::Traffic;
use crate::monitor::view::View;
use crate::records::meter::{Counts, Entry, MESSAGE_WEIGHT, SAMPLE_EVERY};
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;

/// What stands before the lists.
#[derive(Serialize)]
pub(super) struct Head<'a> {
    pub(super) server_id: &'a str,
    pub(super) now: Timestamp,
    pub(super) period: &'static str,
    pub(super) since: Timestamp,
    /// How long that is.
    pub(super) seconds: f64,
    /// Whether messages are among these that were not counted, but stand for by one of `sample_every`.
    pub(super) sampled: bool,
    pub(super) sample_every: u64,
    pub(super) totals: Totals,
    /// How many subjects are kept at most.
    pub(super) max_subjects: usize,
    /// How many of those that are kept match.
    pub(super) num_subjects: usize,
    pub(super) offset: usize,
    pub(super) limit: usize,
}

/// Of all subjects, where messages and bytes are counted in any case; of one account, of those of its subjects that are kept
/// and match.
#[derive(Serialize)]
pub(super) struct Totals {
    pub(super) msgs: u64,
    pub(super) bytes: u64,
    pub(super) unrouted: u64,
}

impl Totals {
    /// Those of these subjects.
    pub(super) fn of(subjects: &[&Entry]) -> Totals {
        let sum = |of: fn(&Counts) -> u64| subjects.iter().map(|one| of(&one.counts)).sum();
        Totals {
            msgs: sum(|counts| counts.messages),
            bytes: sum(|counts| counts.bytes),
            unrouted: sum(|counts| counts.unrouted),
        }
    }
}

/// What was published to a subject. It is no less than what is told here but for samples, and no more
/// than that and the error.
#[derive(Serialize)]
pub(super) struct Subject<'a> {
    subject: Cow<'a, str>,
    /// That of the subject; empty where it is closed.
    account: &'a str,
    /// Whether this is only how it begins.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    msgs: u64,
    bytes: u64,
    unrouted: u64,
    /// Messages, and bytes, that there may have been before it was kept.
    error: u64,
    error_bytes: u64,
    /// The standard deviation of `msgs`, where some are estimated from samples; else zero.
    deviation: u64,
    msgs_rate: f64,
    bytes_rate: f64,
}

impl<'a> Subject<'a> {
    pub(super) fn of(entry: &'a Entry, account: &'a str, seconds: f64) -> Subject<'a> {
        let Counts {
            messages,
            bytes,
            unrouted,
            estimated,
        } = entry.counts;
        Subject {
            subject: String::from_utf8_lossy(entry.subject()),
            account,
            cut: entry.is_cut(),
            msgs: messages,
            bytes,
            unrouted,
            error: entry.error / MESSAGE_WEIGHT,
            error_bytes: entry.error,
            deviation: (SAMPLE_EVERY * estimated).isqrt(),
            msgs_rate: rate(messages, seconds),
            bytes_rate: rate(bytes, seconds),
        }
    }
}

/// A connection. The counters are those of `/connz`, since it came; the rates are what it has published
/// in the period.
#[derive(Serialize)]
pub(super) struct Connection<'a> {
    cid: u64,
    kind: &'static str,
    ip: String,
    port: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) name: &'a str,
    /// Whether it has ended meanwhile.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    closed: bool,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    in_msgs_rate: f64,
    in_bytes_rate: f64,
}

impl<'a> Connection<'a> {
    /// A connection that has published this much in this number of seconds; `None` if it is known no more.
    /// Without a number of seconds it is since it came.
    pub(super) fn of(
        view: &View<'a>,
        cid: u64,
        lately: Option<(Traffic, f64)>,
    ) -> Option<Connection<'a>> {
        let (peer, identity, received, sent, age, closed) = match view.records.present.get(&cid) {
            Some(present) => {
                let receiver = view.state.core.receiver(present.receiver);
                let age = view.sockets.now() - present.start;
                let (received, sent) = (receiver.received, receiver.sent);
                (present.peer, &present.identity, received, sent, age, false)
            }
            None => {
                let gone = view.records.closed.find(cid)?;
                let age = gone.stop - gone.start;
                (
                    gone.peer,
                    &gone.identity,
                    gone.received,
                    gone.sent,
                    age,
                    true,
                )
            }
        };
        let (traffic, seconds) = lately.unwrap_or((received, age.as_secs_f64()));
        Some(Connection {
            cid,
            kind: "Client",
            ip: peer.host(),
            port: peer.port(),
            name: &identity.name,
            closed,
            in_msgs: received.messages,
            out_msgs: sent.messages,
            in_bytes: received.bytes,
            out_bytes: sent.bytes,
            in_msgs_rate: rate(traffic.messages, seconds),
            in_bytes_rate: rate(traffic.bytes, seconds),
        })
    }
}

/// So much a second, to the tenth.
fn rate(amount: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        (10.0 * amount as f64 / seconds).round() / 10.0
    } else {
        0.0
    }
}
