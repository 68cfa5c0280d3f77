//! `Session`: one client's conversation. Ops go in; replies and broker calls come out.
//!
//! No socket and no clock. `client/mod.rs` brings the bytes and keeps the deadlines. Who the client is, and what follows
//! from that, is in `identity.rs`.

use super::denied::Denials;
use crate::auth::certificate::Names;
use crate::auth::permissions::Permissions;
use crate::auth::signature::Nonce;
use crate::auth::{self, Login};
use crate::config::Config;
use crate::core::Core;
use crate::core::delivery::{self, Asking, Own, Published, Publisher, Quota, Tally};
use crate::core::outbox::Outbox;
use crate::core::receiver::{Label, line_about};
use crate::core::sublist::ReceiverId;
use crate::core::trace;
use crate::limits;
use crate::state::State;
use crate::state::asking::PREFIX;
use midge_protocol::{
    ClientOp, ConnectOptions, Info, Publish, Rules, Run, Sink, Violation, encode, subject,
};
use midge_reactor::Key;
use std::net::IpAddr;

mod asking;
mod identity;
mod mapped;
mod revising;

use mapped::Bound;

/// What the client's socket has to do after an op.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum After {
    /// Go on with the next.
    Next,
    /// `CONNECT` came. Go on as it is found out [who the client is](Session::check).
    LogIn,
    /// The peer has answered our `PING`.
    Pong,
    /// Its first `PING` was answered, and `INFO` is no longer what it was greeted with.
    Greet,
    /// Nothing was done. Read no more until this receiver, which is far behind, has caught up; then
    /// bring the op again.
    WaitFor(Key),
    /// It is too much for one piece. Bring the op again when others have had their turn.
    InPieces,
}

/// One client's conversation, from the first op to the last.
#[derive(Debug)]
pub(crate) struct Session {
    publisher: Publisher,
    key: Key,
    label: Label,
    /// What the client has to sign, if any user has a key.
    nonce: Option<Nonce>,
    /// The names in its certificate, where that tells which user it is.
    certificate: Option<Box<Names>>,
    /// What it has said about itself: without secrets, once it is known who it is.
    options: Box<ConnectOptions>,
    rules: Rules,
    /// The publish that comes next had no receiver, and the requester's own subscription that is told is looked
    /// for.
    asking: Option<Box<Asking>>,
    /// Who the client is, once that is known; from each `CONNECT` on that presents something it is asked anew.
    login: Option<Box<Login>>,
    /// Those of the login, beside what is asked for each message.
    permissions: Permissions,
    /// The publish that comes next has begun or was held, and goes to another subject than it says.
    bound: Option<Box<Bound>>,
    /// The [number](Mappings::number) of the mappings that the last publish was held against.
    ///
    /// [Mappings::number]: crate::mapping::Mappings::number
    mappings_seen: u64,
    /// Subscriptions that are to be held against other permissions.
    revising: Option<Box<revising::Revising>>,
    /// What the log has been told of what was denied.
    denials: Denials,
    /// Whether nothing is delivered any more, the connection being about to be closed.
    is_draining: bool,
    /// Whether it has come as the user that it is: with a `CONNECT`, or with another op without one.
    has_come: bool,
    /// Said in the log once for each client, however often it tries.
    told_subscriptions_max: bool,
    /// The [version](State::info_version) of `INFO` that it was greeted with.
    info_version: u32,
}

