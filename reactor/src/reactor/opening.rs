//! Connections that come about: accepted by a listener, or made by a connect.

use super::Reactor;
use crate::Key;
use crate::annotated::annotated;
use crate::context::Slot;
use crate::core::{Lane, Phase, Target};
use crate::driver::named;
use crate::endpoint::canonical;
use crate::handler::Close;
use crate::io::Io;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a listener rests after accepting has failed.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// While so many that have come lately wait for their slice, no more are accepted. They are served at once otherwise; and where
/// each leaves much to do for all the others, more of them would only make all of it longer, until none is served any more.
/// The system keeps those who come meanwhile.
const NEW_WAITING_MAX: usize = 256;

impl<S> Reactor<S> {
    pub(super) fn accept(&mut self, listener: Key) {
        self.panics.accepting = listener;
        self.accept_some(listener);
        self.panics.accepting = Key::NONE;
    }

    fn accept_some(&mut self, listener: Key) {
        let listening = self.core.listening_mut(listener);
        let accepts_max = listening.map_or(0, |listening| listening.accepts_max);
        let until = self.core.clock.after(self.core.times.socket_slice);
        for accepted in 0..accepts_max {
            // A storm of connections takes no more than anyone's slice.
            if accepted > 0 && self.read_clock() >= until {
                break;
            }
            if self.core.ready[Lane::New].len() >= NEW_WAITING_MAX {
                break;
            }
            let Some(listening) = self.core.listening_mut(listener) else {
                return;
            };
            if listening.closing || listening.resting {
                return;
            }
            // One that goes puts the listener on the run queue.
            if listening.connections >= listening.connections_max {
                return;
            }
            match self.driver.accept(listener) {
                Ok(peer) => {
                    let peer = canonical(peer);
                    self.admit(listener, peer);
                    self.after_callback();
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    // This one connection has gone again, or its network has; the next is another.
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::NetworkDown => {}
                    _ => return self.rest(listener, &error),
                },
            }
        }
        // No new edge will come for those that still wait.
        self.core.enqueue(listener);
    }

    fn admit(&mut self, listener: Key, peer: SocketAddr) {
        let key = self.core.reserve();
        let local = match self.driver.adopt(key) {
            Ok(local) => local,
            Err(error) => {
                // It was accepted and could not be watched; dropping it is all that can be done.
                log::debug!("connection from {peer}: {error}");
                return self.core.release(key);
            }
        };
        self.read_clock();
        self.core.set_conn(key, Phase::Open, named(peer)).local = named(local);
        self.core.join_listener(listener, key);
        self.core.stats.accepted += 1;
        self.panics.admitting = Some(key);
        let handler = self.call_listener(listener, key, "accept", |accept, cx| accept.accept(cx));
        self.panics.admitting = None;
        let Some(handler) = handler else {
            return self.forget(key);
        };
        self.put_slot(key, Slot::Conn(handler));
        // `accept` may have closed it already.
        if self
            .core
            .conn(key)
            .is_some_and(|conn| conn.phase != Phase::Closing)
        {
            self.call(key, "on_open", |handler, cx| handler.on_open(cx));
        }
    }

    /// Accepting has failed: tells the handler, and tries again after a while. Retrying at once
    /// would spin, and no edge announces that descriptors are free again.
    fn rest(&mut self, listener: Key, error: &io::Error) {
        let Some(listening) = self.core.listening_mut(listener) else {
            return;
        };
        listening.resting = true;
        let addr = listening.addr.clone();
        let again = self.read_clock() + ACCEPT_REST;
        self.core
            .timers
            .arm(again, None, Target::AcceptAgain(listener));
        self.call_listener(listener, listener, "accept_error", |accept, cx| {
            accept.on_error(cx, &addr, error);
        });
    }

    pub(super) fn finish_connect(&mut self, key: Key) {
        if !self.core.conn(key).is_some_and(|conn| conn.writable) {
            return;
        }
        match self.driver.finish_connect(key) {
            Ok(local) => {
                let now = self.read_clock();
                self.core.stats.connected += 1;
                if let Some(conn) = self.core.conn_mut(key) {
                    conn.phase = Phase::Open;
                    conn.local = named(local);
                    conn.dial = None;
                    conn.last_progress = now;
                    conn.last_activity = now;
                    if let Some(timer) = conn.phase_timer.take() {
                        self.core.timers.cancel(timer);
                    }
                    self.core.arm_idle_timer(key);
                }
                self.layer_opened(key);
                self.call(key, "on_open", |handler, cx| handler.on_open(cx));
                // What was sent before it was open, and what has come with the opening.
                self.core.mark_dirty(key);
                self.core.enqueue(key);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if let Some(conn) = self.core.conn_mut(key) {
                    conn.writable = false;
                }
            }
            Err(error) => {
                if let Err(error) = self.io().dial_failed(key, error) {
                    let peer = self.core.conn(key).and_then(|conn| conn.peer);
                    let error = match peer {
                        Some(peer) => annotated(peer.to_string(), error),
                        None => error,
                    };
                    self.core.close(key, Close::ConnectFailed(error));
                }
            }
        }
    }

    /// The time of a connect is over, or that of one address of several.
    pub(super) fn check_connect_deadline(&mut self, key: Key) {
        let conn = self.core.conn(key);
        if conn.is_some_and(|conn| conn.phase == Phase::Connecting) {
            self.io().dial_timed_out(key);
        }
    }

    fn io(&mut self) -> Io<'_> {
        Io {
            core: &mut self.core,
            driver: &mut *self.driver,
        }
    }
}
