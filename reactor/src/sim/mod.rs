//! Your handlers over a clock and a network that are not real: thousands of runs in a second, with
//! faults, each repeated exactly by its seed.
//!
//! Needs the feature `sim`, which belongs among a program's `dev-dependencies`.
//!
//! ```
//! use midge_reactor::{sim, Context, Handler, Input};
//! use std::time::Duration;
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
//!         cx.send(input.take());
//!     }
//! }
//!
//! struct Caller;
//!
//! impl Handler<Vec<u8>> for Caller {
//!     fn on_open(&mut self, cx: &mut Context<'_, Vec<u8>>) {
//!         cx.send(b"hello");
//!     }
//!
//!     fn on_input(&mut self, cx: &mut Context<'_, Vec<u8>>, input: &mut Input<'_>) {
//!         cx.state.extend(input.take());
//!     }
//! }
//!
//! sim::check(0..50, |sim| {
//!     let server = sim.host("server", (), |cx| {
//!         cx.listen("0.0.0.0:7", |_: &mut Context<'_>| Echo).map(drop)
//!     });
//!     let addr = sim.addr(server, 7);
//!     let client = sim.host("client", Vec::new(), |cx| {
//!         cx.connect(addr, Caller);
//!         Ok(())
//!     });
//!     sim.run_for(Duration::from_secs(60));
//!
//!     let heard = sim.with(client, |cx| cx.state.clone());
//!     assert!(b"hello".starts_with(&heard));
//!     if sim.faults().all_connect() && sim.resets() == 0 {
//!         assert_eq!(heard, b"hello");
//!     }
//! });
//! ```
//!
//! # What is real and what is not
//!
//! ```text
//!   your handlers, unchanged        your handlers, unchanged
//!   Context, Io, Remote             Context, Io, Remote
//!   Reactor: the same loop          Reactor: the same loop      × as many hosts as you add
//!   ─────────────────────────────────────────────────────────
//!   Sim: virtual time, connections in memory, faults, a scheduler, all from one seed
//! ```
//!
//! A host is one reactor with addresses of its own: 10.0.0.1 and fd00::1 for the first, 10.0.0.2 and
//! fd00::2 for the second, and so on. It may listen there, on `0.0.0.0` or `[::]`, or on the loopback
//! addresses, which are its own alone. Datagrams are of IPv4. A client is a host like any other, whose handlers do what a test wants.
//!
//! Datagrams go from host to host as well, to 255.255.255.255, and to multicast groups that sockets
//! have joined. A packet to a port without a socket is answered with an error, which every sender is
//! told of, with a [peer](crate::UdpOptions::peer) or without.
//!
//! Time stands still but for a few microseconds that each turn and each system call take, and for what
//! the faults say that [calls of handlers cost](Faults::call_cost). When no host
//! has anything to do, it jumps to the next arrival or timer: an hour of waiting takes no time.
//!
//! # What a handler must not do
//!
//! It must have no clock but [`Context::now`](crate::Context::now), no random numbers but
//! [`Io::random`](crate::Io::random), no threads, no sockets or files of its own, and it must not
//! depend on the order of a `HashMap`. [`check_deterministic`] finds out.
//!
//! TLS has keys that come from the system. What of a seed holds for it all the same stands in the
//! module `tls`; the bytes differ from run to run, and [`check_deterministic`] finds that.
//!
//! Work for other threads goes to [`Context::offload`](crate::Context::offload), and names to
//! [`Context::resolve`](crate::Context::resolve) or
//! [`Context::connect_host`](crate::Context::connect_host): jobs are done one at a time and finish
//! after random times in random order; names are those of the hosts and of [`Sim::name`].
//!
//! # When a run fails
//!
//! The seed, the faults that there were and the last things that happened are printed, where what
//! repeats, as a periodic timer does, stands once with its number. `SIM_SEED=17 cargo test`
//! runs [`check()`] with that seed alone; `SIM_SEEDS=100000` with that number. `SIM_SHRINK=1` beside the
//! seed switches off every fault without which the run fails as well, and halves each
//! [`size`](Sim::size) that the scenario has asked for as long as it fails; of all these runs only the
//! last is told.
//!
//! A program may help to be tested: [`Io::chance`](crate::Io::chance) takes a rare branch on purpose,
//! in a simulation and nowhere else.

pub use check::{check, check_deterministic};
pub use faults::Faults;
pub use host::HostId;

mod check;
mod faults;
mod host;
mod links;
mod schedule;

