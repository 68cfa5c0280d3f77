//! `Guard`: what a receiver does not get of what it has subscribed to, and the replies that it may respond to.
//!
//! Nearly no receiver has one. That costs a message nothing: whether it has is part of the one question that is
//! asked of each receiver in any case ([`Receiver::takes`]).

use super::Core;
use super::filter::Filter;
use super::receiver::Receiver;
use super::replies::{Bounds, Clock, Replies};
use super::revision::Revision;
use super::sublist::{ReceiverId, SubId};
use std::collections::HashMap;

/// What is looked at for each message to a receiver.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// Of subscriptions that do not get all that they have subscribed to.
    filters: HashMap<SubId, Filter, foldhash::fast::RandomState>,
    replies: Option<Replies>,
    /// While its subscriptions are held against other permissions.
    revision: Option<Box<Revision>>,
}

impl Guard {
    /// Whether a message to `subject` may go to a subscription.
    pub(super) fn lets_through(&self, id: SubId, subject: &[u8], is_queued: bool) -> bool {
        let revision = self.revision.as_ref();
        let passes = revision.and_then(|one| one.lets_through(id, subject, is_queued));
        passes.unwrap_or_else(|| {
            let filter = self.filters.get(&id);
            !filter.is_some_and(|filter| filter.denies(subject))
        })
    }

    /// A message with this reply subject is on its way to the receiver.
    pub(super) fn note(&mut self, reply: &[u8]) {
        if let Some(replies) = &mut self.replies {
            replies.note(reply);
        }
    }

    /// The subscriptions that something is kept of: those that do not get all that they have subscribed to, and
    /// those that a revision has seen.
    pub(super) fn known(&self) -> impl Iterator<Item = SubId> {
        let seen = self.revision.iter().flat_map(|one| one.seen());
        self.filters.keys().copied().chain(seen)
    }

    fn is_needed(&self) -> bool {
        self.replies.is_some() || !self.filters.is_empty() || self.revision.is_some()
    }

    fn bound_replies(&mut self, bounds: Option<Bounds>, clock: &Clock) {
        match (&mut self.replies, bounds) {
            (Some(replies), Some(bounds)) => replies.bounds = bounds,
            (replies, bounds) => {
                *replies = bounds.map(|bounds| Replies::new(bounds, clock.clone()));
            }
        }
    }
}

impl Receiver {
    /// What a subscription of it does not get from here on.
    pub(super) fn filter(&mut self, id: SubId, filter: Option<Filter>) {
        if self.guard.is_none() && filter.is_none() {
            return;
        }
        self.guarded(|guard| {
            match filter {
                Some(filter) => _ = guard.filters.insert(id, filter),
                None => _ = guard.filters.remove(&id),
            }
            if let Some(revision) = &mut guard.revision {
                revision.see(id);
            }
        });
    }

    /// A subscription of it has ended.
    pub(super) fn forget(&mut self, id: SubId) {
        if self.guard.is_some() {
            self.guarded(|guard| {
                guard.filters.remove(&id);
                if let Some(revision) = &mut guard.revision {
                    revision.forget(id);
                }
            });
        }
    }

    /// Its subscriptions are held against other permissions from here on, or have been.
    pub(super) fn revise(&mut self, revision: Option<Revision>) {
        if self.guard.is_some() || revision.is_some() {
            self.guarded(|guard| guard.revision = revision.map(Box::new));
        }
    }

    /// Changes the guard, which is made if need be, and kept while it is needed.
    fn guarded(&mut self, change: impl FnOnce(&mut Guard)) {
        let mut guard = self.guard.take().unwrap_or_default();
        change(&mut guard);
        self.guard = guard.is_needed().then_some(guard);
        self.set_kind(self.kind());
    }
}

impl Core {
    /// What a subscription of `id`'s does not get from here on.
    pub(crate) fn filter(&mut self, id: ReceiverId, subscription: SubId, filter: Option<Filter>) {
        self.receiver_mut(id).filter(subscription, filter);
        self.changed();
    }

    /// From here on `id` may respond to what it gets, within these bounds, or not at all.
    pub(crate) fn bound_replies(&mut self, id: ReceiverId, bounds: Option<Bounds>) {
        let receiver = &mut self.receivers[id.0 as usize];
        if receiver.guard.is_some() || bounds.is_some() {
            receiver.guarded(|guard| guard.bound_replies(bounds, &self.clock));
        }
    }

    /// Whether a message to `subject` would be a response of `id`'s that is allowed.
    pub(crate) fn may_respond(&self, id: ReceiverId, subject: &[u8]) -> bool {
        let guard = self.receiver(id).guard.as_ref();
        let replies = guard.and_then(|guard| guard.replies.as_ref());
        replies.is_some_and(|replies| replies.allow(subject))
    }

    /// `id` has published one to `subject`.
    pub(crate) fn respond(&mut self, id: ReceiverId, subject: &[u8]) {
        let guard = self.receiver_mut(id).guard.as_mut();
        if let Some(replies) = guard.and_then(|guard| guard.replies.as_mut()) {
            replies.respond(subject);
        }
    }
}
