//! `Limiter`: what all clients of one address, of one user, and of one account, have together, held against what they
//! may have.
//!
//! ```text
//! connection ──▶ admit, enter  (its address)        CONNECT ──▶ admit, enter  (its user, its account)
//! input      ──▶ ration ──▶ the turn ──▶ settle ──▶ wait, if it has spent all and is to be slowed down
//! SUB        ──▶ may_subscribe, subscribed
//! end        ──▶ leave
//! ```
//!
//! * Of IPv6 a network of 64 bits counts as an address: its hosts have as many of them as they like.
//! * A user is one that was proved, by a secret, a key or a certificate. A name that anybody may take is none.
//! * Of an account only the connections are limited together; the rest of its limits is that of each client, and part
//!   of its login.
//! * Where there are no limits nothing is kept, and each turn of a client costs the question whether there are any.
//!
//! **Waiting in line.** Who is to be slowed down reserves a tenth of a second's worth, divided by those who wait
//! already, and is not read until the buckets have brought that. So each reservation stands behind those before it,
//! and of many clients of one user each has its share. What is reserved and not used is given back.
//!
//! Subscriptions are not counted as they come and go. A holder may make as many as it had room for when they were
//! counted last, and then they are counted again.

mod bucket;
mod holders;
mod ration;
mod told;

pub(crate) use ration::Ration;
pub(crate) use told::{Counts, Kind};

use crate::auth::failures::network;
use crate::config::{AddressLimits, Config, Exceeded, Limits};
use crate::core::Core;
use crate::core::sublist::ReceiverId;
use crate::door::Source;
use bucket::Bucket;
use foldhash::fast::RandomState;
use holders::{Holder, Holders, Past};
use midge_reactor::{Key, Time, TimerId};
use ration::Share;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use told::{Event, Lines};

/// Part of a second for which one that waits reserves.
const BATCHES: u64 = 10;

/// How many scopes there are.
const SCOPES: usize = 3;

/// Whose limits they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    Address,
    User,
    Account,
}

impl Scope {
    pub(crate) const ALL: [Scope; SCOPES] = [Scope::Address, Scope::User, Scope::Account];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Scope::Address => "address",
            Scope::User => "user",
            Scope::Account => "account",
        }
    }
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// There are as many as may be.
    Connections,
    /// As many have come in this second as may.
    Arrivals,
}

/// What clients have together, by address, by user and by account.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Whether anything is limited.
    is_on: bool,
    terms: AddressLimits,
    holders: [Holders; SCOPES],
    /// Clients that are counted, by their connections.
    clients: HashMap<Key, Bound, RandomState>,
    counts: [Counts; SCOPES],
    lines: Lines,
}

/// One client that is counted.
#[derive(Debug)]
struct Bound {
    cid: u64,
    receiver: ReceiverId,
    /// Of whom it is one, by scope.
    places: [Option<usize>; SCOPES],
    /// What it has waited for and not used yet.
    messages: u64,
    bytes: u64,
    /// The end of its wait.
    timer: Option<TimerId>,
    /// When it was last told that its messages are dropped.
    told: Option<Time>,
}

/// A rate, of messages or of bytes.
#[derive(Clone, Copy)]
enum Rate {
    Messages,
    Bytes,
}

impl Rate {
    const ALL: [Rate; 2] = [Rate::Messages, Rate::Bytes];

    fn of(self, limits: &Limits) -> Option<u64> {
        match self {
            Rate::Messages => limits.messages_per_second_max,
            Rate::Bytes => limits.bytes_per_second_max,
        }
    }

    fn bucket(self, past: &mut Past) -> &mut Bucket {
        match self {
            Rate::Messages => &mut past.messages,
            Rate::Bytes => &mut past.bytes,
        }
    }

    fn reserved(self, bound: &mut Bound) -> &mut u64 {
        match self {
            Rate::Messages => &mut bound.messages,
            Rate::Bytes => &mut bound.bytes,
        }
    }

    fn share(self, ration: &mut Ration) -> &mut Share {
        match self {
            Rate::Messages => &mut ration.messages,
            Rate::Bytes => &mut ration.bytes,
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Rate::Messages => "messages_per_second",
            Rate::Bytes => "bytes_per_second",
        }
    }
}

