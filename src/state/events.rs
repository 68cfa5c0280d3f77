//! `Events`: what has happened that clients of the system account may hear of.
//!
//! ```text
//! a connection opens or ends ──▶ State::note_... ──▶ Events ──▶ monitor/messages/events.rs ──▶ system account
//!                                while one listens   bounded    JSON, within a budget each turn
//! ```
//!
//! What happens is noted off the way of all messages, and only while a client of the system account is there. What takes
//! memory is noted only if a subscription has its subject. What waits is bounded: past that the oldest are dropped,
//! counted, and told in the log.

use super::State;
use crate::core::accounts::AccountId;
use crate::core::close::CloseReason;
use crate::core::delivery::may_reach;
use crate::core::receiver::Traffic;
use crate::core::sublist::ReceiverId;
use crate::door::{Door, Peer};
use crate::records::presence::Identity;
use crate::records::slow::Episode;
use crate::state::dropped::Dropped;
use jiff::Timestamp;
use midge_reactor::{Key, Time, TimerId};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Most events that wait to be told, and most bytes of their texts. Past that the oldest are dropped.
const EVENTS_MAX: usize = 4096;
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Something that has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The account of this name has more or fewer connections, or it is time to tell how many.
    Connections(Arc<str>),
    /// A client has logged in.
    Connected(Box<Seen>),
    /// A client that had an account has ended.
    Disconnected(Box<Seen>),
    /// A client was not let in.
    Refused(Box<Seen>),
    /// Publishers wait for a client, or do so no longer.
    Slow(Box<Episode>),
    /// The loop stood still until then.
    Late(Time),
    /// Something is said of a certificate.
    Certificate(Box<Paper>),
}

impl Event {
    fn text_bytes(&self) -> usize {
        match self {
            Event::Connections(name) => name.len(),
            Event::Connected(seen) | Event::Disconnected(seen) | Event::Refused(seen) => {
                let refused = seen.refused.as_ref();
                seen.identity.bytes() + refused.map_or(0, |refused| refused.text.len())
            }
            Event::Slow(episode) => {
                let texts = [&episode.subject, &episode.sid];
                texts
                    .iter()
                    .filter_map(|text| text.as_ref())
                    .map(|text| text.len())
                    .sum()
            }
            Event::Late(_) => 0,
            Event::Certificate(paper) => paper.name.len() + paper.text.len(),
        }
    }
}

/// A client as it was when something happened to it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) cid: u64,
    pub(crate) peer: Peer,
    pub(crate) door: Door,
    /// The name of its account, which may be closed when it is told.
    pub(crate) account: Arc<str>,
    pub(crate) identity: Identity,
    pub(crate) start: Time,
    /// When it happened.
    pub(crate) at: Time,
    /// Of one that has ended.
    pub(crate) end: Option<End>,
    /// Of one that a callout has not let in.
    pub(crate) refused: Option<Box<Refused>>,
}

/// What a callout has said of a client that it has not let in.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// The account in which it was asked.
    pub(crate) account: Box<str>,
    /// Why.
    pub(crate) text: String,
}

/// A certificate that ends soon, has ended or is not valid yet.
#[derive(Clone, Debug)]
pub(crate) struct Paper {
    /// The file, and the listener where there are several.
    pub(crate) name: String,
    pub(crate) not_after: Timestamp,
    /// What the log says of it.
    pub(crate) text: String,
}

/// How a client has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) reason: CloseReason,
    /// The last one measured; zero if there is none.
    pub(crate) round_trip: Duration,
    /// What it has published.
    pub(crate) received: Traffic,
    /// What was delivered to it.
    pub(crate) sent: Traffic,
}

