//! What is sent, what keeps it, and what becomes of it when it arrives.

use super::conn::{Conn, Dial, News, Packet};
use super::net::{ConnId, Due, Link, Net, nanos};
use std::time::Duration;

/// After how long a connect that found no listener is tried again.
const DIAL_AGAIN: Duration = Duration::from_secs(1);

/// What was lost on a cut link is sent again no later than this after the link is whole.
const SEND_AGAIN_MAX: Duration = Duration::from_millis(400);

impl Net {
    pub(super) fn link(&self, from: usize, to: usize) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or_default()
    }

    pub(super) fn change_link(&mut self, from: usize, to: usize, change: impl FnOnce(&mut Link)) {
        let lost = self.link(from, to).is_cut(self.clock);
        change(self.links.entry((from, to)).or_default());
        let link = self.link(from, to);
        if !link.is_cut(self.clock) && !link.held {
            self.go_on(lost, |there, here| (there, here) == (from, to));
        }
    }

    pub(super) fn links(&self) -> Vec<(usize, usize)> {
        self.links.keys().copied().collect()
    }

    /// Schedules anew what waits on wires for which `wanted` answers true, given the host where
    /// they begin and the one where they end.
    pub(super) fn go_on(&mut self, lost: bool, wanted: impl Fn(usize, usize) -> bool) {
        self.release_packets(&wanted);
        let mut waiting = Vec::new();
        for (id, conn) in &self.conns {
            for side in 0..2 {
                if wanted(conn.ends[1 - side].host, conn.ends[side].host) {
                    waiting.push((*id, side));
                }
            }
        }
        for (id, side) in waiting {
            let delay = if lost {
                self.rng.latency.up_to(nanos(SEND_AGAIN_MAX))
            } else {
                0
            };
            let earliest = self.clock + delay;
            let mut times = Vec::new();
            if let Some(conn) = self.conns.get_mut(&id) {
                let wire = &mut conn.wires[side];
                for (at, _) in &mut wire.packets {
                    *at = (*at).max(earliest);
                    times.push(*at);
                }
                wire.last_at = wire.last_at.max(times.last().copied().unwrap_or(0));
            }
            for at in times {
                self.schedule(at, Due::Arrival(id, side));
            }
        }
    }

    /// Sends something to an end of a connection.
    pub(super) fn send(&mut self, id: ConnId, side: usize, packet: Packet) {
        self.send_after(id, side, packet, 0);
    }

    pub(super) fn send_after(&mut self, id: ConnId, side: usize, packet: Packet, delay: u64) {
        let faults = &self.faults;
        let (min, max) = (nanos(faults.latency_min), nanos(faults.latency_max));
        let mut latency = self.rng.latency.between(min, max);
        if self.rng.stall.chance(faults.stall) {
            latency += self.rng.stall.up_to(nanos(faults.stall_max));
        }
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let wire = &mut conn.wires[side];
        let at = (self.clock + latency + delay).max(wire.last_at);
        wire.last_at = at;
        wire.packets.push_back((at, packet));
        self.schedule(at, Due::Arrival(id, side));
    }

    pub(super) fn arrivals(&mut self, id: ConnId, side: usize) {
        while let Some(conn) = self.conns.get(&id) {
            let (from, to) = (conn.ends[1 - side].host, conn.ends[side].host);
            let link = self.link(from, to);
            if link.is_cut(self.clock) || link.held || !self.hosts[to].up {
                return;
            }
            match conn.wires[side].packets.front() {
                Some((at, _)) if *at <= self.clock => {}
                _ => return,
            }
            let packet = self
                .conns
                .get_mut(&id)
                .and_then(|conn| conn.wires[side].packets.pop_front());
            if let Some((_, packet)) = packet {
                self.arrive(id, side, packet);
            }
            self.sweep(id);
        }
    }

    fn arrive(&mut self, id: ConnId, side: usize, packet: Packet) {
        if let Packet::Open = packet {
            return self.arrive_dial(id);
        }
        let Some(end) = self.conns.get_mut(&id).map(|conn| &mut conn.ends[side]) else {
            return;
        };
        let gone = end.closed || end.reset;
        match packet {
            Packet::Data(_) if end.closed => self.send(id, 1 - side, Packet::Reset),
            Packet::Reset if !gone => self.reset_end(id, side),
            _ if gone => {}
            Packet::Open | Packet::Reset => {}
            Packet::Opened | Packet::Refused => {
                end.dial = match packet {
                    Packet::Opened => Dial::Opened,
                    _ => Dial::Refused,
                };
                self.tell(id, side, News::WRITABLE);
            }
            Packet::Data(bytes) => {
                if self.rng.reset.chance(self.faults.reset) {
                    self.resets += 1;
                    self.reset_end(id, side);
                    return self.send(id, 1 - side, Packet::Reset);
                }
                end.inbox.extend(bytes);
                if std::mem::take(&mut end.read_armed)
                    || self.rng.extra_edge.chance(self.faults.extra_edge)
                {
                    self.tell(id, side, News::READABLE);
                }
            }
            Packet::End => {
                end.peer_ended = true;
                self.tell(id, side, News::ENDED);
            }
            Packet::Room(bytes) => {
                end.room += bytes;
                if end.write_armed && end.room >= end.wake_room {
                    end.write_armed = false;
                    self.tell(id, side, News::WRITABLE);
                }
            }
        }
    }

    /// A connect reaches the host it was meant for.
    fn arrive_dial(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else {
            return;
        };
        if conn.ends[0].closed {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.ends[1].closed = true;
            }
            return;
        }
        let (host, addr) = (conn.ends[1].host, conn.ends[1].addr);
        let extra_edge = self.rng.extra_edge.chance(self.faults.extra_edge);
        let Some((key, listener)) = self.hosts[host].listener(addr) else {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.ends[1].closed = true;
            }
            return self.send(id, 0, Packet::Refused);
        };
        if listener.waiting.len() >= listener.waiting_max {
            return self.send_after(id, 1, Packet::Open, nanos(DIAL_AGAIN));
        }
        listener.waiting.push_back(id);
        if std::mem::take(&mut listener.armed) || extra_edge {
            listener.news = true;
            self.hosts[host].make_ready(key);
        }
        self.send(id, 0, Packet::Opened);
    }

    /// One end learns that the connection is no more.
    pub(super) fn reset_end(&mut self, id: ConnId, side: usize) {
        let discards = self.rng.reset.chance(self.faults.reset_discards);
        let Some(end) = self.conns.get_mut(&id).map(|conn| &mut conn.ends[side]) else {
            return;
        };
        end.reset = true;
        if discards {
            end.inbox.clear();
        }
        self.tell(id, side, News::GONE);
    }

    /// The next poll will report this end.
    pub(super) fn tell(&mut self, id: ConnId, side: usize, news: News) {
        let Some(end) = self.conns.get_mut(&id).map(|conn| &mut conn.ends[side]) else {
            return;
        };
        if let Some(key) = end.key {
            end.news.add(news);
            self.hosts[end.host].make_ready(key);
        }
    }

    /// Forgets a connection to which nothing can happen any more.
    pub(super) fn sweep(&mut self, id: ConnId) {
        if self.conns.get(&id).is_some_and(Conn::is_over) {
            self.conns.remove(&id);
        }
    }
}
