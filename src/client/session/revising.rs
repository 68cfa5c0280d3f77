//! A client that may do other things now: its subscriptions are held against that, in pieces.

use super::Session;
use crate::client::denied;
use crate::core::delivery;
use crate::core::outbox::Outbox;
use crate::core::sublist::SubId;
use crate::state::State;
use midge_protocol::Violation;

/// Subscriptions that the log names, of those that are taken away.
const NAMED_MAX: usize = 3;

/// What is left to be looked at.
#[derive(Debug)]
pub(super) struct Revising {
    left: std::vec::IntoIter<SubId>,
    /// Subscriptions that were taken away, and the first of them.
    removed: usize,
    named: Vec<String>,
}

impl Session {
    /// It may do other things now. Those hold at once; a part of its subscriptions is looked at, and the rest if it
    /// is [told to](Session::revise).
    #[cold]
    pub(super) fn begin_to_revise<O: Outbox>(&mut self, state: &mut State, out: &mut O) {
        self.publisher.refused();
        let id = self.id();
        state.core.bound_replies(id, self.permissions.responses());
        let subscriptions = state.core.begin_revision(id, self.permissions.passing());
        // Of one that is under way already, what it has taken away is told with this.
        let before = self.revising.take();
        let (removed, named) = before.map_or((0, Vec::new()), |one| (one.removed, one.named));
        self.revising = Some(Box::new(Revising {
            left: subscriptions.into_iter(),
            removed,
            named,
        }));
        self.revise(state, out);
    }

    /// Whether subscriptions of it are still to be looked at.
    pub(in crate::client) fn is_revising(&self) -> bool {
        self.revising.is_some()
    }

    /// Ends what it may no longer be subscribed to, as far as there is budget for.
    pub(in crate::client) fn revise<O: Outbox>(&mut self, state: &mut State, out: &mut O) {
        let Some(mut revising) = self.revising.take() else {
            return;
        };
        let (id, mut work) = (self.id(), 0);
        let is_clearing = state.core.receiver(id).is_clearing;
        while work < state.revising.budget() {
            // What is left of one that is sent away goes by itself.
            let next = revising.left.next().filter(|_| !is_clearing);
            let Some(subscription) = next else {
                state.revising.spend(work);
                state.core.end_revision(id);
                return self.log_removed(&revising);
            };
            work += self.look_at(subscription, &mut revising, state, out);
        }
        state.revising.spend(work);
        self.revising = Some(revising);
    }

    /// Holds one against the permissions; answers how much work that was.
    fn look_at<O: Outbox>(
        &self,
        subscription: SubId,
        revising: &mut Revising,
        state: &mut State,
        out: &mut O,
    ) -> usize {
        let id = self.id();
        if !state.core.is_own(id, subscription) {
            return 1;
        }
        let account = state.core.receiver(id).account;
        let sublist = state.core.sublist(account);
        let work = delivery::ending(sublist, subscription);
        let subject = sublist.subject(subscription).to_vec();
        let queue = sublist.queue(subscription).map(<[u8]>::to_vec);
        let queue = queue.as_deref();
        if self.permissions.refuse_subscribe(&subject, queue).is_none() {
            let filter = self.permissions.filter(&subject, queue);
            state.core.filter(id, subscription, filter);
            return work;
        }
        let sid = sublist.subscription(subscription).sid.clone();
        state.core.unsubscribe(id, subscription);
        let (subject, sid) = (&subject, sid.as_slice());
        self.tell(&Violation::SubscriptionRevoked { subject, sid }, out);
        revising.removed += 1;
        if revising.named.len() < NAMED_MAX {
            revising.named.push(denied::named(subject, sid));
        }
        work
    }

    /// One line for all of them.
    fn log_removed(&self, revising: &Revising) {
        if revising.removed > 0 {
            let Revising { removed, named, .. } = revising;
            denied::log_removed(&self.label, *removed, named, self.user());
        }
    }
}
