//! `Client`: one client's socket. Bytes to ops, deadlines, the end.

use crate::auth::inquiry::Inquirer;
use crate::config::Auth;
use crate::core::backpressure::{self, HOLD_TIMER, crowd};
use crate::core::close::CloseReason;
use crate::core::receiver::{Label, Traffic};
use crate::link::queues::Queues;
use crate::server::lame_duck;
use crate::state::State;
use crate::state::ending::{self, ENDING_MAX};
use midge_protocol::{ClientOp, Fault, Parser, Step, Violation};
use midge_reactor::{Close, Context, Eof, Handler, Input, Key, QUEUE_BYTES_MAX, Time, TimerId};
use publishing::{Ended, a_piece, has_done_its_pieces, has_had_its_turn, pay};
use session::{After, Session};
use std::time::Duration;

pub(crate) mod listener;
mod login;
mod publishing;
mod reload;
pub(crate) mod session;

pub(crate) use login::Origin;
pub(crate) use reload::{Changes, is_same_auth};

/// A `PING` measures the round trip soon after `CONNECT`, whatever `ping_interval` is.
const FIRST_PING: Duration = Duration::from_secs(2);

/// A busy client is asked nevertheless when it has not been for so long, to know the round trip.
const ROUND_TRIP_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// How long a client that is sent away may be silent before it has nothing more to say: longer than
/// what it sent before it saw the end is on its way.
const DRAIN_SILENCE_MAX: Duration = Duration::from_secs(1);

/// The same for one in the middle of an op, and how long it may go on although it was caught up with.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How much a client that is sent away may still say, in bytes: several times what the kernels on both
/// sides hold of what it sent before it saw the end. It counts where nobody catches up with it.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Numbers of this handler's timers.
const PING: u64 = 1;
const AUTH: u64 = 2;
const DRAIN: u64 = 4;

/// What has ended a conversation.
struct Wrong {
    violation: Violation<'static>,
    /// Where the parser stopped, for the log.
    place: Option<Place>,
}

/// Where in its input a client was wrong, as far as the log may show it.
struct Place {
    text: String,
    /// Bytes that a message was to have, if it was one.
    announced: Option<usize>,
}

impl Place {
    #[cold]
    fn of(fault: Fault<'_>) -> Place {
        let announced = match fault {
            Fault::Arguments { announced, .. } => announced,
            _ => None,
        };
        let text = fault.to_string();
        Place { text, announced }
    }
}

impl From<Violation<'static>> for Box<Wrong> {
    fn from(violation: Violation<'static>) -> Box<Wrong> {
        Box::new(Wrong {
            violation,
            place: None,
        })
    }
}

/// One client's socket.
pub(crate) struct Client {
    label: Label,
    parser: Parser,
    /// `None` once the conversation is over, and for a client that was turned away: its last
    /// words may still be on their way.
    session: Option<Session>,
    /// Why it is over, if we ended it.
    reason: Option<CloseReason>,
    /// Its place among those that are about to end.
    ending: Option<ending::Place>,
    /// What it has done since it was sent away.
    drain: Option<Drain>,
    /// When the client last did more than answer a `PING`.
    last_active: Time,
    last_ping: Option<Time>,
    pings_out: u32,
    /// Bytes that were unread at the last look at whether it is alive.
    unread: usize,
    ping_timer: Option<TimerId>,
    auth_timer: Option<TimerId>,
    /// What its inquiries about passwords hang on, if there were any.
    inquirer: Option<Inquirer>,
    /// When it came.
    opened: Time,
    /// What became of the conversation, once it is over. In a box, since most clients stay.
    summary: Option<Box<Summary>>,
}

/// What a client has done since it was sent away.
#[derive(Debug, Default)]
struct Drain {
    /// What it has said, in bytes.
    said: usize,
    /// When it had got all that was queued for it, and nothing was left of what it had said.
    caught_up: Option<Time>,
}

/// What there is to tell of a conversation that is over.
#[derive(Debug)]
struct Summary {
    /// How the client has introduced itself.
    introduced: String,
    received: Traffic,
    sent: Traffic,
}