impl Session {
    /// Makes the client that has just connected a receiver.
    pub(crate) fn new(state: &mut State, key: Key, label: Label) -> Session {
        let options = Box::new(ConnectOptions::default());
        let login = auth::before_connect(&state.config, label.entrance()).map(Box::new);
        let account = match &login {
            Some(login) => state.open_account(&login.account),
            None => state.core.accounts.global(),
        };
        let id = state.core.join(account, key, label.peer, label.cid);
        state.core.receiver_mut(id).label = label;
        let rules = rules(&state.config, &options, login.as_deref(), usize::MAX);
        let permissions = login.as_ref().map(|login| login.permissions.clone());
        let permissions = permissions.unwrap_or_default();
        state.core.bound_replies(id, permissions.responses());
        Session {
            publisher: Publisher::new(state.core.receiver(id).origin(id)),
            key,
            label,
            nonce: state.has_key.then(Nonce::new).flatten(),
            certificate: None,
            options,
            rules,
            asking: None,
            permissions,
            bound: None,
            mappings_seen: 0,
            revising: None,
            denials: Denials::default(),
            login,
            is_draining: false,
            has_come: false,
            told_subscriptions_max: false,
            info_version: state.info_version,
        }
    }

    /// The client is another one in the log.
    pub(crate) fn relabel(&mut self, label: Label, state: &mut State) {
        self.label = label;
        state.core.receiver_mut(self.id()).label = label;
    }

    /// What the parser must hold this client's bytes against at present.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The client as delivery knows it.
    pub(crate) fn id(&self) -> ReceiverId {
        self.publisher.origin().receiver
    }

    /// What the client has to sign.
    pub(crate) fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// The client has shown a certificate with these names.
    pub(crate) fn certified(&mut self, names: Names) {
        self.certificate = Some(Box::new(names));
    }

    /// What the client has said about itself.
    pub(crate) fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// Carries out one op; of one that is too much for one piece as much as `quota` has for.
    ///
    /// # Errors
    /// The violation after which the connection is to be closed. It has not been told yet.
    pub(crate) fn op<O: Outbox>(
        &mut self,
        op: &ClientOp<'_>,
        quota: Quota,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Result<After, Violation<'static>> {
        if let ClientOp::Publish(message) = op {
            let mut published = Published::InPieces;
            if !self.has_begun() {
                let run = Run::from(*message);
                published = match self.is_mapped(state) {
                    true => self.publish_one::<true, _>(&run, tally, state, out),
                    false => self.publish_one::<false, _>(&run, tally, state, out),
                };
            }
            if published == Published::InPieces {
                published = self.go_on(message, quota, tally, state, out);
            }
            return Ok(match published {
                Published::Taken { .. } => After::Next,
                Published::WaitFor(receiver) => After::WaitFor(receiver),
                Published::InPieces => After::InPieces,
            });
        }
        tally.charge(cost(op));
        if state.limiter.is_on() && matches!(op, ClientOp::Subscribe { .. }) {
            tally.charge(state.limiter.work_of_subscribing(self.key));
        }
        trace::received(&self.label, op, state.config.traced_bytes_max);
        match *op {
            ClientOp::Publish(_) => unreachable!("it was looked for above"),
            ClientOp::Subscribe {
                subject,
                queue,
                sid,
            } => match self.check_subscribe(subject, queue, sid, state) {
                Ok(true) => {
                    state.core.subscribe(self.id(), subject, queue, sid);
                    let filter = self.permissions.filter(subject, queue);
                    if (filter.is_some() || self.is_revising())
                        && let Some(id) = state.core.subscription_of(self.id(), sid)
                    {
                        state.core.filter(self.id(), id, filter);
                    }
                    let work = state.core.keep_up(delivery::subscribing(subject));
                    tally.charge(work);
                    if state.limiter.is_on() {
                        state.limiter.subscribed(self.key, &state.core);
                    }
                    self.ok(out);
                }
                Ok(false) => self.ok(out),
                Err(violation) => {
                    if violation == Violation::SubscriptionsMax {
                        self.log_subscriptions_max(state);
                    }
                    self.log_denied(&violation, sid, state);
                    self.tell(&violation, out);
                }
            },
            ClientOp::Unsubscribe { sid, max } => {
                self.unsubscribe(sid, max, tally, state);
                self.ok(out);
            }
            ClientOp::Ping => {
                self.send(encode::PONG, "PONG", out);
                if self.first_pong(state) {
                    return Ok(After::Greet);
                }
            }
            ClientOp::Pong => return Ok(After::Pong),
            ClientOp::Connect { json } => {
                self.introduce(json)?;
                return Ok(After::LogIn);
            }
            ClientOp::Ok | ClientOp::Info { .. } => {}
        }
        Ok(After::Next)
    }

