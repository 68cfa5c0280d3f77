//! Sockets for which the system had no memory, and which rest until they are tried again.

use super::{Core, Entry, Target};
use crate::{Key, Time, TimerId};

impl Core {
    /// A connection or a socket for datagrams is to be tried again at `again`: once, for all that fails
    /// until then.
    pub(crate) fn rest_until(&mut self, key: Key, again: Time) {
        if self.rest_timer(key).is_some_and(|timer| timer.is_none()) {
            let armed = self.timers.arm(again, None, Target::TryAgain(key));
            if let Some(timer) = self.rest_timer(key) {
                *timer = Some(armed);
            }
        }
    }

    /// It has rested.
    pub(crate) fn try_again(&mut self, key: Key) {
        if let Some(timer) = self.rest_timer(key) {
            *timer = None;
        }
        if let Some(conn) = self.conn_mut(key) {
            (conn.readable, conn.writable) = (true, true);
            self.enqueue(key);
            self.mark_dirty(key);
        } else if let Some(udp) = self.udp_mut(key) {
            udp.writable = true;
            self.mark_udp_dirty(key);
        }
    }

    fn rest_timer(&mut self, key: Key) -> Option<&mut Option<TimerId>> {
        match self.entries.get_mut(key.index()) {
            Some(Entry::Conn(conn)) if conn.key == key => Some(&mut conn.rest.try_again_timer),
            Some(Entry::Udp(udp)) if udp.key == key => Some(&mut udp.try_again_timer),
            _ => None,
        }
    }
}
