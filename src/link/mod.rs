//! `Link`: what every connection that carries messages has, whatever is spoken on it. Deadlines, a look whether the far end lives,
//! waiting for others, the end and the line about it in the log.
//!
//! A conversation owns its link: `client/` has that of a client. The link says what is [due](Due); what is then
//! said is a matter of the conversation's protocol.

mod accepting;
mod draining;
mod end;
mod liveness;
pub(crate) mod queues;
pub(crate) mod saying;
pub(crate) mod shutdown;
pub(crate) mod upkeep;

pub(crate) use accepting::log_accept_error;
pub(crate) use end::Summary;

use crate::core::backpressure::HOLD_TIMER;
use crate::core::close::CloseReason;
use crate::core::receiver::Label;
use crate::core::sublist::ReceiverId;
use crate::door::Source;
use crate::state::State;
use crate::state::ending::{self, ENDING_MAX};
use crate::websocket::Framing;
use draining::Drain;
use liveness::Liveness;
use midge_reactor::{Context, Input, Key, Time, TimerId};
use std::time::Duration;
use upkeep::tell_later;

/// Numbers of a link's timers; [`HOLD_TIMER`] is one more.
const PING: u64 = 1;
const LOGIN: u64 = 2;
const DRAIN: u64 = 4;
const EXPIRY: u64 = 5;
const TURN: u64 = 6;

/// What a timer asks of the conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Due {
    Nothing,
    /// The far end is to be asked for a sign of life.
    Ping,
    /// It has left too many of those questions unanswered, and is to be closed.
    Stale,
    /// It has not logged in in time.
    LoginTimeout,
    /// What it presents may be looked at now.
    LoginTurn,
    /// Its login is good no longer.
    LoginExpired,
}

/// One connection.
pub(crate) struct Link {
    pub label: Label,
    /// Why it is over, once it is.
    reason: Option<CloseReason>,
    /// Its place among those that are about to end.
    ending: Option<ending::Place>,
    /// What it has done since it was sent away.
    drain: Option<Drain>,
    liveness: Liveness,
    login_timer: Option<TimerId>,
    expiry_timer: Option<TimerId>,
    /// When it came.
    opened: Time,
    /// What became of the conversation, once it is over. In a box, since most links stay.
    summary: Option<Box<Summary>>,
}

impl Link {
    /// The link of a connection that comes now.
    pub(crate) fn new(label: Label, now: Time) -> Link {
        Link {
            label,
            reason: None,
            ending: None,
            drain: None,
            liveness: Liveness::new(now),
            login_timer: None,
            expiry_timer: None,
            opened: now,
            summary: None,
        }
    }

    /// How long it has been there.
    pub(crate) fn age(&self, now: Time) -> Duration {
        now - self.opened
    }

    /// Where it comes from, whatever it claims in a request of WebSocket: anybody can claim that. Limits go by this.
    pub(crate) fn source(&self, cx: &Context<'_, State>) -> Source {
        let framing = cx.layer::<Framing>();
        match framing.and_then(Framing::forwarded_from) {
            Some(ip) => Source::Address(ip.to_canonical()),
            None => self.label.peer.source(),
        }
    }

    /// The conversation begins: bounds the queue, and sets the first look whether the far end lives.
    pub(crate) fn open(&mut self, cx: &mut Context<'_, State>) {
        queues::bound(cx);
        let interval = cx.state.config.ping_interval;
        self.liveness.arm(cx, interval);
    }

    /// Gives the far end so long to log in, from now on.
    pub(crate) fn await_login(&mut self, cx: &mut Context<'_, State>, timeout: Duration) {
        let deadline = cx.set_deadline(timeout, LOGIN);
        if let Some(before) = self.login_timer.replace(deadline) {
            cx.io.cancel(before);
        }
    }

    /// What it presents is looked at so much later: [`Due::LoginTurn`].
    pub(crate) fn put_off_login(cx: &mut Context<'_, State>, delay: Duration) -> TimerId {
        cx.set_deadline(delay, TURN)
    }

