//! `Publisher`: what one publisher has waited lately, and how much more it will.
//!
//! An allowance, as for a log's reader: there are [`ALLOWANCE`] to begin with, and one part in
//! [`SHARE`] of the time comes back. Only what a receiver has not earned is charged: time waited for it,
//! less what the bytes that it took meanwhile are worth at the rate that is asked of it. So one that
//! keeps up that pace is waited for without end, and all others together for the allowance. A receiver
//! takes bytes in bursts, so a charge is worked out anew with each wait for the same one.

use super::{Progress, elapsed, time_of};
use midge_reactor::{Key, Time, TimerId};

const SECOND: i64 = 1_000_000_000;

/// Longest that is waited for receivers that are too slow, in nanoseconds.
const ALLOWANCE: i64 = 3 * SECOND;

/// What receivers of which nothing is known may cost beyond that.
const UNKNOWN: i64 = SECOND;

/// One part in this number of the time comes back.
const SHARE: i64 = 10;

/// In this number of nanoseconds what one has published past receivers comes back too: `2 * SMALL_BYTES` at
/// `SMALL_RATE`.
const RECOVERED_AFTER: i64 = 8 * SECOND;

/// Who publishes no more than this at once, in bytes, and this in a second, is not held for receivers
/// that are less than half full.
const SMALL_BYTES: i64 = 256 * 1024;
const SMALL_RATE: i64 = 64 * 1024;

/// Most bytes that a publisher has earned by waiting, and most that it owes after a long message.
const CREDIT_MAX: i64 = 256 * 1024;
const OWED_MAX: i64 = 8 * 1024 * 1024;

/// While its own queue is at the high mark, a client may make for itself one byte for each 16 that it takes,
/// and may save up at most that many bytes.
const OWN_SHARE: u64 = 16;
const OWN_BYTES_MAX: i64 = 64 * 1024;

/// Receivers whose accounts are kept; the oldest is closed for one more.
const ACCOUNTS_MAX: usize = 64;

/// A publisher is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Of all waits.
    pub(super) number: u64,
    /// How many waited for the same when it began, this one included.
    pub(super) waiters: usize,
    /// How far the receiver was.
    pub(super) progress: Progress,
    /// It is not charged: its own queue is waited for, which concerns no other client, or room.
    pub(super) is_free: bool,
    pub(super) since: Time,
    pub(super) timer: TimerId,
}

/// Waits for one receiver.
#[derive(Clone, Copy, Debug)]
struct Account {
    of: Key,
    /// What it had earned when the account was opened.
    earned: u64,
    waited: i64,
    charged: i64,
}

impl Account {
    /// What was waited and not earned.
    fn debt(&self, progress: &Progress) -> i64 {
        let earned = progress.earned.saturating_sub(self.earned);
        let earned = time_of(earned, progress.rate).as_nanos();
        self.waited - i64::try_from(earned).unwrap_or(i64::MAX)
    }
}

#[derive(Debug)]
pub(super) struct Publisher {
    /// What is left of the allowance, in nanoseconds.
    left: i64,
    /// Bytes that may be published past receivers that are behind: those of one who publishes little.
    small: i64,
    /// Likewise, earned by waiting.
    credit: i64,
    /// Bytes that it may still make for itself, and what it had taken by then.
    own: i64,
    own_taken: Option<u64>,
    /// When that was so.
    at: Time,
    accounts: Vec<Account>,
    pub(super) wait: Option<Wait>,
}

impl Publisher {
    pub(super) fn new(now: Time) -> Publisher {
        Publisher {
            left: ALLOWANCE,
            small: SMALL_BYTES,
            credit: 0,
            own: 0,
            own_taken: None,
            at: now,
            accounts: Vec::new(),
            wait: None,
        }
    }

    /// What has come back until `now`.
    pub(super) fn recover(&mut self, now: Time) {
        let time = elapsed(self.at, now);
        let small = i128::from(time) * i128::from(SMALL_RATE) / i128::from(SECOND);
        if small == 0 {
            // Fractions of a byte are not lost: this time is counted when it brings one.
            return;
        }
        self.at = now;
        let small = i64::try_from(small).unwrap_or(SMALL_BYTES);
        self.small = SMALL_BYTES.min(self.small.saturating_add(small));
        // So does what is owed after a long message, or it would be owed for ever.
        self.credit = self.credit.max(self.credit.saturating_add(small).min(0));
        self.left = ALLOWANCE.min(self.left.saturating_add(time / SHARE));
    }

