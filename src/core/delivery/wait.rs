//! The question who must be waited for, asked of each receiver before its copy is written.
//!
//! So a queue passes the mark at which publishers are held by no more than a run of messages, however many
//! publish. It is asked only while some queue is congested.

use super::write::Delivery;
use crate::core::outbox::Outbox;
use crate::core::sublist::SubId;
use midge_reactor::Key;

impl<O: Outbox> Delivery<'_, O> {
    /// The receiver of a subscription, if it would get the messages and is congested.
    pub(super) fn congested(&self, id: SubId) -> Option<Key> {
        let subscription = self.sublist.subscription(id);
        let receiver = &self.receivers[subscription.receiver.0 as usize];
        // A part of the broker has no queue.
        let gets_it = !receiver.is_clearing
            && receiver.key != Key::NONE
            && !subscription.finished()
            && receiver.takes(subscription, id, self.from, self.run.first());
        (gets_it && self.out.is_congested(receiver.key)).then_some(receiver.key)
    }

    /// Whether the publisher is to wait for `receiver`, which is congested: it still takes bytes, and the
    /// publisher is one that is held.
    pub(super) fn waits_for(&self, receiver: Key) -> bool {
        self.from.is_held
            && self.out.is_moving(receiver)
            && self
                .backpressure
                .asks_to_wait_for(receiver, &self.out.progress(receiver))
    }

    /// The receiver of a subscription, if the publisher is to wait for it.
    pub(super) fn to_be_waited_for(&self, id: SubId) -> Option<Key> {
        self.congested(id).filter(|key| self.waits_for(*key))
    }

    /// Whether nothing is left of the receiver of a subscription but its subscriptions.
    pub(super) fn has_gone(&self, id: SubId) -> bool {
        let receiver = self.sublist.subscription(id).receiver;
        self.receivers[receiver.0 as usize].is_clearing
    }
}
