//! `Fanout`: one message whose delivery is too much for one piece.
//!
//! To find the sets that a message reaches may take a look at very many places, and to reach them very
//! many copies, or very long ones. Then it goes piece by piece, others have their turn in between, and
//! the op stays unread meanwhile:
//!
//! ```text
//! search ──▶ gather ──▶ plain subscriptions ──▶ queue groups ──▶ over
//! sets       who is in them     a copy each         one each
//! ```
//!
//! Subscriptions come and go meanwhile. Those who were there when the message was first looked at and
//! still are when it comes to them get it, once; younger ones do not. Each receiver is waited for when
//! its copy is due, so that a queue passes its mark by no more than one message here too.

use super::room::Share;
use super::{Assembled, Published, Quota, Room, Scratch, copy_bytes, deliver, end, is_behind};
use crate::core::Core;
use crate::core::backpressure;
use crate::core::interest::{self, Ledger};
use crate::core::outbox::Outbox;
use crate::core::random::Random;
use crate::core::receiver::{Kind, Receiver, Traffic};
use crate::core::sublist::{QueueId, ReceiverId, Search, SetId, SubId, Sublist};
use midge_protocol::Publish;
use midge_reactor::Key;
use slab::Slab;
use std::collections::BTreeSet;

/// Fewest places of the trie that are looked at in one piece.
const PLACES_MIN: usize = 256;

/// What it costs to put one part of a group in order, in places looked at.
const SORTING: usize = 4;

/// Numbers of subscriptions and sets that are copied at the cost of one place looked at.
const COPIED: usize = 32;

/// One that was held so often for receivers that are behind is held for them no more while others wait
/// for the room that it takes.
pub(super) const WAITS_MAX: u32 = 15;

/// One message on its way to very many.
#[derive(Debug)]
pub(crate) struct Fanout {
    search: Search,
    /// Of the sets that were found, those whose subscriptions have been gathered.
    gathered: usize,
    /// Plain subscriptions that were gathered, and how many of them have had their turn.
    takers: Vec<SubId>,
    next: usize,
    /// Parts of groups that were gathered, then in order: those of one group stand together.
    parts: Vec<(QueueId, SetId)>,
    groups: BTreeSet<(QueueId, SetId)>,
    round: Option<Round>,
    taken: usize,
    /// Bytes of the message, as they are counted, and of each copy.
    bytes: usize,
    copy_bytes: usize,
    share: Share,
    /// How often it was held.
    waits: u32,
}

/// A look for a member of one group that takes the message, beginning with one chosen by chance.
#[derive(Debug)]
struct Round {
    queue: QueueId,
    /// All of the group, once the list is whole.
    members: Vec<SubId>,
    is_whole: bool,
    next: usize,
    left: usize,
    /// Whether those who are behind are passed over.
    spares: bool,
    /// One of them, and whether there are others who are not behind and do not take it.
    behind: Option<(Key, SubId)>,
    any_other: bool,
}

impl Round {
    fn of(queue: QueueId) -> Round {
        Round {
            queue,
            members: Vec::new(),
            is_whole: false,
            next: 0,
            left: 0,
            spares: false,
            behind: None,
            any_other: false,
        }
    }

    fn begin_again(&mut self, spares: bool) {
        self.left = self.members.len();
        self.spares = spares;
        (self.behind, self.any_other) = (None, false);
    }
}

impl Fanout {
    /// The delivery of `message` to the sets that `search` finds.
    pub(super) fn new(search: Search, message: &Publish<'_>) -> Fanout {
        Fanout {
            search,
            gathered: 0,
            takers: Vec::new(),
            next: 0,
            parts: Vec::new(),
            groups: BTreeSet::new(),
            round: None,
            taken: 0,
            bytes: message.body_bytes(),
            copy_bytes: copy_bytes(message),
            share: Share::default(),
            waits: 0,
        }
    }

    /// It ends before it is over: what was published, and what of it was delivered.
    pub(crate) fn abandon(mut self, core: &mut Core) -> (Traffic, Traffic) {
        self.share.give_back(&mut core.scratch.room);
        let mut received = Traffic::default();
        received.count(self.bytes);
        (received, self.sent())
    }

    /// What was delivered so far.
    fn sent(&self) -> Traffic {
        Traffic {
            messages: self.taken as u64,
            bytes: (self.taken * self.bytes) as u64,
        }
    }

