//! Whether what comes is what was sent: every byte, once, in order, and nothing else.

use std::fmt;

use midge_protocol::{Delivery, ServerOp, ServerParser, ServerStep};

use super::frame::{Shape, Stamp, set_digits};
use midge_text::quantity::plural;

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
    /// A message of another program, or to another subject or subscription.
    Foreign { shown: String },
    /// Bytes that are no op.
    Nonsense { shown: String },
    /// The broker refused something.
    Refused { who: String, text: String },
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
                "{} lost for {who}, the first is message {sequence} of publisher {publisher}",
                plural(*count, "message")
            ),
            Fault::Surplus { who, count } => {
                write!(f, "{} too many for {who}", plural(*count, "message"))
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
            Fault::Refused { who, text } if text.starts_with("Authorization") => write!(
                f,
                "the broker told {who}: -ERR '{text}'; present --user and --password, or --token"
            ),
            Fault::Refused { who, text } => write!(f, "the broker told {who}: -ERR '{text}'"),
            Fault::CutOff { who, messages, why } => {
                let messages = plural(*messages, "message");
                write!(f, "{who} was closed after {messages}: {why}")
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
    /// Of numbered subjects this one has the first, and each at this distance.
    own_subjects: (usize, usize),
    /// Set where all messages have 16 bytes and one head.
    small: Option<SmallHead>,
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
            small: match (shape.size, share, shape.is_numbered()) {
                (16, Share::Each, false) => SmallHead::new(&shape.delivered_head()),
                _ => None,
            },
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

    /// Hears one publisher only, that of the first number, whose ring has the second number of frames.
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
            at = self.run_of_small(data, at, &mut arrived);
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

    /// Checks good messages of the commonest kind, from `at` on; answers where they end. What is not
    /// good, or not whole, is for the general way to judge.
    #[inline]
    fn run_of_small(
        &mut self,
        data: &[u8],
        mut at: usize,
        arrived: &mut impl FnMut(Stamp),
    ) -> usize {
        let Some(small) = &self.small else {
            return at;
        };
        let (head, nonce) = (self.head.len(), self.shape.nonce);
        let frame_bytes = head + 18;
        let mut count = 0;
        while let Some(frame) = data.get(at..at + frame_bytes) {
            let [stamp, check, line_end] =
                [&frame[head..], &frame[head + 8..], &frame[head + 10..]].map(word);
            let stamp = Stamp::from_bytes(stamp.to_le_bytes());
            let good = small.begins(frame)
                && check == stamp.check(nonce)
                && line_end >> 48 == u64::from(u16::from_le_bytes(*b"\r\n"));
            let place = stamp.publisher().wrapping_sub(self.first);
            let Some(next) = self.next.get_mut(place) else {
                break;
            };
            if !good || stamp.sequence() != *next {
                break;
            }
            *next += 1;
            count += 1;
            arrived(stamp);
            at += frame_bytes;
        }
        self.received += count;
        at
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

/// A head of up to 32 bytes as four words, compared without a loop.
#[derive(Debug)]
struct SmallHead {
    words: [u64; 4],
    /// Ones where the head is, zeros behind it.
    masks: [u64; 4],
}

impl SmallHead {
    /// `None` if the head is longer, or so short that a whole frame has fewer than 32 bytes.
    fn new(head: &[u8]) -> Option<SmallHead> {
        if !(14..=32).contains(&head.len()) {
            return None;
        }
        let mut bytes = [0; 32];
        bytes[..head.len()].copy_from_slice(head);
        let mut ones = [0; 32];
        ones[..head.len()].fill(0xff);
        let words = |bytes: &[u8; 32]| [0, 8, 16, 24].map(|at| word(&bytes[at..]));
        Some(SmallHead {
            words: words(&bytes),
            masks: words(&ones),
        })
    }

    #[inline]
    fn begins(&self, frame: &[u8]) -> bool {
        let Some(frame) = frame.first_chunk::<32>() else {
            return false;
        };
        let mut differs = 0;
        for place in 0..4 {
            differs |= (word(&frame[place * 8..]) ^ self.words[place]) & self.masks[place];
        }
        differs == 0
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Stamper;

    /// Messages as a good broker delivers them, by publisher and sequence.
    struct Source {
        shape: Shape,
        publishers: Vec<(Stamper, Vec<u8>)>,
    }

    impl Source {
        fn new(shape: Shape, publishers: usize) -> Source {
            let publishers = (0..publishers).map(|number| Stamper::new(&shape, number));
            Source {
                publishers: publishers.collect(),
                shape,
            }
        }

        fn of_size(size: usize) -> Source {
            Source::new(Shape::new("bench.x", size, false, 99), 2)
        }

        fn message(&mut self, publisher: usize, sequence: u64) -> Vec<u8> {
            let (stamper, ring) = &mut self.publishers[publisher];
            let (_, range) = stamper.stamp(ring, sequence, 1);
            let frame = String::from_utf8_lossy(&ring[range.clone()]).into_owned();
            let subject = frame.split(' ').nth(1).unwrap_or_default().to_owned();
            let sid = if self.shape.is_numbered() {
                subject.split('.').nth(2).unwrap_or_default()
            } else {
                "1"
            };
            let at = "PUB ".len() + subject.len();
            let head = format!("MSG {subject} {sid}");
            [head.as_bytes(), &ring[range][at..]].concat()
        }

        fn messages(&mut self, publisher: usize, sequences: &[u64]) -> Vec<u8> {
            let all = sequences.iter();
            all.flat_map(|sequence| self.message(publisher, *sequence))
                .collect()
        }
    }

    /// Feeds a stream in pieces of `step` bytes; answers how many messages came.
    fn feed(receiver: &mut Receiver, stream: &[u8], step: usize) -> Result<u64, Fault> {
        let mut unread = Vec::new();
        for piece in stream.chunks(step) {
            unread.extend_from_slice(piece);
            let (len, _) = receiver.feed(&unread, |_| {}, |_| {})?;
            unread.drain(..len);
        }
        assert!(unread.is_empty(), "{}", unread.escape_ascii());
        Ok(receiver.received())
    }

    fn each(source: &Source) -> Receiver {
        Receiver::new(&source.shape, 2, Share::Each)
    }

    #[test]
    fn what_was_sent_is_good_at_every_size_and_wherever_it_is_cut() {
        for size in [8, 15, 16, 17, 23, 24, 25, 100, 5000] {
            let mut source = Source::of_size(size);
            let mut stream = source.messages(0, &[0, 1, 2]);
            stream.extend(source.messages(1, &[0]));
            stream.extend(source.messages(0, &[3]));
            for step in [1, 7, 64, 100_000] {
                let got = feed(&mut each(&source), &stream, step);
                assert_eq!(got, Ok(5), "{size} bytes in pieces of {step}");
            }
        }
    }

    #[test]
    fn a_payload_without_room_for_a_stamp_is_counted_and_its_bytes_are_compared() {
        for size in [0, 1, 7] {
            let mut source = Source::new(Shape::new("bench.x", size, false, 99), 1);
            let stream = source.messages(0, &[0, 1, 2]);
            let mut receiver = Receiver::new(&source.shape, 1, Share::Each);
            assert_eq!(feed(&mut receiver, &stream, 10), Ok(3), "{size} bytes");
        }
        let mut source = Source::new(Shape::new("bench.x", 4, false, 99), 1);
        let stream = source.messages(0, &[0, 2]);
        let mut receiver = Receiver::new(&source.shape, 1, Share::Each);
        let got = feed(&mut receiver, &stream, 1000);
        assert!(
            matches!(got, Err(Fault::Corrupted { expected: 1, .. })),
            "{got:?}"
        );
    }

    #[test]
    fn a_lost_message_is_noticed_by_the_next_one() {
        let mut source = Source::of_size(16);
        let stream = source.messages(1, &[0, 2]);
        let expected = Fault::OutOfPlace {
            publisher: 1,
            expected: 1,
            got: 2,
        };
        assert!(
            expected.to_string().contains("1 lost or late"),
            "{expected}"
        );
        assert_eq!(feed(&mut each(&source), &stream, 1000), Err(expected));
    }

    #[test]
    fn a_doubled_message_and_a_swapped_pair_are_noticed() {
        for (sequences, expected, got) in [(&[0, 1, 1][..], 2, 1), (&[0, 2, 1][..], 1, 2)] {
            let mut source = Source::of_size(16);
            let stream = source.messages(0, sequences);
            let fault = Fault::OutOfPlace {
                publisher: 0,
                expected,
                got,
            };
            assert_eq!(feed(&mut each(&source), &stream, 1000), Err(fault));
        }
    }

    #[test]
    fn each_altered_byte_of_a_message_is_noticed() {
        for size in [16, 40] {
            let mut source = Source::of_size(size);
            let stream = source.messages(0, &[0, 1]);
            let one = stream.len() / 2;
            for at in 0..one {
                let mut altered = stream.clone();
                altered[at] ^= 2;
                let mut receiver = each(&source);
                let outcome = receiver.feed(&altered, |_| {}, |_| {});
                // What is no whole message any more may wait for the rest of one.
                let waits = matches!(outcome, Ok((0, _)));
                assert!(outcome.is_err() || waits, "byte {at}: {outcome:?}");
            }
        }
    }

    #[test]
    fn foreign_messages_are_noticed() {
        let mut source = Source::of_size(16);
        let good = source.message(0, 0);
        let text = |from: &str, to: &str| {
            let at = good
                .windows(from.len())
                .position(|part| part == from.as_bytes());
            let at = at.expect("it is there");
            [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()
        };
        for (what, stream) in [
            ("subject", text("bench.x", "bench.y")),
            ("sid", text(" 1 ", " 2 ")),
            ("reply", text(" 1 ", " 1 r ")),
        ] {
            let got = feed(&mut each(&source), &stream, 1000);
            assert!(matches!(got, Err(Fault::Foreign { .. })), "{what}: {got:?}");
        }
        // A foreign publisher, and another run.
        let mut other = Source::new(source.shape.clone(), 3);
        let got = feed(&mut each(&source), &other.message(2, 0), 1000);
        assert!(matches!(got, Err(Fault::Foreign { .. })), "{got:?}");
        let mut other = Source::new(Shape::new("bench.x", 16, false, 98), 1);
        let got = feed(&mut each(&source), &other.message(0, 0), 1000);
        assert!(got.is_err(), "{got:?}");
    }

    #[test]
    fn an_unusual_form_of_the_same_message_is_good() {
        let mut source = Source::of_size(16);
        let frame = source.message(0, 0);
        let stream = [b"msg  bench.x\t1 ", &frame["MSG bench.x 1 ".len()..]].concat();
        assert_eq!(feed(&mut each(&source), &stream, 1000), Ok(1));
    }

    #[test]
    fn members_of_a_group_get_parts_in_order_and_nothing_twice() {
        let mut source = Source::of_size(16);
        let once = |source: &Source| Receiver::new(&source.shape, 2, Share::Once);
        let stream = source.messages(0, &[3, 9, 1000]);
        assert_eq!(feed(&mut once(&source), &stream, 1000), Ok(3));
        for sequences in [[3, 9, 4], [3, 9, 9]] {
            let stream = source.messages(0, &sequences);
            assert!(
                feed(&mut once(&source), &stream, 1000).is_err(),
                "{sequences:?}"
            );
        }
    }

    #[test]
    fn a_subscriber_of_many_subjects_gets_its_own() {
        let shape = Shape::new("bench.x", 16, false, 99).subjects(50);
        let mut source = Source::new(shape, 1);
        let sequences: Vec<u64> = (0..200).collect();
        let stream = source.messages(0, &sequences);
        let mut all = Receiver::new(&source.shape, 1, Share::Each);
        assert_eq!(feed(&mut all, &stream, 333), Ok(200));
        let mut half = Receiver::new(&source.shape, 1, Share::Once).own_subjects(0, 2);
        let got = feed(&mut half, &stream, 333);
        assert!(matches!(got, Err(Fault::Foreign { .. })), "{got:?}");
    }

    #[test]
    fn what_is_no_message_is_heard() {
        let source = Source::of_size(16);
        let mut heard = Vec::new();
        let stream = b"INFO {}\r\nPING\r\n+OK\r\nPONG\r\n-ERR 'no'\r\nPO";
        let (len, _) = each(&source)
            .feed(stream, |aside| heard.push(aside), |_| {})
            .expect("all is well");
        assert_eq!(len, stream.len() - 2);
        let refused = Aside::Refused("no".to_owned());
        let info = Aside::Info(b"{}".to_vec());
        assert_eq!(heard, [info, Aside::Ping, Aside::Pong, refused]);
    }

    #[test]
    fn bits_tell_what_is_doubled_and_what_is_missing() {
        let (mut one, mut other) = (Bits::default(), Bits::default());
        assert!(one.set(0) && one.set(64) && other.set(63) && other.set(200));
        assert!(!one.set(64));
        assert_eq!(one.add(&other), None);
        assert_eq!(one.missing(1), None);
        assert_eq!(one.missing(65), Some((62, 1)));
        assert_eq!(one.add(&other), Some(63));
    }
}
