//! Who a client is: asked for each `CONNECT`, and again when settings change. Both go one way.
//!
//! ```text
//!                                            ┌──▶ Login      it is that user, and may go on
//! CONNECT, reload ──▶ Verdict ──▶ decide ────┼──▶ Refused    -ERR, and the end
//!                        ▲                   └──▶ Pending    an inquiry, worked out on another thread
//!                        ├───────────────────────────┘
//!                        └──────────────────────────────▶ CallOut    somebody else is asked (`callout.rs`)
//! ```
//!
//! A client has one inquiry at most: the next verdict takes its place, and an answer that comes later
//! is dropped. Where many logins from one address have failed, the next one waits before it is looked at
//! (`auth/failures.rs`), with its connection unread like that of one with an inquiry.

use super::Client;
use super::callout::{self, CallingOut};
use super::lookup::attend;
use super::session::Session;
use super::wrong::is_told;
use crate::auth::failures::{Kind, WAIT_MAX};
use crate::auth::inquiry::{ANSWER_WAIT_MAX, Inquirer, Pending, Purpose};
use crate::auth::tokens::{Now, Over, Refusal};
use crate::auth::{Inquiry, Login, Verdict};
use crate::core::close::CloseReason;
use crate::core::receiver::line_about;
use crate::link::Link;
use crate::link::queues::Queues;
use crate::state::State;
use crate::websocket::Framing;
use midge_protocol::Violation;
use midge_reactor::{Context, TimerId};

/// What a client waits for before it is known who it is.
pub(super) enum Waiting {
    /// For its turn to be looked at.
    Turn(TimerId),
    Inquiry(Pending),
    /// For its account, which is asked for elsewhere.
    Lookup(Inquirer),
    /// For somebody else to decide about it.
    CallOut(Box<CallingOut>),
}

