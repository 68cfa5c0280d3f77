//! `HttpConnection`: one connection that asks over HTTP. Bytes to requests, answers to bytes, deadlines.

pub(super) mod request;
pub(super) mod response;

use crate::link::log_accept_error;
use crate::monitor::endpoints::{self, Body, Endpoint, Field, Response};
use crate::monitor::view::View;
use crate::monitor::{Budget, Kicked, Pieces};
use crate::records::http_connections::HttpConnections;
use crate::state::State;
use crate::tls::{self, Failure, HANDSHAKE_RECORD, Purpose};
use jiff::Timestamp;
use midge_reactor::{Accept, Close, Context, Eof, Handler, Input, Io, Key, ListenerAddr, TimerId};
use request::{Request, Step};
use response::{Framing, LAST_CHUNK, Refusal};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// What an answer in one piece costs, in places looked at.
const WHOLE_COST: usize = 125;

/// How long a request may take to come, from the opening or its first byte.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a connection may be silent between two requests.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// How long what is queued may take to leave.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// The marks and the bound of the queue, in bytes. A piece comes when it is down at the low mark.
const LOW: usize = 64 * 1024;
const HIGH: usize = 256 * 1024;
const QUEUE_MAX: usize = 4 * 1024 * 1024;

/// An answer that is not longer is sent with its length, and in one piece.
const WHOLE_MAX: usize = 64 * 1024;

/// What one is told who asks in clear where there is TLS.
const NOT_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Numbers of this handler's timers: the next piece is due, a request is late.
const PIECE: u64 = 1;
const LATE: u64 = 2;

