//! Many connections that each publish to the next one, a message now and then.
//!
//! ```text
//! message k is due at k / rate; connection k % n publishes it, connection (k + 1) % n gets it
//! ```

use std::time::Duration;

use midge_reactor::{Close, Context, Handler, Input};

use super::hello;
use super::shared::{Event, Schedule};
use super::subscriber::FINISH;
use super::thread::{self, Shard};
use crate::check::Receiver;
use crate::frame::{Shape, Stamp, set_digits};
use crate::workload::Span;

/// All has been published: ask for the broker's answer to that. Sent by the measuring thread.
pub(crate) const ASK: u64 = 5;

/// One connection of the crowd, as it receives. What it publishes is sent by [`Speaker`].
#[derive(Debug)]
pub(crate) struct Member {
    number: usize,
    who: String,
    hello: String,
    receiver: Option<Receiver>,
    /// Latencies count from here on.
    warm_up: Duration,
    /// What the answers to `PING` mean, in order: joined, published, checked.
    pongs: u8,
}

impl Member {
    /// The one of this number. Its `hello` has subscribed to its own subject; `shape` has it.
    pub(crate) fn new(
        number: usize,
        receiver: Receiver,
        hello: String,
        warm_up: Duration,
    ) -> Member {
        Member {
            warm_up,
            number,
            who: format!("connection {number}"),
            hello,
            receiver: Some(receiver),
            pongs: 0,
        }
    }

    fn pong(&mut self, cx: &mut Context<'_, Shard>) {
        self.pongs += 1;
        match self.pongs {
            1 => thread::ready(cx),
            2 => cx.state.shared.report(Event::Done),
            _ => {
                if let Some(receiver) = self.receiver.take() {
                    cx.state
                        .shared
                        .report(Event::Checked(super::shared::Checked {
                            subscriber: self.number,
                            received: receiver.received(),
                            next: receiver.next().to_vec(),
                            seen: Vec::new(),
                        }));
                }
            }
        }
    }
}

impl Handler<Shard> for Member {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        let hello = std::mem::take(&mut self.hello);
        cx.send(format!("{hello}PING\r\n").as_bytes());
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        let Some(receiver) = &mut self.receiver else {
            input.take();
            return;
        };
        let now = cx.state.shared.elapsed();
        let (schedule, warm_up) = (cx.state.shared.schedule, self.warm_up);
        let mut asides = Vec::new();
        let shard = &mut *cx.state;
        let fed = receiver.feed(
            input.peek(),
            |aside| asides.push(aside),
            |stamp| {
                let due = schedule.map_or(now, |schedule| schedule.due(stamp));
                if due >= warm_up {
                    shard.record(now.saturating_sub(due));
                }
                shard.shared.received[0].add(1);
            },
        );
        match fed {
            Ok((len, need)) => {
                input.consume(len);
                input.need(need);
            }
            Err(fault) => return hello::fail(cx, fault),
        }
        for aside in asides {
            if hello::common(cx, &self.who, aside) {
                self.pong(cx);
            }
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Shard>, timer: u64) {
        if matches!(timer, ASK | FINISH) {
            cx.send(b"PING\r\n");
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        let received = self.receiver.as_ref().map_or(0, Receiver::received);
        hello::ended(cx, &self.who, received, why);
    }
}

/// Publishes for all members by one schedule.
#[derive(Debug)]
pub(crate) struct Speaker {
    shape: Shape,
    ring_frames: usize,
    connections: usize,
    schedule: Schedule,
    /// Until then, nothing counts.
    warm_up: Duration,
    /// Whether that is over.
    warm: bool,
    /// When to end.
    time: Duration,
    messages_max: u64,
    sent: u64,
    frame: Vec<u8>,
    digits: usize,
    payload: usize,
    over: bool,
}

impl Speaker {
    /// For the subjects of `shape`, one for each connection.
    pub(crate) fn new(
        shape: &Shape,
        connections: usize,
        schedule: Schedule,
        warm_up: Duration,
        span: Span,
    ) -> Speaker {
        let mut frame = shape.published_head();
        let payload = frame.len();
        frame.resize(payload + shape.size, 0);
        frame.extend_from_slice(b"\r\n");
        Speaker {
            ring_frames: shape.ring_frames(),
            digits: shape.published_digits().unwrap_or(0),
            shape: shape.clone(),
            connections,
            schedule,
            warm_up,
            warm: false,
            time: warm_up.saturating_add(span.time()),
            messages_max: span.share(0, 1),
            sent: 0,
            frame,
            payload,
            over: false,
        }
    }

    /// Publishes what is due; tells when that was the last.
    pub(crate) fn tick(&mut self, cx: &mut Context<'_, Shard>) {
        if self.over || cx.state.shared.began.get().is_none() {
            return;
        }
        let elapsed = cx.state.shared.elapsed();
        let stopping = cx.state.shared.stopping();
        if !self.warm && (elapsed >= self.warm_up || stopping) {
            self.warm = true;
            self.messages_max = self.messages_max.saturating_add(self.sent);
            cx.state.shared.report(Event::Done);
        }
        let due = self.schedule.due_by(elapsed.min(self.time));
        let due = if self.warm {
            due.min(self.messages_max)
        } else {
            due
        };
        while self.sent < due && !stopping {
            let publisher = (self.sent % self.connections as u64) as usize;
            let stamp = Stamp::new(publisher, self.sent / self.connections as u64);
            let reader = (publisher + 1) % self.connections;
            set_digits(&mut self.frame, self.digits, reader);
            let payload = &mut self.frame[self.payload..][..self.shape.size];
            self.shape.write(payload, stamp, self.ring_frames);
            let key = cx.state.keys[publisher];
            cx.io.send(key, &self.frame);
            self.sent += 1;
        }
        cx.state.shared.published[0].set(self.sent);
        if elapsed >= self.time || (self.warm && self.sent >= self.messages_max) || stopping {
            self.over = true;
            let (publisher, count) = (0, self.sent);
            cx.state
                .shared
                .report(Event::Published { publisher, count });
        }
    }
}
