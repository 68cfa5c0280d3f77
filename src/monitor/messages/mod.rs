//! `$SYS.REQ.*`: monitoring by messages, for the clients of the system account.
//!
//! ```text
//! request ──▶ Requests ──▶ serve ──▶ questions::answer ──▶ {"server": .., "data": ..} ──▶ reply
//!             core/                  questions.rs, endpoints/
//! ```
//!
//! The service is a receiver in the system account, which subscribes to one subject for each question. Nobody else sees
//! those subjects. What is asked while an answer is made waits for its turn: so one answer is in memory at a time, and all
//! share the [`Budget`](crate::records::Budget) of a turn with those who ask over HTTP.

mod questions;

use crate::core::delivery::{Published, Quota, Tally, publish_one};
use crate::core::requests::Service;
use crate::link::queues::Queues;
use crate::monitor::Pieces;
use crate::monitor::view::View;
use crate::state::State;
use midge_protocol::{Publish, Run};
use midge_reactor::Context;
use questions::{Answer, Question, answer, failed};

/// Longest answer, in bytes. Over HTTP it leaves as it is made; a message is whole.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What an answer in one piece costs, in places looked at.
const WHOLE_COST: usize = 125;

const TOO_LONG: &str = "the answer is longer than 16 MiB: ask with limit and offset";

/// The service has its place in the system account, as the settings name it, or none.
///
/// Where nothing is kept to be told, it cannot begin any more.
pub(crate) fn update(cx: &mut Context<'_, State>) {
    let State {
        config,
        core,
        info,
        service,
        records,
        ..
    } = &mut *cx.state;
    let wanted = config.system_account_name();
    let account_of = |one: &Service| {
        core.accounts[core.receiver(one.receiver).account]
            .name
            .clone()
    };
    let present = service.as_ref().map(account_of);
    if present.as_deref() == wanted {
        return;
    }
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
    let account = core.accounts.open(name);
    let begun = Service::begin(core, account);
    for (number, subject) in (1..).zip(Question::subjects(&info.server_id)) {
        let number: usize = number;
        core.subscribe(
            begun.receiver,
            subject.as_bytes(),
            None,
            number.to_string().as_bytes(),
        );
    }
    *service = Some(begun);
    cx.state.serve = serve;
}

/// Answers what was asked, one question after the other.
fn serve(cx: &mut Context<'_, State>) {
    while let Some(service) = &mut cx.state.service
        && !service.is_answering
        && let Some(request) = cx.state.core.requests.pop()
    {
        let Some(reply) = request.reply.clone() else {
            // Nobody waits for an answer.
            continue;
        };
        match with_view(cx, WHOLE_COST, |view| answer(view, &request)) {
            Some(Answer::Whole(payload)) => say(cx, &reply, &payload),
            Some(Answer::Pieces { made, pieces }) => {
                let answering = Answering {
                    reply,
                    made,
                    pieces,
                };
                go_on(cx, Box::new(answering));
            }
            Some(Answer::Silence) | None => {}
        }
    }
}

/// Goes on with an answer that is made piece by piece, and then with what was asked meanwhile.
fn go_on(cx: &mut Context<'_, State>, mut answering: Box<Answering>) {
    let (now, turns) = (cx.now(), cx.io.stats().turns);
    let Some(mut records) = cx.state.records.take() else {
        return;
    };
    records.look(now);
    let mut budget = records.take_budget(turns);
    let view = View {
        state: cx.state,
        records: &records,
        sockets: &cx.io,
    };
    let mut more = budget.is_empty()
        || answering
            .pieces
            .next(&view, &mut budget, &mut answering.made);
    if answering.made.len() > ANSWER_BYTES_MAX {
        answering.made = failed(&view, 500, TOO_LONG);
        more = false;
    } else if !more {
        answering.made.push(b'}');
    }
    records.give_back(budget);
    cx.state.records = Some(records);
    if let Some(service) = &mut cx.state.service {
        service.is_answering = more;
    }
    if more {
        cx.defer(|cx| go_on(cx, answering));
        return;
    }
    say(cx, &answering.reply, &answering.made);
    // What a call further up goes on with is not done twice.
    cx.defer(serve);
}

/// An answer that is being made.
struct Answering {
    reply: Box<[u8]>,
    made: Vec<u8>,
    pieces: Box<dyn Pieces>,
}

fn with_view<R>(
    cx: &mut Context<'_, State>,
    cost: usize,
    work: impl FnOnce(&View<'_>) -> R,
) -> Option<R> {
    let (now, turns) = (cx.now(), cx.io.stats().turns);
    let mut records = cx.state.records.take()?;
    records.look(now);
    let mut budget = records.take_budget(turns);
    budget.spend(cost);
    records.give_back(budget);
    if let Some(service) = &mut cx.state.service {
        service.said += 1;
    }
    let view = View {
        state: cx.state,
        records: &records,
        sockets: &cx.io,
    };
    let result = work(&view);
    cx.state.records = Some(records);
    Some(result)
}

/// Publishes an answer.
fn say(cx: &mut Context<'_, State>, subject: &[u8], payload: &[u8]) {
    let State { core, service, .. } = &mut *cx.state;
    let Some(service) = service else {
        return;
    };
    let mut buffer = Vec::new();
    let message = Publish::compose(&mut buffer, subject, None, b"", payload);
    let (run, mut tally) = (Run::from(message), Tally::default());
    let (publisher, out) = (&mut service.publisher, &mut Queues(&mut cx.io));
    let mut published = publish_one(core, publisher, &run, &mut tally, |_| {}, out);
    while published == Published::InPieces {
        published = publisher.go_on(core, &message, Quota::ONE, &mut tally, out);
    }
    core.settle(service.receiver, &tally);
}
