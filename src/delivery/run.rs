//! Many messages at once: a run of publishes with one control line goes to one receiver after the
//! other, so that a receiver is looked up, and room is made in its queue, once for all of them.
//!
//! Done only where the outcome is the same to the byte on every connection; everything out of the
//! ordinary, and whatever it takes to find that out, is left to [`publish`](super::publish), which
//! takes messages one by one.

use super::Route;
use crate::outbox::Outbox;
use crate::receiver::{Kind, Receiver, Traffic};
use crate::state::State;
use crate::sublist::{ReceiverId, SetId, SubId, Sublist, Subscription};
use crate::trace;
use midge_protocol::{Publish, Run, Sink};
use midge_reactor::Key;
use slab::Slab;

/// Fewer messages than this are not worth looking at every receiver twice.
const MESSAGES_MIN: usize = 2;

/// What may be spent before it is the others' turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Subscriptions and places in the sublist to look at.
    pub work: usize,
    /// Bytes to queue.
    pub bytes: usize,
}

/// Delivers as many messages of `run` as `allowance` has for, at least one, and answers how many;
/// zero if they must be published one by one, and nothing was done.
#[inline]
pub(crate) fn publish_run<O: Outbox>(
    state: &mut State,
    from: ReceiverId,
    run: &Run<'_>,
    route: &Route,
    allowance: Allowance,
    out: &mut O,
) -> usize {
    if run.count() < MESSAGES_MIN || trace::wanted() {
        return 0;
    }
    if super::must_wait_for(state, from, run.first(), out).is_some() {
        return 0;
    }
    let account = state.receiver(from).account;
    let State {
        accounts,
        receivers,
        scratch,
        ..
    } = state;
    let sublist = &mut accounts[account.0].sublist;
    let Some(found) = route.of_repeated(run.first(), sublist) else {
        return 0;
    };
    scratch.runs += 1;
    let mut targets = Targets {
        run,
        from,
        stamp: scratch.runs,
        receivers,
        ids: &mut scratch.targets,
        looked_at: 0,
    };
    targets.ids.clear();
    let copy_bytes = targets.find(found, sublist);
    scratch.tally.work += targets.looked_at;
    let Some(copy_bytes) = copy_bytes else {
        return 0;
    };
    let takers = targets.ids.len();
    let by_work = allowance.work / (takers + 1);
    let by_bytes = allowance.bytes / (copy_bytes * takers).max(1);
    let count = run.count().min(by_work).min(by_bytes).max(1);
    if !targets.have_room(count * copy_bytes, sublist, out) {
        return 0;
    }
    let run = run.up_to(count);
    let each = Traffic {
        messages: count as u64,
        bytes: (count * run.first().body_bytes()) as u64,
    };
    scratch.tally.received.add(each);
    scratch.tally.work += count * (takers + 1);
    for id in &scratch.targets {
        let subscription = sublist.subscription_mut(*id);
        let receiver = &mut receivers[subscription.receiver.0 as usize];
        if copy(&run, subscription, receiver.key, copy_bytes, out).is_some() {
            subscription.count_many(each.messages);
            receiver.sent.add(each);
            scratch.tally.sent.add(each);
        }
    }
    count
}

/// Whoever gets all messages of a run.
struct Targets<'a, 'b> {
    run: &'a Run<'b>,
    from: ReceiverId,
    /// The number of this run.
    stamp: u64,
    receivers: &'a mut Slab<Receiver>,
    ids: &'a mut Vec<SubId>,
    /// Subscriptions that were looked at.
    looked_at: usize,
}

impl Targets<'_, '_> {
    /// Finds them; answers how long the longest copy is, and `None` if it makes a difference whether
    /// the messages come one by one.
    fn find(&mut self, found: &[SetId], sublist: &mut Sublist) -> Option<usize> {
        let (subject, tail) = self.run.first().hand_on()?;
        let mut sid_bytes_max = 0;
        for set_id in found {
            let (set, subscriptions) = sublist.set(*set_id);
            if !set.groups().is_empty() {
                return None;
            }
            for id in set.plain() {
                self.looked_at += 1;
                let subscription = &subscriptions[id.index()];
                if self.takes(subscription)? {
                    sid_bytes_max = sid_bytes_max.max(subscription.sid.spaced().len());
                    self.ids.push(*id);
                }
            }
        }
        let head_bytes_max = "HMSG ".len() + subject.len() + sid_bytes_max;
        (head_bytes_max <= HEAD_BYTES_MAX).then_some(head_bytes_max + tail.len())
    }

    /// Whether a subscription takes them all, or none.
    fn takes(&mut self, subscription: &Subscription) -> Option<bool> {
        let receiver = &mut self.receivers[subscription.receiver.0 as usize];
        let Kind::Client { headers, echo } = receiver.kind;
        if !echo && subscription.receiver == self.from {
            return Some(false);
        }
        // Two of one receiver's: they take turns message by message.
        let is_second = std::mem::replace(&mut receiver.last_run, self.stamp) == self.stamp;
        let is_framed_alike = headers || !self.run.first().has_header();
        let goes_on = subscription.left() > self.run.count() as u64;
        (!is_second && is_framed_alike && goes_on).then_some(true)
    }

    /// Whether each of them has room for so many bytes, and nobody comes to be waited for.
    fn have_room<O: Outbox>(&self, bytes: usize, sublist: &Sublist, out: &O) -> bool {
        self.ids.iter().all(|id| {
            let receiver = sublist.subscription(*id).receiver;
            out.has_room(self.receivers[receiver.0 as usize].key, bytes)
        })
    }
}

/// Gives one receiver its copies of all messages; `None` if it takes nothing.
fn copy<O: Outbox>(
    run: &Run<'_>,
    subscription: &Subscription,
    to: Key,
    copy_bytes: usize,
    out: &mut O,
) -> Option<()> {
    let head = Head::of(run.first(), subscription)?;
    let mut writer = out.writer(to, run.count() * copy_bytes)?;
    match head.bytes.first_chunk::<32>() {
        Some(block) if head.len <= block.len() => copy_all(run, block, head.len, &mut writer),
        _ => copy_all(run, &head.bytes, head.len, &mut writer),
    }
    Some(())
}

#[inline(always)]
fn copy_all<const N: usize>(run: &Run<'_>, head: &[u8; N], head_len: usize, out: &mut impl Sink) {
    for tail in run.tails() {
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
