//! `Filter`: which connections are asked for, in which order, and how much of each.

use super::row::Row;
use crate::monitor::query::{Mistake, Page, Query, Subscriptions};
use std::time::Duration;

/// The orders there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sort {
    Cid,
    Start,
    Subscriptions,
    Pending,
    MessagesTo,
    MessagesFrom,
    BytesTo,
    BytesFrom,
    Last,
    Idle,
    Uptime,
    Stop,
    Reason,
    RoundTrip,
}

impl Sort {
    fn of(query: &Query<'_>) -> Result<Sort, Mistake> {
        Ok(match query.text("sort").as_deref() {
            None | Some("cid") => Sort::Cid,
            Some("start") => Sort::Start,
            Some("subs") => Sort::Subscriptions,
            Some("pending") => Sort::Pending,
            Some("msgs_to") => Sort::MessagesTo,
            Some("msgs_from") => Sort::MessagesFrom,
            Some("bytes_to") => Sort::BytesTo,
            Some("bytes_from") => Sort::BytesFrom,
            Some("last") => Sort::Last,
            Some("idle") => Sort::Idle,
            Some("uptime") => Sort::Uptime,
            Some("stop") => Sort::Stop,
            Some("reason") => Sort::Reason,
            Some("rtt") => Sort::RoundTrip,
            Some(other) => return Err(format!("invalid sorting option: {other}")),
        })
    }

    /// Where a connection stands: the smallest comes first.
    pub(super) fn rank(self, row: &Row<'_>) -> Rank {
        let ascending = |number: u64| Rank::Number(number);
        let descending = |number: u64| Rank::Number(u64::MAX - number);
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        match self {
            Sort::Cid => ascending(row.cid),
            Sort::Start => ascending(row.start.as_nanos()),
            Sort::Subscriptions => descending(row.subscriptions as u64),
            Sort::Pending => descending(row.pending as u64),
            Sort::MessagesTo => descending(row.sent.messages),
            Sort::MessagesFrom => descending(row.received.messages),
            Sort::BytesTo => descending(row.sent.bytes),
            Sort::BytesFrom => descending(row.received.bytes),
            Sort::Last => descending(row.last_active.as_nanos()),
            // Not by the time without activity, in nats-server as here.
            Sort::Idle => descending(nanos(row.last_active - row.start)),
            Sort::Uptime => ascending(nanos(row.end - row.start)),
            Sort::Stop => descending(row.end.as_nanos()),
            Sort::Reason => Rank::Text(row.reason.map(|r| r.to_string()).unwrap_or_default()),
            Sort::RoundTrip => descending(nanos(row.round_trip)),
        }
    }
}

/// Where a connection stands among the others.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Rank {
    Number(u64),
    Text(String),
}

/// Which connections, in which order, and how much of each.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) sort: Sort,
    pub(super) auth: bool,
    pub(super) subscriptions: Subscriptions,
    pub(super) page: Page,
    pub(super) cid: Option<u64>,
    pub(super) open: bool,
    pub(super) closed: bool,
    pub(super) user: Option<String>,
    pub(super) account: Option<String>,
    /// What must stand somewhere in what is known of it, in small letters.
    find: Option<String>,
    /// Asked for connections of MQTT, of which there are none.
    pub(super) mqtt: bool,
}

impl Filter {
    pub(super) fn of(query: &Query<'_>) -> Result<Filter, Mistake> {
        let auth = query.switch("auth")?;
        let subscriptions = query.subscriptions()?;
        let mut page = query.page()?;
        let cid = query.number("cid")?.filter(|cid| *cid > 0);
        let (mut open, mut closed) = match query.text("state") {
            None => (true, false),
            Some(state) => match state.to_ascii_lowercase().as_str() {
                "open" => (true, false),
                "closed" => (false, true),
                "any" | "all" => (true, true),
                _ => return Err(format!("Error decoding state for {state}")),
            },
        };
        let sort = Sort::of(query)?;
        for (only, name) in [(Sort::Stop, "stop"), (Sort::Reason, "reason")] {
            if sort == only && open {
                return Err(format!("sort by {name} only valid on closed connections"));
            }
        }
        if cid.is_some() {
            page = Page {
                offset: 0,
                limit: 1,
            };
            (open, closed) = (true, true);
        }
        Ok(Filter {
            sort,
            auth,
            subscriptions,
            page,
            cid,
            open,
            closed,
            user: query.text("user"),
            account: query.text("acc"),
            find: query.text("find").map(|text| text.to_lowercase()),
            mqtt: query.text("mqtt_client").is_some(),
        })
    }

    pub(super) fn includes(&self, row: &Row<'_>) -> bool {
        let user = self.user.as_deref();
        self.cid.is_none_or(|cid| cid == row.cid)
            && user.is_none_or(|user| user == &*row.identity.user)
            && self
                .account
                .as_deref()
                .is_none_or(|name| name == row.account)
            && self.find.as_deref().is_none_or(|find| row.mention(find))
            && !self.mqtt
    }
}
