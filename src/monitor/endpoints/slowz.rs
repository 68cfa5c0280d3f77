//! `/slowz`: who was slow, the youngest first.

use super::Content;
use crate::monitor::view::View;
use crate::records::slow::{Episode, Outcome};
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;

#[derive(Serialize)]
struct Slowz<'a> {
    server_id: &'a str,
    now: Timestamp,
    /// How many are behind at present.
    num_slow: usize,
    /// How many there ever were; the last of them are listed.
    total: u64,
    slow: Vec<One<'a>>,
}

/// A client that is or was behind.
#[derive(Serialize)]
pub(in crate::monitor) struct One<'a> {
    cid: u64,
    ip: String,
    port: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Cow<'a, str>>,
    /// At present, while it is behind; else at the worst moment that was seen.
    pending_bytes: usize,
    pending_bytes_peak: usize,
    /// How often a publisher has had to wait.
    waits: u64,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// `behind`, `given up`, `caught up` or `closed`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl<'a> One<'a> {
    pub(super) fn of(view: &View<'a>, episode: &'a Episode) -> One<'a> {
        let is_behind = episode.outcome == Outcome::Behind;
        let queued = view.sockets.queued(episode.key);
        let given_up = view.state.core.backpressure.has_given_up(episode.key);
        let presence = view.records.present.get(&episode.label.cid);
        let closed = view.records.closed.find(episode.label.cid);
        let identity = presence.map(|presence| &presence.identity);
        let identity = identity.or(closed.map(|closed| &closed.identity));
        One {
            cid: episode.label.cid,
            ip: episode.label.peer.host(),
            port: episode.label.peer.port(),
            name: identity.map_or("", |identity| &identity.name),
            subject: episode.subject.as_deref().map(String::from_utf8_lossy),
            sid: episode.sid.as_deref().map(String::from_utf8_lossy),
            pending_bytes: if is_behind { queued } else { episode.pending },
            pending_bytes_peak: match is_behind {
                true => episode
                    .peak(view.sockets.queued_peak(episode.key))
                    .max(queued),
                false => episode.pending,
            },
            waits: episode.waits,
            since: view.wall_of(episode.since),
            until: episode.until.map(|until| view.wall_of(until)),
            state: match episode.outcome {
                Outcome::Behind if given_up => "given up",
                Outcome::Behind => "behind",
                Outcome::CaughtUp => "caught up",
                Outcome::Closed(_) => "closed",
            },
            reason: match episode.outcome {
                Outcome::Closed(reason) => Some(reason.to_string()),
                _ => None,
            },
        }
    }
}

pub(super) fn answer(view: &View<'_>) -> Content {
    let episodes = || view.records.slow.episodes();
    Content::json(&Slowz {
        server_id: view.server_id(),
        now: view.now(),
        num_slow: episodes()
            .filter(|episode| episode.outcome == Outcome::Behind)
            .count(),
        total: view.records.slow.total(),
        slow: episodes().map(|episode| One::of(view, episode)).collect(),
    })
}
