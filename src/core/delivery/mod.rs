//! Delivery: from a published message to the queues of those who get it.
//!
//! ```text
//! message ──▶ memo or sublist ──▶ plan ──▶ write ──▶ queues
//!             the sets            who gets  how it is
//!             it reaches          it        framed
//! ```
//!
//! Each plain subscription gets a copy, each queue group's copy goes to one member, and the subscriptions
//! that have had their last are ended. Nothing here allocates once its scratch vectors have grown, and
//! nothing knows of sockets: bytes go to an [`Outbox`]. What is too much for one piece is left to a
//! [`Fanout`].

use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::interest::{self, Ledger};
use crate::core::origin::Origin;
use crate::core::outbox::Outbox;
use crate::core::receiver::Receiver;
use crate::core::sublist::{SetId, SubId, Sublist};
use crate::core::trace;
use midge_protocol::{Publish, Run, subject};
use midge_reactor::Key;
use slab::Slab;

mod across;
mod fanout;
mod memo;
mod own;
mod plan;
mod room;
mod tally;
mod wait;
mod write;

use across::{Across, Hop};
use fanout::Fanout;
use memo::Memo;
pub(crate) use own::{Asking, Own, find_own};
use plan::Plan;
use room::Room;
pub(crate) use tally::Tally;
use write::{Delivery, Head, give_alone};

/// Used again for each message.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    found: Vec<SetId>,
    plan: Plan,
    head: Head,
    finished: Vec<SubId>,
    room: Room,
    #[expect(clippy::vec_box, reason = "a hop is handed on as it is")]
    hops: Vec<Box<Hop>>,
    /// The subscription that feeds the receiver which was just found to be behind.
    behind: Option<(AccountId, SubId)>,
}

impl Scratch {
    /// The subscription that feeds the receiver which a publisher is to wait for, if there is one.
    pub(crate) fn take_behind(&mut self) -> Option<(AccountId, SubId)> {
        self.behind.take()
    }

    /// Whether those who wait for room are to look again.
    #[inline]
    pub(crate) fn has_freed_room(&mut self) -> bool {
        self.room.has_been_freed()
    }
}

/// What may be spent before it is the others' turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    /// Messages that may go together, if they can.
    pub messages: usize,
    /// Subscriptions and places in the sublist to look at.
    pub work: usize,
    /// Bytes to queue.
    pub bytes: usize,
}

impl Quota {
    /// For one message, whatever it takes.
    pub(crate) const ONE: Quota = Quota {
        messages: 1,
        work: usize::MAX,
        bytes: usize::MAX,
    };
}

/// What became of the first messages of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Published {
    /// This number of them was delivered, one at least, in this number of copies together.
    Taken { messages: usize, copies: usize },
    /// Nothing more is done until this receiver, which is far behind, has caught up. Then the first is to
    /// come again.
    WaitFor(Key),
    /// The first is too much for one piece, and [goes on](Publisher::go_on) when others have had their turn.
    InPieces,
}

impl Published {
    /// One message had no receiver.
    pub(crate) const NOBODY: Published = Published::Taken {
        messages: 1,
        copies: 0,
    };
}

/// Most that is delivered in one piece: subscriptions, bytes, and places of the trie looked at.
const PIECE_SUBSCRIPTIONS_MAX: usize = 1024;
const PIECE_BYTES_MAX: usize = 2 * 1024 * 1024;
const PIECE_PLACES_MAX: usize = 512;

/// What it costs to subscribe to `subject`, or to end that, in places looked at.
pub(crate) fn subscribing(subject: &[u8]) -> usize {
    4 + subject::token_count(subject)
}

/// What it costs to end a subscription.
pub(crate) fn ending(sublist: &Sublist, id: SubId) -> usize {
    subscribing(sublist.subject(id))
}

/// One who publishes.
#[derive(Debug)]
pub(crate) struct Publisher {
    origin: Origin,
    memo: Memo,
    /// The message that comes next, if it has begun.
    begun: Option<Box<Begun>>,
}

/// A message that is on its way.
#[derive(Debug, Default)]
struct Begun {
    /// In pieces, in its own account, until that is over.
    fanout: Option<Fanout>,
    /// Then into others.
    across: Across,
}

impl Publisher {
    /// One whose messages come from `origin`.
    pub(crate) fn new(origin: Origin) -> Publisher {
        Publisher {
            origin,
            memo: Memo::new(origin.account),
            begun: None,
        }
    }

    /// Its messages come from `origin` from here on. None has begun.
    fn come_from(&mut self, origin: Origin) {
        debug_assert!(!self.has_begun());
        self.memo.forget();
        self.origin = origin;
    }

    /// Its receiver may have entered another account: from there its next messages come.
    pub(crate) fn moved(&mut self, core: &Core) {
        let id = self.origin.receiver;
        let origin = core.receiver(id).origin(id);
        if origin.account != self.origin.account {
            // The place of the former one may become that of another, with a version of its own.
            self.memo.forget();
        }
        self.origin = origin;
    }

