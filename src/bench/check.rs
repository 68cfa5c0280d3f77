//! Whether what comes is what was sent: every byte, once, in order, and nothing else.

use std::fmt;

use midge_protocol::{Delivery, ServerOp, ServerParser, ServerStep};

use super::frame::{Shape, Stamp, set_digits};

/// What a broker did wrong. Any of these makes a measurement a failure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// A message came in place of an earlier or a later one.
    OutOfPlace {
        publisher: usize,
        expected: u64,
        got: u64,
    },
    /// A message came that had come before.
    Doubled { publisher: usize, sequence: u64 },
    /// Messages did not come, and nothing more was to come.
    Lost {
        /// By whom they were missed.
        who: String,
        /// How many.
        count: u64,
        /// The first of them.
        publisher: usize,
        sequence: u64,
    },
    /// More messages came than were published.
    Surplus { who: String, count: u64 },
    /// Bytes of a payload or header are not those that were sent.
    Corrupted {
        publisher: usize,
        expected: u64,
        shown: String,
    },
    /// A message of somebody else, or to another subject or subscription.
    Foreign { shown: String },
    /// Bytes that are no op.
    Nonsense { shown: String },
    /// The broker refused something.
    Refused { who: String, text: String },
    /// The broker does not take payloads of this size.
    TooLarge { size: usize, max: u64 },
    /// The broker ended a connection.
    CutOff {
        who: String,
        messages: u64,
        why: String,
    },
    /// Nothing moved for too long.
    Silent { seconds: u64, missing: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::OutOfPlace {
                publisher,
                expected,
                got,
            } if got > expected => write!(
                f,
                "message {got} of publisher {publisher} came where {expected} was due: {} lost or late",
                got - expected
            ),
            Fault::OutOfPlace {
                publisher,
                expected,
                got,
            } => write!(
                f,
                "message {got} of publisher {publisher} came where {expected} was due: doubled or late"
            ),
            Fault::Doubled {
                publisher,
                sequence,
            } => write!(f, "message {sequence} of publisher {publisher} came twice"),
            Fault::Lost {
                who,
                count,
                publisher,
                sequence,
            } => write!(
                f,
                "{count} messages lost for {who}, the first is message {sequence} of publisher {publisher}"
            ),
            Fault::Surplus { who, count } => {
                write!(f, "{count} messages too many for {who}")
            }
            Fault::Corrupted {
                publisher,
                expected,
                shown,
            } => write!(
                f,
                "corrupted where message {expected} of publisher {publisher} was due: {shown}"
            ),
            Fault::Foreign { shown } => write!(f, "a foreign message: {shown}"),
            Fault::Nonsense { shown } => write!(f, "not an op of the protocol: {shown}"),
            Fault::Refused { who, text } => write!(f, "the broker told {who}: -ERR '{text}'"),
            Fault::TooLarge { size, max } => write!(
                f,
                "the broker takes payloads of up to {max} bytes, not {size}; use a smaller --size"
            ),
            Fault::CutOff { who, messages, why } => {
                write!(f, "{who} was cut off after {messages} messages: {why}")
            }
            Fault::Silent { seconds, missing } => {
                write!(
                    f,
                    "the broker was silent for {seconds} s; missing: {missing}"
                )
            }
        }
    }
}

/// What else a subscriber's connection may say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Aside {
    Info(Vec<u8>),
    Ping,
    Pong,
    Refused(String),
}

/// How messages are spread over subscribers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Share {
    /// Each subscriber gets all.
    Each,
    /// Each message goes to one subscriber.
    Once,
}

/// The messages of one subscriber. Pure: bytes in, counts or a fault out.
#[derive(Debug)]
pub(crate) struct Receiver {
    shape: Shape,
    ring_frames: usize,
    /// What must stand in front of a payload; of numbered subjects, the digits are set for each.
    head: Vec<u8>,
    digits: Option<[usize; 2]>,
    /// Of numbered subjects this one has the first of these, and every so many more.
    own_subjects: (usize, usize),
    share: Share,
    /// The first publisher that it may hear.
    first: usize,
    /// By publisher, the sequence number that comes next, or with [`Share::Once`] the least that may.
    next: Vec<u64>,
    /// By publisher, which messages have come. Only with [`Share::Once`].
    seen: Vec<Bits>,
    received: u64,
}