impl Client {
    /// The client behind `key`, which is welcome unless there are too many.
    pub(crate) fn accept(cx: &mut Context<'_, State>) -> Client {
        let peer = cx.peer_addr().expect("an accepted connection has a peer");
        let label = Label {
            peer,
            cid: cx.state.next_cid(),
        };
        let max = cx.state.config.connections_max;
        let welcome = cx.state.core.client_count() < max;
        // This one is open already. Where one more would be too many, one that is about to end goes at once.
        let sockets = cx.state.core.client_count() + cx.state.ending.len() + 1;
        let sockets_max = cx.state.room.clients.min(max.saturating_add(ENDING_MAX));
        if sockets > sockets_max {
            cx.state.ending.close_one(&mut cx.io);
        }
        let session = welcome.then(|| Session::new(cx.state, cx.key(), label));
        let (key, now) = (cx.key(), cx.now());
        if let (Some(session), Some(records)) = (&session, &mut cx.state.records) {
            records.arrived(label, key, session.id(), now);
        }
        Client {
            label,
            parser: Parser::default(),
            session,
            reason: None,
            ending: None,
            drain: None,
            last_active: cx.now(),
            last_ping: None,
            pings_out: 0,
            unread: 0,
            ping_timer: None,
            auth_timer: None,
            inquirer: None,
            opened: cx.now(),
            summary: None,
        }
    }

    /// Notes that its conversation is over and its socket is not closed.
    fn add_to_ending(&mut self, cx: &mut Context<'_, State>, is_sent_away: bool) {
        if self.ending.is_none() {
            self.ending = cx.state.ending.add(cx.key(), is_sent_away);
        }
    }

    /// Tells the client what it did wrong, if there is a text for it, and ends the conversation.
    fn refuse(&mut self, cx: &mut Context<'_, State>, violation: &Violation<'_>) {
        self.refuse_at(cx, violation, None);
    }

    /// As [`refuse`](Client::refuse), where its input was wrong at `place`.
    fn refuse_at(
        &mut self,
        cx: &mut Context<'_, State>,
        violation: &Violation<'_>,
        place: Option<&Place>,
    ) {
        let user = self
            .session
            .as_ref()
            .map(|session| &*session.options().user);
        log_violation(&self.label, user, violation, place, cx.state);
        session::tell(cx.key(), &self.label, violation, &mut Queues(&mut cx.io));
        self.leave(cx, CloseReason::of_violation(violation));
        self.add_to_ending(cx, true);
        if cx.io.congested(cx.key()) {
            // It reads nothing, so it would not read this: its queue is better spent on others.
            cx.close();
        } else {
            cx.close_after_write();
        }
    }

    /// Sends this client away: it gets what is queued for it, and then the end of the stream. What it
    /// says before it ends its own side is still carried out, but nothing more is delivered to it.
    pub(crate) fn drain(&mut self, cx: &mut Context<'_, State>) {
        let Some(session) = &mut self.session else {
            return;
        };
        if self.reason.replace(CloseReason::ServerShutdown).is_some() {
            return;
        }
        session.drain(cx.state);
        clear_later(cx);
        if let Some(timer) = self.ping_timer.take() {
            cx.io.cancel(timer);
        }
        cx.io.shutdown_write(cx.key());
        self.drain = Some(Drain::default());
        cx.set_deadline(DRAIN_SILENCE_MAX, DRAIN);
    }

    /// Looks whether a client that was sent away may still have something to say that it sent before
    /// it saw the end.
    fn check_drain(&mut self, cx: &mut Context<'_, State>) {
        let Some(drain) = &mut self.drain else {
            return;
        };
        let (key, now) = (cx.key(), cx.now());
        // It takes what is queued, which leaves within the write deadline or never; or it is held for
        // another, with input that was accepted; or there was no time yet to read it.
        if cx.queued() > 0 || cx.io.is_paused(key) || cx.io.has_unread(key) {
            cx.set_deadline(DRAIN_SILENCE_MAX, DRAIN);
            return;
        }
        let silence_max = match cx.io.unread(key) {
            0 => DRAIN_SILENCE_MAX,
            _ => DRAIN_MAX,
        };
        let caught_up = *drain.caught_up.get_or_insert(now);
        let silence = cx.idle_for().min(now - cx.io.resumed());
        let left = silence_max.saturating_sub(silence);
        if left.is_zero() || now - caught_up >= DRAIN_MAX {
            return cx.close();
        }
        cx.set_deadline(left, DRAIN);
    }

