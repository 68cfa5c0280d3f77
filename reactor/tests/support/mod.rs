//! Sockets in memory and a clock that moves when told: the reactor over something that is not mio.
//!
//! Readiness is edge-triggered without mercy: an event comes when something changes after a call has
//! answered `WouldBlock`, once, and never again because something is still there. All that the loop
//! asks of the driver and all that it tells handlers goes to one [`Log`], in order.

use midge_reactor::{
    Accept, Answer, Builder, Close, ConnectOptions, Context, Driver, Eof, Event, Handler, Input,
    Key, ListenOptions, ListenerAddr, OffloadJob, ProxyEnd, Reactor, StreamEnd, Time, UdpOptions,
    Wake,
};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

mod datagrams;

pub(crate) use datagrams::Catcher;

/// Too many open files, as the system numbers it.
const EMFILE: i32 = 24;

/// More turns than any script needs before the reactor sleeps.
const TURNS_MAX: usize = 200_000;

/// What happened, a line each. The shared state of every scripted reactor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Rc<Pages>);

#[derive(Debug, Default)]
struct Pages {
    lines: RefCell<Vec<String>>,
    quiet: Cell<bool>,
    inside: Cell<bool>,
}

impl Log {
    pub(crate) fn add(&self, line: impl FnOnce() -> String) {
        if !self.0.quiet.get() {
            self.0.lines.borrow_mut().push(line());
        }
    }

    /// Records nothing from now on.
    pub(crate) fn quiet(&self) {
        self.0.quiet.set(true);
    }

    /// A handler is being called; no other may be.
    fn enter(&self) -> Inside {
        assert!(!self.0.inside.replace(true), "a handler was re-entered");
        Inside(self.clone())
    }
}

struct Inside(Log);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.inside.set(false);
    }
}

pub(crate) type Cx<'a> = Context<'a, Log>;

type Found = Answer<io::Result<Vec<SocketAddr>>>;

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
struct Link {
    key: Option<Key>,
    near: SocketAddr,
    far: SocketAddr,
    connecting: Option<Outcome>,
    arrived: VecDeque<u8>,
    far_ended: bool,
    hung_up: bool,
    reset: bool,
    /// The next change is to be told.
    read_armed: bool,
    write_armed: bool,
    readable: bool,
    writable: bool,
    hangup: bool,
    /// Bytes that the kernel will still take.
    room: usize,
    taken: Vec<u8>,
    near_ended: bool,
    closed: bool,
}

impl Link {
    fn new(near: SocketAddr, far: SocketAddr) -> Link {
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
        }
    }

    fn tell_readable(&mut self) {
        self.readable |= std::mem::take(&mut self.read_armed);
    }
}

#[derive(Debug)]
enum Socket {
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
struct Net {
    log: Log,
    now: u64,
    /// How far the clock may go by itself.
    limit: u64,
    /// The last poll would have slept beyond the limit.
    asleep: bool,
    polls: usize,
    sockets: BTreeMap<Key, Socket>,
    links: Vec<Link>,
    sent: datagrams::Sent,
    accepted: Option<usize>,
    outcomes: BTreeMap<SocketAddr, Outcome>,
    /// Offloaded, and not yet done by the script.
    jobs: VecDeque<OffloadJob>,
    lookups: VecDeque<(String, Found)>,
    has_threads: bool,
    /// Sockets that may still be accepted before the descriptors are used up.
    descriptors: usize,
    accept_errors: VecDeque<ErrorKind>,
    read_max: usize,
    write_max: usize,
    short_read_drains: bool,
    events: Vec<Event>,
    next_port: u16,
    waker: Arc<Bell>,
    /// Sleep truly when there is nothing to do, until another thread wakes the poll.
    waits_for_wakes: bool,
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
    fn take(&self) -> bool {
        std::mem::take(&mut self.state.lock().expect("no test panics here").rung)
    }

    fn until(&self, wanted: impl Fn(&Sleep) -> bool) -> MutexGuard<'_, Sleep> {
        let state = self.state.lock().expect("no test panics here");
        let (state, waited) = self
            .changed
            .wait_timeout_while(state, Duration::from_secs(30), |state| !wanted(state))
            .expect("no test panics here");
        assert!(
            !waited.timed_out(),
            "nobody woke the poll, or it never slept"
        );
        state
    }

