//! What lies behind the driver: links, sockets and a clock, and the script's hold on them.

use super::peer::Peer;
use super::{Log, datagrams};
use midge_reactor::{Answer, Event, Key, OffloadJob, Time, Wake};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

pub(super) type Found = Answer<io::Result<Vec<SocketAddr>>>;

/// What becomes of a connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Open,
    Refused,
    /// Nothing ever answers.
    Silence,
    /// The call itself fails.
    FailsAtOnce,
}

/// One connection, both directions.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) key: Option<Key>,
    pub(super) near: SocketAddr,
    pub(super) far: SocketAddr,
    pub(super) connecting: Option<Outcome>,
    pub(super) arrived: VecDeque<u8>,
    pub(super) far_ended: bool,
    pub(super) hung_up: bool,
    pub(super) reset: bool,
    /// The next change is to be told.
    pub(super) read_armed: bool,
    pub(super) write_armed: bool,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) hangup: bool,
    /// Bytes that the kernel will still take.
    pub(super) room: usize,
    pub(super) taken: Vec<u8>,
    pub(super) near_ended: bool,
    pub(super) closed: bool,
    /// What the next reads and writes answer, as numbers of the system.
    pub(super) read_errors: VecDeque<i32>,
    pub(super) write_errors: VecDeque<i32>,
}

impl Link {
    pub(super) fn new(near: SocketAddr, far: SocketAddr) -> Link {
        Link {
            key: None,
            near,
            far,
            connecting: None,
            arrived: VecDeque::new(),
            far_ended: false,
            hung_up: false,
            reset: false,
            read_armed: true,
            write_armed: false,
            readable: false,
            writable: false,
            hangup: false,
            room: usize::MAX,
            taken: Vec::new(),
            near_ended: false,
            closed: false,
            read_errors: VecDeque::new(),
            write_errors: VecDeque::new(),
        }
    }

    pub(super) fn tell_readable(&mut self) {
        self.readable |= std::mem::take(&mut self.read_armed);
    }
}

#[derive(Debug)]
pub(super) enum Socket {
    Listener {
        addr: SocketAddr,
        backlog: VecDeque<usize>,
        armed: bool,
        ready: bool,
    },
    Stream(usize),
    Udp(datagrams::Udp),
}

#[derive(Debug)]
pub(super) struct Net {
    pub(super) log: Log,
    pub(super) now: u64,
    /// How far the clock may go by itself.
    pub(super) limit: u64,
    /// The last poll would have slept beyond the limit.
    pub(super) asleep: bool,
    pub(super) polls: usize,
    pub(super) sockets: BTreeMap<Key, Socket>,
    pub(super) links: Vec<Link>,
    pub(super) sent: datagrams::Sent,
    pub(super) accepted: Option<usize>,
    pub(super) outcomes: BTreeMap<SocketAddr, Outcome>,
    /// Offloaded, and not yet done by the script.
    pub(super) jobs: VecDeque<OffloadJob>,
    pub(super) lookups: VecDeque<(String, Found)>,
    pub(super) has_threads: bool,
    /// Sockets that may still be accepted before the descriptors are used up.
    pub(super) descriptors: usize,
    pub(super) accept_errors: VecDeque<ErrorKind>,
    pub(super) read_max: usize,
    pub(super) write_max: usize,
    /// Nanoseconds in which the process did not run.
    pub(super) interrupted: u64,
    /// How far a write moves the clock, in nanoseconds.
    pub(super) write_takes: u64,
    pub(super) short_read_drains: bool,
    pub(super) events: Vec<Event>,
    /// Most events that a poll tells.
    pub(super) events_max: usize,
    pub(super) events_left: bool,
    /// The next poll is interrupted.
    pub(super) cut_short: bool,
    /// What the next polls answer, as numbers of the system.
    pub(super) poll_errors: VecDeque<i32>,
    /// The system sends from files by itself.
    pub(super) sends_files: bool,
    /// It moves bytes from one connection to another.
    pub(super) splices: bool,
    pub(super) next_port: u16,
    pub(super) waker: Arc<Bell>,
    /// Sleep truly when there is nothing to do, until another thread wakes the poll.
    pub(super) waits_for_wakes: bool,
}

/// Wakes the poll, and tells when it sleeps.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<Sleep>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Sleep {
    rung: bool,
    sleeping: bool,
}

impl Wake for Bell {
    fn wake(&self) {
        self.state.lock().expect("no test panics here").rung = true;
        self.changed.notify_all();
    }
}

impl Bell {
    pub(super) fn take(&self) -> bool {
        std::mem::take(&mut self.state.lock().expect("no test panics here").rung)
    }

