//! Writing: copies of messages, appended to the queue of one receiver after the other.
//!
//! ```text
//! MSG <subject> <sid> [reply ][header size ]size CR LF header payload CR LF
//! ^^^^^^^^^^^^^^^^^^^ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
//! head                tail
//! ```
//!
//! The head is put together once for all messages of a run and all receivers; only the sid in it changes.
//! The tail of each message is the publisher's own bytes, handed on as they came. Where they cannot be, a
//! frame is put together from its parts.
//!
//! Nothing else appends a message to a queue. This is the place for a payload that is queued by reference
//! (from a few KiB up, to many receivers): [`Head::put`] would append the head, and a reference to the tail.

use crate::core::backpressure::Backpressure;
use crate::core::origin::{Origin, Role};
use crate::core::outbox::Outbox;
use crate::core::receiver::{Kind, Receiver, Traffic};
use crate::core::requests::Requests;
use crate::core::sublist::{Sid, SubId, Sublist, Subscription};
use crate::core::trace;
use midge_protocol::{Decimal, Msg, Piece, Publish, Run, Sink};
use midge_reactor::Key;
use slab::Slab;

/// The messages of a run on their way to their receivers.
pub(super) struct Delivery<'a, O> {
    pub run: &'a Run<'a>,
    pub from: &'a Origin,
    pub head: &'a mut Head,
    pub sublist: &'a mut Sublist,
    pub receivers: &'a mut Slab<Receiver>,
    pub backpressure: &'a Backpressure,
    /// Subscriptions that have had their last message.
    pub finished: &'a mut Vec<SubId>,
    pub requests: &'a mut Requests,
    pub out: &'a mut O,
    /// Subscriptions that were looked at.
    pub work: usize,
    /// Copies that were taken.
    pub taken: usize,
}

impl<O: Outbox> Delivery<'_, O> {
    /// Gives one subscription its copy of the first message; answers whether it took it.
    #[inline(always)]
    pub(super) fn give_first(&mut self, id: SubId) -> bool {
        let (message, from) = (self.run.first(), self.from);
        let tail = message.tail().unwrap_or_default();
        let takes = |receiver: &mut Receiver, one: &_| receiver.take(one, id, from, message);
        self.give(id, 1, std::iter::once(tail), takes)
    }

    /// The receiver of a subscription takes messages, as it was found out, and they are about to be written.
    #[inline]
    pub(super) fn take(&mut self, id: SubId) {
        let subscription = self.sublist.subscription(id);
        let receiver = &mut self.receivers[subscription.receiver.0 as usize];
        let takes = receiver.take(subscription, id, self.from, self.run.first());
        debug_assert!(takes, "it was looked at");
    }

    /// Gives one subscription, which [takes](Receiver::take) them, `count` messages, of which these are the tails.
    ///
    /// Not inlined: of its own, the loop in it has all registers, whatever is around it.
    #[inline(never)]
    pub(super) fn give_many<'t>(&mut self, id: SubId, count: usize, tails: impl Tails<'t>) {
        let taken = self.give(id, count, tails, |_, _| true);
        debug_assert!(taken, "it has room");
    }

    #[inline(always)]
    fn give<'t>(
        &mut self,
        id: SubId,
        count: usize,
        tails: impl Tails<'t>,
        takes: impl FnOnce(&mut Receiver, &Subscription) -> bool,
    ) -> bool {
        self.work += count;
        let (message, from, head) = (self.run.first(), self.from, &mut *self.head);
        let tail_bytes = message.tail().unwrap_or_default().len();
        let copies = Copies { message, count };
        let subscription = self.sublist.subscription_mut(id);
        let write = |sid: &Sid, to: Key, out: &mut O| {
            let end = head.set_sid(sid)?;
            Some(head.put(end, count, tail_bytes, tails, to, out))
        };
        if !copies.give(subscription, self.receivers, self.out, takes, write)
            && !serve(message, from, subscription, self.receivers, self.requests)
        {
            return false;
        }
        self.taken += count;
        if subscription.finished() {
            self.finished.push(id);
        }
        true
    }
}

/// Gives the only subscription that a message has reached its copy; answers whether it took it.
///
/// The short way: written straight from the publisher's bytes, since to put a head together pays for several
/// copies only. Not inlined into the loop over messages for the same reason: what all copies have in common
/// would be worked out beforehand.
#[inline(never)]
pub(super) fn give_alone<O: Outbox>(
    message: &Publish<'_>,
    from: &Origin,
    (id, subscription): (SubId, &mut Subscription),
    receivers: &mut Slab<Receiver>,
    requests: &mut Requests,
    out: &mut O,
) -> bool {
    let copies = Copies { message, count: 1 };
    let takes = |receiver: &mut Receiver, one: &_| receiver.take(one, id, from, message);
    let is_given = copies.give(subscription, receivers, out, takes, |sid, to, out| {
        let (subject, tail) = message.hand_on()?;
        Some(put_alone(message.has_header(), subject, sid, tail, to, out))
    });
    is_given || serve(message, from, subscription, receivers, requests)
}

