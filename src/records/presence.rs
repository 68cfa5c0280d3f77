//! `Presence`: what is known of a client that is connected, beside what delivery knows.

use crate::core::receiver::Label;
use crate::core::sublist::ReceiverId;
use crate::door::{Door, Peer};
use crate::tls::Settled;
use midge_protocol::ConnectOptions;
use midge_reactor::{Key, Time};
use std::sync::Arc;
use std::time::Duration;

/// What a client has said about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) name: Box<str>,
    pub(crate) lang: Box<str>,
    pub(crate) version: Box<str>,
    /// Who it has logged in as, or has tried to. A token is not shown.
    pub(crate) user: Box<str>,
    /// What is told of the token by which it has come in, if it has come in by one.
    pub(crate) token: Option<Box<Token>>,
}

/// What is told of the token by which a client has come in.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// The key that has signed it.
    pub(crate) issuer: Arc<str>,
    /// What people call its user.
    pub(crate) name: Arc<str>,
    pub(crate) tags: Arc<[String]>,
    /// Empty if it is not to be shown.
    pub(crate) text: Arc<str>,
}

impl Token {
    fn bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(String::len).sum();
        self.issuer.len() + self.name.len() + self.text.len() + tags
    }
}

impl Identity {
    /// A client that has said this about itself, is `user`, and has come in by this token.
    pub(crate) fn of(options: &ConnectOptions, user: &str, token: Option<Token>) -> Identity {
        Identity {
            name: options.name.as_str().into(),
            lang: options.lang.as_str().into(),
            version: options.version.as_str().into(),
            user: user.into(),
            token: token.map(Box::new),
        }
    }

    /// Bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        let token = self.token.as_ref().map_or(0, |token| token.bytes());
        self.name.len() + self.lang.len() + self.version.len() + self.user.len() + token
    }
}

/// A client that is connected.
#[derive(Debug)]
pub(crate) struct Presence {
    pub(crate) peer: Peer,
    pub(crate) door: Door,
    pub(crate) key: Key,
    pub(crate) receiver: ReceiverId,
    pub(crate) start: Time,
    pub(crate) identity: Identity,
    /// What its handshake has settled, if it has had one.
    pub(crate) tls: Option<Box<Settled>>,
    /// The last one measured; zero if there is none.
    pub(crate) round_trip: Duration,
    /// Bytes that moved no later than this were a greeting or a `PING` and its answer, which are no
    /// activity.
    quiet_until: Time,
    /// When there was some before that.
    quiet_since: Time,
}

impl Presence {
    pub(crate) fn new(label: Label, key: Key, receiver: ReceiverId, now: Time) -> Presence {
        Presence {
            peer: label.peer,
            door: label.door,
            key,
            receiver,
            start: now,
            identity: Identity::default(),
            tls: None,
            round_trip: Duration::ZERO,
            quiet_until: now,
            quiet_since: now,
        }
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let tls = self
            .tls
            .as_ref()
            .map_or(0, |tls| size_of::<Settled>() + tls.bytes());
        size_of::<(u64, Presence)>() + self.identity.bytes() + tls
    }

    /// It says who it is. The first time, how long that has taken is as good as a round trip.
    pub(crate) fn introduced(&mut self, identity: Identity, now: Time) {
        self.identity = identity;
        if self.round_trip.is_zero() {
            self.round_trip = (now - self.start).max(Duration::from_nanos(1));
        }
    }

    pub(crate) fn pinged(&mut self, now: Time, silence: Duration) {
        self.quiet_since = self.last_active(now, silence);
        self.quiet_until = now;
    }

    pub(crate) fn answered(&mut self, now: Time, asked: Time) {
        self.round_trip = (now - asked).max(Duration::from_nanos(1));
        self.quiet_until = now;
    }

    /// When there last was an op or a message, given since when no byte has moved.
    pub(crate) fn last_active(&self, now: Time, silence: Duration) -> Time {
        let moved = Time::ZERO + (now - Time::ZERO).saturating_sub(silence);
        if moved <= self.quiet_until {
            self.quiet_since
        } else {
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::fixtures::{LABEL, at};

    #[test]
    fn a_ping_and_its_answer_are_no_activity() {
        let mut presence = Presence::new(LABEL, Key::NONE, ReceiverId(0), at(10));
        let second = Duration::from_secs(1);
        assert_eq!(presence.last_active(at(20), 10 * second), at(10));
        // Something at 25, silence, a question at 30, its answer at 31.
        presence.pinged(at(30), 5 * second);
        assert_eq!(presence.last_active(at(30), Duration::ZERO), at(25));
        presence.answered(at(31), at(30));
        assert_eq!(presence.round_trip, second);
        assert_eq!(presence.last_active(at(40), 9 * second), at(25));
        // And once more, without anything in between.
        presence.pinged(at(50), 19 * second);
        presence.answered(at(51), at(50));
        assert_eq!(presence.last_active(at(60), 9 * second), at(25));
        // A message at 70.
        assert_eq!(presence.last_active(at(72), 2 * second), at(70));
    }
}
