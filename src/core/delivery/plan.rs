//! `Plan`: who gets the messages of a run.
//!
//! ```text
//! sets ──▶ gather ──▶ find_behind ──▶ together ──▶ write
//!          who is     only while      how many     `count` messages to one
//!          in them    some queue is   at once      receiver after the other
//!                     congested
//! ```
//!
//! A run of one is planned and written as any other. Of more, as many go together as no client can tell
//! from one by one: each connection gets the same bytes, and each member of a queue group the same share by
//! chance. Then each receiver is looked at, and room is made in its queue, once for all of them. Where
//! anything is out of the ordinary, the first message goes alone.

use super::Quota;
use super::write::Delivery;
use crate::core::outbox::Outbox;
use crate::core::random::Random;
use crate::core::sublist::{QueueId, SetId, SubId, Sublist};
use crate::core::trace;
use midge_reactor::Key;
use std::ops::Range;

/// Most bytes made for one receiver at once, so that a queue goes on in blocks of the usual size.
const RECEIVER_BYTES_MAX: usize = 128 * 1024;

/// The part of a queue group that subscribed to one subject: queue, set, and place in the set.
type Part = (QueueId, SetId, u32);

/// Who of a group gets which message: the place among the members, then that of the message.
type Draw = (u32, u32);

/// Who gets the messages of a run. Used again for each.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Runs of several so far.
    runs: u64,
    /// Those that get each message, then the members of the groups that messages are drawn for.
    takers: Vec<SubId>,
    plain: usize,
    /// The groups reached. Sorted, so that the parts of one group stand together.
    parts: Vec<Part>,
    /// Where the members of each group stand among the takers, if messages go together.
    drawn: Vec<Range<usize>>,
    draws: Vec<Draw>,
}

/// What a subscription is to messages that go together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Taker {
    /// It takes all.
    All,
    /// It takes none, as it would one by one.
    None,
    /// It makes a difference whether they come one by one.
    Odd,
}

impl Plan {
    /// Gathers who is in the sets.
    #[inline]
    pub(super) fn gather(&mut self, found: &[SetId], sublist: &mut Sublist) {
        self.takers.clear();
        self.parts.clear();
        self.drawn.clear();
        for set_id in found {
            let (set, _) = sublist.set(*set_id);
            self.takers.extend_from_slice(set.plain());
            if !set.groups().is_empty() {
                let reached = (0..).zip(set.groups());
                let parts = reached.map(|(place, group)| (group.queue, *set_id, place));
                self.parts.extend(parts);
            }
        }
        self.plain = self.takers.len();
        if self.parts.len() > 1 {
            self.parts.sort_unstable_by_key(|(queue, ..)| *queue);
        }
    }

    /// A receiver for which the publisher is to wait, and the subscription by which it is fed. Of a queue
    /// group, only if all its members are such.
    #[inline(never)]
    pub(super) fn find_behind<O: Outbox>(
        &self,
        delivery: &Delivery<'_, O>,
    ) -> Option<(Key, SubId)> {
        let behind = |id: &SubId| Some((delivery.to_be_waited_for(*id)?, *id));
        let all_behind = |parts: &[Part]| {
            let members = parts
                .iter()
                .flat_map(|part| members(part, delivery.sublist));
            let mut present = members.filter(|id| !delivery.has_gone(**id));
            present.try_fold(None, |_, member| behind(member).map(Some))?
        };
        let plain = self.takers.iter().find_map(behind);
        plain.or_else(|| self.groups().find_map(all_behind))
    }

    /// How many messages of the run go together, as far as `quota` goes: one at least.
    pub(super) fn together<O: Outbox>(
        &mut self,
        delivery: &mut Delivery<'_, O>,
        quota: Quota,
    ) -> usize {
        let messages_max = delivery.run.count().min(quota.messages);
        if messages_max <= 1 || trace::is_on() {
            return 1;
        }
        let count = self.find_together(messages_max, delivery, quota);
        if count.is_none() {
            self.takers.truncate(self.plain);
            self.drawn.clear();
        }
        count.unwrap_or(1)
    }

    /// `None` if it makes a difference whether they come one by one.
    fn find_together<O: Outbox>(
        &mut self,
        messages_max: usize,
        delivery: &mut Delivery<'_, O>,
        quota: Quota,
    ) -> Option<usize> {
        let grouped = self.parts.iter();
        let grouped = grouped.map(|part| members(part, delivery.sublist).len());
        let looks = self.takers.len() + grouped.sum::<usize>();
        if looks > quota.work {
            return None;
        }
        delivery.work += looks;
        self.runs += 1;
        let mut look = Look {
            run: self.runs,
            messages_max,
            sid_bytes_max: 0,
        };
        let mut is_odd = false;
        self.takers.retain(|id| {
            let taker = if is_odd {
                Taker::Odd
            } else {
                look.at(*id, delivery)
            };
            is_odd |= taker == Taker::Odd;
            taker != Taker::None
        });
        self.plain = self.takers.len();
        if is_odd {
            return None;
        }
        let is_simple = self.parts_are_groups() && !delivery.out.any_congested();
        for place in 0..self.parts.len() {
            // A group may have members in other sets, and spares those who are behind. To look at more
            // members than there are messages does not pay.
            let members = members(&self.parts[place], delivery.sublist);
            if !is_simple || members.len() > messages_max {
                return None;
            }
            let start = self.takers.len();
            self.takers.extend_from_slice(members);
            let group = start..self.takers.len();
            let are_all = self.takers[group.clone()]
                .iter()
                .all(|id| look.at(*id, delivery) == Taker::All);
            if !are_all {
                return None;
            }
            self.drawn.push(group);
        }
        let head_bytes = delivery.head.len_with(look.sid_bytes_max)?;
        let copy_bytes = head_bytes + delivery.run.first().tail()?.len();
        let copies = self.plain + self.drawn.len();
        let by_work = (quota.work - looks) / (copies + 1);
        let by_bytes = quota.bytes / (copy_bytes * copies).max(1);
        let by_receiver = RECEIVER_BYTES_MAX / copy_bytes;
        let count = messages_max
            .min(by_work)
            .min(by_bytes)
            .min(by_receiver)
            .max(1);
        let have_room = self.takers.iter().all(|id| {
            let receiver = delivery.sublist.subscription(*id).receiver;
            let key = delivery.receivers[receiver.0 as usize].key;
            delivery.out.has_room(key, count * copy_bytes)
        });
        have_room.then_some(count)
    }