    /// The conversation is over: nothing is delivered to this client from here on.
    fn leave(&mut self, cx: &mut Context<'_, State>, reason: CloseReason) {
        let is_new = self.reason.is_none();
        let reason = *self.reason.get_or_insert(reason);
        if let Some(mut session) = self.session.take() {
            session.abandon(cx.state);
            if cx.state.core.scratch.has_freed_room() {
                wake(cx);
            }
            let (id, options) = (session.id(), session.options());
            if let Some(records) = &mut cx.state.records {
                records.left(&cx.state.core, id, options, reason, &cx.io);
            }
            let (received, sent) = cx.state.core.leave(id);
            clear_later(cx);
            self.summary = Some(Box::new(Summary {
                introduced: session.introduced(),
                received,
                sent,
            }));
        } else if is_new && let Some(records) = &mut cx.state.records {
            records.turned_away(self.label, reason, cx.io.now());
        }
        cx.state.core.backpressure.left(cx.key(), &mut cx.io);
        self.inquirer = None;
        for timer in [self.ping_timer.take(), self.auth_timer.take()]
            .into_iter()
            .flatten()
        {
            cx.io.cancel(timer);
        }
    }

    /// Carries out the ops in `input`; `Err` ends the conversation.
    fn run(
        &mut self,
        cx: &mut Context<'_, State>,
        input: &mut Input<'_>,
    ) -> Result<(), Box<Wrong>> {
        if self.session.is_none() {
            input.take();
            return Ok(());
        }
        loop {
            // Answers wait in the same queue: a client that does not read them must wait with what is answered.
            // What has begun goes on, since others may wait for the room that it takes.
            let has_begun = self.session.as_ref().is_some_and(Session::has_begun);
            let must_wait = !has_begun && cx.state.core.backpressure.must_wait(cx.key(), &cx.io);
            // One that must wait is asked of each op whether it is answered.
            let ended = match must_wait {
                true => Ended::Over,
                false => self.run_publishes(cx, input),
            };
            match ended {
                Ended::Over => {}
                Ended::WaitFor(receiver) => {
                    self.hold(cx, receiver, input);
                    return Ok(());
                }
                Ended::Yield => {
                    cx.yield_now();
                    return Ok(());
                }
            }
            let Some(session) = &mut self.session else {
                return Ok(());
            };
            if session.has_begun() && has_done_its_pieces(cx) {
                cx.yield_now();
                return Ok(());
            }
            if must_wait && session.rules().pedantic && !input.peek().is_empty() {
                // It may be answered before it is an op.
                self.hold(cx, cx.key(), input);
                return Ok(());
            }
            let (op, len) = match self.parser.next_of_any(input.peek(), session.rules()) {
                Ok(Step::Op { op, len }) => (op, len),
                Ok(Step::Warning(violation)) => {
                    session.tell(&violation, &mut Queues(&mut cx.io));
                    continue;
                }
                Ok(Step::Skip { len }) => {
                    input.consume(len);
                    continue;
                }
                Ok(Step::Partial { need }) => {
                    input.need(need);
                    return Ok(());
                }
                Err(violation) => {
                    let place = Some(Place::of(self.parser.fault(input.peek())));
                    return Err(Box::new(Wrong { violation, place }));
                }
            };
            if must_wait && session.may_answer(&op, cx.state) {
                self.hold(cx, cx.key(), input);
                return Ok(());
            }
            let (left, before) = (cx.io.output_left(), cx.io.produced());
            let after = session.op(&op, a_piece(left), cx.state, &mut Queues(&mut cx.io))?;
            if let ClientOp::Publish(message) = &op {
                cx.state.measure(message.subject());
                match after {
                    After::WaitFor(_) => {}
                    After::InPieces => pay(cx, 0, before),
                    _ => pay(cx, len, before),
                }
            } else {
                pay(cx, 0, before);
            }
            match after {
                After::Next => self.last_active = cx.now(),
                After::Pong => {
                    let asked = self.last_ping.filter(|_| self.pings_out > 0);
                    self.pings_out = 0;
                    if let Some(records) = &mut cx.state.records {
                        records.answered(self.label.cid, cx.io.now(), asked);
                    }
                }
                // One that was sent away is asked no more.
                After::Connected if self.reason.is_some() => {}
                After::Connected => self.connected(cx),
                After::Pending => {
                    input.consume(len);
                    self.ask(cx);
                    return Ok(());
                }
                After::WaitFor(receiver) => {
                    // The op stays in the input, and comes again when this client is read again.
                    self.hold(cx, receiver, input);
                    return Ok(());
                }
                // Another piece, or the others have their turn.
                After::InPieces => continue,
            }
            input.consume(len);
            if has_had_its_turn(cx) {
                cx.yield_now();
                return Ok(());
            }
        }
    }

