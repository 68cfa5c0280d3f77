//! Everything that a peer can say, as borrowed slices of the bytes received.

use std::fmt;

use crate::line::{Span, Words};
use crate::op::Publish;
use crate::publish::Place;

/// One op from a peer, a route or a leaf.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PeerOp<'a> {
    /// `INFO {json}`: what the peer is, or what it tells of another one; see [`PeerInfo`](super::PeerInfo).
    Info {
        /// Everything behind the name, without blanks around it and the line end.
        json: &'a [u8],
    },
    /// `CONNECT {json}`: who dials; see [`PeerConnect`](super::PeerConnect).
    Connect {
        /// Everything behind the name, without blanks around it and the line end.
        json: &'a [u8],
    },
    /// `PING`: asks for a `PONG`.
    Ping,
    /// `PONG`: the answer to our `PING`.
    Pong,
    /// `+OK`: means nothing, since no peer is asked to be verbose.
    Ok,
    /// `-ERR '<text>'`: a rule was broken. A route is closed after it, a leaf by the side that has said it.
    Err {
        /// The text, without its quotes.
        text: &'a [u8],
    },
    /// `RS+` or `LS+`: interest that is new, or a queue group's new weight.
    Subscribe {
        /// In what. The subject may be subscribed to.
        interest: Interest<'a>,
        /// How many members of the queue group there are, in place of what was told before; at most 999,999,999, and
        /// 0 if the group is not to be chosen. 1 without a queue.
        weight: u32,
    },
    /// `RS-` or `LS-`: interest that is over. It may never have been there.
    Unsubscribe(Interest<'a>),
    /// `RMSG`, `LMSG` or `HMSG`: a message for whoever is interested.
    Message(PeerMessage<'a>),
    /// `A+` or `A-`: of gateways; without effect on a route.
    Account,
}

/// What somebody at the far end wants to hear.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Interest<'a> {
    /// The cluster of leaf nodes whose interest it is, by which a route's `LS+` and `LS-` differ from `RS+` and `RS-`.
    ///
    /// Empty in an `LS-` that names none ([`PeerRules::unsubscribe_origin`](super::PeerRules)): that one ends what
    /// `RS+` and `LS+` have told alike.
    pub origin: Option<&'a [u8]>,
    /// The account. None on a leaf, which has one.
    pub account: Option<&'a [u8]>,
    /// The subject, wildcards and all.
    pub subject: &'a [u8],
    /// The queue group, if it is that of one.
    pub queue: Option<&'a [u8]>,
}

/// A message from a peer.
///
/// Made of the input and the places in it, so that what is not asked for costs nothing.
#[derive(Clone, Copy)]
pub struct PeerMessage<'a> {
    pub(super) publish: Publish<'a>,
    /// Empty if there is none.
    pub(super) origin: Place,
    /// Empty on a leaf.
    pub(super) account: Place,
    /// From the first name to the last; empty if there is none.
    pub(super) queues: Place,
}

impl<'a> PeerMessage<'a> {
    /// The cluster of leaf nodes that it came from, which is not to get it again. `None` but in a route's `LMSG`.
    #[inline]
    pub fn origin(&self) -> Option<&'a [u8]> {
        self.word(self.origin)
    }

    /// The account. `None` on a leaf, which has one.
    #[inline]
    pub fn account(&self) -> Option<&'a [u8]> {
        self.word(self.account)
    }

    /// The queue groups of which one member each gets it, beside all who are in none.
    #[inline]
    pub fn queues(&self) -> Queues<'a> {
        let Place { start, end } = self.queues;
        let (start, end) = (start as usize, end as usize);
        Queues {
            input: self.publish.input,
            words: Words::new(self.publish.input, Span { start, end }),
        }
    }

    /// The message as a client would have published it: subject, reply, header, payload, and what a delivery can copy
    /// as it stands.
    ///
    /// [`tail`](Publish::tail) is there if the line is written with single blanks and CR LF, unless queue names stand
    /// between the reply and the sizes, or a header size of 0 does.
    #[inline]
    pub fn publish(&self) -> Publish<'a> {
        self.publish
    }

    fn word(&self, place: Place) -> Option<&'a [u8]> {
        (!place.is_empty()).then(|| place.of(self.publish.input))
    }
}

/// What is said, not where it stands.
impl PartialEq for PeerMessage<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.origin() == other.origin()
            && self.account() == other.account()
            && self.queues().eq(other.queues())
            && self.publish == other.publish
    }
}

impl Eq for PeerMessage<'_> {}

impl fmt::Debug for PeerMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        f.debug_struct("PeerMessage")
            .field("origin", &self.origin().map(text))
            .field("account", &self.account().map(text))
            .field("queues", &self.queues())
            .field("publish", &self.publish)
            .finish()
    }
}

/// The names of queue groups, in the order in which they were sent; a name may come twice.
///
/// Cost: each step looks at the bytes of one name. Nothing is allocated.
#[derive(Clone)]
pub struct Queues<'a> {
    input: &'a [u8],
    words: Words<'a>,
}

impl<'a> Iterator for Queues<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.words.next().map(|word| word.of(self.input))
    }
}

impl fmt::Debug for Queues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.clone().map(|name| name.escape_ascii().to_string());
        f.debug_list().entries(names).finish()
    }
}
