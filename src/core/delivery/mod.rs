//! Fan-out: from a published message to the queues of those who get it.
//!
//! Per message: find the sets it reaches; give each plain subscription a copy; give each queue
//! group's copy to one member; end the subscriptions that have had their last. Nothing here
//! allocates once its scratch vectors have grown, and nothing knows of sockets: bytes go to an
//! [`Outbox`]. What is too much for one piece is left to a [`Fanout`].

use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::backpressure::Backpressure;
use crate::core::interest::{self, Ledger};
use crate::core::outbox::Outbox;
use crate::core::random::Random;
use crate::core::receiver::{Kind, Receiver, Traffic};
use crate::core::sublist::{Group, QueueId, ReceiverId, SetId, Sid, SubId, Sublist, Subscription};
use crate::core::trace;
use midge_protocol::{Decimal, Msg, Piece, Publish, Sink, subject};
use midge_reactor::Key;
use slab::Slab;

mod fanout;
mod own;
mod room;
mod run;

pub(crate) use fanout::{Fanout, ending};
pub(crate) use own::{Asking, Own, find_own};
use room::Room;
use run::RunScratch;
pub(crate) use run::{Quota, publish_run};

/// Vectors used again for each message, and what messages have come to since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    found: Vec<SetId>,
    /// The groups reached: queue, set, and place in the set. Sorted, so that the parts of one
    /// group that subscribed to different subjects stand together.
    groups: Vec<(QueueId, SetId, u32)>,
    finished: Vec<SubId>,
    run: RunScratch,
    tally: Tally,
    room: Room,
    /// The subscription by which somebody is fed who was just found to be behind.
    behind: Option<(AccountId, SubId)>,
}

/// What a run of messages of one publisher has come to. Counted here, next to each other, and added
/// to the counters of the publisher and of the broker when the run is over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Places in the sublist and subscriptions that were looked at: what messages have cost,
    /// whether or not anyone got them.
    pub work: usize,
    /// How much of it there was when the clock was last looked at.
    pub looked: usize,
    /// What was published.
    pub received: Traffic,
    /// What was delivered.
    pub sent: Traffic,
}

impl Scratch {
    /// Counts work that is not a message's.
    pub(crate) fn charge(&mut self, work: usize) {
        self.tally.work += work;
    }

    /// The work done for the present run of messages.
    pub(crate) fn work(&self) -> usize {
        self.tally.work
    }

    /// The work since the clock was last looked at.
    #[inline]
    pub(crate) fn work_since_look(&self) -> usize {
        self.tally.work - self.tally.looked
    }

    /// The subscription by which the one is fed whom a publisher is to wait for, if it is by one.
    pub(crate) fn take_behind(&mut self) -> Option<(AccountId, SubId)> {
        self.behind.take()
    }

    /// Whether those who wait for room are to look again.
    #[inline]
    pub(crate) fn has_freed_room(&mut self) -> bool {
        self.room.has_been_freed()
    }

    /// The clock is being looked at.
    pub(crate) fn look(&mut self) {
        self.tally.looked = self.tally.work;
    }

    /// What the present run of messages has come to so far.
    #[inline]
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Ends a run of messages.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Published {
    /// It was delivered to so many subscriptions.
    Taken(usize),
    /// Nothing more is done until this receiver, which is far behind, has caught up. Then it is to come
    /// again.
    WaitFor(Key),
    /// It is too much for one piece, and is to come again when others have had their turn.
    InPieces,
}

/// What is delivered in one piece: to so many subscriptions, in so many bytes, after a look at so many
/// places of the trie.
const PIECE_SUBSCRIPTIONS_MAX: usize = 1024;
const PIECE_BYTES_MAX: usize = 2 * 1024 * 1024;
const PIECE_PLACES_MAX: usize = 512;

/// What it costs to subscribe to `subject`, or to end that, in places looked at.
pub(crate) fn subscribing(subject: &[u8]) -> usize {
    4 + subject::token_count(subject)
}

/// Sets that a memo holds; a message that reaches more is looked up each time.
const MEMO_SETS_MAX: usize = 6;

/// What one client's last publish has reached, so that the next one with the same control line need
/// not be looked up.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    sets: [SetId; MEMO_SETS_MAX],
    len: u8,
    /// The sublist's version that this holds for, plus one. Zero: for none.
    version: u64,
}

