//! Input of connections with TLS: decrypted, and then as any other.

use super::Reactor;
use crate::Key;
use crate::core::{Phase, Target};
use crate::handler::Close;
use crate::relay::ProxyEnd;
use crate::tls::TlsError;
use crate::tls::layer::End;

/// Most encrypted bytes read from one connection in a turn: four of the largest records.
const CIPHER_BYTES_MAX: usize = 64 * 1024;

impl<S> Reactor<S> {
    /// One slice of input for a connection with TLS: what its handler was left with, its end, what
    /// had come before TLS, or else one read.
    pub(super) fn read_tls(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let takes_input = conn.takes_input();
        let conn = &mut *conn.rest;
        let Some(tls) = conn.tls.as_deref_mut() else {
            return;
        };
        tls.hold(&mut conn.carry);
        let handshaking = tls.is_handshaking();
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
        } else if tls.end.is_some() {
            self.tls_end(key);
        } else if tls.has_held() {
            let cipher = tls.take_held(CIPHER_BYTES_MAX);
            self.decrypt(key, &cipher);
        } else if conn.readable && !conn.eof {
            self.read_cipher(key);
        } else {
            return;
        }
        let more = self.core.conn(key).is_some_and(|conn| {
            let goes_on = conn.takes_input() || conn.is_handshaking();
            goes_on && (conn.rescan || conn.tls_pending() || (conn.readable && !conn.eof))
        });
        if more {
            self.core.enqueue(key);
        }
    }

    /// One slice for a connection whose input goes to another, of which nothing is kept at present:
    /// what is decrypted is kept for the relay.
    pub(super) fn read_cipher_to_relay(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let readable = conn.readable;
        let Some(tls) = conn.tls.as_deref_mut() else {
            return;
        };
        match tls.end {
            Some(End::CloseNotify) => {
                tls.end = None;
                conn.readable = false;
                self.relay_ended(key, ProxyEnd::SourceEof);
            }
            Some(End::Error(_)) => self.tls_end(key),
            None if tls.has_held() => {
                let cipher = tls.take_held(CIPHER_BYTES_MAX);
                self.decrypt(key, &cipher);
            }
            None if readable => self.read_cipher(key),
            None => {}
        }
    }

    fn read_cipher(&mut self, key: Key) {
        let read_max = self.core.turn.read_max.min(self.read_bytes);
        let len = read_max.min(CIPHER_BYTES_MAX);
        let result = self.driver.read(key, &mut self.scratch[..len]);
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
                let end = if conn.is_handshaking() {
                    TlsError::EndInHandshake
                } else {
                    TlsError::Truncated
                };
                if let Some(tls) = &mut conn.tls {
                    tls.end = Some(End::Error(end));
                }
                self.tls_end(key);
            }
            Ok(taken) => {
                conn.last_activity = now;
                conn.readable = conn.has_more(taken == len, drains);
                // Lent out of `self` for the call.
                let scratch = std::mem::take(&mut self.scratch);
                self.decrypt(key, &scratch[..taken]);
                self.scratch = scratch;
            }
            Err(error) => self.read_failed(key, error),
        }
    }

    /// Tells the handler what `cipher` says: the end of the handshake, input, the peer's end.
    fn decrypt(&mut self, key: Key, cipher: &[u8]) {
        let mut plain = std::mem::take(&mut self.decrypted);
        plain.clear();
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let conn = &mut *conn.rest;
        let Some(tls) = conn.tls.as_deref_mut() else {
            return;
        };
        plain.extend_from_slice(conn.carry.unread());
        let kept = plain.len();
        tls.open(cipher, &mut plain);
        let writes = tls.wants_write() || tls.has_failed();
        let settled = tls.settle();
        let timer = if settled.is_some() {
            tls.timer.take()
        } else {
            None
        };
        if let Some(timer) = timer {
            self.core.timers.cancel(timer);
        }
        if writes || settled.is_some() {
            self.core.mark_dirty(key);
        }
        if let Some(info) = settled
            && self
                .core
                .conn(key)
                .is_some_and(|conn| conn.phase == Phase::Open)
        {
            self.call(key, "on_tls", |handler, cx| handler.on_tls(cx, &info));
        }
        if plain.len() > kept {
            self.offer_plain(key, &plain);
        }
        self.decrypted = plain;
        let ended = self.core.conn(key).is_some_and(|conn| {
            let (idle, tls) = (!conn.rescan && conn.relay.is_none(), conn.tls.as_deref());
            let now = conn.takes_input() || conn.is_handshaking() || conn.tls_failed();
            idle && now && tls.is_some_and(|tls| tls.end.is_some())
        });
        if ended {
            self.tls_end(key);
        }
    }

    /// Gives the handler what was decrypted, behind what it had left, and keeps what it leaves.
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
    fn tls_end(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let Some(end) = conn.tls.as_deref_mut().and_then(|tls| tls.end.take()) else {
            return;
        };
        conn.readable = false;
        conn.eof = true;
        match (end, conn.broken.take()) {
            // Nothing can be sent, so the reason for that comes first.
            (_, Some(why)) => {
                self.core.close(key, why);
            }
            (End::CloseNotify, None) if conn.phase == Phase::Open => self.eof(key),
            (End::CloseNotify, None) => {}
            (End::Error(error), None) => {
                let failed = conn.tls_failed();
                let handshaking = conn.is_handshaking();
                // What could not be believed is not answered, but the alert is to arrive: the
                // connection is read on until the peer has seen it.
                conn.eof = !failed;
                conn.readable = failed;
                let why = Close::Tls(error);
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

    /// The connection is open: its handshake begins.
    pub(super) fn tls_opened(&mut self, key: Key) {
        self.read_clock();
        self.core.arm_tls_timer(key);
    }

    pub(super) fn check_tls_deadline(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        if let Some(tls) = &mut conn.tls {
            tls.timer = None;
        }
        if conn.is_handshaking() {
            self.core.close(key, Close::Tls(TlsError::HandshakeTimeout));
        }
    }

    /// Whether the last words of a connection that is ending wait for its handshake: then what
    /// comes is not dropped.
    pub(super) fn awaits_handshake(&self, key: Key) -> bool {
        self.core.conn(key).is_some_and(|conn| {
            conn.phase == Phase::Ending
                && conn.is_handshaking()
                && !conn.tls_failed()
                && !conn.outbound.is_empty()
        })
    }
}

impl crate::core::Core {
    /// Arms the timer that bounds the handshake.
    pub(crate) fn arm_tls_timer(&mut self, key: Key) {
        let now = self.clock;
        let Some(conn) = self.conn_mut(key) else {
            return;
        };
        let Some(timeout) = conn.tls.as_deref().map(|tls| tls.timeout) else {
            return;
        };
        let timer = self
            .timers
            .arm_deadline(now, timeout, Target::TlsDeadline(key));
        if let Some(tls) = self.conn_mut(key).and_then(|conn| conn.tls.as_deref_mut()) {
            tls.timer = Some(timer);
        }
    }
}
