//! `Client`: a client's conversation on a [link](crate::link::Link). Bytes to ops, ops to the session, errors to an
//! end.

use crate::config::Exceeded;
use crate::core::close::CloseReason;
use crate::core::delivery::Tally;
use crate::core::receiver::{Label, line_about};
use crate::core::trace;
use crate::door::{Door, Peer};
use crate::limits::{self, Ration};
use crate::link::queues::Queues;
use crate::link::upkeep::{clear_later, tell_later, wake_if_room_is_free};
use crate::link::{self, Due, Link, Summary};
use crate::state::State;
use limited::{REFILLED, TurnedAway};
use login::Waiting;
use midge_protocol::{ClientOp, Parser, Step, Violation};
use midge_reactor::{Close, Context, Eof, Handler, Input};
use opening::{HELLO_LATE, Opening, is_proxied};
use publishing::{Ended, a_piece, has_done_its_pieces, has_had_its_turn, pay};
use session::{After, Session};
use std::sync::Arc;
use wrong::{Place, Wrong, log_violation};

mod callout;
mod denied;
mod framing;
mod limited;
pub(crate) mod listener;
mod login;
pub(crate) mod lookup;
pub(crate) mod opening;
mod publishing;
mod reload;
mod revising;
pub(crate) mod session;
mod sharing;
mod wrong;

pub(crate) use reload::Changes;

/// One client: a conversation on a link.
pub(crate) struct Client {
    link: Link,
    opening: Opening,
    parser: Parser,
    /// `None` once the conversation is over, and for a client that was turned away: its last
    /// words may still be on their way.
    session: Option<Session>,
    /// What it waits for, while it is not known who it is.
    waiting: Option<Waiting>,
}

impl Client {
    /// The client that has just connected, which is welcome unless there are too many.
    pub(crate) fn accept(cx: &mut Context<'_, State>, door: Door) -> Client {
        let peer = cx.peer_addr().map(Peer::Internet);
        let label = Label {
            peer: peer.unwrap_or_else(|| Peer::Unix(cx.peer_credentials())),
            cid: cx.state.next_cid(),
            door,
        };
        let (key, now) = (cx.key(), cx.now());
        let turned_away = turned_away(cx, &label);
        if turned_away.is_none()
            && let Some(open) = cx.state.door_mut(door)
        {
            open.clients += 1;
        }
        link::make_room(cx);
        let session = match turned_away {
            None => Some(Session::new(cx.state, key, label)),
            Some(_) => None,
        };
        if let (Some(session), Some(records)) = (&session, &mut cx.state.records) {
            records.arrived(label, key, session.id(), session.identity(), now);
            let account = cx.state.core.receiver(session.id()).account;
            cx.state.note_connections(account);
            tell_later(cx);
        }
        let mut client = Client {
            link: Link::new(label, now),
            opening: turned_away.map_or(Opening::Over, Opening::TurnedAway),
            parser: Parser::default(),
            session,
            waiting: None,
        };
        if cx.state.limiter.is_on() {
            client.begin_to_count(cx);
        }
        client
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
        self.log_wrong(cx, violation, place);
        // Before a proxy's header it is not known what it understands: TLS or a WebSocket may follow.
        if self.opening != Opening::Header {
            let (key, label) = (cx.key(), self.link.label);
            session::tell(key, &label, violation, &mut Queues(&mut cx.io));
        }
        self.leave(cx, CloseReason::of_violation(violation));
        self.link.dismiss(cx);
    }

    /// As [`refuse`](Client::refuse), for one that would not understand it. What it has sent and is not read is no
    /// reason to reset the connection.
    fn refuse_in_silence(&mut self, cx: &mut Context<'_, State>, violation: &Violation<'_>) {
        self.log_wrong(cx, violation, None);
        self.leave(cx, CloseReason::of_violation(violation));
        self.link.dismiss(cx);
    }

    /// Tells the operator what the client did wrong.
    fn log_wrong(
        &self,
        cx: &mut Context<'_, State>,
        violation: &Violation<'_>,
        place: Option<&Place>,
    ) {
        let (session, label) = (self.session.as_ref(), self.link.label);
        let (key, now) = (cx.key(), cx.now());
        if *violation == Violation::PayloadTooLarge {
            let State {
                limiter, config, ..
            } = &mut *cx.state;
            let max = session.map_or(0, |session| session.rules().payload_bytes_max);
            if max == limiter.payload_max(key) {
                limiter.passed_payload(key, now);
            } else if session.is_some() && max < config.payload_bytes_max {
                limiter.passed_login(limits::Kind::Payload);
            }
        }
        log_violation(&label, session, violation, place, cx.state, now);
    }

