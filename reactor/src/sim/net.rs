//! `Net`: the hosts, what is on its way between them, and the time.
//!
//! Whatever will happen stands in one heap, ordered by time and then by the order in which it was
//! scheduled. A packet stands on its wire as well: what cannot arrive when its time has come, since
//! the link is cut, stays there and is scheduled anew when the link is whole.

use super::clock::Clock;
use super::conn::{Conn, Dial, End, News};
use super::datagram::{Flight, Flights, Udp};
use super::faults::Faults;
use super::history::History;
use super::rng::Streams;
use super::sites::Sites;
use super::threads::Threads;
use crate::{Credentials, Key, Time};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The first port that is given to a socket that does not ask for one.
const PORT_MIN: u16 = 49_152;

/// Names a connection, for ever.
pub(super) type ConnId = u64;

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What the heap holds.
pub(super) enum Due {
    /// Something arrives at this end.
    Arrival(ConnId, usize),
    /// Room that a short write had withheld is told of.
    Room(ConnId, usize),
    /// A thread of this host has done what it was told to.
    Job(usize, u64),
    /// A packet, or word of one, reaches its host.
    Packet(Box<Flight>),
    /// A number of bytes leaves the send buffer of this socket.
    Left(usize, Key, u64, usize),
    /// A link that had broken may be whole again.
    Mended(usize, usize),
    /// A foreign thread does something.
    Outside(Box<dyn FnOnce()>),
}

/// One entry of the heap. Compares by time and order alone.
struct Entry {
    at: u64,
    order: u64,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What a key of a host stands for.
#[derive(Debug)]
pub(super) enum Socket {
    Listener(Listener),
    Stream(ConnId, usize),
    Udp(Udp),
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) bound: Vec<Bound>,
    pub(super) waiting: VecDeque<ConnId>,
    pub(super) waiting_max: usize,
    /// An accept has found no connection since the last event.
    pub(super) armed: bool,
    pub(super) news: bool,
}

/// One address of a listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) addr: SocketAddr,
    /// Where the address is `[::]`: without those of IPv4.
    pub(super) only_v6: bool,
}

impl Bound {
    /// Whether what is sent to `addr` comes here.
    pub(super) fn takes(&self, addr: SocketAddr) -> bool {
        let ip = self.addr.ip();
        let any = ip.is_unspecified()
            && (ip.is_ipv4() == addr.is_ipv4() || (ip.is_ipv6() && !self.only_v6));
        self.addr.port() == addr.port() && (ip == addr.ip() || any)
    }
}

/// One machine, as the net sees it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) ip: IpAddr,
    pub(super) ip_v6: IpAddr,
    pub(super) has_v6: bool,
    /// Without power, nothing arrives and nothing is answered.
    pub(super) up: bool,
    pub(super) clock: Clock,
    pub(super) sockets: BTreeMap<Key, Socket>,
    /// The poll that is under way is cut short: the program was stopped in it.
    pub(super) cut_short: bool,
    /// Keys that the next poll reports, in the order in which they became ready.
    pub(super) ready: VecDeque<Key>,
    pub(super) accepted: Option<ConnId>,
    pub(super) next_port: u16,
    /// Where Unix sockets have been bound, and the ports that stand for them.
    pub(super) paths: BTreeMap<PathBuf, u16>,
    /// Who its program is to the other end of a Unix socket.
    pub(super) credentials: Credentials,
    /// Most sockets that may be open at once.
    pub(super) sockets_max: usize,
    /// Until then no file descriptor is to be had.
    pub(super) exhausted_until: u64,
    pub(super) watched: Vec<i32>,
    pub(super) signals: Vec<i32>,
    pub(super) bell: Arc<Bell>,
    pub(super) threads: Threads,
    /// Something has happened in the present turn, or was the reason for it.
    pub(super) has_cause: bool,
}

/// Wakes a host. Rung from any thread; the scheduler looks at it.
#[derive(Debug, Default)]
pub(super) struct Bell(AtomicBool);