impl Memo {
    /// The sets that `message` reaches, if it repeats the last one and nothing has changed since.
    #[inline(always)]
    fn of_repeated(&self, message: &Publish<'_>, sublist: &Sublist) -> Option<&[SetId]> {
        let holds = message.repeats() && self.version == sublist.version() + 1;
        holds.then(|| &self.sets[..usize::from(self.len)])
    }

    /// Keeps what a message has reached.
    #[inline]
    fn keep(&mut self, found: &[SetId], sublist: &Sublist) {
        if found.len() > MEMO_SETS_MAX {
            return self.forget();
        }
        // A loop would become a call of memcpy, which costs more than the few sets there mostly are.
        match *found {
            [] => {}
            [only] => self.sets[0] = only,
            [first, second] => (self.sets[0], self.sets[1]) = (first, second),
            _ => self.sets[..found.len()].copy_from_slice(found),
        }
        self.len = found.len() as u8;
        self.version = sublist.version() + 1;
    }

    /// Whether the last message was one that was delivered, and what it reached is kept, or was.
    #[inline]
    pub(crate) fn is_kept(&self) -> bool {
        self.version > 0
    }

    /// Forgets what the last message has reached: the next one may repeat another, that was refused.
    pub(crate) fn forget(&mut self) {
        self.version = 0;
    }
}

/// Whether whoever makes output for `receiver` should wait for it: it is far behind, and still takes
/// bytes.
fn is_behind<O: Outbox>(receiver: Key, backpressure: &Backpressure, out: &O) -> bool {
    out.is_congested(receiver)
        && out.is_moving(receiver)
        && backpressure.asks_to_wait_for(receiver, &out.progress(receiver))
}

/// A receiver in `found` that is far behind and still takes bytes: whoever publishes should wait
/// for it and come again. Of a queue group, only if all its members are so.
///
/// Asked before anything is delivered, so that however many publish, a queue passes the mark at which
/// they are held by no more than a run of messages; and only if somebody is congested.
#[inline(never)]
fn find_congested<O: Outbox>(
    found: &[SetId],
    from: ReceiverId,
    sublist: &mut Sublist,
    receivers: &Slab<Receiver>,
    backpressure: &Backpressure,
    out: &O,
) -> Option<(Key, SubId)> {
    found.iter().find_map(|set_id| {
        let (set, subscriptions) = sublist.set(*set_id);
        let behind = |id: &SubId| {
            let receiver = &receivers[subscriptions[id.index()].receiver.0 as usize];
            let Receiver {
                key,
                kind: Kind::Client { echo, .. },
                is_clearing,
                ..
            } = *receiver;
            let gets_it = echo || subscriptions[id.index()].receiver != from;
            (gets_it && !is_clearing && is_behind(key, backpressure, out)).then_some((key, *id))
        };
        let has_gone = |id: &&SubId| {
            let receiver = subscriptions[id.index()].receiver;
            receivers[receiver.0 as usize].is_clearing
        };
        let all_behind = |group: &Group| {
            let mut members = group.members.iter().filter(|id| !has_gone(id));
            members.try_fold(None, |_, member| behind(member).map(Some))?
        };
        let plain = set.plain().iter().find_map(behind);
        plain.or_else(|| set.groups().iter().find_map(all_behind))
    })
}

/// Bytes of a copy of `message`, but for what is the receiver's own. A subject may be as long as a control
/// line.
#[inline]
fn copy_bytes(message: &Publish<'_>) -> usize {
    let reply = message.reply().map_or(0, <[u8]>::len);
    message.subject().len() + reply + message.body_bytes()
}

/// Whether a message is too much for one piece to these sets; `bytes` are those of a copy.
#[inline]
fn is_large(found: &[SetId], bytes: usize, sublist: &mut Sublist) -> bool {
    let subscriptions: usize = found.iter().map(|set| sublist.set(*set).0.len()).sum();
    subscriptions > PIECE_SUBSCRIPTIONS_MAX
        || subscriptions.saturating_mul(bytes) > PIECE_BYTES_MAX && subscriptions > 1
}

