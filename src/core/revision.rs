//! `Revision`: what a receiver gets while its subscriptions are held against other permissions, piece by piece.
//!
//! ```text
//! begin ──▶ a subscription is looked at ──▶ its own filter counts, or it has ended
//!       └─▶ it is not looked at yet     ──▶ what passes is said here, message by message
//!                                           for as long as the revision goes on
//! ```
//!
//! To look at half a million subscriptions takes seconds, and the others have their turns meanwhile. Not a single
//! message that is denied may be delivered in that time, so the new permissions hold from the first piece on: of a
//! subscription that was not looked at, a message passes if its own subject could be subscribed to. What is allowed
//! to a subscription as a whole is allowed to each of its messages, so one that stays loses nothing.
//!
//! Which queue groups are allowed is not known of one message. Where the permissions name groups for its subject, a
//! member that was not looked at takes nothing, and another member does.

use super::Core;
use super::sublist::{ReceiverId, SubId};
use foldhash::fast::RandomState;
use midge_protocol::Subjects;
use std::collections::HashSet;
use std::sync::Arc;

/// Subjects, for all or for queue groups.
#[derive(Debug)]
pub(crate) struct Lists {
    pub plain: Arc<Subjects>,
    pub queues: Box<[Arc<Subjects>]>,
}

impl Lists {
    fn name_groups_for(&self, subject: &[u8]) -> bool {
        self.queues.iter().any(|list| list.matches(subject))
    }
}

/// Which messages pass to subscriptions that were not looked at yet. The default is all.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    /// `None` is everything.
    pub allow: Option<Lists>,
    pub deny: Option<Lists>,
}

impl Passing {
    /// Whether a message passes, to a member of a queue group or to one that is in none.
    fn lets_through(&self, subject: &[u8], is_queued: bool) -> bool {
        let is_denied = self.deny.as_ref().is_some_and(|deny| {
            deny.plain.matches(subject) || is_queued && deny.name_groups_for(subject)
        });
        let is_allowed = self.allow.as_ref().is_none_or(|allow| {
            let is_named = is_queued && allow.name_groups_for(subject);
            !is_named && allow.plain.matches(subject)
        });
        is_allowed && !is_denied
    }
}

/// One receiver's, while it goes on.
#[derive(Debug)]
pub(super) struct Revision {
    passing: Passing,
    /// Subscriptions that were looked at, or made since it began.
    seen: HashSet<SubId, RandomState>,
}

impl Revision {
    /// Whether a message to `subject` may go to a subscription; `None` if that was looked at.
    pub(super) fn lets_through(&self, id: SubId, subject: &[u8], is_queued: bool) -> Option<bool> {
        let is_seen = self.seen.contains(&id);
        (!is_seen).then(|| self.passing.lets_through(subject, is_queued))
    }

    /// A subscription was looked at.
    pub(super) fn see(&mut self, id: SubId) {
        self.seen.insert(id);
    }

    /// A subscription has ended, and its number may be that of another one.
    pub(super) fn forget(&mut self, id: SubId) {
        self.seen.remove(&id);
    }

    /// Those that were looked at.
    pub(super) fn seen(&self) -> impl Iterator<Item = SubId> {
        self.seen.iter().copied()
    }
}

impl Core {
    /// From here on `id` gets what passes, until each of its subscriptions was looked at and given its
    /// [filter](Core::filter), or has ended. Answers its subscriptions.
    pub(crate) fn begin_revision(&mut self, id: ReceiverId, passing: Passing) -> Vec<SubId> {
        let revision = Revision {
            passing,
            seen: HashSet::default(),
        };
        let receiver = self.receiver_mut(id);
        receiver.revise(Some(revision));
        receiver.sids.first(usize::MAX)
    }

    /// All of them were.
    pub(crate) fn end_revision(&mut self, id: ReceiverId) {
        self.receiver_mut(id).revise(None);
        self.changed();
    }

    /// Whether a subscription is there and `id`'s own: since it was one, it may have ended, and its number may be
    /// that of another one.
    pub(crate) fn is_own(&self, id: ReceiverId, subscription: SubId) -> bool {
        let sublist = &self.accounts[self.receiver(id).account].sublist;
        let found = sublist.get(subscription);
        found.is_some_and(|found| found.receiver == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(plain: &[&str], queues: &[&str]) -> Lists {
        Lists {
            plain: Arc::new(Subjects::new(plain)),
            queues: queues
                .iter()
                .map(|one| Arc::new(Subjects::new([one])))
                .collect(),
        }
    }

    #[test]
    fn what_passes_could_be_subscribed_to_and_where_groups_are_named_no_member_takes_it() {
        let passing = Passing {
            allow: Some(lists(&["a.>", "j"], &["j", "k"])),
            deny: Some(lists(&["a.x"], &["a.q"])),
        };
        for (subject, plain, queued) in [
            ("a.b", true, true),
            ("a.x", false, false),
            ("a.q", true, false),
            ("b", false, false),
            ("j", true, false),
            ("k", false, false),
        ] {
            let through =
                [false, true].map(|queued| passing.lets_through(subject.as_bytes(), queued));
            assert_eq!(through, [plain, queued], "{subject}");
        }
        assert!(Passing::default().lets_through(b"any", true));
    }
}
