//! `$SYS`: monitoring by messages, for the clients of the system account. They ask (`questions.rs`), are told what has
//! happened (`events.rs`), and bring the tokens of accounts (`claims.rs`, `kept.rs`); where this broker is a cache, they answer
//! for them (`wanted.rs`). In any account it is told how long services take
//! (`latency.rs`).
//!
//! ```text
//! request ──▶ Requests ──▶ serve ──▶ questions::answer ──▶ {"server": .., "data": ..} ──▶ reply
//!             core/                  questions.rs, endpoints/
//! ```
//!
//! The service is a receiver in the system account, which subscribes to one subject for each question. Clients of
//! other accounts do not reach them. Requests wait for each other: so one answer is in memory at a time, and all share the
//! [`Budget`] of a turn with requests over HTTP. What it has no room for goes on in the next turn.

mod body;
mod claims;
mod deeds;
mod events;
mod kept;
mod latency;
mod questions;
mod subscribers;
mod user;
mod wanted;

use crate::core::accounts::AccountId;
use crate::core::requests::{Request, Service};
use crate::link::saying::{Message, publish};
use crate::monitor::Pieces;
use crate::monitor::view::View;
use crate::records::Budget;
use crate::state::State;
use body::failed;
pub(crate) use events::{tell_lame_duck, tell_shutdown};
pub(crate) use kept::read_accounts_again;
use midge_reactor::Context;
use questions::{Answer, Question, answer};
use std::sync::Arc;

/// Longest answer, in bytes. Over HTTP it leaves as it is made; a message is whole.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What an answer in one piece costs, in places looked at.
const WHOLE_COST: usize = 125;

/// Answers that are made in a turn where nothing is kept, and so none has a budget.
const WITHOUT_BUDGET_MAX: usize = 8;

const TOO_LONG: &str = "the answer is longer than 16 MiB: ask with limit and offset";

/// The service has its place in the system account, as the settings name it, or none.
///
/// Where nothing is kept to be told, it cannot begin any more.
pub(crate) fn update(cx: &mut Context<'_, State>) {
    cx.state.serving.serve = serve;
    cx.state.pushes.ask = wanted::ask;
    kept::follow(cx);
    if !is_to_change(cx.state) {
        return;
    }
    events::end(cx);
    let State {
        config,
        core,
        service,
        records,
        ..
    } = &mut *cx.state;
    let wanted = config.system_account_name();
    if let Some(old) = service.take() {
        old.end(core);
    }
    let Some(name) = wanted else {
        return;
    };
    if records.is_none() {
        log::warn!(target: "midge", "Requests to $SYS.REQ are answered in account {name:?} after a restart");
        return;
    }
    let name = name.to_owned();
    let account = cx.state.open_account(&name);
    let State {
        config,
        core,
        info,
        service,
        ..
    } = &mut *cx.state;
    let begun = Service::begin(core, account);
    let mut subjects = Question::subjects(&info.server_id);
    subjects.extend(claims::subjects(config.operators(), &info.server_id));
    for (sid, subject) in subjects.iter().enumerate() {
        let (subject, sid) = (subject.as_bytes(), sid.to_string());
        core.subscribe(begun.receiver, subject, None, sid.as_bytes());
    }
    *service = Some(begun);
    events::begin(cx);
}

/// Whether the service is not where the settings want it.
fn is_to_change(state: &State) -> bool {
    let account_of = |one: &Service| &*state.core.accounts[one.publisher.origin().account].name;
    let present = state.service.as_ref().map(account_of);
    present != state.config.system_account_name()
}

/// Answers what was asked and tells what has happened, unless that goes on in the next turn anyway.
fn serve(cx: &mut Context<'_, State>) {
    if !cx.state.serving.is_busy {
        go_on(cx, None);
    }
}

/// To whom an answer goes.
enum To {
    /// Somebody in the account of the service.
    System,
    /// Somebody in the account of this name, if that is still open.
    Account(Arc<str>),
}

/// An answer that is being made.
struct Answering {
    to: To,
    reply: Box<[u8]>,
    made: Vec<u8>,
    pieces: Box<dyn Pieces>,
    /// What stands behind the last piece.
    last: &'static [u8],
}