mod clock;
mod conn;
mod datagram;
mod delivery;
mod driver;
mod history;
mod names;
mod net;
mod opening;
mod partitions;
mod rng;
mod sites;
mod socket;
mod threads;
mod unix;

use crate::{Builder, Context, Credentials, Key, Reactor, Remote, Time};
use driver::SimDriver;
use host::Node;
use net::{Due, Net, nanos};
use sites::Sizes;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Hosts, the network between them, and the time.
pub struct Sim {
    seed: u64,
    net: Rc<RefCell<Net>>,
    nodes: Vec<Node>,
    sizes: Sizes,
    /// One of many runs that fail: it is silent.
    quiet: bool,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.seed)
            .field("net", &self.net)
            .field("hosts", &self.nodes)
            .finish()
    }
}

/// In a panic, tells how to get there again.
impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking()
            && !self.quiet
            && let Ok(net) = self.net.try_borrow()
        {
            eprint!("{}", self.report(&net));
        }
    }
}

impl Sim {
    /// What is told of a run that has failed.
    fn report(&self, net: &Net) -> String {
        let (seed, at) = (self.seed, Time::from_nanos(net.clock));
        let faults = match net.faults.differences() {
            none if none.is_empty() => "without faults\n".to_owned(),
            faults => format!("with these faults:\n{faults}"),
        };
        let sizes = self.sizes.drawn.iter();
        let sizes: String = sizes
            .map(|(name, size)| format!("    {name}: {size}\n"))
            .collect();
        let sizes = match sizes.is_empty() {
            true => sizes,
            false => format!("of these sizes:\n{sizes}"),
        };
        let history = &net.history;
        format!(
            "the simulation of seed {seed} has failed at {at}, {faults}{sizes}\
             the last that happened:\n{history}run SIM_SEED={seed} again\n"
        )
    }

    /// A world without faults. The seed still decides who turns first and how long things take.
    #[must_use]
    pub fn new(seed: u64) -> Sim {
        Sim::with_faults(seed, Faults::none())
    }

    /// A world in which things go wrong.
    #[must_use]
    pub fn with_faults(seed: u64, faults: Faults) -> Sim {
        Sim {
            seed,
            net: Rc::new(RefCell::new(Net::new(seed, faults))),
            nodes: Vec::new(),
            sizes: Sizes::default(),
            quiet: false,
        }
    }

    /// The seed of this run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds a host and lets `setup` listen and connect there.
    ///
    /// # Panics
    /// If `setup` fails: a test has nothing better to do then.
    pub fn host<S: 'static>(
        &mut self,
        name: &str,
        state: S,
        setup: impl FnOnce(&mut Context<'_, S>) -> io::Result<()>,
    ) -> HostId<S> {
        self.host_with(name, Reactor::builder(), state, setup)
    }

    /// As [`host`](Sim::host), with settings for its reactor.
    ///
    /// # Panics
    /// If `setup` fails.
    pub fn host_with<S: 'static>(
        &mut self,
        name: &str,
        settings: Builder<S>,
        state: S,
        setup: impl FnOnce(&mut Context<'_, S>) -> io::Result<()>,
    ) -> HostId<S> {
        let index = self.net.borrow_mut().add_host(name);
        self.nodes.push(Node::new(name));
        let host = HostId::new(index);
        self.start(host, settings, state, setup);
        host
    }

    fn start<S: 'static>(
        &mut self,
        host: HostId<S>,
        settings: Builder<S>,
        state: S,
        setup: impl FnOnce(&mut Context<'_, S>) -> io::Result<()>,
    ) {
        let driver = SimDriver {
            net: Rc::clone(&self.net),
            host: host.index(),
        };
        let mut reactor = settings.build_with_driver(state, Box::new(driver));
        let set_up = reactor.with(setup);
        let node = &mut self.nodes[host.index()];
        node.awake = reactor.has_work();
        node.machine = Some(Box::new(reactor));
        if let Err(error) = set_up {
            panic!("{} does not start: {error}", node.name);
        }
    }

    /// The address of a host with a port.
    #[must_use]
    pub fn addr<S>(&self, host: HostId<S>, port: u16) -> SocketAddr {
        SocketAddr::new(self.net.borrow().hosts[host.index()].ip, port)
    }

    /// The address of IPv6 of a host with a port.
    #[must_use]
    pub fn addr_v6<S>(&self, host: HostId<S>, port: u16) -> SocketAddr {
        SocketAddr::new(self.net.borrow().hosts[host.index()].ip_v6, port)
    }

