//! Publishes as fast as the socket and the window let it.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use midge_reactor::{Close, Context, Handler, Input};

use super::board::Event;
use super::hello;
use super::thread::Shard;
use crate::bench::frame::{Shape, Stamper};

/// Begin. Sent by the measuring thread.
pub(crate) const GO: u64 = 1;
/// Look at the window again.
const LOOK: u64 = 2;

/// How often a publisher that waits for subscribers looks whether they have caught up.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Rings of one publisher: one is being stamped while the other is being sent.
const RINGS: usize = 2;

/// Bytes that may wait for a socket.
const QUEUE_BYTES_MAX: usize = 1 << 30;

/// One connection that publishes.
#[derive(Debug)]
pub(crate) struct Publisher {
    number: usize,
    who: String,
    hello: String,
    stamper: Stamper,
    /// Whoever holds the only reference may write.
    rings: [Option<Bytes>; RINGS],
    turn: usize,
    /// Messages handed to the reactor.
    sent: u64,
    /// Where to end.
    messages_max: u64,
    /// When to end, from the beginning.
    seconds_max: Duration,
    phase: Phase,
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
    pub(crate) fn new(number: usize, shape: &Shape, hello: &str) -> Publisher {
        let (stamper, ring) = Stamper::new(shape, number);
        Publisher {
            number,
            who: format!("publisher {number}"),
            hello: format!("{hello}PING\r\n"),
            stamper,
            rings: [Some(ring.clone().into()), Some(ring.into())],
            turn: 0,
            sent: 0,
            messages_max: u64::MAX,
            seconds_max: Duration::MAX,
            phase: Phase::Joining,
        }
    }

    /// Ends after so many messages.
    pub(crate) fn messages_max(mut self, count: u64) -> Publisher {
        self.messages_max = count;
        self
    }

    /// Ends after so long.
    pub(crate) fn seconds_max(mut self, time: Duration) -> Publisher {
        self.seconds_max = time;
        self
    }

    fn pump(&mut self, cx: &mut Context<'_, Shard>) {
        if self.phase != Phase::Publishing || cx.queued() > 0 {
            return;
        }
        let board = &cx.state.board;
        let began = board.began.get().copied();
        let over = began.is_some_and(|began| began.elapsed() >= self.seconds_max);
        if over || self.sent >= self.messages_max || board.stopping() {
            self.phase = Phase::Ending;
            cx.send(b"PING\r\n");
            return;
        }
        if !board.may_publish() {
            cx.set_timer(LOOK_EVERY, LOOK);
            return;
        }
        let Some(mut ring) = self.take_ring() else {
            cx.set_timer(LOOK_EVERY, LOOK);
            return;
        };
        let most = self.messages_max - self.sent;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let most = most.min(self.stamper.frames());
        let (count, range) = self.stamper.stamp(&mut ring, self.sent, most);
        let ring = ring.freeze();
        cx.io.send_bytes(cx.key(), ring.slice(range));
        self.rings[self.turn] = Some(ring);
        self.turn = (self.turn + 1) % RINGS;
        self.sent += count as u64;
        cx.state.board.published[self.number].set(self.sent);
    }

    /// The next ring, if nothing of it waits for the socket any more.
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
        cx.io.watermarks(key, 0, 1, QUEUE_BYTES_MAX);
        cx.send(self.hello.as_bytes());
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        let mut pong = false;
        let read = hello::asides(input, |aside| pong |= hello::common(cx, &self.who, aside));
        if let Err(fault) = read {
            cx.state.board.tell(Event::Failed(fault));
            cx.close();
            return;
        }
        if pong {
            match self.phase {
                Phase::Joining => {
                    self.phase = Phase::Waiting;
                    cx.state.board.tell(Event::Ready);
                }
                Phase::Ending => {
                    self.phase = Phase::Done;
                    cx.state.board.tell(Event::Published {
                        publisher: self.number,
                        count: self.sent,
                    });
                }
                Phase::Waiting | Phase::Publishing | Phase::Done => {}
            }
        }
    }

    fn on_drain(&mut self, cx: &mut Context<'_, Shard>) {
        self.pump(cx);
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Shard>, timer: u64) {
        if timer == GO && self.phase == Phase::Waiting {
            self.phase = Phase::Publishing;
            cx.state.board.began.get_or_init(Instant::now);
        }
        self.pump(cx);
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        hello::ended(cx, &self.who, self.sent, why);
    }
}