    /// Nothing more is awaited of it.
    pub(crate) fn end_login(&mut self, cx: &mut Context<'_, State>) {
        if let Some(timer) = self.login_timer.take() {
            cx.io.cancel(timer);
        }
    }

    /// Its login is good until then; `None` is for as long as it stays.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_, State>, until: Option<Time>) {
        let deadline = until.map(|until| cx.set_deadline(until - cx.now(), EXPIRY));
        if let Some(before) = std::mem::replace(&mut self.expiry_timer, deadline) {
            cx.io.cancel(before);
        }
    }

    /// It has logged in: it is asked for a sign of life soon, to know the round trip.
    pub(crate) fn logged_in(&mut self, cx: &mut Context<'_, State>) {
        self.liveness.arm_first(cx);
    }

    /// The interval of questions has changed.
    pub(crate) fn ping_interval_changed(&mut self, cx: &mut Context<'_, State>) {
        self.liveness.arm_anew(cx);
    }

    /// It has done more than to answer a question.
    #[inline]
    pub(crate) fn heard(&mut self, now: Time) {
        self.liveness.heard(now);
    }

    /// `receiver`, which it is, has answered a question.
    pub(crate) fn answered(&mut self, cx: &mut Context<'_, State>, receiver: ReceiverId) {
        // An answer without a question costs no search.
        let Some(asked) = self.liveness.answered() else {
            return;
        };
        let now = cx.io.now();
        let receiver = cx.state.core.receiver_mut(receiver);
        receiver.answered_in(now - asked);
        if let Some(records) = &mut cx.state.records {
            records.answered(self.label.cid, now, asked);
        }
    }

    /// Stops reading from it, whose next op is unread, until `receiver` has caught up.
    #[cold]
    pub(crate) fn wait_for(&self, cx: &mut Context<'_, State>, receiver: Key, input: &Input<'_>) {
        let key = cx.key();
        let fed_by = cx.state.core.scratch.take_behind();
        if let Some(records) = &mut cx.state.records {
            let (core, unread) = (&cx.state.core, input.peek());
            let slow = &mut records.slow;
            if slow.waits(core, self.label, receiver, fed_by, unread, &cx.io) {
                cx.state.note_slow(receiver);
                tell_later(cx);
            }
        }
        let backpressure = &mut cx.state.core.backpressure;
        backpressure.wait_for(key, receiver, &mut cx.io);
    }

    /// Its queue is short again: reads from those that wait for it.
    pub(crate) fn caught_up(&mut self, cx: &mut Context<'_, State>) {
        let key = cx.key();
        if let Some(records) = &mut cx.state.records
            && records.slow.caught_up(key, &cx.io)
        {
            cx.state.note_slow(key);
            tell_later(cx);
        }
        cx.state.core.backpressure.caught_up(key, &mut cx.io);
    }

    /// A timer has come; `is_busy` if the conversation cannot come to an answer before something else is over.
    pub(crate) fn on_timer(
        &mut self,
        cx: &mut Context<'_, State>,
        timer: u64,
        is_busy: bool,
    ) -> Due {
        match timer {
            // Nothing is asked of it any more.
            PING if self.is_over() => {}
            PING => return self.liveness.look(cx, self.label.cid, is_busy),
            LOGIN => {
                self.login_timer = None;
                return Due::LoginTimeout;
            }
            EXPIRY => {
                self.expiry_timer = None;
                return Due::LoginExpired;
            }
            TURN => return Due::LoginTurn,
            DRAIN => self.check_drain(cx),
            HOLD_TIMER => {
                let key = cx.key();
                cx.state.core.backpressure.go_on(key, &mut cx.io);
            }
            other => debug_assert!(false, "nobody sets timer {other} on a link"),
        }
        Due::Nothing
    }
}

/// Another socket is open: where one more would be too many, one that is about to end goes at once.
pub(crate) fn make_room(cx: &mut Context<'_, State>) {
    let max = cx.state.config.connections_max;
    let sockets = cx.state.core.client_count() + cx.state.ending.len() + 1;
    let sockets_max = cx.state.room.clients.min(max.saturating_add(ENDING_MAX));
    if sockets > sockets_max {
        cx.state.ending.close_one(&mut cx.io);
    }
}
