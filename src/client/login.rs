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
                    cx.io.pause(cx.key());
                }
                self.pending = Some(cx.state.inquiries.ask(inquiry, inquirer));
                work_out_next(cx);
                return Ok(());
            }
        };
        session.log_in(login, inquirer.version, cx.state)?;
        if inquirer.purpose == Purpose::Connect {
            session.accept(cx.state, &mut Queues(&mut cx.io))?;
            self.link.end_login(cx);
            // One that was sent away is sent no more PINGs.
            if !self.link.is_over() {
                self.connected(cx);
            }
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