    /// Whether nothing is left of what it has waited and published, as it has been silent for long enough:
    /// a new one would do as it does.
    pub(super) fn has_recovered(&self, now: Time) -> bool {
        let time = elapsed(self.at, now);
        let small = i128::from(time) * i128::from(SMALL_RATE) / i128::from(SECOND);
        self.wait.is_none()
            && time >= RECOVERED_AFTER
            && i128::from(self.credit) + small >= 0
            && self.left.saturating_add(time / SHARE) >= ALLOWANCE
    }

    /// Whether it should wait for a receiver that is behind.
    pub(super) fn waits_for(&self, progress: &Progress) -> bool {
        let is_crowd = progress.is_crowd();
        let may_pass = match progress.is_full {
            // Many may have earned a message at once, and there is no room for all.
            true => is_crowd && self.credit > 0,
            false => self.credit > 0 || self.small > 0,
        };
        !may_pass && !self.has_given_up_on(progress)
    }

    /// Whether the allowance is spent, and this receiver earns no wait by itself.
    pub(super) fn has_given_up_on(&self, progress: &Progress) -> bool {
        let account = self.accounts.iter().find(|one| one.of == progress.of);
        match account {
            Some(account) => self.left <= 0 && account.debt(progress) > 0,
            // There is no telling yet.
            None => self.left <= -UNKNOWN,
        }
    }

    /// It has published a number of bytes past receivers that are behind.
    pub(super) fn spend(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.credit > 0 {
            self.credit = self.credit.saturating_sub(bytes).max(-OWED_MAX);
        } else {
            self.small = self.small.saturating_sub(bytes).max(-SMALL_BYTES);
        }
    }

    /// It has made `bytes` for itself while its own queue is at the high mark, and has taken `taken` so far.
    pub(super) fn made_for_itself(&mut self, bytes: u64, taken: u64) {
        let before = self.own_taken.get_or_insert(taken);
        let earned = taken.saturating_sub(*before) / OWN_SHARE;
        // What is not worth a byte yet is not lost.
        *before += earned * OWN_SHARE;
        let of = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let own = self.own.saturating_add(of(earned)).min(OWN_BYTES_MAX);
        self.own = own.saturating_sub(of(bytes));
    }

    /// Whether it has made more for itself than it may.
    pub(super) fn owes(&self) -> bool {
        self.own < 0
    }

    /// What it owes is forgiven.
    pub(super) fn forgive(&mut self) {
        self.own = self.own.max(0);
    }

