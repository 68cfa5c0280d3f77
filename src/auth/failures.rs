//! `Failures`: logins that have failed: how many, from where, and how many of them are told of. What else ends
//! connections and may come by the thousand is told of alike.
//!
//! ```text
//! failures from one address    0 .. 10    11       12     ..    110 and more
//! the next login waits         not        10 ms    20 ms  ..    1 s
//! ```
//!
//! Half of them are forgotten for each ten seconds without another, so that an address that has stormed for hours
//! is as good as any after a minute. All who come from an address wait alike, since it is not known who is honest
//! before it was looked at; clients give up after two seconds, so they wait half of that at most. No success
//! shortens the wait, or who has one good password could guess others at full speed.
//!
//! The addresses that have failed last are kept. Of IPv6, a network of 64 bits counts as an address: its hosts
//! have as many of them as they like. Who comes by a Unix socket comes from the user that its process runs as.

use crate::door::Source;
use foldhash::fast::RandomState;
use lru::LruCache;
use midge_reactor::Time;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Failures of an address that have no consequence: what a person mistypes, or a program that starts before its
/// password is known.
const FREE_MAX: u32 = 10;

/// What one more adds to the wait.
const WAIT_STEP: Duration = Duration::from_millis(10);

/// Longest wait.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(1);

/// Failures that are counted; more would not be forgotten so soon.
const COUNTED_MAX: u32 = 110;

/// Time without a failure after which half of them are forgotten.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// Addresses that are kept: about 400 KiB.
const ADDRESSES_MAX: usize = 4096;

/// Failures of one kind that are told of in a second.
pub(crate) const TOLD_MAX: u32 = 20;

/// What has failed. Each kind is counted apart, or a flood of one would hide the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A login.
    Login,
    /// A connection that ended before it could log in, or did.
    Beginning,
    /// A conversation that ended by an error of the client, which was let in, or of its connection.
    Conversation,
    /// An account that was asked for elsewhere in vain.
    Lookup,
    /// A client that has taken too little of what is queued for it.
    SlowConsumer,
}

impl Kind {
    /// What the log calls several of them.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Login => "failed logins",
            Kind::Beginning => "connections that ended at their beginning",
            Kind::Conversation => "connections that ended by an error",
            Kind::Lookup => "accounts that were asked for in vain",
            Kind::SlowConsumer => "slow consumers",
        }
    }
}

/// What there is to say in the log about one more failure.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Told {
    /// Whether to tell of this one.
    pub(crate) this: bool,
    /// The number of failures before it that the log left out.
    pub(crate) untold: u64,
}

/// Logins that have failed.
#[derive(Debug)]
pub(crate) struct Failures {
    /// Those of each address, the last first.
    addresses: LruCache<Source, Storm, RandomState>,
    /// What the log tells of each kind.
    tallies: [Tally; 5],
}

/// What the log tells of one kind of failure.
#[derive(Debug, Default)]
struct Tally {
    /// The second that is told of at present, and how much was told in it.
    since: Time,
    told: u32,
    untold: u64,
}

impl Tally {
    fn tell(&mut self, now: Time) -> Told {
        if now - self.since >= Duration::from_secs(1) {
            (self.since, self.told) = (now, 0);
        }
        if self.told >= TOLD_MAX {
            self.untold += 1;
            return Told::default();
        }
        self.told += 1;
        Told {
            this: true,
            untold: std::mem::take(&mut self.untold),
        }
    }
}

/// Those of one address.
#[derive(Clone, Copy, Debug)]
struct Storm {
    failures: u32,
    last: Time,
}

impl Storm {
    /// How many of them are not forgotten.
    fn left(self, now: Time) -> u32 {
        let halvings = (now - self.last).as_nanos() / HALF_LIFE.as_nanos();
        let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
        self.failures.checked_shr(halvings).unwrap_or(0)
    }
}

impl Failures {
    pub(crate) fn new() -> Failures {
        Failures {
            addresses: LruCache::unbounded_with_hasher(RandomState::default()),
            tallies: Default::default(),
        }
    }

    /// How long a login from this address waits before it is looked at.
    pub(crate) fn wait(&self, source: Source, now: Time) -> Duration {
        let storm = self.addresses.peek(&origin(source));
        let failures = storm.map_or(0, |storm| storm.left(now));
        let steps = failures.saturating_sub(FREE_MAX);
        (WAIT_STEP * steps).min(WAIT_MAX)
    }

    /// A login from this address has failed; answers whether it is the first for which the next one waits.
    pub(crate) fn failed(&mut self, source: Source, now: Time) -> bool {
        let fresh = || Storm {
            failures: 0,
            last: now,
        };
        let storm = self.addresses.get_or_insert_mut(origin(source), fresh);
        let before = storm.left(now);
        *storm = Storm {
            failures: (before + 1).min(COUNTED_MAX),
            last: now,
        };
        while self.addresses.len() > ADDRESSES_MAX {
            self.addresses.pop_lru();
        }
        before == FREE_MAX
    }

