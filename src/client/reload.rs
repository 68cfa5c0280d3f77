//! What new settings mean for a client that is connected.

use super::Client;
use super::login::inquirer;
use super::opening::Opening;
use super::session::Session;
use crate::auth;
use crate::auth::inquiry::Purpose;
use crate::auth::tokens::Now;
use crate::config::Config;
use crate::door::Door;
use crate::link::queues;
use crate::state::State;
use crate::tls;
use midge_protocol::Violation;
use midge_reactor::Context;

/// What about new settings concerns clients that are connected.
#[derive(Debug)]
pub(crate) struct Changes {
    bounds: bool,
    pings: bool,
    limits: bool,
    /// Limits of addresses and users.
    shared: bool,
    /// Keys that certificates of clients may have.
    pins: bool,
    /// Who speaks first.
    opening: bool,
    /// What clients must present.
    pub(crate) credentials: bool,
}

impl Changes {
    /// The settings are `config` now and were `former`.
    pub(crate) fn of(former: &Config, config: &Config) -> Changes {
        let bounds = |config: &Config| {
            let Config {
                pending_bytes_max,
                stall_producers,
                write_deadline,
                ..
            } = *config;
            (pending_bytes_max, stall_producers, write_deadline)
        };
        let limits = |config: &Config| {
            let Config {
                payload_bytes_max,
                control_line_bytes_max,
                subscriptions_max,
                ..
            } = *config;
            (payload_bytes_max, control_line_bytes_max, subscriptions_max)
        };
        let shared = |config: &Config| (config.address_limits.clone(), config.user_limits);
        let pins = |config: &Config| {
            let of = |door: Door| Some(config.terms(door).tls?.pinned_certs.clone());
            config.doors().map(of).collect::<Vec<_>>()
        };
        let opening = |config: &Config| {
            let of = |door: Door| {
                let terms = config.terms(door);
                let first = terms.tls.map(|tls| tls.handshake_first);
                (first, terms.allow_non_tls)
            };
            config.doors().map(of).collect::<Vec<_>>()
        };
        Changes {
            opening: opening(former) != opening(config),
            bounds: bounds(former) != bounds(config),
            pings: former.ping_interval != config.ping_interval,
            limits: limits(former) != limits(config),
            shared: shared(former) != shared(config),
            pins: pins(former) != pins(config),
            credentials: !auth::is_same(former, config),
        }
    }

    /// What clients must present is another, and nothing else.
    pub(crate) fn of_credentials() -> Changes {
        Changes {
            bounds: false,
            pings: false,
            limits: false,
            shared: false,
            pins: false,
            opening: false,
            credentials: true,
        }
    }

    /// Whether there is anything for a client to do.
    pub(crate) fn is_any(&self) -> bool {
        let Changes {
            bounds,
            pings,
            limits,
            shared,
            pins,
            opening,
            credentials,
        } = *self;
        bounds || pings || limits || shared || pins || opening || credentials
    }
}

impl Client {
    /// Goes on under new settings, or ends.
    pub(crate) fn reloaded(&mut self, cx: &mut Context<'_, State>, changes: &Changes) {
        let tls = cx.state.config.terms(self.link.label.door).tls;
        if changes.pins && !tls::is_pinned(&cx.io, cx.key(), tls) {
            return self.refuse(cx, &Violation::Authorization);
        }
        if changes.credentials {
            // One that came before certificates told the user has shown it all the same.
            self.certify(cx);
        }
        // It has come by a socket that is for others, whatever it has presented.
        if changes.credentials && self.session.is_some() && self.is_refused_peer(cx) {
            return self.refuse(cx, &Violation::Authorization);
        }
        let now = Now::at(cx.now());
        let is_connecting = self.is_connecting();
        let is_asked = self.is_asked(cx);
        let Some(session) = &mut self.session else {
            return;
        };
        let (purpose, verdict) = match is_connecting {
            // What it has presented is held against the new settings instead.
            true => (Purpose::Connect, Some(session.check(cx.state, &now))),
            false => (
                Purpose::Reload,
                session.reloaded(changes.credentials, cx.state, &now),
            ),
        };
        // An inquiry about what clients must present now goes on.
        if let Some(verdict) = verdict
            && !is_asked
            && let Err(violation) = self.decide(cx, inquirer(cx, purpose), verdict)
        {
            return self.refuse(cx, &violation);
        }
        if changes.credentials
            && let Some((decider, account)) = self.session.as_ref().and_then(Session::decided)
        {
            cx.state.callouts.has_put(decider, account);
        }
        if changes.credentials
            && let Some(session) = &self.session
            && session.has_too_many_subscriptions(cx.state)
        {
            return self.refuse(cx, &Violation::SubscriptionsMax);
        }
        let is_awaited = self.session.as_ref().is_some_and(Session::is_awaited);
        if !is_awaited && !self.is_connecting() && self.opening != Opening::Header {
            self.link.end_login(cx);
        }
        if changes.shared || changes.credentials {
            self.limits_changed(cx);
        }
        if changes.bounds {
            queues::bound(cx);
        }
        if changes.pings {
            self.link.ping_interval_changed(cx);
        }
        if changes.opening {
            self.begin_anew(cx);
        }
    }

    /// Another token of an account has come, whose callout may have let it in: goes on under that, or ends.
    pub(crate) fn decider_changed(
        &mut self,
        cx: &mut Context<'_, State>,
        account: &str,
        changes: &Changes,
    ) {
        let session = self.session.as_ref();
        if session.is_some_and(|session| session.was_decided_by(account)) {
            self.reloaded(cx, changes);
        }
    }

    /// There are too many clients, and this one is to go.
    pub(crate) fn close_as_surplus(&mut self, cx: &mut Context<'_, State>) {
        if self.session.is_some() {
            self.refuse(cx, &Violation::ConnectionsMax);
        }
    }
}