    /// A wait is over, as one of several for that receiver at its end. Many that began together end one by
    /// one, and the last of them has no right to all.
    pub(super) fn has_waited(
        &mut self,
        wait: &Wait,
        progress: &Progress,
        waiters: usize,
        now: Time,
    ) {
        self.recover(now);
        let taken = progress.taken.saturating_sub(wait.progress.taken);
        // Many publish in a crowd, which is to end soon.
        let part = if progress.is_crowd() { 4 } else { 2 };
        let share = taken / part / waiters.max(wait.waiters).max(1) as u64;
        let share = i64::try_from(share).unwrap_or(CREDIT_MAX);
        self.credit = CREDIT_MAX.min(self.credit.saturating_add(share));
        if !progress.is_full {
            self.credit = self.credit.max(1);
        }
        let place = self.accounts.iter().position(|one| one.of == progress.of);
        let mut account = match place {
            Some(place) => self.accounts.remove(place),
            None => Account {
                of: progress.of,
                earned: wait.progress.earned,
                waited: 0,
                charged: 0,
            },
        };
        account.waited += elapsed(wait.since, now);
        let debt = account.debt(progress);
        self.left = ALLOWANCE.min(self.left - (debt.max(0) - account.charged));
        account.charged = debt.max(0);
        if debt <= 0 {
            // What it took beyond that is no reason to wait later.
            account.earned = progress.earned;
            account.waited = 0;
        }
        if self.accounts.len() == ACCOUNTS_MAX {
            self.accounts.remove(0);
        }
        self.accounts.push(account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MILLI: Duration = Duration::from_millis(1);
    const RATE: u64 = 1_400_000;

    fn progress(of: Key, taken: u64) -> Progress {
        Progress {
            of,
            taken,
            earned: taken,
            rate: RATE,
            is_full: true,
        }
    }

    fn keys(count: usize) -> Vec<Key> {
        (0..count).map(|place| Key::new(place, 1)).collect()
    }

    /// A publisher that always has more to say, for `seconds`, to a receiver that is chosen anew each
    /// `period` and has taken what `taken` says; answers how long it was held.
    fn held(seconds: u64, period: Duration, taken: impl Fn(Duration) -> u64) -> Duration {
        let keys = keys(4);
        let mut publisher = Publisher::new(Time::ZERO);
        let (mut now, mut held) = (Duration::ZERO, Duration::ZERO);
        let at = |now: Duration| Time::ZERO + now;
        while now < Duration::from_secs(seconds) {
            let of = keys[(now.as_nanos() / period.as_nanos()) as usize % keys.len()];
            publisher.recover(at(now));
            if publisher.waits_for(&progress(of, taken(now))) {
                let wait = Wait {
                    number: 1,
                    waiters: 1,
                    progress: progress(of, taken(now)),
                    is_free: false,
                    since: at(now),
                    timer: TimerId::NONE,
                };
                now += 100 * MILLI;
                held += 100 * MILLI;
                publisher.has_waited(&wait, &progress(of, taken(now)), 1, at(now));
            } else {
                publisher.spend(100_000);
                now += MILLI;
            }
        }
        held
    }

    #[test]
    fn those_who_take_turns_at_being_slow_cost_four_seconds_and_a_tenth_of_the_time() {
        for period in [3000, 700, 100] {
            let held = held(60, period * MILLI, |now| now.as_millis() as u64 * 10);
            // The allowance, what is not known yet, a tenth, what each of the four has earned, and one wait.
            let max = Duration::from_millis(3_000 + 1_000 + 6_000 + 4 * 430 + 100);
            assert!(held <= max, "{held:?} with a turn of {period} ms");
            assert!(held >= Duration::from_secs(3), "{held:?}");
        }
    }

    #[test]
    fn who_keeps_up_the_pace_is_waited_for_without_end_also_if_it_takes_bytes_in_bursts() {
        for burst in [1, 500, 1400] {
            let taken = |now: Duration| {
                let bursts = now.as_millis() as u64 / burst * burst;
                bursts * 2 * RATE / 1000
            };
            let held = held(60, Duration::from_secs(1000), taken);
            assert!(
                held >= Duration::from_secs(30),
                "{held:?} in bursts of {burst} ms"
            );
        }
    }

    #[test]
    fn a_tenth_of_the_time_comes_back_and_no_more_than_there_was() {
        let (second, key) = (Duration::from_secs(1), keys(1)[0]);
        let mut publisher = Publisher::new(Time::ZERO);
        publisher.left = -SECOND;
        publisher.small = -SMALL_BYTES;
        publisher.recover(Time::ZERO + 5 * second);
        assert_eq!((publisher.left, publisher.small), (-SECOND / 2, 64 * 1024));
        // Of nobody knows what is no wait at all charged, nor in pieces too short to bring a byte.
        for nano in 0..1000 {
            publisher.recover(Time::ZERO + 5 * second + Duration::from_nanos(nano));
        }
        assert_eq!(publisher.at, Time::ZERO + 5 * second);
        assert!(!publisher.has_given_up_on(&progress(key, 0)));
        publisher.left = -SECOND;
        assert!(publisher.has_given_up_on(&progress(key, 0)));
        publisher.recover(Time::ZERO + 1000 * second);
        assert_eq!((publisher.left, publisher.small), (ALLOWANCE, SMALL_BYTES));
    }

    #[test]
    fn who_has_waited_is_as_new_when_all_of_it_has_come_back() {
        let second = Duration::from_secs(1);
        let mut publisher = Publisher::new(Time::ZERO);
        assert!(!publisher.has_recovered(Time::ZERO + second));
        publisher.left = SECOND;
        publisher.spend(10 << 20);
        assert!(!publisher.has_recovered(Time::ZERO + 19 * second));
        assert!(publisher.has_recovered(Time::ZERO + 20 * second));
        publisher.left = ALLOWANCE;
        assert!(!publisher.has_recovered(Time::ZERO + 7 * second));
        publisher.recover(Time::ZERO + 8 * second);
        assert_eq!(publisher.small, SMALL_BYTES);
        assert!(publisher.has_recovered(Time::ZERO + 16 * second));
    }

    #[test]
    fn a_crowd_that_does_not_shrink_is_waited_for_no_longer_than_a_slow_receiver() {
        let crowd = |earned: u64, taken: u64| Progress {
            earned,
            ..progress(Key::new(Key::NONE.index(), 1), taken)
        };
        for shrinks in [false, true] {
            let mut publisher = Publisher::new(Time::ZERO);
            let mut waited = Duration::ZERO;
            // Others take very much meanwhile.
            while waited < 20 * Duration::from_secs(1) {
                let earned = |waited: Duration| match shrinks {
                    true => waited.as_millis() as u64 * RATE / 1000,
                    false => 0,
                };
                let taken = |waited: Duration| waited.as_millis() as u64 * 100_000;
                publisher.credit = 0;
                if !publisher.waits_for(&crowd(earned(waited), taken(waited))) {
                    break;
                }
                let wait = Wait {
                    number: 1,
                    waiters: 1,
                    progress: crowd(earned(waited), taken(waited)),
                    is_free: false,
                    since: Time::ZERO + waited,
                    timer: TimerId::NONE,
                };
                waited += 100 * MILLI;
                let progress = crowd(earned(waited), taken(waited));
                publisher.has_waited(&wait, &progress, 1, Time::ZERO + waited);
            }
            let is_long = waited > 5 * Duration::from_secs(1);
            assert_eq!(is_long, shrinks, "{waited:?}");
            assert!(waited >= Duration::from_secs(3), "{waited:?}");
        }
    }

    #[test]
    fn what_was_taken_is_shared_among_all_who_waited_for_it() {
        const WAITERS: usize = 400;
        let key = keys(1)[0];
        let taken = 20_000_000;
        let mut all = 0;
        // They come one by one, and go so.
        for place in 0..WAITERS {
            let mut publisher = Publisher::new(Time::ZERO);
            let wait = Wait {
                number: 1,
                waiters: place + 1,
                progress: progress(key, 0),
                is_free: false,
                since: Time::ZERO,
                timer: TimerId::NONE,
            };
            let left = WAITERS - place;
            publisher.has_waited(&wait, &progress(key, taken), left, Time::ZERO + 100 * MILLI);
            all += publisher.credit;
        }
        assert!(
            (taken as i64 / 2..taken as i64 / 4 * 3).contains(&all),
            "{all}"
        );
    }

    #[test]
    fn what_is_made_for_oneself_is_a_part_of_what_was_taken() {
        let mut one = Publisher::new(Time::ZERO);
        // What it took before counts for nothing.
        one.made_for_itself(0, 1_000_000_000);
        assert!(!one.owes());
        one.made_for_itself(6, 1_000_000_000);
        assert!(one.owes());
        for taken in 1..6 * OWN_SHARE {
            one.made_for_itself(0, 1_000_000_000 + taken);
            assert!(one.owes(), "{taken}");
        }
        one.made_for_itself(0, 1_000_000_000 + 6 * OWN_SHARE);
        assert!(!one.owes());
        one.made_for_itself(OWN_BYTES_MAX as u64, 2_000_000_000);
        assert!(!one.owes());
        one.made_for_itself(1_000, 2_000_000_000);
        assert!(one.owes());
        one.forgive();
        assert!(!one.owes() && one.own == 0);
    }

    #[test]
    fn who_publishes_little_is_not_held_until_half_of_the_limit() {
        let keys = keys(1);
        let half = Progress {
            is_full: false,
            ..progress(keys[0], 0)
        };
        let mut publisher = Publisher::new(Time::ZERO);
        for second in 0..100 {
            publisher.recover(Time::ZERO + Duration::from_secs(second));
            assert!(!publisher.waits_for(&half), "second {second}");
            publisher.spend(60 * 1024);
        }
        publisher.spend(300 * 1024);
        assert!(publisher.waits_for(&half));
        assert!(publisher.waits_for(&progress(keys[0], 0)));
    }
}