impl Limiter {
    /// One that limits as the settings say.
    pub(crate) fn new(config: &Config) -> Limiter {
        let mut limiter = Limiter {
            is_on: false,
            terms: AddressLimits::default(),
            holders: std::array::from_fn(|_| Holders::new()),
            clients: HashMap::default(),
            counts: [Counts::default(); SCOPES],
            lines: Lines::default(),
        };
        limiter.configure(config);
        limiter
    }

    /// Takes over settings. Clients that are connected are to [leave](Limiter::leave) and to enter again.
    pub(crate) fn configure(&mut self, config: &Config) {
        self.is_on = config.has_limits();
        self.terms = config.address_limits.clone();
        if !self.is_on {
            self.holders.iter_mut().for_each(Holders::forget_past);
        }
    }

    /// Whether anything is limited.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether monitoring tells what limits have done. Those of an account's messages and subscriptions alone need nothing else.
    pub(crate) fn is_told(&self) -> bool {
        self.is_on || self.counts.iter().any(Counts::is_any)
    }

    /// A connection has come from there: whether it may stay.
    pub(crate) fn admit_address(&mut self, source: Source, now: Time) -> Result<(), Refusal> {
        let Some(address) = self.bound(source) else {
            return Ok(());
        };
        let limits = self.terms.limits;
        self.admit(Scope::Address, &name_of(address), &limits, now)
    }

    /// The address of a client, if there are limits for it. One that comes by a Unix socket has none.
    fn bound(&self, source: Source) -> Option<IpAddr> {
        match source {
            Source::Address(address) => self.terms.bind(address).then_some(address),
            Source::User(_) => None,
        }
    }

    /// A client has logged in as this user, or in this account, and counted for none or another one before: whether
    /// it may stay.
    pub(crate) fn admit_member(
        &mut self,
        scope: Scope,
        name: &str,
        limits: &Limits,
        now: Time,
    ) -> Result<(), Refusal> {
        match limits.is_any() {
            true => self.admit(scope, name, limits, now),
            false => Ok(()),
        }
    }

    fn admit(
        &mut self,
        scope: Scope,
        name: &str,
        limits: &Limits,
        now: Time,
    ) -> Result<(), Refusal> {
        let holders = &mut self.holders[scope as usize];
        if let Some(rate) = limits.connections_per_second_max
            && !holders.past(name).arrivals.take_one(rate, now)
        {
            let limit = ("connections_per_second", rate);
            self.note(scope, name, Kind::Arrivals, limit, 1, now);
            return Err(Refusal::Arrivals);
        }
        let connections = holders.named(name).map_or(0, |one| one.members.len());
        if let Some(max) = limits.connections_max
            && connections >= max
        {
            let limit = ("max_connections", max as u64);
            self.note(scope, name, Kind::Connections, limit, 1, now);
            return Err(Refusal::Connections);
        }
        Ok(())
    }

    /// A client counts for its address from here on, if that has limits.
    pub(crate) fn enter_address(
        &mut self,
        key: Key,
        cid: u64,
        receiver: ReceiverId,
        source: Source,
    ) {
        if let Some(address) = self.bound(source) {
            let limits = self.terms.limits;
            self.enter(
                Scope::Address,
                &name_of(address),
                &limits,
                key,
                cid,
                receiver,
            );
        }
    }

    /// A client counts for this user, or this account, from here on, if that has limits.
    pub(crate) fn enter_member(
        &mut self,
        scope: Scope,
        name: &str,
        limits: &Limits,
        key: Key,
        cid: u64,
        receiver: ReceiverId,
    ) {
        if limits.is_any() {
            self.enter(scope, name, limits, key, cid, receiver);
        }
    }

    fn enter(
        &mut self,
        scope: Scope,
        name: &str,
        limits: &Limits,
        key: Key,
        cid: u64,
        receiver: ReceiverId,
    ) {
        let place = self.holders[scope as usize].enter(name, limits, cid, key);
        let bound = self.clients.entry(key).or_insert(Bound {
            cid,
            receiver,
            places: [None; SCOPES],
            messages: 0,
            bytes: 0,
            timer: None,
            told: None,
        });
        let before = bound.places[scope as usize].replace(place);
        debug_assert!(
            before.is_none_or(|before| before == place),
            "it has left before"
        );
        if before.is_none() && bound.timer.is_some() {
            self.holders[scope as usize].get_mut(place).waiting += 1;
        }
    }