/// A message that no queue has taken: gives it to the receiver of a subscription if that is a part of the broker;
/// answers whether it is, and has taken it. Where it has come to a border, it crosses when all others have theirs.
#[cold]
#[inline(never)]
fn serve(
    message: &Publish<'_>,
    from: &Origin,
    subscription: &mut Subscription,
    receivers: &mut Slab<Receiver>,
    requests: &mut Requests,
) -> bool {
    let receiver = &mut receivers[subscription.receiver.0 as usize];
    let is_served = match receiver.kind() {
        Kind::Service if from.role == Role::Client => {
            !receiver.is_clearing && requests.keep(message)
        }
        Kind::Asker if from.role.hands_on_to(Role::Stream) => {
            !receiver.is_clearing && requests.keep_answer(message)
        }
        Kind::Border if from.role.hands_on_to(Role::Stream) => {
            let number = subscription.sid.as_slice().try_into();
            requests.crossings.extend(number.map(u64::from_le_bytes));
            false
        }
        _ => false,
    };
    if is_served {
        receiver.sent.add(Traffic::of(1, message.body_bytes()));
        subscription.count(1);
    }
    is_served
}

/// What one subscription is to get.
struct Copies<'a> {
    /// The first message, whose control line all share.
    message: &'a Publish<'a>,
    count: usize,
}

impl Copies<'_> {
    /// Queues them, all or none; answers whether they were taken.
    ///
    /// `takes` says whether the receiver takes them.
    ///
    /// `write` hands them on as they came. It answers `None` where they cannot be, and nothing else if the
    /// receiver takes nothing.
    #[inline(always)]
    fn give<O: Outbox>(
        self,
        subscription: &mut Subscription,
        receivers: &mut Slab<Receiver>,
        out: &mut O,
        takes: impl FnOnce(&mut Receiver, &Subscription) -> bool,
        write: impl FnOnce(&Sid, Key, &mut O) -> Option<Option<()>>,
    ) -> bool {
        let message = self.message;
        if subscription.finished() {
            return false;
        }
        let receiver = &mut receivers[subscription.receiver.0 as usize];
        if !takes(receiver, subscription) {
            return false;
        }
        let (sid, key, headers) = (&subscription.sid, receiver.key, receiver.takes_headers());
        let written = match headers || !message.has_header() {
            true => write(sid, key, out),
            false => None,
        };
        let taken = match written {
            Some(taken) => taken,
            None => frame_from_parts(message, sid.as_slice(), headers, key, out),
        };
        if taken.is_none() {
            return false;
        }
        receiver
            .sent
            .add(Traffic::of(self.count, message.body_bytes()));
        if trace::is_on() {
            trace::delivered(&receiver.label, headers, sid.as_slice(), message);
        }
        subscription.count(self.count as u64);
        true
    }
}

/// Queues one frame from the publisher's bytes; `None` if the receiver takes nothing.
#[inline(always)]
fn put_alone<O: Outbox>(
    has_header: bool,
    subject: Piece<'_>,
    sid: &Sid,
    tail: Piece<'_>,
    to: Key,
    out: &mut O,
) -> Option<()> {
    let spaced = sid.spaced();
    let len = NAME.len() + subject.len() + spaced.len() + tail.len();
    let mut writer = out.writer(to, len)?;
    if has_header {
        writer.put(b"H");
    }
    writer.put(b"MSG ");
    subject.put(&mut writer);
    match sid.block() {
        Some(block) => writer.put_block(block, spaced.len()),
        None => writer.put(spaced),
    }
    tail.put(&mut writer);
    Some(())
}

/// Longest subject that is put into a head, with the blank behind it. With a longer one each frame is put
/// together from its parts.
const SUBJECT_BYTES_MAX: usize = 128;

const NAME: &[u8; 5] = b"HMSG ";

/// What all frames for one subscription begin with: `MSG <subject> <sid> `.
#[derive(Debug)]
pub(super) struct Head {
    /// `HMSG <subject> <sid> `, and then what was there before.
    bytes: [u8; 256],
    /// Where it begins: at the `H`, or behind it.
    start: usize,
    /// Where the sid begins; zero if messages are not handed on as they came.
    sid: usize,
}

impl Default for Head {
    fn default() -> Head {
        let mut bytes = [0; 256];
        bytes[..NAME.len()].copy_from_slice(NAME);
        Head {
            bytes,
            start: 0,
            sid: 0,
        }
    }
}