    /// An operator ends the conversation, for this reason.
    pub(crate) fn kick(&mut self, cx: &mut Context<'_, State>, reason: &str) {
        if self.session.is_some() {
            self.refuse(cx, &Violation::Kicked { reason });
        }
    }

    /// An operator ends the conversation, and the client is told nothing.
    pub(crate) fn kick_in_silence(&mut self, cx: &mut Context<'_, State>) {
        if self.session.is_some() {
            line_about!(info, self.link.label, "kicked by a request to $SYS");
            self.leave(cx, CloseReason::Kicked);
            self.link.dismiss(cx);
        }
    }

    /// Sends this client away: it gets what is queued for it, and then the end of the stream. What it
    /// says before it ends its own side is still carried out, but nothing more is delivered to it.
    pub(crate) fn drain(&mut self, cx: &mut Context<'_, State>) {
        let Some(session) = &mut self.session else {
            return;
        };
        if self.link.begin_drain(cx) {
            session.drain(cx.state);
            clear_later(cx);
        }
    }

    /// The conversation is over: nothing is delivered to this client from here on.
    fn leave(&mut self, cx: &mut Context<'_, State>, reason: CloseReason) {
        let (reason, is_new) = self.link.over(reason);
        self.link.tell_end(cx);
        if let Some(mut session) = self.session.take() {
            cx.state.counts.auth_failures += u64::from(reason.is_failed_login());
            session.abandon(&mut cx.state.core);
            wake_if_room_is_free(cx);
            let (id, identity) = (session.id(), session.identity());
            cx.state.note_end(id, &identity, reason, cx.io.now());
            if let Some(records) = &mut cx.state.records
                && records.left(&cx.state.core, id, identity, reason, &cx.io)
            {
                cx.state.note_slow(cx.key());
            }
            tell_later(cx);
            let account = cx.state.core.receiver(id).account;
            let (received, sent) = cx.state.core.leave(id);
            if let Some(open) = cx.state.door_mut(self.link.label.door) {
                open.clients -= 1;
            }
            clear_later(cx);
            self.link.sum_up(Summary {
                introduced: session.introduced(),
                account,
                received,
                sent,
            });
        } else if is_new && let Some(records) = &mut cx.state.records {
            let accounts = &cx.state.core.accounts;
            let account = Arc::clone(&accounts[accounts.global()].name);
            records.turned_away(self.link.label, account, reason, cx.io.now());
        }
        self.link.release(cx);
        self.stop_waiting(cx);
        self.count_no_more(cx);
    }

