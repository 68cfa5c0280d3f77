//! `/topz`: which subjects and connections carry the traffic, since the start or now.
//!
//! Subjects come from the [meter](crate::records::meter), which keeps the heaviest of them within bounds and says
//! what it may have missed; connections from their counters, or, for now, from the meter too. Both are
//! found first, in pieces where there are many, then written.

use super::Content;
use crate::core::receiver::Traffic;
use crate::monitor::query::{Mistake, Page, Query};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use crate::records::meter::{Counts, Entry, SAMPLE_EVERY, SUBJECTS_MAX, Window};
use midge_protocol::subject;
use rows::{Connection, Head, Subject, Totals};
use std::cmp::Reverse;
use std::collections::BTreeSet;

mod rows;

/// What a list has if nothing else is asked for: it is a top and no census.
const LIMIT: usize = 50;

/// What writing a subject or a connection costs, in places looked at.
const WRITING: usize = 4;

/// By what the lists are ordered, the most first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sort {
    Messages,
    Bytes,
    Unrouted,
}

impl Sort {
    fn of(query: &Query<'_>) -> Result<Sort, Mistake> {
        match query.text("sort").as_deref() {
            None | Some("msgs") => Ok(Sort::Messages),
            Some("bytes") => Ok(Sort::Bytes),
            Some("unrouted") => Ok(Sort::Unrouted),
            Some(other) => Err(format!("invalid sorting option: {other}")),
        }
    }

    fn rank(self, counts: &Counts) -> u64 {
        match self {
            Sort::Messages => counts.messages,
            Sort::Bytes => counts.bytes,
            Sort::Unrouted => counts.unrouted,
        }
    }

    /// Unrouted messages are not known by connection.
    fn rank_of(self, traffic: Traffic) -> u64 {
        match self {
            Sort::Bytes => traffic.bytes,
            Sort::Messages | Sort::Unrouted => traffic.messages,
        }
    }
}

/// Of which time is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Period {
    Start,
    Now,
}

impl Period {
    fn of(query: &Query<'_>) -> Result<Period, Mistake> {
        match query.text("period").as_deref() {
            None | Some("start") => Ok(Period::Start),
            Some("now") => Ok(Period::Now),
            Some(other) => Err(format!("invalid period: {other}, must be start or now")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Period::Start => "start",
            Period::Now => "now",
        }
    }
}

pub(super) fn answer(query: &Query<'_>) -> Result<Content, Mistake> {
    let page = Page {
        limit: query.positive("limit")?.unwrap_or(LIMIT),
        ..query.page()?
    };
    let pattern = query.text("subject").map(String::into_bytes);
    let account = query.text("acc");
    if let Some(pattern) = &pattern
        && !subject::is_subscribable(pattern)
    {
        return Err(format!(
            "invalid subject, must be one that can be subscribed to: {}",
            String::from_utf8_lossy(pattern)
        ));
    }
    Ok(Content::Pieces(Box::new(Topz {
        period: Period::of(query)?,
        sort: Sort::of(query)?,
        page,
        pattern,
        account,
        next: 0,
        has_looked: false,
        best: BTreeSet::new(),
        written: None,
    })))
}

struct Topz {
    period: Period,
    sort: Sort,
    page: Page,
    /// What a subject must match.
    pattern: Option<Vec<u8>>,
    /// The account of which is told.
    account: Option<String>,
    /// The cid to go on with.
    next: u64,
    /// Whether all connections were looked at.
    has_looked: bool,
    /// The first connections by their order: more comes first, then who came first.
    best: BTreeSet<(Reverse<u64>, u64)>,
    /// What is being written, once all is found.
    written: Option<Written>,
}

/// What is written, and how far that is.
struct Written {
    seconds: f64,
    subjects: Vec<Entry>,
    /// Cids, with what each has published in the period if that is not since it came.
    connections: Vec<(u64, Option<Traffic>)>,
    place: usize,
    /// Whether subjects are done.
    is_second: bool,
    is_first_of_list: bool,
}

impl Pieces for Topz {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        let written = match &mut self.written {
            Some(written) => written,
            None => {
                let must_look = self.period == Period::Start && !self.has_looked;
                if must_look && !self.look_at_connections(view, budget) {
                    return true;
                }
                self.has_looked = true;
                // Two sketches are made one, and what is kept is sorted.
                if !budget.spend(2 * SUBJECTS_MAX) {
                    return true;
                }
                let written = self.begin(view, out);
                self.written.insert(written)
            }
        };
        written.go_on(view, budget, out)
    }
}

impl Topz {
    /// Finds the first of all connections; answers whether it is done.
    fn look_at_connections(&mut self, view: &View<'_>, budget: &mut Budget) -> bool {
        for (cid, presence) in view.records.present.range(self.next..) {
            if !budget.take() {
                self.next = *cid;
                return false;
            }
            let receiver = view.state.core.receiver(presence.receiver);
            let name = &view.state.core.accounts[receiver.account].name;
            if !self.is_of(name) {
                continue;
            }
            let mut both = receiver.received;
            both.add(receiver.sent);
            self.best.insert((Reverse(self.sort.rank_of(both)), *cid));
            if self.best.len() > self.page.end() {
                self.best.pop_last();
            }
        }
        true
    }

