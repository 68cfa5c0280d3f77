//! Answers requests with their own payload.

use midge_reactor::{Close, Context, Handler, Input};

use super::hello;
use super::shared::Event;
use super::thread::{self, Shard};
use crate::check::{Fault, shown};
use crate::frame::Shape;

/// One connection that answers.
#[derive(Debug)]
pub(crate) struct Responder {
    number: usize,
    shape: Shape,
    ring_frames: usize,
    hello: String,
    joined: bool,
    answers: Vec<u8>,
    answered: u64,
}

impl Responder {
    /// Has subscribed to the subject of `shape` by its `hello`.
    pub(crate) fn new(number: usize, shape: &Shape, hello: &str) -> Responder {
        Responder {
            number,
            ring_frames: shape.ring_frames(),
            shape: shape.clone(),
            hello: format!("{hello}PING\r\n"),
            joined: false,
            answers: Vec::new(),
            answered: 0,
        }
    }
}

impl Handler<Shard> for Responder {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        cx.send(self.hello.as_bytes());
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        let mut pong = false;
        let (shape, ring_frames) = (&self.shape, self.ring_frames);
        let (answers, mut count) = (&mut self.answers, 0);
        let who = "a responder";
        let read = hello::ops(
            input,
            |aside| pong |= hello::common(cx, who, aside),
            |request| {
                let good = shape.read(request.payload, ring_frames).is_some()
                    && request.subject == shape.subject(0).as_bytes()
                    && request.sid == b"1";
                let (true, Some(reply)) = (good, request.reply) else {
                    let shown = shown(&[request.subject, request.payload].join(&b' '));
                    return Err(Fault::Foreign { shown });
                };
                answers.extend_from_slice(b"PUB ");
                answers.extend_from_slice(reply);
                answers.extend_from_slice(format!(" {}\r\n", request.payload.len()).as_bytes());
                answers.extend_from_slice(request.payload);
                answers.extend_from_slice(b"\r\n");
                count += 1;
                Ok(())
            },
        );
        cx.send(&*answers);
        answers.clear();
        self.answered += count;
        cx.state.shared.received[self.number].set(self.answered);
        if let Err(fault) = read {
            return hello::fail(cx, fault);
        }
        if pong && !self.joined {
            self.joined = true;
            thread::ready(cx);
        } else if pong {
            cx.state.shared.report(Event::Done);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        hello::ended(cx, "a responder", self.answered, why);
    }
}
