//! Relays: one slice of input for each connection whose input goes to another.

use super::Reactor;
use crate::Key;
use crate::core::{Conn, Phase};
use crate::hold::Hold;
use crate::io::Io;
use crate::relay::ProxyEnd;

impl<S> Reactor<S> {
    /// One slice for a connection that is being relayed: what it was left with, or else one read.
    pub(super) fn relay(&mut self, source: Key) {
        let Some(conn) = self.core.conn_mut(source) else {
            return;
        };
        // What is unread goes on without being asked for, and must not look like activity later.
        conn.rescan = false;
        let Some(conn) = self.core.conn(source) else {
            return;
        };
        let Some(relay) = &conn.relay else {
            return;
        };
        if relay.left == Some(0) {
            return self.relay_ended(source, ProxyEnd::Complete);
        }
        let to = relay.to;
        let Some(target) = self.core.conn(to).filter(|target| target.takes_output()) else {
            return self.relay_ended(source, ProxyEnd::TargetClosed);
        };
        let room = relay.room(target);
        if room == 0 {
            return self.core.hold(source, Hold::Relay);
        }
        #[cfg(feature = "tls")]
        if conn.is_tls() && conn.carry.is_empty() && !conn.eof {
            self.read_cipher_to_relay(source);
            return self.relay_goes_on(source);
        }
        if !conn.carry.is_empty() {
            self.relay_unread(source, to, room);
        } else if conn.eof {
            return self.relay_ended(source, ProxyEnd::SourceEof);
        } else if conn.readable {
            self.relay_read(source, to, room);
        }
        self.relay_goes_on(source);
    }

    /// Hands over what the handler has left unread.
    fn relay_unread(&mut self, source: Key, to: Key, room: usize) {
        let Some(conn) = self.core.conn_mut(source) else {
            return;
        };
        let mut carry = std::mem::take(&mut conn.carry);
        let len = carry.len().min(room);
        self.hand_over(source, to, &carry.unread()[..len]);
        carry.consume(len);
        let Some((conn, pools)) = self.core.conn_and_pools(source) else {
            return;
        };
        if let Some(buffer) = carry.release() {
            pools.carry.give(buffer);
        }
        conn.carry = carry;
    }

    fn relay_read(&mut self, source: Key, to: Key, room: usize) {
        let read_max = self.core.turn.read_max.min(self.read_bytes);
        let room = room.min(read_max);
        let result = self.driver.read(source, &mut self.scratch[..room]);
        self.core.stats.reads += 1;
        if let Ok(len) = result {
            self.core.stats.read_bytes += len as u64;
            self.core.turn.is_filled = len == read_max;
        }
        let drains = self.driver.short_read_drains();
        let now = self.moment(source);
        let Some(conn) = self.core.conn_mut(source) else {
            return;
        };
        match result {
            Ok(0) => {
                conn.readable = false;
                self.relay_ended(source, ProxyEnd::SourceEof);
            }
            Ok(len) => {
                conn.last_activity = now;
                conn.readable = len == room || !drains || conn.hangup;
                let scratch = std::mem::take(&mut self.scratch);
                self.hand_over(source, to, &scratch[..len]);
                self.scratch = scratch;
            }
            Err(error) => self.read_failed(source, error),
        }
    }

    fn hand_over(&mut self, source: Key, to: Key, bytes: &[u8]) {
        let mut io = Io {
            core: &mut self.core,
            driver: &mut *self.driver,
        };
        // The room was asked for before, so nothing is refused.
        let taken = io.send(to, bytes);
        debug_assert!(taken, "{to:?} had room");
        let Some(conn) = self.core.conn_mut(source) else {
            return;
        };
        conn.proxied += bytes.len() as u64;
        if let Some(left) = conn.relay.as_mut().and_then(|relay| relay.left.as_mut()) {
            *left -= bytes.len() as u64;
        }
    }

    /// Comes back to the source if there is more to do that no event will tell.
    fn relay_goes_on(&mut self, source: Key) {
        let Some(conn) = self.core.conn(source).filter(|conn| conn.takes_input()) else {
            return;
        };
        let complete = |conn: &Conn| conn.relay.as_ref().is_some_and(|r| r.left == Some(0));
        if complete(conn) {
            self.relay_ended(source, ProxyEnd::Complete);
        } else if !conn.carry.is_empty() || conn.tls_pending() || (conn.readable && !conn.eof) {
            self.core.enqueue(source);
        }
    }

    /// `target` takes nothing any more: whoever is relayed to it learns of it. Before its key is
    /// forgotten, and as soon as a write has failed, for then it may stay until its input is read.
    pub(super) fn tell_feeder(&mut self, target: Key) {
        if let Some(source) = self.core.conn(target).and_then(|conn| conn.fed_by) {
            self.relay_ended(source, ProxyEnd::TargetClosed);
        }
    }

    pub(super) fn relay_ended(&mut self, source: Key, end: ProxyEnd) {
        let Some(relay) = self.core.end_relay(source) else {
            return;
        };
        let at_end = end == ProxyEnd::SourceEof;
        if at_end && relay.half_close {
            self.core.shutdown_write(relay.to);
        }
        let Some(conn) = self.core.conn_mut(source) else {
            return;
        };
        let told_before = conn.eof;
        conn.eof |= at_end;
        if !matches!(conn.phase, Phase::Open | Phase::Connecting) {
            return;
        }
        self.call(source, "on_proxy", |handler, cx| handler.on_proxy(cx, end));
        let open = |conn: &Conn| conn.phase == Phase::Open;
        if at_end && !told_before && self.core.conn(source).is_some_and(open) {
            self.eof(source);
        }
    }
}