    /// Writes the first `count` messages, which go together.
    #[inline]
    pub(super) fn write<O: Outbox>(
        &mut self,
        count: usize,
        delivery: &mut Delivery<'_, O>,
        random: &mut Random,
    ) {
        let plain = &self.takers[..self.plain];
        if count > 1 {
            let run = delivery.run.up_to(count);
            plain.iter().for_each(|id| {
                delivery.take(*id);
                delivery.give_many(*id, count, run.tails());
            });
        } else {
            plain.iter().for_each(|id| _ = delivery.give_first(*id));
        }
        if self.drawn.is_empty() {
            for parts in self.groups() {
                give_to_one(parts, delivery, random);
            }
            return;
        }
        for group in &self.drawn {
            let members = &self.takers[group.clone()];
            draw(&mut self.draws, members.len(), count, random);
            for share in self.draws.chunk_by(|one, other| one.0 == other.0) {
                let run = delivery.run;
                let tails = share.iter().map(|(_, place)| run.tail(*place as usize));
                let id = members[share[0].0 as usize];
                delivery.take(id);
                delivery.give_many(id, share.len(), tails);
            }
        }
    }

    /// The groups reached, each by its parts.
    fn groups(&self) -> impl Iterator<Item = &[Part]> {
        self.parts.chunk_by(|(one, ..), (other, ..)| one == other)
    }

    /// Whether no group has more than one part.
    fn parts_are_groups(&self) -> bool {
        self.parts.windows(2).all(|pair| pair[0].0 != pair[1].0)
    }
}

/// The members of a part of a group.
fn members<'a>((_, set, group): &Part, sublist: &'a Sublist) -> &'a [SubId] {
    let set = sublist.set_of(*set);
    set.map_or(&[], |set| &set.groups()[*group as usize].members)
}

/// A look at each taker of messages that go together.
struct Look {
    /// The number of the run.
    run: u64,
    messages_max: usize,
    /// Of those that were looked at, with the blank.
    sid_bytes_max: usize,
}

impl Look {
    fn at<O: Outbox>(&mut self, id: SubId, delivery: &mut Delivery<'_, O>) -> Taker {
        let subscription = delivery.sublist.subscription(id);
        let receiver = &mut delivery.receivers[subscription.receiver.0 as usize];
        // What is left of one that has gone takes nothing. A group with such a member is looked at anew
        // for each message.
        let message = delivery.run.first();
        if receiver.is_clearing || !receiver.takes(subscription, id, delivery.from, message) {
            return Taker::None;
        }
        // Two of one receiver's: they take turns message by message.
        let is_second = std::mem::replace(&mut receiver.last_run, self.run) == self.run;
        let is_framed_alike = receiver.takes_headers() || !message.has_header();
        let goes_on = subscription.left() > self.messages_max as u64;
        if is_second || !is_framed_alike || !goes_on {
            return Taker::Odd;
        }
        self.sid_bytes_max = self.sid_bytes_max.max(subscription.sid.spaced().len());
        Taker::All
    }
}

/// Chooses a member for each of `count` messages, evenly. What one member gets stands together, in
/// order.
fn draw(draws: &mut Vec<Draw>, members: usize, count: usize, random: &mut Random) {
    draws.clear();
    draws.extend((0..count as u32).map(|place| (random.below(members) as u32, place)));
    draws.sort_unstable();
}

/// Gives one queue group its copy of the first message. The choice falls evenly among those that keep up;
/// who cannot take it passes it on to the next.
fn give_to_one<O: Outbox>(parts: &[Part], delivery: &mut Delivery<'_, O>, random: &mut Random) {
    if let [part] = parts
        && !delivery.out.any_congested()
    {
        // As it mostly is: one set, and no queue is congested.
        let members = members(part, delivery.sublist);
        let id = members[random.below(members.len())];
        if delivery.give_first(id) {
            return;
        }
    }
    let len_of = |sublist: &Sublist, part: usize| members(&parts[part], sublist).len();
    let count = (0..parts.len())
        .map(|part| len_of(delivery.sublist, part))
        .sum();
    let (mut first_part, mut first_place) = (0, random.below(count));
    while first_place >= len_of(delivery.sublist, first_part) {
        first_place -= len_of(delivery.sublist, first_part);
        first_part += 1;
    }
    let rounds: &[bool] = match delivery.out.any_congested() {
        true => &[true, false],
        false => &[false],
    };
    for &spares_the_congested in rounds {
        // Once round, from the first place on and back to the place before it.
        let (mut part, mut place) = (first_part, first_place);
        for _ in 0..count {
            if place == len_of(delivery.sublist, part) {
                (part, place) = ((part + 1) % parts.len(), 0);
            }
            let id = members(&parts[part], delivery.sublist)[place];
            place += 1;
            if spares_the_congested && delivery.congested(id).is_some() {
                delivery.work += 1;
            } else if delivery.give_first(id) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