/// Those that wait to be told.
#[derive(Debug, Default)]
pub(crate) struct Events {
    waiting: VecDeque<Event>,
    /// Accounts whose connections are among them.
    counting: BTreeSet<Arc<str>>,
    text_bytes: usize,
    /// Since the last line about it.
    dropped: Dropped,
    is_scheduled: bool,
    /// What a callout has said of the client that ends next.
    refused: Option<Box<Refused>>,
    /// Until when the loop stood still last, as far as that was told.
    late: Time,
    /// For the connections of all accounts, and for the counters of the broker.
    pub(crate) timers: [Option<TimerId>; 2],
}

impl Events {
    /// A callout has not let in the client that ends next.
    pub(crate) fn refused_by_callout(&mut self, account: &str, why: &impl fmt::Display) {
        self.refused = Some(Box::new(Refused {
            account: account.into(),
            text: why.to_string(),
        }));
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether they are to be told, which nobody has been asked for.
    #[inline]
    pub(crate) fn is_to_be_scheduled(&mut self) -> bool {
        !self.waiting.is_empty() && !std::mem::replace(&mut self.is_scheduled, true)
    }

    /// They are being told.
    pub(crate) fn begin(&mut self) {
        self.is_scheduled = false;
    }

    /// Takes out the one that has waited longest. Behind the last one the log is told of those that were dropped.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Event> {
        let event = self.take_first();
        if event.is_none()
            && let Some(dropped) = self.dropped.tell(now)
        {
            log::warn!(target: "midge", "{dropped} events for the system account were dropped: more than {EVENTS_MAX} waited");
        }
        event
    }

    /// Nobody is told any more.
    pub(crate) fn clear(&mut self) {
        self.waiting = VecDeque::new();
        self.counting.clear();
        self.text_bytes = 0;
    }

    fn take_first(&mut self) -> Option<Event> {
        let event = self.waiting.pop_front()?;
        self.text_bytes -= event.text_bytes();
        if let Event::Connections(name) = &event {
            self.counting.remove(name);
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(64);
        }
        Some(event)
    }

    fn push(&mut self, event: Event) {
        if let Event::Connections(name) = &event
            && !self.counting.insert(Arc::clone(name))
        {
            // How many there are is counted when it is told.
            return;
        }
        self.text_bytes += event.text_bytes();
        self.waiting.push_back(event);
        while self.waiting.len() > EVENTS_MAX || self.text_bytes > TEXT_BYTES_MAX {
            self.take_first();
            self.dropped.add(1);
        }
    }
}

/// Subjects of events. The name of an account has no blanks, so it may stand in one.
pub(crate) mod subjects {
    /// A client of `account` has logged in.
    pub(crate) fn connect(account: &str) -> String {
        format!("$SYS.ACCOUNT.{account}.CONNECT")
    }

    /// A client of `account` has ended.
    pub(crate) fn disconnect(account: &str) -> String {
        format!("$SYS.ACCOUNT.{account}.DISCONNECT")
    }

    /// How many connections `account` has: as it was called first, and as it is called since.
    pub(crate) fn connections(account: &str) -> [String; 2] {
        [
            format!("$SYS.SERVER.ACCOUNT.{account}.CONNS"),
            format!("$SYS.ACCOUNT.{account}.SERVER.CONNS"),
        ]
    }

    /// In the account of a client that was not let in.
    pub(crate) const REFUSED_IN_ACCOUNT: &str = "$SYS.ACCOUNT.CLIENT.AUTH.ERR";

    /// Of midge alone: publishers wait for a client, or do so no longer.
    pub(crate) const SLOW: &str = "MIDGE.SLOW";

    /// Of midge alone: the loop stood still.
    pub(crate) const LATE: &str = "MIDGE.LATE";

    /// Of midge alone: a certificate ends soon, or has ended.
    pub(crate) const CERTIFICATE: &str = "MIDGE.CERTIFICATE";

    /// Of the server with this id: `STATSZ`, `SHUTDOWN`, and so on.
    pub(crate) fn of_server(id: &str, name: &str) -> String {
        format!("$SYS.SERVER.{id}.{name}")
    }
}