    /// Whether `op` may make this client's own queue longer, apart from what is delivered to it.
    pub(crate) fn may_answer(&self, op: &ClientOp<'_>, state: &mut State) -> bool {
        let is_verbose = self.options.verbose;
        match *op {
            ClientOp::Publish(message) => self.may_answer_publish(&message, state),
            ClientOp::Subscribe {
                subject,
                queue,
                sid,
            } => is_verbose || self.check_subscribe(subject, queue, sid, state).is_err(),
            ClientOp::Unsubscribe { .. } => is_verbose,
            ClientOp::Ping | ClientOp::Connect { .. } => true,
            ClientOp::Pong | ClientOp::Ok | ClientOp::Info { .. } => false,
        }
    }

    /// The same for a message. A request may be answered with a 503, which is known when it has reached no
    /// subscription.
    fn may_answer_publish(&self, message: &Publish<'_>, state: &mut State) -> bool {
        let is_request = self.options.no_responders && message.reply().is_some();
        if self.options.verbose || is_request {
            return true;
        }
        if self.is_mapped(state) && !self.permissions.are_everything() {
            // It would have to be known where it goes.
            return true;
        }
        let State { core, verdicts, .. } = state;
        let refusal = self.permissions.refuse_publish(message, verdicts);
        refusal.is_some_and(|one| self.confirm(one, message, core).is_some())
    }

    /// Tells the peer what it did wrong; says nothing for a silent violation.
    pub(crate) fn tell<O: Outbox>(&self, violation: &Violation<'_>, out: &mut O) {
        tell(self.key, &self.label, violation, out);
    }

    /// The client, as it has introduced itself: `v1.20.0:go:app`, without what it has not told.
    pub(crate) fn introduced(&self) -> String {
        let ConnectOptions {
            version,
            lang,
            name,
            ..
        } = &*self.options;
        let version = match version.as_str() {
            "" => String::new(),
            version => format!("v{version}"),
        };
        let told = [version.as_str(), lang, name];
        let told: Vec<&str> = told.into_iter().filter(|part| !part.is_empty()).collect();
        told.join(":")
    }

    /// Nothing is to be delivered to this client any more; what it publishes still counts.
    pub(crate) fn drain(&mut self, state: &mut State) {
        state.core.unsubscribe_all(self.id());
        self.is_draining = true;
    }

    /// From its first `PONG` on a client may be sent an `INFO`: answers whether it has changed already.
    fn first_pong(&self, state: &mut State) -> bool {
        let receiver = state.core.receiver_mut(self.id());
        if self.options.protocol < 1 || receiver.takes_info {
            return false;
        }
        receiver.takes_info = true;
        self.info_version != state.info_version
    }

    /// Asks for a sign of life.
    pub(crate) fn ping<O: Outbox>(&self, out: &mut O) {
        self.send(encode::PING, "PING", out);
    }

    /// A message was dropped, and is not known to the next one that repeats it.
    pub(crate) fn dropped(&mut self) {
        self.publisher.refused();
        self.bound = None;
    }