/// Delivers `message`, published by `from`, to all who have subscribed to it, unless somebody is to be
/// waited for. `begin` is called before it is, once it is known that it will be.
///
/// What is too much for one piece has begun, and is left in `fanout`, which goes on.
#[inline(always)]
pub(crate) fn publish<O: Outbox>(
    core: &mut Core,
    from: ReceiverId,
    message: &Publish<'_>,
    memo: &mut Memo,
    fanout: &mut Option<Box<Fanout>>,
    begin: impl FnOnce(&mut O),
    out: &mut O,
) -> Published {
    let account = core.receiver(from).account;
    let Core {
        accounts,
        receivers,
        scratch,
        interest,
        random,
        backpressure,
        ..
    } = core;
    let sublist = &mut accounts[account].sublist;
    let Scratch {
        found,
        groups,
        finished,
        tally,
        behind,
        ..
    } = scratch;
    let bytes = message.body_bytes();
    let found = match memo.of_repeated(message, sublist) {
        Some(sets) => {
            tally.work += 1;
            sets
        }
        None => {
            found.clear();
            match sublist.matches_within(message.subject(), PIECE_PLACES_MAX, found) {
                Ok(places) => tally.work += places,
                Err(places) => {
                    tally.work += places;
                    memo.forget();
                    begin(out);
                    let search = sublist.search_on(message.subject());
                    *fanout = Some(Box::new(Fanout::new(search, message)));
                    return Published::InPieces;
                }
            }
            memo.keep(found, sublist);
            &*found
        }
    };
    // One set with one subscription: nearly all messages.
    if let [set] = found
        && let Some(id) = sublist.set(*set).0.only_member()
    {
        if out.any_congested()
            && let Some((key, id)) =
                find_congested(found, from, sublist, receivers, backpressure, out)
        {
            *behind = Some((account, id));
            return Published::WaitFor(key);
        }
        begin(out);
        tally.received.count(bytes);
        tally.work += 1;
        let subscription = sublist.subscription_mut(id);
        let taken = deliver_one(message, from, subscription, receivers, out);
        if taken {
            tally.sent.count(bytes);
            if subscription.count() {
                tally.work += ending(sublist, id);
                end([id], sublist, receivers, interest);
            }
        }
        return Published::Taken(usize::from(taken));
    }
    if is_large(found, copy_bytes(message), sublist) {
        begin(out);
        let search = sublist.found(found);
        *fanout = Some(Box::new(Fanout::new(search, message)));
        return Published::InPieces;
    }
    if out.any_congested()
        && let Some((key, id)) = find_congested(found, from, sublist, receivers, backpressure, out)
    {
        *behind = Some((account, id));
        return Published::WaitFor(key);
    }
    begin(out);
    tally.received.count(bytes);
    if found.is_empty() {
        return Published::Taken(0);
    }
    let mut delivery = Delivery {
        message,
        framing: Assembled::of(message),
        from,
        receivers,
        out,
        finished,
        work: 0,
        taken: 0,
    };
    delivery.deliver_to_all(found, groups, sublist, random);
    let (taken, work) = (delivery.taken, delivery.work);
    tally.work += work;
    tally.sent.messages += taken as u64;
    tally.sent.bytes += (taken * bytes) as u64;
    if !finished.is_empty() {
        let endings = finished.iter().map(|id| ending(sublist, *id));
        tally.work += endings.sum::<usize>();
        end(finished.drain(..), sublist, receivers, interest);
    }
    Published::Taken(taken)
}

/// Removes the subscriptions that have had their last message.
#[cold]
#[inline(never)]
fn end(
    finished: impl IntoIterator<Item = SubId>,
    sublist: &mut Sublist,
    receivers: &mut Slab<Receiver>,
    ledger: &mut Ledger,
) {
    for id in finished {
        let (ended, _) = interest::remove(id, sublist, receivers, ledger);
        let receiver = &receivers[ended.receiver.0 as usize];
        trace::ended(&receiver.label, ended.sid.as_slice());
    }
}

/// As [`deliver`], for a single copy. Not inlined into the loop over messages: what all copies have in
/// common would be worked out beforehand, which pays only for several.
#[inline(never)]
fn deliver_one<O: Outbox>(
    message: &Publish<'_>,
    from: ReceiverId,
    subscription: &Subscription,
    receivers: &mut Slab<Receiver>,
    out: &mut O,
) -> bool {
    let framing = InPieces::of(message);
    deliver(message, framing, from, subscription, receivers, out)
}

