//! Datagrams: a slice of packets in for each socket that has some, and its queue out once per turn.

use super::Reactor;
use super::writing::is_shortage;
use crate::context::{Context, Slot};
use crate::core::{Phase, Target};
use crate::endpoint::canonical;
use crate::{Close, Datagram, Key};
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Most packets given to one socket's handler in a turn.
const PACKETS_MAX: usize = 64;

/// No further packet in this turn once this number of bytes has come.
const RECEIVE_BYTES_MAX: usize = 256 * 1024;

/// Most packets sent from one socket in a turn.
const SENDS_MAX: usize = 256;

/// No further packet is sent in this turn once this number of bytes has left.
const SEND_BYTES_MAX: usize = 1024 * 1024;

/// Failures in a row after which a socket rests. An error of the way is told once, and then the next
/// call does something else; one that comes again and again is the socket's own.
const ERRORS_MAX: u32 = 16;

/// How long it rests.
const RECEIVE_REST: Duration = Duration::from_millis(100);

impl<S> Reactor<S> {
    /// The run queue has come to a socket for datagrams.
    pub(super) fn run_udp(&mut self, key: Key) {
        self.open_udp(key);
        self.receive(key);
        // An event may have told that output can go on.
        if self
            .core
            .udp(key)
            .is_some_and(|udp| udp.writable && !udp.packets.is_empty())
        {
            self.core.mark_udp_dirty(key);
        }
    }

    /// Gives the handler the packets that have come, up to the budget.
    fn receive(&mut self, key: Key) {
        let (mut packets, mut bytes) = (0, 0);
        let until = self.core.clock.after(self.core.times.socket_slice);
        self.core.turn.until = until;
        while let Some(udp) = self.core.udp_mut(key).filter(|udp| udp.takes_packets()) {
            let spent = packets > 0 && self.driver.now() >= until;
            if packets == PACKETS_MAX || bytes >= RECEIVE_BYTES_MAX || spent {
                self.core.enqueue(key);
                break;
            }
            packets += 1;
            match self.driver.receive(key, &mut self.scratch) {
                Ok((len, from)) => {
                    let from = canonical(from);
                    bytes += len;
                    udp.errors = 0;
                    udp.from = Some(from);
                    // Lent out of `self`, so that the handler may have the rest of the reactor.
                    let scratch = std::mem::take(&mut self.scratch);
                    self.core.stats.received_packets += 1;
                    self.core.stats.received_bytes += len as u64;
                    self.call_udp(key, "on_packet", |handler, cx| {
                        handler.on_packet(cx, from, &scratch[..len]);
                    });
                    self.scratch = scratch;
                    if let Some(udp) = self.core.udp_mut(key) {
                        udp.from = None;
                    }
                    self.after_callback();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    udp.readable = false;
                    udp.errors = 0;
                }
                Err(error) => {
                    self.receive_failed(key, &error);
                    self.after_callback();
                }
            }
        }
    }

    fn receive_failed(&mut self, key: Key, error: &io::Error) {
        let now = self.read_clock();
        if let Some(udp) = self.core.udp_mut(key) {
            udp.errors += 1;
            if udp.errors >= ERRORS_MAX {
                udp.errors = 0;
                udp.resting = true;
                let again = now + RECEIVE_REST;
                self.core.timers.arm(again, None, Target::ReceiveAgain(key));
            }
        }
        self.call_udp(key, "on_error", |handler, cx| handler.on_error(cx, error));
    }

    /// A socket has rested.
    pub(super) fn receive_again(&mut self, key: Key) {
        if let Some(udp) = self.core.udp_mut(key) {
            udp.resting = false;
            self.core.enqueue(key);
        }
    }

