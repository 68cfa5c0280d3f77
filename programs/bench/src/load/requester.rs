//! Asks, and checks the answers: a number of requests at a time, or what is due by a schedule.

use std::collections::VecDeque;
use std::time::Duration;

use midge_protocol::Delivery;
use midge_reactor::{Close, Context, Handler, Input};

use super::hello;
use super::publisher::GO;
use super::shared::Event;
use super::thread::{self, Shard};
use crate::check::{Fault, shown};
use crate::frame::{Shape, Stamp, set_digits};
use crate::workload::Request;

/// The digits at the end of a reply subject.
const REPLY_DIGITS: usize = 6;

/// One connection that asks.
#[derive(Debug)]
pub(crate) struct Requester {
    number: usize,
    who: String,
    hello: String,
    shape: Shape,
    ring_frames: usize,
    /// One request; stamp and the digits of its reply subject are set for each.
    frame: Vec<u8>,
    digits: usize,
    payload: usize,
    /// The subject that answers to the present request must have.
    inbox: Vec<u8>,
    outstanding_max: usize,
    messages_max: u64,
    time: Duration,
    sent: u64,
    answered: u64,
    /// When each request was sent or due, by sequence, from the first unanswered on.
    outstanding: VecDeque<Option<Duration>>,
    first: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Joining,
    Asking,
    Ending,
    Done,
}

impl Requester {
    /// The one of this number.
    pub(crate) fn new(number: usize, shape: &Shape, request: &Request) -> Requester {
        let nonce = shape.nonce;
        let inbox = format!("_INBOX.{nonce:016x}.{number}.000000");
        let prefix = &inbox[..inbox.len() - REPLY_DIGITS];
        let words = format!("{} {inbox}", shape.subject(0));
        let mut frame = shape.head("PUB", &words);
        let digits = "PUB ".len() + words.len() - REPLY_DIGITS;
        let payload = frame.len();
        frame.resize(payload + shape.size, 0);
        frame.extend_from_slice(b"\r\n");
        Requester {
            number,
            who: format!("requester {number}"),
            hello: format!("SUB {prefix}* 1\r\nPING\r\n"),
            ring_frames: shape.ring_frames(),
            shape: shape.clone(),
            frame,
            digits,
            payload,
            inbox: inbox.into_bytes(),
            outstanding_max: request.outstanding,
            messages_max: request.span.share(number, request.requesters),
            time: request.span.time(),
            sent: 0,
            answered: 0,
            outstanding: VecDeque::new(),
            first: 0,
            phase: Phase::Joining,
        }
    }

    fn pump(&mut self, cx: &mut Context<'_, Shard>) {
        if self.phase == Phase::Asking {
            let shared = &cx.state.shared;
            let elapsed = shared.elapsed();
            let (stopping, schedule) = (shared.stopping(), shared.schedule);
            let waiting = (self.sent - self.answered) as usize;
            let (most, over) = match schedule {
                Some(schedule) => {
                    let due = schedule.due_of(self.number, elapsed.min(self.time));
                    let due = due.min(self.messages_max);
                    let over = elapsed >= self.time || due >= self.messages_max;
                    (due - self.sent.min(due), over)
                }
                None => {
                    let most = self.outstanding_max.saturating_sub(waiting) as u64;
                    let left = self.messages_max - self.sent;
                    let over = elapsed >= self.time || left == 0;
                    (if over { 0 } else { most.min(left) }, over)
                }
            };
            let most = if stopping { 0 } else { most };
            for _ in 0..most {
                let stamp = Stamp::new(self.number, self.sent);
                let due = schedule.map_or(elapsed, |schedule| schedule.due(stamp));
                self.ask(cx, stamp, due);
            }
            cx.state.shared.published[self.number].set(self.sent);
            if over || stopping {
                self.phase = Phase::Ending;
            }
        }
        if self.phase == Phase::Ending && self.answered == self.sent {
            self.phase = Phase::Done;
            let (publisher, count) = (self.number, self.sent);
            cx.state
                .shared
                .report(Event::Published { publisher, count });
        }
    }

    fn ask(&mut self, cx: &mut Context<'_, Shard>, stamp: Stamp, due: Duration) {
        set_digits(&mut self.frame, self.digits, self.sent as usize);
        let payload = &mut self.frame[self.payload..][..self.shape.size];
        self.shape.write(payload, stamp, self.ring_frames);
        cx.send(&self.frame);
        self.sent += 1;
        self.outstanding.push_back(Some(due));
    }

    /// Which request this answers, and when that was sent.
    fn answer(&mut self, reply: &Delivery<'_>) -> Result<Duration, Fault> {
        let foreign = || {
            let shown = shown(&[reply.subject, reply.header, reply.payload].join(&b' '));
            Fault::Foreign { shown }
        };
        if reply.header.starts_with(b"NATS/1.0 503") {
            let text = "503 no responders".to_owned();
            let who = self.who.clone();
            return Err(Fault::Refused { who, text });
        }
        let stamp = self.shape.read(reply.payload, self.ring_frames);
        let stamp = stamp.filter(|stamp| stamp.publisher() == self.number);
        let Some(sequence) = stamp.map(Stamp::sequence) else {
            return Err(foreign());
        };
        let digits = self.inbox.len() - REPLY_DIGITS;
        set_digits(&mut self.inbox, digits, sequence as usize);
        if reply.subject != self.inbox || reply.sid != b"1" || !reply.header.is_empty() {
            return Err(foreign());
        }
        let place = sequence.checked_sub(self.first);
        let place = place.and_then(|place| self.outstanding.get_mut(place as usize));
        let Some(due) = place.and_then(Option::take) else {
            let publisher = self.number;
            return Err(Fault::Doubled {
                publisher,
                sequence,
            });
        };
        while let Some(None) = self.outstanding.front() {
            self.outstanding.pop_front();
            self.first += 1;
        }
        self.answered += 1;
        Ok(due)
    }
}

impl Handler<Shard> for Requester {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        let key = cx.key();
        cx.io.watermarks(key, 1 << 20, 2 << 20, usize::MAX);
        cx.send(self.hello.as_bytes());
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        let now = cx.state.shared.elapsed();
        let mut asides = Vec::new();
        let mut latency = cx.state.latency.take();
        let read = hello::ops(
            input,
            |aside| asides.push(aside),
            |reply| {
                let due = self.answer(reply)?;
                if let Some(histogram) = &mut latency {
                    let time = now.saturating_sub(due).as_nanos() as u64;
                    histogram.saturating_record(time);
                }
                Ok(())
            },
        );
        cx.state.latency = latency;
        if let Err(fault) = read {
            return hello::fail(cx, fault);
        }
        for aside in asides {
            if hello::common(cx, &self.who, aside) && self.phase == Phase::Joining {
                thread::ready(cx);
            }
        }
        self.pump(cx);
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Shard>, timer: u64) {
        if timer == GO && self.phase == Phase::Joining {
            self.phase = Phase::Asking;
        }
        self.pump(cx);
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        hello::ended(cx, &self.who, self.answered, why);
    }
}
