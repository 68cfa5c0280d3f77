//! What a program does by chance on purpose, and how much a scenario does: both from the seed.
//!
//! Each site and each size draws from a stream of its own, chosen by its name: one more of them
//! leaves the others as they were.

use super::Sim;
use super::net::Net;
use super::rng::Rng;
use crate::Key;
use std::collections::BTreeMap;

/// Apart from the streams of [`Streams`](super::rng::Streams), which are numbered from 1.
const SITES: u64 = 0x7369_7465;
const SIZES: u64 = 0x7369_7a65;

/// The sites that have been asked, with whether each is on in this run.
#[derive(Debug)]
pub(super) struct Sites {
    seed: u64,
    asked: BTreeMap<&'static str, (bool, Rng)>,
}

impl Sites {
    pub(super) fn new(seed: u64) -> Sites {
        Sites {
            seed,
            asked: BTreeMap::new(),
        }
    }
}

impl Net {
    /// Whether the rare branch at `site` is taken now.
    pub(super) fn chance(&mut self, host: usize, site: &'static str, probability: f64) -> bool {
        let on = self.faults.sites;
        if on <= 0.0 {
            return false;
        }
        let seed = self.sites.seed;
        let (is_on, rng) = self.sites.asked.entry(site).or_insert_with(|| {
            let mut rng = Rng::new(seed ^ hash(site), SITES);
            (rng.chance(on), rng)
        });
        let taken = *is_on && rng.chance(probability);
        if taken {
            self.note(host, Key::NONE, site, None);
        }
        taken
    }
}

/// How much a scenario does: what was drawn, and how often it is to be halved.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sizes {
    pub(super) drawn: BTreeMap<String, usize>,
    pub(super) halvings: BTreeMap<String, u32>,
}

impl Sizes {
    /// Half as much of one thing, for each of which there is more than one.
    pub(super) fn each_halved(&self) -> Vec<Sizes> {
        let more = self.drawn.iter().filter(|(_, size)| **size > 1);
        let halved = more.map(|(name, _)| {
            let mut sizes = self.clone();
            *sizes.halvings.entry(name.clone()).or_default() += 1;
            sizes
        });
        halved.collect()
    }
}

impl Sim {
    /// How much of something this run has: a number from 1 to `max`, drawn from the seed. The same
    /// for each call with one name.
    ///
    /// Ask for clients, messages, rounds and the like here, and `SIM_SHRINK` halves them as long as
    /// the run fails: see [the module](super).
    ///
    /// ```
    /// # use midge_reactor::sim::Sim;
    /// let mut sim = Sim::new(7);
    /// let clients = sim.size("clients", 20);
    /// assert!((1..=20).contains(&clients));
    /// ```
    pub fn size(&mut self, name: &str, max: usize) -> usize {
        let drawn = Rng::new(self.seed ^ hash(name), SIZES).length(1, max.max(1));
        let halvings = self.sizes.halvings.get(name).copied().unwrap_or(0);
        let size = drawn.checked_shr(halvings).unwrap_or(0).max(1);
        self.sizes.drawn.insert(name.to_owned(), size);
        size
    }
}

/// FNV-1a: the same in every build.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
