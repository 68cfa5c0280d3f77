//! Receives and checks: as fast as it can, at a rate, or not at all.

use std::time::Duration;

use midge_reactor::{Close, Context, Handler, Input};

use super::hello;
use super::publisher::GO;
use super::shared::{Checked, Event};
use super::thread::{self, Shard};
use crate::check::{Aside, Receiver};

/// All has been published: ask for the broker's last word. Sent by the measuring thread.
pub(crate) const FINISH: u64 = 3;
/// Read again.
const READ: u64 = 4;

/// How a subscriber reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// As fast as it can.
    Free,
    /// At most this number of bytes per second.
    Limited(u64),
    /// Nothing, from the beginning on.
    Stalled,
}

/// One connection that subscribes.
#[derive(Debug)]
pub(crate) struct Subscriber {
    number: usize,
    who: String,
    hello: String,
    /// `None` once the result has been handed over.
    receiver: Option<Receiver>,
    pace: Pace,
    /// Bytes read since the beginning.
    read: u64,
    joined: bool,
    finishing: bool,
    heard: Vec<Aside>,
}

impl Subscriber {
    pub(crate) fn new(number: usize, receiver: Receiver, pace: Pace, hello: &str) -> Subscriber {
        Subscriber {
            number,
            who: match pace {
                Pace::Stalled => format!("stalled subscriber {number}"),
                _ => format!("subscriber {number}"),
            },
            hello: format!("{hello}PING\r\n"),
            receiver: Some(receiver),
            pace,
            read: 0,
            joined: false,
            finishing: false,
            heard: Vec::new(),
        }
    }

    fn pong(&mut self, cx: &mut Context<'_, Shard>) {
        if !self.joined {
            self.joined = true;
            thread::ready(cx);
        } else if self.finishing
            && let Some(receiver) = self.receiver.take()
        {
            cx.state.shared.report(Event::Checked(Checked {
                subscriber: self.number,
                received: receiver.received(),
                next: receiver.next().to_vec(),
                seen: receiver.into_seen(),
            }));
        }
    }

    fn resume(&self, cx: &mut Context<'_, Shard>) {
        let key = cx.key();
        cx.io.resume(key);
    }

    /// Reads no more until the rate allows it.
    fn hold(&mut self, cx: &mut Context<'_, Shard>, bytes: usize) {
        let Pace::Limited(rate) = self.pace else {
            return;
        };
        self.read += bytes as u64;
        let allowed = Duration::from_secs_f64(self.read as f64 / rate as f64);
        let early = allowed.saturating_sub(cx.state.shared.elapsed());
        if self.joined && early > Duration::ZERO {
            cx.pause();
            cx.set_timer(early, READ);
        }
    }
}

impl Handler<Shard> for Subscriber {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        cx.send(self.hello.as_bytes());
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        let Some(receiver) = &mut self.receiver else {
            input.take();
            return;
        };
        let before = input.len();
        let heard = &mut self.heard;
        let heard = |aside| heard.push(aside);
        let shared = &cx.state.shared;
        let fed = match (shared.schedule, &mut cx.state.latency) {
            (Some(schedule), Some(histogram)) => {
                // One look at the clock for all that one read has brought.
                let now = shared.elapsed();
                receiver.feed(input.peek(), heard, |stamp| {
                    let late = now.saturating_sub(schedule.due(stamp));
                    histogram.saturating_record(late.as_nanos() as u64);
                })
            }
            _ => receiver.feed(input.peek(), heard, |_| {}),
        };
        match fed {
            Ok((len, need)) => {
                input.consume(len);
                input.need(need);
                cx.state.shared.received[self.number].set(receiver.received());
            }
            Err(fault) => return hello::fail(cx, fault),
        }
        self.hold(cx, before - input.len());
        for aside in std::mem::take(&mut self.heard) {
            if self.pace == Pace::Stalled && matches!(aside, Aside::Refused(_)) {
                // The broker's last word before it cuts this one off.
                continue;
            }
            if hello::common(cx, &self.who, aside) {
                self.pong(cx);
            }
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Shard>, timer: u64) {
        match timer {
            GO if self.pace == Pace::Stalled => cx.pause(),
            FINISH => {
                self.finishing = true;
                self.resume(cx);
                cx.send(b"PING\r\n");
            }
            READ => self.resume(cx),
            _ => {}
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        let received = self.receiver.as_ref().map_or(0, Receiver::received);
        if self.pace == Pace::Stalled {
            // A broker need not keep a subscriber that does not read.
            if self.receiver.is_some() {
                cx.state.shared.report(Event::Cut);
            }
            return;
        }
        hello::ended(cx, &self.who, received, why);
    }
}
