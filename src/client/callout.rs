//! A client about whom somebody else decides: it is not read until he has answered, or it has waited long enough.
//!
//! ```text
//! CONNECT ──▶ Verdict::CallOut ──▶ waits ──▶ ask: published ──▶ answer, in a later turn ──▶ Login, or -ERR and the end
//!                                    └───────────── timeout of authorization ─────────────────────────────▶
//! ```
//!
//! It waits for a place among those who are asked about (`state/callouts.rs`), and then for the answer: both within the time
//! for a login. Neither the loop nor other clients wait.

use super::Client;
use super::login::{Waiting, inquirer};
use super::wrong::is_told;
use crate::auth::callout::answer::{self, Asked};
use crate::auth::callout::request::{Request, Told, ToldTls};
use crate::auth::callout::{Decider, Fault, SUBJECT};
use crate::auth::failures::Kind;
use crate::auth::inquiry::{Inquirer, Purpose};
use crate::auth::tokens::{Now, Refusal};
use crate::auth::{CallOut, Verdict};
use crate::core::receiver::line_about;
use crate::door::Transport;
use crate::link::saying::{Message, publish};
use crate::state::State;
use crate::state::callouts::{Answered, Question, Room};
use crate::tls;
use midge_protocol::Violation;
use midge_reactor::{Context, Key};

/// Answers that are looked at in one turn: each takes up to four checks of signatures, two of them of what the client itself
/// presents, and maybe a box.
const ANSWERS_MAX: usize = 8;

/// What a client waits for about whom somebody else decides.
pub(super) struct CallingOut {
    /// Among those that wait.
    pub(super) number: u64,
    pub(super) inquirer: Inquirer,
    about: CallOut,
}

impl Client {
    /// Waits until it is decided.
    pub(super) fn call_out(
        &mut self,
        cx: &mut Context<'_, State>,
        inquirer: Inquirer,
        about: CallOut,
    ) {
        let source = self.link.source(cx);
        let (number, room) = cx.state.callouts.wait(source, cx.key());
        self.waiting = Some(Waiting::CallOut(Box::new(CallingOut {
            number,
            inquirer,
            about,
        })));
        ask_next(cx, room);
    }

    /// It is its turn to be asked about.
    fn ask(&mut self, cx: &mut Context<'_, State>, number: u64) {
        let (session, about) = match (&self.session, &self.waiting) {
            (Some(session), Some(Waiting::CallOut(one))) if one.number == number => {
                (session, &one.about)
            }
            // It waits for something else by now.
            _ => return withdraw(cx, number),
        };
        let account = about.account.clone();
        let config = &cx.state.config;
        let label = &self.link.label;
        let timeout = config.terms(label.door).login_time;
        let told = Told {
            host: label.peer.host(),
            cid: label.cid,
            kind: match label.door.transport() {
                Transport::Plain => "nats",
                Transport::WebSocket => "websocket",
            },
            options: session.options(),
            known: about,
            nonce: session.nonce(),
            tls: told_tls(cx, cx.key()),
        };
        let second = Now::at(cx.now()).wall.as_second();
        let decider = Decider::of(config, &cx.state.known, &account);
        let made = match (&decider, &cx.state.keys) {
            (Some(decider), Some(keys)) => {
                let info = &cx.state.info;
                let request = Request::new(keys, config, info, decider, &told, (second, timeout));
                request.ok_or(Fault::System)
            }
            (None, _) => Err(Fault::Withdrawn),
            (_, None) => Err(Fault::System),
        };
        let request = match made {
            Ok(request) => request,
            Err(fault) => return self.refused_by_callout(cx, &account, &fault),
        };
        let (state, io) = (&mut *cx.state, &mut cx.io);
        let Some(reply) = state.await_answer(&account, &request.token) else {
            return self.refused_by_callout(cx, &account, &Fault::System);
        };
        let message = Message {
            subject: SUBJECT.as_bytes(),
            reply: Some(&reply),
            header: &request.header,
            payload: &request.payload,
        };
        let State { core, callouts, .. } = state;
        let is_asked = callouts
            .asker(&account)
            .is_some_and(|service| publish(core, io, service, &message));
        if !is_asked {
            // It waits all the same, as in nats-server: those who come back at once would be no better off.
            cx.state.end_of_question(&account);
            return withdraw(cx, number);
        }
        let timer = cx.after(timeout, move |cx| {
            let room = cx.state.callout_ends(number);
            ask_next(cx, room);
        });
        let question = Question {
            account,
            user_key: request.user_key.into(),
            token: request.token,
            timer,
        };
        cx.state.callouts.asked(number, question);
    }