impl Bell {
    pub(super) fn is_rung(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl crate::Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// From one host to another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    /// Everything is lost, and sent again later.
    pub(super) cut: bool,
    /// Everything waits, in order.
    pub(super) held: bool,
    /// Cut by a fault, until then.
    pub(super) broken_until: u64,
}

impl Link {
    pub(super) fn is_cut(&self, now: u64) -> bool {
        self.cut || now < self.broken_until
    }
}

pub(super) struct Net {
    pub(super) clock: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    scheduled: u64,
    pub(super) hosts: Vec<Host>,
    /// Whether a new host has IPv6.
    pub(super) has_v6: bool,
    pub(super) conns: BTreeMap<ConnId, Conn>,
    pub(super) conn_count: ConnId,
    pub(super) links: BTreeMap<(usize, usize), Link>,
    /// What names stand for, besides those of the hosts.
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    /// No link breaks by itself before.
    pub(super) whole_until: u64,
    pub(super) flights: Flights,
    pub(super) faults: Faults,
    pub(super) rng: Streams,
    pub(super) history: History,
    pub(super) sites: Sites,
    /// Connections that were reset for no reason of their own.
    pub(super) resets: u64,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("clock", &self.clock)
            .field("hosts", &self.hosts.len())
            .field("connections", &self.conns.len())
            .field("scheduled", &self.queue.len())
            .finish_non_exhaustive()
    }
}

impl Net {
    pub(super) fn new(seed: u64, faults: Faults) -> Net {
        Net {
            clock: 0,
            queue: BinaryHeap::new(),
            scheduled: 0,
            hosts: Vec::new(),
            has_v6: true,
            conns: BTreeMap::new(),
            conn_count: 0,
            links: BTreeMap::new(),
            names: BTreeMap::new(),
            whole_until: 0,
            flights: Flights::default(),
            faults,
            rng: Streams::new(seed),
            history: History::new(),
            sites: Sites::new(seed),
            resets: 0,
        }
    }