/// Closes the client behind a key for this reason. The server knows how: nothing here knows of clients.
pub(crate) type Kick = fn(&mut Context<'_, State>, Key, Rc<str>);

/// The listener for monitoring.
#[derive(Debug)]
pub(crate) struct HttpListener {
    /// What closes a client.
    pub(crate) kick: Kick,
}

impl Accept<State> for HttpListener {
    fn accept(&mut self, cx: &mut Context<'_, State>) -> Box<dyn Handler<State>> {
        let places = cx.state.room.http + cx.state.room.newcomers;
        change(cx, |connections, key, io| {
            connections.arrived(key, places, io)
        });
        let monitor = cx.state.config.monitor.as_ref();
        Box::new(HttpConnection {
            awaits_hello: monitor.is_some_and(|monitor| monitor.tls),
            answering: None,
            late: None,
            kick: self.kick,
        })
    }

    fn on_error(&mut self, _: &mut Context<'_, State>, listener: &ListenerAddr, error: &io::Error) {
        log_accept_error(listener, error);
    }
}

/// Notes something of the present connection, and closes the one that has to go because of it.
fn change(
    cx: &mut Context<'_, State>,
    note: impl FnOnce(&mut HttpConnections, Key, &Io<'_>) -> Option<(Key, Duration)>,
) {
    let key = cx.key();
    let Some(records) = &mut cx.state.records else {
        return;
    };
    if let Some((gone, waited)) = note(&mut records.http, key, &cx.io) {
        let peer = cx.io.peer_addr(gone).map(|peer| peer.to_string());
        log::debug!(
            target: "midge",
            "{} - Monitoring connection closed for another: it has kept us waiting for {waited:?}",
            peer.unwrap_or_default()
        );
        cx.io.close(gone);
    }
}

/// One connection that asks.
struct HttpConnection {
    /// Its first byte is to be one of TLS, and has not come.
    awaits_hello: bool,
    /// The answer that is being made. Nothing is read meanwhile.
    answering: Option<Answering>,
    late: Option<TimerId>,
    kick: Kick,
}

/// An answer that is made piece by piece.
struct Answering {
    pieces: Box<dyn Pieces>,
    request: Request,
    fields: Vec<Field>,
    /// What stands behind the last piece.
    last: &'static [u8],
    /// What was made and is not queued.
    made: Vec<u8>,
    /// The head has left: how the rest is framed.
    framing: Option<Framing>,
}

impl Answering {
    /// Makes the next piece; answers whether more comes.
    fn make(&mut self, view: &View<'_>, budget: &mut Budget) -> bool {
        let more = self.pieces.next(view, budget, &mut self.made);
        if !more {
            self.made.extend_from_slice(self.last);
        }
        more
    }

    /// What can be sent of what was made, with the head in front of the first of it. A short answer
    /// waits for its end, so that its length can be told.
    fn framed(&mut self, more: bool, now: Timestamp) -> Vec<u8> {
        let mut out = Vec::new();
        let framing = match self.framing {
            Some(framing) => framing,
            None if more && self.made.len() <= WHOLE_MAX => return out,
            None => {
                let framing = match (more, self.request.chunks) {
                    (false, _) => Framing::Length(self.made.len()),
                    (true, true) => Framing::Chunks,
                    (true, false) => Framing::UntilClose,
                };
                self.request.keep_alive &= framing != Framing::UntilClose;
                let stays = self.request.keep_alive;
                response::head(&mut out, response::OK, &self.fields, framing, stays, now);
                *self.framing.insert(framing)
            }
        };
        match framing {
            _ if self.request.is_head() => {}
            Framing::Chunks => {
                response::chunk(&mut out, &self.made);
                if !more {
                    out.extend_from_slice(LAST_CHUNK);
                }
            }
            Framing::Length(_) | Framing::UntilClose => out.extend_from_slice(&self.made),
        }
        self.made.clear();
        out
    }

    /// Whether nothing more is to be sent, whatever is still to be made.
    fn is_all_sent(&self) -> bool {
        self.request.is_head() && self.framing.is_some()
    }
}

impl HttpConnection {
    /// Answers one request, or begins to, within a number of places looked at; answers whether the next may
    /// come.
    fn answer(&mut self, cx: &mut Context<'_, State>, request: Request, cost: usize) -> bool {
        let Some(mut records) = cx.state.records.take() else {
            // There is no listener without records.
            cx.close();
            return false;
        };
        records.look(cx.now());
        let mut budget = records.take_budget(cx.io.stats().turns);
        budget.spend(cost);
        records.give_back(budget);
        if let Some(endpoint) = Endpoint::of(cx.state, &request.path) {
            records.asked(endpoint.name());
        }
        let view = View {
            state: cx.state,
            records: &records,
            sockets: &cx.io,
        };
        let answer = endpoints::answer(&view, &request);
        cx.state.records = Some(records);
        let Response {
            status,
            fields,
            body,
        } = answer;
        match body {
            Body::Whole(body) => {
                let (framing, stays) = (Framing::Length(body.len()), request.keep_alive);
                let mut out = Vec::new();
                response::head(&mut out, status, &fields, framing, stays, wall(cx));
                if !request.is_head() {
                    out.extend_from_slice(&body);
                }
                cx.send(&out);
                end(cx, stays)
            }
            Body::Pieces {
                first,
                pieces,
                last,
            } => {
                self.answering = Some(Answering {
                    pieces,
                    request,
                    fields,
                    last,
                    made: first,
                    framing: None,
                });
                cx.pause();
                self.go_on(cx);
                false
            }
        }
    }

    /// Makes the next piece, if there is anything left of this turn for it, and sends what can be.
    fn go_on(&mut self, cx: &mut Context<'_, State>) {
        let Some(mut answering) = self.answering.take() else {
            return;
        };
        let Some(mut records) = cx.state.records.take() else {
            return;
        };
        let mut budget = records.take_budget(cx.io.stats().turns);
        let view = View {
            state: cx.state,
            records: &records,
            sockets: &cx.io,
        };
        let more = budget.is_empty() || answering.make(&view, &mut budget);
        let out = answering.framed(more, view.now());
        let kicked = answering.pieces.take_kicked();
        records.give_back(budget);
        cx.state.records = Some(records);
        if !out.is_empty() {
            cx.send(&out);
        }
        if let Some(kicked) = kicked {
            self.close_kicked(cx, kicked);
        }
        if more && !answering.is_all_sent() {
            let bytes = answering.made.capacity() + answering.pieces.bytes();
            self.answering = Some(answering);
            change(cx, |connections, key, io| connections.holds(key, bytes, io));
            // Whose queue is long is told when it is short again.
            if !cx.io.congested(cx.key()) {
                cx.set_timer(Duration::ZERO, PIECE);
            }
        } else {
            change(cx, |connections, key, io| connections.holds(key, 0, io));
            if end(cx, answering.request.keep_alive) {
                cx.resume();
            }
        }
    }

    fn close_kicked(&self, cx: &mut Context<'_, State>, kicked: Kicked) {
        let by = cx.peer_addr().map(|peer| peer.to_string());
        log::info!(
            target: "midge",
            "Kicking {} connection(s), as asked by {}: {}",
            kicked.keys.len(), by.unwrap_or_default(), kicked.reason
        );
        for key in kicked.keys {
            (self.kick)(cx, key, Rc::clone(&kicked.reason));
        }
    }

    fn refuse(&mut self, cx: &mut Context<'_, State>, refusal: Refusal) {
        let (status, text) = refusal.status_and_text();
        let (framing, now) = (Framing::Length(text.len()), wall(cx));
        let mut out = Vec::new();
        response::head(&mut out, status, &[endpoints::PLAIN], framing, false, now);
        out.extend_from_slice(text.as_bytes());
        cx.send(&out);
        cx.close_after_write();
    }

    /// The first bytes have come where there is TLS. They are left unread for the handshake, or refused.
    fn secure(&mut self, cx: &mut Context<'_, State>, input: &mut Input<'_>) {
        let Some(first) = input.peek().first() else {
            return;
        };
        self.awaits_hello = false;
        if *first != HANDSHAKE_RECORD {
            input.take();
            cx.send(NOT_TLS);
            return cx.close_after_write();
        }
        let key = cx.key();
        let tls = cx.state.config.tls.as_ref();
        match tls.and_then(|tls| Some((tls, tls.certificates()?))) {
            Some((tls, certificates)) => {
                certificates.start(&mut cx.io, key, Purpose::Monitoring, tls.timeout);
            }
            // A reload has taken the certificates away.
            None => cx.close(),
        }
    }

    /// A request that has begun must end in time; between two there is no hurry.
    fn expect(&mut self, cx: &mut Context<'_, State>, begun: bool) {
        if begun && self.late.is_none() {
            self.late = Some(cx.set_deadline(REQUEST_TIME_MAX, LATE));
        } else if !begun && let Some(timer) = self.late.take() {
            cx.io.cancel(timer);
        }
    }
}

/// An answer is queued; answers whether the connection goes on.
fn end(cx: &mut Context<'_, State>, keep_alive: bool) -> bool {
    if !keep_alive {
        cx.close_after_write();
    }
    keep_alive
}

/// The date.
fn wall(cx: &Context<'_, State>) -> Timestamp {
    let records = cx.state.records.as_ref();
    records.map_or_else(Timestamp::default, |records| {
        records.clock.wall_of(cx.now())
    })
}

/// Whether there is anything left of this turn for a new request.
fn may_answer(cx: &mut Context<'_, State>) -> bool {
    let turn = cx.io.stats().turns;
    cx.state.records.as_mut().is_none_or(|records| {
        let budget = records.take_budget(turn);
        let any = !budget.is_half_spent();
        records.give_back(budget);
        any
    })
}

impl Handler<State> for HttpConnection {
    fn on_open(&mut self, cx: &mut Context<'_, State>) {
        let key = cx.key();
        cx.io.watermarks(key, LOW, HIGH, QUEUE_MAX);
        cx.io.write_timeout(key, Some(WRITE_TIME_MAX));
        cx.idle_timeout(Some(IDLE_MAX));
        self.expect(cx, true);
    }

    fn on_input(&mut self, cx: &mut Context<'_, State>, input: &mut Input<'_>) {
        if self.awaits_hello {
            return self.secure(cx, input);
        }
        // One probe costs nothing: it is answered whatever others have asked for in this turn.
        let mut may_be_free = true;
        loop {
            if cx.io.congested(cx.key()) {
                // A peer that asks and does not read is not read.
                change(cx, |connections, key, io| connections.holds(key, 0, io));
                return cx.pause();
            }
            match request::next(input.peek()) {
                Ok(Step::Whole { request, len }) => {
                    let is_probe =
                        Endpoint::of(cx.state, &request.path).is_some_and(Endpoint::is_probe);
                    let cost = if may_be_free && is_probe {
                        0
                    } else {
                        WHOLE_COST
                    };
                    let places = cx.state.room.http;
                    change(cx, |connections, key, io| {
                        connections.asked(key, places, io)
                    });
                    if cost > 0 && !may_answer(cx) {
                        return cx.yield_now();
                    }
                    may_be_free = false;
                    input.consume(len);
                    self.expect(cx, false);
                    if !self.answer(cx, request, cost) {
                        return;
                    }
                }
                Ok(Step::Partial { need }) => {
                    input.need(need);
                    return self.expect(cx, !input.is_empty());
                }
                Err(refusal) => {
                    input.take();
                    self.expect(cx, false);
                    return self.refuse(cx, refusal);
                }
            }
        }
    }

    fn on_drain(&mut self, cx: &mut Context<'_, State>) {
        if self.answering.is_some() {
            cx.set_timer(Duration::ZERO, PIECE);
        } else {
            cx.resume();
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_, State>, timer: u64) {
        match timer {
            PIECE => self.go_on(cx),
            LATE => {
                self.late = None;
                self.refuse(cx, Refusal::Timeout);
            }
            other => debug_assert!(false, "nobody sets timer {other} on a connection that asks"),
        }
    }

    fn on_eof(&mut self, _: &mut Context<'_, State>) -> Eof {
        Eof::Close
    }

    fn on_close(&mut self, cx: &mut Context<'_, State>, why: &Close) {
        if let Some(Failure::Error(text)) = tls::failure(why) {
            let peer = cx.peer_addr().map(|peer| peer.to_string());
            let peer = peer.unwrap_or_default();
            log::debug!(target: "midge", "{peer} - Monitoring connection closed: TLS error: {text}");
        }
        change(cx, |connections, key, _| {
            connections.left(key);
            None
        });
        if let Some(timer) = self.late.take() {
            cx.io.cancel(timer);
        }
    }
}
