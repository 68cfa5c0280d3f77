//! Connections that come, greet and go.

use std::sync::Arc;
use std::time::Instant;

use super::{Error, Run, latency, need_files, shared};
use crate::load::dial;
use crate::load::short_lived::{ShortLived, Storm};
use crate::load::thread::{Plan, Thread};
use crate::outcome::Outcome;
use crate::workload::Connect;

pub(super) fn measure(mut run: Run<'_>, connect: &Connect) -> Result<Outcome, Error> {
    // Those of the last moment may not have gone yet.
    need_files(4 * connect.concurrency)?;
    let (shared, events) = shared(connect.concurrency, 0);
    let (shared, meter) = (Arc::new(shared), run.meter.begin());
    let storm = Arc::new(Storm {
        dial: Arc::clone(&run.dial),
        span: connect.span,
        concurrency: connect.concurrency,
    });
    let plan = Plan {
        name: "bench-connect",
        connections: connect.concurrency,
        latency: true,
        clock: None,
    };
    let _ = shared.began.set(Instant::now());
    let thread = Thread::spawn(plan, &shared, move |cx, place| {
        dial::connect(cx, &storm.dial, ShortLived::new(&storm, place))
    })?;
    let mut outcome = run.outcome.clone();
    let mut watch = run.watch(&shared, events);
    let result = watch.published(connect.concurrency).map(drop);
    meter.end(&mut outcome);
    outcome.broker = watch.broker();
    run.outcome = outcome;
    run.count(&shared, 0);
    if connect.handshakes.is_some() && run.outcome.messages > 0 {
        let resumed = shared.resumed.get() as f64 / run.outcome.messages as f64;
        run.outcome.figure("resumed_share", resumed);
    }
    run.outcome.latency = latency(thread.end());
    Ok(run.finish(result))
}