    fn sleep(&self) {
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
    fn link(&mut self, key: Key) -> &mut Link {
        match self.sockets.get(&key) {
            Some(Socket::Stream(link)) => &mut self.links[*link],
            other => panic!("the loop used {key:?}, which is {other:?}"),
        }
    }

    fn open(&mut self, key: Key, socket: Socket) {
        assert!(
            self.sockets.keys().all(|key2| key2.index() != key.index()),
            "{key:?} shares its index"
        );
        self.sockets.insert(key, socket);
    }

    fn take_events(&mut self, events: &mut Vec<Event>) {
        events.append(&mut self.events);
        for (key, socket) in &mut self.sockets {
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
pub(crate) struct World(Rc<RefCell<Net>>);

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
            short_read_drains: false,
            events: Vec::new(),
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

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a test of centuries is too long")
}

/// The far end of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    world: World,
    link: usize,
}

impl Peer {
    fn on<R>(&self, work: impl FnOnce(&mut Link) -> R) -> R {
        work(&mut self.world.0.borrow_mut().links[self.link])
    }

    /// The reactor's name for this connection.
    pub(crate) fn key(&self) -> Key {
        self.on(|link| link.key)
            .expect("it has not been accepted yet")
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.on(|link| {
            assert!(!link.far_ended, "the peer sends after its end");
            link.arrived.extend(bytes);
            link.tell_readable();
        });
    }

    /// Ends the peer's direction.
    pub(crate) fn finish(&self) {
        let drains = self.world.0.borrow().short_read_drains;
        self.on(|link| {
            link.far_ended = true;
            link.tell_readable();
            // Where a short read counts as the last one, an end must make itself heard.
            link.hangup |= drains;
            link.readable |= drains;
        });
    }

    /// Resets the connection: what has arrived and was not read is lost.
    pub(crate) fn reset(&self) {
        self.on(|link| {
            link.reset = true;
            link.arrived.clear();
            (link.readable, link.writable, link.hangup) = (true, true, true);
        });
    }

    /// Hangs up without having read what we sent: writing fails from now on, while what has
    /// arrived can be read, and an error after it.
    pub(crate) fn hang_up(&self) {
        self.on(|link| {
            link.hung_up = true;
            (link.readable, link.writable, link.hangup) = (true, true, true);
        });
    }

    /// Lets the kernel take no more than `bytes` from now on.
    pub(crate) fn set_room(&self, bytes: usize) {
        self.on(|link| {
            link.room = bytes;
            if bytes > 0 {
                link.writable |= std::mem::take(&mut link.write_armed);
            }
        });
    }

    /// All that the reactor has written.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.on(|link| link.taken.clone())
    }

    pub(crate) fn text(&self) -> String {
        self.received().escape_ascii().to_string()
    }

    pub(crate) fn received_len(&self) -> usize {
        self.on(|link| link.taken.len())
    }

    /// Sets memory aside for `bytes` in either direction, so that none need be found later.
    pub(crate) fn reserve(&self, bytes: usize) {
        self.on(|link| {
            link.arrived.reserve(bytes);
            link.taken.reserve(bytes);
        });
    }

    /// Forgets what was received, keeping the memory.
    pub(crate) fn forget_received(&self) {
        self.on(|link| link.taken.clear());
    }

    /// Whether the reactor has ended its direction.
    pub(crate) fn ended(&self) -> bool {
        self.on(|link| link.near_ended)
    }

    pub(crate) fn closed(&self) -> bool {
        self.on(|link| link.closed)
    }

    /// Bytes that have arrived and were not read.
    pub(crate) fn unread(&self) -> usize {
        self.on(|link| link.arrived.len())
    }
}

#[derive(Debug)]
pub(crate) struct ScriptedDriver(World);

/// A key as the log shows it: without its generation, so that a test can know it beforehand.
struct Name(Key);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "k{}", self.0.index())
    }
}

impl Driver for ScriptedDriver {
    fn now(&mut self) -> Time {
        self.0.now()
    }

    fn seed(&mut self) -> u64 {
        1
    }