    /// Goes on with `message`, which is the one that it began with, for as long as `quota` has
    /// something left, and at least a little.
    pub(crate) fn go_on<O: Outbox>(
        &mut self,
        core: &mut Core,
        from: ReceiverId,
        message: &Publish<'_>,
        quota: Quota,
        out: &mut O,
    ) -> Published {
        let account = core.receiver(from).account;
        let Core {
            accounts,
            receivers,
            interest,
            scratch:
                Scratch {
                    tally,
                    room,
                    behind,
                    ..
                },
            random,
            backpressure,
            ..
        } = core;
        let mut world = World {
            message,
            framing: Assembled::of(message),
            from,
            sublist: &mut accounts[account].sublist,
            receivers,
            ledger: interest,
            is_waited_for: &|key, out: &O| is_behind(key, backpressure, out),
            random,
            out,
            work: 0,
            behind: None,
        };
        let taken = self.taken;
        let outcome = loop {
            if let Some(outcome) = self.step(&mut world, room, quota.work) {
                break outcome;
            }
            let produced = (self.taken - taken).saturating_mul(self.copy_bytes);
            if world.work >= quota.work || produced >= quota.bytes {
                break Published::InPieces;
            }
        };
        tally.work += world.work;
        *behind = world.behind.map(|id| (account, id));
        if let Published::Taken(_) = outcome {
            self.share.give_back(room);
            tally.received.count(self.bytes);
            tally.sent.add(self.sent());
        }
        outcome
    }

    /// Does a little; answers what is to be said if it cannot go on from there.
    fn step<O: Outbox>(
        &mut self,
        world: &mut World<'_, O>,
        room: &mut Room,
        work_max: usize,
    ) -> Option<Published> {
        if let Some(id) = self.takers.get(self.next) {
            let id = *id;
            match world.give(&self.search, id, self.may_wait(room)) {
                Given::Taken => self.taken += 1,
                Given::Refused => {}
                Given::Behind(key) => return Some(self.wait_for(key, id, world)),
            }
            self.next += 1;
            return None;
        }
        if !self.has_room(world.sublist, room) {
            return Some(Published::WaitFor(backpressure::room()));
        }
        if !self.search.is_over() {
            let places_max = work_max.saturating_sub(world.work).max(PLACES_MIN);
            let subject = world.message.subject();
            world.work += world.sublist.go_on(&mut self.search, subject, places_max);
        } else if let Some(set) = self.search.found().get(self.gathered) {
            let set = *set;
            self.gathered += 1;
            world.work += self.gather(set, world.sublist);
        } else if let Some(part) = self.parts.pop() {
            self.groups.insert(part);
            world.work += SORTING;
        } else if let Some(round) = self.round.take_if(|round| !round.is_whole) {
            self.go_on_listing(round, world);
        } else if self.round.is_some() {
            return self.ask_the_next(world, room);
        } else if let Some(part) = self.groups.pop_first() {
            self.begin_group(part, world);
        } else {
            return Some(Published::Taken(self.taken));
        }
        None
    }

    /// Whether it may be held for receivers that are behind: not for ever, where others wait for room.
    fn may_wait(&self, room: &Room) -> bool {
        !(self.share.is_some() && room.is_awaited()) || self.waits < WAITS_MAX
    }

    fn wait_for<O>(&mut self, key: Key, id: SubId, world: &mut World<'_, O>) -> Published {
        self.waits += 1;
        world.behind = Some(id);
        Published::WaitFor(key)
    }

    /// Whether it may keep as much as it does, and what the next step adds.
    fn has_room(&mut self, sublist: &Sublist, room: &mut Room) -> bool {
        let set_of = |id: SetId| sublist.set_of(id);
        let more = if !self.search.is_over() {
            0
        } else if let Some(id) = self.search.found().get(self.gathered) {
            set_of(*id).map_or(0, |set| set.plain().len() + set.groups().len())
        } else if let Some((queue, id)) = self.groups.first() {
            let group = set_of(*id).and_then(|set| set.group(*queue));
            group.map_or(0, |group| group.members.len())
        } else {
            0
        };
        let members = self.round.as_ref().map_or(0, |round| round.members.len());
        let lists = self.takers.len() + self.parts.len() + self.groups.len();
        let kept = self.search.retained() + lists + members;
        self.share.grow(kept + more, room)
    }

    /// Notes who is in a set; answers what that has cost.
    fn gather(&mut self, id: SetId, sublist: &Sublist) -> usize {
        let Some(set) = sublist.set_of(id) else {
            return 1;
        };
        self.takers.extend(set.plain());
        let queues = set.groups().iter().map(|group| (group.queue, id));
        self.parts.extend(queues);
        1 + (set.plain().len() + set.groups().len()) / COPIED
    }

    /// Offers the message to a member by chance, or begins a list of all.
    fn begin_group<O: Outbox>(&mut self, part: (QueueId, SetId), world: &mut World<'_, O>) {
        let (queue, set) = part;
        world.work += 1;
        if !self.has_part_of(queue) && !world.out.any_congested() {
            let Some(group) = world.sublist.set_of(set).and_then(|set| set.group(queue)) else {
                return;
            };
            let id = group.members[world.random.below(group.members.len())];
            if world.give(&self.search, id, false) == Given::Taken {
                self.taken += 1;
                return;
            }
        }
        let mut round = Round::of(queue);
        add_members(&mut round, set, world);
        self.round = Some(round);
    }

    /// Whether the next part is of this group.
    fn has_part_of(&self, queue: QueueId) -> bool {
        self.groups.first().is_some_and(|(next, _)| *next == queue)
    }

