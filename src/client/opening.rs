//! What comes before a client's conversation: `INFO`, and with TLS the handshake. Who speaks first is a setting.
//!
//! ```text
//! open ─┬─ no TLS, INFO ────────────────────────────▶ Over
//!       ├─ from a proxy: its header, in the time for CONNECT, and then as below
//!       ├─ WebSocket: TLS, upgrade ─▶ Upgrade ──────▶ Over, INFO
//!       ├─ allow_non_tls, INFO ─▶ Undecided ─┬──────▶ Over         its first byte is none of TLS
//!       │                                    ▼
//!       ├─ INFO ─────────────────────────▶ Handshake ─▶ Over
//!       ├─ handshake_first ──────────────▶ Handshake ─▶ Over, INFO
//!       └─ handshake_first: a time ─▶ Waiting ─▲      its first byte, or the time is over, INFO
//! ```
//!
//! The time for `CONNECT` begins when this is over: before, a text would land in the middle of a handshake.

use super::Client;
use super::framing;
use super::limited::TurnedAway;
use super::session::{self, Session};
use super::wrong::{is_told, kind_of_error};
use crate::auth::certificate::{DistinguishedName, Names};
use crate::auth::failures::Kind;
use crate::config::Config;
use crate::core::close::CloseReason;
use crate::core::receiver::{Label, line_about};
use crate::door::{Door, Transport};
use crate::link::queues::Queues;
use crate::state::State;
use crate::tls::{self, Failure, HANDSHAKE_RECORD, HandshakeFirst, Purpose};
use jiff::Timestamp;
use midge_protocol::{Violation, proxy};
use midge_reactor::{Close, Context, Input, Key};

/// The number of the timer for a client that may begin the handshake by itself.
pub(super) const HELLO_LATE: u64 = 16;

/// How far a connection is before its conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opening {
    /// Its conversation goes on.
    Over,
    /// It has been sent `INFO`; its first byte will tell whether it speaks TLS.
    Undecided,
    /// It may begin the handshake, or else is sent `INFO`.
    Waiting,
    /// The handshake is under way.
    Handshake { is_greeted: bool },
    /// The request is to come that makes it a WebSocket, and TLS before that if it is there.
    Upgrade { has_tls: bool },
    /// A proxy is to tell for whom it is, before anything else.
    Header,
    /// Its conversation will not begin.
    TurnedAway(TurnedAway),
}

/// Whether a proxy is to tell for whom a connection is.
pub(super) fn is_proxied(config: &Config, label: &Label) -> bool {
    let proxies = config.terms(label.door).proxy_protocol;
    let comes_from = proxies.zip(label.peer.ip());
    comes_from.is_some_and(|(proxies, ip)| proxies.trusts(ip))
}

impl Client {
    /// The connection is open.
    pub(super) fn begin(&mut self, cx: &mut Context<'_, State>) {
        let door = self.link.label.door;
        if door.transport() == Transport::WebSocket {
            if !may_begin(cx, door) {
                // Nothing can be said before TLS.
                self.leave(cx, CloseReason::ConnectionsMax);
                return cx.close();
            }
            framing::begin(cx, door);
            let has_tls = tls::is_begun(&cx.io, cx.key());
            self.opening = Opening::Upgrade { has_tls };
            if has_tls {
                cx.state.counts.tls_handshakes.began();
            }
            return;
        }
        if self.is_refused_peer(cx) {
            self.greet(cx);
            return self.refuse(cx, &Violation::Authorization);
        }
        let terms = cx.state.config.terms(self.link.label.door);
        let Some(tls) = terms.tls else {
            self.greet(cx);
            return self.converse(cx);
        };
        if terms.allow_non_tls {
            self.opening = Opening::Undecided;
            self.greet(cx);
            return self.converse(cx);
        }
        match tls.handshake_first {
            HandshakeFirst::No => self.secure(cx, false),
            HandshakeFirst::Yes => self.secure(cx, true),
            HandshakeFirst::Within(delay) => {
                self.opening = Opening::Waiting;
                cx.set_deadline(delay, HELLO_LATE);
            }
        }
    }

    /// Whether its process is none of those that may use its Unix socket.
    pub(super) fn is_refused_peer(&self, cx: &Context<'_, State>) -> bool {
        let unix = cx.state.config.terms(self.link.label.door).unix;
        let credentials = self.link.label.peer.credentials();
        unix.is_some_and(|unix| {
            unix.refuse_others && credentials.is_none_or(|who| unix.user_of(who).is_none())
        })
    }

