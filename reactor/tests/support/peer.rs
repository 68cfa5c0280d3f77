//! The far end of a connection, as a script plays it.

use super::world::{Link, World};
use midge_reactor::Key;

/// The far end of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(super) world: World,
    pub(super) link: usize,
}

impl Peer {
    pub(super) fn on<R>(&self, work: impl FnOnce(&mut Link) -> R) -> R {
        work(&mut self.world.0.borrow_mut().links[self.link])
    }

    /// The reactor's name for this connection.
    pub(crate) fn key(&self) -> Key {
        self.on(|link| link.key)
            .expect("it has not been accepted yet")
    }

    /// The next read from it fails so.
    pub(crate) fn read_error(&self, errno: i32) {
        self.on(|link| link.read_errors.push_back(errno));
    }

    /// The next write to it fails so.
    pub(crate) fn write_error(&self, errno: i32) {
        self.on(|link| link.write_errors.push_back(errno));
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.on(|link| {
            assert!(!link.far_ended, "the peer sends after its end");
            link.arrived.extend(bytes);
            link.tell_readable();
        });
    }

    /// Ends the peer's direction.
    pub(crate) fn finish(&self) {
        let drains = self.world.0.borrow().short_read_drains;
        self.on(|link| {
            link.far_ended = true;
            link.tell_readable();
            // Where a short read counts as the last one, an end must make itself heard.
            link.hangup |= drains;
            link.readable |= drains;
        });
    }

    /// Resets the connection: what has arrived and was not read is lost.
    pub(crate) fn reset(&self) {
        self.on(|link| {
            link.reset = true;
            link.arrived.clear();
            (link.readable, link.writable, link.hangup) = (true, true, true);
        });
    }

    /// Hangs up without having read what we sent: writing fails from now on, while what has
    /// arrived can be read, and an error after it.
    pub(crate) fn hang_up(&self) {
        self.on(|link| {
            link.hung_up = true;
            (link.readable, link.writable, link.hangup) = (true, true, true);
        });
    }

    /// Lets the kernel take no more than `bytes` from now on.
    pub(crate) fn set_room(&self, bytes: usize) {
        self.on(|link| {
            link.room = bytes;
            if bytes > 0 {
                link.writable |= std::mem::take(&mut link.write_armed);
            }
        });
    }

    /// All that the reactor has written.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.on(|link| link.taken.clone())
    }

    pub(crate) fn text(&self) -> String {
        self.received().escape_ascii().to_string()
    }

    pub(crate) fn received_len(&self) -> usize {
        self.on(|link| link.taken.len())
    }

    /// Sets memory aside for `bytes` in either direction, so that none need be found later.
    pub(crate) fn reserve(&self, bytes: usize) {
        self.on(|link| {
            link.arrived.reserve(bytes);
            link.taken.reserve(bytes);
        });
    }

    /// Forgets what was received, keeping the memory.
    pub(crate) fn forget_received(&self) {
        self.on(|link| link.taken.clear());
    }

    /// Whether the reactor has ended its direction.
    pub(crate) fn ended(&self) -> bool {
        self.on(|link| link.near_ended)
    }

    pub(crate) fn closed(&self) -> bool {
        self.on(|link| link.closed)
    }

    /// Bytes that have arrived and were not read.
    pub(crate) fn unread(&self) -> usize {
        self.on(|link| link.arrived.len())
    }
}