    /// It was answered.
    fn answered(
        &mut self,
        cx: &mut Context<'_, State>,
        (number, question): (u64, &Question),
        payload: &[u8],
    ) {
        let session = match (&self.session, &self.waiting) {
            (Some(session), Some(Waiting::CallOut(one))) if one.number == number => session,
            _ => return,
        };
        let now = Now::at(cx.now());
        let State {
            config,
            known,
            keys,
            info,
            ..
        } = &*cx.state;
        let decider = Decider::of(config, known, &question.account);
        let login = match (decider, keys) {
            (Some(decider), Some(keys)) => {
                let asked = Asked {
                    decider,
                    user_key: &question.user_key,
                    server_id: &info.server_id,
                };
                let shown = session.shown(config);
                answer::login(keys, config, known, &asked, payload, &shown, &now)
            }
            _ => Err(Fault::Withdrawn),
        };
        match login {
            Ok(login) => {
                // While it waited, its own token may have been revoked, and what its account says of it become something else.
                let verdict = match session.check(cx.state, &now) {
                    Verdict::CallOut(about) if about.account == question.account => {
                        let callouts = &mut cx.state.callouts;
                        callouts.has_put(&question.account, &login.account);
                        Verdict::Login(login.called_out(&about))
                    }
                    verdict => verdict,
                };
                let inquirer = inquirer(cx, Purpose::Connect);
                if let Err(violation) = self.decide(cx, inquirer, verdict) {
                    self.refuse(cx, &violation);
                }
            }
            // If the account comes, it is decided anew: what was answered is not kept.
            Err(Fault::NoAccount { account, .. }) if self.awaits_account(cx, &account) => {}
            Err(fault) => self.refused_by_callout(cx, &question.account, &fault),
        }
    }

    /// Has the account asked for into which it would be put, if accounts are kept elsewhere; answers whether it waits for
    /// that.
    fn awaits_account(&mut self, cx: &mut Context<'_, State>, account: &str) -> bool {
        let missing = Refusal::AccountMissing(account.into());
        self.look_up(cx, inquirer(cx, Purpose::Connect), &missing)
    }

    /// Whether it waits for an answer.
    pub(super) fn is_called_out(&self) -> bool {
        matches!(self.waiting, Some(Waiting::CallOut(_)))
    }

    /// The answer has not come in time.
    pub(super) fn answer_is_late(&mut self, cx: &mut Context<'_, State>) {
        let Some(Waiting::CallOut(waiting)) = &self.waiting else {
            return;
        };
        let account = waiting.about.account.clone();
        let fault = Fault::Late {
            own: account.to_string(),
        };
        self.refused_by_callout(cx, &account, &fault);
    }

    /// It does not come in. The client is not told why; the log is, and the account of the callout.
    fn refused_by_callout(&mut self, cx: &mut Context<'_, State>, account: &str, fault: &Fault) {
        let label = &self.link.label;
        if is_told(cx.state, Kind::Login, cx.now()) {
            line_about!(warn, label, "{fault}");
        }
        if fault.is_failure_of_client() {
            self.note_failure(cx);
        }
        cx.state.events.refused_by_callout(account, fault);
        self.refuse(cx, &Violation::Authorization);
    }
}

/// A client waits no longer, whatever it has waited for.
pub(super) fn withdraw(cx: &mut Context<'_, State>, number: u64) {
    let room = cx.state.callouts.withdraw(number);
    ask_next(cx, room);
}

/// Has the next client asked about, if there is room: as deferred work, since where nobody is to be asked, each one leaves its
/// place to the next.
fn ask_next(cx: &mut Context<'_, State>, room: Room) {
    if !room.into_bool() {
        return;
    }
    cx.defer(|cx| {
        let (io, callouts) = (&cx.io, &mut cx.state.callouts);
        if let Some((number, client)) = callouts.start(|client| io.has_hung_up(client)) {
            cx.call(client, move |one: &mut Client, cx| one.ask(cx, number));
        }
    });
}

/// Answers have come.
pub(super) fn take_answers_later(cx: &mut Context<'_, State>) {
    if cx.state.callouts.is_to_be_scheduled() {
        cx.defer(take_answers);
    }
}

fn take_answers(cx: &mut Context<'_, State>) {
    cx.state.callouts.begin();
    for _ in 0..ANSWERS_MAX {
        let Some(answer) = cx.state.core.requests.pop_answer() else {
            break;
        };
        let Some((answered, room)) = cx.state.callout_answered(&answer.subject) else {
            continue;
        };
        ask_next(cx, room);
        let Answered {
            number,
            client,
            question,
        } = answered;
        cx.io.cancel(question.timer);
        if let Some(client) = client {
            cx.call(client, move |one: &mut Client, cx| {
                one.answered(cx, (number, &question), &answer.payload);
            });
        }
    }
    if cx.state.core.requests.has_answers() {
        take_answers_later(cx);
    }
}

/// What is told of the TLS of a connection.
fn told_tls(cx: &Context<'_, State>, key: Key) -> Option<ToldTls> {
    let settled = tls::settled(&cx.io, key)?;
    let certificates = tls::shown_as_pem(&cx.io, key);
    Some(ToldTls {
        version: settled.version,
        cipher: settled.cipher_suite,
        // None is asked for that is not looked at.
        certs: Vec::new(),
        verified_chains: match certificates.is_empty() {
            true => Vec::new(),
            false => vec![certificates],
        },
    })
}