    /// Where its messages come from.
    #[inline]
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether a message has begun, and [goes on](Publisher::go_on).
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether `message` is as the last one was, which was delivered.
    #[inline(always)]
    pub(crate) fn repeats(&self, message: &Publish<'_>) -> bool {
        message.repeats() && self.memo.is_kept()
    }

    /// The last message was refused: one that repeats it is no known one.
    pub(crate) fn refused(&mut self) {
        self.memo.forget();
    }

    /// Goes on with `message`, which has begun, as far as `quota` goes.
    #[cold]
    pub(crate) fn go_on<O: Outbox>(
        &mut self,
        core: &mut Core,
        message: &Publish<'_>,
        quota: Quota,
        tally: &mut Tally,
        out: &mut O,
    ) -> Published {
        let Publisher { origin, begun, .. } = self;
        let Some(present) = begun else {
            return Published::InPieces;
        };
        let Begun { fanout, across } = &mut **present;
        if let Some(delivery) = fanout {
            let published = delivery.go_on(core, message, quota, tally, out);
            across.note(core);
            let Published::Taken { copies, .. } = published else {
                return published;
            };
            across.count(copies);
            *fanout = None;
        }
        let published = across.go_on(core, origin, message, quota, tally, out);
        if matches!(published, Published::Taken { .. }) {
            *begun = None;
        }
        published
    }

    /// It publishes no more: counts what became of a message that has begun.
    pub(crate) fn abandon(&mut self, core: &mut Core, tally: &mut Tally) {
        if let Some(begun) = self.begun.take() {
            let Begun { fanout, mut across } = *begun;
            if let Some(fanout) = fanout {
                fanout.abandon(&mut core.scratch.room, tally);
            }
            across.abandon(core, tally);
        }
    }
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

/// Delivers the first message of `run` to all who have subscribed to its subject, unless one of them is to
/// be waited for. `begin` is called before it is, once it is known that it will be.
///
/// What is too much for one piece has begun, and goes on.
#[inline(always)]
pub(crate) fn publish_one<O: Outbox>(
    core: &mut Core,
    publisher: &mut Publisher,
    run: &Run<'_>,
    tally: &mut Tally,
    begin: impl FnOnce(&mut O),
    out: &mut O,
) -> Published {
    let Publisher { origin, memo, .. } = publisher;
    let sublist = &mut core.accounts[origin.account].sublist;
    let (message, scratch) = (run.first(), &mut core.scratch);
    let found = find(message, origin, memo, &mut scratch.found, sublist, tally);
    // One set with one subscription, and no queue is congested: nearly all messages that do not repeat.
    if let Some([set]) = found
        && let Some(id) = sublist.set(*set).0.only_member()
        && !out.any_congested()
    {
        begin(out);
        let (receivers, requests) = (&mut core.receivers, &mut core.requests);
        let subscription = sublist.subscription_mut(id);
        let taken = give_alone(
            message,
            origin,
            (id, subscription),
            receivers,
            requests,
            out,
        );
        tally.count_one(taken, message.body_bytes());
        if !taken {
            return leave(core, publisher, message, Published::NOBODY, tally, out);
        }
        if subscription.finished() {
            tally.work += end([id], sublist, receivers, &mut core.interest);
        }
        return Published::Taken {
            messages: 1,
            copies: 1,
        };
    }
    let is_found = found.is_some();
    publish_found(
        core,
        publisher,
        run,
        is_found,
        Quota::ONE,
        tally,
        begin,
        out,
    )
}

/// As [`publish_one`], for as many of the first messages of `run` as `quota` has for: one at least.
#[inline(always)]
pub(crate) fn publish<O: Outbox>(
    core: &mut Core,
    publisher: &mut Publisher,
    run: &Run<'_>,
    quota: Quota,
    tally: &mut Tally,
    begin: impl FnOnce(&mut O),
    out: &mut O,
) -> Published {
    let Publisher { origin, memo, .. } = publisher;
    let sublist = &mut core.accounts[origin.account].sublist;
    let found = &mut core.scratch.found;
    let is_found = find(run.first(), origin, memo, found, sublist, tally).is_some();
    publish_found(core, publisher, run, is_found, quota, tally, begin, out)
}

/// Delivers the first messages of `run` to the sets that were found, or finds them in pieces.
#[inline(never)]
#[expect(
    clippy::too_many_arguments,
    reason = "a value of them would be made for each message"
)]
fn publish_found<O: Outbox>(
    core: &mut Core,
    publisher: &mut Publisher,
    run: &Run<'_>,
    is_found: bool,
    quota: Quota,
    tally: &mut Tally,
    begin: impl FnOnce(&mut O),
    out: &mut O,
) -> Published {
    let Publisher {
        origin,
        memo,
        begun,
    } = publisher;
    let account = &mut core.accounts[origin.account];
    let (sublist, random) = (&mut account.sublist, &mut account.random);
    let (message, scratch) = (run.first(), &mut core.scratch);
    let found = match memo.is_kept() {
        true => memo.sets(),
        false => &scratch.found,
    };
    let is_large = is_found && is_large(found, copy_bytes(message), sublist);
    if !is_found || is_large {
        begin(out);
        let search = match is_found {
            true => sublist.found(found),
            false => sublist.search_on(message.subject()),
        };
        let fanout = Some(Fanout::new(search, origin, message));
        let across = Across::default();
        *begun = Some(Box::new(Begun { fanout, across }));
        return Published::InPieces;
    }
    if found.is_empty() && !trace::is_on() {
        begin(out);
        let messages = run.count().min(quota.messages).min(quota.work).max(1);
        tally.count(messages, 0, messages, message.body_bytes());
        return Published::Taken {
            messages,
            copies: 0,
        };
    }
    let mut delivery = Delivery {
        run,
        from: origin,
        head: &mut scratch.head,
        sublist,
        receivers: &mut core.receivers,
        backpressure: &core.backpressure,
        finished: &mut scratch.finished,
        requests: &mut core.requests,
        out,
        work: 0,
        taken: 0,
    };
    let plan = &mut scratch.plan;
    plan.gather(found, delivery.sublist);
    if delivery.out.any_congested()
        && let Some((receiver, id)) = plan.find_behind(&delivery)
    {
        scratch.behind = Some((origin.account, id));
        return Published::WaitFor(receiver);
    }
    delivery.head.begin(message);
    let messages = plan.together(&mut delivery, quota);
    begin(delivery.out);
    plan.write(messages, &mut delivery, random);
    let (copies, work) = (delivery.taken, delivery.work);
    tally.count(messages, copies, work + messages, message.body_bytes());
    if !scratch.finished.is_empty() {
        let finished = scratch.finished.drain(..);
        tally.work += end(finished, sublist, &mut core.receivers, &mut core.interest);
    }
    let published = Published::Taken { messages, copies };
    match core.requests.crossings.is_empty() {
        true => published,
        false => leave(core, publisher, message, published, tally, out),
    }
}