    fn until(&self, wanted: impl Fn(&Sleep) -> bool) -> MutexGuard<'_, Sleep> {
        let state = self.state.lock().expect("no test panics here");
        let (state, waited) = self
            .changed
            .wait_timeout_while(state, Duration::from_secs(60), |state| !wanted(state))
            .expect("no test panics here");
        assert!(
            !waited.timed_out(),
            "nobody woke the poll, or it never slept"
        );
        state
    }

    pub(super) fn sleep(&self) {
        self.state.lock().expect("no test panics here").sleeping = true;
        self.changed.notify_all();
        let mut state = self.until(|state| state.rung);
        *state = Sleep::default();
    }

    /// Returns when the poll sleeps.
    pub(crate) fn until_asleep(&self) {
        drop(self.until(|state| state.sleeping));
    }
}

impl Net {
    pub(super) fn link(&mut self, key: Key) -> &mut Link {
        match self.sockets.get(&key) {
            Some(Socket::Stream(link)) => &mut self.links[*link],
            other => panic!("the loop used {key:?}, which is {other:?}"),
        }
    }

    pub(super) fn open(&mut self, key: Key, socket: Socket) {
        assert!(
            self.sockets.keys().all(|key2| key2.index() != key.index()),
            "{key:?} shares its index"
        );
        self.sockets.insert(key, socket);
    }

    pub(super) fn take_events(&mut self, events: &mut Vec<Event>) {
        events.append(&mut self.events);
        self.events_left = false;
        if std::mem::take(&mut self.cut_short) {
            return;
        }
        for (key, socket) in &mut self.sockets {
            if events.len() >= self.events_max {
                self.events_left = true;
                return;
            }
            let (readable, writable, hangup) = match socket {
                Socket::Listener { ready, .. } => (std::mem::take(ready), false, false),
                Socket::Udp(udp) => (
                    std::mem::take(&mut udp.readable),
                    std::mem::take(&mut udp.writable),
                    false,
                ),
                Socket::Stream(link) => {
                    let link = &mut self.links[*link];
                    (
                        std::mem::take(&mut link.readable),
                        std::mem::take(&mut link.writable),
                        std::mem::take(&mut link.hangup),
                    )
                }
            };
            if readable || writable || hangup {
                events.push(Event::Ready {
                    key: *key,
                    readable,
                    writable,
                    hangup,
                });
            }
        }
    }
}

/// The far side of everything. Cheap to clone; all clones are one world.
#[derive(Clone, Debug)]
pub(crate) struct World(pub(super) Rc<RefCell<Net>>);

impl World {
    pub(crate) fn new(log: Log) -> World {
        World(Rc::new(RefCell::new(Net {
            log,
            now: 0,
            limit: 0,
            asleep: false,
            polls: 0,
            sockets: BTreeMap::new(),
            links: Vec::new(),
            sent: datagrams::Sent::default(),
            accepted: None,
            outcomes: BTreeMap::new(),
            jobs: VecDeque::new(),
            lookups: VecDeque::new(),
            has_threads: true,
            descriptors: usize::MAX,
            accept_errors: VecDeque::new(),
            read_max: usize::MAX,
            write_max: usize::MAX,
            interrupted: 0,
            write_takes: 0,
            short_read_drains: false,
            events: Vec::new(),
            events_max: usize::MAX,
            events_left: false,
            cut_short: false,
            poll_errors: VecDeque::new(),
            sends_files: false,
            splices: false,
            next_port: 50_000,
            waker: Arc::new(Bell::default()),
            waits_for_wakes: false,
        })))
    }

    /// A peer connects to the listener on `addr`; it waits in the backlog.
    pub(crate) fn dial(&self, addr: SocketAddr) -> Peer {
        let mut net = self.0.borrow_mut();
        net.next_port += 1;
        let far = SocketAddr::from(([10, 0, 0, 9], net.next_port));
        let id = net.links.len();
        net.links.push(Link::new(addr, far));
        let listener = net.sockets.values_mut().find_map(|socket| match socket {
            Socket::Listener {
                addr: bound,
                backlog,
                armed,
                ready,
            } if *bound == addr => Some((backlog, armed, ready)),
            _ => None,
        });
        let (backlog, armed, ready) = listener.expect("nobody listens there");
        backlog.push_back(id);
        *ready |= std::mem::take(armed);
        Peer {
            world: self.clone(),
            link: id,
        }
    }

    /// What becomes of connects to `addr`; the default is to refuse.
    pub(crate) fn answer(&self, addr: SocketAddr, outcome: Outcome) {
        self.0.borrow_mut().outcomes.insert(addr, outcome);
    }