    /// Finds the rest, and writes the head.
    fn begin(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> Written {
        let now = view.sockets.now();
        let meter = &view.records.meter;
        let window = match self.period {
            Period::Start => meter.since_start(),
            Period::Now => meter.lately(now),
        };
        let Page { offset, limit } = self.page;
        let connections = match self.period {
            Period::Start => {
                let best = std::mem::take(&mut self.best).into_iter();
                best.skip(offset).map(|(_, cid)| (cid, None)).collect()
            }
            Period::Now => self.publishers(view, &window),
        };
        let found = self.found(view, &window);
        let totals = match self.account {
            None => Totals {
                msgs: window.received.messages,
                bytes: window.received.bytes,
                unrouted: window.seen.unrouted,
            },
            Some(_) => Totals::of(&found),
        };
        let num_subjects = found.len();
        let page = found.into_iter().skip(offset).take(limit);
        let subjects = page.cloned().collect();
        let seconds = (now - window.since).as_secs_f64();
        let head = Head {
            server_id: view.server_id(),
            now: view.now(),
            period: self.period.name(),
            since: view.wall_of(window.since),
            seconds: (1000.0 * seconds).round() / 1000.0,
            sampled: window.seen.estimated > 0,
            sample_every: SAMPLE_EVERY,
            totals,
            max_subjects: SUBJECTS_MAX,
            num_subjects,
            offset,
            limit,
        };
        json::put_open(out, &head, 0);
        json::begin_list(out, "subjects", 0);
        Written {
            seconds,
            subjects,
            connections,
            place: 0,
            is_second: false,
            is_first_of_list: true,
        }
    }

    /// Whether an account is the one of which is told, if it is of one.
    fn is_of(&self, account: &str) -> bool {
        self.account.as_deref().is_none_or(|name| name == account)
    }

    /// The subjects that match, the first by their order first.
    fn found<'a>(&self, view: &View<'_>, window: &'a Window) -> Vec<&'a Entry> {
        let pattern = self.pattern.as_deref();
        let is_wanted = |entry: &&Entry| {
            self.is_of(account_of(view, entry))
                && pattern.is_none_or(|pattern| {
                    // Of a cut one nothing but its beginning is known.
                    let may_match = !entry.is_cut() || pattern.ends_with(b">");
                    may_match && subject::matches(pattern, entry.subject())
                })
        };
        let mut found: Vec<&Entry> = window.subjects.entries().iter().filter(is_wanted).collect();
        found.sort_by_key(|entry| {
            let rank = Reverse(self.sort.rank(&entry.counts));
            (rank, entry.subject(), account_of(view, entry))
        });
        found
    }

    /// The page of those who have published, and what.
    fn publishers(&self, view: &View<'_>, window: &Window) -> Vec<(u64, Option<Traffic>)> {
        let entries = window.publishers.entries().iter();
        let entries = entries.filter(|entry| {
            self.account.is_none()
                || account_of_client(view, entry.cid()).is_some_and(|name| self.is_of(name))
        });
        let mut found: Vec<(u64, Traffic)> = entries
            .map(|entry| {
                let Counts {
                    messages, bytes, ..
                } = entry.counts;
                (entry.cid(), Traffic { messages, bytes })
            })
            .collect();
        found.sort_by_key(|(cid, traffic)| (Reverse(self.sort.rank_of(*traffic)), *cid));
        let page = found.iter().skip(self.page.offset).take(self.page.limit);
        page.map(|(cid, traffic)| (*cid, Some(*traffic))).collect()
    }
}

/// What the account of a subject is called; nothing, where it is closed.
fn account_of<'a>(view: &View<'a>, entry: &Entry) -> &'a str {
    let name = entry
        .account
        .and_then(|account| view.state.core.accounts.name_of(account));
    name.unwrap_or_default()
}

/// What the account of a client is called, if the client is known still.
fn account_of_client<'a>(view: &View<'a>, cid: u64) -> Option<&'a str> {
    match view.records.present.get(&cid) {
        Some(present) => {
            let core = &view.state.core;
            Some(&core.accounts[core.receiver(present.receiver).account].name)
        }
        None => Some(&view.records.closed.find(cid)?.account),
    }
}

impl Written {
    /// Writes on; answers whether more comes.
    fn go_on(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        while !self.is_second {
            let Some(entry) = self.subjects.get(self.place) else {
                json::end_list(out, self.is_first_of_list, 0);
                json::begin_list(out, "connections", 0);
                (self.place, self.is_second, self.is_first_of_list) = (0, true, true);
                break;
            };
            if !budget.spend(WRITING) {
                return true;
            }
            let told = Subject::of(entry, account_of(view, entry), self.seconds);
            json::put_element(out, self.is_first_of_list, &told, 0);
            self.is_first_of_list = false;
            self.place += 1;
        }
        while let Some((cid, traffic)) = self.connections.get(self.place) {
            if !budget.spend(WRITING) {
                return true;
            }
            let lately = traffic.map(|traffic| (traffic, self.seconds));
            if let Some(told) = Connection::of(view, *cid, lately) {
                json::put_element(out, self.is_first_of_list, &told, 0);
                self.is_first_of_list = false;
                budget.spend_bytes(told.name.len());
            }
            self.place += 1;
        }
        json::end_list(out, self.is_first_of_list, 0);
        json::end_object(out, 0);
        false
    }
}
