//! `Slow`: the clients that were behind, so that others waited for them or they were closed.

use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::close::CloseReason;
use crate::core::receiver::Label;
use crate::core::sublist::SubId;
use midge_reactor::{Io, Key, Time};
use std::collections::VecDeque;

/// Most that are kept.
const EPISODES_MAX: usize = 128;

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It has not.
    Behind,
    /// The queue has become short again.
    CaughtUp,
    /// The connection has ended.
    Closed(CloseReason),
}

/// One time that a client was behind.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    pub(crate) key: Key,
    pub(crate) label: Label,
    pub(crate) since: Time,
    pub(crate) until: Option<Time>,
    /// Bytes that were queued at the worst moment that was seen.
    pub(crate) pending: usize,
    /// The most that was ever queued on its connection before.
    peak_before: usize,
    /// How often a publisher has had to wait for it.
    pub(crate) waits: u64,
    /// What was being published when it was first noticed.
    pub(crate) subject: Option<Box<[u8]>>,
    /// The client's own name for the subscription.
    pub(crate) sid: Option<Box<[u8]>>,
    pub(crate) outcome: Outcome,
}

/// The last clients that were behind.
#[derive(Debug, Default)]
pub(crate) struct Slow {
    /// The oldest first.
    episodes: VecDeque<Episode>,
    /// How many there ever were.
    total: u64,
}

impl Slow {
    /// All that are kept, the youngest first.
    pub(crate) fn episodes(&self) -> impl Iterator<Item = &Episode> {
        self.episodes.iter().rev()
    }

    /// How many there ever were.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The last one of a client, if it is kept.
    pub(crate) fn last_of(&self, key: Key) -> Option<&Episode> {
        self.episodes().find(|episode| episode.key == key)
    }

    /// The present one of a client.
    fn present(&mut self, key: Key) -> Option<&mut Episode> {
        let is_it =
            |episode: &&mut Episode| episode.key == key && episode.outcome == Outcome::Behind;
        self.episodes.iter_mut().rev().find(is_it)
    }

    /// Adds one; the oldest makes room.
    fn push(&mut self, episode: Episode) {
        if self.episodes.len() == EPISODES_MAX {
            self.episodes.pop_front();
        }
        self.episodes.push_back(episode);
        self.total += 1;
    }

    /// A client is behind no more; answers whether it was.
    ///
    /// `peak`: the most that was ever queued on its connection.
    pub(crate) fn ended(&mut self, key: Key, outcome: Outcome, now: Time, peak: usize) -> bool {
        let Some(episode) = self.present(key) else {
            return false;
        };
        episode.pending = episode.peak(peak);
        episode.until = Some(now);
        episode.outcome = outcome;
        true
    }

    /// Notes that a client ends; if it was too slow, also what was never noticed before. Answers whether it was behind.
    pub(crate) fn closed(
        &mut self,
        key: Key,
        label: Label,
        reason: CloseReason,
        io: &Io<'_>,
    ) -> bool {
        let (now, pending) = (io.now(), io.queued(key));
        let is_slow = matches!(
            reason,
            CloseReason::SlowConsumerPending
                | CloseReason::SlowConsumerTotal
                | CloseReason::SlowConsumerDeadline
        );
        if let Some(episode) = self.present(key) {
            episode.pending = episode.pending.max(pending);
        } else if is_slow {
            let since = io.last_progress(key).unwrap_or(now);
            self.push(Episode::new(
                key,
                label,
                since,
                pending,
                io.queued_peak(key),
            ));
        }
        self.ended(key, Outcome::Closed(reason), now, io.queued_peak(key))
    }

    /// Bytes that it takes, without its texts.
    pub(crate) fn bytes(&self) -> usize {
        self.episodes.capacity() * size_of::<Episode>()
    }
}

impl Episode {
    fn new(key: Key, label: Label, since: Time, pending: usize, peak_before: usize) -> Episode {
        Episode {
            key,
            label,
            since,
            until: None,
            pending,
            peak_before,
            waits: 0,
            subject: None,
            sid: None,
            outcome: Outcome::Behind,
        }
    }

    /// The most that was queued in this time, if `peak` is the most that ever was on its connection.
    pub(crate) fn peak(&self, peak: usize) -> usize {
        match peak > self.peak_before {
            true => self.pending.max(peak),
            // That was at another time.
            false => self.pending,
        }
    }
}

