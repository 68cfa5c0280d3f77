//! Many messages at once: a run of publishes with one control line goes to one receiver after the
//! other, so that a receiver is looked up, and room is made in its queue, once for all of them.
//!
//! Done only where nobody can tell: each connection gets the same bytes, and each member of a queue
//! group the same share by chance. Everything out of the ordinary, and whatever it takes to find that out, is left to [`publish`](super::publish), which
//! takes messages one by one.

use super::{Memo, Tally, copy_bytes, is_behind, is_large};
use crate::core::Core;
use crate::core::backpressure::Backpressure;
use crate::core::outbox::Outbox;
use crate::core::random::Random;
use crate::core::receiver::{Kind, Receiver, Traffic};
use crate::core::sublist::{ReceiverId, SetId, SubId, Sublist, Subscription};
use crate::core::trace;
use midge_protocol::{Piece, Publish, Run, Sink};
use midge_reactor::Key;
use slab::Slab;
use std::ops::Range;

/// Fewer messages than this are not worth looking at every receiver twice.
const MESSAGES_MIN: usize = 2;

/// Most bytes made for one receiver at once, so that a queue goes on in blocks of the usual size.
const RECEIVER_BYTES_MAX: usize = 128 * 1024;

/// What may be spent before it is the others' turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    /// Subscriptions and places in the sublist to look at.
    pub work: usize,
    /// Bytes to queue.
    pub bytes: usize,
}

/// Vectors used again for each run.
#[derive(Debug, Default)]
pub(super) struct RunScratch {
    /// Runs so far.
    count: u64,
    /// Those who get all messages, then the members of the groups.
    takers: Vec<SubId>,
    /// Where the members of each group stand among them.
    groups: Vec<Range<usize>>,
    draws: Vec<Draw>,
}

/// Who of a group gets which message: the place among the members, then that of the message.
type Draw = (u32, u32);

/// Delivers as many messages of `run` as `quota` has for, at least one, and answers how many;
/// zero if they must be published one by one, and nothing was done.
#[inline]
pub(crate) fn publish_run<O: Outbox>(
    core: &mut Core,
    from: ReceiverId,
    run: &Run<'_>,
    memo: &Memo,
    quota: Quota,
    out: &mut O,
) -> usize {
    if run.count() < MESSAGES_MIN || trace::wanted() {
        return 0;
    }
    let account = core.receiver(from).account;
    let Core {
        accounts,
        receivers,
        scratch,
        random,
        backpressure,
        ..
    } = core;
    let sublist = &mut accounts[account].sublist;
    let Some(found) = memo.of_repeated(run.first(), sublist) else {
        return 0;
    };
    if is_large(found, copy_bytes(run.first()), sublist) {
        return 0;
    }
    let tally = &mut scratch.tally;
    let RunScratch {
        count: runs,
        takers,
        groups,
        draws,
    } = &mut scratch.run;
    *runs += 1;
    takers.clear();
    groups.clear();
    let mut targets = Targets {
        run,
        from,
        stamp: *runs,
        receivers,
        takers,
        groups,
        sid_bytes_max: 0,
        nobody_is_congested: !out.any_congested(),
        looked_at: 0,
        looked_at_max: quota.work,
    };
    let everybody = targets.find(found, sublist);
    tally.work += targets.looked_at;
    let Some((everybody, copy_bytes)) = everybody else {
        return 0;
    };
    let copies = everybody + targets.groups.len();
    let by_work = quota.work.saturating_sub(targets.looked_at) / (copies + 1);
    let by_bytes = quota.bytes / (copy_bytes * copies).max(1);
    let by_receiver = RECEIVER_BYTES_MAX / copy_bytes;
    let count = run.count().min(by_work).min(by_bytes).min(by_receiver);
    let count = count.max(1);
    if !targets.have_room(count * copy_bytes, sublist, backpressure, out) {
        return 0;
    }
    let run = run.up_to(count);
    tally.work += count * (copies + 1);
    tally.received.add(traffic_of(&run, count));
    let mut delivery = Delivery {
        run: &run,
        sublist,
        receivers,
        tally,
        out,
    };
    for id in &takers[..everybody] {
        delivery.give(*id, count, run.tails());
    }
    for group in groups {
        let members = &takers[group.clone()];
        draw(draws, members.len(), count, random);
        for share in draws.chunk_by(|one, other| one.0 == other.0) {
            let tails = share.iter().map(|(_, place)| run.tail(*place as usize));
            delivery.give(members[share[0].0 as usize], share.len(), tails);
        }
    }
    count
}

