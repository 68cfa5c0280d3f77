//! Connections that do nothing, and what each costs.

use std::sync::Arc;
use std::time::Duration;

use super::{Error, Run, need_files, shared};
use crate::load::dial;
use crate::load::idler::Idler;
use crate::load::thread::{Plan, Thread};
use crate::outcome::Outcome;
use crate::workload::Idle;

pub(super) fn measure(mut run: Run<'_>, idle: &Idle) -> Result<Outcome, Error> {
    let connections = idle.connections;
    need_files(connections)?;
    let (shared, events) = shared(0, 0);
    let (shared, meter) = (Arc::new(shared), run.meter);
    let (subject, subscriptions) = (run.subject(), idle.subscriptions);
    let dial = Arc::clone(&run.dial);
    let plan = Plan {
        name: "bench-idle",
        connections,
        latency: false,
        clock: None,
    };
    let thread = Thread::spawn(plan, &shared, move |cx, number| {
        let line = |sub| format!("SUB {subject}.{number:06}.{sub:06} {sub}\r\n");
        let subs: String = (0..subscriptions).map(line).collect();
        dial::connect(cx, &dial, Idler::new("an idle connection", &subs))
    })?;
    let mut outcome = run.outcome.clone();
    let mut watch = run.watch(&shared, events);
    let mut held = None;
    let result = (|| {
        let ready = watch.ready(connections);
        meter.end(&mut outcome);
        ready?;
        let resting = meter.begin();
        watch.hold(Duration::from_secs_f64(idle.hold))?;
        held = resting.broker_cpu();
        Ok(())
    })();
    outcome.broker = watch.broker();
    run.outcome = outcome;
    if result.is_err() {
        // Who knows how many there were.
        return Ok(run.finish(result));
    }
    run.outcome.messages = connections as u64;
    if let Some(usage) = &mut run.outcome.usage {
        let after = meter.resident().unwrap_or(usage.resident_after);
        usage.resident_after = after;
        let grown = after.saturating_sub(usage.resident_before) as f64;
        let each = grown / connections as f64;
        run.outcome.figure("bytes_per_connection", each);
    }
    if let (Some(cpu), true) = (held, idle.hold > 0.0) {
        run.outcome.figure("idle_cores", cpu / idle.hold);
    }
    drop(thread);
    Ok(run.finish(result))
}
