//! Connections that are about to end. Each is an open file still: where too many come, they give way.

use midge_reactor::{Io, Key};
use std::collections::VecDeque;

/// Connections that may be about to end beside those that `connections_max` allows, if there are files.
pub(crate) const ENDING_MAX: usize = 1024;

/// Those whose conversation is over and whose socket is not closed, the first that was over in front.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// They were sent away: their last words are an error, which they may not have seen yet.
    sent_away: VecDeque<Key>,
    /// They have ended their own side, and may still take what is queued for them.
    left: VecDeque<Key>,
}

impl Ending {
    pub(crate) fn add(&mut self, key: Key, is_sent_away: bool) {
        match is_sent_away {
            true => self.sent_away.push_back(key),
            false => self.left.push_back(key),
        }
    }

    /// This one is closed.
    pub(crate) fn remove(&mut self, key: Key) {
        for keys in [&mut self.sent_away, &mut self.left] {
            // Mostly the first: they end in the order in which they were added.
            if let Some(at) = keys.iter().position(|other| *other == key) {
                keys.remove(at);
            }
        }
    }

    /// Closes the one that has had most time, of those sent away first; answers whether there was one.
    pub(crate) fn close_one(&mut self, io: &mut Io<'_>) -> bool {
        while let Some(key) = self.sent_away.pop_front().or_else(|| self.left.pop_front()) {
            if io.close(key) {
                return true;
            }
        }
        false
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sent_away.len() + self.left.len()
    }
}
