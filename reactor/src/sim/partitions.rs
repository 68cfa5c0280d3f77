//! Links that break and mend by themselves, in one direction or both.

use super::net::{Due, Net, nanos};
use std::time::Duration;

/// How much longer than a break may last all links are whole after one, at least: what was lost is
/// sent again meanwhile. A host that turns often would else have no link at all.
const WHOLE_MIN: Duration = Duration::from_secs(1);

impl Net {
    /// After a turn: a link between two hosts may break, for a while.
    pub(super) fn break_links(&mut self) {
        let hosts = self.hosts.len();
        let rests = self.clock < self.whole_until;
        if hosts < 2 || rests || !self.rng.partition.chance(self.faults.partition) {
            return;
        }
        let rng = &mut self.rng.partition;
        let one = rng.length(0, hosts - 1);
        let other = (one + rng.length(1, hosts - 1)) % hosts;
        let until = self.clock + rng.up_to(nanos(self.faults.partition_max));
        let both = rng.chance(0.5);
        self.whole_until = until + nanos(self.faults.partition_max + WHOLE_MIN);
        self.break_link(one, other, until);
        if both {
            self.break_link(other, one, until);
        }
    }

    fn break_link(&mut self, from: usize, to: usize, until: u64) {
        self.note(from, crate::Key::NONE, "link breaks", Some(to as u64));
        let link = self.links.entry((from, to)).or_default();
        link.broken_until = link.broken_until.max(until);
        self.schedule(until, Due::Mended(from, to));
    }

    /// A link may be whole again; another break or a cut may still hold.
    pub(super) fn mended(&mut self, from: usize, to: usize) {
        let link = self.link(from, to);
        if !link.is_cut(self.clock) && !link.held {
            self.go_on(true, |there, here| (there, here) == (from, to));
        }
    }
}