impl Receiver {
    /// Hears the publishers 0 to `publishers`.
    pub(crate) fn new(shape: &Shape, publishers: usize, share: Share) -> Receiver {
        Receiver {
            ring_frames: shape.ring_frames(),
            head: shape.delivered_head(),
            digits: shape.delivered_digits(),
            own_subjects: (0, 1),
            share,
            first: 0,
            next: vec![0; publishers],
            seen: match share {
                Share::Each => Vec::new(),
                Share::Once => vec![Bits::default(); publishers],
            },
            received: 0,
            shape: shape.clone(),
        }
    }

    /// Hears one publisher only, that of this number, whose ring has so many frames.
    pub(crate) fn of_publisher(shape: &Shape, publisher: usize, ring_frames: usize) -> Receiver {
        let mut receiver = Receiver::new(shape, 1, Share::Each);
        receiver.first = publisher;
        receiver.ring_frames = ring_frames;
        receiver
    }

    /// Has subscribed to the subjects `first`, `first + step` and so on.
    pub(crate) fn own_subjects(mut self, first: usize, step: usize) -> Receiver {
        self.own_subjects = (first, step);
        self
    }

    /// Messages so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// By publisher, the sequence number behind the last that came.
    pub(crate) fn next(&self) -> &[u64] {
        &self.next
    }

    /// By publisher, which messages have come.
    pub(crate) fn into_seen(self) -> Vec<Bits> {
        self.seen
    }

    /// Checks all whole ops at the start of `data`; answers how many bytes they have, and how many
    /// more are needed to go on, if that is known. `heard` gets what is no message, `arrived` the
    /// stamp of each message.
    ///
    /// # Errors
    /// The first fault. Nothing can be said about what comes behind it.
    #[inline]
    pub(crate) fn feed(
        &mut self,
        data: &[u8],
        mut heard: impl FnMut(Aside),
        mut arrived: impl FnMut(Stamp),
    ) -> Result<(usize, usize), Fault> {
        let (head, size) = (self.head.len(), self.shape.size);
        let frame_bytes = head + size + 2;
        let stamped = size >= 16;
        let mut at = 0;
        loop {
            // The fast way: a whole frame with the very control line that is expected.
            while stamped && let Some(frame) = data.get(at..at + frame_bytes) {
                if self.digits.is_some() {
                    self.expect(&frame[head..]);
                }
                if !same(&frame[..head], &self.head) || frame[head + size..] != *b"\r\n" {
                    break;
                }
                arrived(self.payload(&frame[head..head + size])?);
                at += frame_bytes;
            }
            match ServerParser::default().next(&data[at..]) {
                Ok(ServerStep::Partial { need }) => return Ok((at, need)),
                Ok(ServerStep::Op { op, len }) => {
                    match op {
                        ServerOp::Msg(delivery) => arrived(self.delivery(&delivery)?),
                        ServerOp::Info { json } => heard(Aside::Info(json.to_vec())),
                        ServerOp::Ping => heard(Aside::Ping),
                        ServerOp::Pong => heard(Aside::Pong),
                        ServerOp::Ok => {}
                        ServerOp::Err { text } => {
                            heard(Aside::Refused(String::from_utf8_lossy(text).into_owned()));
                        }
                    }
                    at += len;
                }
                Err(_) => {
                    let shown = shown(&data[at..]);
                    return Err(Fault::Nonsense { shown });
                }
            }
        }
    }

    /// Sets the digits of the expected head to those that belong to this payload; answers the
    /// subject's number.
    #[inline]
    fn expect(&mut self, payload: &[u8]) -> usize {
        let Some(stamp) = payload.first_chunk() else {
            return 0;
        };
        let check = Stamp::from_bytes(*stamp).check(self.shape.nonce);
        let number = self.shape.number(check);
        if let Some(places) = self.digits {
            for at in places {
                set_digits(&mut self.head, at, number);
            }
        }
        number
    }

    /// A message that came in another form than expected: is it the one nevertheless?
    #[cold]
    fn delivery(&mut self, delivery: &Delivery<'_>) -> Result<Stamp, Fault> {
        let number = self.expect(delivery.payload);
        if delivery.subject != self.shape.subject(number).as_bytes()
            || delivery.sid != self.shape.sid(number).as_bytes()
            || delivery.reply.is_some()
        {
            let words = [
                delivery.subject,
                delivery.sid,
                delivery.reply.unwrap_or_default(),
            ];
            return Err(Fault::Foreign {
                shown: shown(&words.join(&b' ')),
            });
        }
        if delivery.header != self.shape.header || delivery.payload.len() != self.shape.size {
            return Err(self.corrupted(delivery.payload));
        }
        self.payload(delivery.payload)
    }