    /// A `CONNECT` was accepted.
    fn connected(&mut self, cx: &mut Context<'_, State>) {
        if let (Some(session), Some(records)) = (&self.session, &mut cx.state.records) {
            records.introduced(self.label.cid, session.options(), cx.io.now());
        }
        if let Some(timer) = self.auth_timer.take() {
            cx.io.cancel(timer);
        }
        let first = FIRST_PING.min(cx.state.config.ping_interval);
        self.arm_ping_about(cx, first);
    }

    /// Sets the next look at whether it is alive, not in step with other clients.
    fn arm_ping_about(&mut self, cx: &mut Context<'_, State>, delay: Duration) {
        let spread = delay.mul_f64(0.2 * (cx.io.random() % 1000) as f64 / 1000.0);
        arm_ping(&mut self.ping_timer, cx, delay + spread);
    }

    /// Stops reading from this client, whose next op is unread, until `receiver` has caught up.
    #[cold]
    fn hold(&self, cx: &mut Context<'_, State>, receiver: Key, input: &Input<'_>) {
        let (label, unread) = (self.label, input.peek());
        let fed_by = cx.state.core.scratch.take_behind();
        if let Some(records) = &mut cx.state.records {
            let core = &cx.state.core;
            records
                .slow
                .waits(core, label, receiver, fed_by, unread, &cx.io);
        }
        cx.state
            .core
            .backpressure
            .hold(cx.key(), receiver, &mut cx.io);
    }

    /// One line about a connection that has ended: who, why, how long, how much.
    fn log_end(&self, reason: CloseReason, open: Duration) {
        if !log::log_enabled!(target: "midge", log::Level::Debug) {
            return;
        }
        let Label { peer, cid } = self.label;
        let Some(summary) = &self.summary else {
            return log::debug!(
                target: "midge", cid, peer:%, reason:%, open_seconds = open.as_secs_f64();
                "{} - Client connection closed: {reason}", self.label
            );
        };
        let Summary {
            introduced,
            received,
            sent,
        } = &**summary;
        let who = match introduced.as_str() {
            "" => String::new(),
            text => format!("{text:?}, "),
        };
        log::debug!(
            target: "midge",
            cid,
            peer:%,
            reason:%,
            client = introduced.as_str(),
            open_seconds = open.as_secs_f64(),
            in_msgs = received.messages,
            in_bytes = received.bytes,
            out_msgs = sent.messages,
            out_bytes = sent.bytes;
            "{} - Client connection closed: {reason}; {who}open for {open:.3?}, \
             in {} messages, {} bytes, out {} messages, {} bytes",
            self.label, received.messages, received.bytes, sent.messages, sent.bytes
        );
    }

    /// Looks whether a `PING` is due: sends it, or closes a client that has left too many
    /// unanswered. The next look is one interval later.
    ///
    /// Only a client that was silent can be stale. A busy one is asked to measure the round trip, at
    /// first and then seldom, and may leave that unanswered.
    fn check_alive(&mut self, cx: &mut Context<'_, State>) {
        let Some(session) = &self.session else { return };
        let interval = cx.state.config.ping_interval;
        let now = cx.now();
        // A client in the middle of a long message can say nothing else, nor can one be heard that has
        // published to very many: what it says stands behind that.
        let unread = cx.io.unread(cx.key());
        if std::mem::replace(&mut self.unread, unread) < unread || session.has_begun() {
            self.last_active = now;
        }
        let silent = now - self.last_active >= interval;
        let old = self
            .last_ping
            .is_none_or(|last| now - last >= ROUND_TRIP_AGE_MAX);
        // A client that we do not read cannot answer, nor can one that has much to take before it comes to
        // the question.
        let is_late = cx.io.is_paused(cx.key()) || cx.io.congested(cx.key());
        if (silent || old) && !is_late {
            if silent && self.pings_out >= cx.state.config.pings_out_max {
                cx.state.stats.stale += 1;
                return self.refuse(cx, &Violation::Stale);
            }
            self.pings_out += 1;
            self.last_ping = Some(now);
            let silence = cx.idle_for();
            if let Some(records) = &mut cx.state.records {
                records.pinged(self.label.cid, now, silence);
            }
            session.ping(&mut Queues(&mut cx.io));
        }
        arm_ping(&mut self.ping_timer, cx, interval);
    }
}

