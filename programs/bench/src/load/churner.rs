//! One connection that subscribes many times, and unsubscribes again; each step on command.
//!
//! That the subscriptions are there, and are gone, is tried with messages to some of them.

use midge_protocol::Delivery;
use midge_reactor::{Close, Context, Handler, Input};

use super::hello;
use super::shared::Event;
use super::thread::{self, Shard};
use crate::check::{Fault, shown};

/// `SUB` for all.
pub(crate) const SUBSCRIBE: u64 = 1;
/// Messages to some, which must come.
pub(crate) const TRY: u64 = 2;
/// `UNSUB` for all.
pub(crate) const UNSUBSCRIBE: u64 = 3;
/// The same messages, of which none must come.
pub(crate) const TRY_AGAIN: u64 = 4;

/// Of this number of subscriptions one is tried.
const TRY_EVERY: usize = 97;

/// The connection.
#[derive(Debug)]
pub(crate) struct Churner {
    subject: String,
    subscriptions: usize,
    joined: bool,
    /// Messages that are to come.
    expected: u64,
    got: u64,
}

impl Churner {
    /// Will have a number of subscriptions below `subject`.
    pub(crate) fn new(subject: &str, subscriptions: usize) -> Churner {
        Churner {
            subject: subject.to_owned(),
            subscriptions,
            joined: false,
            expected: 0,
            got: 0,
        }
    }

    fn send(&self, cx: &mut Context<'_, Shard>, step: usize, line: impl Fn(usize) -> String) {
        let lines: String = (0..self.subscriptions).step_by(step).map(line).collect();
        cx.send(lines.as_bytes());
        cx.send(b"PING\r\n");
    }
}

impl Handler<Shard> for Churner {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        let key = cx.key();
        cx.io.watermarks(key, 1 << 20, 2 << 20, usize::MAX);
        cx.send(b"PING\r\n");
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        let mut pong = false;
        let (subject, got, expected) = (&self.subject, &mut self.got, self.expected);
        let read = hello::ops(
            input,
            |aside| pong |= hello::common(cx, "the subscriber", aside),
            |delivery: &Delivery<'_>| {
                let number = *got as usize * TRY_EVERY;
                let due = format!("{subject}.{number:06}");
                let good = delivery.subject == due.as_bytes()
                    && delivery.sid == number.to_string().as_bytes()
                    && *got < expected;
                if !good {
                    let shown = shown(delivery.subject);
                    return Err(Fault::Foreign { shown });
                }
                *got += 1;
                Ok(())
            },
        );
        if let Err(fault) = read {
            return hello::fail(cx, fault);
        }
        if !pong {
            return;
        }
        if !self.joined {
            self.joined = true;
            return thread::ready(cx);
        }
        if self.got < self.expected {
            return hello::fail(
                cx,
                Fault::Lost {
                    who: "the subscriber".into(),
                    count: self.expected - self.got,
                    publisher: 0,
                    sequence: self.got,
                },
            );
        }
        cx.state.shared.report(Event::Done);
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Shard>, timer: u64) {
        let subject = &self.subject;
        match timer {
            SUBSCRIBE => self.send(cx, 1, |n| format!("SUB {subject}.{n:06} {n}\r\n")),
            UNSUBSCRIBE => self.send(cx, 1, |n| format!("UNSUB {n}\r\n")),
            TRY | TRY_AGAIN => {
                if timer == TRY {
                    self.expected = self.subscriptions.div_ceil(TRY_EVERY) as u64;
                }
                self.send(cx, TRY_EVERY, |n| format!("PUB {subject}.{n:06} 0\r\n\r\n"));
            }
            _ => {}
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        hello::ended(cx, "the subscriber", self.got, why);
    }
}