/// Gives one subscription its copy; answers whether it took it.
#[inline(always)]
fn deliver<O: Outbox>(
    message: &Publish<'_>,
    framing: Option<impl Framing>,
    from: ReceiverId,
    subscription: &Subscription,
    receivers: &mut Slab<Receiver>,
    out: &mut O,
) -> bool {
    if subscription.finished() {
        return false;
    }
    let receiver = &mut receivers[subscription.receiver.0 as usize];
    let Kind::Client { headers, echo } = receiver.kind;
    if !echo && subscription.receiver == from {
        return false;
    }
    let (sid, key) = (&subscription.sid, receiver.key);
    let took = match framing {
        Some(framing) if headers || !message.has_header() => framing.hand_on(sid, key, out),
        _ => frame_from_parts(message, sid.as_slice(), headers, key, out),
    };
    if took.is_none() {
        return false;
    }
    receiver.sent.count(message.body_bytes());
    if trace::wanted() {
        let (label, kind) = (&receiver.label, receiver.kind);
        trace::delivered(label, kind, sid.as_slice(), message);
    }
    true
}

/// One message on its way to its receivers.
struct Delivery<'a, O> {
    message: &'a Publish<'a>,
    framing: Option<Assembled<'a>>,
    from: ReceiverId,
    receivers: &'a mut Slab<Receiver>,
    out: &'a mut O,
    finished: &'a mut Vec<SubId>,
    work: usize,
    /// Subscriptions that took it.
    taken: usize,
}

impl<O: Outbox> Delivery<'_, O> {
    /// Gives all that `found` holds their copies.
    #[inline(never)]
    fn deliver_to_all(
        &mut self,
        found: &[SetId],
        groups: &mut Vec<(QueueId, SetId, u32)>,
        sublist: &mut Sublist,
        random: &mut Random,
    ) {
        groups.clear();
        for set_id in found {
            let (set, subscriptions) = sublist.set(*set_id);
            for id in set.plain() {
                self.deliver(*id, &mut subscriptions[id.index()]);
            }
            if !set.groups().is_empty() {
                let reached = (0..).zip(set.groups());
                groups.extend(reached.map(|(place, group)| (group.queue, *set_id, place)));
            }
        }
        if !groups.is_empty() {
            self.deliver_to_groups(sublist, groups, random);
        }
    }

    /// Gives one subscription its copy; answers whether it took it.
    #[inline(always)]
    fn deliver(&mut self, id: SubId, subscription: &mut Subscription) -> bool {
        self.work += 1;
        if !deliver(
            self.message,
            self.framing.as_ref(),
            self.from,
            subscription,
            self.receivers,
            self.out,
        ) {
            return false;
        }
        self.taken += 1;
        if subscription.count() {
            self.finished.push(id);
        }
        true
    }

    /// Gives each queue group its copy. `groups` are all that were reached.
    #[inline(never)]
    fn deliver_to_groups(
        &mut self,
        sublist: &mut Sublist,
        groups: &mut [(QueueId, SetId, u32)],
        random: &mut Random,
    ) {
        if groups.len() > 1 {
            groups.sort_unstable_by_key(|(queue, ..)| *queue);
        }
        for parts in groups.chunk_by(|(one, ..), (other, ..)| one == other) {
            self.deliver_to_one(sublist, parts, random);
        }
    }

    /// Gives one queue group its copy. `parts` are the pieces of the group, one for each set that
    /// has members of it. The choice falls evenly among those that keep up; who cannot take it
    /// passes it on to the next.
    fn deliver_to_one(
        &mut self,
        sublist: &mut Sublist,
        parts: &[(QueueId, SetId, u32)],
        random: &mut Random,
    ) {
        let len_of = |sublist: &mut Sublist, part: &(QueueId, SetId, u32)| {
            sublist.set(part.1).0.groups()[part.2 as usize]
                .members
                .len()
        };
        if let [(_, set_id, group)] = *parts
            && !self.out.any_congested()
        {
            // As it mostly is: one set, and nobody is behind.
            let (set, subscriptions) = sublist.set(set_id);
            let members = &set.groups()[group as usize].members;
            let id = members[random.below(members.len())];
            if self.deliver(id, &mut subscriptions[id.index()]) {
                return;
            }
        }
        let members = parts.iter().map(|part| len_of(sublist, part)).sum();
        let mut first_place = random.below(members);
        let mut first_part = 0;
        while first_place >= len_of(sublist, &parts[first_part]) {
            first_place -= len_of(sublist, &parts[first_part]);
            first_part += 1;
        }
        let rounds: &[bool] = if self.out.any_congested() {
            &[true, false]
        } else {
            &[false]
        };
        for &spare_the_congested in rounds {
            // Once round, from the first place on and back to the place before it.
            let (mut part, mut place) = (first_part, first_place);
            for _ in 0..members {
                if place == len_of(sublist, &parts[part]) {
                    (part, place) = ((part + 1) % parts.len(), 0);
                }
                let (_, set_id, group) = parts[part];
                let (set, subscriptions) = sublist.set(set_id);
                let id = set.groups()[group as usize].members[place];
                place += 1;
                let subscription = &mut subscriptions[id.index()];
                let receiver = &self.receivers[subscription.receiver.0 as usize];
                if spare_the_congested && self.out.is_congested(receiver.key) {
                    self.work += 1;
                } else if self.deliver(id, subscription) {
                    return;
                }
            }
        }
    }
}

