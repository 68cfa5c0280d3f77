//! `/connz`: the connections, open and closed.
//!
//! First all are looked at: those that match are counted, and the best so many by the order asked for
//! are kept, in a tree that never grows beyond the end of the page. Then the page is written, one
//! connection after the other. A connection that closes meanwhile is told as it was when it did.

use super::closed::{Closed, Listed};
use super::endpoint::Made;
use super::presence::{Identity, Presence};
use super::query::{Mistake, Page, Query, Subscriptions};
use super::times::{round_trip, uptime};
use super::view::View;
use super::{Budget, Pieces, json};
use crate::close::CloseReason;
use crate::receiver::{Receiver, Traffic};
use crate::state::account_name;
use crate::sublist::SubId;
use jiff::Timestamp;
use midge_reactor::Time;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;
use std::vec;

/// What writing one connection costs, in places looked at, and one of its subscriptions.
const WRITING: usize = 16;
const LISTING: usize = 4;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sort {
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
    fn rank(self, facts: &Facts<'_>) -> Rank {
        let ascending = |number: u64| Rank::Number(number);
        let descending = |number: u64| Rank::Number(u64::MAX - number);
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        match self {
            Sort::Cid => ascending(facts.cid),
            Sort::Start => ascending(facts.start.as_nanos()),
            Sort::Subscriptions => descending(facts.subscriptions as u64),
            Sort::Pending => descending(facts.pending as u64),
            Sort::MessagesTo => descending(facts.sent.messages),
            Sort::MessagesFrom => descending(facts.received.messages),
            Sort::BytesTo => descending(facts.sent.bytes),
            Sort::BytesFrom => descending(facts.received.bytes),
            Sort::Last => descending(facts.last_active.as_nanos()),
            // Not by the time without activity, in nats-server as here.
            Sort::Idle => descending(nanos(facts.last_active - facts.start)),
            Sort::Uptime => ascending(nanos(facts.end - facts.start)),
            Sort::Stop => descending(facts.end.as_nanos()),
            Sort::Reason => Rank::Text(facts.reason.map(|r| r.to_string()).unwrap_or_default()),
            Sort::RoundTrip => descending(nanos(facts.round_trip)),
        }
    }
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    Number(u64),
    Text(String),
}

/// Which connection, so that it can be found again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Which {
    Open(u64),
    /// By its number in the ring.
    Closed(u64),
}

/// What is wanted.
#[derive(Debug)]
struct Wanted {
    sort: Sort,
    auth: bool,
    subscriptions: Subscriptions,
    page: Page,
    cid: Option<u64>,
    open: bool,
    closed: bool,
    user: Option<String>,
    account: Option<String>,
    /// What must stand somewhere in what is known of it, in small letters.
    find: Option<String>,
    /// Asked for connections of MQTT, of which there are none.
    mqtt: bool,
}

impl Wanted {
    fn of(query: &Query<'_>) -> Result<Wanted, Mistake> {
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
        Ok(Wanted {
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

    fn includes(&self, facts: &Facts<'_>) -> bool {
        let user = self.user.as_deref();
        self.cid.is_none_or(|cid| cid == facts.cid)
            && user.is_none_or(|user| user == &*facts.identity.user)
            && self.find.as_deref().is_none_or(|find| facts.mention(find))
            && !self.mqtt
    }
}

/// A connection, open or closed.
struct Facts<'a> {
    cid: u64,
    peer: std::net::SocketAddr,
    identity: &'a Identity,
    start: Time,
    /// When it closed, or now.
    end: Time,
    reason: Option<CloseReason>,
    last_active: Time,
    round_trip: Duration,
    pending: usize,
    pending_peak: usize,
    received: Traffic,
    sent: Traffic,
    subscriptions: usize,
}

impl<'a> Facts<'a> {
    fn of_present(
        view: &View<'a>,
        cid: u64,
        presence: &'a Presence,
        receiver: &Receiver,
    ) -> Facts<'a> {
        let (now, key) = (view.sockets.now(), presence.key);
        let silence = view.sockets.idle_for(key);
        Facts {
            cid,
            peer: presence.peer,
            identity: &presence.identity,
            start: presence.start,
            end: now,
            reason: None,
            last_active: presence.last_active(now, silence),
            round_trip: presence.round_trip,
            pending: view.sockets.queued(key),
            pending_peak: view.sockets.queued_peak(key),
            received: receiver.received,
            sent: receiver.sent,
            subscriptions: receiver.sids.len(),
        }
    }

    fn of_closed(closed: &'a Closed) -> Facts<'a> {
        Facts {
            cid: closed.cid,
            peer: closed.peer,
            identity: &closed.identity,
            start: closed.start,
            end: closed.stop,
            reason: Some(closed.reason),
            last_active: closed.last_active,
            round_trip: closed.round_trip,
            pending: closed.pending,
            pending_peak: closed.pending_peak,
            received: closed.received,
            sent: closed.sent,
            subscriptions: closed.subscriptions,
        }
    }
}

impl Facts<'_> {
    /// Whether `text`, in small letters, stands in its name, user, language or address, or is its cid.
    fn mention(&self, text: &str) -> bool {
        let Identity {
            name, lang, user, ..
        } = self.identity;
        let said = [name, lang, user];
        said.iter().any(|said| said.to_lowercase().contains(text))
            || text.parse() == Ok(self.cid)
            || {
                let ip = self.peer.ip().to_canonical();
                format!("{ip}:{}", self.peer.port()).contains(text)
            }
    }
}

#[derive(Serialize)]
struct Head<'a> {
    server_id: &'a str,
    now: Timestamp,
    num_connections: usize,
    total: usize,
    offset: usize,
    limit: usize,
}

