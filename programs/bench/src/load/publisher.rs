//! Publishes as fast as socket and window let it, or what is due by a schedule.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use midge_reactor::{Close, Context, Handler, Input};

use super::hello;
use super::shared::Event;
use super::thread::{self, Shard};
use crate::frame::{Shape, Stamper};
use crate::workload::Span;

/// Begin. Sent by the measuring thread.
pub(crate) const GO: u64 = 1;
/// Look whether there is something to publish.
pub(crate) const LOOK: u64 = 2;

/// How often a publisher that waits for subscribers looks whether they have caught up.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Rings of one publisher: one is being stamped while the other is being sent.
const RINGS: usize = 2;

/// Bytes that a publisher with a schedule lets wait for its socket. What is due beyond waits with
/// it: it will be late by the same time.
const LATE_BYTES_MAX: usize = 64 << 20;

/// One connection that publishes.
#[derive(Debug)]
pub(crate) struct Publisher {
    number: usize,
    who: String,
    stamper: Stamper,
    /// The holder of the only reference may write.
    rings: [Option<Bytes>; RINGS],
    turn: usize,
    /// Messages handed to the reactor.
    sent: u64,
    /// Where to end.
    messages_max: u64,
    /// When to end, from the beginning.
    time: Duration,
    phase: Phase,
    looking: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Joining,
    Waiting,
    Publishing,
    Ending,
    Done,
}

impl Publisher {
    /// The one of this `number` of `count`.
    pub(crate) fn new(number: usize, count: usize, shape: &Shape, span: Span) -> Publisher {
        let (stamper, ring) = Stamper::new(shape, number);
        Publisher {
            number,
            who: format!("publisher {number}"),
            stamper,
            rings: [Some(ring.clone().into()), Some(ring.into())],
            turn: 0,
            sent: 0,
            messages_max: span.share(number, count),
            time: span.time(),
            phase: Phase::Joining,
            looking: false,
        }
    }

    fn pump(&mut self, cx: &mut Context<'_, Shard>) {
        if self.phase != Phase::Publishing {
            return;
        }
        let shared = &cx.state.shared;
        let elapsed = shared.elapsed();
        let stopping = shared.stopping();
        match shared.schedule {
            Some(schedule) => {
                // What is due at the end is sent, however late it is.
                let due = schedule.due_of(self.number, elapsed.min(self.time));
                let due = due.min(self.messages_max);
                self.send_due(cx, due);
                let over = elapsed >= self.time || due >= self.messages_max;
                if (over && self.sent >= due) || stopping {
                    self.end(cx);
                }
            }
            None if cx.queued() > 0 => {}
            None if elapsed >= self.time || self.sent >= self.messages_max || stopping => {
                self.end(cx);
            }
            None => self.send_ring(cx),
        }
    }

    fn end(&mut self, cx: &mut Context<'_, Shard>) {
        self.phase = Phase::Ending;
        cx.send(b"PING\r\n");
    }

    /// Sends a whole ring without a copy, if the window is open.
    fn send_ring(&mut self, cx: &mut Context<'_, Shard>) {
        if !cx.state.shared.may_publish() {
            self.look_later(cx);
            return;
        }
        let Some(mut ring) = self.take_ring() else {
            self.look_later(cx);
            return;
        };
        let most = usize::try_from(self.messages_max - self.sent).unwrap_or(usize::MAX);
        let (count, range) = self.stamper.stamp(&mut ring, self.sent, most);
        let ring = ring.freeze();
        cx.io.send_bytes(cx.key(), ring.slice(range));
        self.rings[self.turn] = Some(ring);
        self.turn = (self.turn + 1) % RINGS;
        self.count(cx, count);
    }

    /// Sends what is due, by copying: it is little at a time.
    fn send_due(&mut self, cx: &mut Context<'_, Shard>, due: u64) {
        while self.sent < due && cx.queued() < LATE_BYTES_MAX {
            let Some(mut ring) = self.take_ring() else {
                return;
            };
            let most = usize::try_from(due - self.sent).unwrap_or(usize::MAX);
            let (count, range) = self.stamper.stamp(&mut ring, self.sent, most);
            cx.send(&ring[range]);
            self.rings[self.turn] = Some(ring.freeze());
            self.count(cx, count);
        }
    }

    fn count(&mut self, cx: &mut Context<'_, Shard>, count: usize) {
        self.sent += count as u64;
        cx.state.shared.published[self.number].set(self.sent);
    }

    fn look_later(&mut self, cx: &mut Context<'_, Shard>) {
        if !std::mem::replace(&mut self.looking, true) {
            cx.set_timer(LOOK_EVERY, LOOK);
        }
    }

    /// The present ring, if nothing of it waits for the socket any more.
    fn take_ring(&mut self) -> Option<BytesMut> {
        match self.rings[self.turn].take()?.try_into_mut() {
            Ok(ring) => Some(ring),
            Err(ring) => {
                self.rings[self.turn] = Some(ring);
                None
            }
        }
    }
}

impl Handler<Shard> for Publisher {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        // A queue of any length is congested, so that its end is told.
        let key = cx.key();
        cx.io.watermarks(key, 0, 1, usize::MAX);
        cx.send(b"PING\r\n");
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        if !hello::asides(cx, &self.who, input) {
            return;
        }
        match self.phase {
            Phase::Joining => {
                self.phase = Phase::Waiting;
                thread::ready(cx);
            }
            Phase::Ending => {
                self.phase = Phase::Done;
                let (publisher, count) = (self.number, self.sent);
                cx.state
                    .shared
                    .report(Event::Published { publisher, count });
            }
            Phase::Waiting | Phase::Publishing | Phase::Done => {}
        }
    }

    fn on_drain(&mut self, cx: &mut Context<'_, Shard>) {
        self.pump(cx);
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Shard>, timer: u64) {
        match timer {
            GO if self.phase == Phase::Waiting => self.phase = Phase::Publishing,
            _ => self.looking = false,
        }
        self.pump(cx);
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        hello::ended(cx, &self.who, self.sent, why);
    }
}