    fn poll(&mut self, events: &mut Vec<Event>, wait: Option<Duration>) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        net.polls += 1;
        net.log.add(|| match wait {
            None => "poll for ever".to_owned(),
            Some(wait) => format!("poll {wait:?}"),
        });
        net.take_events(events);
        if !events.is_empty() || net.waker.take() || wait == Some(Duration::ZERO) {
            return Ok(());
        }
        let until = wait.map(|wait| net.now.saturating_add(nanos(wait)));
        net.asleep = until.is_none_or(|until| until > net.limit);
        if let Some(now) = until.or((net.limit < u64::MAX).then_some(net.limit)) {
            net.now = now.min(net.limit).max(net.now);
        }
        if net.asleep && net.waits_for_wakes {
            let bell = Arc::clone(&net.waker);
            drop(net);
            bell.sleep();
        }
        Ok(())
    }

    fn listen(&mut self, key: Key, addr: SocketAddr, _: &ListenOptions) -> io::Result<SocketAddr> {
        let mut net = self.0.0.borrow_mut();
        let taken = net
            .sockets
            .values()
            .any(|socket| matches!(socket, Socket::Listener { addr: bound, .. } if *bound == addr));
        if taken {
            return Err(ErrorKind::AddrInUse.into());
        }
        let socket = Socket::Listener {
            addr,
            backlog: VecDeque::new(),
            armed: true,
            ready: false,
        };
        net.open(key, socket);
        Ok(addr)
    }

    fn accept(&mut self, listener: Key) -> io::Result<SocketAddr> {
        let mut net = self.0.0.borrow_mut();
        let net = &mut *net;
        let Some(Socket::Listener { backlog, armed, .. }) = net.sockets.get_mut(&listener) else {
            panic!("the loop accepts on {listener:?}, which does not listen");
        };
        let name = Name(listener);
        if backlog.is_empty() {
            *armed = true;
            net.log.add(|| format!("accept {name} would block"));
            return Err(ErrorKind::WouldBlock.into());
        }
        if let Some(kind) = net.accept_errors.pop_front() {
            backlog.pop_front();
            net.log.add(|| format!("accept {name} {kind:?}"));
            return Err(kind.into());
        }
        if net.descriptors == 0 {
            net.log.add(|| format!("accept {name} no descriptors"));
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        net.descriptors -= 1;
        let link = backlog.pop_front().expect("it is not empty");
        net.log.add(|| format!("accept {name}"));
        net.accepted = Some(link);
        Ok(net.links[link].far)
    }

    fn adopt(&mut self, key: Key) -> io::Result<SocketAddr> {
        let mut net = self.0.0.borrow_mut();
        let link = net.accepted.take().expect("nothing was accepted");
        net.links[link].key = Some(key);
        net.open(key, Socket::Stream(link));
        Ok(net.links[link].near)
    }

    fn connect(&mut self, key: Key, addr: SocketAddr, options: &ConnectOptions) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        net.log.add(|| match options.local_addr {
            Some(local) => format!("connect {} from {local}", Name(key)),
            None => format!("connect {}", Name(key)),
        });
        let outcome = *net.outcomes.get(&addr).unwrap_or(&Outcome::Refused);
        if outcome == Outcome::FailsAtOnce {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        net.next_port += 1;
        let near = SocketAddr::from(([10, 0, 0, 1], net.next_port));
        let mut link = Link::new(options.local_addr.unwrap_or(near), addr);
        link.key = Some(key);
        link.connecting = Some(outcome);
        link.writable = outcome != Outcome::Silence;
        let id = net.links.len();
        net.links.push(link);
        net.open(key, Socket::Stream(id));
        Ok(())
    }

    fn offload(&mut self, job: OffloadJob, _: usize) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        if !net.has_threads {
            return Err(ErrorKind::Unsupported.into());
        }
        net.jobs.push_back(job);
        Ok(())
    }

    fn resolve(&mut self, name: &str, _: u16, answer: Found, _: usize) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        if !net.has_threads {
            return Err(ErrorKind::Unsupported.into());
        }
        net.log.add(|| format!("lookup {name}"));
        net.lookups.push_back((name.to_owned(), answer));
        Ok(())
    }

    fn finish_connect(&mut self, key: Key) -> io::Result<SocketAddr> {
        let mut net = self.0.0.borrow_mut();
        let link = net.link(key);
        match link.connecting {
            Some(Outcome::Open) => {
                link.connecting = None;
                Ok(link.near)
            }
            Some(Outcome::Silence) => Err(ErrorKind::WouldBlock.into()),
            _ => Err(ErrorKind::ConnectionRefused.into()),
        }
    }

    fn read(&mut self, key: Key, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "an end could not be told from no room");
        let mut net = self.0.0.borrow_mut();
        let (read_max, drains, log) = (net.read_max, net.short_read_drains, net.log.clone());
        let link = net.link(key);
        let name = Name(key);
        if link.reset {
            log.add(|| format!("read {name} reset"));
            return Err(ErrorKind::ConnectionReset.into());
        }
        if link.arrived.is_empty() {
            if link.hung_up {
                log.add(|| format!("read {name} reset"));
                return Err(ErrorKind::ConnectionReset.into());
            }
            if link.far_ended {
                log.add(|| format!("read {name} end"));
                return Ok(0);
            }
            link.read_armed = true;
            log.add(|| format!("read {name} would block"));
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = buf.len().min(link.arrived.len()).min(read_max);
        for (byte, arrived) in buf.iter_mut().zip(link.arrived.drain(..len)) {
            *byte = arrived;
        }
        link.read_armed |= drains && len < buf.len();
        assert!(
            !drains || len == buf.len() || link.arrived.is_empty(),
            "a short read that leaves something contradicts short_read_drains"
        );
        log.add(|| format!("read {name} {len}"));
        Ok(len)
    }

    fn short_read_drains(&self) -> bool {
        self.0.0.borrow().short_read_drains
    }

    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut net = self.0.0.borrow_mut();
        let (write_max, log) = (net.write_max, net.log.clone());
        let link = net.link(key);
        let name = Name(key);
        assert!(!link.near_ended, "written after the end");
        if link.reset || link.hung_up {
            log.add(|| format!("write {name} reset"));
            return Err(ErrorKind::BrokenPipe.into());
        }
        let offered: usize = pieces.iter().map(|piece| piece.len()).sum();
        assert!(offered > 0, "a write of nothing");
        let len = offered.min(link.room).min(write_max);
        link.room -= if link.room == usize::MAX { 0 } else { len };
        if len < offered {
            // The edge comes with room; room that was only withheld makes one at once.
            link.write_armed = link.room == 0;
            link.writable |= link.room > 0;
        }
        if len == 0 {
            log.add(|| format!("write {name} would block"));
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut left = len;
        for piece in pieces {
            let part = &piece[..left.min(piece.len())];
            link.taken.extend_from_slice(part);
            left -= part.len();
        }
        log.add(|| format!("write {name} {len}"));
        Ok(len)
    }

    fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        net.log.add(|| format!("end {}", Name(key)));
        net.link(key).near_ended = true;
        Ok(())
    }

    fn udp(&mut self, key: Key, addr: SocketAddr, options: &UdpOptions) -> io::Result<SocketAddr> {
        self.0.0.borrow_mut().open_udp(key, addr, options)
    }

    fn receive(&mut self, key: Key, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.0.borrow_mut().receive(key, buf)
    }

    fn send_packet(&mut self, key: Key, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        self.0.0.borrow_mut().send_packet(key, to, packet)
    }

    fn close(&mut self, key: Key) {
        let mut net = self.0.0.borrow_mut();
        match net.sockets.remove(&key) {
            Some(Socket::Stream(link)) => net.links[link].closed = true,
            Some(Socket::Listener { .. } | Socket::Udp(_)) => {}
            None => return,
        }
        net.log.add(|| format!("close {}", Name(key)));
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.0.0.borrow().waker) as Arc<dyn Wake>
    }

    fn watch_signals(&mut self, _: &[i32]) -> io::Result<()> {
        Ok(())
    }
}