impl Handler<State> for Client {
    fn on_open(&mut self, cx: &mut Context<'_, State>) {
        let key = cx.key();
        session::greet(cx.state, key, &self.label, &mut Queues(&mut cx.io));
        if self.session.is_none() {
            return self.refuse(cx, &Violation::ConnectionsMax);
        }
        let Label { peer, cid } = self.label;
        log::debug!(
            target: "midge", cid, peer:%;
            "{} - Client connection created", self.label
        );
        bound_queue(cx);
        let config = &cx.state.config;
        if config.wants_credentials() {
            let timeout = config.auth_timeout;
            self.auth_timer = Some(cx.set_deadline(timeout, AUTH));
        }
        let interval = cx.state.config.ping_interval;
        arm_ping(&mut self.ping_timer, cx, interval);
    }

    fn on_input(&mut self, cx: &mut Context<'_, State>, input: &mut Input<'_>) {
        // What a panic may have left belongs to nobody.
        cx.state.core.scratch.take_tally();
        if let Some(records) = &mut cx.state.records {
            records.meter.begin_turn(cx.io.now());
        }
        let before = input.len();
        cx.state.core.backpressure.begin(cx.key(), &cx.io);
        if cx.io.is_crowded() {
            crowd::look(&mut cx.state.core, &mut cx.io);
        } else {
            cx.state.core.backpressure.nobody_crowds();
        }
        let outcome = self.run(cx, input);
        self.settle(cx.state);
        if cx.state.core.scratch.has_freed_room() {
            wake(cx);
        }
        if let Err(wrong) = outcome {
            self.refuse_at(cx, &wrong.violation, wrong.place.as_ref());
        } else if let Some(drain) = &mut self.drain {
            drain.said += before - input.len();
            if drain.said > DRAIN_BYTES_MAX {
                cx.close();
            }
        }
    }

    fn on_drain(&mut self, cx: &mut Context<'_, State>) {
        let key = cx.key();
        if let Some(records) = &mut cx.state.records {
            records.slow.caught_up(key, &cx.io);
        }
        cx.state.core.backpressure.caught_up(cx.key(), &mut cx.io);
    }

    fn on_timer(&mut self, cx: &mut Context<'_, State>, timer: u64) {
        match timer {
            PING => {
                self.ping_timer = None;
                self.check_alive(cx);
            }
            AUTH => {
                self.auth_timer = None;
                self.refuse(cx, &Violation::AuthenticationTimeout);
            }
            DRAIN => self.check_drain(cx),
            HOLD_TIMER => cx.state.core.backpressure.go_on(cx.key(), &mut cx.io),
            other => debug_assert!(false, "nobody sets timer {other} on a client"),
        }
    }

    fn on_eof(&mut self, cx: &mut Context<'_, State>) -> Eof {
        self.leave(cx, CloseReason::ClientClosed);
        self.add_to_ending(cx, false);
        Eof::Close
    }