    /// Goes on with the list of the present group's members; once it is whole, the look for one of them
    /// begins.
    fn go_on_listing<O: Outbox>(&mut self, mut round: Round, world: &mut World<'_, O>) {
        if self.has_part_of(round.queue)
            && let Some((_, set)) = self.groups.pop_first()
        {
            add_members(&mut round, set, world);
        } else if round.members.is_empty() {
            return;
        } else {
            round.is_whole = true;
            round.next = world.random.below(round.members.len());
            round.begin_again(world.out.any_congested());
        }
        self.round = Some(round);
    }

    /// Offers the message to the next member of the present group.
    fn ask_the_next<O: Outbox>(
        &mut self,
        world: &mut World<'_, O>,
        room: &Room,
    ) -> Option<Published> {
        let may_wait = self.may_wait(room);
        let round = self.round.as_mut()?;
        if round.left == 0 {
            if !round.spares {
                // None takes it.
                self.round = None;
                return None;
            }
            let behind = round.behind.filter(|_| !round.any_other && may_wait);
            round.begin_again(behind.is_some());
            return behind.map(|(key, id)| self.wait_for(key, id, world));
        }
        let id = round.members[round.next];
        round.next = (round.next + 1) % round.members.len();
        round.left -= 1;
        if round.spares
            && let Some(key) = world.congested(&self.search, id)
        {
            world.work += 1;
            if (world.is_waited_for)(key, world.out) {
                round.behind = Some((key, id));
            } else {
                round.any_other = true;
            }
            return None;
        }
        let is_there = world.is_there(&self.search, id);
        match world.give(&self.search, id, false) {
            Given::Taken => {
                self.taken += 1;
                self.round = None;
            }
            _ if !is_there => {}
            Given::Refused | Given::Behind(_) => round.any_other = true,
        }
        None
    }
}

/// Puts the members that a group has in one set on its list.
fn add_members<O>(round: &mut Round, set: SetId, world: &mut World<'_, O>) {
    let group = world.sublist.set_of(set);
    if let Some(group) = group.and_then(|set| set.group(round.queue)) {
        round.members.extend(&group.members);
        world.work += group.members.len() / COPIED;
    }
    world.work += 1;
}

/// What became of a copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Given {
    Taken,
    Refused,
    /// Nothing was done: the receiver is to be waited for.
    Behind(Key),
}

/// What a piece works on.
struct World<'a, O> {
    message: &'a Publish<'a>,
    framing: Option<Assembled<'a>>,
    from: ReceiverId,
    sublist: &'a mut Sublist,
    receivers: &'a mut Slab<Receiver>,
    ledger: &'a mut Ledger,
    is_waited_for: &'a dyn Fn(Key, &O) -> bool,
    random: &'a mut Random,
    out: &'a mut O,
    work: usize,
    /// The subscription by which somebody is fed who is to be waited for.
    behind: Option<SubId>,
}

impl<O: Outbox> World<'_, O> {
    /// Gives one subscription its copy, if it was there when the search began.
    fn give(&mut self, search: &Search, id: SubId, waits: bool) -> Given {
        self.work += 1;
        if !self.sublist.was_there(id, search.moment()) {
            return Given::Refused;
        }
        if waits
            && let Some(key) = self.congested(search, id)
            && (self.is_waited_for)(key, self.out)
        {
            return Given::Behind(key);
        }
        let subscription = self.sublist.subscription_mut(id);
        let framing = self.framing.as_ref();
        let (message, from) = (self.message, self.from);
        if !deliver(
            message,
            framing,
            from,
            subscription,
            self.receivers,
            self.out,
        ) {
            if self.receivers[subscription.receiver.0 as usize].is_clearing {
                // It may take long until it is removed, and the next message need not come to it.
                interest::detach(id, self.sublist, self.receivers, self.ledger);
            }
            return Given::Refused;
        }
        if subscription.count() {
            self.work += ending(self.sublist, id);
            end([id], self.sublist, self.receivers, self.ledger);
        }
        Given::Taken
    }

    /// Whether a subscription was there when the search began, and its receiver is still.
    fn is_there(&self, search: &Search, id: SubId) -> bool {
        self.sublist.was_there(id, search.moment()) && {
            let receiver = self.sublist.subscription(id).receiver;
            !self.receivers[receiver.0 as usize].is_clearing
        }
    }

    /// The receiver of a subscription, if it would get the message and is congested.
    fn congested(&self, search: &Search, id: SubId) -> Option<Key> {
        if !self.out.any_congested() || !self.sublist.was_there(id, search.moment()) {
            return None;
        }
        let subscription = self.sublist.subscription(id);
        let receiver = &self.receivers[subscription.receiver.0 as usize];
        let Kind::Client { echo, .. } = receiver.kind;
        let gets_it = !receiver.is_clearing && (echo || subscription.receiver != self.from);
        (gets_it && !subscription.finished() && self.out.is_congested(receiver.key))
            .then_some(receiver.key)
    }
}

/// What it costs to end a subscription.
pub(crate) fn ending(sublist: &Sublist, id: SubId) -> usize {
    super::subscribing(sublist.subject(id))
}
