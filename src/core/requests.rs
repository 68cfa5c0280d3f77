//! `Requests`: messages for parts of the broker itself: requests, and answers to what it has asked.
//!
//! A service is a receiver without a connection. It subscribes as a client does, so that a request finds it on the way of
//! all messages, and costs others nothing. Where a client would get a copy into its queue, a request is kept here until
//! the loop has time for it: in the same turn, unless that has had enough of them.

use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::crossing::Measured;
use crate::core::delivery::Publisher;
use crate::core::receiver::{Kind, Label, Receiver};
use crate::core::sublist::ReceiverId;
use crate::door::{Door, Peer};
use midge_protocol::Publish;
use midge_reactor::Key;
use std::collections::VecDeque;
use std::fmt;

/// Most requests that wait at once, and most bytes of them; likewise of answers. A further one has no responder.
const REQUESTS_MAX: usize = 1024;
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A message that a part of the broker got. `Debug` does not show its payload, which may be the token by which a client
/// comes in.
pub(crate) struct Request {
    pub subject: Box<[u8]>,
    pub reply: Option<Box<[u8]>>,
    pub payload: Box<[u8]>,
}

impl Request {
    fn bytes(&self) -> usize {
        let reply = self.reply.as_ref().map_or(0, |reply| reply.len());
        self.subject.len() + reply + self.payload.len()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field(
                "subject",
                &format_args!("\"{}\"", self.subject.escape_ascii()),
            )
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish_non_exhaustive()
    }
}

/// Those that wait.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Request>,
    bytes: usize,
}

impl Queue {
    fn pop(&mut self) -> Option<Request> {
        let request = self.waiting.pop_front()?;
        self.bytes -= request.bytes();
        Some(request)
    }

    /// Keeps a message; answers whether there is room.
    fn keep(&mut self, message: &Publish<'_>) -> bool {
        let request = Request {
            subject: message.subject().into(),
            reply: message.reply().map(Into::into),
            payload: message.payload().into(),
        };
        let bytes = self.bytes + request.bytes();
        let has_room = self.waiting.len() < REQUESTS_MAX && bytes <= BYTES_MAX;
        if has_room {
            self.bytes = bytes;
            self.waiting.push_back(request);
        }
        has_room
    }
}

/// Those that wait. Answers wait beside requests, so that who asks much keeps none away.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    asked: Queue,
    answers: Queue,
    /// The [crossings](crate::core::crossing) that the present message has come to, by their numbers.
    pub(super) crossings: Vec<u64>,
    /// What is to be told of [services](crate::core::crossing) that are measured.
    pub(crate) measured: VecDeque<Measured>,
    /// How many of those were dropped since the log was told.
    pub(crate) unmeasured: u64,
    /// Whether one is measured whose time may be over before another's.
    pub(crate) is_timing: bool,
}

impl Requests {
    /// Whether no request waits, and nothing is to be told.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.waiting.is_empty() && self.measured.is_empty() && !self.is_timing
    }

    /// Whether an answer waits.
    #[inline]
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.waiting.is_empty()
    }

    /// Takes out the one that has waited longest.
    pub(crate) fn pop(&mut self) -> Option<Request> {
        self.asked.pop()
    }

    /// Takes out the answer that has waited longest.
    pub(crate) fn pop_answer(&mut self) -> Option<Request> {
        self.answers.pop()
    }

    /// Keeps a message for a service; answers whether there is room.
    #[cold]
    pub(super) fn keep(&mut self, message: &Publish<'_>) -> bool {
        self.asked.keep(message)
    }

    /// Keeps a message for one who asks; answers whether there is room.
    #[cold]
    pub(super) fn keep_answer(&mut self, message: &Publish<'_>) -> bool {
        self.answers.keep(message)
    }
}

/// A part of the broker that is asked by messages.
#[derive(Debug)]
pub(crate) struct Service {
    pub receiver: ReceiverId,
    /// By which it answers.
    pub publisher: Publisher,
}

impl Service {
    /// Begins one in an account. It has no subscriptions yet.
    pub(crate) fn begin(core: &mut Core, account: AccountId) -> Service {
        Service::of(Kind::Service, core, account)
    }

    /// Likewise, one that asks: what it gets are answers.
    pub(crate) fn asking(core: &mut Core, account: AccountId) -> Service {
        Service::of(Kind::Asker, core, account)
    }

    fn of(kind: Kind, core: &mut Core, account: AccountId) -> Service {
        let receiver = core.join_part(kind, account);
        Service {
            receiver,
            publisher: Publisher::new(core.receiver(receiver).origin(receiver)),
        }
    }

    /// Ends it with its subscriptions.
    pub(crate) fn end(self, core: &mut Core) {
        let receiver = core.receiver(self.receiver);
        let (account, has_any) = (receiver.account, !receiver.sids.is_empty());
        match has_any {
            // It has no key, and so goes with the last of them.
            true => core.unsubscribe_all(self.receiver),
            false => core.remove_receiver(self.receiver),
        }
        core.accounts.close_if_over(account);
    }
}

impl Core {
    /// Makes what has no connection a receiver, in an account. It has no subscriptions yet.
    pub(in crate::core) fn join_part(&mut self, kind: Kind, account: AccountId) -> ReceiverId {
        let label = Label {
            peer: Peer::Internet(([0, 0, 0, 0], 0).into()),
            cid: 0,
            door: Door::Main,
        };
        let mut receiver = Receiver::new(Key::NONE, account, label);
        receiver.set_kind(kind);
        self.add_receiver(receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_waits_no_payload_is_shown() {
        let mut requests = Requests::default();
        let mut buffer = Vec::new();
        let message = Publish::compose(&mut buffer, b"a.b", Some(b"c"), b"", b"hunter2");
        assert!(requests.keep(&message) && requests.keep_answer(&message));
        let shown = format!("{requests:?}");
        let request = "Request { subject: \"a.b\", payload: 7 bytes, .. }";
        assert_eq!(shown.matches(request).count(), 2, "{shown}");
        let bytes = format!("{:?}", b"hunter2");
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
}
