//! Who the client of a session is: what it presents, what it may do therefore, and what becomes of both when settings
//! change.

use super::{Session, rules};
use crate::auth::certificate::{self, Names};
use crate::auth::tokens::{self, Now, Shown};
use crate::auth::{self, Login, Presented, Verdict};
use crate::config::Config;
use crate::core::Core;
use crate::core::outbox::Outbox;
use crate::core::receiver::Kind;
use crate::door::Source;
use crate::records::presence::{Identity, Token};
use crate::state::State;
use crate::websocket::Cookies;
use midge_protocol::{ConnectOptions, Violation};
use std::sync::Arc;

impl Session {
    /// Takes over what the client says about itself. What it has proved already it need not prove again, unless it
    /// presents something else.
    pub(super) fn introduce(&mut self, json: &[u8]) -> Result<(), Violation<'static>> {
        let before = (self.options.user.clone(), self.options.nkey.clone());
        self.options.merge(json)?;
        let ConnectOptions { user, nkey, .. } = &*self.options;
        if self.options.has_secret() || (user, nkey) != (&before.0, &before.1) {
            self.login = None;
        }
        Ok(())
    }

    /// What the request has brought that made the client's connection a WebSocket stands for what `CONNECT` has not
    /// told.
    pub(in crate::client) fn fill_in(&mut self, cookies: &Cookies) {
        let Cookies {
            jwt,
            user,
            pass,
            token,
        } = cookies;
        let options = &mut *self.options;
        let tells_nothing = options.user.is_empty() && !options.has_secret();
        let has_cookies = user.is_some() || [jwt, pass, token].iter().any(|one| one.is_some());
        if tells_nothing && has_cookies {
            options.user = user.clone().unwrap_or_default();
            options.pass = pass.clone().unwrap_or_default();
            options.auth_token = token.clone().unwrap_or_default();
            options.jwt = jwt.clone().unwrap_or_default();
            self.login = None;
        }
    }

    /// Holds what the client presents, or has proved, against what it must.
    pub(crate) fn check(&self, state: &State, now: &Now) -> Verdict {
        let (config, by) = (&state.config, self.label.entrance());
        if config.operators().is_some() {
            return self.check_token(state, now);
        }
        // Where certificates are mapped, a client without one has no names.
        let none = Names::default();
        let names = self.certificate.as_deref().unwrap_or(&none);
        let certificate = config.terms_for(by).map_certificates().then_some(names);
        if let Some(login) = &self.login {
            return auth::check_again(config, login, certificate, by);
        }
        let presented = Presented {
            options: &self.options,
            nonce: self.nonce.as_ref(),
            certificate,
            by,
        };
        auth::check(config, presented)
    }

    /// Where tokens are asked for, and nothing else is.
    fn check_token(&self, state: &State, now: &Now) -> Verdict {
        let (config, known) = (&state.config, &state.known);
        if let Some(login) = &self.login {
            return tokens::check_again(config, known, login, now);
        }
        tokens::check(config, known, &self.shown(config), now)
    }

    /// What the client presents, and how it has come.
    pub(in crate::client) fn shown(&self, config: &Config) -> Shown<'_> {
        Shown {
            options: &self.options,
            nonce: self.nonce.as_ref(),
            connection: config.terms_for(self.label.entrance()).connection,
            address: match self.label.peer.source() {
                Source::Address(address) => Some(address),
                Source::User(_) => None,
            },
        }
    }

    /// What it is told when its login is good no longer.
    pub(in crate::client) fn expiry(&self) -> Violation<'static> {
        let login = self.login.as_ref();
        login.map_or(Violation::AuthenticationExpired, |login| login.expiry())
    }

    /// The names in its certificate, as the log tells them, if a user is looked for by them and none fits.
    pub(in crate::client) fn sought(&self, config: &Config) -> Option<String> {
        let terms = config.terms_for(self.label.entrance());
        let names = self.certificate.as_deref()?;
        let fits = certificate::user(terms.auth.users(), names, terms.connection).is_some();
        (terms.map_certificates() && !fits).then(|| names.told())
    }

    /// Why the user that it says to be may not come in by the way that it has come, if that is so.
    pub(in crate::client) fn held_to_other_ways(&self, config: &Config) -> Option<String> {
        let by = self.label.entrance();
        let terms = config.terms_for(by);
        let names = (self.certificate.as_deref()).filter(|_| terms.map_certificates());
        let user = auth::user_of_other_ways(config, &self.options, names, by)?;
        let ways = user.connections.iter().map(|way| way.name());
        let ways: Vec<&str> = ways.collect();
        Some(format!(
            "User {:?} may come in by {} alone, and not by {}",
            user.name,
            ways.join(", "),
            terms.connection.name()
        ))
    }

    /// It is known who the client is.
    ///
    /// # Errors
    /// [`Violation::Authorization`]: it cannot be in that account.
    pub(crate) fn log_in<O: Outbox>(
        &mut self,
        mut login: Login,
        state: &mut State,
        out: &mut O,
    ) -> Result<(), Violation<'static>> {
        // They may have changed since it was asked about.
        login.limit(&state.config);
        let account = state.open_account(&login.account);
        let former = state.core.receiver(self.id()).account;
        if former != account {
            state.note_connections(former);
        }
        if !state.core.enter(self.id(), account) {
            return Err(Violation::Authorization);
        }
        if let Some(records) = &mut state.records {
            records.meter.logged_in(state.core.accounts.born(account));
        }
        self.publisher.moved(&state.core);
        let payload_max = state.limiter.payload_max(self.key);
        let before = self.rules.payload_bytes_max;
        self.rules = rules(&state.config, &self.options, Some(&login), payload_max);
        if self.rules.payload_bytes_max != before && !state.core.receiver(self.id()).takes_info {
            // It is told of its longest payload with its first PONG.
            self.info_version = state.info_version.wrapping_sub(1);
        }
        let has_changed = self.permissions != login.permissions;
        self.permissions.clone_from(&login.permissions);
        self.login = Some(Box::new(login));
        self.options.forget_secrets();
        if has_changed {
            self.begin_to_revise(state, out);
        }
        Ok(())
    }

    /// The limits of its address and of its user are those in `state` from here on: answers whether it is to be told of
    /// another longest payload now.
    pub(in crate::client) fn limited(&mut self, state: &State) -> bool {
        let before = self.rules.payload_bytes_max;
        let payload_max = state.limiter.payload_max(self.key);
        let login = self.login.as_deref();
        self.rules = rules(&state.config, &self.options, login, payload_max);
        if self.rules.payload_bytes_max == before {
            return false;
        }
        // Or else with its first PONG.
        self.info_version = state.info_version.wrapping_sub(1);
        state.core.receiver(self.id()).takes_info
    }

    /// It has not been sent an `INFO` yet.
    pub(in crate::client) fn will_be_greeted(&mut self, state: &State) {
        self.info_version = state.info_version;
    }

    /// The user that the client has proved to be, if it is one.
    pub(in crate::client) fn proved_user(&self) -> Option<&str> {
        self.login.as_ref().and_then(|login| login.proved_user())
    }

    /// The name of its account, once it is known who it is.
    pub(in crate::client) fn account_name(&self) -> Option<&str> {
        self.login.as_ref().map(|login| &*login.account)
    }

    /// Whether the callout of this account, by its token, has let the client in.
    pub(in crate::client) fn was_decided_by(&self, account: &str) -> bool {
        self.decided()
            .is_some_and(|(decider, _)| decider == account)
    }

    /// The account whose callout, by its token, has let the client in, and that in which it is.
    pub(in crate::client) fn decided(&self) -> Option<(&str, &str)> {
        let login = self.login.as_ref()?;
        Some((login.decider()?, &login.account))
    }

    /// Whether what the client is now is in another account than it is, where others know it: it has come, and its
    /// subscriptions and those who answer it stay behind.
    pub(in crate::client) fn has_moved(&mut self, login: &Login, core: &Core) -> bool {
        let account = core.receiver(self.id()).account;
        *core.accounts[account].name != *login.account && self.has_come(core)
    }

    /// Whether its token lets it have no subscription at all.
    pub(in crate::client) fn may_subscribe_to_nothing(&self) -> bool {
        let login = self.login.as_ref();
        login.is_some_and(|login| login.may_subscribe_to_nothing())
    }

    /// Whether it has more subscriptions than its account lets it have.
    pub(in crate::client) fn has_too_many_subscriptions(&self, state: &State) -> bool {
        let limits = state.account_limits(self.account_name().unwrap_or_default());
        let count = state.core.receiver(self.id()).sids.len();
        let login = self.login.as_ref();
        login.is_some_and(|login| login.ends_with(count, &limits))
    }

    /// Whether it has come as the user that it is. Without limits no op is looked at for that, so what it has left
    /// behind tells it too.
    pub(in crate::client) fn has_come(&mut self, core: &Core) -> bool {
        if !self.has_come {
            let receiver = core.receiver(self.id());
            self.has_come = receiver.received.messages > 0 || !receiver.sids.is_empty();
        }
        self.has_come
    }

    /// The same, where each op is looked at.
    #[inline]
    pub(in crate::client) fn is_stranger(&self) -> bool {
        !self.has_come
    }

    /// It has.
    pub(in crate::client) fn comes(&mut self) {
        self.has_come = true;
    }

    /// Who the client is, as the log tells it.
    pub(super) fn user(&self) -> &str {
        self.login.as_ref().map_or("", |login| &login.user)
    }

    pub(super) fn log_denied(&mut self, violation: &Violation<'_>, sid: &[u8], state: &State) {
        let user = self.login.as_ref().map_or("", |login| &login.user);
        let now = state.core.clock.now();
        self.denials.log(&self.label, user, violation, sid, now);
    }

    /// Accepts the last `CONNECT`, of a client that is [logged in](Session::log_in).
    ///
    /// # Errors
    /// As [`op`](Session::op).
    pub(crate) fn accept<O: Outbox>(
        &mut self,
        state: &mut State,
        out: &mut O,
    ) -> Result<(), Violation<'static>> {
        self.options.check_account()?;
        self.options.check_protocol()?;
        self.options.check_no_responders(state.config.headers)?;
        let (headers, echo) = (self.rules.headers, self.options.echo);
        let receiver = state.core.receiver_mut(self.id());
        receiver.set_kind(Kind::Client { headers, echo });
        self.has_come = true;
        self.ok(out);
        Ok(())
    }

    /// Takes over settings that are new in `state`. If `credentials` are, answers what they say about who the
    /// client is. `None`: nothing new, or it has yet to present something.
    pub(crate) fn reloaded(
        &mut self,
        credentials: bool,
        state: &State,
        now: &Now,
    ) -> Option<Verdict> {
        let config = &state.config;
        // Limits hold from now on, also while it is looked at.
        if let Some(login) = &mut self.login {
            login.limit(config);
        }
        let payload_max = state.limiter.payload_max(self.key);
        self.rules = rules(config, &self.options, self.login.as_deref(), payload_max);
        let is_awaited =
            self.login.is_none() && config.terms_for(self.label.entrance()).want_credentials();
        (credentials && !is_awaited).then(|| self.check(state, now))
    }

    /// Whether it is known who the client is.
    pub(crate) fn is_known(&self) -> bool {
        self.login.is_some()
    }

    /// Whether a `CONNECT` must come before anything else.
    pub(crate) fn is_awaited(&self) -> bool {
        self.rules.connect_required
    }

    /// The client, as monitoring shows it: with the user that it is logged in as, or else claims to be.
    pub(crate) fn identity(&self) -> Identity {
        let login = self.login.as_ref();
        let user = match login {
            Some(login) => &login.user,
            None => auth::claimed_user(&self.options),
        };
        let token = login.and_then(|login| login.token()).map(|token| Token {
            issuer: Arc::clone(&token.issuer),
            name: Arc::clone(&token.name),
            tags: Arc::clone(&token.tags),
            text: Arc::clone(&token.text),
        });
        Identity::of(&self.options, user, token)
    }
}