    /// The connection is open: from a proxy the header comes first, from others what the settings say.
    pub(super) fn open(&mut self, cx: &mut Context<'_, State>) {
        let label = &self.link.label;
        let terms = cx.state.config.terms(label.door);
        let refuses_others = (terms.proxy_protocol).is_some_and(|proxies| !proxies.others_may_come);
        if is_proxied(&cx.state.config, label) {
            let timeout = terms.login_time;
            self.opening = Opening::Header;
            self.link.await_login(cx, timeout);
        } else if refuses_others && label.peer.ip().is_some() {
            self.end_without_words(cx, "is none of the trusted proxies of proxy_protocol");
        } else {
            self.begin(cx);
        }
    }

    /// It may not stay, since there are too many: tells it why, where that costs no handshake.
    pub(super) fn turn_away(&mut self, cx: &mut Context<'_, State>) {
        let why = match self.opening {
            Opening::TurnedAway(why) => why,
            _ => TurnedAway::ByServer,
        };
        let (door, violation) = (self.link.label.door, why.violation());
        let by_websocket = door.transport() == Transport::WebSocket;
        let is_proxied = is_proxied(&cx.state.config, &self.link.label);
        let terms = cx.state.config.terms(door);
        let speaks_tls = terms.proxy_protocol.is_some()
            && terms.tls.is_some_and(|tls| {
                !terms.allow_non_tls && tls.handshake_first == HandshakeFirst::Yes
            });
        if speaks_tls || by_websocket && (is_proxied || why != TurnedAway::ByServer) {
            return self.refuse_in_silence(cx, &violation);
        }
        if by_websocket {
            framing::begin(cx, door);
        }
        self.greet(cx);
        self.refuse(cx, &violation);
    }

    /// Something has come before the conversation: whether that goes on with it, or with what is left of it.
    #[cold]
    pub(super) fn goes_on(&mut self, cx: &mut Context<'_, State>, input: &mut Input<'_>) -> bool {
        if self.opening == Opening::Header && !self.read_header(cx, input) {
            return false;
        }
        if matches!(self.opening, Opening::TurnedAway(_)) {
            input.take();
            return false;
        }
        self.opening == Opening::Over || self.is_in_clear(cx, input)
    }

    /// Reads the header of a proxy; answers whether this handler gets what follows, and no layer.
    fn read_header(&mut self, cx: &mut Context<'_, State>, input: &mut Input<'_>) -> bool {
        let (header, len) = match proxy::header(input.peek()) {
            Ok(None) => return false,
            Ok(Some(read)) => read,
            Err(fault) => {
                input.take();
                self.end_without_words(cx, &format!("closed: {fault}"));
                return false;
            }
        };
        input.consume(len);
        self.link.end_login(cx);
        self.opening = Opening::Over;
        if let (proxy::Header::Client(addr), Some(session)) = (header, &mut self.session) {
            line_about!(debug, self.link.label, "Proxied for {addr}");
            self.link.label.peer = addr.into();
            session.relabel(self.link.label, cx.state);
            if let Some(records) = &mut cx.state.records {
                records.forwarded(self.link.label);
            }
            if cx.state.limiter.is_on()
                && let Err(why) = self.count_proxied(cx)
            {
                self.opening = Opening::TurnedAway(why);
                self.turn_away(cx);
                return false;
            }
        }
        self.begin(cx);
        !matches!(
            self.opening,
            Opening::Upgrade { .. } | Opening::Handshake { .. }
        )
    }

    /// Its header has not come in time.
    pub(super) fn header_is_late(&mut self, cx: &mut Context<'_, State>) {
        self.end_without_words(cx, "closed: no PROXY protocol header in time");
    }

    /// Ends a connection of which it is not known what it understands.
    fn end_without_words(&mut self, cx: &mut Context<'_, State>, why: &str) {
        let now = cx.now();
        if is_told(cx.state, Kind::Beginning, now) {
            line_about!(error, self.link.label, "{why}");
        }
        self.leave(cx, CloseReason::ProtocolViolation);
        cx.close();
    }

    /// The settings of TLS are new. One that has been told nothing yet is told what they say of it, unless it may
    /// still begin the handshake by itself. What others were told holds for them: who heard of TLS may have begun it,
    /// who did not speaks in clear.
    pub(super) fn begin_anew(&mut self, cx: &mut Context<'_, State>) {
        if self.opening != Opening::Waiting || self.session.is_none() {
            return;
        }
        let terms = cx.state.config.terms(self.link.label.door);
        let may_wait = terms.tls.is_some_and(|tls| {
            !terms.allow_non_tls && matches!(tls.handshake_first, HandshakeFirst::Within(_))
        });
        if !may_wait {
            self.opening = Opening::Over;
            self.begin(cx);
        }
    }