impl State {
    /// The system account, if there is one and a client is in it.
    pub(crate) fn audience(&self) -> Option<AccountId> {
        let service = self.service.as_ref()?;
        let account = service.publisher.origin().account;
        (self.core.accounts[account].clients > 0).then_some(account)
    }

    /// Whether a client of the system account may get a message to `subject`.
    pub(crate) fn is_heard(&mut self, subject: &str) -> bool {
        let account = self.audience();
        account.is_some_and(|account| may_reach(&mut self.core, account, subject.as_bytes()))
    }

    /// An account, which is open, has more or fewer connections. Nothing is told of the global one.
    #[inline]
    pub(crate) fn note_connections(&mut self, account: AccountId) {
        if self.audience().is_some() {
            self.note_connections_of(account);
        }
    }

    #[cold]
    fn note_connections_of(&mut self, account: AccountId) {
        let name = &self.core.accounts[account].name;
        if account != self.core.accounts.global() {
            self.events.push(Event::Connections(Arc::clone(name)));
        }
    }

    /// A client has logged in.
    #[inline]
    pub(crate) fn note_connected(&mut self, id: ReceiverId, now: Time) {
        if self.audience().is_some() {
            self.note_login(id, now);
        }
    }

    #[cold]
    fn note_login(&mut self, id: ReceiverId, now: Time) {
        let account = self.core.receiver(id).account;
        if self.audience().is_some() {
            self.note_connections_of(account);
        }
        let name = Arc::clone(&self.core.accounts[account].name);
        if account != self.core.accounts.global()
            && self.is_heard(&subjects::connect(&name))
            && let Some(seen) = self.seen(id, None, now)
        {
            self.events.push(Event::Connected(seen));
        }
    }

    /// A client ends, which is still a receiver and on record, and has presented itself so.
    #[inline]
    pub(crate) fn note_end(
        &mut self,
        id: ReceiverId,
        identity: &Identity,
        reason: CloseReason,
        now: Time,
    ) {
        let refused = self.events.refused.take();
        // Of a callout those hear who are in its account.
        if self.audience().is_some() || refused.is_some() {
            self.note_logout(id, identity, reason, refused, now);
        }
    }

    #[cold]
    fn note_logout(
        &mut self,
        id: ReceiverId,
        identity: &Identity,
        reason: CloseReason,
        told: Option<Box<Refused>>,
        now: Time,
    ) {
        let account = self.core.receiver(id).account;
        self.note_connections_of(account);
        let name = Arc::clone(&self.core.accounts[account].name);
        let refused = subjects::of_server(&self.info.server_id, "CLIENT.AUTH.ERR");
        // Those who run a callout hear of it in its account.
        let whose = told.as_ref().map_or(Some(account), |told| {
            self.core.accounts.named(&told.account)
        });
        let is_refused = reason == CloseReason::AuthenticationFailure
            && (self.is_heard(&refused) || whose.is_some_and(|whose| self.is_heard_in(whose)));
        let is_told =
            account != self.core.accounts.global() && self.is_heard(&subjects::disconnect(&name));
        if !is_refused && !is_told {
            return;
        }
        let Some(mut seen) = self.seen(id, Some(reason), now) else {
            return;
        };
        // One that said nothing was nobody to its account.
        let has_come = seen.end.is_some_and(|end| !end.round_trip.is_zero());
        seen.identity = identity.clone();
        if let Some(end) = &mut seen.end
            && !has_come
            && identity.bytes() > 0
        {
            // How long it took until it had presented itself is as good as a round trip.
            end.round_trip = now - seen.start;
        }
        seen.refused = told;
        if is_refused {
            self.events.push(Event::Refused(seen.clone()));
        }
        if is_told && (has_come || reason == CloseReason::AccountConnectionsMax) {
            self.events.push(Event::Disconnected(seen));
        }
    }