    /// The user, or the account, that a client counts for.
    pub(crate) fn member_of(&self, key: Key, scope: Scope) -> Option<&str> {
        self.holder(key, scope).map(|holder| &*holder.name)
    }

    /// A client counts for no user, or no account, any more. What it has waited for is not for the next one.
    pub(crate) fn leave_member(&mut self, key: Key, scope: Scope, now: Time) {
        self.give_back(key);
        if let Some(bound) = self.clients.get_mut(&key)
            && let Some(place) = bound.places[scope as usize].take()
        {
            let holders = &mut self.holders[scope as usize];
            if bound.timer.is_some() {
                holders.get_mut(place).waiting -= 1;
            }
            holders.leave(place, bound.cid, now);
        }
    }

    /// A client counts no more; answers the timer that was to end its wait.
    pub(crate) fn leave(&mut self, key: Key, now: Time) -> Option<TimerId> {
        if self.clients.is_empty() {
            return None;
        }
        self.give_back(key);
        let timer = self.go_on(key);
        let bound = self.clients.remove(&key)?;
        for (holders, place) in self.holders.iter_mut().zip(bound.places) {
            if let Some(place) = place {
                holders.leave(place, bound.cid, now);
            }
        }
        timer
    }

    /// Of those that have more clients than they may the newest of each, which are too many, and whose limits those
    /// are.
    pub(crate) fn surplus(&self) -> Vec<(Key, Scope)> {
        let mut surplus = Vec::new();
        for (scope, holders) in Scope::ALL.into_iter().zip(&self.holders) {
            for holder in holders.live() {
                surplus.extend(holder.surplus().map(|key| (key, scope)));
            }
        }
        surplus.sort_unstable_by_key(|(key, scope)| (*key, *scope as usize));
        surplus.dedup_by_key(|(key, _)| *key);
        surplus
    }

    /// Those of the user, or of the account, of a client.
    pub(crate) fn surplus_of_member(&self, key: Key, scope: Scope) -> Vec<Key> {
        let holder = self.holder(key, scope);
        holder.map_or_else(Vec::new, |holder| holder.surplus().collect())
    }

    /// Those that a client counts for.
    fn holders_of(&self, key: Key) -> impl Iterator<Item = &Holder> {
        let places = self
            .clients
            .get(&key)
            .map_or([None; SCOPES], |one| one.places);
        let both = self.holders.iter().zip(places);
        both.filter_map(|(holders, place)| Some(holders.get(place?)))
    }

    /// Most bytes in one message of a client, as far as these limits go.
    pub(crate) fn payload_max(&self, key: Key) -> usize {
        if !self.is_on {
            return usize::MAX;
        }
        let each = self
            .holders_of(key)
            .filter_map(|one| one.limits.payload_bytes_max);
        each.min().unwrap_or(usize::MAX)
    }

    /// A client is closed for a message that is too long: counts it if it is these limits that it has passed.
    pub(crate) fn passed_payload(&mut self, key: Key, now: Time) {
        let max = self.payload_max(key);
        for scope in Scope::ALL {
            let is_it = |one: &Holder| one.limits.payload_bytes_max == Some(max);
            if self.holder(key, scope).is_some_and(is_it) {
                self.note_of(
                    key,
                    scope,
                    Kind::Payload,
                    ("max_payload", max as u64),
                    1,
                    now,
                );
                return;
            }
        }
    }

    fn holder(&self, key: Key, scope: Scope) -> Option<&Holder> {
        let place = self.clients.get(&key)?.places[scope as usize]?;
        Some(self.holders[scope as usize].get(place))
    }

    /// Whether a client may subscribe once more.
    pub(crate) fn may_subscribe(&self, key: Key, core: &Core) -> bool {
        !self.is_on || self.holders_of(key).all(|one| self.room(one, core) > 0)
    }

    /// What it costs to tell that, in places looked at.
    pub(crate) fn work_of_subscribing(&self, key: Key) -> usize {
        let counted = |one: &&Holder| one.headroom == 0 && one.limits.subscriptions_max.is_some();
        let counted = self.holders_of(key).filter(counted);
        counted.map(|one| one.members.len()).sum()
    }