    /// A client that might have begun the handshake by itself has not.
    pub(super) fn hello_is_late(&mut self, cx: &mut Context<'_, State>) {
        if self.opening == Opening::Waiting && self.session.is_some() {
            self.secure(cx, false);
        }
    }

    /// The first bytes have come, which are left unread: whether the conversation goes on with them.
    fn is_in_clear(&mut self, cx: &mut Context<'_, State>, input: &Input<'_>) -> bool {
        let Some(first) = input.peek().first() else {
            return false;
        };
        // What looks like TLS is none where settings that came meanwhile have switched it off.
        let has_tls = cx.state.config.terms(self.link.label.door).tls.is_some();
        if self.opening == Opening::Undecided && (*first != HANDSHAKE_RECORD || !has_tls) {
            self.opening = Opening::Over;
            return true;
        }
        self.link.end_login(cx);
        self.secure(cx, true);
        false
    }

    /// Begins the handshake; sends `INFO` before it, unless the client speaks first or has got it.
    fn secure(&mut self, cx: &mut Context<'_, State>, client_speaks: bool) {
        let was = std::mem::replace(&mut self.opening, Opening::Over);
        let may_begin = may_begin(cx, self.link.label.door);
        if !client_speaks {
            self.greet(cx);
        }
        if !may_begin {
            return self.refuse(cx, &Violation::Throttled);
        }
        let tls = cx.state.config.terms(self.link.label.door).tls;
        let Some((tls, certificates)) = tls.and_then(|tls| Some((tls, tls.certificates()?))) else {
            debug_assert!(false, "nobody waits for a handshake without TLS");
            return cx.close();
        };
        line_about!(
            debug,
            self.link.label,
            "Starting TLS client connection handshake"
        );
        self.opening = Opening::Handshake {
            is_greeted: !client_speaks || was == Opening::Undecided,
        };
        cx.state.counts.tls_handshakes.began();
        let key = cx.key();
        certificates.start(&mut cx.io, key, Purpose::Clients, tls.timeout);
    }

    /// The handshake is over.
    pub(super) fn secured(&mut self, cx: &mut Context<'_, State>) {
        let is_greeted = match self.opening {
            Opening::Handshake { is_greeted } => is_greeted,
            Opening::Upgrade { .. } => false,
            _ => return,
        };
        if self.is_in_handshake() {
            let is_resumed = tls::is_resumed(&cx.io, cx.key());
            cx.state.counts.tls_handshakes.done(is_resumed);
        }
        self.opening = Opening::Over;
        if self.session.is_none() {
            return;
        }
        if tls::has_ended(&cx.io, cx.key(), Timestamp::now()) {
            let (label, now) = (&self.link.label, cx.now());
            if is_told(cx.state, Kind::Beginning, now) {
                line_about!(
                    error,
                    label,
                    "TLS handshake error: the certificate of a session taken up again has expired"
                );
            }
            self.leave(cx, CloseReason::TlsHandshake);
            return cx.close();
        }
        // The settings may have changed while the handshake was under way.
        let terms = cx.state.config.terms(self.link.label.door);
        if !tls::is_pinned(&cx.io, cx.key(), terms.tls) {
            return self.refuse(cx, &Violation::Authorization);
        }
        let label = &self.link.label;
        let is_told = log::log_enabled!(target: "midge", log::Level::Debug);
        if (is_told || cx.state.records.is_some())
            && let Some(settled) = tls::settled(&cx.io, cx.key())
        {
            line_about!(debug, label, "TLS handshake complete");
            line_about!(
                debug,
                label,
                "TLS version {}, cipher suite {}",
                settled.version,
                settled.cipher_suite
            );
            if let Some(records) = &mut cx.state.records {
                records.secured(label.cid, settled);
            }
        }
        self.certify(cx);
        self.forwarded(cx);
        if !is_greeted {
            self.greet(cx);
        }
        self.converse(cx);
    }

    /// Whether a handshake of TLS has begun and is not over.
    fn is_in_handshake(&self) -> bool {
        match self.opening {
            Opening::Handshake { .. } => true,
            Opening::Upgrade { has_tls } => has_tls,
            Opening::Over
            | Opening::Undecided
            | Opening::Waiting
            | Opening::Header
            | Opening::TurnedAway(_) => false,
        }
    }

    /// The connection has ended, before its handshake was over if that had begun.
    pub(super) fn give_up_handshake(&self, cx: &mut Context<'_, State>) {
        if self.is_in_handshake() {
            cx.state.counts.tls_handshakes.failed();
        }
    }

