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
use super::write::Delivery;
use super::{Published, Quota, Room, Scratch, Tally, copy_bytes, end};
use crate::core::Core;
use crate::core::backpressure;
use crate::core::interest::{self, Ledger};
use crate::core::origin::Origin;
use crate::core::outbox::Outbox;
use crate::core::random::Random;
use crate::core::sublist::{QueueId, Search, SetId, SubId, Sublist};
use midge_protocol::{Publish, Run};
use midge_reactor::Key;
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
pub(super) struct Fanout {
    from: Origin,
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
    pub(super) fn new(search: Search, from: &Origin, message: &Publish<'_>) -> Fanout {
        Fanout {
            from: *from,
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

    /// It ends before it is over: counts what was published, and what of it was delivered.
    pub(super) fn abandon(mut self, room: &mut Room, tally: &mut Tally) {
        self.share.give_back(room);
        tally.count(1, self.taken, 0, self.bytes);
    }

    /// Goes on with `message`, which is the one that it began with, for as long as `quota` has
    /// something left, and at least a little.
    pub(super) fn go_on<O: Outbox>(
        &mut self,
        core: &mut Core,
        message: &Publish<'_>,
        quota: Quota,
        tally: &mut Tally,
        out: &mut O,
    ) -> Published {
        let Core {
            accounts,
            receivers,
            interest,
            scratch:
                Scratch {
                    head,
                    finished,
                    room,
                    behind,
                    ..
                },
            backpressure,
            requests,
            ..
        } = core;
        head.begin(message);
        let from = self.from;
        let account = &mut accounts[from.account];
        let mut world = World {
            delivery: Delivery {
                run: &Run::from(*message),
                from: &from,
                head,
                sublist: &mut account.sublist,
                receivers,
                backpressure,
                finished,
                requests,
                out,
                work: 0,
                taken: 0,
            },
            ledger: interest,
            random: &mut account.random,
            behind: None,
        };
        let mut outcome = loop {
            if let Some(outcome) = self.step(&mut world, room, quota.work) {
                break outcome;
            }
            let Delivery { work, taken, .. } = world.delivery;
            if work >= quota.work || taken.saturating_mul(self.copy_bytes) >= quota.bytes {
                break Published::InPieces;
            }
        };
        tally.work += world.delivery.work;
        self.taken += world.delivery.taken;
        *behind = world.behind.map(|id| (from.account, id));
        if let Published::Taken { copies, .. } = &mut outcome {
            *copies = self.taken;
            self.share.give_back(room);
            tally.count(1, self.taken, 0, self.bytes);
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
            if let Given::Behind(key) = world.give(&self.search, id, self.may_wait(room)) {
                return Some(self.wait_for(key, id, world));
            }
            self.next += 1;
            return None;
        }
        if !self.has_room(world.delivery.sublist, room) {
            return Some(Published::WaitFor(backpressure::room()));
        }
        if !self.search.is_over() {
            let places_max = work_max.saturating_sub(world.delivery.work).max(PLACES_MIN);
            let subject = world.delivery.run.first().subject();
            world.delivery.work +=
                world
                    .delivery
                    .sublist
                    .go_on(&mut self.search, subject, places_max);
        } else if let Some(set) = self.search.found().get(self.gathered) {
            let set = *set;
            self.gathered += 1;
            world.delivery.work += self.gather(set, world.delivery.sublist);
        } else if let Some(part) = self.parts.pop() {
            self.groups.insert(part);
            world.delivery.work += SORTING;
        } else if let Some(round) = self.round.take_if(|round| !round.is_whole) {
            self.go_on_listing(round, world);
        } else if self.round.is_some() {
            return self.ask_the_next(world, room);
        } else if let Some(part) = self.groups.pop_first() {
            self.begin_group(part, world);
        } else {
            return Some(Published::Taken {
                messages: 1,
                copies: 0,
            });
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
        world.delivery.work += 1;
        if !self.has_part_of(queue) && !world.delivery.out.any_congested() {
            let Some(group) = world
                .delivery
                .sublist
                .set_of(set)
                .and_then(|set| set.group(queue))
            else {
                return;
            };
            let id = group.members[world.random.below(group.members.len())];
            if world.give(&self.search, id, false) == Given::Taken {
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
            round.begin_again(world.delivery.out.any_congested());
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
            world.delivery.work += 1;
            if world.delivery.waits_for(key) {
                round.behind = Some((key, id));
            } else {
                round.any_other = true;
            }
            return None;
        }
        let is_there = world.is_there(&self.search, id);
        match world.give(&self.search, id, false) {
            Given::Taken => self.round = None,
            _ if !is_there => {}
            Given::Refused | Given::Behind(_) => round.any_other = true,
        }
        None
    }
}

/// Puts the members that a group has in one set on its list.
fn add_members<O>(round: &mut Round, set: SetId, world: &mut World<'_, O>) {
    let group = world.delivery.sublist.set_of(set);
    if let Some(group) = group.and_then(|set| set.group(round.queue)) {
        round.members.extend(&group.members);
        world.delivery.work += group.members.len() / COPIED;
    }
    world.delivery.work += 1;
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
    delivery: Delivery<'a, O>,
    ledger: &'a mut Ledger,
    random: &'a mut Random,
    /// The subscription that feeds the receiver which is to be waited for.
    behind: Option<SubId>,
}

impl<O: Outbox> World<'_, O> {
    /// Gives one subscription its copy, if it was there when the search began.
    fn give(&mut self, search: &Search, id: SubId, waits: bool) -> Given {
        let delivery = &mut self.delivery;
        if !delivery.sublist.was_there(id, search.moment()) {
            delivery.work += 1;
            return Given::Refused;
        }
        if waits
            && delivery.out.any_congested()
            && let Some(key) = delivery.to_be_waited_for(id)
        {
            return Given::Behind(key);
        }
        if !delivery.give_first(id) {
            if delivery.has_gone(id) {
                // It may take long until it is removed, and the next message need not come to it.
                interest::detach(id, delivery.sublist, delivery.receivers, self.ledger);
            }
            return Given::Refused;
        }
        if !delivery.finished.is_empty() {
            let finished = delivery.finished.drain(..);
            delivery.work += end(finished, delivery.sublist, delivery.receivers, self.ledger);
        }
        Given::Taken
    }

    /// Whether a subscription was there when the search began, and its receiver is still.
    fn is_there(&self, search: &Search, id: SubId) -> bool {
        self.delivery.sublist.was_there(id, search.moment()) && !self.delivery.has_gone(id)
    }

    /// The receiver of a subscription, if it would get the message and is congested.
    fn congested(&self, search: &Search, id: SubId) -> Option<Key> {
        let delivery = &self.delivery;
        let was_there = delivery.sublist.was_there(id, search.moment());
        (delivery.out.any_congested() && was_there)
            .then(|| delivery.congested(id))
            .flatten()
    }
}