impl Client {
    /// A `CONNECT` has come: finds out who the client is, now or when it has waited.
    ///
    /// # Errors
    /// The violation after which the connection is to be closed.
    pub(super) fn log_in(&mut self, cx: &mut Context<'_, State>) -> Result<(), Violation<'static>> {
        if let (Some(session), Some(framing)) = (&mut self.session, cx.layer::<Framing>()) {
            session.fill_in(framing.cookies());
        }
        let wait = cx.state.failures.wait(self.link.source(cx), cx.now());
        let is_known = self.session.as_ref().is_none_or(Session::is_known);
        if is_known || wait.is_zero() {
            return self.look(cx);
        }
        self.stop_reading(cx);
        self.waiting = Some(Waiting::Turn(Link::put_off_login(cx, wait)));
        Ok(())
    }

    /// It has waited for its turn.
    pub(super) fn take_its_turn(&mut self, cx: &mut Context<'_, State>) {
        if let Err(violation) = self.look(cx) {
            self.refuse(cx, &violation);
        }
    }

    /// Holds what the client presents against what it must.
    fn look(&mut self, cx: &mut Context<'_, State>) -> Result<(), Violation<'static>> {
        let Some(session) = &self.session else {
            return Ok(());
        };
        let verdict = session.check(cx.state, &Now::at(cx.now()));
        self.decide(cx, inquirer(cx, Purpose::Connect), verdict)
    }

    /// Whether it is not read until it is known who it is.
    pub(super) fn is_connecting(&self) -> bool {
        match &self.waiting {
            None => false,
            Some(Waiting::Turn(_) | Waiting::Lookup(_) | Waiting::CallOut(_)) => true,
            Some(Waiting::Inquiry(pending)) => pending.inquirer.purpose == Purpose::Connect,
        }
    }

    /// Whether what clients must present now is held against what it presents anyway.
    pub(super) fn is_asked(&self, cx: &Context<'_, State>) -> bool {
        match &self.waiting {
            None => false,
            Some(Waiting::Turn(_) | Waiting::Lookup(_)) => true,
            Some(Waiting::Inquiry(pending)) => pending.inquirer.version == cx.state.auth_version,
            Some(Waiting::CallOut(waiting)) => waiting.inquirer.version == cx.state.auth_version,
        }
    }

    /// It has done its part: it is not read until it is known who it is, and does not wait for ever. What it has by its former
    /// login, it has as long as that is good.
    fn stop_reading(&mut self, cx: &mut Context<'_, State>) {
        self.link.await_login(cx, ANSWER_WAIT_MAX);
        cx.io.pause(cx.key());
    }

    /// It waits for nothing any more.
    pub(super) fn stop_waiting(&mut self, cx: &mut Context<'_, State>) {
        match self.waiting.take() {
            Some(Waiting::Turn(timer)) => {
                cx.io.cancel(timer);
            }
            Some(Waiting::CallOut(waiting)) => callout::withdraw(cx, waiting.number),
            _ => {}
        }
    }

    /// Goes on with a verdict, whether it was known at once or was worked out.
    ///
    /// # Errors
    /// As [`log_in`](Client::log_in).
    pub(super) fn decide(
        &mut self,
        cx: &mut Context<'_, State>,
        inquirer: Inquirer,
        verdict: Verdict,
    ) -> Result<(), Violation<'static>> {
        let was_connecting = self.is_connecting();
        let was_called_out = self.is_called_out();
        self.stop_waiting(cx);
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let login = match verdict {
            Verdict::Login(login) => login,
            Verdict::Refused => {
                if inquirer.purpose == Purpose::Connect {
                    self.note_failure(cx);
                }
                return Err(Violation::Authorization);
            }
            Verdict::Denied(refusal) => {
                if self.look_up(cx, inquirer, &refusal) {
                    if !was_connecting {
                        self.stop_reading(cx);
                    }
                    return Ok(());
                }
                self.tell_refusal(cx, &refusal);
                if inquirer.purpose == Purpose::Connect {
                    self.note_failure(cx);
                }
                return Err(Violation::Authorization);
            }
            // It has said nothing that would let it in, or in again.
            Verdict::Over(_) if inquirer.purpose == Purpose::Connect => {
                return Err(Violation::Authorization);
            }
            Verdict::Over(Over::Account) => return Err(Violation::AccountExpired),
            Verdict::Over(Over::Revoked) => return Err(Violation::CredentialsRevoked),
            Verdict::Over(Over::Unsigned) => {
                self.dismiss_unsigned(cx);
                return Ok(());
            }
            // It has come in by what it presented then, which is forgotten.
            Verdict::CallOut(_) if inquirer.purpose == Purpose::Reload => {
                return Err(Violation::Authorization);
            }
            Verdict::CallOut(about) => {
                if !was_connecting {
                    self.stop_reading(cx);
                }
                if !was_called_out {
                    let time = cx.state.config.terms(self.link.label.door).login_time;
                    self.link.await_login(cx, time);
                }
                self.call_out(cx, inquirer, *about);
                return Ok(());
            }
            Verdict::Pending(inquiry) => {
                if inquirer.purpose == Purpose::Connect && !was_connecting {
                    self.stop_reading(cx);
                }
                let pending = cx.state.inquiries.ask(inquiry, inquirer);
                self.waiting = Some(Waiting::Inquiry(pending));
                work_out_next(cx);
                return Ok(());
            }
        };
        if inquirer.purpose == Purpose::Reload && session.has_moved(&login, &cx.state.core) {
            self.move_away(cx, &login);
            return Ok(());
        }
        let until = login.until;
        cx.state.use_account(&login.account, cx.now());
        session.log_in(login, cx.state, &mut Queues(&mut cx.io))?;
        // Its account may have been opened.
        attend(cx);
        self.revise_later(cx);
        self.link.expire(cx, until);
        if cx.state.limiter.is_on() {
            self.count_user(cx, inquirer.purpose == Purpose::Connect)?;
        }
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        if inquirer.purpose == Purpose::Connect {
            // Behind the count of connections, as in nats-server.
            if session.may_subscribe_to_nothing() {
                return Err(Violation::SubscriptionsMax);
            }
            session.accept(cx.state, &mut Queues(&mut cx.io))?;
            if let Some(framing) = cx.layer_mut::<Framing>() {
                framing.forget_cookies();
            }
            self.link.end_login(cx);
            // One that was sent away is sent no more PINGs.
            if !self.link.is_over() {
                self.connected(cx);
            }
        } else {
            if let Some(records) = &mut cx.state.records {
                records.identified(self.link.label.cid, session.identity());
            }
            self.tell_about(cx);
        }
        if was_connecting {
            cx.io.resume(cx.key());
        }
        Ok(())
    }

    /// Its user is in another account since a reload. It ends without a word, as in nats-server: client libraries
    /// then connect anew, and would take a refusal for one of their credentials.
    fn move_away(&mut self, cx: &mut Context<'_, State>, login: &Login) {
        let (label, user, account) = (&self.link.label, &login.user, &login.account);
        if is_told(cx.state, Kind::Conversation, cx.now()) {
            line_about!(
                info,
                label,
                "user {user:?} is in account {account:?} now, so the connection ends"
            );
        }
        self.leave(cx, CloseReason::ClientClosed);
        self.link.dismiss(cx);
    }

    /// The key that vouched for it does so no longer. As in nats-server it is told nothing.
    fn dismiss_unsigned(&mut self, cx: &mut Context<'_, State>) {
        let label = &self.link.label;
        if is_told(cx.state, Kind::Conversation, cx.now()) {
            line_about!(
                info,
                label,
                "the key that has signed its JWT is the account's no longer, or has another scope, so the \
                 connection ends"
            );
        }
        self.leave(cx, CloseReason::AuthenticationFailure);
        self.link.dismiss(cx);
    }

    /// Why its token does not let it in, for who looks for the cause.
    fn tell_refusal(&self, cx: &mut Context<'_, State>, refusal: &Refusal) {
        let label = &self.link.label;
        if !refusal.is_error() {
            line_about!(debug, label, "{refusal}");
        } else if is_told(cx.state, Kind::Login, cx.now()) {
            line_about!(error, label, "{refusal}");
        }
    }

    /// What it presents is no good: others from its address may have to wait.
    pub(super) fn note_failure(&self, cx: &mut Context<'_, State>) {
        let (label, now) = (&self.link.label, cx.now());
        let has_begun = cx.state.failures.failed(self.link.source(cx), now);
        if has_begun && is_told(cx.state, Kind::Login, now) {
            line_about!(
                warn,
                label,
                "many logins from this address have failed; the next ones wait up to {WAIT_MAX:?} each"
            );
        }
    }

    /// An inquiry was worked out.
    fn worked_out(&mut self, cx: &mut Context<'_, State>, inquirer: Inquirer, verdict: Verdict) {
        let is_awaited = match &self.waiting {
            Some(Waiting::Inquiry(pending)) => pending.inquirer == inquirer,
            _ => false,
        };
        if !is_awaited {
            return;
        }
        let is_reload = inquirer.purpose == Purpose::Reload;
        if let Err(violation) = self.decide(cx, inquirer, verdict) {
            self.refuse(cx, &violation);
        } else if is_reload && cx.state.limiter.is_on() {
            Client::close_surplus_of_members(cx);
        }
    }
}

/// The present client, asked who it is under the present settings.
pub(super) fn inquirer(cx: &Context<'_, State>, purpose: Purpose) -> Inquirer {
    Inquirer {
        connection: cx.key(),
        version: cx.state.auth_version,
        purpose,
    }
}

/// Gives inquiries to threads, as long as there are both.
fn work_out_next(cx: &mut Context<'_, State>) {
    loop {
        let (io, inquiries) = (&cx.io, &mut cx.state.inquiries);
        let Some((inquiry, inquirer)) = inquiries.start(|connection| io.has_hung_up(connection))
        else {
            return;
        };
        let given = cx.offload(
            move || Inquiry::work_out(inquiry),
            move |cx, answer| {
                // One that could not be worked out is no login.
                finish(cx, inquirer, answer.unwrap_or(Verdict::Refused));
                work_out_next(cx);
            },
        );
        if let Err(error) = given {
            log::error!(target: "midge", "Error checking a password: {error}");
            finish(cx, inquirer, Verdict::Refused);
        }
    }
}

/// Brings the verdict to its client, if that is still there.
fn finish(cx: &mut Context<'_, State>, inquirer: Inquirer, verdict: Verdict) {
    cx.state.inquiries.done();
    cx.call(inquirer.connection, move |client: &mut Client, cx| {
        client.worked_out(cx, inquirer, verdict);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth;
    use crate::client::listener::Clients;
    use crate::config::{Auth, Config, Network, ProxyProtocol};
    use crate::door::Door;
    use crate::records::Records;
    use midge_protocol::Info;
    use midge_reactor::sim::{Faults, HostId, Sim};
    use midge_reactor::{Handler, Input, Time};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    /// A client that says this, and writes down what it hears.
    struct Speaker(&'static str);

    impl Handler<Vec<u8>> for Speaker {
        fn on_open(&mut self, cx: &mut Context<'_, Vec<u8>>) {
            cx.send(self.0);
        }

        fn on_input(&mut self, cx: &mut Context<'_, Vec<u8>>, input: &mut Input<'_>) {
            cx.state.extend(input.take());
        }
    }

    fn broker(sim: &mut Sim, config: Config) -> HostId<State> {
        let state = State::announcing(config, Info::default());
        sim.host("broker", state, |cx| {
            let records = Records::new(cx.now(), 0, 10, 0);
            cx.state.records = Some(Box::new(records));
            let (options, clients) = Clients::of("0.0.0.0", 1, Door::Main);
            cx.listen_with("0.0.0.0:4222", &options, clients).map(drop)
        })
    }

    /// A host whose clients have heard nothing.
    fn clients(sim: &mut Sim, name: &'static str) -> HostId<Vec<u8>> {
        sim.host(name, Vec::new(), |_| Ok(()))
    }

    /// What clients of a host have heard since the last time.
    fn heard(sim: &mut Sim, host: HostId<Vec<u8>>) -> String {
        let heard = sim.with(host, |cx| std::mem::take(cx.state));
        String::from_utf8(heard).expect("it is text")
    }

    fn say(sim: &mut Sim, host: HostId<Vec<u8>>, broker: HostId<State>, words: &'static str) {
        let addr = sim.addr(broker, 4222);
        sim.with(host, |cx| {
            cx.connect(addr, Speaker(words));
        });
    }

    /// A broker, and a client of it that has sent its `CONNECT`.
    fn world(sim: &mut Sim) -> (HostId<State>, HostId<Vec<u8>>) {
        let broker = broker(sim, Config::default());
        let client = clients(sim, "client");
        say(sim, client, broker, "CONNECT {\"verbose\":false}\r\n");
        sim.run_for(SECOND);
        (broker, client)
    }

    /// The client's login is good so long from now on, or as long as it stays.
    fn log_in(sim: &mut Sim, broker: HostId<State>, validity: Option<Duration>) {
        sim.with(broker, |cx| {
            let key = cx.state.core.clients().next().expect("it is there").key;
            cx.call(key, move |client: &mut Client, cx| {
                let login = auth::before_connect(&cx.state.config, Door::Main.into());
                let mut login = login.expect("nothing is asked for");
                login.until = validity.map(|validity| cx.now() + validity);
                let inquirer = inquirer(cx, Purpose::Connect);
                let told = client.decide(cx, inquirer, Verdict::Login(login));
                told.expect("it is let in");
            });
        });
    }

    #[test]
    fn a_client_is_told_and_closed_when_its_login_is_good_no_longer() {
        let mut sim = Sim::with_faults(1, Faults::none());
        let (broker, client) = world(&mut sim);
        log_in(&mut sim, broker, Some(60 * SECOND));
        sim.run_for(59 * SECOND);
        assert_eq!(sim.connections(broker), 1);
        sim.run_for(2 * SECOND);
        let heard = heard(&mut sim, client);
        assert!(heard.ends_with("-ERR 'User Authentication Expired'\r\n"));
        assert_eq!(sim.connections(broker), 0);
        let closed = sim.with(broker, |cx| {
            let records = cx.state.records.as_ref().expect("they are kept");
            records.closed.get(0).map(|closed| closed.reason)
        });
        assert_eq!(closed, Some(CloseReason::AuthenticationExpired));
    }

    #[test]
    fn the_next_login_says_anew_how_long_it_is_good() {
        let mut sim = Sim::with_faults(1, Faults::none());
        let (broker, _) = world(&mut sim);
        log_in(&mut sim, broker, Some(10 * SECOND));
        log_in(&mut sim, broker, Some(60 * SECOND));
        sim.run_for(59 * SECOND);
        log_in(&mut sim, broker, None);
        sim.run_for(100 * SECOND);
        assert_eq!(sim.connections(broker), 1);
        // One that is over when it comes.
        log_in(&mut sim, broker, Some(Duration::ZERO));
        sim.run_for(SECOND);
        assert_eq!(sim.connections(broker), 0);
        assert!(sim.now() > Time::ZERO + 159 * SECOND);
    }

    #[test]
    fn behind_a_proxy_the_address_that_it_tells_waits_and_its_neighbours_do_not() {
        const GUESS: &str = "PROXY TCP4 192.0.2.66 198.51.100.1 1 2\r\n\
                             CONNECT {\"auth_token\":\"guess\",\"verbose\":false}\r\n";
        const STORM: &str = "PROXY TCP4 192.0.2.66 198.51.100.1 1 2\r\n\
                             CONNECT {\"auth_token\":\"secret\",\"verbose\":false}\r\nPING\r\n";
        const NEIGHBOUR: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n\
                                 CONNECT {\"auth_token\":\"secret\",\"verbose\":false}\r\nPING\r\n";
        // The proxy itself, as when it looks whether the broker is there.
        const OWN: &str = "PROXY UNKNOWN\r\n\
                           CONNECT {\"auth_token\":\"secret\",\"verbose\":false}\r\nPING\r\n";
        let mut sim = Sim::with_faults(1, Faults::none());
        let config = Config {
            auth: Auth::Token("secret".into()),
            proxy_protocol: Some(ProxyProtocol {
                trusted: vec![Network::parse("10.0.0.0/8").expect("a network")],
                others_may_come: false,
            }),
            ..Config::default()
        };
        let broker = broker(&mut sim, config);
        let hosts = ["storm", "other proxy", "neighbour", "proxy"];
        let [storm, other, neighbour, proxy] = hosts.map(|name| clients(&mut sim, name));
        // All of one address, by one proxy.
        for _ in 0..200 {
            say(&mut sim, storm, broker, GUESS);
        }
        sim.run_for(5 * SECOND);
        assert_eq!(sim.connections(broker), 0);
        heard(&mut sim, storm);
        // By the same proxy, and by another one.
        say(&mut sim, storm, broker, STORM);
        say(&mut sim, other, broker, STORM);
        say(&mut sim, storm, broker, NEIGHBOUR);
        say(&mut sim, neighbour, broker, NEIGHBOUR);
        say(&mut sim, proxy, broker, OWN);
        sim.run_for(SECOND / 2);
        let early = [storm, other, neighbour, proxy].map(|host| {
            let heard = heard(&mut sim, host);
            heard.matches("PONG").count()
        });
        assert_eq!(early, [1, 0, 1, 1]);
        sim.run_for(SECOND);
        let late = [storm, other].map(|host| heard(&mut sim, host));
        assert_eq!(late, ["PONG\r\n", "PONG\r\n"]);
    }

    #[test]
    fn who_comes_from_an_address_with_many_failed_logins_waits_and_others_do_not() {
        const GUESS: &str = "CONNECT {\"auth_token\":\"guess\",\"verbose\":false}\r\nPING\r\n";
        const RIGHT: &str = "CONNECT {\"auth_token\":\"secret\",\"verbose\":false}\r\nPING\r\n";
        let mut sim = Sim::with_faults(1, Faults::none());
        let broker = broker(
            &mut sim,
            Config {
                auth: Auth::Token("secret".into()),
                ..Config::default()
            },
        );
        let (storm, other) = (clients(&mut sim, "storm"), clients(&mut sim, "other"));
        for _ in 0..200 {
            say(&mut sim, storm, broker, GUESS);
        }
        sim.run_for(5 * SECOND);
        let refused = heard(&mut sim, storm)
            .matches("Authorization Violation")
            .count();
        assert_eq!((refused, sim.connections(broker)), (200, 0));
        // A guess, an honest client behind the same address, and its neighbour.
        for (host, words) in [(storm, GUESS), (storm, RIGHT), (other, RIGHT)] {
            say(&mut sim, host, broker, words);
        }
        sim.run_for(SECOND / 2);
        assert!(heard(&mut sim, other).ends_with("PONG\r\n"));
        let early = heard(&mut sim, storm);
        assert!(
            !early.contains("PONG") && !early.contains("-ERR"),
            "{early}"
        );
        sim.run_for(SECOND);
        let late = heard(&mut sim, storm);
        let counts = ["PONG", "-ERR"].map(|word| late.matches(word).count());
        assert_eq!(counts, [1, 1], "{late}");
        // One that hangs up while it waits leaves nothing behind.
        say(&mut sim, storm, broker, RIGHT);
        sim.run_for(SECOND / 10);
        assert_eq!(sim.connections(broker), 3);
        sim.crash(storm);
        sim.run_for(2 * SECOND);
        assert_eq!(sim.connections(broker), 1);
        let stats = sim.with(broker, |cx| cx.state.stats());
        assert_eq!((stats.auth_failures, stats.clients), (201, 1));
    }
}