#[derive(Serialize)]
struct Connection<'a> {
    cid: u64,
    kind: &'static str,
    #[serde(rename = "type")]
    kind_of_client: &'static str,
    ip: String,
    port: u16,
    start: Timestamp,
    last_activity: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    rtt: String,
    uptime: String,
    idle: String,
    pending_bytes: usize,
    /// The most bytes that the kernel has left waiting.
    pending_bytes_peak: usize,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    subscriptions: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    lang: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    authorized_user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    account: &'a str,
}

/// A subscription, as here and in `/subsz`.
#[derive(Serialize)]
pub(super) struct Detail<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) account: &'a str,
    pub(super) subject: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) qgroup: Option<Cow<'a, str>>,
    pub(super) sid: Cow<'a, str>,
    pub(super) msgs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<u64>,
    pub(super) cid: u64,
}

pub(super) fn answer(query: &Query<'_>) -> Result<Made, Mistake> {
    let wanted = Wanted::of(query)?;
    Ok(Made::Pieces(Box::new(Connz {
        wanted,
        total: 0,
        best: BTreeSet::new(),
        stage: Stage::Open { next: 0 },
    })))
}

/// The answer, as far as it is.
struct Connz {
    wanted: Wanted,
    total: usize,
    /// The first of those that match, by their order.
    best: BTreeSet<(Rank, Which)>,
    stage: Stage,
}

enum Stage {
    /// Looking at the open ones, from this cid on.
    Open {
        next: u64,
    },
    /// Looking at the closed ones, from this number on.
    Closed {
        next: u64,
    },
    /// Writing.
    Page {
        rest: vec::IntoIter<Which>,
        is_first: bool,
    },
    /// Writing the subscriptions of an open one.
    Subscriptions {
        rest: vec::IntoIter<Which>,
        /// Whose they are.
        cid: u64,
        ids: vec::IntoIter<SubId>,
        is_first: bool,
    },
    Over,
}

/// How deep the objects of connections stand.
const DEPTH: usize = 2;

impl Pieces for Connz {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Over);
            let (stage, goes_on) = match stage {
                Stage::Open { next } => self.look_at_open(view, budget, next),
                Stage::Closed { next } => self.look_at_closed(view, budget, next, out),
                Stage::Page { rest, is_first } => self.write(view, budget, rest, is_first, out),
                Stage::Subscriptions {
                    rest,
                    cid,
                    ids,
                    is_first,
                } => self.list(view, budget, (rest, cid, ids, is_first), out),
                Stage::Over => return false,
            };
            self.stage = stage;
            if !goes_on {
                return true;
            }
        }
    }
}

impl Connz {
    fn look_at_open(&mut self, view: &View<'_>, budget: &mut Budget, next: u64) -> (Stage, bool) {
        let closed = Stage::Closed { next: 0 };
        // Nobody is in an account that is not there.
        let known = self.wanted.account.as_deref();
        if !self.wanted.open || known.is_some_and(|name| name != account_name()) {
            return (closed, true);
        }
        let next = self.wanted.cid.unwrap_or(next).max(next);
        for (cid, presence) in view.records.present.range(next..) {
            if !budget.take() {
                return (Stage::Open { next: *cid }, false);
            }
            if self.wanted.cid.is_some_and(|wanted| wanted != *cid) {
                break;
            }
            let receiver = view.state.receiver(presence.receiver);
            let facts = Facts::of_present(view, *cid, presence, receiver);
            self.consider(&facts, Which::Open(*cid));
        }
        (closed, true)
    }