/// Goes on with the answer that is being made, and then with what waits, as far as the budget of the turn goes.
fn go_on(cx: &mut Context<'_, State>, mut present: Option<Answering>) {
    events::tell(cx);
    latency::tell(cx);
    let mut answered = 0;
    loop {
        let step = with_view(cx, |view, budget| match &mut present {
            _ if budget.is_empty() => Step::Later,
            Some(answering) => answering.go_on(view, budget),
            None => Step::Next,
        });
        // Where nothing is kept there is no budget either.
        let step = step.unwrap_or(match answered < WITHOUT_BUDGET_MAX {
            true => Step::Next,
            false => Step::Later,
        });
        match step {
            Step::Later => break,
            Step::Said(payload) => {
                if let Some(answering) = present.take() {
                    say_to(cx, &answering.to, &answering.reply, &payload);
                }
            }
            Step::Next => {
                answered += 1;
                if let Some(request) = cx.state.core.requests.pop() {
                    present = begin(cx, &request);
                } else if let Some(asked) = cx.state.asking.pop() {
                    present = user::begin(cx, &asked);
                } else {
                    break;
                }
            }
        }
    }
    let State {
        core,
        events,
        asking,
        ..
    } = &*cx.state;
    let waits = !core.requests.is_empty() || !asking.is_empty() || events.len() > 0;
    let is_busy = present.is_some() || waits;
    cx.state.serving.is_busy = is_busy;
    if is_busy {
        cx.defer(|cx| go_on(cx, present));
    }
}

/// What comes next.
enum Step {
    /// The next turn.
    Later,
    /// The next request.
    Next,
    /// The answer, which is whole.
    Said(Vec<u8>),
}

impl Answering {
    /// Makes the next piece.
    fn go_on(&mut self, view: &View<'_>, budget: &mut Budget) -> Step {
        let more = self.pieces.next(view, budget, &mut self.made);
        if self.made.len() > ANSWER_BYTES_MAX {
            return Step::Said(failed(view, 500, TOO_LONG));
        }
        if more {
            return Step::Later;
        }
        self.made.extend_from_slice(self.last);
        Step::Said(std::mem::take(&mut self.made))
    }
}

/// Answers a request at once, or begins to.
fn begin(cx: &mut Context<'_, State>, request: &Request) -> Option<Answering> {
    if claims::take(cx, request) {
        return None;
    }
    let Some(reply) = &request.reply else {
        // There is no requester to answer. But all may be told the counters at once.
        if Question::is_of_counters(&request.subject) {
            events::tell_counters(cx);
        }
        return None;
    };
    let now = cx.now();
    cx.state.serving.said += 1;
    if let Some(records) = &mut cx.state.records {
        records.look(now);
    }
    let answer = with_view(cx, |view, budget| {
        budget.spend(WHOLE_COST);
        answer(view, request)
    });
    finish(cx, To::System, reply, answer?)
}

/// Gives an answer at once, or begins to.
fn finish(cx: &mut Context<'_, State>, to: To, reply: &[u8], answer: Answer) -> Option<Answering> {
    match answer {
        Answer::Whole(payload) => {
            say_to(cx, &to, reply, &payload);
            None
        }
        Answer::Pieces { made, pieces, last } => Some(Answering {
            to,
            reply: reply.into(),
            made,
            pieces,
            last,
        }),
        Answer::Connections(account) => {
            let id = events::number(cx);
            let told = with_view(cx, |view, _| events::connections(view, &account, &id));
            say_to(cx, &to, reply, &told.unwrap_or_default());
            None
        }
        Answer::Deed(deed) => {
            deeds::do_it(cx, deed, reply);
            None
        }
        Answer::Silence => None,
    }
}

/// Lends the broker as endpoints see it, and what may still be looked at in this turn; `None` where no records are kept.
fn with_view<R>(
    cx: &mut Context<'_, State>,
    work: impl FnOnce(&View<'_>, &mut Budget) -> R,
) -> Option<R> {
    let turns = cx.io.stats().turns;
    let mut records = cx.state.records.take()?;
    let mut budget = records.take_budget(turns);
    let view = View {
        state: cx.state,
        records: &records,
        sockets: &cx.io,
    };
    let result = work(&view, &mut budget);
    records.give_back(budget);
    cx.state.records = Some(records);
    Some(result)
}

/// Publishes where an answer goes.
fn say_to(cx: &mut Context<'_, State>, to: &To, subject: &[u8], payload: &[u8]) {
    match to {
        To::System => say(cx, subject, payload),
        To::Account(name) => {
            if let Some(account) = cx.state.core.accounts.named(name) {
                say_in(cx, account, subject, payload);
            }
        }
    }
}

/// Publishes in the system account.
fn say(cx: &mut Context<'_, State>, subject: &[u8], payload: &[u8]) {
    if let Some(service) = &mut cx.state.service {
        let message = Message {
            subject,
            payload,
            ..Message::default()
        };
        publish(&mut cx.state.core, &mut cx.io, service, &message);
    }
}

/// Publishes in an account, by a service that is there for this message alone.
fn say_in(cx: &mut Context<'_, State>, account: AccountId, subject: &[u8], payload: &[u8]) {
    let core = &mut cx.state.core;
    let mut service = Service::begin(core, account);
    let message = Message {
        subject,
        payload,
        ..Message::default()
    };
    publish(core, &mut cx.io, &mut service, &message);
    service.end(core);
}