    /// Sends what is queued, up to the budget and as far as the kernel takes it.
    pub(super) fn flush_udp(&mut self, key: Key) {
        let (mut packets, mut bytes) = (0, 0);
        loop {
            let Some((udp, pools)) = self.core.udp_and_pools(key) else {
                return;
            };
            if udp.phase == Phase::Closing {
                return;
            }
            if !udp.writable || packets == SENDS_MAX || bytes >= SEND_BYTES_MAX {
                break;
            }
            let Some((to, packet)) = udp.packets.first() else {
                break;
            };
            packets += 1;
            let len = packet.len();
            bytes += len;
            match self.driver.send_packet(key, to, packet) {
                Ok(()) => {
                    udp.failed = None;
                    udp.packets.pop(&mut pools.packets);
                    self.core.stats.sent_packets += 1;
                    self.core.stats.sent_bytes += len as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => udp.writable = false,
                Err(error) if is_shortage(&error) => {
                    udp.writable = false;
                    self.try_again(key);
                }
                Err(error) => self.send_failed(key, &error),
            }
        }
        let Some(udp) = self.core.udp_mut(key) else {
            return;
        };
        if std::mem::take(&mut udp.refused) {
            udp.refused = !udp.is_half_empty();
            if !udp.refused && udp.phase == Phase::Open {
                self.call_udp(key, "on_drain", |handler, cx| handler.on_drain(cx));
            }
        }
        let Some(udp) = self.core.udp(key) else {
            return;
        };
        if !udp.packets.is_empty() {
            if udp.writable {
                self.core.mark_udp_dirty(key);
            }
        } else if udp.phase == Phase::Ending {
            self.core.close(key, Close::Local);
        }
    }

    /// A send has failed. What is told may have befallen an earlier packet, and this one was not
    /// even looked at: then it is tried once more.
    fn send_failed(&mut self, key: Key, error: &io::Error) {
        let kind = error.kind();
        let Some((udp, pools)) = self.core.udp_and_pools(key) else {
            return;
        };
        let failed = udp.failed.take();
        if failed.is_none() && may_be_of_an_earlier_packet(kind) {
            udp.failed = Some(kind);
        } else {
            udp.packets.pop(&mut pools.packets);
            udp.dropped += 1;
        }
        if failed != Some(kind) {
            self.call_udp(key, "on_error", |handler, cx| handler.on_error(cx, error));
        }
    }

    /// A timer of this socket's handler is due; answers whether there is still one to call.
    pub(super) fn run_udp_timer(&mut self, key: Key, timer: u64) -> bool {
        let alive = self
            .core
            .udp(key)
            .is_some_and(|udp| udp.phase != Phase::Closing);
        if alive {
            self.call_udp(key, "on_timer", |handler, cx| handler.on_timer(cx, timer));
        }
        alive
    }

    /// Tells the handler of a socket that it is closed; other keys are ignored.
    pub(super) fn close_udp(&mut self, key: Key) {
        if let Some(udp) = self.core.udp_mut(key) {
            let why = udp.why.take().unwrap_or(Close::Local);
            self.enter_udp(key, "on_close", |handler, cx| handler.on_close(cx, &why));
        }
    }

    /// Calls `on_open`, if that has not been done.
    fn open_udp(&mut self, key: Key) {
        let udp = self.core.udp_mut(key);
        let first = udp.is_some_and(|udp| {
            udp.phase != Phase::Closing && !std::mem::replace(&mut udp.opened, true)
        });
        if first {
            self.enter_udp(key, "on_open", |handler, cx| handler.on_open(cx));
        }
    }

    /// Calls a socket's handler, after `on_open` whatever comes first.
    fn call_udp(
        &mut self,
        key: Key,
        name: &'static str,
        f: impl FnOnce(&mut dyn Datagram<S>, &mut Context<'_, S>),
    ) {
        self.open_udp(key);
        self.enter_udp(key, name, f);
    }

    fn enter_udp(
        &mut self,
        key: Key,
        name: &'static str,
        f: impl FnOnce(&mut dyn Datagram<S>, &mut Context<'_, S>),
    ) {
        self.enter(key, key, name, |slot, cx| match slot {
            Slot::Datagram(handler) => {
                f(&mut **handler, cx);
                Some(())
            }
            _ => None,
        });
    }
}

/// Whether an error of a send may be the answer of the network to an earlier one.
fn may_be_of_an_earlier_packet(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
    )
}
