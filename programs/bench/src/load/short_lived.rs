//! `ShortLived`: connects, introduces itself, and closes; the next one takes its place.

use std::sync::Arc;
use std::time::Instant;

use midge_reactor::{Close, Context, Handler, Input};

use super::dial::{self, Dial};
use super::hello;
use super::shared::Event;
use super::thread::Shard;
use crate::workload::Span;

/// What all connections of one storm have in common.
#[derive(Debug)]
pub(crate) struct Storm {
    pub(crate) dial: Arc<Dial>,
    pub(crate) span: Span,
    /// How many come at a time.
    pub(crate) concurrency: usize,
}

/// One connection of the storm.
#[derive(Debug)]
pub(crate) struct ShortLived {
    storm: Arc<Storm>,
    place: usize,
    began: Instant,
    served: bool,
}

impl ShortLived {
    /// The next connection at its place.
    pub(crate) fn new(storm: &Arc<Storm>, place: usize) -> ShortLived {
        ShortLived {
            storm: Arc::clone(storm),
            place,
            began: Instant::now(),
            served: false,
        }
    }
}

impl Handler<Shard> for ShortLived {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        cx.send(b"PING\r\n");
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        if hello::asides(cx, "a short-lived connection", input) && !self.served {
            self.served = true;
            cx.state.record(self.began.elapsed());
            cx.state.shared.published[self.place].add(1);
            cx.close();
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        hello::ended(cx, "a short-lived connection", 0, why);
        if !self.served {
            return;
        }
        let shared = &cx.state.shared;
        let count = shared.published[self.place].get();
        let over = count >= self.storm.span.share(self.place, self.storm.concurrency)
            || shared.elapsed() >= self.storm.span.time()
            || shared.stopping();
        if over {
            let publisher = self.place;
            shared.report(Event::Published { publisher, count });
        } else {
            let storm = Arc::clone(&self.storm);
            let next = ShortLived::new(&storm, self.place);
            dial::connect(cx, &storm.dial, next);
        }
    }
}