    /// Whether the op that comes next has begun already, and [goes on](Session::go_on).
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.publisher.has_begun() || self.asking.is_some()
    }

    /// Carries out the first publish of `run`. If that is too much for one piece, it has begun and [goes
    /// on](Session::go_on) at once.
    #[inline(always)]
    pub(crate) fn publish_one<const MAPPED: bool, O: Outbox>(
        &mut self,
        run: &Run<'_>,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Published {
        debug_assert!(!self.has_begun(), "it goes on");
        let message = run.first();
        // What repeats, and was good, is good; and no mapping fits it, if they are the same.
        if !self.repeats::<MAPPED>(message, state) {
            if MAPPED && let Some(published) = self.publish_mapped(run, tally, state, out) {
                return published;
            }
            let verdicts = &mut state.verdicts;
            if let Some(violation) = self.permissions.refuse_publish(message, verdicts) {
                return self.publish_refused(violation, run, tally, state, out);
            }
            if message.subject().starts_with(PREFIX)
                && let Some(published) = self.publish_to_broker(run, tally, state, out)
            {
                return published;
            }
        }
        self.publish_allowed(run, tally, state, out)
    }

    /// The first publish of `run` is refused, unless it is a response that is allowed. Those are looked at one by
    /// one, also where they repeat.
    #[cold]
    #[inline(never)]
    fn publish_refused<O: Outbox>(
        &mut self,
        violation: Violation<'_>,
        run: &Run<'_>,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Published {
        let mut published = Published::NOBODY;
        match self.confirm(violation, run.first(), &state.core) {
            Some(violation) => {
                self.log_denied(&violation, b"", state);
                self.tell(&violation, out);
            }
            None => {
                published = self.publish_apart(run, tally, state, out);
                if !matches!(published, Published::WaitFor(_)) || self.publisher.has_begun() {
                    state.core.respond(self.id(), run.first().subject());
                }
            }
        }
        self.publisher.refused();
        published
    }

    /// Why a message is refused that its sender's permissions refuse, if it is: it may be a response.
    fn confirm<'a>(
        &self,
        violation: Violation<'a>,
        message: &Publish<'a>,
        core: &Core,
    ) -> Option<Violation<'a>> {
        let is_response = matches!(violation, Violation::PublishDenied { .. })
            && core.may_respond(self.id(), message.subject());
        match is_response {
            true => self.permissions.refuse_reply(message),
            false => Some(violation),
        }
    }

    /// Carries out the first publish of `run`, which is allowed.
    #[inline(always)]
    fn publish_allowed<O: Outbox>(
        &mut self,
        run: &Run<'_>,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Published {
        let message = run.first();
        let (key, label, is_verbose) = (self.key, &self.label, self.options.verbose);
        let State { core, config, .. } = state;
        let begin = |out: &mut O| {
            if trace::is_on() {
                let op = ClientOp::Publish(*message);
                trace::received(label, &op, config.traced_bytes_max);
            }
            if is_verbose {
                send(key, label, encode::OK, "OK", out);
            }
        };
        let published = delivery::publish_one(core, &mut self.publisher, run, tally, begin, out);
        match published {
            Published::NOBODY
                if self.options.no_responders
                    && let Some(reply) = message.reply() =>
            {
                self.no_responders(reply, tally, state, out)
            }
            _ => published,
        }
    }

    /// As [`publish_allowed`](Session::publish_allowed), for the few messages that take another way: one copy of it for
    /// all of them, apart from the one that is inlined into the loop over messages.
    #[inline(never)]
    fn publish_apart<O: Outbox>(
        &mut self,
        run: &Run<'_>,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Published {
        self.publish_allowed(run, tally, state, out)
    }

    /// Carries out as many of the first publishes of `run` as `quota` has for, one at least, as
    /// [`publish_one`](Session::publish_one) does.
    #[inline(never)]
    pub(crate) fn publish<const MAPPED: bool, O: Outbox>(
        &mut self,
        run: &Run<'_>,
        quota: Quota,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Published {
        let message = run.first();
        // Each is answered, or may be, or shown, or looked at.
        let is_answered = self.options.no_responders && message.reply().is_some();
        let is_known = self.repeats::<MAPPED>(message, state);
        if is_answered || self.options.verbose || !is_known || trace::is_on() {
            return self.publish_one::<MAPPED, _>(run, tally, state, out);
        }
        let core = &mut state.core;
        delivery::publish(core, &mut self.publisher, run, quota, tally, |_| {}, out)
    }

    /// Goes on with a publish that has begun, as far as `quota` goes.
    #[cold]
    pub(crate) fn go_on<O: Outbox>(
        &mut self,
        message: &Publish<'_>,
        quota: Quota,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Published {
        let core = &mut state.core;
        if let Some(asking) = self.asking.take() {
            let reply = message.reply().unwrap_or_default();
            let own = asking.go_on(core, self.publisher.origin(), reply, quota, tally);
            return self.answer(own, reply, state, out);
        }
        let published = match self.bound.as_deref() {
            Some(Bound::Begun(redirected)) => {
                let message = redirected.message();
                self.publisher.go_on(core, &message, quota, tally, out)
            }
            _ => self.publisher.go_on(core, message, quota, tally, out),
        };
        if matches!(published, Published::Taken { .. }) {
            self.bound = None;
        }
        match (published, message.reply()) {
            (Published::NOBODY, Some(reply)) if self.options.no_responders => {
                self.no_responders(reply, tally, state, out)
            }
            _ => published,
        }
    }

    /// Tells a requester, on its own subscription for the reply, that its request had no receiver.
    #[cold]
    fn no_responders<O: Outbox>(
        &mut self,
        reply: &[u8],
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Published {
        let own = delivery::find_own(&mut state.core, self.publisher.origin(), reply, tally);
        self.answer(own, reply, state, out)
    }

    fn answer<O: Outbox>(
        &mut self,
        own: Own,
        reply: &[u8],
        state: &mut State,
        out: &mut O,
    ) -> Published {
        match own {
            Own::None => {}
            Own::Found(id) => {
                let account = self.publisher.origin().account;
                let sid = state.core.sublist(account).subscription(id).sid.as_slice();
                let msg = encode::no_responders(reply, sid);
                if let Some(mut writer) = out.writer(self.key, msg.encoded_len()) {
                    msg.put(&mut writer);
                    trace::sent(&self.label, &"HMSG 503");
                }
            }
            Own::Among(asking) => {
                self.asking = Some(asking);
                return Published::InPieces;
            }
        }
        Published::NOBODY
    }

    /// The conversation is over: counts what became of a message that is on its way.
    pub(crate) fn abandon(&mut self, core: &mut Core) {
        let mut tally = Tally::default();
        self.publisher.abandon(core, &mut tally);
        core.settle(self.id(), &tally);
    }

    /// Whether to subscribe: `false` for a sid that is taken, which changes nothing and is no error.
    fn check_subscribe<'a>(
        &self,
        subject: &'a [u8],
        queue: Option<&'a [u8]>,
        sid: &[u8],
        state: &State,
    ) -> Result<bool, Violation<'a>> {
        if self.is_draining {
            // Or a queue group would choose one that hears nothing.
            return Ok(false);
        }
        if let Some(violation) = self.permissions.refuse_subscribe(subject, queue) {
            return Err(violation);
        }
        let tokens_max = state.config.subscription_tokens_max;
        if tokens_max.is_some_and(|max| subject::token_count(subject) > max) {
            return Err(Violation::TooManyTokens { subject });
        }
        let sids = &state.core.receiver(self.id()).sids;
        let limits = self.login.as_ref().map(|login| &login.limits);
        let max = limits.and_then(|limits| limits.subscriptions_max);
        if max.is_some_and(|max| sids.len() >= max)
            || !state.limiter.may_subscribe(self.key, &state.core)
        {
            return Err(Violation::SubscriptionsMax);
        }
        if state.core.subscription_of(self.id(), sid).is_some() {
            return Ok(false);
        }
        if !subject::is_subscribable(subject) {
            return Err(Violation::InvalidSubject);
        }
        Ok(true)
    }

    /// A subscription was refused, since there are as many as may be: its own, or those of its address or user.
    fn log_subscriptions_max(&mut self, state: &mut State) {
        let State {
            core,
            limiter,
            config,
            ..
        } = state;
        if !limiter.may_subscribe(self.key, core) {
            limiter.passed_subscriptions(self.key, core, core.clock.now());
            return;
        }
        let login = self.login.as_ref();
        let max = login.and_then(|login| login.limits.subscriptions_max);
        // Or it is the limit of all clients.
        if max != config.subscriptions_max {
            limiter.passed_login(limits::Kind::Subscriptions);
        }
        if !self.told_subscriptions_max {
            self.told_subscriptions_max = true;
            line_about!(error, self.label, "{}", Violation::SubscriptionsMax);
        }
    }

    /// Ends a subscription now, or says after how many messages, counted from its beginning, it
    /// will end.
    fn unsubscribe(&mut self, sid: &[u8], max: Option<u64>, tally: &mut Tally, state: &mut State) {
        let Some(id) = state.core.subscription_of(self.id(), sid) else {
            return;
        };
        let account = state.core.receiver(self.id()).account;
        let subscription = state.core.sublist(account).subscription_mut(id);
        match max {
            Some(max) if max > subscription.delivered => subscription.end_after(max),
            _ => {
                let cost = delivery::ending(state.core.sublist(account), id);
                tally.charge(cost);
                state.core.unsubscribe(self.id(), id);
            }
        }
    }

    fn ok<O: Outbox>(&self, out: &mut O) {
        if self.options.verbose {
            self.send(encode::OK, "OK", out);
        }
    }

    fn send<O: Outbox>(&self, bytes: &[u8], traced: &str, out: &mut O) {
        send(self.key, &self.label, bytes, traced, out);
    }
}

