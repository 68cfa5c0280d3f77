//! Input: one slice for each connection that has some.

use super::Reactor;
use super::writing::is_shortage;
use crate::Key;
use crate::core::Phase;
use crate::handler::{Close, Eof};
use crate::input::{Carry, Input};
use std::io::{self, ErrorKind};

/// Unread bytes up to this many are copied in front of the next read; more are read behind.
const CARRY_COPY_BYTES_MAX: usize = 4 * 1024;

/// Least room for a read behind unread bytes, unless less is needed.
const ROOM_BYTES_MIN: usize = 16 * 1024;

/// Most bytes read and dropped while last words wait for a peer that may send all it has before it
/// reads.
const ENDING_BYTES_MAX: usize = 1024 * 1024;

/// Most bytes read and dropped once our end was sent.
const DRAIN_BYTES_MAX: usize = 64 * 1024;

impl<S> Reactor<S> {
    /// One slice of input for one connection: what it was left with, or else one read.
    pub(super) fn read(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        if conn.layer.is_some() {
            self.read_layered(key);
            return self.bound_input(key);
        }
        if !conn.takes_input() {
            return;
        }
        if conn.relay.is_some() {
            return self.relay(key);
        }
        let rescan = std::mem::take(&mut conn.rescan) && !conn.eof;
        if rescan && conn.carry.len() >= conn.need.max(1) {
            let carry = std::mem::take(&mut conn.carry);
            self.offer_carry(key, carry);
        } else if conn.readable && !conn.eof {
            self.read_socket(key);
        } else {
            return;
        }
        self.bound_input(key);
        let more = self.core.conn(key).is_some_and(|conn| {
            conn.takes_input() && (conn.rescan || (conn.readable && !conn.eof))
        });
        if more {
            self.core.enqueue(key);
        }
    }

    /// Gives up a connection whose handler has left too much unread. One that has yielded, or is
    /// paused, has not had its turn, and is not read meanwhile.
    #[inline]
    fn bound_input(&mut self, key: Key) {
        let full = self.core.conn(key).is_some_and(|conn| {
            let had_its_turn = conn.takes_input() && !conn.rescan && conn.relay.is_none();
            had_its_turn && conn.carry.len() > conn.input_max
        });
        if full {
            self.core.close(key, Close::InputFull);
        }
    }

    fn read_socket(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let mut carry = std::mem::take(&mut conn.carry);
        let need = conn.need;
        let copied = carry.len();
        let half = self.read_bytes / 2;
        let read_max = self.core.turn.read_max.min(self.read_bytes);
        let in_scratch = copied <= CARRY_COPY_BYTES_MAX.min(half);
        let room = if in_scratch {
            self.scratch[..copied].copy_from_slice(carry.unread());
            &mut self.scratch[copied..self.read_bytes.min(copied + read_max)]
        } else {
            let min = copied.clamp(ROOM_BYTES_MIN.min(half), half);
            let room = carry.room(min, need, &mut self.core.pools.outbound);
            let len = room.len().min(self.core.turn.read_max);
            &mut room[..len]
        };
        let room_len = room.len();
        let result = self.driver.read(key, room);
        self.core.stats.reads += 1;
        let drains = self.driver.short_read_drains();
        if let Ok(len) = result {
            self.core.stats.read_bytes += len as u64;
            self.core.turn.is_filled = len == room_len;
        }
        let now = self.moment(key);
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let len = match result {
            Ok(0) => {
                conn.eof = true;
                conn.readable = false;
                conn.carry = carry;
                return self.eof(key);
            }
            Ok(len) => len,
            Err(error) => {
                conn.carry = carry;
                return self.read_failed(key, error);
            }
        };
        conn.last_activity = now;
        conn.readable = conn.has_more(len == room_len, drains);
        let unread = copied + len;
        if unread < need {
            if in_scratch {
                self.keep(key, carry, unread, 0);
            } else {
                carry.filled(len);
                conn.carry = carry;
            }
        } else if in_scratch {
            self.offer_scratch(key, carry, unread);
        } else {
            carry.filled(len);
            self.offer_carry(key, carry);
        }
    }