/// How a message is handed on as it came: what stands before the sid and behind it is the same bytes
/// in `PUB` and `MSG`, and need not be made again.
trait Framing {
    /// Queues `MSG` or `HMSG`; `None` if the receiver takes nothing.
    fn hand_on<O: Outbox>(self, sid: &Sid, to: Key, out: &mut O) -> Option<()>;
}

/// Straight from the publisher's bytes: for a single copy.
struct InPieces<'a> {
    has_header: bool,
    subject: Piece<'a>,
    tail: Piece<'a>,
}

impl<'a> InPieces<'a> {
    #[inline(always)]
    fn of(message: &Publish<'a>) -> Option<InPieces<'a>> {
        let (subject, tail) = message.hand_on()?;
        Some(InPieces {
            has_header: message.has_header(),
            subject,
            tail,
        })
    }
}

impl Framing for InPieces<'_> {
    #[inline(always)]
    fn hand_on<O: Outbox>(self, sid: &Sid, to: Key, out: &mut O) -> Option<()> {
        let spaced = sid.spaced();
        let len = "HMSG ".len() + self.subject.len() + spaced.len() + self.tail.len();
        let mut writer = out.writer(to, len)?;
        if self.has_header {
            writer.put(b"H");
        }
        writer.put(b"MSG ");
        self.subject.put(&mut writer);
        put_sid(sid, &mut writer);
        self.tail.put(&mut writer);
        Some(())
    }
}

/// Longest beginning of a frame that is assembled. With a longer subject each copy is made from parts.
const HEAD_BYTES_MAX: usize = 64;

/// With all that stands before the sid in one block: for many copies.
struct Assembled<'a> {
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    tail: Piece<'a>,
}

impl<'a> Assembled<'a> {
    fn of(message: &Publish<'a>) -> Option<Assembled<'a>> {
        let (subject, tail) = message.hand_on()?;
        let name = if message.has_header() {
            "HMSG "
        } else {
            "MSG "
        };
        let mut head = [0; HEAD_BYTES_MAX];
        let head_len = name.len() + subject.len();
        head[..name.len()].copy_from_slice(name.as_bytes());
        head.get_mut(name.len()..head_len)?
            .copy_from_slice(subject.as_slice());
        Some(Assembled {
            head,
            head_len,
            tail,
        })
    }
}

impl Framing for &Assembled<'_> {
    #[inline(always)]
    fn hand_on<O: Outbox>(self, sid: &Sid, to: Key, out: &mut O) -> Option<()> {
        let len = self.head_len + sid.spaced().len() + self.tail.len();
        let mut writer = out.writer(to, len)?;
        writer.put_block(&self.head, self.head_len);
        put_sid(sid, &mut writer);
        self.tail.put(&mut writer);
        Some(())
    }
}

/// Appends the sid and the blank behind it.
#[inline(always)]
fn put_sid(sid: &Sid, out: &mut impl Sink) {
    let spaced = sid.spaced();
    match sid.block() {
        Some(block) => out.put_block(block, spaced.len()),
        None => out.put(spaced),
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

#[cfg(test)]
mod tests;
