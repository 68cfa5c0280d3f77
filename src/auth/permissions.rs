//! `Permissions`: what a client may publish, and subscribe to.
//!
//! ```text
//! PUB ──▶ refuse_publish     kept for servers, then the user's lists
//! SUB ──▶ refuse_subscribe   likewise
//!     └─▶ filter             what of a subscription that is allowed is denied all the same
//! ```
//!
//! Some subjects and one queue group are kept for traffic between servers, and refused to every user. What one
//! user may do and another may not stands in the settings, is made once for each user, and shared by its clients.
//!
//! * A subscription is allowed if one subject on the list has all of it, and denied if a denied one has. A denied
//!   subject that has some of it is a filter.
//! * Entries for queue groups come first: where some have the subject, they alone say which groups are allowed.
//!   What is denied to all is denied to groups, whatever is said of them.

use super::verdicts::Verdicts;
use crate::config::{self, Grant, Permission, Subscriptions};
use crate::core::filter::Filter;
use crate::core::replies::Bounds;
use crate::core::revision::{Lists, Passing};
use midge_protocol::{Publish, Subjects, Violation, subject};
use std::sync::Arc;

/// The queue group of servers that answer for the system.
const SYSTEM_QUEUE: &[u8] = b"_sys_";

/// What a client may publish, and subscribe to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Permissions {
    /// What its user may, if not everything.
    of_user: Option<Grant>,
}

impl Permissions {
    /// Those of a client whose user has these, or none of its own.
    pub(crate) fn of(user: Option<&Grant>) -> Permissions {
        Permissions {
            of_user: user.filter(|user| !user.is_everything()).cloned(),
        }
    }

    /// Whether its user may do everything.
    pub(crate) fn are_everything(&self) -> bool {
        self.of_user.is_none()
    }

    /// What its user may, if not everything.
    pub(crate) fn of_user(&self) -> Option<&Grant> {
        self.of_user.as_ref()
    }

    /// Why a message may not be published, if it may not.
    #[inline(always)]
    pub(crate) fn refuse_publish<'a>(
        &self,
        message: &Publish<'a>,
        verdicts: &mut Verdicts,
    ) -> Option<Violation<'a>> {
        let subject = message.subject();
        let is_refused = subject.starts_with(b"_GR_.")
            || self
                .of_user
                .as_ref()
                .is_some_and(|user| !may_publish(user, subject, verdicts));
        match is_refused {
            true => Some(Violation::PublishDenied { subject }),
            false => self.refuse_reply(message),
        }
    }

    /// Why a message may not be published whose subject is allowed, if it may not.
    #[inline(always)]
    pub(crate) fn refuse_reply<'a>(&self, message: &Publish<'a>) -> Option<Violation<'a>> {
        let is_reserved = |reply: &[u8]| {
            let acknowledges = reply
                .strip_prefix(b"$JS.ACK.")
                .is_some_and(|rest| !rest.is_empty());
            acknowledges || reply.starts_with(b"_R_.") || reply.starts_with(b"_GR_.")
        };
        let reply = message.reply().filter(|reply| is_reserved(reply))?;
        Some(Violation::ReplyDenied { reply })
    }

    /// Why `subject` may not be subscribed to in this queue group, or in none, if it may not.
    pub(crate) fn refuse_subscribe<'a>(
        &self,
        subject: &'a [u8],
        queue: Option<&'a [u8]>,
    ) -> Option<Violation<'a>> {
        let may_subscribe = queue != Some(SYSTEM_QUEUE)
            && self
                .of_user
                .as_ref()
                .is_none_or(|user| may_subscribe(user, subject, queue));
        (!may_subscribe).then_some(Violation::SubscribeDenied { subject, queue })
    }

    /// What of a subscription that is allowed is denied.
    pub(crate) fn filter(&self, subject: &[u8], queue: Option<&[u8]>) -> Option<Filter> {
        let denied = &self.of_user.as_ref()?.subscribe.deny;
        let lists = std::iter::once(&denied.plain).chain(of_queue(denied, queue));
        Filter::of(lists.filter(|list| list.overlaps(subject)).cloned())
    }

    /// Which messages pass to subscriptions that were not held against these yet.
    pub(crate) fn passing(&self) -> Passing {
        let Some(user) = &self.of_user else {
            return Passing::default();
        };
        let lists = |list: &Subscriptions| Lists {
            plain: Arc::clone(&list.plain),
            queues: list
                .queues
                .iter()
                .map(|(_, list)| Arc::clone(list))
                .collect(),
        };
        let Permission { allow, deny } = &user.subscribe;
        Passing {
            allow: allow.as_ref().map(lists),
            deny: Some(lists(deny)),
        }
    }

    /// Which responses it may publish whatever else is denied.
    pub(crate) fn responses(&self) -> Option<Bounds> {
        let config::Responses { max, expires } = self.of_user.as_ref()?.responses?;
        Some(Bounds { max, expires })
    }
}

#[inline(never)]
fn may_publish(user: &Grant, subject: &[u8], verdicts: &mut Verdicts) -> bool {
    verdicts.ask(user, subject, || {
        let Permission { allow, deny } = &user.publish;
        let is_allowed = match allow {
            Some(allow) => allow.matches(subject),
            None => user.responses.is_none(),
        };
        is_allowed && !deny.matches(subject)
    })
}

fn may_subscribe(user: &config::Permissions, subject: &[u8], queue: Option<&[u8]>) -> bool {
    let Permission { allow, deny } = &user.subscribe;
    let is_denied = deny.plain.covers(subject)
        || of_queue(deny, queue).any(|subjects| subjects.covers(subject));
    !is_denied
        && allow
            .as_ref()
            .is_none_or(|list| allows(list, subject, queue))
}

fn allows(list: &Subscriptions, subject: &[u8], queue: Option<&[u8]>) -> bool {
    let is_of_queues = list
        .queues
        .iter()
        .any(|(_, subjects)| subjects.covers(subject));
    match queue.is_some() && is_of_queues {
        true => of_queue(list, queue).any(|subjects| subjects.covers(subject)),
        false => list.plain.covers(subject),
    }
}

/// The entries of a list that are for a queue group, by its name or by wildcards.
fn of_queue<'a>(
    list: &'a Subscriptions,
    queue: Option<&'a [u8]>,
) -> impl Iterator<Item = &'a Arc<Subjects>> {
    let is_of = move |name: &[u8]| {
        queue.is_some_and(|queue| name == queue || subject::matches(name, queue))
    };
    let lists = list.queues.iter().filter(move |(name, _)| is_of(name));
    lists.map(|(_, subjects)| subjects)
}

#[cfg(test)]
mod tests;