    pub(super) fn read_failed(&mut self, key: Key, error: io::Error) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let why = match error.kind() {
            ErrorKind::Interrupted => return,
            ErrorKind::WouldBlock => {
                conn.readable = false;
                match conn.broken.take() {
                    Some(why) => why,
                    None => return,
                }
            }
            _ if is_shortage(&error) && conn.broken.is_none() => {
                conn.readable = false;
                return self.try_again(key);
            }
            _ => conn.broken.take().unwrap_or(Close::of_error(error)),
        };
        self.core.close(key, why);
    }

    /// Gives the handler the first `len` bytes of the shared buffer and keeps what it leaves.
    fn offer_scratch(&mut self, key: Key, carry: Carry, len: usize) {
        // Lent out of `self` for the call, so that the handler may have the rest of the reactor.
        let scratch = std::mem::take(&mut self.scratch);
        let (consumed, need) = self.offer(key, &scratch[..len]);
        self.scratch = scratch;
        self.keep(key, carry, len, consumed);
        if let Some(conn) = self.core.conn_mut(key) {
            conn.need = need;
        }
    }

    /// Keeps what is unread of the shared buffer.
    fn keep(&mut self, key: Key, mut carry: Carry, len: usize, consumed: usize) {
        let Some((conn, pools)) = self.core.conn_and_pools(key) else {
            return;
        };
        if consumed == len {
            carry.consume(carry.len());
            if let Some(buffer) = carry.release() {
                pools.give_unread(buffer);
            }
        } else {
            let rest = &self.scratch[consumed..len];
            carry.store(rest, || pools.take_unread(rest.len()));
        }
        conn.carry = carry;
    }

    /// Gives the handler what the connection has kept.
    pub(super) fn offer_carry(&mut self, key: Key, mut carry: Carry) {
        let (consumed, need) = self.offer(key, carry.unread());
        carry.consume(consumed);
        let Some((conn, pools)) = self.core.conn_and_pools(key) else {
            return;
        };
        if let Some(buffer) = carry.release() {
            pools.give_unread(buffer);
        }
        conn.carry = carry;
        conn.need = need;
    }

    /// Calls `on_input`; answers how much was consumed and how much the handler needs.
    pub(super) fn offer(&mut self, key: Key, data: &[u8]) -> (usize, usize) {
        let mut input = Input::new(data);
        self.core.yielded = false;
        self.call(key, "on_input", |handler, cx| {
            handler.on_input(cx, &mut input);
        });
        let yielded = std::mem::take(&mut self.core.yielded);
        if let Some(conn) = self.core.conn_mut(key) {
            conn.rescan |= yielded && !input.is_empty();
        }
        input.outcome()
    }

    pub(super) fn eof(&mut self, key: Key) {
        let answer = self.call(key, "on_eof", |handler, cx| handler.on_eof(cx));
        if let Some(why) = self.core.conn_mut(key).and_then(|conn| conn.broken.take()) {
            self.core.close(key, why);
        } else if answer == Some(Eof::Close) {
            self.read_clock();
            self.core.close_after_write(key, Close::Peer, crate::LINGER);
        } else if self.core.conn(key).is_some_and(|conn| conn.sent_write_end) {
            self.core.close(key, Close::Peer);
        }
    }

    /// Reads and drops what comes to a connection that is ending, up to a bound.
    pub(super) fn discard(&mut self, key: Key) {
        if self.awaits_handshake(key) {
            return self.read_layered(key);
        }
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        if conn.eof || !conn.readable {
            return;
        }
        let max = match conn.phase {
            Phase::Draining => DRAIN_BYTES_MAX,
            _ => ENDING_BYTES_MAX,
        };
        let left = max.saturating_sub(conn.dropped).min(self.scratch.len());
        if left == 0 {
            if conn.phase == Phase::Draining {
                // It has had what a peer may send before it sees our end, and goes on.
                self.core.close(key, Close::Local);
            }
            return;
        }
        let result = self.driver.read(key, &mut self.scratch[..left]);
        self.core.stats.reads += 1;
        if let Ok(len) = result {
            self.core.stats.read_bytes += len as u64;
        }
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        match result {
            Ok(0) => conn.eof = true,
            Ok(len) => {
                conn.dropped += len;
                return self.core.enqueue(key);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return self.core.enqueue(key),
            Err(error) if error.kind() == ErrorKind::WouldBlock => conn.readable = false,
            // A connection that is ending is not worth another try.
            Err(error) => {
                self.core.close(key, Close::Error(error));
                return;
            }
        }
        if conn.eof && conn.phase == Phase::Draining {
            self.core.close(key, Close::Local);
        }
    }
}
