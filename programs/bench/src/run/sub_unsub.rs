//! Subscriptions of one connection that come and go.

use std::sync::Arc;
use std::time::Instant;

use super::{Error, Run, shared};
use crate::load::churner::{Churner, SUBSCRIBE, TRY, TRY_AGAIN, UNSUBSCRIBE};
use crate::load::dial;
use crate::load::thread::{Plan, Thread};
use crate::outcome::Outcome;
use crate::workload::SubUnsub;

pub(super) fn measure(mut run: Run<'_>, subs: &SubUnsub) -> Result<Outcome, Error> {
    let (shared, events) = shared(0, 0);
    let (shared, meter) = (Arc::new(shared), run.meter);
    let (subject, count) = (run.subject(), subs.subscriptions);
    let dial = Arc::clone(&run.dial);
    let plan = Plan {
        name: "bench-churn",
        connections: 1,
        latency: false,
        clock: None,
    };
    let thread = Thread::spawn(plan, &shared, move |cx, _| {
        dial::connect(cx, &dial, Churner::new(&subject, count))
    })?;
    let mut outcome = run.outcome.clone();
    let mut watch = run.watch(&shared, events);
    let result = (|| {
        watch.ready(1)?;
        let whole = meter.begin();
        for (command, name) in [(SUBSCRIBE, "sub"), (UNSUBSCRIBE, "unsub")] {
            let (began, step) = (Instant::now(), meter.begin());
            thread.command(command);
            watch.done(1, "the broker's answer behind the last line")?;
            let rate = count as f64 / began.elapsed().as_secs_f64();
            outcome.figure(&format!("{name}_rate"), rate);
            if let Some(cpu) = step.broker_cpu() {
                outcome.figure(&format!("{name}_cpu_nanos"), cpu * 1e9 / count as f64);
            }
            if command == SUBSCRIBE {
                whole.end(&mut outcome);
                if let Some(resident) = meter.resident() {
                    let grown = resident.saturating_sub(meter.resident_before) as f64;
                    outcome.figure("bytes_per_subscription", grown / count as f64);
                }
            }
            let tried = if command == SUBSCRIBE { TRY } else { TRY_AGAIN };
            thread.command(tried);
            watch.done(
                1,
                "the broker's answer behind the messages that try subscriptions",
            )?;
        }
        whole.end(&mut outcome);
        Ok(())
    })();
    outcome.broker = watch.broker();
    run.outcome = outcome;
    run.outcome.messages = if result.is_ok() { 2 * count as u64 } else { 0 };
    drop(thread);
    Ok(run.finish(result))
}