    /// How many subscriptions one may make, at least.
    fn room(&self, holder: &Holder, core: &Core) -> usize {
        match holder.limits.subscriptions_max {
            None => usize::MAX,
            Some(_) if holder.headroom > 0 => holder.headroom,
            Some(max) => max.saturating_sub(self.subscriptions(holder, core)),
        }
    }

    fn subscriptions(&self, holder: &Holder, core: &Core) -> usize {
        let members = holder.members.values();
        let receivers = members.filter_map(|key| self.clients.get(key));
        receivers
            .map(|one| core.receiver(one.receiver).sids.len())
            .sum()
    }

    /// A client has subscribed.
    pub(crate) fn subscribed(&mut self, key: Key, core: &Core) {
        for scope in Scope::ALL {
            let Some(holder) = self.holder(key, scope) else {
                continue;
            };
            let room = match holder.headroom {
                // Counted with the one that has come.
                0 => self.room(holder, core),
                headroom => headroom - 1,
            };
            let place = self.clients[&key].places[scope as usize];
            if let Some(place) = place {
                self.holders[scope as usize].get_mut(place).headroom = room;
            }
        }
    }

    /// A subscription of a client was refused by these limits.
    pub(crate) fn passed_subscriptions(&mut self, key: Key, core: &Core, now: Time) {
        for scope in Scope::ALL {
            if let Some(holder) = self.holder(key, scope)
                && self.room(holder, core) == 0
            {
                let max = holder.limits.subscriptions_max.unwrap_or_default() as u64;
                let limit = ("max_subscriptions", max);
                return self.note_of(key, scope, Kind::Subscriptions, limit, 1, now);
            }
        }
    }

    /// A client has passed a limit that its login has brought, by its account or its token: counts it. The log is told of that
    /// elsewhere.
    pub(crate) fn passed_login(&mut self, kind: Kind) {
        self.counts[Scope::Account as usize].add(kind, 1);
    }

    /// What a client may send in its turn; `None` if that is not limited.
    pub(crate) fn ration(&mut self, key: Key, now: Time) -> Option<Ration> {
        let Limiter {
            clients, holders, ..
        } = self;
        let bound = clients.get_mut(&key)?;
        let (mut ration, mut is_limited) = (Ration::ENDLESS, false);
        for rate in Rate::ALL {
            // What it has waited for was taken from those that slow it down.
            let reserved = *rate.reserved(bound);
            let (mut slow, mut least) = (None, None);
            for (holders, place) in holders.iter_mut().zip(bound.places) {
                let Some(place) = place else { continue };
                let holder = holders.get_mut(place);
                let Some(max) = rate.of(&holder.limits) else {
                    continue;
                };
                let left = rate.bucket(&mut holder.past).left(max, now);
                let of = match holder.limits.exceeded {
                    Exceeded::Slow => &mut slow,
                    _ => &mut least,
                };
                let one = (left, holder.limits.exceeded);
                *of = Some(
                    of.map_or(one, |other: (u64, Exceeded)| match other.0 == left {
                        true => other.max(one),
                        false => other.min(one),
                    }),
                );
            }
            let slow = slow.map(|(left, then): (u64, _)| (left.saturating_add(reserved), then));
            let both = [slow, least].into_iter().flatten();
            if let Some((left, then)) = both.min_by_key(|(left, then)| (*left, Reverse(*then))) {
                is_limited = true;
                *rate.share(&mut ration) = Share {
                    left,
                    spent: 0,
                    then,
                };
            }
        }
        is_limited.then_some(ration)
    }

