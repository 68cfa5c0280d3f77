//! Whether the far end lives: who was silent for long is asked, and closed if too many questions stay unanswered.
//!
//! Only one that was silent can be stale. A busy one is asked to measure the round trip, at first and then seldom,
//! and may leave that unanswered.

use super::{Due, PING};
use crate::state::State;
use midge_reactor::{Context, Time, TimerId};
use std::time::Duration;

/// A question measures the round trip soon after login, whatever `ping_interval` is.
const FIRST_PING: Duration = Duration::from_secs(2);

/// A busy connection is asked nevertheless when it has not been for so long, to know the round trip.
const ROUND_TRIP_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// When one was heard, and what it was asked.
pub(super) struct Liveness {
    /// When it last did more than answer a question.
    last_active: Time,
    last_ping: Option<Time>,
    pings_out: u32,
    /// Bytes that were unread at the last look.
    unread: usize,
    timer: Option<TimerId>,
}

impl Liveness {
    pub(super) fn new(now: Time) -> Liveness {
        Liveness {
            last_active: now,
            last_ping: None,
            pings_out: 0,
            unread: 0,
            timer: None,
        }
    }

    /// It has done more than to answer a question.
    #[inline]
    pub(super) fn heard(&mut self, now: Time) {
        self.last_active = now;
    }

    /// It has answered; says when it was asked, if that was not answered before.
    pub(super) fn answered(&mut self) -> Option<Time> {
        let asked = self.last_ping.filter(|_| self.pings_out > 0);
        self.pings_out = 0;
        asked
    }

    /// Sets the next look, in place of the one set before.
    pub(super) fn arm(&mut self, cx: &mut Context<'_, State>, delay: Duration) {
        if let Some(before) = self.timer.replace(cx.set_deadline(delay, PING)) {
            cx.io.cancel(before);
        }
    }

    /// Sets the first one after login.
    pub(super) fn arm_first(&mut self, cx: &mut Context<'_, State>) {
        let first = FIRST_PING.min(cx.state.config.ping_interval);
        self.arm_about(cx, first);
    }

    /// Sets the next one if there is one, the interval being another now.
    pub(super) fn arm_anew(&mut self, cx: &mut Context<'_, State>) {
        if self.timer.is_none() {
            return;
        }
        match self.last_ping {
            None => self.arm_first(cx),
            Some(_) => {
                let interval = cx.state.config.ping_interval;
                self.arm_about(cx, interval);
            }
        }
    }

    /// Not in step with other connections.
    fn arm_about(&mut self, cx: &mut Context<'_, State>, delay: Duration) {
        let jitter = delay.mul_f64(0.2 * (cx.io.random() % 1000) as f64 / 1000.0);
        self.arm(cx, delay + jitter);
    }

    /// There are no more looks.
    pub(super) fn end(&mut self, cx: &mut Context<'_, State>) {
        if let Some(timer) = self.timer.take() {
            cx.io.cancel(timer);
        }
    }

    /// The look for which the timer came. The next one is one interval later.
    pub(super) fn look(&mut self, cx: &mut Context<'_, State>, cid: u64, is_busy: bool) -> Due {
        self.timer = None;
        let interval = cx.state.config.ping_interval;
        let now = cx.now();
        // One in the middle of a long message can say nothing else, nor can one be heard that has
        // published to very many: what it says stands behind that.
        let unread = cx.io.unread(cx.key());
        if std::mem::replace(&mut self.unread, unread) < unread || is_busy {
            self.last_active = now;
        }
        let silent = now - self.last_active >= interval;
        let is_old = |last: Time| now - last >= ROUND_TRIP_AGE_MAX;
        let old = self.last_ping.is_none_or(is_old);
        // One that we do not read cannot answer, nor can one that has much to take before it comes to
        // the question.
        let is_late = cx.io.is_paused(cx.key()) || cx.io.congested(cx.key());
        let asks = (silent || old) && !is_late;
        if asks && silent && self.pings_out >= cx.state.config.pings_out_max {
            cx.state.counts.stale += 1;
            return Due::Stale;
        }
        self.arm(cx, interval);
        if !asks {
            return Due::Nothing;
        }
        self.pings_out += 1;
        self.last_ping = Some(now);
        let silence = cx.idle_for();
        if let Some(records) = &mut cx.state.records {
            records.pinged(cid, now, silence);
        }
        Due::Ping
    }
}