    fn on_close(&mut self, cx: &mut Context<'_, State>, why: &Close) {
        self.leave(cx, CloseReason::of_close(why));
        if let Some(place) = self.ending.take() {
            cx.state.ending.remove(place);
        }
        let reason = self.reason.unwrap_or(CloseReason::ClientClosed);
        let (label, config, queued) = (&self.label, &cx.state.config, cx.queued());
        match reason {
            CloseReason::SlowConsumerPending => {
                cx.state.stats.slow_consumers += 1;
                let max = config.pending_bytes_max;
                log::info!(target: "midge", "{label} - Slow Consumer Detected: MaxPending of {max} Exceeded");
            }
            CloseReason::SlowConsumerTotal => {
                cx.state.stats.slow_consumers += 1;
                let max = cx.state.core.total_bytes_max;
                log::info!(
                    target: "midge",
                    "{label} - Slow Consumer Detected: MaxPendingTotal of {max} neared by all queues together; this one is among the longest, with {queued} bytes"
                );
            }
            CloseReason::SlowConsumerDeadline => {
                cx.state.stats.slow_consumers += 1;
                let deadline = config.write_deadline;
                log::info!(
                    target: "midge",
                    "{label} - Slow Consumer Detected: WriteDeadline of {deadline:?} exceeded with {queued} total bytes."
                );
            }
            CloseReason::ServerShutdown if queued > 0 => {
                log::warn!(target: "midge", "{label} - {queued} queued bytes could not be sent before the connection ended");
            }
            _ => {}
        }
        self.log_end(reason, cx.now() - self.opened);
        lame_duck::end_if_alone(cx);
    }
}

/// Those who wait for room look again.
#[cold]
fn wake(cx: &mut Context<'_, State>) {
    let Context { state, io, .. } = cx;
    state.core.backpressure.caught_up(backpressure::room(), io);
}

/// Removes what clients have left behind, a piece in each turn.
fn clear_later(cx: &mut Context<'_, State>) {
    if cx.state.core.leaving.is_to_be_scheduled() {
        cx.defer(clear);
    }
}

fn clear(cx: &mut Context<'_, State>) {
    if cx.state.core.clear_a_piece() {
        cx.defer(clear);
    }
}

/// Bounds what may wait for the present client, and for how long.
fn bound_queue(cx: &mut Context<'_, State>) {
    let (key, config) = (cx.key(), &cx.state.config);
    let pending = config.pending_bytes_max.min(QUEUE_BYTES_MAX);
    let (low, high) = match config.stall_producers {
        true => backpressure::marks(pending),
        // Nobody is ever so far behind: past this the client is closed.
        false => (pending, pending),
    };
    cx.io.watermarks(key, low, high, pending);
    // The parser bounds each op, by settings that may change while one is under way.
    cx.io.input_max(key, usize::MAX);
    cx.io.write_timeout(key, Some(config.write_deadline));
}

/// Sets the next look at whether a client is alive, in place of the one set before.
fn arm_ping(timer: &mut Option<TimerId>, cx: &mut Context<'_, State>, delay: Duration) {
    if let Some(before) = timer.replace(cx.set_deadline(delay, PING)) {
        cx.io.cancel(before);
    }
}

/// One line for the operator about what a client did wrong, who says to be `user`.
fn log_violation(
    label: &Label,
    user: Option<&str>,
    violation: &Violation<'_>,
    place: Option<&Place>,
    state: &State,
) {
    let text = place.map_or("", |place| place.text.as_str());
    match violation {
        Violation::UnknownOperation => {
            log::error!(target: "midge", "{label} - Client parser ERROR: {violation}, {text}");
        }
        Violation::Parse => {
            // The parser leaves the object of a CONNECT to the session.
            let text = place.map_or("in the arguments of CONNECT", |_| text);
            log::error!(target: "midge", "{label} - Client parser ERROR: {violation} {text}");
        }
        Violation::PeerError => log::error!(target: "midge", "{label} - Client Error {text}"),
        Violation::ControlLineTooLong => {
            let max = state.config.control_line_bytes_max;
            log::error!(target: "midge", "{label} - {violation}: max_control_line {max}, {text}");
        }
        Violation::Authorization => match (&state.config.auth, user) {
            (Auth::Users { .. }, Some(user)) => {
                log::error!(target: "midge", "{label} - authentication error - User {user:?}");
            }
            _ => log::error!(target: "midge", "{label} - authentication error"),
        },
        Violation::PayloadTooLarge => {
            let max = state.config.payload_bytes_max;
            let announced = place.and_then(|place| place.announced).unwrap_or_default();
            log::error!(target: "midge", "{label} - maximum payload exceeded: {announced} vs {max}");
        }
        _ => log::error!(target: "midge", "{label} - {violation}"),
    }
}
