//! `Row`: a connection, open or closed, and the JSON that is made of one.

use crate::core::close::CloseReason;
use crate::core::receiver::{Receiver, Traffic};
use crate::door::{Door, Peer, Transport};
use crate::limits::Scope;
use crate::monitor::times::{round_trip, uptime};
use crate::monitor::view::View;
use crate::records::closed::Closed;
use crate::records::presence::{Identity, Presence};
use crate::tls::{PeerCert, Settled};
use jiff::Timestamp;
use midge_reactor::{Key, Time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A connection, open or closed.
pub(super) struct Row<'a> {
    pub(super) cid: u64,
    pub(super) peer: Peer,
    pub(super) door: Door,
    pub(super) account: &'a str,
    pub(super) identity: &'a Identity,
    pub(super) tls: Option<&'a Settled>,
    pub(super) start: Time,
    /// When it closed, or now.
    pub(super) end: Time,
    pub(super) reason: Option<CloseReason>,
    pub(super) last_active: Time,
    pub(super) round_trip: Duration,
    pub(super) pending: usize,
    pub(super) pending_peak: usize,
    pub(super) received: Traffic,
    pub(super) sent: Traffic,
    pub(super) subscriptions: usize,
    /// Of one that is open.
    pub(super) key: Option<Key>,
}

impl<'a> Row<'a> {
    pub(super) fn of_present(
        view: &View<'a>,
        cid: u64,
        presence: &'a Presence,
        receiver: &Receiver,
    ) -> Row<'a> {
        let (now, key) = (view.sockets.now(), presence.key);
        let silence = view.sockets.idle_for(key);
        Row {
            cid,
            peer: presence.peer,
            door: presence.door,
            account: view.account_name(receiver.account),
            identity: &presence.identity,
            tls: presence.tls.as_deref(),
            start: presence.start,
            end: now,
            reason: None,
            last_active: presence.last_active(now, silence),
            round_trip: presence.round_trip,
            pending: view.sockets.queued(key),
            pending_peak: view.sockets.queued_peak(key),
            received: receiver.received,
            sent: receiver.sent,
            subscriptions: receiver.sids.len(),
            key: Some(key),
        }
    }

    pub(super) fn of_closed(closed: &'a Closed) -> Row<'a> {
        Row {
            cid: closed.cid,
            peer: closed.peer,
            door: closed.door,
            account: &closed.account,
            identity: &closed.identity,
            tls: closed.tls.as_deref(),
            start: closed.start,
            end: closed.stop,
            reason: Some(closed.reason),
            last_active: closed.last_active,
            round_trip: closed.round_trip,
            pending: closed.pending,
            pending_peak: closed.pending_peak,
            received: closed.received,
            sent: closed.sent,
            subscriptions: closed.subscriptions,
            key: None,
        }
    }
}

impl Row<'_> {
    /// Whether `text`, in small letters, is the cid, or stands in name, user, language or address. An
    /// address has a dot or a colon: a bare number is in too many.
    pub(super) fn mention(&self, text: &str) -> bool {
        let Identity {
            name, lang, user, ..
        } = self.identity;
        if text.parse() == Ok(self.cid) {
            return true;
        }
        if [name, user, lang]
            .iter()
            .any(|said| said.to_lowercase().contains(text))
        {
            return true;
        }
        let (host, port) = (self.peer.host(), self.peer.port());
        text.contains(['.', ':']) && format!("{host}:{port}").contains(text)
    }
}

/// A connection as it is told; what belongs to it follows.
#[derive(Serialize)]
pub(super) struct Connection<'a> {
    cid: u64,
    kind: &'static str,
    #[serde(rename = "type")]
    kind_of_client: &'static str,
    /// By which of `listeners` it has come in.
    #[serde(skip_serializing_if = "str::is_empty")]
    listener: &'a str,
    ip: String,
    port: u16,
    start: Timestamp,
    last_activity: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    rtt: String,
    uptime: String,
    idle: String,
    pending_bytes: usize,
    /// The most bytes that the kernel has left waiting.
    pending_bytes_peak: usize,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    subscriptions: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    lang: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tls_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tls_cipher_suite: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tls_peer_certs: &'a [PeerCert],
    #[serde(skip_serializing_if = "str::is_empty")]
    authorized_user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    account: &'a str,
    /// From here on what its token says, if it has come in by one.
    #[serde(skip_serializing_if = "str::is_empty")]
    jwt: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    issuer_key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name_tag: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    /// Of midge alone: what limits it together with others of its address, of its user, and of its account.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
}

/// The limits of its address, its user and its account, each by its name.
fn limits(view: &View<'_>, key: Key) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let limiter = &view.state.limiter;
    let each = Scope::ALL.into_iter().filter_map(|scope| {
        let limits = limiter.limits_of(key, scope)?.each().into_iter();
        let set = limits.filter_map(|(name, limit)| Some((name, limit?)));
        Some((scope.name(), set.collect()))
    });
    each.collect()
}

impl<'a> Connection<'a> {
    pub(super) fn of(view: &View<'a>, row: &Row<'a>, auth: bool) -> Connection<'a> {
        let (stop, reason) = match row.reason {
            Some(reason) => (Some(view.wall_of(row.end)), Some(reason.to_string())),
            None => (None, None),
        };
        // Of one that has closed all is told, as in nats-server.
        let tells_user = auth || reason.is_some();
        let token = row.identity.token.as_deref().filter(|_| tells_user);
        Connection {
            cid: row.cid,
            kind: "Client",
            kind_of_client: match row.door.transport() {
                Transport::Plain => "nats",
                Transport::WebSocket => "websocket",
            },
            listener: view.state.config.terms(row.door).name,
            ip: row.peer.host(),
            port: row.peer.port(),
            start: view.wall_of(row.start),
            last_activity: view.wall_of(row.last_active),
            stop,
            reason,
            rtt: round_trip(row.round_trip),
            uptime: uptime(row.end - row.start),
            idle: uptime(row.end - row.last_active),
            pending_bytes: row.pending,
            pending_bytes_peak: row.pending_peak.max(row.pending),
            in_msgs: row.received.messages,
            out_msgs: row.sent.messages,
            in_bytes: row.received.bytes,
            out_bytes: row.sent.bytes,
            subscriptions: row.subscriptions,
            name: &row.identity.name,
            lang: &row.identity.lang,
            version: &row.identity.version,
            tls_version: row.tls.map_or("", |tls| tls.version),
            tls_cipher_suite: row.tls.map_or("", |tls| &tls.cipher_suite),
            tls_peer_certs: match row.tls {
                Some(tls) if tells_user => &tls.peer_certs,
                _ => &[],
            },
            authorized_user: if tells_user { &row.identity.user } else { "" },
            account: if tells_user { row.account } else { "" },
            jwt: token.map_or("", |token| &token.text),
            issuer_key: token.map_or("", |token| &token.issuer),
            name_tag: token.map_or("", |token| &token.name),
            tags: token.map_or(&[], |token| &token.tags),
            limits: row.key.map_or_else(BTreeMap::new, |key| limits(view, key)),
        }
    }
}
