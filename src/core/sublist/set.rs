//! `Set`: all subscriptions with one subject.

use super::queues::{Group, Groups, QueueId};
use super::{SubId, index, shrink};
use crate::core::small_bytes::SmallBytes;
use std::slice;

/// All subscriptions with one subject. A cache line, if the subject is not long and has one
/// subscription, which is how most are.
#[derive(Debug)]
#[repr(align(64))]
pub struct Set {
    subject: SmallBytes<38>,
    /// Where in the trie the subject ends, if it has a wildcard.
    end: Option<u32>,
    members: Members,
}

/// The members of a set.
#[derive(Debug)]
enum Members {
    /// None yet or any longer: the set is about to be filled, or removed.
    None,
    /// One subscription outside of any queue group.
    One(SubId),
    /// Any number.
    Many(Box<Many>),
}

#[derive(Debug, Default)]
struct Many {
    plain: Vec<SubId>,
    groups: Groups,
    /// In the groups, all together.
    grouped: usize,
    /// Subscriptions that are in no list, and have not ended.
    detached: usize,
}

impl Set {
    pub(super) fn new(subject: &[u8], end: Option<u32>) -> Set {
        Set {
            subject: SmallBytes::new([subject]),
            end,
            members: Members::None,
        }
    }

    /// What they have subscribed to.
    pub fn subject(&self) -> &[u8] {
        self.subject.as_slice()
    }

    /// Where in the trie its subject ends, if it has a wildcard.
    pub(super) fn end(&self) -> Option<u32> {
        self.end
    }

    /// Those outside of any queue group: each of them gets every message.
    pub fn plain(&self) -> &[SubId] {
        match &self.members {
            Members::None => &[],
            Members::One(id) => slice::from_ref(id),
            Members::Many(many) => &many.plain,
        }
    }

    /// Its only member, if there is one and outside of any queue group.
    #[inline]
    pub fn only_member(&self) -> Option<SubId> {
        match self.members {
            Members::One(id) => Some(id),
            _ => None,
        }
    }

    /// Those in queue groups: one member of each group gets it.
    pub fn groups(&self) -> &[Group] {
        match &self.members {
            Members::None | Members::One(_) => &[],
            Members::Many(many) => many.groups.as_slice(),
        }
    }

    /// One of its groups.
    pub fn group(&self, queue: QueueId) -> Option<&Group> {
        match &self.members {
            Members::None | Members::One(_) => None,
            Members::Many(many) => many.groups.get(queue),
        }
    }

    /// How many are in its lists.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.members {
            Members::None => 0,
            Members::One(_) => 1,
            Members::Many(many) => many.plain.len() + many.grouped,
        }
    }

    /// Whether it has no member.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.detached() == 0
    }

    /// Its members are counted.
    pub(super) fn invariants(&self) {
        assert!(!self.is_empty(), "{self:?} is kept");
        if let Members::Many(many) = &self.members {
            many.groups.invariants();
            let groups = many.groups.as_slice().iter();
            let grouped: usize = groups.map(|group| group.members.len()).sum();
            assert_eq!(many.grouped, grouped);
        }
    }

    /// Subscriptions that are in no list, and have not ended.
    pub(super) fn detached(&self) -> usize {
        match &self.members {
            Members::None | Members::One(_) => 0,
            Members::Many(many) => many.detached,
        }
    }

    /// Adds one; answers its place in its list.
    pub(super) fn join(&mut self, queue: Option<QueueId>, id: SubId) -> u32 {
        match (&self.members, queue) {
            (Members::None, None) => {
                self.members = Members::One(id);
                0
            }
            (_, None) => {
                let plain = &mut self.many().plain;
                plain.push(id);
                index(plain.len() - 1)
            }
            (_, Some(queue)) => {
                let many = self.many();
                many.grouped += 1;
                many.groups.join(queue, id)
            }
        }
    }

    /// Removes the one at `place`; answers the one that stands there now.
    pub(super) fn leave(&mut self, queue: Option<QueueId>, place: u32) -> Option<SubId> {
        match (&mut self.members, queue) {
            (Members::Many(many), None) => {
                many.plain.swap_remove(place as usize);
                shrink(&mut many.plain);
                many.plain.get(place as usize).copied()
            }
            (Members::Many(many), Some(queue)) => {
                many.grouped -= 1;
                many.groups.leave(queue, place)
            }
            (members, _) => {
                *members = Members::None;
                None
            }
        }
    }

    /// Takes the one at `place` out of its list, but not out of the set; answers the one that stands there now.
    pub(super) fn detach(&mut self, queue: Option<QueueId>, place: u32) -> Option<SubId> {
        self.many().detached += 1;
        self.leave(queue, place)
    }

    /// One that is in no list has ended.
    pub(super) fn forget_detached(&mut self) {
        self.many().detached -= 1;
    }

    fn many(&mut self) -> &mut Many {
        let plain = match self.members {
            Members::None => Vec::new(),
            Members::One(id) => vec![id],
            Members::Many(ref mut many) => return many,
        };
        self.members = Members::Many(Box::new(Many {
            plain,
            ..Many::default()
        }));
        match &mut self.members {
            Members::Many(many) => many,
            Members::None | Members::One(_) => unreachable!("many, as of the line before"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::Slot;
    use super::*;

    #[test]
    fn it_fits_a_cache_line_also_in_a_pool() {
        assert_eq!(size_of::<Slot<Set>>(), 64);
    }
}