    /// A client has had its turn, and has spent this.
    pub(crate) fn settle(&mut self, key: Key, ration: &mut Ration, now: Time) {
        let Limiter {
            clients, holders, ..
        } = self;
        let Some(bound) = clients.get_mut(&key) else {
            return;
        };
        for rate in Rate::ALL {
            let spent = std::mem::take(&mut rate.share(ration).spent);
            let reserved = rate.reserved(bound);
            let paid = spent.min(*reserved);
            *reserved -= paid;
            for (holders, place) in holders.iter_mut().zip(bound.places) {
                let Some(place) = place else { continue };
                let holder = holders.get_mut(place);
                let Some(max) = rate.of(&holder.limits) else {
                    continue;
                };
                let owes = match holder.limits.exceeded {
                    Exceeded::Slow => spent - paid,
                    _ => spent,
                };
                rate.bucket(&mut holder.past).take(owes, max, now);
            }
        }
        let dropped = std::mem::take(&mut ration.dropped);
        if dropped > 0 {
            self.note_rate(key, Exceeded::Error, Kind::Dropped, dropped, now);
        }
        if ration.is_drained && !ration.must_wait {
            self.give_back(key);
        }
    }

    /// What a client has waited for and will not use is for the others.
    fn give_back(&mut self, key: Key) {
        let Limiter {
            clients, holders, ..
        } = self;
        let Some(bound) = clients.get_mut(&key) else {
            return;
        };
        for rate in Rate::ALL {
            let unused = std::mem::take(rate.reserved(bound));
            for (holder, max) in slowing(holders, bound.places, rate) {
                rate.bucket(&mut holder.past).give_back(unused, max);
            }
        }
    }

    /// A client has spent all, and is to be slowed down: reserves what it goes on with. Answers how long that takes.
    pub(crate) fn reserve(&mut self, key: Key, now: Time) -> Duration {
        let Limiter {
            clients, holders, ..
        } = self;
        let Some(bound) = clients.get_mut(&key) else {
            return Duration::ZERO;
        };
        let mut wait = Duration::ZERO;
        for rate in Rate::ALL {
            let mut batch = None;
            for (holder, max) in slowing(holders, bound.places, rate) {
                let share = max / BATCHES / (holder.waiting as u64 + 1);
                batch = Some(batch.map_or(share, |other: u64| other.min(share)));
            }
            let Some(batch) = batch else { continue };
            let reserved = rate.reserved(bound);
            let more = batch.max(1).saturating_sub(*reserved);
            *reserved += more;
            for (holder, max) in slowing(holders, bound.places, rate) {
                let bucket = rate.bucket(&mut holder.past);
                bucket.take(more, max, now);
                wait = wait.max(bucket.debt(now));
            }
        }
        self.note_rate(key, Exceeded::Slow, Kind::Waits, 1, now);
        wait
    }

    /// A client waits until this timer comes.
    pub(crate) fn waits(&mut self, key: Key, timer: TimerId) {
        let Some(bound) = self.clients.get_mut(&key) else {
            return;
        };
        let was_waiting = bound.timer.replace(timer).is_some();
        debug_assert!(!was_waiting, "it is not read");
        for (holders, place) in self.holders.iter_mut().zip(bound.places) {
            if let Some(place) = place {
                holders.get_mut(place).waiting += 1;
            }
        }
    }

    /// A client waits no more; answers the timer that it has waited for.
    pub(crate) fn go_on(&mut self, key: Key) -> Option<TimerId> {
        let bound = self.clients.get_mut(&key)?;
        let timer = bound.timer.take()?;
        for (holders, place) in self.holders.iter_mut().zip(bound.places) {
            if let Some(place) = place {
                holders.get_mut(place).waiting -= 1;
            }
        }
        Some(timer)
    }

    /// A client is closed for having sent too much.
    pub(crate) fn disconnected(&mut self, key: Key, now: Time) {
        self.note_rate(key, Exceeded::Disconnect, Kind::Disconnects, 1, now);
    }

    /// Whether a client is to be told that its messages are dropped: once a second at most.
    pub(crate) fn is_to_be_told(&mut self, key: Key, now: Time) -> bool {
        let Some(bound) = self.clients.get_mut(&key) else {
            return false;
        };
        let is_quiet = |told| now - told < Duration::from_secs(1);
        let is_to_be_told = !bound.told.is_some_and(is_quiet);
        if is_to_be_told {
            bound.told = Some(now);
        }
        is_to_be_told
    }

    /// How often each kind was.
    pub(crate) fn counts(&self, scope: Scope) -> &Counts {
        &self.counts[scope as usize]
    }

    /// What limits a client, by scope: whose limits they are, and which.
    pub(crate) fn limits_of(&self, key: Key, scope: Scope) -> Option<&Limits> {
        self.holder(key, scope).map(|holder| &holder.limits)
    }