impl Head {
    /// Puts down what all copies of `message` have in common.
    #[inline(always)]
    pub(super) fn begin(&mut self, message: &Publish<'_>) {
        self.sid = 0;
        if let Some((subject, _)) = message.hand_on()
            && subject.len() <= SUBJECT_BYTES_MAX
        {
            subject.put(&mut Subject(&mut self.bytes));
            self.start = usize::from(!message.has_header());
            self.sid = NAME.len() + subject.len();
        }
    }

    /// Bytes of a head with a sid of `sid_bytes`, its blank included; `None` if it does not fit.
    pub(super) fn len_with(&self, sid_bytes: usize) -> Option<usize> {
        let end = self.sid + sid_bytes;
        (self.sid > 0 && end <= self.bytes.len()).then(|| end - self.start)
    }

    /// Puts down the sid; answers where the head ends then, if it fits.
    #[inline(always)]
    fn set_sid(&mut self, sid: &Sid) -> Option<usize> {
        if self.sid == 0 {
            return None;
        }
        let spaced = sid.spaced();
        let room = self.bytes.get_mut(self.sid..)?;
        match sid.block() {
            Some(block) => *room.first_chunk_mut()? = *block,
            None => room.get_mut(..spaced.len())?.copy_from_slice(spaced),
        }
        Some(self.sid + spaced.len())
    }

    /// Queues `count` messages that have this head, up to `end`, and these tails of `tail_bytes` each;
    /// `None` if the receiver takes nothing.
    #[inline(always)]
    fn put<'t, O: Outbox>(
        &self,
        end: usize,
        count: usize,
        tail_bytes: usize,
        tails: impl Tails<'t>,
        to: Key,
        out: &mut O,
    ) -> Option<()> {
        let len = end - self.start;
        let mut out = out.writer(to, count * (len + tail_bytes))?;
        let head = &self.bytes[self.start..];
        match (head.first_chunk::<32>(), head.first_chunk::<64>()) {
            (Some(block), _) if len <= 32 => tails.put_behind(block, len, &mut out),
            (_, Some(block)) if len <= 64 => tails.put_behind(block, len, &mut out),
            _ => {
                for tail in tails {
                    out.put(&head[..len]);
                    tail.put(&mut out);
                }
            }
        }
        Some(())
    }
}

/// The tails of messages that go to one receiver.
pub(super) trait Tails<'t>: Iterator<Item = Piece<'t>> + Sized {
    /// Appends, for each of them, the first `len` bytes of `head` and the tail.
    #[inline(always)]
    fn put_behind<const N: usize>(self, head: &[u8; N], len: usize, out: &mut impl Sink) {
        // A `for` loop costs 15 % more.
        self.for_each(|tail| {
            out.put_block(head, len);
            tail.put(out);
        });
    }
}

impl<'t> Tails<'t> for midge_protocol::Tails<'t> {
    #[inline(always)]
    fn put_behind<const N: usize>(self, head: &[u8; N], len: usize, out: &mut impl Sink) {
        midge_protocol::Tails::put_behind(self, head, len, out);
    }
}

/// One tail alone.
impl<'t> Tails<'t> for std::iter::Once<Piece<'t>> {}

/// Some of a run.
impl<'t, I: Iterator, F: FnMut(I::Item) -> Piece<'t>> Tails<'t> for std::iter::Map<I, F> {}

/// The room for a subject in a head.
struct Subject<'a>(&'a mut [u8; 256]);

impl Sink for Subject<'_> {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        self.0[NAME.len()..][..bytes.len()].copy_from_slice(bytes);
    }

    #[inline(always)]
    fn put_block<const N: usize>(&mut self, block: &[u8; N], _: usize) {
        self.0[NAME.len()..][..N].copy_from_slice(block);
    }
}

/// Queues `MSG` or `HMSG` where the bytes behind the subject cannot be handed on as they came; `None`
/// if the receiver takes nothing.
#[cold]
#[inline(never)]
fn frame_from_parts<O: Outbox>(
    message: &Publish<'_>,
    sid: &[u8],
    headers: bool,
    to: Key,
    out: &mut O,
) -> Option<()> {
    let payload_size = Decimal::new(message.payload().len() as u64);
    let (header_size, header, size) = match (message.has_header(), headers) {
        (true, true) => (message.header_size(), message.header(), message.size()),
        (true, false) => (&b""[..], &b""[..], payload_size.as_bytes()),
        (false, _) => (&b""[..], &b""[..], message.size()),
    };
    let msg = Msg {
        subject: message.subject(),
        sid,
        reply: message.reply(),
        header_size,
        size,
        header,
        payload: message.payload(),
    };
    let mut writer = out.writer(to, msg.encoded_len())?;
    msg.put(&mut writer);
    Some(())
}
