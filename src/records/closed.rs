//! `ClosedRing`: the clients that have left last.

use super::presence::{Identity, Presence};
use crate::core::Core;
use crate::core::close::CloseReason;
use crate::core::receiver::{Receiver, Traffic};
use crate::door::{Door, Peer};
use crate::tls::Settled;
use midge_reactor::{Io, Time};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of texts that are kept: names, subjects, sids.
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most subscriptions that are kept of one client.
const LISTED_MAX: usize = 32;

/// A subscription that its client had at the end.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) subject: Box<[u8]>,
    pub(crate) queue: Option<Box<[u8]>>,
    pub(crate) sid: Box<[u8]>,
    pub(crate) messages: u64,
    pub(crate) max: Option<u64>,
}

/// A client that has left.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) cid: u64,
    pub(crate) peer: Peer,
    pub(crate) door: Door,
    /// The name of its account, which may be closed.
    pub(crate) account: Arc<str>,
    pub(crate) identity: Identity,
    pub(crate) tls: Option<Box<Settled>>,
    pub(crate) start: Time,
    pub(crate) stop: Time,
    pub(crate) last_active: Time,
    pub(crate) round_trip: Duration,
    pub(crate) reason: CloseReason,
    pub(crate) pending: usize,
    pub(crate) pending_peak: usize,
    pub(crate) received: Traffic,
    pub(crate) sent: Traffic,
    pub(crate) subscriptions: usize,
    /// The first of them.
    pub(crate) listed: Vec<Listed>,
}

impl Closed {
    /// A client that leaves now and is still a receiver.
    pub(crate) fn of(
        presence: &Presence,
        receiver: &Receiver,
        reason: CloseReason,
        core: &Core,
        io: &Io<'_>,
    ) -> Closed {
        let (now, key) = (io.now(), presence.key);
        let sublist = &core.accounts[receiver.account].sublist;
        let ids = receiver.sids.first(LISTED_MAX);
        let listed = ids.into_iter().map(|id| {
            let subscription = sublist.subscription(id);
            Listed {
                subject: sublist.subject(id).into(),
                queue: sublist.queue(id).map(Into::into),
                sid: subscription.sid.as_slice().into(),
                messages: subscription.delivered,
                max: subscription.max(),
            }
        });
        Closed {
            cid: receiver.label.cid,
            peer: presence.peer,
            door: presence.door,
            account: Arc::clone(&core.accounts[receiver.account].name),
            identity: presence.identity.clone(),
            tls: presence.tls.clone(),
            start: presence.start,
            stop: now,
            last_active: presence.last_active(now, io.idle_for(key)),
            round_trip: presence.round_trip,
            reason,
            pending: io.queued(key),
            pending_peak: io.queued_peak(key),
            received: receiver.received,
            sent: receiver.sent,
            subscriptions: receiver.sids.len(),
            listed: listed.collect(),
        }
    }

    fn text_bytes(&self) -> usize {
        let of = |listed: &Listed| {
            let queue = listed.queue.as_ref().map_or(0, |queue| queue.len());
            listed.subject.len() + listed.sid.len() + queue
        };
        let tls = self.tls.as_ref().map_or(0, |tls| tls.bytes());
        self.identity.bytes() + tls + self.listed.iter().map(of).sum::<usize>()
    }
}

/// The clients that have left last: at most `max`, and 16 MiB of their texts.
#[derive(Debug)]
pub(crate) struct ClosedRing {
    max: usize,
    /// The oldest first.
    entries: VecDeque<Closed>,
    /// How many were dropped: the number of the oldest that is there.
    dropped: u64,
    /// Their numbers by their cids.
    numbers: BTreeMap<u64, u64>,
    text_bytes: usize,
}

impl ClosedRing {
    pub(crate) fn new(max: usize) -> ClosedRing {
        ClosedRing {
            max,
            entries: VecDeque::new(),
            dropped: 0,
            numbers: BTreeMap::new(),
            text_bytes: 0,
        }
    }

    /// Adds one; the oldest make room.
    pub(crate) fn push(&mut self, closed: Closed) {
        self.text_bytes += closed.text_bytes();
        let number = self.dropped + self.entries.len() as u64;
        self.numbers.insert(closed.cid, number);
        self.entries.push_back(closed);
        self.make_room();
    }

    /// Keeps `max` from now on.
    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max;
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.entries.len() > self.max || self.text_bytes > TEXT_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.text_bytes -= oldest.text_bytes();
            self.numbers.remove(&oldest.cid);
            self.dropped += 1;
        }
    }

    /// The one with this number, or the first after it, and its number. Numbers count up and are never
    /// used again.
    pub(crate) fn at_or_after(&self, number: u64) -> Option<(u64, &Closed)> {
        let number = number.max(self.dropped);
        let place = usize::try_from(number - self.dropped).ok()?;
        self.entries.get(place).map(|closed| (number, closed))
    }

    /// The one with this number, if it is still there.
    pub(crate) fn get(&self, number: u64) -> Option<&Closed> {
        let found = self.at_or_after(number)?;
        (found.0 == number).then_some(found.1)
    }

    /// The one with this cid, if it is still there.
    pub(crate) fn find(&self, cid: u64) -> Option<&Closed> {
        self.get(*self.numbers.get(&cid)?)
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Closed>();
        self.text_bytes + entries + self.numbers.len() * size_of::<(u64, u64)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::fixtures::PEER;

    fn closed(cid: u64, name_bytes: usize) -> Closed {
        Closed {
            cid,
            peer: PEER,
            door: Door::Main,
            account: "$G".into(),
            identity: Identity {
                name: "x".repeat(name_bytes).into(),
                ..Identity::default()
            },
            tls: None,
            start: Time::ZERO,
            stop: Time::ZERO,
            last_active: Time::ZERO,
            round_trip: Duration::ZERO,
            reason: CloseReason::ClientClosed,
            pending: 0,
            pending_peak: 0,
            received: Traffic::default(),
            sent: Traffic::default(),
            subscriptions: 0,
            listed: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_make_room_and_numbers_stay() {
        let mut ring = ClosedRing::new(10_000);
        for cid in 1..=12_000 {
            ring.push(closed(cid, 10));
        }
        assert_eq!(ring.entries.len(), 10_000);
        assert_eq!(
            ring.at_or_after(0).map(|(number, c)| (number, c.cid)),
            Some((2000, 2001))
        );
        assert_eq!(ring.get(11_999).map(|c| c.cid), Some(12_000));
        assert!(ring.get(1999).is_none() && ring.get(12_000).is_none());
        assert_eq!(ring.find(11_990).map(|c| c.cid), Some(11_990));
        assert!(ring.find(2000).is_none());
        ring.set_max(10);
        assert_eq!(
            (ring.entries.len(), ring.find(11_990).is_none()),
            (10, true)
        );
    }

    #[test]
    fn long_names_take_bounded_memory() {
        let mut ring = ClosedRing::new(10_000);
        for cid in 1..=100 {
            ring.push(closed(cid, 1024 * 1024));
        }
        assert_eq!(ring.entries.len(), 16);
        assert_eq!(ring.text_bytes, TEXT_BYTES_MAX);
    }
}