fn send<O: Outbox>(key: Key, label: &Label, bytes: &[u8], traced: &str, out: &mut O) {
    if let Some(mut writer) = out.writer(key, bytes.len()) {
        writer.put(bytes);
        trace::sent(label, &traced);
    }
}

/// What an op costs that is no publish, in places of the sublist looked at.
fn cost(op: &ClientOp<'_>) -> usize {
    match op {
        ClientOp::Subscribe { subject, .. } => delivery::subscribing(subject),
        // Decoding takes longer than reading.
        ClientOp::Connect { json } => 16 + json.len() / 16,
        // What ends a subscription is counted where one is found.
        _ => 1,
    }
}

/// The first line that a client gets, with the address that it is seen `at` and what it has to sign; again where it
/// has changed.
pub(crate) fn greet<O: Outbox>(
    state: &State,
    key: Key,
    label: &Label,
    at: Option<IpAddr>,
    nonce: Option<&Nonce>,
    payload_max: usize,
    out: &mut O,
) {
    let mut line = Vec::with_capacity(512);
    let client_ip = at.map_or_else(String::new, |ip| ip.to_canonical().to_string());
    let info = state.info_for(label.entrance());
    let payload_max = payload_max.min(state.limiter.payload_max(key));
    let max_payload = info.max_payload.min(payload_max as u64);
    Info {
        client_id: label.cid,
        client_ip,
        max_payload,
        nonce: nonce.map(|nonce| nonce.text().to_owned()),
        ..info
    }
    .put(&mut line);
    if let Some(mut writer) = out.writer(key, line.len()) {
        writer.put(&line);
    }
}

/// Tells a client, with or without a session, what it did wrong.
pub(crate) fn tell<O: Outbox>(key: Key, label: &Label, violation: &Violation<'_>, out: &mut O) {
    let mut line = Vec::new();
    encode::err(&mut line, violation);
    if let Some(mut writer) = out.writer(key, line.len()) {
        writer.put(&line);
        trace::told(label, violation);
    }
}

/// What the parser holds a client's bytes against: the settings, what it has asked for, its login, and the longest
/// payload for its address and its user. Without a login, nothing but a `CONNECT` passes.
fn rules(
    config: &Config,
    options: &ConnectOptions,
    login: Option<&Login>,
    payload_max: usize,
) -> Rules {
    let limits = login.map(|login| &login.limits);
    let payload = limits.map_or(config.payload_bytes_max, |one| one.payload_bytes_max);
    Rules {
        control_line_bytes_max: config.control_line_bytes_max,
        payload_bytes_max: payload.min(payload_max),
        headers: options.headers && config.headers,
        pedantic: options.pedantic,
        connect_required: login.is_none(),
    }
}

#[cfg(test)]
mod tests;