fn traffic_of(run: &Run<'_>, count: usize) -> Traffic {
    Traffic {
        messages: count as u64,
        bytes: (count * run.first().body_bytes()) as u64,
    }
}

/// Chooses a member for each of `count` messages, evenly. What one member gets stands together, in
/// order.
fn draw(draws: &mut Vec<Draw>, members: usize, count: usize, random: &mut Random) {
    draws.clear();
    draws.extend((0..count as u32).map(|place| (random.below(members) as u32, place)));
    draws.sort_unstable();
}

/// Whoever gets messages of a run.
struct Targets<'a, 'b> {
    run: &'a Run<'b>,
    from: ReceiverId,
    /// The number of this run.
    stamp: u64,
    receivers: &'a mut Slab<Receiver>,
    takers: &'a mut Vec<SubId>,
    groups: &'a mut Vec<Range<usize>>,
    sid_bytes_max: usize,
    nobody_is_congested: bool,
    /// Subscriptions that were looked at, and how many may be.
    looked_at: usize,
    looked_at_max: usize,
}

impl Targets<'_, '_> {
    /// Finds them; answers how many get all messages and how long the longest copy is, and `None` if
    /// it makes a difference whether the messages come one by one.
    fn find(&mut self, found: &[SetId], sublist: &mut Sublist) -> Option<(usize, usize)> {
        let (subject, tail) = self.run.first().hand_on()?;
        for set_id in found {
            let (set, subscriptions) = sublist.set(*set_id);
            for id in set.plain() {
                self.add(*id, &subscriptions[id.index()])?;
            }
        }
        let everybody = self.takers.len();
        for set_id in found {
            let (set, subscriptions) = sublist.set(*set_id);
            for group in set.groups() {
                // A group may have members in other sets, and spares those who are behind.
                let is_simple = found.len() == 1 && self.nobody_is_congested;
                // It pays only if the members are not more than the messages.
                if !is_simple || group.members.len() > self.run.count() {
                    return None;
                }
                let start = self.takers.len();
                for id in &group.members {
                    self.add(*id, &subscriptions[id.index()])?;
                }
                let end = self.takers.len();
                if end - start < group.members.len() {
                    return None;
                }
                self.groups.push(start..end);
            }
        }
        let head_bytes_max = "HMSG ".len() + subject.len() + self.sid_bytes_max;
        let copy_bytes = head_bytes_max + tail.len();
        (head_bytes_max <= HEAD_BYTES_MAX).then_some((everybody, copy_bytes))
    }

    /// Adds one that takes all messages it is given; not one that takes none.
    fn add(&mut self, id: SubId, subscription: &Subscription) -> Option<()> {
        self.looked_at += 1;
        if self.looked_at > self.looked_at_max {
            return None;
        }
        let receiver = &mut self.receivers[subscription.receiver.0 as usize];
        // What is left of one that has gone takes nothing. A group with such a member is looked at anew
        // for each message.
        if receiver.is_clearing {
            return Some(());
        }
        let Kind::Client { headers, echo } = receiver.kind;
        if !echo && subscription.receiver == self.from {
            return Some(());
        }
        // Two of one receiver's: they take turns message by message.
        let is_second = std::mem::replace(&mut receiver.last_run, self.stamp) == self.stamp;
        let is_framed_alike = headers || !self.run.first().has_header();
        let goes_on = subscription.left() > self.run.count() as u64;
        if is_second || !is_framed_alike || !goes_on {
            return None;
        }
        self.sid_bytes_max = self.sid_bytes_max.max(subscription.sid.spaced().len());
        self.takers.push(id);
        Some(())
    }

