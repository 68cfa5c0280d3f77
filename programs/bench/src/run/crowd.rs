//! Connections that each publish to the next, at one rate for all together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flow::settle;
use super::{Error, Run, latency, need_files, shared};
use crate::check::{Receiver, Share};
use crate::frame::Shape;
use crate::load::crowd::{ASK, Member, Speaker};
use crate::load::dial;
use crate::load::shared::Schedule;
use crate::load::subscriber::FINISH;
use crate::load::thread::{Clock, Plan, Thread};
use crate::outcome::Outcome;
use crate::workload::Crowd;

pub(super) fn measure(mut run: Run<'_>, crowd: &Crowd) -> Result<Outcome, Error> {
    let connections = crowd.connections;
    need_files(connections)?;
    let shape = Shape::new(&run.subject(), crowd.size, false, run.nonce).subjects(connections);
    // One counter each: all members live in one thread.
    let (mut shared, events) = shared(1, 1);
    let schedule = Schedule::new(crowd.rate, connections);
    shared.schedule = Some(schedule);
    let (shared, meter) = (Arc::new(shared), run.meter);

    let warm_up = Duration::from_secs_f64(crowd.warm_up);
    let mut speaker = Speaker::new(&shape, connections, schedule, warm_up, crowd.span);
    let plan = Plan {
        name: "bench-crowd",
        connections,
        latency: true,
        clock: Some(Clock {
            pause: schedule.tick(),
            tick: Box::new(move |cx| speaker.tick(cx)),
            hears: true,
        }),
    };
    let dial = Arc::clone(&run.dial);
    let thread = Thread::spawn(plan, &shared, move |cx, number| {
        // As it is for itself: one subject without a number of its own.
        let own = shape.with_subject(&shape.subject(number));
        let publisher = (number + connections - 1) % connections;
        let receiver = Receiver::of_publisher(&own, publisher, shape.ring_frames());
        let hello = own.sub_line(0, "", false);
        dial::connect(cx, &dial, Member::new(number, receiver, hello, warm_up))
    })?;
    let mut outcome = run.outcome.clone();
    let mut watch = run.watch(&shared, events);
    let mut uncounted = 0;
    let result = (|| {
        watch.ready(connections)?;
        let _ = shared.began.set(Instant::now());
        watch.done(1, "the end of the warm-up")?;
        let meter = meter.begin();
        uncounted = shared.received_total();
        let sent = watch.published(1)?;
        // What is asked of each connection behind this would count as much as the messages.
        watch.until_received(sent[0])?;
        meter.end(&mut outcome);
        thread.command(ASK);
        watch.done(connections, "the broker's answer behind the last message")?;
        thread.command(FINISH);
        let checked = watch.checked(connections)?;
        let total = shared.published_total();
        checked.into_iter().try_for_each(|one| {
            let publisher = (one.subscriber + connections - 1) % connections;
            let (publisher, count) = (publisher as u64, connections as u64);
            let sent = (total + count - 1).saturating_sub(publisher) / count;
            settle(&[sent], &[one], Share::Each)
        })
    })();
    outcome.broker = watch.broker();
    run.outcome = outcome;
    run.count(&shared, crowd.size);
    run.outcome.messages -= uncounted;
    run.outcome.bytes -= uncounted * crowd.size as u64;
    run.outcome.latency = latency(thread.end());
    Ok(run.finish(result))
}
