//! A client whose address, user or account has limits: whether it may come in, what it may send in its turn, and what becomes
//! of it when it sends more. What is counted is a matter of the [`Limiter`](crate::limits::Limiter).
//!
//! One that is slowed down is not read until its wait is over. What is queued for it leaves meanwhile, and it is
//! asked for no sign of life, as no client is that is not read. Its own `PING` stands in line with its messages.

use super::Client;
use super::opening::{Opening, is_proxied};
use super::session::Session;
use crate::config::Limits;
use crate::limits::{Ration, Refusal, Scope};
use crate::link::queues::Queues;
use crate::state::State;
use midge_protocol::Violation;
use midge_reactor::Context;

/// The number of the timer that ends a client's wait.
pub(super) const REFILLED: u64 = 17;

/// Why a connection is turned away that was just accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TurnedAway {
    /// There are too many of all.
    ByServer,
    /// There are too many of its address.
    ByLimit(Refusal),
}

impl TurnedAway {
    pub(super) fn violation(self) -> Violation<'static> {
        match self {
            TurnedAway::ByServer => Violation::ConnectionsMax,
            TurnedAway::ByLimit(refusal) => violation(Scope::Address, refusal),
        }
    }
}

fn violation(scope: Scope, refusal: Refusal) -> Violation<'static> {
    match (refusal, scope) {
        (Refusal::Connections, Scope::Account) => Violation::AccountConnectionsMax,
        (Refusal::Connections, _) => Violation::OwnConnectionsMax,
        (Refusal::Arrivals, _) => Violation::ConnectionRateMax,
    }
}

impl Client {
    /// It counts for its address from here on.
    fn count_address(&mut self, cx: &mut Context<'_, State>) {
        let (key, cid, address) = (cx.key(), self.link.label.cid, self.link.source(cx));
        let Some(session) = &mut self.session else {
            return;
        };
        cx.state
            .limiter
            .enter_address(key, cid, session.id(), address);
        if session.limited(cx.state) {
            self.greet_again(cx);
        }
    }

    /// A proxy has told its address.
    ///
    /// # Errors
    /// Why it may not stay.
    #[cold]
    pub(super) fn count_proxied(&mut self, cx: &mut Context<'_, State>) -> Result<(), TurnedAway> {
        let (source, now) = (self.link.source(cx), cx.now());
        let admitted = cx.state.limiter.admit_address(source, now);
        admitted.map_err(TurnedAway::ByLimit)?;
        // A reload may have counted it for the proxy.
        self.count_no_more(cx);
        self.count_address(cx);
        Ok(())
    }

