//! Connects, greets, and goes; the next comes in its place.

use std::sync::Arc;
use std::time::Instant;

use midge_reactor::{Close, Context, Handler, Input};

use super::hello;
use super::shared::Event;
use super::thread::Shard;
use crate::workload::Span;

/// What all visitors of one run have in common.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) addr: std::net::SocketAddr,
    /// `CONNECT` and `PING`.
    pub(crate) hello: String,
    pub(crate) span: Span,
    /// How many come at a time.
    pub(crate) concurrency: usize,
}

/// One connection of the storm.
#[derive(Debug)]
pub(crate) struct Visitor {
    visit: Arc<Visit>,
    place: usize,
    began: Instant,
    served: bool,
}

impl Visitor {
    /// The next visitor at its place.
    pub(crate) fn new(visit: &Arc<Visit>, place: usize) -> Visitor {
        Visitor {
            visit: Arc::clone(visit),
            place,
            began: Instant::now(),
            served: false,
        }
    }
}

impl Handler<Shard> for Visitor {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        cx.send(self.visit.hello.as_bytes());
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        if hello::asides(cx, "a visitor", input) && !self.served {
            self.served = true;
            cx.state.record(self.began.elapsed());
            cx.state.shared.published[self.place].add(1);
            cx.close();
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        hello::ended(cx, "a visitor", 0, why);
        if !self.served {
            return;
        }
        let shared = &cx.state.shared;
        let count = shared.published[self.place].get();
        let over = count >= self.visit.span.share(self.place, self.visit.concurrency)
            || shared.elapsed() >= self.visit.span.time()
            || shared.stopping();
        if over {
            let publisher = self.place;
            shared.report(Event::Published { publisher, count });
        } else {
            let visit = Arc::clone(&self.visit);
            let next = Visitor::new(&visit, self.place);
            hello::connect(cx, visit.addr, next);
        }
    }
}
