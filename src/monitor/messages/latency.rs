//! How long services take, told in the account that serves: what `core/crossing/latency.rs` has measured, as
//! nats-server tells it.
//!
//! ```text
//! {"type":"io.nats.server.metric.v1.service_latency","id":..,"timestamp":..,"status":200,
//!  "requestor":{"acc":"B","rtt":52000},"responder":{..},"header":{..},"start":..,"service":..,"system":..,"total":..}
//! ```
//!
//! Times are in nanoseconds, of the turns in which messages came. `service` is without the round trip of who answers,
//! `total` with that of who asks. `system` is 0: an answer leaves in the turn in which it comes.

use super::events::number;
use super::{say_in, serve};
use crate::core::crossing::{MEASURED_MAX, Measured, Outcome};
use crate::core::delivery::may_reach;
use crate::state::State;
use jiff::Timestamp;
use midge_reactor::{Context, Time};
use serde_json::json;
use std::time::Duration;

/// Events that are told in one turn.
const TOLD_MAX: usize = 256;

/// Tells what waits, a bounded number a turn, and sees to it that what is over is told in time.
pub(super) fn tell(cx: &mut Context<'_, State>) {
    if cx.state.core.requests.is_timing {
        cx.state.core.requests.is_timing = false;
        arm(cx);
    }
    let now = cx.now();
    let State { core, serving, .. } = &mut *cx.state;
    serving
        .unmeasured
        .add(std::mem::take(&mut core.requests.unmeasured));
    if let Some(count) = serving.unmeasured.tell(now) {
        log::warn!(target: "midge", "{count} messages about the latency of services were dropped: more than {MEASURED_MAX} waited");
    }
    for _ in 0..TOLD_MAX {
        let Some(measured) = cx.state.core.requests.measured.pop_front() else {
            break;
        };
        let sample = &measured.sample;
        let (account, subject) = (sample.account.id, sample.measuring.subject.as_bytes());
        let core = &mut cx.state.core;
        // It may have been closed since.
        if core.accounts.is_open(sample.account) && may_reach(core, account, subject) {
            let id = number(cx);
            let payload = event(&measured, &id, cx.now());
            say_in(cx, account, subject, payload.as_bytes());
        }
    }
}

/// Wakes when the time of the next request is over that is measured.
fn arm(cx: &mut Context<'_, State>) {
    let now = cx.now();
    let next = cx.state.core.end_late_samples(now);
    let armed = cx.state.serving.late;
    if next == armed.map(|(until, _)| until) {
        return;
    }
    if let Some((_, timer)) = cx.state.serving.late.take() {
        cx.io.cancel(timer);
    }
    if let Some(until) = next {
        let timer = cx.after(until - now, |cx| {
            cx.state.serving.late = None;
            cx.state.core.requests.is_timing = true;
            serve(cx);
        });
        cx.state.serving.late = Some((until, timer));
    }
}

fn event(measured: &Measured, id: &str, now: Time) -> String {
    let Measured { sample, outcome } = measured;
    let wall = Timestamp::now();
    let requested = now - sample.began + sample.round_trip;
    let start = wall - requested;
    let (status, description) = match outcome {
        Outcome::Answered { .. } => (200, ""),
        Outcome::NoReply => (400, ",\"description\":\"Bad Request\""),
        Outcome::NoResponder => (503, ",\"description\":\"Service Unavailable\""),
        Outcome::TooLate => (504, ",\"description\":\"Service Timeout\""),
    };
    let (mut responder, mut times) = (String::new(), [Duration::ZERO; 2]);
    if let Outcome::Answered {
        responder: told,
        round_trip,
        at,
    } = outcome
    {
        let taken = *at - sample.began;
        times = [taken.saturating_sub(*round_trip), taken + sample.round_trip];
        if !told.is_empty() {
            responder = format!(",\"responder\":{}", String::from_utf8_lossy(told));
        }
    }
    let header = match &sample.header {
        Some(header) => format!(",\"header\":{}", json!(header)),
        None => String::new(),
    };
    let requester = match &*sample.requester {
        b"" => "{}".into(),
        told => String::from_utf8_lossy(told),
    };
    let [service, total] = times.map(|time| time.as_nanos());
    format!(
        "{{\"type\":\"io.nats.server.metric.v1.service_latency\",\"id\":\"{id}\",\"timestamp\":\"{wall}\",\
         \"status\":{status}{description},\"requestor\":{requester}{responder}{header},\"start\":\"{start}\",\
         \"service\":{service},\"system\":0,\"total\":{total}}}"
    )
}