    pub(super) fn add_host(&mut self, name: &str) -> usize {
        let index = self.hosts.len();
        let last = u8::try_from(index + 1).expect("a simulation has fewer than 255 hosts");
        let offset = self.rng.clock.up_to(nanos(self.faults.clock_offset_max));
        let drift_max = i32::try_from(self.faults.clock_drift_ppm_max).unwrap_or(i32::MAX / 2);
        let drift = self
            .rng
            .clock
            .up_to(2 * u64::from(drift_max.unsigned_abs()));
        let drift = i32::try_from(drift).unwrap_or(0) - drift_max;
        self.history.name(name);
        self.hosts.push(Host {
            ip: IpAddr::from([10, 0, 0, last]),
            ip_v6: IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last.into()]),
            has_v6: self.has_v6,
            up: true,
            clock: Clock::new(offset, drift),
            sockets: BTreeMap::new(),
            cut_short: false,
            ready: VecDeque::new(),
            accepted: None,
            next_port: PORT_MIN,
            paths: BTreeMap::new(),
            credentials: Credentials {
                pid: Some(1),
                uid: 1000,
                gid: 1000,
            },
            sockets_max: usize::MAX,
            exhausted_until: 0,
            watched: Vec::new(),
            signals: Vec::new(),
            bell: Arc::default(),
            threads: Threads::default(),
            has_cause: false,
        });
        index
    }

    pub(super) fn note(&mut self, host: usize, key: Key, call: &'static str, amount: Option<u64>) {
        self.history.add(self.clock, host, key, call, amount);
    }

    pub(super) fn schedule(&mut self, at: u64, due: Due) {
        self.scheduled += 1;
        self.queue.push(Reverse(Entry {
            at,
            order: self.scheduled,
            due,
        }));
    }

    /// When the next thing happens, as far as the net knows.
    pub(super) fn next(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse(entry)| entry.at)
    }

    /// A call takes a moment, and meanwhile things arrive.
    pub(super) fn creep(&mut self, max: Duration) {
        let by = self.rng.schedule.up_to(nanos(max));
        self.clock = self.clock.saturating_add(by);
        self.happen();
    }

    /// A call of a handler takes its time, as the faults say, and meanwhile things arrive.
    pub(super) fn pay_for_call(&mut self) {
        if self.rng.call_cost.chance(self.faults.call_cost) {
            let cost = self.rng.call_cost.up_to(nanos(self.faults.call_cost_max));
            self.clock = self.clock.saturating_add(cost);
            self.happen();
        }
    }

    /// Lets everything happen whose time has come.
    pub(super) fn happen(&mut self) {
        while self.next().is_some_and(|at| at <= self.clock) {
            let Some(Reverse(entry)) = self.queue.pop() else {
                return;
            };
            match entry.due {
                Due::Arrival(conn, side) => self.arrivals(conn, side),
                Due::Room(id, side) => {
                    if let Some(conn) = self.conns.get_mut(&id)
                        && conn.ends[side].room > 0
                        && std::mem::take(&mut conn.ends[side].write_armed)
                    {
                        self.tell(id, side, News::WRITABLE);
                    }
                }
                Due::Job(host, id) => self.finish_job(host, id),
                Due::Packet(flight) => self.land(*flight),
                Due::Left(host, key, id, room) => self.packet_left(host, key, id, room),
                Due::Mended(from, to) => self.mended(from, to),
                Due::Outside(work) => work(),
            }
        }
    }

    /// A connection from `host` to `addr`, not yet under way.
    pub(super) fn new_conn(&mut self, host: usize, local: SocketAddr, addr: SocketAddr) -> ConnId {
        let to = match addr.ip() {
            ip if ip.is_loopback() => Some(host),
            ip => self.hosts.iter().position(|host| host.has_ip(ip)),
        };
        let (min, max) = (self.faults.window_bytes_min, self.faults.window_bytes_max);
        let window = &mut self.rng.window;
        let mut end = |host, addr, dial| {
            let bytes = window.length(min.max(1), max.max(1));
            let mut end = End::new(host, addr, dial, bytes);
            end.wake_room = window.length(1, 1 + bytes / 3);
            end
        };
        let mut ends = [
            end(host, local, Dial::Pending),
            end(to.unwrap_or(host), addr, Dial::Done),
        ];
        // No host is there and none will answer.
        ends[1].closed = to.is_none();
        self.conn_count += 1;
        let conn = Conn {
            ends,
            wires: Default::default(),
        };
        self.conns.insert(self.conn_count, conn);
        self.conn_count
    }

    pub(super) fn now_of(&self, host: usize) -> Time {
        Time::from_nanos(self.hosts[host].clock.tells(self.clock))
    }
}

fn port_after(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(PORT_MIN)
}

impl Host {
    /// Whether an address of other hosts' packets is this one's.
    pub(super) fn has_ip(&self, ip: IpAddr) -> bool {
        ip == self.ip || (self.has_v6 && ip == self.ip_v6)
    }

    pub(super) fn make_ready(&mut self, key: Key) {
        if !self.ready.contains(&key) {
            self.ready.push_back(key);
        }
    }

    /// A port for a socket that does not ask for one: one that no socket here is bound to.
    pub(super) fn port(&mut self) -> u16 {
        let mut port = self.next_port;
        // As often as it takes to try each once.
        for _ in PORT_MIN..u16::MAX {
            if !self.is_bound(port) {
                break;
            }
            port = port_after(port);
        }
        self.next_port = port_after(port);
        port
    }

    fn is_bound(&self, port: u16) -> bool {
        self.sockets.values().any(|socket| match socket {
            Socket::Listener(listener) => {
                listener.bound.iter().any(|bound| bound.addr.port() == port)
            }
            Socket::Udp(udp) => udp.port() == port,
            Socket::Stream(..) => false,
        })
    }

    /// Who listens on `addr`: the very address, or all of them.
    pub(super) fn listener(&mut self, addr: SocketAddr) -> Option<(Key, &mut Listener)> {
        self.sockets
            .iter_mut()
            .find_map(|(key, socket)| match socket {
                Socket::Listener(listener)
                    if listener.bound.iter().any(|bound| bound.takes(addr)) =>
                {
                    Some((*key, listener))
                }
                _ => None,
            })
    }
}