    fn look_at_closed(
        &mut self,
        view: &View<'_>,
        budget: &mut Budget,
        mut next: u64,
        out: &mut Vec<u8>,
    ) -> (Stage, bool) {
        let known = self.wanted.account.as_deref();
        let is_known = known.is_none_or(|name| name == account_name());
        // One that was found among the open ones is not among these.
        if self.wanted.closed && is_known && !(self.wanted.cid.is_some() && self.total > 0) {
            while let Some((number, closed)) = view.records.closed.at_or_after(next) {
                if !budget.take() {
                    return (Stage::Closed { next: number }, false);
                }
                self.consider(&Facts::of_closed(closed), Which::Closed(number));
                next = number + 1;
            }
        }
        let best = std::mem::take(&mut self.best);
        let page: Vec<Which> = best
            .into_iter()
            .skip(self.wanted.page.offset)
            .map(|(_, which)| which)
            .collect();
        let head = Head {
            server_id: if is_known { view.server_id() } else { "" },
            now: view.now(),
            num_connections: page.len(),
            total: self.total,
            offset: self.wanted.page.offset,
            limit: self.wanted.page.limit,
        };
        json::put_open(out, &head, 0);
        json::begin_list(out, "connections", 0);
        budget.spend(page.len() / WRITING);
        let rest = page.into_iter();
        let is_first = true;
        (Stage::Page { rest, is_first }, true)
    }

    fn consider(&mut self, facts: &Facts<'_>, which: Which) {
        if !self.wanted.includes(facts) {
            return;
        }
        self.total += 1;
        self.best.insert((self.wanted.sort.rank(facts), which));
        if self.best.len() > self.wanted.page.end() {
            self.best.pop_last();
        }
    }

    fn write(
        &mut self,
        view: &View<'_>,
        budget: &mut Budget,
        mut rest: vec::IntoIter<Which>,
        mut is_first: bool,
        out: &mut Vec<u8>,
    ) -> (Stage, bool) {
        loop {
            let Some(which) = rest.as_slice().first().copied() else {
                json::end_list(out, is_first, 0);
                json::end_object(out, 0);
                return (Stage::Over, true);
            };
            if !budget.spend(WRITING) {
                return (Stage::Page { rest, is_first }, false);
            }
            rest.next();
            let records = view.records;
            let (cid, closed) = match which {
                Which::Open(cid) => match records.present.get(&cid) {
                    Some(presence) => {
                        let receiver = view.state.receiver(presence.receiver);
                        let facts = Facts::of_present(view, cid, presence, receiver);
                        json::begin_element(out, is_first, 0);
                        is_first = false;
                        self.write_one(view, &facts, out);
                        if self.wanted.subscriptions == Subscriptions::None
                            || receiver.sids.is_empty()
                        {
                            json::end_object(out, DEPTH);
                            continue;
                        }
                        // In one go: of a client with a million, 4 MB are copied.
                        let ids = receiver.sids.first(usize::MAX);
                        budget.spend(ids.len() / 64);
                        self.begin_subscriptions(out);
                        let ids = ids.into_iter();
                        let is_first = true;
                        return (
                            Stage::Subscriptions {
                                rest,
                                cid,
                                ids,
                                is_first,
                            },
                            true,
                        );
                    }
                    None => (cid, records.closed.find(cid)),
                },
                Which::Closed(number) => (0, records.closed.get(number)),
            };
            let Some(closed) = closed else { continue };
            let mut facts = Facts::of_closed(closed);
            if cid > 0 {
                // It was open when the page was made.
                facts.reason = None;
            }
            json::begin_element(out, is_first, 0);
            is_first = false;
            self.write_one(view, &facts, out);
            if self.wanted.subscriptions != Subscriptions::None && !closed.listed.is_empty() {
                self.begin_subscriptions(out);
                for (number, listed) in closed.listed.iter().enumerate() {
                    self.list_closed(closed.cid, listed, number == 0, out);
                }
                json::end_list(out, false, DEPTH);
            }
            json::end_object(out, DEPTH);
        }
    }