/// One message was `published` in its account: from there it crosses into others, if it has come to a border.
#[cold]
#[inline(never)]
fn leave<O: Outbox>(
    core: &mut Core,
    publisher: &mut Publisher,
    message: &Publish<'_>,
    published: Published,
    tally: &mut Tally,
    out: &mut O,
) -> Published {
    let Published::Taken { messages, copies } = published else {
        return published;
    };
    if core.requests.crossings.is_empty() {
        return published;
    }
    debug_assert_eq!(messages, 1, "what has no queue gets messages one by one");
    let mut across = Across::default();
    across.note(core);
    across.count(copies);
    let published = across.go_on(core, &publisher.origin, message, Quota::ONE, tally, out);
    if !matches!(published, Published::Taken { .. }) {
        let fanout = None;
        publisher.begun = Some(Box::new(Begun { fanout, across }));
    }
    published
}

/// Whether a message to `subject` may reach somebody in an account. It may also if to know that takes a long search.
#[cold]
pub(crate) fn may_reach(core: &mut Core, account: AccountId, subject: &[u8]) -> bool {
    let (sublist, found) = (&mut core.accounts[account].sublist, &mut core.scratch.found);
    found.clear();
    let is_known = sublist.matches_within(subject, PIECE_PLACES_MAX, found);
    is_known.is_err() || !found.is_empty()
}

/// The sets that `message` reaches; `None` if to find them is too much for one piece.
#[inline(always)]
fn find<'f>(
    message: &Publish<'_>,
    origin: &Origin,
    memo: &'f mut Memo,
    found: &'f mut Vec<SetId>,
    sublist: &mut Sublist,
    tally: &mut Tally,
) -> Option<&'f [SetId]> {
    if memo.is_of(message, origin.account, sublist) {
        tally.work += 1;
        return Some(memo.sets());
    }
    found.clear();
    match sublist.matches_within(message.subject(), PIECE_PLACES_MAX, found) {
        Ok(places) => {
            tally.work += places;
            memo.keep(found, origin.account, sublist);
            Some(found)
        }
        Err(places) => {
            tally.work += places;
            memo.forget();
            None
        }
    }
}

/// Removes the subscriptions that have had their last message; answers what that has cost.
#[cold]
#[inline(never)]
fn end(
    finished: impl IntoIterator<Item = SubId>,
    sublist: &mut Sublist,
    receivers: &mut Slab<Receiver>,
    ledger: &mut Ledger,
) -> usize {
    let mut work = 0;
    for id in finished {
        work += ending(sublist, id);
        let (ended, _) = interest::remove(id, sublist, receivers, ledger);
        let receiver = &receivers[ended.receiver.0 as usize];
        trace::ended(&receiver.label, ended.sid.as_slice());
    }
    work
}

#[cfg(test)]
mod tests;
