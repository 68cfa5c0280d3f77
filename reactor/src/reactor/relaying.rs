//! Relays: one slice of input for each connection whose input goes to another.

use super::Reactor;
use crate::core::{Conn, LIGHT_READ_BYTES, Lane, Phase};
use crate::io::Io;
use crate::relay::ProxyEnd;
use crate::{Key, Spliced};
use std::io::ErrorKind;

/// Most bytes that the system moves in one slice.
const SPLICE_BYTES_MAX: usize = 512 * 1024;

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
        if room == 0 || relay.waits_for(target) {
            return self.core.pause_for(source, to);
        }
        if !conn.is_plain() && conn.carry.is_empty() && !conn.eof {
            self.read_layered_to_relay(source);
            return self.relay_goes_on(source);
        }
        if !conn.carry.is_empty() {
            self.relay_unread(source, to, room);
        } else if conn.eof {
            return self.relay_ended(source, ProxyEnd::SourceEof);
        } else if conn.readable && !self.relay_splice(source, to, room) {
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
            pools.give_unread(buffer);
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
                conn.readable = conn.has_more(len == room, drains);
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
        if let Some(relay) = &mut conn.relay {
            relay.count(bytes.len());
        }
    }

    /// Has the system move what has come, if that is much, and the target has nothing queued; answers
    /// whether it could.
    fn relay_splice(&mut self, source: Key, to: Key, room: usize) -> bool {
        let is_bulk = self.core.turn.lane == Lane::Heavy;
        let may = |conn: &Conn| conn.relay.as_ref().is_some_and(|relay| relay.may_splice);
        let takes = |conn: &Conn| conn.is_written() && conn.writable && conn.queued() == 0;
        let (Some(from), Some(target)) = (self.core.conn(source), self.core.conn(to)) else {
            return false;
        };
        if !(is_bulk && may(from) && takes(target) && from.is_plain() && target.is_plain()) {
            return false;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let max = room.min(SPLICE_BYTES_MAX);
        let result = self.driver.splice(source, to, max, &mut scratch);
        self.scratch = scratch;
        self.core.stats.reads += 1;
        match result {
            Ok(Spliced { moved: 0, left: 0 }) => {
                if let Some(conn) = self.core.conn_mut(source) {
                    conn.readable = false;
                }
                self.relay_ended(source, ProxyEnd::SourceEof);
                true
            }
            Ok(spliced) => {
                self.note_spliced(source, to, spliced.moved);
                let total = spliced.moved + spliced.left;
                self.core.stats.read_bytes += total as u64;
                self.core.turn.is_filled = total > LIGHT_READ_BYTES;
                if spliced.left > 0 {
                    let scratch = std::mem::take(&mut self.scratch);
                    self.hand_over(source, to, &scratch[..spliced.left]);
                    self.scratch = scratch;
                }
                true
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let conn = self.core.conn_mut(source);
                if let Some(relay) = conn.and_then(|conn| conn.relay.as_mut()) {
                    relay.may_splice = false;
                }
                false
            }
            Err(error) => {
                self.read_failed(source, error);
                true
            }
        }
    }

    /// A number of bytes has gone from `source` to `to` without being seen here.
    fn note_spliced(&mut self, source: Key, to: Key, len: usize) {
        let now = self.moment(to).max(self.moment(source));
        if let Some(conn) = self.core.conn_mut(to) {
            conn.written += len as u64;
            (conn.last_progress, conn.last_activity) = (now, now);
        }
        if let Some(conn) = self.core.conn_mut(source) {
            conn.proxied += len as u64;
            conn.last_activity = now;
            if let Some(relay) = &mut conn.relay {
                relay.splices = true;
                relay.count(len);
            }
        }
        self.core.turn.count_spliced(len);
        self.core.stats.writes += 1;
        self.core.stats.written_bytes += len as u64;
    }

    /// Comes back to the source if there is more to do that no event will tell.
    fn relay_goes_on(&mut self, source: Key) {
        let Some(conn) = self.core.conn(source).filter(|conn| conn.takes_input()) else {
            return;
        };
        let complete = |conn: &Conn| conn.relay.as_ref().is_some_and(|r| r.left == Some(0));
        if complete(conn) {
            self.relay_ended(source, ProxyEnd::Complete);
        } else if !conn.carry.is_empty() || conn.is_layer_pending() || (conn.readable && !conn.eof)
        {
            self.core.enqueue(source);
        }
    }

    /// `target` takes nothing any more: the relay that feeds it learns of it. Before its key is
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