    /// What to tell of one more failure of this kind.
    pub(crate) fn tell(&mut self, kind: Kind, now: Time) -> Told {
        self.tallies[kind as usize].tell(now)
    }
}

/// What a source is counted under.
fn origin(source: Source) -> Source {
    match source {
        Source::Address(address) => Source::Address(network(address)),
        other => other,
    }
}

/// What an address is counted under: itself, or its network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Time = Time::from_nanos(1_000_000_000_000);

    fn address(text: &str) -> Source {
        let ip: IpAddr = text.parse().expect("it is an address");
        Source::Address(ip.to_canonical())
    }

    /// This number of failures at once.
    fn fail(failures: &mut Failures, address: Source, times: u32, now: Time) -> u32 {
        let begun = (0..times).filter(|_| failures.failed(address, now));
        u32::try_from(begun.count()).expect("few")
    }

    #[test]
    fn a_flood_of_one_kind_hides_none_of_another() {
        let mut failures = Failures::new();
        let floods = [
            (Kind::Login, TOLD_MAX + 1),
            (Kind::Beginning, TOLD_MAX + 80),
            (Kind::Conversation, TOLD_MAX),
        ];
        for (kind, times) in floods {
            for _ in 0..times {
                failures.tell(kind, START);
            }
        }
        for (kind, times) in floods {
            let told = failures.tell(kind, START + SECOND);
            let untold = u64::from(times - TOLD_MAX);
            assert_eq!((told.this, told.untold), (true, untold), "{kind:?}");
        }
    }

    #[test]
    fn an_address_that_storms_waits_longer_and_longer_and_its_neighbours_do_not() {
        let mut failures = Failures::new();
        let (storms, neighbour) = (address("10.0.0.1"), address("10.0.0.2"));
        assert_eq!(fail(&mut failures, storms, FREE_MAX, START), 0);
        assert_eq!(failures.wait(storms, START), Duration::ZERO);
        for (more, begun, wait) in [(1, 1, 10), (1, 0, 20), (48, 0, 500), (9_999, 0, 1000)] {
            assert_eq!(fail(&mut failures, storms, more, START), begun);
            let wait = Duration::from_millis(wait);
            assert_eq!(failures.wait(storms, START), wait);
        }
        assert_eq!(failures.wait(neighbour, START), Duration::ZERO);
        let mapped = address("::ffff:10.0.0.1");
        assert_eq!(failures.wait(mapped, START), WAIT_MAX);
    }

    #[test]
    fn what_was_is_forgotten_within_a_minute() {
        let mut failures = Failures::new();
        let storms = address("10.0.0.1");
        fail(&mut failures, storms, 100_000, START);
        let after = |seconds| failures.wait(storms, START + SECOND * seconds).as_millis();
        assert_eq!(
            [0, 9, 10, 20, 30, 40].map(after),
            [1000, 1000, 450, 170, 30, 0]
        );
        assert_eq!(after(u32::MAX), 0);
        // One in a while has no consequence.
        for number in 0..1000 {
            let now = START + SECOND * (100 + 10 * number);
            assert!(!failures.failed(storms, now));
            assert_eq!(failures.wait(storms, now), Duration::ZERO);
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let mut failures = Failures::new();
        for host in 0..FREE_MAX + 1 {
            fail(&mut failures, address(&format!("fd00::{host:x}")), 1, START);
        }
        assert!(failures.wait(address("fd00::ffff"), START) > Duration::ZERO);
        assert_eq!(
            failures.wait(address("fd00:0:0:1::1"), START),
            Duration::ZERO
        );
    }

    #[test]
    fn the_addresses_that_have_failed_last_are_kept_and_no_more() {
        let mut failures = Failures::new();
        let host = |number: u32| Source::Address(IpAddr::V4((0x0a00_0000 + number).into()));
        fail(&mut failures, host(0), 1000, START);
        fail(&mut failures, host(1), 1000, START);
        for number in 2..1_000_000 {
            failures.failed(host(number), START);
            if number % 4000 == 0 {
                // One that goes on is not forgotten for those that come and go.
                failures.failed(host(0), START);
            }
        }
        assert_eq!(failures.addresses.len(), ADDRESSES_MAX);
        assert_eq!(failures.wait(host(0), START), WAIT_MAX);
        assert_eq!(failures.wait(host(1), START), Duration::ZERO);
    }

    #[test]
    fn so_many_are_told_of_in_a_second_and_the_others_are_counted() {
        let mut failures = Failures::new();
        let mut tell = |now| failures.tell(Kind::Login, now);
        let all: Vec<Told> = (0..1000).map(|_| tell(START)).collect();
        let told = all.iter().filter(|told| told.this).count();
        assert_eq!(told, TOLD_MAX as usize);
        assert!(all.iter().all(|told| told.untold == 0));
        let next = tell(START + SECOND);
        let untold = 1000 - u64::from(TOLD_MAX);
        assert_eq!((next.this, next.untold), (true, untold));
        assert_eq!(tell(START + SECOND).untold, 0);
    }
}