impl Slow {
    /// A publisher has to wait for `receiver`: `from`, whose op is the next in `unread`.
    ///
    /// What it cannot take is told from that op, and by which subscription from how it was found, once for
    /// each time that it is behind. Answers whether one of those has begun.
    pub(crate) fn waits(
        &mut self,
        core: &Core,
        from: Label,
        receiver: Key,
        fed_by: Option<(AccountId, SubId)>,
        unread: &[u8],
        io: &Io<'_>,
    ) -> bool {
        if !io.congested(receiver) {
            // All queues together are too long, and not this one.
            return false;
        }
        let pending = io.queued(receiver);
        let begins = self.present(receiver).is_none();
        if begins {
            // One that reads no answers waits for itself, and is fed by nothing.
            let fed = fed_by.and_then(|(account, id)| fed(core, account, id));
            let (label, sid) = fed.map_or((from, None), |(label, sid)| (label, Some(sid)));
            let subject = published(unread).filter(|_| sid.is_some());
            let since = io.last_progress(receiver).unwrap_or(io.now());
            self.push(Episode {
                subject: subject.map(Into::into),
                sid,
                ..Episode::new(receiver, label, since, pending, io.queued_peak(receiver))
            });
        }
        if let Some(episode) = self.present(receiver) {
            episode.waits += 1;
            episode.pending = episode.pending.max(pending);
        }
        begins
    }

    /// A client's queue is short again; answers whether it was behind.
    pub(crate) fn caught_up(&mut self, key: Key, io: &Io<'_>) -> bool {
        self.ended(key, Outcome::CaughtUp, io.now(), io.queued_peak(key))
    }
}

/// Who has a subscription, and under what name.
fn fed(core: &Core, account: AccountId, id: SubId) -> Option<(Label, Box<[u8]>)> {
    let subscription = core.accounts[account].sublist.get(id)?;
    let owner = core.receivers.get(subscription.receiver.0 as usize)?;
    Some((owner.label, subscription.sid.as_slice().into()))
}

/// The subject of the publish that `input` begins with, if it does.
fn published(input: &[u8]) -> Option<&[u8]> {
    let line = &input[..memchr::memchr(b'\r', input)?];
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    let name = words.next()?;
    let publishes = name.eq_ignore_ascii_case(b"PUB") || name.eq_ignore_ascii_case(b"HPUB");
    publishes.then(|| words.next())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::fixtures::LABEL;

    #[test]
    fn the_subject_is_told_from_the_op_that_waits() {
        for (input, expected) in [
            ("PUB a.b 2\r\nhi\r\n", Some("a.b")),
            ("hpub  a\tr 2 3\r\n", Some("a")),
            ("PUB a.b 2", None),
            ("SUB a 1\r\n", None),
            ("\r\n", None),
        ] {
            let found = published(input.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{input:?}");
        }
    }

    #[test]
    fn the_peak_is_that_of_the_time_and_not_of_the_connection() {
        let mut slow = Slow::default();
        let now = Time::from_nanos(1);
        let mut pending = |before, peak| {
            slow.push(Episode::new(Key::NONE, LABEL, now, 10, before));
            slow.ended(Key::NONE, Outcome::CaughtUp, now, peak);
            slow.episodes().next().expect("it is there").pending
        };
        // First to 500; then no further than was seen; then further than ever.
        assert_eq!(pending(0, 500), 500);
        assert_eq!(pending(500, 500), 10);
        assert_eq!(pending(500, 600), 600);
    }

    #[test]
    fn the_list_is_bounded_and_an_end_ends_the_present_one_only() {
        let mut slow = Slow::default();
        for number in 0..200 {
            let now = Time::from_nanos(number);
            slow.ended(Key::NONE, Outcome::CaughtUp, now, 1);
            slow.push(Episode::new(Key::NONE, LABEL, now, 1, 1));
        }
        let ends: Vec<_> = slow.episodes().map(|episode| episode.until).collect();
        assert_eq!((ends.len(), slow.total()), (EPISODES_MAX, 200));
        assert_eq!(ends[..2], [None, Some(Time::from_nanos(199))]);
    }
}