    /// Whether each of them has room for so many bytes, and nobody is or comes to be waited for.
    fn have_room<O: Outbox>(
        &self,
        bytes: usize,
        sublist: &Sublist,
        backpressure: &Backpressure,
        out: &O,
    ) -> bool {
        self.takers.iter().all(|id| {
            let receiver = sublist.subscription(*id).receiver;
            let key = self.receivers[receiver.0 as usize].key;
            out.has_room(key, bytes)
                && (self.nobody_is_congested || !is_behind(key, backpressure, out))
        })
    }
}

/// A run on its way to its receivers.
struct Delivery<'a, O> {
    run: &'a Run<'a>,
    sublist: &'a mut Sublist,
    receivers: &'a mut Slab<Receiver>,
    tally: &'a mut Tally,
    out: &'a mut O,
}

impl<O: Outbox> Delivery<'_, O> {
    /// Gives one subscription `count` messages, of which these are the tails.
    ///
    /// Not inlined: of its own, the loop in it has all registers, whatever is around it.
    #[inline(never)]
    fn give<'b>(&mut self, id: SubId, count: usize, tails: impl Iterator<Item = Piece<'b>>) {
        let subscription = self.sublist.subscription_mut(id);
        let receiver = &mut self.receivers[subscription.receiver.0 as usize];
        let message = self.run.first();
        let taken = copy(message, subscription, count, tails, receiver.key, self.out);
        debug_assert!(taken.is_some(), "it has room");
        if taken.is_some() {
            let traffic = traffic_of(self.run, count);
            subscription.count_many(traffic.messages);
            receiver.sent.add(traffic);
            self.tally.sent.add(traffic);
        }
    }
}

/// Queues `count` messages with one beginning and these tails; `None` if the receiver takes nothing.
#[inline(always)]
fn copy<'a, O: Outbox>(
    message: &Publish<'_>,
    subscription: &Subscription,
    count: usize,
    tails: impl Iterator<Item = Piece<'a>>,
    to: Key,
    out: &mut O,
) -> Option<()> {
    let head = Head::of(message, subscription)?;
    let tail_bytes = message.tail()?.len();
    let mut writer = out.writer(to, count * (head.len + tail_bytes))?;
    match head.bytes.first_chunk::<32>() {
        Some(block) if head.len <= block.len() => copy_all(block, head.len, tails, &mut writer),
        _ => copy_all(&head.bytes, head.len, tails, &mut writer),
    }
    Some(())
}

#[inline(always)]
fn copy_all<'a, const N: usize>(
    head: &[u8; N],
    head_len: usize,
    tails: impl Iterator<Item = Piece<'a>>,
    out: &mut impl Sink,
) {
    for tail in tails {
        out.put_block(head, head_len);
        tail.put(out);
    }
}

/// Longest that is put together; with longer subjects messages go one by one.
const HEAD_BYTES_MAX: usize = 64;

/// What all copies for one subscription begin with: `MSG <subject> <sid> `.
struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    len: usize,
}

impl Head {
    /// `None` if it is too long.
    fn of(message: &Publish<'_>, subscription: &Subscription) -> Option<Head> {
        let name = if message.has_header() {
            "HMSG "
        } else {
            "MSG "
        };
        let parts = [
            name.as_bytes(),
            message.subject(),
            b" ",
            subscription.sid.spaced(),
        ];
        let mut head = Head {
            bytes: [0; HEAD_BYTES_MAX],
            len: 0,
        };
        for part in parts {
            let end = head.len + part.len();
            head.bytes.get_mut(head.len..end)?.copy_from_slice(part);
            head.len = end;
        }
        Some(head)
    }
}

#[cfg(test)]
mod tests;