    /// It is known who it is: it counts for its user and its account from here on. With its `CONNECT` it is coming; one that need not
    /// present anything comes with its first op. Before that it counts for nobody and is not refused: it may be
    /// somebody else, and one that says nothing takes no place from others.
    ///
    /// # Errors
    /// The violation after which the connection is to be closed.
    #[cold]
    pub(super) fn count_user(
        &mut self,
        cx: &mut Context<'_, State>,
        is_coming: bool,
    ) -> Result<(), Violation<'static>> {
        let (key, cid, now) = (cx.key(), self.link.label.cid, cx.now());
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let of_account = session
            .account_name()
            .map(|name| cx.state.account_limits(name).connections_max);
        let State {
            limiter,
            config,
            core,
            ..
        } = &mut *cx.state;
        let has_come = session.has_come(core) || is_coming;
        if is_coming {
            session.comes();
        }
        let user = session.proved_user().filter(|_| has_come);
        let account = session.account_name().filter(|_| has_come);
        let of_account = of_account.map(|connections_max| Limits {
            connections_max,
            ..Limits::default()
        });
        let members = [
            (Scope::User, user, user.map(|name| *config.limits_of(name))),
            (Scope::Account, account, of_account),
        ];
        for (scope, name, limits) in members {
            let is_new = limiter.member_of(key, scope) != name;
            if is_new {
                limiter.leave_member(key, scope, now);
            }
            if let Some((name, limits)) = name.zip(limits) {
                if is_new && is_coming {
                    let admitted = limiter.admit_member(scope, name, &limits, now);
                    admitted.map_err(|refusal| violation(scope, refusal))?;
                }
                limiter.enter_member(scope, name, &limits, key, cid, session.id());
            }
        }
        if session.limited(cx.state) {
            self.greet_again(cx);
        }
        Ok(())
    }

    /// The limits are others now. It stays, but for [those that are too many](crate::limits::Limiter::surplus).
    pub(super) fn limits_changed(&mut self, cx: &mut Context<'_, State>) {
        self.count_no_more(cx);
        // One that a proxy sends counts when it is known for whom it is.
        if self.opening != Opening::Header {
            self.count_address(cx);
        }
        // Who is here already is not coming, so it is not refused.
        let _ = self.count_user(cx, false);
    }

    /// It has just been let in. One that a proxy has sent counts for its address as soon as that is known.
    #[cold]
    pub(super) fn begin_to_count(&mut self, cx: &mut Context<'_, State>) {
        if !is_proxied(&cx.state.config, &self.link.label) {
            self.count_address(cx);
        }
        if let Some(session) = &mut self.session {
            session.will_be_greeted(cx.state);
        }
    }

    /// It counts for no address and no user any more, and waits for nothing.
    pub(super) fn count_no_more(&mut self, cx: &mut Context<'_, State>) {
        let (key, now) = (cx.key(), cx.now());
        if let Some(timer) = cx.state.limiter.leave(key, now) {
            cx.io.cancel(timer);
            cx.io.resume(key);
        }
    }

    /// What it may send in its turn; `None` if that is not limited.
    #[inline]
    pub(super) fn ration(cx: &mut Context<'_, State>) -> Option<Ration> {
        match cx.state.limiter.is_on() {
            true => {
                let (key, now) = (cx.key(), cx.now());
                cx.state.limiter.ration(key, now)
            }
            false => None,
        }
    }

    /// It has had its turn.
    #[cold]
    pub(super) fn settle(&mut self, cx: &mut Context<'_, State>, mut ration: Ration) {
        let (key, now) = (cx.key(), cx.now());
        // The kernel may hold more than was read.
        ration.is_drained &= !cx.io.has_unread(key);
        cx.state.limiter.settle(key, &mut ration, now);
        if ration.must_wait {
            let wait = cx.state.limiter.reserve(key, now);
            let timer = cx.set_timer(wait, REFILLED);
            cx.state.limiter.waits(key, timer);
            cx.io.pause(key);
        }
    }

    /// Its wait is over, in which it was not silent: it was not read.
    pub(super) fn refilled(&mut self, cx: &mut Context<'_, State>) {
        let key = cx.key();
        if cx.state.limiter.go_on(key).is_some() {
            self.link.heard(cx.now());
            cx.io.resume(key);
        }
    }

    /// A message is dropped: it is told so, once a second.
    #[cold]
    pub(super) fn tell_dropped(session: &Session, cx: &mut Context<'_, State>, subject: &[u8]) {
        let (key, now) = (cx.key(), cx.now());
        // One that counts its answers has one for each.
        if session.options().verbose || cx.state.limiter.is_to_be_told(key, now) {
            let violation = Violation::MessageDropped { subject };
            session.tell(&violation, &mut Queues(&mut cx.io));
        }
    }

    /// It has turned out who it is after a reload, when those that were too many had been closed: the newest of its
    /// user and of its account go if it is one too many.
    pub(super) fn close_surplus_of_members(cx: &mut Context<'_, State>) {
        for scope in [Scope::User, Scope::Account] {
            for key in cx.state.limiter.surplus_of_member(cx.key(), scope) {
                cx.defer(move |cx| {
                    cx.call(key, move |client: &mut Client, cx| {
                        client.close_as_surplus_of_limit(cx, scope);
                    });
                });
            }
        }
    }

    /// There are too many of its address, user or account, and it is to go.
    pub(crate) fn close_as_surplus_of_limit(&mut self, cx: &mut Context<'_, State>, scope: Scope) {
        if self.session.is_some() {
            self.refuse(cx, &violation(scope, Refusal::Connections));
        }
    }
}
