//! Who a client is: asked for each `CONNECT`, and again when settings change. Both go one way.
//!
//! ```text
//!                                            ┌──▶ Login      it is that user, and may go on
//! CONNECT, reload ──▶ Verdict ──▶ decide ────┼──▶ Refused    -ERR, and the end
//!                        ▲                   └──▶ Pending    an inquiry, worked out on another thread
//!                        └───────────────────────────┘
//! ```
//!
//! A client has one inquiry at most: the next verdict takes its place, and an answer that comes later
//! is dropped.

use super::Client;
use crate::auth::inquiry::{ANSWER_WAIT_MAX, Inquirer, Purpose};
use crate::auth::{Inquiry, Verdict};
use crate::link::queues::Queues;
use crate::state::State;
use midge_protocol::Violation;
use midge_reactor::Context;

impl Client {
    /// A `CONNECT` has come: finds out who the client is.
    ///
    /// # Errors
    /// The violation after which the connection is to be closed.
    pub(super) fn log_in(&mut self, cx: &mut Context<'_, State>) -> Result<(), Violation<'static>> {
        let Some(session) = &self.session else {
            return Ok(());
        };
        let verdict = session.check(cx.state);
        self.decide(cx, inquirer(cx, Purpose::Connect), verdict)
    }

    /// Whether it is not read until it is known who it is.
    pub(super) fn is_connecting(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| pending.inquirer.purpose == Purpose::Connect)
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
        self.pending = None;
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let login = match verdict {
            Verdict::Login(login) => login,
            Verdict::Refused => return Err(Violation::Authorization),
            Verdict::Pending(inquiry) => {
                if inquirer.purpose == Purpose::Connect && !was_connecting {
                    // The client has done its part; what remains is not to wait for ever.
                    self.link.await_login(cx, ANSWER_WAIT_MAX);
                    self.link.expire(cx, None);
                    cx.io.pause(cx.key());
                }
                self.pending = Some(cx.state.inquiries.ask(inquiry, inquirer));
                work_out_next(cx);
                return Ok(());
            }
        };
        let until = login.until;
        session.log_in(login, cx.state)?;
        self.link.expire(cx, until);
        if inquirer.purpose == Purpose::Connect {
            session.accept(cx.state, &mut Queues(&mut cx.io))?;
            self.link.end_login(cx);
            // One that was sent away is sent no more PINGs.
            if !self.link.is_over() {
                self.connected(cx);
            }
        } else if let Some(records) = &mut cx.state.records {
            records.identified(self.link.label.cid, session.identity());
        }
        if was_connecting {
            cx.io.resume(cx.key());
        }
        Ok(())
    }

    /// An inquiry was worked out.
    fn worked_out(&mut self, cx: &mut Context<'_, State>, inquirer: Inquirer, verdict: Verdict) {
        let pending = self.pending.as_ref();
        if !pending.is_some_and(|pending| pending.inquirer == inquirer) {
            return;
        }
        if let Err(violation) = self.decide(cx, inquirer, verdict) {
            self.refuse(cx, &violation);
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
    use crate::config::{Config, ConnectionType};
    use crate::core::close::CloseReason;
    use crate::records::Records;
    use midge_protocol::Info;
    use midge_reactor::sim::{Faults, HostId, Sim};
    use midge_reactor::{Handler, Input, Time};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    /// A client that writes down what it hears.
    struct Listener;

    impl Handler<Vec<u8>> for Listener {
        fn on_open(&mut self, cx: &mut Context<'_, Vec<u8>>) {
            cx.send(b"CONNECT {\"verbose\":false}\r\n");
        }

        fn on_input(&mut self, cx: &mut Context<'_, Vec<u8>>, input: &mut Input<'_>) {
            cx.state.extend(input.take());
        }
    }

    /// A broker, and a client of it that has sent its `CONNECT`.
    fn world(sim: &mut Sim) -> (HostId<State>, HostId<Vec<u8>>) {
        let state = State::announcing(Config::default(), Info::default());
        let broker = sim.host("broker", state, |cx| {
            let records = Records::new(cx.now(), 0, 10, 0);
            cx.state.records = Some(Box::new(records));
            let (options, clients) = Clients::of("0.0.0.0", 1);
            cx.listen_with("0.0.0.0:4222", &options, clients).map(drop)
        });
        let addr = sim.addr(broker, 4222);
        let client = sim.host("client", Vec::new(), |cx| {
            cx.connect(addr, Listener);
            Ok(())
        });
        sim.run_for(SECOND);
        (broker, client)
    }

    /// The client's login is good so long from now on, or as long as it stays.
    fn log_in(sim: &mut Sim, broker: HostId<State>, validity: Option<Duration>) {
        sim.with(broker, |cx| {
            let key = cx.state.core.clients().next().expect("it is there").key;
            cx.call(key, move |client: &mut Client, cx| {
                let login = auth::before_connect(&cx.state.config, ConnectionType::Standard);
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
        let heard = sim.with(client, |cx| cx.state.clone());
        assert!(heard.ends_with(b"-ERR 'User Authentication Expired'\r\n"));
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
}