    /// Clients, addresses and users that are kept.
    pub(crate) fn retained(&self) -> usize {
        let holders = self.holders.iter().map(Holders::len);
        self.clients.len() + holders.sum::<usize>()
    }

    /// Each client that counts is a member of those that it counts for, and the reverse; the number of those that wait is that of the timers.
    pub(crate) fn invariants(&self) {
        for (scope, holders) in self.holders.iter().enumerate() {
            let mut members = 0;
            for holder in holders.live() {
                let mut waiting = 0;
                assert!(
                    !holder.members.is_empty(),
                    "{:?} has no client",
                    holder.name
                );
                for (cid, key) in &holder.members {
                    let bound = self.clients.get(key).expect("a member counts");
                    let place = bound.places[scope].expect("for this one");
                    assert_eq!(holders.get(place).name, holder.name);
                    assert_eq!(bound.cid, *cid);
                    waiting += usize::from(bound.timer.is_some());
                    members += 1;
                }
                assert_eq!(waiting, holder.waiting, "{:?}", holder.name);
            }
            let counted = self
                .clients
                .values()
                .filter(|one| one.places[scope].is_some());
            assert_eq!(counted.count(), members);
        }
    }

    /// Counts what the limit of a rate has done, and tells it.
    fn note_rate(&mut self, key: Key, exceeded: Exceeded, kind: Kind, times: u64, now: Time) {
        // That of which the least is left.
        let mut worst = None;
        for scope in Scope::ALL {
            let Some(bound) = self.clients.get(&key) else {
                return;
            };
            let Some(place) = bound.places[scope as usize] else {
                continue;
            };
            let holder = self.holders[scope as usize].get_mut(place);
            for rate in Rate::ALL {
                if let Some(max) = rate.of(&holder.limits)
                    && holder.limits.exceeded == exceeded
                {
                    let bucket = *rate.bucket(&mut holder.past);
                    let one = (bucket.debt(now), bucket.left(max, now));
                    let is_worse = |(other, ..): &((Duration, u64), Scope, Rate, u64)| {
                        one.0 > other.0 || one.0 == other.0 && one.1 < other.1
                    };
                    if worst.as_ref().is_none_or(is_worse) {
                        worst = Some((one, scope, rate, max));
                    }
                }
            }
        }
        if let Some((_, scope, rate, max)) = worst {
            self.note_of(key, scope, kind, (rate.setting(), max), times, now);
        }
    }

    fn note_of(
        &mut self,
        key: Key,
        scope: Scope,
        kind: Kind,
        limit: (&'static str, u64),
        times: u64,
        now: Time,
    ) {
        if let Some(holder) = self.holder(key, scope) {
            let name = holder.name.clone();
            self.note(scope, &name, kind, limit, times, now);
        }
    }

    /// Counts what a limit has done, and tells it.
    fn note(
        &mut self,
        scope: Scope,
        name: &str,
        kind: Kind,
        limit: (&'static str, u64),
        times: u64,
        now: Time,
    ) {
        self.counts[scope as usize].add(kind, times);
        let event = Event {
            scope,
            name,
            kind,
            limit,
            times,
        };
        let past = self.holders[scope as usize].past(name);
        let told = past.told.get_or_insert_default();
        if let Some(line) = told.line(&event, &mut self.lines, now) {
            log::warn!(target: "midge", "{line}");
        }
    }
}

/// The holders of a client that slow it down past this rate, each with what it may have of it a second.
fn slowing(
    holders: &mut [Holders; SCOPES],
    places: [Option<usize>; SCOPES],
    rate: Rate,
) -> impl Iterator<Item = (&mut Holder, u64)> {
    let holders = holders.iter_mut().zip(places);
    let holders = holders.filter_map(|(holders, place)| Some(holders.get_mut(place?)));
    holders.filter_map(move |holder| {
        let max = rate.of(&holder.limits)?;
        (holder.limits.exceeded == Exceeded::Slow).then_some((holder, max))
    })
}

/// What an address is called here.
fn name_of(address: IpAddr) -> String {
    match network(address) {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(network) => format!("{network}/64"),
    }
}

#[cfg(test)]
mod tests;