    /// What [`Io::peer_credentials`](crate::Io::peer_credentials) tells of a host's program at the other end of a
    /// Unix socket, from then on. At first: process 1 of user and group 1000.
    pub fn set_credentials<S>(&mut self, host: HostId<S>, credentials: Credentials) {
        self.net.borrow_mut().hosts[host.index()].credentials = credentials;
    }

    /// Takes IPv6 away from the hosts there are and those to come, or gives it back, for all that is
    /// opened from then on.
    pub fn set_ipv6(&mut self, on: bool) {
        let mut net = self.net.borrow_mut();
        net.has_v6 = on;
        for host in &mut net.hosts {
            host.has_v6 = on;
        }
    }

    /// Runs `work` on a host between two turns, as [`Reactor::with`] does: to look at its state,
    /// or to make it do something.
    ///
    /// # Panics
    /// If the host is down.
    pub fn with<S: 'static, R>(
        &mut self,
        host: HostId<S>,
        work: impl FnOnce(&mut Context<'_, S>) -> R,
    ) -> R {
        let reactor = self.reactor(host);
        let result = reactor.with(work);
        let awake = reactor.has_work();
        self.nodes[host.index()].awake = awake;
        result
    }

    /// A handle on the reactor of a host, as other threads have it.
    ///
    /// # Panics
    /// If the host is down.
    pub fn remote<S: 'static>(&mut self, host: HostId<S>) -> Remote<S> {
        self.reactor(host).remote()
    }

    fn reactor<S: 'static>(&mut self, host: HostId<S>) -> &mut Reactor<S> {
        let node = &mut self.nodes[host.index()];
        let Some(machine) = &mut node.machine else {
            panic!("{} is down", node.name);
        };
        let machine: &mut dyn std::any::Any = &mut **machine;
        machine
            .downcast_mut()
            .expect("a host keeps the type of its state")
    }

    /// Whether a host runs: it has not crashed, and its program has not stopped.
    #[must_use]
    pub fn is_running<S>(&self, host: HostId<S>) -> bool {
        let node = &self.nodes[host.index()];
        node.machine.is_some() && !node.ended
    }

    /// Connections that are open on a host; none if it is down.
    #[must_use]
    pub fn connections<S>(&self, host: HostId<S>) -> usize {
        let machine = self.nodes[host.index()].machine.as_ref();
        machine.map_or(0, |machine| machine.connection_count())
    }

    /// Timers that are armed on a host; none if it is down.
    #[must_use]
    pub fn timers<S>(&self, host: HostId<S>) -> usize {
        let machine = self.nodes[host.index()].machine.as_ref();
        machine.map_or(0, |machine| machine.timer_count())
    }

    /// The time of the simulation. A host's own clock may differ.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::from_nanos(self.net.borrow().clock)
    }

    /// Kills the program on a host. The system lives on: it closes what the program had open, and
    /// refuses connections.
    pub fn crash<S>(&mut self, host: HostId<S>) {
        self.note_host(host.index(), "crash");
        self.stop(host.index());
    }

    /// Takes the power from a host: its peers hear nothing of it, until it is restarted and
    /// answers what they send with a reset.
    pub fn cut_power<S>(&mut self, host: HostId<S>) {
        self.note_host(host.index(), "power cut");
        self.net.borrow_mut().hosts[host.index()].up = false;
        self.stop(host.index());
    }

    fn stop(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.machine = None;
        node.ended = false;
        node.paused_until = 0;
        node.idle_turns = 0;
        self.net.borrow_mut().hosts[index].cut_short = false;
    }

    /// Starts the program of a host anew, at the same address and with a state of its own. One
    /// that is still running is killed first. Its reactor has the default settings, whatever the one
    /// before had.
    ///
    /// # Panics
    /// If `setup` fails.
    pub fn restart<S: 'static>(
        &mut self,
        host: HostId<S>,
        state: S,
        setup: impl FnOnce(&mut Context<'_, S>) -> io::Result<()>,
    ) {
        self.restart_with(host, Reactor::builder(), state, setup);
    }

    /// As [`restart`](Sim::restart), with settings for the reactor: those that the host was
    /// [made with](Sim::host_with), say.
    ///
    /// # Panics
    /// If `setup` fails.
    pub fn restart_with<S: 'static>(
        &mut self,
        host: HostId<S>,
        settings: Builder<S>,
        state: S,
        setup: impl FnOnce(&mut Context<'_, S>) -> io::Result<()>,
    ) {
        self.stop(host.index());
        self.note_host(host.index(), "restart");
        {
            let mut net = self.net.borrow_mut();
            let was_down = !std::mem::replace(&mut net.hosts[host.index()].up, true);
            if was_down {
                net.go_on(true, |_, to| to == host.index());
            }
        }
        self.start(host, settings, state, setup);
    }

    /// Stops the program of a host for a while. Its clock goes on, and so does the network. The poll in
    /// which it was stopped tells it nothing of that, as on Linux: it finds many timers due at once.
    pub fn pause<S>(&mut self, host: HostId<S>, time: Duration) {
        self.note_host(host.index(), "pause");
        self.nodes[host.index()].paused_until = (self.now() + time).as_nanos();
        self.net.borrow_mut().hosts[host.index()].cut_short = true;
    }

    /// Puts the clock of a host forward by `jump`, and lets it run fast by `drift_ppm` millionths
    /// from now on, or slow if that is negative.
    pub fn change_clock<S>(&mut self, host: HostId<S>, jump: Duration, drift_ppm: i32) {
        let net = &mut *self.net.borrow_mut();
        let clock = &mut net.hosts[host.index()].clock;
        clock.change(net.clock, nanos(jump), drift_ppm);
    }

    /// Sends a signal to the program on a host. One that it does not watch is ignored.
    pub fn signal<S>(&mut self, host: HostId<S>, number: i32) {
        let mut net = self.net.borrow_mut();
        let host = &mut net.hosts[host.index()];
        if host.watched.contains(&number) && !host.signals.contains(&number) {
            host.signals.push(number);
        }
    }

    /// Posts `work` to a host at some moment within `time`, as another thread would.
    ///
    /// # Panics
    /// If the host is down now; if it is down at that moment, nothing happens.
    pub fn post_within<S: 'static>(
        &mut self,
        host: HostId<S>,
        time: Duration,
        work: impl FnOnce(&mut Context<'_, S>) + Send + 'static,
    ) {
        let remote = self.remote(host);
        let mut net = self.net.borrow_mut();
        let at = net.clock + net.rng.outside.up_to(nanos(time));
        let post = move || {
            let _ = remote.post(work);
        };
        net.schedule(at, Due::Outside(Box::new(post)));
    }

    /// Lets a host have no more than `max` sockets open at once, listeners included.
    pub fn sockets_max<S>(&mut self, host: HostId<S>, max: usize) {
        self.net.borrow_mut().hosts[host.index()].sockets_max = max;
    }

    /// What goes wrong at present.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.net.borrow().faults.clone()
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.net.borrow_mut().faults = faults;
    }

    /// How many connections have been reset by faults so far: where none was, all that was sent
    /// must arrive.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.net.borrow().resets
    }

    /// How many packets were sent so far that no socket was given: lost on the way, by a link that
    /// is cut, a host that is down, a socket that holds no more, a port without a socket. Where none
    /// was lost, all that left has arrived or is on its way.
    #[must_use]
    pub fn lost_packets(&self) -> u64 {
        self.net.borrow().flights.lost
    }

    /// Adds a line to the history.
    pub fn note(&mut self, text: &'static str) {
        self.note_host(usize::MAX, text);
    }

    fn note_host(&mut self, host: usize, text: &'static str) {
        self.net.borrow_mut().note(host, Key::NONE, text, None);
    }

    /// A number made of all that has happened: each system call, its time, its host and its outcome,
    /// and each call of a handler. Two runs of one seed have the same, unless the program is not
    /// deterministic.
    #[must_use]
    pub fn history_hash(&self) -> u64 {
        self.net.borrow().history.hash()
    }

    /// The last things that happened, a line each.
    #[must_use]
    pub fn history(&self) -> String {
        self.net.borrow().history.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_few_lines() {
        let mut sim = Sim::new(7);
        let host = sim.host("clock", (), |cx| {
            cx.every(Duration::from_millis(1), |_| {});
            Ok(())
        });
        sim.run_for(Duration::from_secs(1));
        sim.size("clients", 1);
        sim.with(host, |cx| {
            cx.stop();
        });
        let report = sim.report(&sim.net.borrow());
        assert!(
            report.starts_with("the simulation of seed 7 has failed at 1."),
            "{report}"
        );
        assert!(
            report.contains(", without faults\nof these sizes:\n    clients: 1\n"),
            "{report}"
        );
        assert!(report.lines().count() < 30, "{report}");
        assert!(report.ends_with("run SIM_SEED=7 again\n"), "{report}");
    }
}