    #[inline]
    fn payload(&mut self, payload: &[u8]) -> Result<Stamp, Fault> {
        if payload.len() < 8 {
            return self.short_payload(payload);
        }
        let Some(stamp) = self.shape.read(payload, self.ring_frames) else {
            return Err(self.corrupted(payload));
        };
        if self.digits.is_some() {
            let number = self.shape.number(stamp.check(self.shape.nonce));
            if number % self.own_subjects.1 != self.own_subjects.0 {
                let shown = shown(payload);
                return Err(Fault::Foreign { shown });
            }
        }
        self.place(stamp)?;
        Ok(stamp)
    }

    /// A payload that cannot hold a stamp: of a single publisher the low bytes of the sequence are
    /// there, of several there is nothing to know a message by.
    fn short_payload(&mut self, payload: &[u8]) -> Result<Stamp, Fault> {
        let stamp = Stamp::new(0, self.received);
        if self.next.len() == 1 {
            if payload != &stamp.bytes()[..payload.len()] {
                return Err(self.corrupted(payload));
            }
            self.next[0] += 1;
        }
        self.received += 1;
        Ok(stamp)
    }

    #[inline]
    fn place(&mut self, stamp: Stamp) -> Result<(), Fault> {
        let (publisher, got) = (stamp.publisher(), stamp.sequence());
        let Some(next) = self.next.get_mut(publisher.wrapping_sub(self.first)) else {
            let shown = format!("message {got} of publisher {publisher}");
            return Err(Fault::Foreign { shown });
        };
        let expected = *next;
        // Of a group's messages each member gets some, in order.
        if got != expected && (self.share == Share::Each || got < expected) {
            return Err(Fault::OutOfPlace {
                publisher,
                expected,
                got,
            });
        }
        *next = got + 1;
        if self.share == Share::Once && !self.seen[publisher - self.first].set(got) {
            return Err(Fault::Doubled {
                publisher,
                sequence: got,
            });
        }
        self.received += 1;
        Ok(())
    }

    fn corrupted(&self, payload: &[u8]) -> Fault {
        let publisher = match payload.first_chunk() {
            Some(stamp) => Stamp::from_bytes(*stamp).publisher(),
            None => self.first,
        };
        let shown = shown(payload);
        match self.next.get(publisher.wrapping_sub(self.first)) {
            Some(&expected) => Fault::Corrupted {
                publisher,
                expected,
                shown,
            },
            None => Fault::Foreign { shown },
        }
    }
}

/// Equality of two short slices, in words: a call of `memcmp` costs more than that.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() || one.len() < 8 {
        return one == other;
    }
    let words = one.chunks_exact(8).zip(other.chunks_exact(8));
    let mut differs = 0;
    for (one, other) in words {
        differs |= word(one) ^ word(other);
    }
    differs |= word(&one[one.len() - 8..]) ^ word(&other[other.len() - 8..]);
    differs == 0
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The beginning of `bytes`, for people.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(60)];
    let dots = if cut.len() < bytes.len() { "..." } else { "" };
    format!("{}{dots} ({} bytes)", cut.escape_ascii(), bytes.len())
}

/// A set of sequence numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Adds a number; answers whether it is new.
    #[inline]
    pub(crate) fn set(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.0.len() {
            self.0.resize((word + 1).next_power_of_two().max(1024), 0);
        }
        let before = self.0[word];
        self.0[word] |= bit;
        before & bit == 0
    }

    /// Adds all of `other`; answers the first number that both have.
    pub(crate) fn add(&mut self, other: &Bits) -> Option<u64> {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let mut common = None;
        for (place, (word, other)) in self.0.iter_mut().zip(&other.0).enumerate() {
            if *word & other != 0 && common.is_none() {
                let bit = (*word & other).trailing_zeros();
                common = Some(place as u64 * 64 + u64::from(bit));
            }
            *word |= other;
        }
        common
    }

    /// How many of the numbers below `end` are not there, and the first of them.
    pub(crate) fn missing(&self, end: u64) -> Option<(u64, u64)> {
        let mut count = 0;
        let mut first = None;
        for place in 0..end.div_ceil(64) {
            let word = self.0.get(place as usize).copied().unwrap_or(0);
            let left = end - place * 64;
            let wanted = if left >= 64 {
                u64::MAX
            } else {
                (1 << left) - 1
            };
            let lacking = wanted & !word;
            if lacking != 0 {
                count += u64::from(lacking.count_ones());
                first = first.or(Some(place * 64 + u64::from(lacking.trailing_zeros())));
            }
        }
        first.map(|first| (count, first))
    }
}