    fn write_one(&self, view: &View<'_>, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let (stop, reason) = match facts.reason {
            Some(reason) => (Some(view.wall_of(facts.end)), Some(reason.to_string())),
            None => (None, None),
        };
        // Of one that has closed all is told, as in nats-server.
        let tells_user = self.wanted.auth || reason.is_some();
        let connection = Connection {
            cid: facts.cid,
            kind: "Client",
            kind_of_client: "nats",
            ip: facts.peer.ip().to_canonical().to_string(),
            port: facts.peer.port(),
            start: view.wall_of(facts.start),
            last_activity: view.wall_of(facts.last_active),
            stop,
            reason,
            rtt: round_trip(facts.round_trip),
            uptime: uptime(facts.end - facts.start),
            idle: uptime(facts.end - facts.last_active),
            pending_bytes: facts.pending,
            pending_bytes_peak: facts.pending_peak.max(facts.pending),
            in_msgs: facts.received.messages,
            out_msgs: facts.sent.messages,
            in_bytes: facts.received.bytes,
            out_bytes: facts.sent.bytes,
            subscriptions: facts.subscriptions,
            name: &facts.identity.name,
            lang: &facts.identity.lang,
            version: &facts.identity.version,
            authorized_user: if tells_user { &facts.identity.user } else { "" },
            account: if tells_user { account_name() } else { "" },
        };
        json::put_open(out, &connection, DEPTH);
    }

    fn begin_subscriptions(&self, out: &mut Vec<u8>) {
        let name = match self.wanted.subscriptions {
            Subscriptions::Detail => "subscriptions_list_detail",
            _ => "subscriptions_list",
        };
        json::begin_list(out, name, DEPTH);
    }

    fn list(
        &self,
        view: &View<'_>,
        budget: &mut Budget,
        at: (vec::IntoIter<Which>, u64, vec::IntoIter<SubId>, bool),
        out: &mut Vec<u8>,
    ) -> (Stage, bool) {
        let (rest, cid, mut ids, mut is_first) = at;
        while let Some(id) = ids.as_slice().first().copied() {
            if !budget.spend(LISTING) {
                let stage = Stage::Subscriptions {
                    rest,
                    cid,
                    ids,
                    is_first,
                };
                return (stage, false);
            }
            ids.next();
            let Some(presence) = view.records.present.get(&cid) else {
                break;
            };
            // One that has ended meanwhile may be somebody else's now.
            let Some(detail) = detail(view, id).filter(|(owner, _)| *owner == presence.receiver.0)
            else {
                continue;
            };
            let detail = Detail {
                account: "",
                ..detail.1
            };
            match self.wanted.subscriptions {
                Subscriptions::Detail => json::put_element(out, is_first, &detail, DEPTH),
                _ => json::put_element(out, is_first, &detail.subject, DEPTH),
            }
            is_first = false;
        }
        json::end_list(out, is_first, DEPTH);
        json::end_object(out, DEPTH);
        let is_first = false;
        (Stage::Page { rest, is_first }, true)
    }

    fn list_closed(&self, cid: u64, listed: &Listed, is_first: bool, out: &mut Vec<u8>) {
        let subject = String::from_utf8_lossy(&listed.subject);
        if self.wanted.subscriptions == Subscriptions::Subjects {
            return json::put_element(out, is_first, &subject, DEPTH);
        }
        let detail = Detail {
            account: account_name(),
            subject,
            qgroup: listed.queue.as_deref().map(String::from_utf8_lossy),
            sid: String::from_utf8_lossy(&listed.sid),
            msgs: listed.messages,
            max: listed.max,
            cid,
        };
        json::put_element(out, is_first, &detail, DEPTH);
    }
}

/// A subscription and the number of its receiver, if it is there.
pub(super) fn detail<'a>(view: &View<'a>, id: SubId) -> Option<(u32, Detail<'a>)> {
    let state = view.state;
    let sublist = &state.accounts[crate::state::GLOBAL.0].sublist;
    let subscription = sublist.get(id)?;
    let receiver = state.receiver(subscription.receiver);
    let detail = Detail {
        account: account_name(),
        subject: String::from_utf8_lossy(sublist.subject(id)),
        qgroup: sublist.queue(id).map(String::from_utf8_lossy),
        sid: String::from_utf8_lossy(subscription.sid.as_slice()),
        msgs: subscription.delivered,
        max: subscription.max(),
        cid: receiver.label.cid,
    };
    Some((subscription.receiver.0, detail))
}

#[cfg(test)]
mod tests {
    use super::super::view::fake;
    use super::*;
    use crate::receiver::Label;
    use midge_reactor::Key;
    use std::net::SocketAddr;

    #[test]
    fn fifty_thousand_connections_are_told_in_small_pieces() {
        const COUNT: u64 = 50_000;
        let (mut state, mut records) = fake::broker();
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        for cid in 1..=COUNT {
            let id = state.join(Key::NONE, peer, cid);
            records.arrived(Label { peer, cid }, Key::NONE, id, Time::ZERO);
        }
        let view = fake::view(&state, &records);
        // Query, connections told, pieces: all are looked at a thousand a piece, and written as many
        // as a piece has room for.
        for (query, told, pieces) in [
            ("", 1024, 50 + 16),
            ("limit=1", 1, 50),
            ("limit=100000", 50_000, 50 + 790),
            ("limit=100000&sort=rtt&auth=1&subs=detail", 50_000, 50 + 790),
            ("cid=49999", 1, 1),
        ] {
            let made = answer(&Query::new(query)).expect("it makes sense");
            let Made::Pieces(connz) = made else {
                panic!("it is made in pieces");
            };
            let (text, longest, count) = fake::all(&view, connz);
            let parsed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(
                parsed["connections"].as_array().map(Vec::len),
                Some(told),
                "{query}"
            );
            assert!(longest <= 64 * 1024, "{query}: a piece of {longest} bytes");
            assert!(count.abs_diff(pieces) <= 4, "{query}: {count} pieces");
        }
    }
}
