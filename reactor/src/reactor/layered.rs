//! Input of connections with a layer: opened, and then as any other.

use super::Reactor;
use crate::Key;
use crate::core::{Conn, Phase, Target};
use crate::layer::{Arrived, Attached, End, ROOM_BYTES};
use crate::relay::ProxyEnd;

/// Most bytes read for a layer from one connection in a turn: eight of the largest records of TLS. With messages of
/// 64 KiB by TLS, half as much costs a sixth more of the processor's time, and twice as much gains nothing.
const WIRE_BYTES_MAX: usize = 128 * 1024;

/// Unread bytes up to this many are copied in front of what is opened; to more it is appended.
const CARRY_COPY_BYTES_MAX: usize = 4 * 1024;

impl<S> Reactor<S> {
    /// One slice of input for a connection with a layer: what its handler was left with, its end, what
    /// had come before the layer, or else one read.
    pub(super) fn read_layered(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let takes_input = conn.takes_input();
        let conn = &mut *conn.rest;
        let Some(layer) = conn.layer.as_deref_mut() else {
            return;
        };
        layer.take_over(&mut conn.carry);
        let handshaking = layer.is_handshaking();
        if handshaking {
            (conn.need, conn.rescan) = (0, false);
        } else if !takes_input {
            return;
        } else if conn.relay.is_some() {
            return self.relay(key);
        }
        let rescan = std::mem::take(&mut conn.rescan) && !conn.eof;
        if rescan && conn.carry.len() >= conn.need.max(1) {
            let carry = std::mem::take(&mut conn.carry);
            self.offer_carry(key, carry);
        } else if layer.end.is_some() {
            self.layer_ended(key);
        } else if layer.is_to_go_on() {
            self.open(key, Arrived::new(&mut []));
        } else if layer.has_early() {
            let mut wire = layer.take_early(WIRE_BYTES_MAX);
            self.open(key, Arrived::new(&mut wire));
        } else if conn.readable && !conn.eof {
            self.read_wire(key);
        } else {
            return;
        }
        let more = self.core.conn(key).is_some_and(|conn| {
            let goes_on = conn.takes_input() || conn.is_handshaking();
            goes_on && (conn.rescan || conn.is_layer_pending() || (conn.readable && !conn.eof))
        });
        if more {
            self.core.enqueue(key);
        }
    }

    /// One slice for a connection whose input goes to another, of which nothing is kept at present:
    /// what is opened is kept for the relay.
    pub(super) fn read_layered_to_relay(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let readable = conn.readable;
        let Some(layer) = conn.layer.as_deref_mut() else {
            return;
        };
        if layer.end.is_some() {
            self.layer_ended(key);
        } else if layer.is_to_go_on() {
            self.open(key, Arrived::new(&mut []));
        } else if layer.has_early() {
            let mut wire = layer.take_early(WIRE_BYTES_MAX);
            self.open(key, Arrived::new(&mut wire));
        } else if readable {
            self.read_wire(key);
        }
    }

    fn read_wire(&mut self, key: Key) {
        let read_max = self.core.turn.read_max.min(self.read_bytes);
        let len = read_max.min(WIRE_BYTES_MAX);
        let end = ROOM_BYTES + len;
        let result = self.driver.read(key, &mut self.scratch[ROOM_BYTES..end]);
        self.core.stats.reads += 1;
        if let Ok(taken) = result {
            self.core.stats.read_bytes += taken as u64;
            self.core.turn.is_filled = taken == len;
        }
        let drains = self.driver.short_read_drains();
        let now = self.moment(key);
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        match result {
            Ok(0) => {
                conn.readable = false;
                if let Some(layer) = &mut conn.layer {
                    layer.at_eof();
                }
                self.layer_ended(key);
            }
            Ok(taken) => {
                conn.last_activity = now;
                conn.readable = conn.has_more(taken == len, drains);
                // Lent out of `self` for the call.
                let mut scratch = std::mem::take(&mut self.scratch);
                let wire = &mut scratch[..ROOM_BYTES + taken];
                self.open(key, Arrived::with_room(wire, ROOM_BYTES));
                self.scratch = scratch;
            }
            Err(error) => self.read_failed(key, error),
        }
    }

    /// Tells the handler what `wire` says: the end of the handshake, input, the peer's end.
    fn open(&mut self, key: Key, wire: Arrived<'_>) {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let conn = &mut *conn.rest;
        let Some(layer) = conn.layer.as_deref_mut() else {
            return;
        };
        // A large message that lacks more is not copied for each read.
        let appends = conn.carry.len() > CARRY_COPY_BYTES_MAX && conn.need > conn.carry.len();
        if !appends {
            plain.extend_from_slice(conn.carry.unread());
        }
        let kept = plain.len();
        layer.open(wire, &mut plain);
        let settled = layer.settle();
        if layer.has_failed_unsettled() {
            // A handler that hears of no handshake would take it for what came before that.
            plain.truncate(kept);
        }
        let writes = settled || layer.wants_write();
        let timer = layer.timer.take_if(|_| settled);
        if let Some(timer) = timer {
            self.core.timers.cancel(timer);
        }
        if writes {
            self.core.mark_dirty(key);
        }
        let is_open = |key| {
            self.core
                .conn(key)
                .is_some_and(|conn| conn.phase == Phase::Open)
        };
        if settled && is_open(key) {
            self.call(key, "on_handshake", |handler, cx| handler.on_handshake(cx));
        }
        if plain.len() > kept {
            match appends {
                true => self.append_plain(key, &plain),
                false => self.offer_plain(key, &plain),
            }
        }
        self.plain = plain;
        let ended = self.core.conn(key).is_some_and(|conn| {
            let is_idle = !conn.rescan && conn.relay.is_none();
            let is_heard = conn.takes_input() || conn.is_handshaking() || conn.has_layer_failed();
            let has_ended = |layer: &Attached| layer.end.is_some();
            is_idle && is_heard && conn.layer.as_deref().is_some_and(has_ended)
        });
        if ended {
            self.layer_ended(key);
        }
    }

