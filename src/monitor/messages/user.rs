//! What a client of any account is told of itself and of its own account, as [`Asking`](crate::state::asking::Asking)
//! keeps its questions.

use super::body::{json, opened_at};
use super::questions::{Answer, answer_of_account};
use super::{Answering, To, WHOLE_COST, finish, with_view};
use crate::config::{Permission, Subscriptions, texts};
use crate::monitor::endpoints::Endpoint;
use crate::state::State;
use crate::state::asking::{Asked, Wish};
use jiff::Timestamp;
use midge_protocol::Subjects;
use midge_reactor::{Context, Time};
use serde::Serialize;

/// Answers a question at once, or begins to.
pub(super) fn begin(cx: &mut Context<'_, State>, asked: &Asked) -> Option<Answering> {
    cx.state.serving.said += 1;
    let now = cx.now();
    if let Some(records) = &mut cx.state.records {
        records.clock.follow(now);
    }
    let answer = match asked.wish {
        Wish::User => {
            with_view(cx, |_, budget| budget.spend(WHOLE_COST));
            Answer::Whole(user(cx.state, asked, now))
        }
        Wish::Connections => of_account(cx, asked, Endpoint::Connz)?,
        Wish::Figures => of_account(cx, asked, Endpoint::Accstatz)?,
    };
    finish(cx, To::Account(asked.account.clone()), &asked.reply, answer)
}

fn of_account(cx: &mut Context<'_, State>, asked: &Asked, endpoint: Endpoint) -> Option<Answer> {
    with_view(cx, |view, budget| {
        budget.spend(WHOLE_COST);
        answer_of_account(view, endpoint, &asked.account, &asked.payload)
    })
}

#[derive(Serialize)]
struct User<'a> {
    user: &'a str,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Allowed>,
    /// In nanoseconds from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

/// What a user may do. A list that is not there is everything, or nothing that is denied.
#[derive(Serialize)]
struct Allowed {
    publish: Lists,
    subscribe: Lists,
    #[serde(skip_serializing_if = "Option::is_none")]
    responses: Option<Responses>,
}

#[derive(Serialize)]
struct Lists {
    #[serde(skip_serializing_if = "Option::is_none")]
    allow: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deny: Vec<String>,
}

#[derive(Serialize)]
struct Responses {
    /// -1 is any number.
    max: i64,
    /// In nanoseconds; -1 is for ever.
    ttl: i64,
}

impl Lists {
    fn of<T>(permission: &Permission<T>, texts: impl Fn(&T) -> Vec<String>) -> Lists {
        Lists {
            allow: permission.allow.as_ref().map(&texts),
            deny: texts(&permission.deny),
        }
    }
}

/// Who the client is.
fn user(state: &State, asked: &Asked, now: Time) -> Vec<u8> {
    let asker = &asked.asker;
    let permissions = asker.permissions.of_user().map(|user| Allowed {
        publish: Lists::of(&user.publish, |list: &Subjects| texts(list)),
        subscribe: Lists::of(&user.subscribe, Subscriptions::texts),
        responses: user.responses.map(|responses| Responses {
            max: responses.max.map_or(-1, i64::from),
            ttl: responses.expires.map_or(-1, |time| nanos(time.as_nanos())),
        }),
    });
    let told = User {
        user: &asker.user,
        account: &asked.account,
        permissions,
        expires: asker
            .until
            .map(|until| u64::try_from((until - now).as_nanos()).unwrap_or(u64::MAX)),
    };
    let records = state.records.as_ref();
    let date = records.map_or_else(Timestamp::now, |records| records.clock.wall_of(now));
    let mut body = opened_at(state, date, "data");
    body.extend(json(&told));
    body.push(b'}');
    body
}

fn nanos(nanos: u128) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