    /// Notes the names in the client's certificate, where they tell which user it is.
    pub(super) fn certify(&mut self, cx: &Context<'_, State>) {
        let terms = cx.state.config.terms(self.link.label.door);
        if terms.map_certificates()
            && let Some(session) = &mut self.session
            && let Some(names) = tls::names(&cx.io, cx.key())
        {
            session.certified(Names {
                emails: names.emails,
                hosts: names.hosts,
                uris: names.uris,
                subject: DistinguishedName::of_certificate(names.subject),
            });
        }
    }

    /// Sends `INFO`.
    pub(super) fn greet(&self, cx: &mut Context<'_, State>) {
        let (key, label) = (cx.key(), &self.link.label);
        let nonce = self.session.as_ref().and_then(Session::nonce);
        let at = framing::seen_at(&cx.io, key, label);
        let out = &mut Queues(&mut cx.io);
        session::greet(cx.state, key, label, at, nonce, usize::MAX, out);
    }

    /// Sends `INFO` once more.
    pub(super) fn greet_again(&mut self, cx: &mut Context<'_, State>) {
        let Some(session) = &self.session else {
            return;
        };
        let (key, label) = (cx.key(), &self.link.label);
        let payload_max = session.rules().payload_bytes_max;
        let at = framing::seen_at(&cx.io, key, label);
        let out = &mut Queues(&mut cx.io);
        session::greet(cx.state, key, label, at, None, payload_max, out);
    }

    /// Sends `INFO` as it is in lame duck mode, to this client alone.
    pub(crate) fn tell_lame_duck(&mut self, cx: &mut Context<'_, State>) {
        let before = std::mem::replace(&mut cx.state.info.ldm, true);
        self.greet_again(cx);
        cx.state.info.ldm = before;
    }

    /// The conversation begins.
    fn converse(&mut self, cx: &mut Context<'_, State>) {
        self.link.open(cx);
        if self.session.as_ref().is_some_and(Session::is_awaited) {
            let timeout = cx.state.config.terms(self.link.label.door).login_time;
            self.link.await_login(cx, timeout);
        }
    }

    /// Why the connection has ended, as far as the reactor knows; tells of a handshake that has failed.
    pub(super) fn reason_of(&self, cx: &mut Context<'_, State>, why: &Close) -> CloseReason {
        let label = &self.link.label;
        let failure = tls::failure(why);
        let in_handshake = match self.opening {
            Opening::Handshake { .. } => true,
            // It may be that of TLS, or the upgrade.
            Opening::Upgrade { .. } => failure.is_some(),
            _ => false,
        };
        let now = cx.now();
        if !in_handshake {
            return match failure {
                Some(Failure::Error(text)) => {
                    if is_told(cx.state, kind_of_error(self.session.as_ref()), now) {
                        line_about!(error, label, "TLS error: {text}");
                    }
                    CloseReason::ReadError
                }
                Some(_) => CloseReason::ClientClosed,
                None => CloseReason::of_close(why),
            };
        }
        match failure {
            Some(Failure::Error(_) | Failure::Timeout)
                if !is_told(cx.state, Kind::Beginning, now) => {}
            Some(Failure::Error(text)) => {
                line_about!(error, label, "TLS handshake error: {text}");
            }
            Some(Failure::Timeout) => {
                line_about!(error, label, "TLS handshake timeout");
            }
            // Probes of the port do so all day long.
            Some(Failure::LeftInHandshake | Failure::Truncated) => {
                line_about!(debug, label, "TLS handshake error: EOF");
            }
            None => {}
        }
        match why {
            Close::Shutdown | Close::Local => CloseReason::of_close(why),
            _ => CloseReason::TlsHandshake,
        }
    }
}

/// Whether one more handshake may begin at this door, in this second.
fn may_begin(cx: &mut Context<'_, State>, door: Door) -> bool {
    let (now, tls) = (cx.now(), cx.state.config.terms(door).tls);
    let max = tls.and_then(|tls| tls.connection_rate_limit);
    let open = cx.state.door_mut(door);
    open.is_none_or(|open| open.handshakes.may_begin(now, max))
}

/// Sends `INFO` once more to all clients that may be sent it at any time; the others get it after their first `PONG`,
/// or never asked for it.
pub(crate) fn broadcast_info(cx: &mut Context<'_, State>) {
    let takers = cx.state.core.clients().filter(|one| one.takes_info);
    let takers: Vec<Key> = takers.map(|one| one.key).collect();
    for key in takers {
        // Each has a longest payload of its own, which its session knows.
        cx.call(key, Client::greet_again);
    }
}
