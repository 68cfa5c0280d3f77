//! `Receiver`: whoever a message can be delivered to, as delivery knows it.
//!
//! Today every receiver is a client. Routes and leaf nodes are further kinds: they have keys,
//! accounts and subscriptions as clients have, and differ in how a message is framed for them.

use crate::core::accounts::AccountId;
use crate::core::sublist::Sids;
use midge_reactor::Key;
use std::fmt;
use std::net::SocketAddr;

/// What is at the far end, and so how a message is framed for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A client: it gets `MSG`, or `HMSG` if it takes headers.
    Client {
        /// Whether headers are in effect on this connection.
        headers: bool,
        /// Whether it wants its own messages back.
        echo: bool,
    },
}

/// Messages and bytes that went one way. Bytes are headers and payload, as monitoring counts them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Bytes of their headers and payloads.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one message.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }

    /// Counts what was counted elsewhere.
    pub(crate) fn add(&mut self, other: Traffic) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }

    /// What has come since it was `earlier`.
    pub(crate) fn since(self, earlier: Traffic) -> Traffic {
        Traffic {
            messages: self.messages - earlier.messages,
            bytes: self.bytes - earlier.bytes,
        }
    }
}

/// Who a connection is in the log: `127.0.0.1:51324 - cid:7`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    /// The far end.
    pub peer: SocketAddr,
    /// The connection's number, which is never used again.
    pub cid: u64,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - cid:{}", self.peer, self.cid)
    }
}

/// One receiver: the end of a connection that messages go to.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Where its bytes are queued; [`Key::NONE`] if it has gone, and subscriptions of it have not.
    pub key: Key,
    /// How messages are framed for it.
    pub kind: Kind,
    /// Whose subjects it sees.
    pub account: AccountId,
    /// Whether it may be sent an `INFO` at any time: it speaks protocol 1 and has had its first
    /// `PONG`, before which client libraries expect nothing else.
    pub takes_info: bool,
    /// Who it is in the log.
    pub label: Label,
    /// Its subscriptions, by its own names for them.
    pub sids: Sids,
    /// What it has published.
    pub received: Traffic,
    /// What was delivered to it.
    pub sent: Traffic,
    /// The number of the last run of messages that it was looked at for.
    pub last_run: u64,
    /// Whether subscriptions of it are still to be removed, none of which takes anything any more.
    pub is_clearing: bool,
}
