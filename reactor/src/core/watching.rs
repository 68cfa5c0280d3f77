//! Watched descriptors, without their handlers.

use super::{Core, Entry};
use crate::{Close, Key, Readiness};

#[derive(Debug)]
pub(crate) struct Watching {
    pub(crate) key: Key,
    pub(crate) wanted: Readiness,
    /// What has been told by events and not been used up by the handler.
    pub(crate) ready: Readiness,
    pub(crate) in_ready: bool,
    /// Slices it has had, modulo 2^16.
    pub(crate) slices: u16,
    /// It is to be closed at the end of this turn, or is being closed.
    pub(crate) closing: bool,
    /// Why, until its handler is told.
    pub(crate) why: Option<Close>,
}

impl Core {
    pub(crate) fn set_watching(&mut self, key: Key, wanted: Readiness) {
        self.entries[key.index()] = Entry::Watching(Box::new(Watching {
            key,
            wanted,
            ready: Readiness::NONE,
            in_ready: false,
            slices: 0,
            closing: false,
            why: None,
        }));
        self.watches += 1;
    }

    pub(crate) fn watching(&self, key: Key) -> Option<&Watching> {
        match self.entries.get(key.index()) {
            Some(Entry::Watching(watching)) if watching.key == key => Some(watching),
            _ => None,
        }
    }

    pub(crate) fn watching_mut(&mut self, key: Key) -> Option<&mut Watching> {
        match self.entries.get_mut(key.index()) {
            Some(Entry::Watching(watching)) if watching.key == key => Some(watching),
            _ => None,
        }
    }

    /// Changes what is told from now on; what has been told by events meanwhile is told now.
    pub(crate) fn watch_for(&mut self, key: Key, wanted: Readiness) -> bool {
        let Some(watching) = self.watching_mut(key) else {
            return false;
        };
        watching.wanted = wanted;
        if !(watching.ready & wanted).is_none() {
            self.enqueue(key);
        }
        true
    }
}
