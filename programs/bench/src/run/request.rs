//! Requests and replies.

use std::sync::Arc;
use std::time::Instant;

use super::{Error, Run, latency, need_files, shared};
use crate::frame::Shape;
use crate::load::dial;
use crate::load::publisher::{GO, LOOK};
use crate::load::requester::Requester;
use crate::load::responder::Responder;
use crate::load::shared::Schedule;
use crate::load::thread::{Clock, Plan, Thread, command};
use crate::outcome::Outcome;
use crate::workload::Request;

pub(super) fn measure(mut run: Run<'_>, request: &Request) -> Result<Outcome, Error> {
    let connections = request.requesters + request.responders;
    need_files(connections)?;
    let shape = Shape::new(&run.subject(), request.size, false, run.nonce);
    let (mut shared, events) = shared(request.requesters, request.responders);
    shared.schedule = request
        .rate
        .map(|rate| Schedule::new(rate, request.requesters));
    let (shared, meter) = (Arc::new(shared), run.meter);

    // All in one thread: the two ends of a request never work at the same time, and a second
    // thread would only add the time it takes to wake it.
    let plan = Plan {
        name: "bench-req",
        connections,
        latency: true,
        clock: shared.schedule.map(|schedule| Clock {
            pause: schedule.tick(),
            tick: Box::new(|cx| command(cx, LOOK)),
            hears: true,
        }),
    };
    let (asked, dial) = (*request, Arc::clone(&run.dial));
    let requesters_dial = Arc::clone(&run.requesters_dial);
    let thread = Thread::spawn(plan, &shared, move |cx, number| {
        if number < asked.responders {
            let queue = if asked.responders > 1 { " workers" } else { "" };
            let hello = shape.sub_line(0, queue, false);
            dial::connect(cx, &dial, Responder::new(number, &shape, &hello))
        } else {
            let number = number - asked.responders;
            dial::connect(cx, &requesters_dial, Requester::new(number, &shape, &asked))
        }
    })?;
    let mut outcome = run.outcome.clone();
    let mut watch = run.watch(&shared, events);
    let result = (|| {
        watch.ready(connections)?;
        let meter = meter.begin();
        let _ = shared.began.set(Instant::now());
        thread.command(GO);
        let published = watch.published(request.requesters);
        meter.end(&mut outcome);
        published.map(drop)
    })();
    outcome.broker = watch.broker();
    run.outcome = outcome;
    run.count(&shared, 2 * request.size);
    run.outcome.latency = latency(thread.end());
    Ok(run.finish(result))
}
