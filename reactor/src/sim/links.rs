//! Cutting and holding links between hosts.
//!
//! Connections outlive a cut: what is sent meanwhile is sent again when the link is whole, as TCP
//! does it, and arrives late. A program learns of a cut by its own timers only. Datagrams that meet a
//! cut are lost.

use super::net::Link;
use super::{Faults, HostId, Sim};

impl Sim {
    /// Cuts the link between two hosts. What is sent is lost, and sent again later.
    pub fn partition<A, B>(&mut self, a: HostId<A>, b: HostId<B>) {
        self.partition_one_way(a, b);
        self.partition_one_way(b, a);
    }

    /// Cuts the link from one host to another and not the way back.
    pub fn partition_one_way<A, B>(&mut self, from: HostId<A>, to: HostId<B>) {
        self.note_host(from.index(), "partition");
        let mut net = self.net.borrow_mut();
        net.change_link(from.index(), to.index(), |link| link.cut = true);
    }

    /// Undoes [`partition`](Sim::partition). What was lost arrives a little later.
    pub fn heal<A, B>(&mut self, a: HostId<A>, b: HostId<B>) {
        self.note_host(a.index(), "heal");
        let mut net = self.net.borrow_mut();
        net.change_link(a.index(), b.index(), |link| link.cut = false);
        net.change_link(b.index(), a.index(), |link| link.cut = false);
    }

    /// Holds back what is sent from one host to another, until [`release`](Sim::release).
    pub fn hold<A, B>(&mut self, from: HostId<A>, to: HostId<B>) {
        self.note_host(from.index(), "hold");
        let mut net = self.net.borrow_mut();
        net.change_link(from.index(), to.index(), |link| link.held = true);
    }

    /// Lets go what was held back. What is due arrives at once.
    pub fn release<A, B>(&mut self, from: HostId<A>, to: HostId<B>) {
        self.note_host(from.index(), "release");
        let mut net = self.net.borrow_mut();
        net.change_link(from.index(), to.index(), |link| link.held = false);
    }

    /// Ends all faults, cuts, holds and pauses: from now on a good program must come to rest.
    pub fn calm(&mut self) {
        self.note("calm");
        for node in &mut self.nodes {
            node.paused_until = 0;
        }
        let mut net = self.net.borrow_mut();
        net.faults = Faults {
            // The loop may have relied on it for what it has read already.
            short_read_drains: net.faults.short_read_drains,
            ..Faults::none()
        };
        for (from, to) in net.links() {
            net.change_link(from, to, |link| *link = Link::default());
        }
        for host in &mut net.hosts {
            host.exhausted_until = 0;
        }
    }
}
