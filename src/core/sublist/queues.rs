//! The names of queue groups, and the groups of one set.

use super::index::{Hashing, Index};
use super::pool::Pool;
use super::{SubId, index, shrink};

/// The name of a queue group, as a number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueueId(u32);

impl QueueId {
    /// Of none.
    pub(super) const NONE: QueueId = QueueId(u32::MAX);

    /// Numbers are counted up and used again, so one multiplication is enough.
    fn hash(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The members of one queue group that share a subject.
#[derive(Debug)]
pub struct Group {
    /// The group's name.
    pub queue: QueueId,
    /// Its members; at least one.
    pub members: Vec<SubId>,
}

/// The groups of one set.
#[derive(Debug, Default)]
pub(super) struct Groups {
    list: Vec<Group>,
    /// Where each group stands in the list, if they are more than `SEARCHED_MAX`.
    places: Index,
}

impl Groups {
    /// Most groups that are searched one by one.
    const SEARCHED_MAX: usize = 8;

    pub(super) fn as_slice(&self) -> &[Group] {
        &self.list
    }

    /// One of the groups, if it is there.
    pub(super) fn get(&self, queue: QueueId) -> Option<&Group> {
        self.list.get(self.place_of(queue)?)
    }

    /// Adds a member to a group, which is made if need be; answers its place there.
    pub(super) fn join(&mut self, queue: QueueId, id: SubId) -> u32 {
        let group = self.place_of(queue).unwrap_or_else(|| self.make(queue));
        let members = &mut self.list[group].members;
        members.push(id);
        index(members.len() - 1)
    }

    /// Removes the member at `place` of a group; answers the one that stands there now.
    pub(super) fn leave(&mut self, queue: QueueId, place: u32) -> Option<SubId> {
        let group = self.place_of(queue).expect("a member's group is there");
        let members = &mut self.list[group].members;
        members.swap_remove(place as usize);
        let moved = members.get(place as usize).copied();
        if members.is_empty() {
            self.forget(group);
        } else {
            shrink(members);
        }
        moved
    }

    /// Each group has members, and is found where it stands.
    pub(super) fn invariants(&self) {
        self.places.invariants();
        let places = match self.list.len() {
            len if len <= Groups::SEARCHED_MAX => 0,
            len => len,
        };
        assert_eq!(self.places.len(), places);
        for (place, group) in self.list.iter().enumerate() {
            assert!(!group.members.is_empty());
            assert_eq!(self.place_of(group.queue), Some(place));
        }
    }

    fn place_of(&self, queue: QueueId) -> Option<usize> {
        if self.list.len() <= Groups::SEARCHED_MAX {
            return self.list.iter().position(|group| group.queue == queue);
        }
        let is = |place: u32| self.list[place as usize].queue == queue;
        self.places
            .get(queue.hash(), is)
            .map(|place| place as usize)
    }

    fn make(&mut self, queue: QueueId) -> usize {
        let place = self.list.len();
        if place == 0 {
            self.list.reserve_exact(1);
        }
        self.list.push(Group {
            queue,
            members: Vec::with_capacity(1),
        });
        if self.list.len() == Groups::SEARCHED_MAX + 1 {
            for (place, group) in (0..).zip(&self.list) {
                self.places.insert(group.queue.hash(), place);
            }
        } else if self.list.len() > Groups::SEARCHED_MAX {
            self.places.insert(queue.hash(), index(place));
        }
        place
    }

    fn forget(&mut self, place: usize) {
        let gone = self.list.swap_remove(place);
        if self.list.len() <= Groups::SEARCHED_MAX {
            self.places = Index::default();
            return;
        }
        self.places.remove(gone.queue.hash(), index(place));
        if let Some(moved) = self.list.get(place) {
            let hash = moved.queue.hash();
            self.places.remove(hash, index(self.list.len()));
            self.places.insert(hash, index(place));
        }
        shrink(&mut self.list);
    }
}

/// The names of queue groups, each kept once while a subscription uses it.
#[derive(Debug, Default)]
pub(super) struct Queues {
    ids: Index,
    /// Each with how many use it.
    names: Pool<(Box<[u8]>, usize)>,
}

impl Queues {
    /// Names that are kept.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Each name is found and has users, `users` all together.
    pub(super) fn invariants(&self, users: usize, hashing: &Hashing) {
        self.ids.invariants();
        self.names.invariants();
        assert_eq!(self.ids.len(), self.names.len());
        let mut used = 0;
        for (number, (name, users)) in self.names.iter() {
            assert!(*users > 0);
            used += users;
            let is = |queue: u32| self.names[queue as usize].0 == *name;
            assert_eq!(self.ids.get(hashing.of(name), is), Some(number));
        }
        assert_eq!(used, users);
    }

    /// The name behind a number, which must be in use.
    pub(super) fn name(&self, queue: QueueId) -> &[u8] {
        &self.names[queue.0 as usize].0
    }

    pub(super) fn acquire(&mut self, name: &[u8], hashing: &Hashing) -> QueueId {
        let hash = hashing.of(name);
        let found = self
            .ids
            .get(hash, |queue| *self.names[queue as usize].0 == *name);
        if let Some(queue) = found {
            self.names[queue as usize].1 += 1;
            return QueueId(queue);
        }
        let queue = self.names.insert((name.into(), 1));
        self.ids.insert(hash, queue);
        QueueId(queue)
    }

    pub(super) fn release(&mut self, queue: QueueId, hashing: &Hashing) {
        let (name, users) = &mut self.names[queue.0 as usize];
        *users -= 1;
        if *users == 0 {
            self.ids.remove(hashing.of(name), queue.0);
            self.names.remove(queue.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_again_however_many_come_and_go() {
        let mut groups = Groups::default();
        for round in 1..=3 {
            let count = round * Groups::SEARCHED_MAX as u32;
            for number in 0..count {
                for member in [number, number + 1000] {
                    groups.join(QueueId(number), SubId(member));
                }
            }
            assert_eq!(groups.as_slice().len(), count as usize);
            for number in (0..count).map(|number| (number + 3) % count) {
                let moved = groups.leave(QueueId(number), 0);
                assert_eq!(moved, Some(SubId(number + 1000)));
                assert_eq!(groups.leave(QueueId(number), 0), None);
            }
            assert!(groups.as_slice().is_empty());
        }
    }
}