    /// Carries out the ops in `input`, as far as its `ration` goes if it has one; `Err` ends the conversation.
    fn run(
        &mut self,
        cx: &mut Context<'_, State>,
        input: &mut Input<'_>,
        tally: &mut Tally,
        mut ration: Option<&mut Ration>,
    ) -> Result<(), Box<Wrong>> {
        if self.session.is_none() {
            input.take();
            return Ok(());
        }
        let is_stranger =
            cx.state.limiter.is_on() && self.session.as_ref().is_some_and(Session::is_stranger);
        loop {
            // Answers wait in the same queue: a client that does not read them must wait with what is answered.
            // What has begun goes on, since others may wait for the room that it takes.
            let has_begun = self.session.as_ref().is_some_and(Session::has_begun);
            let must_wait = !has_begun && cx.state.core.backpressure.must_wait(cx.key(), &cx.io);
            // One that must wait is asked of each op whether it is answered, and a stranger who it comes as.
            let is_mapped = (self.session.as_ref()).is_some_and(|one| one.is_mapped(cx.state));
            let mut endless = Ration::ENDLESS;
            let ended = match (must_wait || is_stranger, &mut ration, is_mapped) {
                (true, ..) => Ended::Over,
                (_, None, false) => {
                    self.run_publishes::<false, false>(cx, input, tally, &mut endless)
                }
                (_, None, true) => {
                    self.run_publishes::<false, true>(cx, input, tally, &mut endless)
                }
                (_, Some(ration), false) => {
                    self.run_publishes::<true, false>(cx, input, tally, ration)
                }
                (_, Some(ration), true) => {
                    self.run_publishes::<true, true>(cx, input, tally, ration)
                }
            };
            match ended {
                Ended::Over => {}
                Ended::WaitFor(receiver) => {
                    self.link.wait_for(cx, receiver, input);
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
            if session.has_begun() && has_done_its_pieces(cx, tally) {
                cx.yield_now();
                return Ok(());
            }
            if must_wait && session.rules().pedantic && !input.peek().is_empty() {
                // It may be answered before it is an op.
                self.link.wait_for(cx, cx.key(), input);
                return Ok(());
            }
            let (op, mut len) = match self.parser.next_of_any(input.peek(), session.rules()) {
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
                    if let Some(ration) = &mut ration {
                        ration.is_drained = true;
                    }
                    input.need(need);
                    return Ok(());
                }
                Err(violation) => {
                    let place = Some(Place::of(self.parser.fault(input.peek())));
                    return Err(Box::new(Wrong { violation, place }));
                }
            };
            if is_stranger
                && !matches!(
                    op,
                    ClientOp::Connect { .. } | ClientOp::Ping | ClientOp::Pong
                )
            {
                // The op stays in the input, and comes again under the limits of the user that the client is.
                self.count_user(cx, true)?;
                cx.yield_now();
                return Ok(());
            }
            let is_message = matches!(op, ClientOp::Publish(_));
            if let Some(ration) = &mut ration
                && !session.has_begun()
                && let Some(exceeded) = ration.refuses(is_message)
            {
                match exceeded {
                    Exceeded::Disconnect => {
                        cx.state.limiter.disconnected(cx.key(), cx.now());
                        return Err(Violation::RateMax.into());
                    }
                    // It is told of each, and has to take its answers first.
                    Exceeded::Error if must_wait && session.options().verbose => {
                        self.link.wait_for(cx, cx.key(), input);
                        return Ok(());
                    }
                    Exceeded::Error => {
                        if let ClientOp::Publish(message) = &op {
                            session.dropped();
                            Client::tell_dropped(session, cx, message.subject());
                        }
                        ration.dropped += 1;
                        tally.charge(1);
                        input.consume(len);
                        continue;
                    }
                    Exceeded::Slow => {
                        ration.must_wait = true;
                        return Ok(());
                    }
                }
            }
            if must_wait && session.may_answer(&op, cx.state) {
                self.link.wait_for(cx, cx.key(), input);
                return Ok(());
            }
            let (left, before) = (cx.io.output_left(), cx.io.produced());
            let after = session.op(&op, a_piece(left), tally, cx.state, &mut Queues(&mut cx.io))?;
            if let ClientOp::Publish(message) = &op {
                cx.state.measure(message.subject(), tally);
                match after {
                    After::WaitFor(_) => {}
                    After::InPieces => pay(cx, 0, before, tally),
                    _ => pay(cx, len, before, tally),
                }
            } else {
                pay(cx, 0, before, tally);
            }
            match after {
                After::Next => self.link.heard(cx.now()),
                After::Pong => {
                    self.link.answered(cx, session.id());
                    // One says what many say. They are the most that a message of a WebSocket can inflate to.
                    if ration.is_none() && !trace::is_on() {
                        input.consume(len);
                        len = Parser::pongs(input.peek());
                    }
                }
                After::Greet => {
                    self.link.heard(cx.now());
                    self.greet_again(cx);
                }
                After::LogIn => {
                    // The former user pays for what came until here.
                    if let Some(ration) = &mut ration {
                        ration.spend(0, len);
                        let (key, now) = (cx.key(), cx.now());
                        cx.state.limiter.settle(key, ration, now);
                    }
                    self.log_in(cx)?;
                    pay(cx, 0, before, tally);
                    input.consume(len);
                    if self.is_connecting() {
                        return Ok(());
                    }
                    // What follows is held against the limits of the present user.
                    if cx.state.limiter.is_on() || has_had_its_turn(cx, tally) {
                        cx.yield_now();
                        return Ok(());
                    }
                    continue;
                }
                After::WaitFor(receiver) => {
                    // The op stays in the input, and comes again when this client is read again.
                    self.link.wait_for(cx, receiver, input);
                    return Ok(());
                }
                // Another piece, or the others have their turn.
                After::InPieces => continue,
            }
            input.consume(len);
            if let Some(ration) = &mut ration {
                ration.spend(usize::from(is_message), len);
            }
            if has_had_its_turn(cx, tally) {
                cx.yield_now();
                return Ok(());
            }
        }
    }

    /// A `CONNECT` was accepted.
    fn connected(&mut self, cx: &mut Context<'_, State>) {
        self.tell_about(cx);
        if let (Some(session), Some(records)) = (&self.session, &mut cx.state.records) {
            records.introduced(self.link.label.cid, session.identity(), cx.io.now());
            cx.state.note_connected(session.id(), cx.io.now());
            tell_later(cx);
        }
        self.link.logged_in(cx);
    }
}

impl Client {
    /// Leaves what is told of it, if its account tells others of its clients.
    pub(crate) fn tell_about(&mut self, cx: &mut Context<'_, State>) {
        let Some(session) = &self.session else {
            return;
        };
        let id = session.id();
        if cx
            .state
            .core
            .tells_of_clients(cx.state.core.receiver(id).account)
        {
            let about = sharing::about(cx, &self.link, &session.identity());
            cx.state.core.set_about(id, about);
        }
    }
}

/// Why one that has just connected may not stay. A client behind a proxy is held against limits when it is known
/// who that is.
fn turned_away(cx: &mut Context<'_, State>, label: &Label) -> Option<TurnedAway> {
    let config = &cx.state.config;
    let own_max = config.terms(label.door).connections_max;
    let here = cx.state.door(label.door).map_or(0, |open| open.clients);
    let is_full = cx.state.core.client_count() >= config.connections_max;
    if is_full || own_max.is_some_and(|max| here >= max) {
        return Some(TurnedAway::ByServer);
    }
    if is_proxied(config, label) {
        return None;
    }
    let now = cx.now();
    let admitted = cx.state.limiter.admit_address(label.peer.source(), now);
    admitted.err().map(TurnedAway::ByLimit)
}

impl Handler<State> for Client {
    fn on_open(&mut self, cx: &mut Context<'_, State>) {
        if self.session.is_none() {
            return self.turn_away(cx);
        }
        let Label { peer, cid, door } = self.link.label;
        let by = match cx.state.config.terms(door).name {
            "" => String::new(),
            name => format!(" by listener {name}"),
        };
        log::debug!(
            target: "midge", cid, peer:%;
            "{} - Client connection created{by}", self.link.label
        );
        self.open(cx);
    }