    /// Publishers have begun to wait for a client, or do so no longer.
    #[cold]
    pub(crate) fn note_slow(&mut self, key: Key) {
        if self.is_heard_of_server(subjects::SLOW)
            && let Some(records) = &self.records
            && let Some(episode) = records.slow.last_of(key)
        {
            let episode = Box::new(episode.clone());
            self.events.push(Event::Slow(episode));
        }
    }

    /// The loop has last stood still until then; asked about once a second.
    pub(crate) fn note_late(&mut self, until: Time) {
        if std::mem::replace(&mut self.events.late, until) < until
            && self.is_heard_of_server(subjects::LATE)
        {
            self.events.push(Event::Late(until));
        }
    }

    /// The log was told something of a certificate.
    pub(crate) fn note_certificate(&mut self, paper: impl FnOnce() -> Paper) {
        if self.is_heard_of_server(subjects::CERTIFICATE) {
            self.events.push(Event::Certificate(Box::new(paper())));
        }
    }

    fn is_heard_of_server(&mut self, name: &str) -> bool {
        self.audience().is_some() && {
            let subject = subjects::of_server(&self.info.server_id, name);
            self.is_heard(&subject)
        }
    }

    /// Whether a client of an account may hear of logins that failed there.
    pub(crate) fn is_heard_in(&mut self, account: AccountId) -> bool {
        let subject = subjects::REFUSED_IN_ACCOUNT.as_bytes();
        may_reach(&mut self.core, account, subject)
    }

    fn seen(&self, id: ReceiverId, reason: Option<CloseReason>, now: Time) -> Option<Box<Seen>> {
        let receiver = self.core.receiver(id);
        let cid = receiver.label.cid;
        let presence = self.records.as_ref()?.present.get(&cid)?;
        let end = reason.map(|reason| End {
            reason,
            round_trip: presence.round_trip,
            received: receiver.received,
            sent: receiver.sent,
        });
        Some(Box::new(Seen {
            cid,
            peer: presence.peer,
            door: presence.door,
            account: Arc::clone(&self.core.accounts[receiver.account].name),
            identity: presence.identity.clone(),
            start: presence.start,
            at: now,
            end,
            refused: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(events: &mut Events) -> Vec<String> {
        let all = std::iter::from_fn(|| events.pop(Time::ZERO));
        all.map(|event| match event {
            Event::Connections(name) => name.to_string(),
            other => panic!("{other:?}"),
        })
        .collect()
    }

    #[test]
    fn an_account_waits_once_and_comes_again_when_it_was_told() {
        let mut events = Events::default();
        for name in ["A", "B", "A"] {
            events.push(Event::Connections(name.into()));
        }
        assert!(events.is_to_be_scheduled() && !events.is_to_be_scheduled());
        assert_eq!(counted(&mut events), ["A", "B"]);
        events.begin();
        assert!(!events.is_to_be_scheduled());
        events.push(Event::Connections("A".into()));
        assert_eq!(counted(&mut events), ["A"]);
        assert_eq!((events.text_bytes, events.counting.len()), (0, 0));
    }

    #[test]
    fn past_the_bounds_the_oldest_are_dropped_and_counted() {
        let mut events = Events::default();
        for number in 0..EVENTS_MAX + 10 {
            events.push(Event::Connections(number.to_string().into()));
        }
        assert_eq!((events.len(), events.dropped.count()), (EVENTS_MAX, 10));
        let left = counted(&mut events);
        assert_eq!(left.first().map(String::as_str), Some("10"));
        // The log was told.
        assert_eq!((events.dropped.count(), events.text_bytes), (0, 0));
        for letter in ["a", "b", "c", "d", "e"] {
            let name = letter.repeat(TEXT_BYTES_MAX / 4);
            events.push(Event::Connections(name.into()));
        }
        assert_eq!((events.len(), events.dropped.count()), (4, 1));
    }
}