    /// The connect to `addr` that nobody answered succeeds after all.
    pub(crate) fn open(&self, addr: SocketAddr) {
        self.called(addr).on(|link| {
            link.connecting = Some(Outcome::Open);
            link.writable = true;
        });
    }

    /// The far end of the latest connect to `addr`.
    pub(crate) fn called(&self, addr: SocketAddr) -> Peer {
        let net = self.0.borrow();
        let link = net.links.iter().rposition(|link| link.far == addr);
        Peer {
            world: self.clone(),
            link: link.expect("nothing has connected there"),
        }
    }

    /// Takes the offloaded job that has waited longest, to be run, dropped, or sent to a thread.
    pub(crate) fn take_job(&self) -> OffloadJob {
        let job = self.0.borrow_mut().jobs.pop_front();
        job.expect("nothing was offloaded")
    }

    pub(crate) fn jobs(&self) -> usize {
        self.0.borrow().jobs.len()
    }

    /// From now on there are no threads to offload to.
    pub(crate) fn has_no_threads(&self) {
        self.0.borrow_mut().has_threads = false;
    }

    /// Answers the lookup of `name` that has waited longest.
    pub(crate) fn found(&self, name: &str, found: io::Result<Vec<SocketAddr>>) {
        let lookup = self.0.borrow_mut().lookups.pop_front();
        let (asked, answer) = lookup.expect("nothing is looked up");
        assert_eq!(asked, name);
        answer.give(found);
    }

    pub(crate) fn lookups(&self) -> usize {
        self.0.borrow().lookups.len()
    }

    /// After `count` more accepts there are no descriptors left.
    pub(crate) fn descriptors(&self, count: usize) {
        self.0.borrow_mut().descriptors = count;
    }

    /// The next accept fails so.
    pub(crate) fn accept_error(&self, kind: ErrorKind) {
        self.0.borrow_mut().accept_errors.push_back(kind);
    }

    /// Most bytes of one read.
    pub(crate) fn read_max(&self, bytes: usize) {
        self.0.borrow_mut().read_max = bytes;
    }

    /// Most bytes of one write.
    pub(crate) fn write_max(&self, bytes: usize) {
        self.0.borrow_mut().write_max = bytes;
    }

    /// As on Linux: a read that does not fill its buffer has emptied the socket.
    pub(crate) fn short_read_drains(&self) {
        self.0.borrow_mut().short_read_drains = true;
    }

    /// The next poll reports `event`, true or not.
    pub(crate) fn inject(&self, event: Event) {
        self.0.borrow_mut().events.push(event);
    }

    /// Most events that one poll tells.
    pub(crate) fn events_max(&self, events: usize) {
        self.0.borrow_mut().events_max = events;
    }

    /// The next poll is interrupted, and tells nothing.
    pub(crate) fn cut_short(&self) {
        self.0.borrow_mut().cut_short = true;
    }

    /// The next poll fails so.
    pub(crate) fn poll_error(&self, errno: i32) {
        self.0.borrow_mut().poll_errors.push_back(errno);
    }

    /// From now on the system sends from files by itself.
    pub(crate) fn sends_files(&self) {
        self.0.borrow_mut().sends_files = true;
    }

    /// From now on the system moves bytes from one connection to another by itself.
    pub(crate) fn splices(&self) {
        self.0.borrow_mut().splices = true;
    }

    /// From now on a poll with nothing to do sleeps until another thread wakes it.
    pub(crate) fn waits_for_wakes(&self) -> Arc<Bell> {
        let mut net = self.0.borrow_mut();
        net.waits_for_wakes = true;
        Arc::clone(&net.waker)
    }

    /// How often the reactor has polled.
    pub(crate) fn polls(&self) -> usize {
        self.0.borrow().polls
    }

    /// Each write moves the clock so far.
    pub(crate) fn write_takes(&self, time: Duration) {
        self.0.borrow_mut().write_takes = nanos(time);
    }

    /// Moves the clock while the process does not run.
    pub(crate) fn interrupt(&self, time: Duration) {
        let mut net = self.0.borrow_mut();
        net.now += nanos(time);
        net.interrupted += nanos(time);
    }

    /// Moves the clock while the reactor does nothing.
    pub(crate) fn stall(&self, time: Duration) {
        self.0.borrow_mut().now += nanos(time);
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_nanos(self.0.borrow().now)
    }

    pub(crate) fn open_sockets(&self) -> usize {
        self.0.borrow().sockets.len()
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a test of centuries is too long")
}