    fn on_handshake(&mut self, cx: &mut Context<'_, State>) {
        self.secured(cx);
    }

    fn on_input(&mut self, cx: &mut Context<'_, State>, input: &mut Input<'_>) {
        if self.opening != Opening::Over && !self.goes_on(cx, input) {
            return;
        }
        let before = input.len();
        let mut ration = Client::ration(cx);
        let outcome = self.take_turn(cx, |client, cx, tally| {
            client.run(cx, input, tally, ration.as_mut())
        });
        if let Some(ration) = ration {
            self.settle(cx, ration);
        }
        wake_if_room_is_free(cx);
        if let Err(wrong) = outcome {
            self.refuse_at(cx, &wrong.violation, wrong.place.as_ref());
        } else {
            self.link.said(cx, before - input.len());
        }
    }

    fn on_drain(&mut self, cx: &mut Context<'_, State>) {
        self.link.caught_up(cx);
    }

    fn on_timer(&mut self, cx: &mut Context<'_, State>, timer: u64) {
        if timer == HELLO_LATE {
            return self.hello_is_late(cx);
        }
        if timer == REFILLED {
            return self.refilled(cx);
        }
        let is_busy = self.session.as_ref().is_some_and(Session::has_begun);
        match self.link.on_timer(cx, timer, is_busy) {
            Due::Nothing => {}
            Due::Ping => {
                if let Some(session) = &self.session {
                    session.ping(&mut Queues(&mut cx.io));
                }
            }
            Due::Stale => self.refuse(cx, &Violation::Stale),
            Due::LoginTimeout if self.opening == Opening::Header => self.header_is_late(cx),
            Due::LoginTimeout if self.is_called_out() => self.answer_is_late(cx),
            Due::LoginTimeout => self.refuse(cx, &Violation::AuthenticationTimeout),
            Due::LoginTurn => self.take_its_turn(cx),
            Due::LoginExpired => {
                let told = self.session.as_ref().map(Session::expiry);
                self.refuse(cx, &told.unwrap_or(Violation::AuthenticationExpired));
            }
        }
    }

    fn on_eof(&mut self, cx: &mut Context<'_, State>) -> Eof {
        self.leave(cx, CloseReason::ClientClosed);
        self.link.stand_with_ending(cx, false);
        Eof::Close
    }

    fn on_close(&mut self, cx: &mut Context<'_, State>, why: &Close) {
        self.give_up_handshake(cx);
        let reason = self.reason_of(cx, why);
        self.leave(cx, reason);
        self.link.closed(cx, "Client");
    }
}