    /// Appends what was opened to the message that lacks it. Once that is whole, gives it to the handler, and then
    /// what is behind it.
    fn append_plain(&mut self, key: Key, plain: &[u8]) {
        let Some((conn, pools)) = self.core.conn_and_pools(key) else {
            return;
        };
        let need = conn.need;
        let lacking = need.saturating_sub(conn.carry.len());
        let (first, rest) = plain.split_at(lacking.min(plain.len()));
        conn.carry.append(first, need, &mut pools.outbound);
        if conn.carry.len() < need {
            return;
        }
        if conn.takes_input() && conn.relay.is_none() {
            let carry = std::mem::take(&mut conn.carry);
            self.offer_carry(key, carry);
        }
        if rest.is_empty() {
            return;
        }
        let Some((conn, pools)) = self.core.conn_and_pools(key) else {
            return;
        };
        if conn.carry.is_empty() && !conn.rescan {
            return self.offer_plain(key, rest);
        }
        // The handler has left some of it, and gets the rest in a slice of its own.
        let whole = conn.carry.len() + rest.len();
        conn.carry.append(rest, whole, &mut pools.outbound);
        conn.rescan = true;
    }

    /// Gives the handler what was opened, behind what it had left, and keeps what it leaves.
    fn offer_plain(&mut self, key: Key, plain: &[u8]) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let (mut consumed, mut need) = (0, conn.need);
        if conn.takes_input() && conn.relay.is_none() && plain.len() >= need {
            // The handler has it all in its input: nothing is unread while it runs.
            let len = conn.carry.len();
            conn.carry.consume(len);
            (consumed, need) = self.offer(key, plain);
        }
        let Some((conn, pools)) = self.core.conn_and_pools(key) else {
            return;
        };
        if consumed == plain.len() {
            let len = conn.carry.len();
            conn.carry.consume(len);
            if let Some(buffer) = conn.carry.release() {
                pools.give_unread(buffer);
            }
        } else {
            let rest = &plain[consumed..];
            conn.carry.store(rest, || pools.take_unread(rest.len()));
        }
        conn.need = need;
    }

    /// The peer has ended its direction, or nothing it says can be believed any more.
    fn layer_ended(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let Some(end) = conn.layer.as_deref_mut().and_then(|layer| layer.end.take()) else {
            return;
        };
        conn.readable = false;
        if conn.relay.is_some() && matches!(end, End::Orderly) {
            return self.relay_ended(key, ProxyEnd::SourceEof);
        }
        conn.eof = true;
        match (end, conn.broken.take()) {
            // Nothing can be sent, so the reason for that comes first.
            (_, Some(why)) => {
                self.core.close(key, why);
            }
            (End::Orderly, None) if conn.phase == Phase::Open => self.eof(key),
            (End::Orderly, None) => {}
            (End::Error(why), None) => {
                let failed = conn.has_layer_failed();
                let handshaking = conn.is_handshaking();
                // What could not be believed is not answered, but the reason is to arrive: the
                // connection is read on until the peer has seen it.
                conn.eof = !failed;
                conn.readable = failed;
                if handshaking && !failed {
                    // A peer that left in the middle of a handshake is not waiting for the rest of it.
                    self.core.close(key, why);
                } else if conn.phase == Phase::Open {
                    self.read_clock();
                    self.core.close_after_write(key, why, crate::LINGER);
                } else {
                    self.core.mark_dirty(key);
                }
            }
        }
    }

    /// The connection is open: the handshake of its layer begins, if it has any.
    pub(super) fn layer_opened(&mut self, key: Key) {
        if self.core.conn(key).is_some_and(Conn::is_handshaking) {
            self.read_clock();
            self.core.arm_handshake_timer(key);
        }
    }

    pub(super) fn check_handshake_deadline(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let Some(layer) = conn.layer.as_deref_mut() else {
            return;
        };
        layer.timer = None;
        if let Some(why) = layer.timed_out() {
            self.core.close(key, why);
        }
    }

    /// Whether the last words of a connection that is ending wait for its handshake: then what
    /// comes is not dropped.
    pub(super) fn awaits_handshake(&self, key: Key) -> bool {
        self.core.conn(key).is_some_and(|conn| {
            conn.phase == Phase::Ending
                && conn.is_handshaking()
                && !conn.has_layer_failed()
                && !conn.outbound.is_empty()
        })
    }
}

impl crate::core::Core {
    /// Arms the timer that bounds the handshake.
    pub(crate) fn arm_handshake_timer(&mut self, key: Key) {
        let now = self.clock;
        let Some(conn) = self.conn_mut(key) else {
            return;
        };
        let Some(timeout) = conn.layer.as_deref().map(|layer| layer.timeout) else {
            return;
        };
        let timer = self
            .timers
            .arm_deadline(now, timeout, Target::HandshakeDeadline(key));
        let conn = self.conn_mut(key);
        if let Some(layer) = conn.and_then(|conn| conn.layer.as_deref_mut()) {
            layer.timer = Some(timer);
        }
    }
}
