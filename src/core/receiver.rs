//! `Receiver`: one to whom messages can be delivered, as delivery knows it.
//!
//! A receiver is a client, a service of the broker itself, or an account that imports. Routes and leaf nodes are further
//! kinds: they have accounts and subscriptions as clients have, and differ in what they take and how it is framed for them, which
//! the methods of [`Kind`] say.

use crate::core::accounts::AccountId;
use crate::core::guard::Guard;
use crate::core::origin::{Origin, Role};
use crate::core::sublist::{ReceiverId, Sids, SubId, Subscription};
use crate::door::{Door, Entrance, Peer, Transport};
use midge_protocol::Publish;
use midge_reactor::Key;
use std::fmt;
use std::time::Duration;

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
    /// A part of the broker, which has no queue: it [gets requests](crate::core::requests).
    Service,
    /// A part of the broker that asks, and has no queue: it gets [answers](crate::core::requests).
    Asker,
    /// Other accounts, which have no queue: what it gets [crosses](crate::core::crossing).
    Border,
}

impl Kind {
    /// Whether it gets what it publishes itself.
    fn wants_its_own(self) -> bool {
        match self {
            Kind::Client { echo, .. } => echo,
            Kind::Service | Kind::Asker | Kind::Border => true,
        }
    }

    /// What it is among brokers and clients.
    #[inline]
    pub(crate) fn role(self) -> Role {
        match self {
            Kind::Client { .. } => Role::Client,
            Kind::Service | Kind::Asker | Kind::Border => Role::Broker,
        }
    }
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
    /// That of `messages` of `bytes` each.
    #[inline(always)]
    pub(crate) fn of(messages: usize, bytes: usize) -> Traffic {
        Traffic {
            messages: messages as u64,
            bytes: (messages * bytes) as u64,
        }
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
    /// The far end, as it is shown: by WebSocket, a proxy or the client itself may have told it.
    pub peer: Peer,
    /// The connection's number, which is never used again.
    pub cid: u64,
    /// Where it has come in.
    pub door: Door,
}

impl Label {
    /// By which door it has come in, and as which process.
    pub(crate) fn entrance(&self) -> Entrance {
        Entrance {
            door: self.door,
            credentials: self.peer.credentials(),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = match self.door.transport() {
            Transport::Plain => "cid",
            Transport::WebSocket => "wid",
        };
        write!(f, "{} - {id}:{}", self.peer, self.cid)
    }
}

/// Tells the log something about one connection: the text begins with its label, and `cid` and `peer` are fields of
/// their own in JSON.
macro_rules! line_about {
    ($level:ident, $label:expr, $($text:tt)+) => {{
        let label = &$label;
        log::$level!(
            target: "midge", cid = label.cid, peer:% = label.peer;
            "{label} - {}", format_args!($($text)+)
        );
    }};
}

pub(crate) use line_about;

/// One receiver: the end of a connection that messages go to.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Where its bytes are queued; [`Key::NONE`] if it has gone, and subscriptions of it have not.
    pub key: Key,
    /// How messages are framed for it.
    kind: Kind,
    /// Whether it gets all that it has subscribed to, and nothing is noted of that: true of nearly every one.
    takes_all: bool,
    /// What is looked at for each message to it, if anything is.
    pub(super) guard: Option<Box<Guard>>,
    /// Whose subjects it sees.
    pub account: AccountId,
    /// Whether it may be sent an `INFO` at any time: it speaks protocol 1 and has had its first
    /// `PONG`, before which client libraries expect nothing else.
    pub takes_info: bool,
    /// Its last round trip that was measured, in nanoseconds; 0 is none, and the greatest number any longer one.
    pub round_trip: u32,
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

impl Receiver {
    /// A client without subscriptions, which wants its own messages back and takes no headers.
    pub(super) fn new(key: Key, account: AccountId, label: Label) -> Receiver {
        Receiver {
            key,
            kind: Kind::Client {
                headers: false,
                echo: true,
            },
            takes_all: true,
            guard: None,
            account,
            takes_info: false,
            round_trip: 0,
            label,
            sids: Sids::default(),
            received: Traffic::default(),
            sent: Traffic::default(),
            last_run: 0,
            is_clearing: false,
        }
    }

    /// What it is, and how messages are framed for it.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// It is this from here on.
    pub(crate) fn set_kind(&mut self, kind: Kind) {
        self.kind = kind;
        self.takes_all = kind.wants_its_own() && self.guard.is_none();
    }

    /// Whether it gets a message from there to which `subscription` of it, which is `id`, has subscribed.
    #[inline(always)]
    pub(crate) fn takes(
        &self,
        subscription: &Subscription,
        id: SubId,
        origin: &Origin,
        message: &Publish<'_>,
    ) -> bool {
        (self.takes_all || self.takes_this(subscription, id, origin, message))
            && origin.role.hands_on_to(Role::Client)
    }

    /// As [`takes`](Receiver::takes), of a message that is about to be written.
    #[inline(always)]
    pub(crate) fn take(
        &mut self,
        subscription: &Subscription,
        id: SubId,
        origin: &Origin,
        message: &Publish<'_>,
    ) -> bool {
        (self.takes_all || self.take_this(subscription, id, origin, message))
            && origin.role.hands_on_to(Role::Client)
    }

    #[inline(never)]
    fn takes_this(
        &self,
        subscription: &Subscription,
        id: SubId,
        origin: &Origin,
        message: &Publish<'_>,
    ) -> bool {
        let echo = self.kind.wants_its_own();
        let guard = self.guard.as_deref();
        let passes =
            |guard: &Guard| guard.lets_through(id, message.subject(), subscription.is_queued());
        (echo || subscription.receiver != origin.receiver) && guard.is_none_or(passes)
    }

    #[inline(never)]
    fn take_this(
        &mut self,
        subscription: &Subscription,
        id: SubId,
        origin: &Origin,
        message: &Publish<'_>,
    ) -> bool {
        let takes = self.takes_this(subscription, id, origin, message);
        if let Some(guard) = self.guard.as_mut().filter(|_| takes)
            && let Some(reply) = message.reply()
        {
            guard.note(reply);
        }
        takes
    }

    /// Whether a header is handed on to it.
    #[inline(always)]
    pub(crate) fn takes_headers(&self) -> bool {
        match self.kind {
            Kind::Client { headers, .. } => headers,
            Kind::Service | Kind::Asker | Kind::Border => true,
        }
    }

    /// It has taken so long to answer.
    pub(crate) fn answered_in(&mut self, round_trip: Duration) {
        let nanoseconds = u32::try_from(round_trip.as_nanos()).unwrap_or(u32::MAX);
        self.round_trip = nanoseconds.max(1);
    }

    /// Where a message comes from that it publishes; it is `id`.
    pub(crate) fn origin(&self, id: ReceiverId) -> Origin {
        Origin {
            receiver: id,
            role: self.kind.role(),
            account: self.account,
            crossed: 0,
            is_held: self.kind.role().is_held(),
            is_told: true,
        }
    }
}