type OnInput = Box<dyn FnMut(&mut Cx<'_>, &mut Input<'_>)>;
type OnEof = Box<dyn FnMut(&mut Cx<'_>) -> Eof>;
type OnTimer = Box<dyn FnMut(&mut Cx<'_>, u64)>;
type OnOther = Box<dyn FnMut(&mut Cx<'_>)>;

/// A handler that logs each call, checks the order of calls, and does what it was made with.
#[derive(Default)]
pub(crate) struct Probe {
    name: &'static str,
    open: Option<OnOther>,
    input: Option<OnInput>,
    drain: Option<OnOther>,
    timer: Option<OnTimer>,
    stream: Option<OnOther>,
    eof: Option<OnEof>,
    close: Option<OnOther>,
    opened: bool,
    ended: bool,
    closed: bool,
}

impl Probe {
    pub(crate) fn new(name: &'static str) -> Probe {
        Probe {
            name,
            ..Probe::default()
        }
    }

    /// Sends back what comes.
    pub(crate) fn echo(name: &'static str) -> Probe {
        Probe::new(name).on_input(|cx, input| {
            cx.send(input.take());
        })
    }

    pub(crate) fn on_open(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Probe {
        self.open = Some(Box::new(work));
        self
    }

    pub(crate) fn on_input(
        mut self,
        work: impl FnMut(&mut Cx<'_>, &mut Input<'_>) + 'static,
    ) -> Probe {
        self.input = Some(Box::new(work));
        self
    }

    pub(crate) fn on_drain(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Probe {
        self.drain = Some(Box::new(work));
        self
    }

    pub(crate) fn on_timer(mut self, work: impl FnMut(&mut Cx<'_>, u64) + 'static) -> Probe {
        self.timer = Some(Box::new(work));
        self
    }

    pub(crate) fn on_stream(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Probe {
        self.stream = Some(Box::new(work));
        self
    }

    pub(crate) fn on_eof(mut self, work: impl FnMut(&mut Cx<'_>) -> Eof + 'static) -> Probe {
        self.eof = Some(Box::new(work));
        self
    }

    pub(crate) fn on_close(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Probe {
        self.close = Some(Box::new(work));
        self
    }

    fn enter(&self, cx: &Cx<'_>, call: impl FnOnce() -> String) -> Inside {
        assert!(!self.closed, "{}: called after on_close", self.name);
        let name = self.name;
        cx.state.add(|| format!("{name} {}", call()));
        cx.state.enter()
    }
}

fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= 40 {
        bytes.escape_ascii().to_string()
    } else {
        format!("{} bytes", bytes.len())
    }
}

impl Handler<Log> for Probe {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let _inside = self.enter(cx, || "open".to_owned());
        assert!(!std::mem::replace(&mut self.opened, true), "opened twice");
        if let Some(work) = &mut self.open {
            work(cx);
        }
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let _inside = self.enter(cx, || format!("input {}", shown(input.peek())));
        assert!(self.opened, "input before on_open");
        assert!(!self.ended, "input after on_eof");
        assert!(cx.io.is_open(cx.key()), "input after a close");
        assert!(!cx.io.is_paused(cx.key()), "input in spite of a pause");
        match &mut self.input {
            Some(work) => work(cx, input),
            None => {
                input.take();
            }
        }
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        let _inside = self.enter(cx, || "drain".to_owned());
        if let Some(work) = &mut self.drain {
            work(cx);
        }
    }

    fn on_proxy(&mut self, cx: &mut Cx<'_>, end: ProxyEnd) {
        let _inside = self.enter(cx, || format!("proxy {end:?}"));
    }

    fn on_stream(&mut self, cx: &mut Cx<'_>, end: StreamEnd) {
        let _inside = self.enter(cx, || match &end {
            StreamEnd::Complete { bytes } => format!("stream of {bytes} complete"),
            StreamEnd::Failed { bytes, error } => format!("stream of {bytes} failed: {error}"),
        });
        if let Some(work) = &mut self.stream {
            work(cx);
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: u64) {
        let _inside = self.enter(cx, || format!("timer {timer}"));
        if let Some(work) = &mut self.timer {
            work(cx, timer);
        }
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        let _inside = self.enter(cx, || "eof".to_owned());
        assert!(self.opened, "an end before on_open");
        assert!(!std::mem::replace(&mut self.ended, true), "ended twice");
        self.eof.as_mut().map_or(Eof::Close, |work| work(cx))
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        let queued = cx.queued();
        let _inside = self.enter(cx, || match (why, queued) {
            (why, 0) => format!("close: {why}"),
            (why, queued) => format!("close: {why}, {queued} unsent"),
        });
        self.closed = true;
        if let Some(work) = &mut self.close {
            work(cx);
        }
    }
}

type Handlers = Rc<RefCell<VecDeque<Box<dyn Handler<Log>>>>>;

/// Accepts each connection with the next handler of a list.
struct Reception(Handlers);

impl Accept<Log> for Reception {
    fn accept(&mut self, cx: &mut Cx<'_>) -> Box<dyn Handler<Log>> {
        let _inside = cx.state.enter();
        let next = self.0.borrow_mut().pop_front();
        next.expect("more connections than handlers")
    }

    fn on_error(&mut self, cx: &mut Cx<'_>, _: &ListenerAddr, error: &io::Error) {
        let code = error.raw_os_error();
        cx.state.add(|| match code {
            Some(EMFILE) => "listener error: no descriptors".to_owned(),
            _ => format!("listener error: {:?}", error.kind()),
        });
    }
}

/// A reactor in a scripted world, listening on [`Bench::addr`].
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) reactor: Reactor<Log>,
    pub(crate) listener: Key,
    handlers: Hidden,
}

struct Hidden(Handlers);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} handlers", self.0.borrow().len())
    }
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::built(Reactor::builder())
    }

    /// As [`new`](Bench::new), with settings.
    pub(crate) fn built(settings: Builder<Log>) -> Bench {
        let log = Log::default();
        let world = World::new(log.clone());
        let driver = Box::new(ScriptedDriver(world.clone()));
        let mut reactor = settings.build_with_driver(log, driver);
        let handlers = Handlers::default();
        let reception = Reception(Rc::clone(&handlers));
        let listener =
            reactor.with(|cx| cx.listen_with(Bench::addr(), &ListenOptions::default(), reception));
        Bench {
            world,
            reactor,
            listener: listener.expect("the address is free"),
            handlers: Hidden(handlers),
        }
    }

    pub(crate) fn addr() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 4222))
    }

    /// A peer dials; `handler` will get the connection.
    pub(crate) fn dial(&mut self, handler: impl Handler<Log> + 'static) -> Peer {
        self.handlers.0.borrow_mut().push_back(Box::new(handler));
        self.world.dial(Bench::addr())
    }

    /// A peer dials and is accepted; the log is empty again.
    pub(crate) fn client(&mut self, handler: impl Handler<Log> + 'static) -> Peer {
        let peer = self.dial(handler);
        self.settle();
        self.log();
        peer
    }

    pub(crate) fn with<R>(&mut self, work: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        self.reactor.with(work)
    }

    /// One turn that does not wait.
    pub(crate) fn turn(&mut self) {
        let turned = self.reactor.turn(Some(Duration::ZERO));
        turned.expect("the scripted poll never fails");
    }

    /// Turns until there is nothing to do now.
    pub(crate) fn settle(&mut self) {
        self.advance(Duration::ZERO);
    }

    /// Turns until the clock is `time` later and there is nothing to do then.
    pub(crate) fn advance(&mut self, time: Duration) {
        {
            let mut net = self.world.0.borrow_mut();
            net.limit = net.now + nanos(time);
            net.asleep = false;
        }
        for _ in 0..TURNS_MAX {
            if self.reactor.is_stopping() || self.world.0.borrow().asleep {
                return;
            }
            let turned = self.reactor.turn(None);
            turned.expect("the scripted poll never fails");
        }
        panic!("the reactor spins");
    }

    /// Turns until the reactor has stopped and ended; the clock goes as far as it must.
    pub(crate) fn run(&mut self) {
        self.world.0.borrow_mut().limit = u64::MAX;
        for _ in 0..TURNS_MAX {
            if self.reactor.is_stopping() {
                let ended = self.reactor.run();
                return ended.expect("the scripted poll never fails");
            }
            let turned = self.reactor.turn(None);
            turned.expect("the scripted poll never fails");
        }
        panic!("the reactor spins");
    }

    /// Takes what was logged, without polls and calls that had to wait.
    pub(crate) fn log(&mut self) -> Vec<String> {
        let mut lines = self.full_log();
        lines.retain(|line| !line.starts_with("poll ") && !line.ends_with(" would block"));
        lines
    }

    /// Takes all that was logged.
    pub(crate) fn full_log(&mut self) -> Vec<String> {
        self.reactor.state.0.lines.take()
    }

    /// Takes what handlers were told: without the driver's calls.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let calls = [
            "accept k",
            "connect k",
            "read k",
            "write k",
            "end k",
            "close k",
            "receive k",
            "send k",
        ];
        let mut lines = self.log();
        lines.retain(|line| !calls.iter().any(|call| line.starts_with(call)));
        lines
    }

    /// Takes the calls that begin with `prefix`.
    pub(crate) fn calls(&mut self, prefix: &str) -> Vec<String> {
        let mut lines = self.log();
        lines.retain(|line| line.starts_with(prefix));
        lines
    }
}
