//! Measures one workload on one broker.
//!
//! * `greeting.rs`: whether a broker is there, and what it takes.
//! * `watch.rs`: waits for what the load tells, and sees to it that something moves.
//! * `meter.rs`: processor time and memory before and after.
//! * `flow.rs`, `request.rs`, `crowd.rs`, `idle.rs`, `connect.rs`, `sub_unsub.rs`: one kind each,
//!   from the first connection to the last check.

use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::check::Fault;
use super::load::dial::Dial;
use super::load::shared::{Event, Shared};
use super::outcome::{Latency, Outcome};
use super::process;
use super::workload::{Handshakes, Impossible, Kind, Workload};
use meter::Meter;
use midge_dial::{Address, Server};
use midge_protocol::Credentials;
use watch::Watch;

mod connect;
mod crowd;
mod flow;
mod greeting;
mod idle;
mod meter;
mod request;
mod sub_unsub;
mod watch;

/// Whom to measure, and who asks for the end.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where it is, as whom to come, and by what way.
    pub(crate) server: Server,
    /// As whom requesters come, if that is another user than the others.
    pub(crate) requesters: Option<Credentials>,
    pub(crate) pid: Option<u32>,
    /// A broker that is silent for so long has failed.
    pub(crate) patience: Duration,
    /// Set by Ctrl-C.
    pub(crate) interrupted: Arc<AtomicBool>,
}

/// Why nothing could be measured.
#[derive(Debug)]
pub(crate) enum Error {
    /// What is asked makes no sense.
    Impossible(Impossible),
    /// The name of the server cannot be resolved.
    NoAddress { server: String, error: io::Error },
    /// No peer answers there.
    NoBroker { addr: Address, error: io::Error },
    /// There is no process of this number.
    NoProcess { pid: u32 },
    /// Who answers there does not speak the protocol.
    NoGreeting { addr: Address, error: String },
    /// The connection cannot be encrypted, or become a WebSocket.
    NoWay { addr: Address, text: String },
    /// The broker does not take messages of this size.
    TooLarge { size: usize, max: u64 },
    /// The command line names what is not there, or cannot be.
    Usage(String),
    /// More connections than the system lets a process have.
    TooFewFiles { needed: u64, limit: u64 },
    /// The system refuses what the load needs.
    System(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Impossible(impossible) => write!(f, "{impossible}"),
            Error::NoAddress { server, error } => {
                write!(f, "--server {server}: {error}; write host:port")
            }
            Error::NoBroker { addr, error } => write!(
                f,
                "cannot connect to {addr}: {error}; is a broker running there? --server tells where"
            ),
            Error::NoGreeting { addr, error } => write!(
                f,
                "{addr} sends no INFO as a NATS broker does: {error}; --server tells where one is"
            ),
            Error::NoWay { addr, text } => write!(f, "{addr}: {text}"),
            Error::TooLarge { size, max } => write!(
                f,
                "the broker takes messages of up to {max} bytes, not {size}; use a smaller --size, or raise its max_payload"
            ),
            Error::Usage(text) => f.write_str(text),
            Error::NoProcess { pid } => {
                write!(f, "--pid {pid}: there is no such process")
            }
            Error::TooFewFiles { needed, limit } => write!(
                f,
                "this needs {needed} open files and the limit is {limit}; raise it with \"ulimit -Hn\", here and for the broker"
            ),
            Error::System(error) => write!(f, "cannot set up the load: {error}"),
        }
    }
}

impl Error {
    /// The exit code: 2 if the command line has to be another.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Impossible(_) | Error::TooLarge { .. } | Error::Usage(_) => 2,
            _ => 1,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::System(error)
    }
}

impl From<Impossible> for Error {
    fn from(impossible: Impossible) -> Error {
        Error::Impossible(impossible)
    }
}

/// Where a broker is: its path, or the first address of `host:port`.
///
/// # Errors
/// [`Error::NoAddress`].
fn resolve(server: &Server) -> Result<Address, Error> {
    if let Some(path) = &server.unix {
        return Ok(Address::Unix(path.clone()));
    }
    let found = server.address.to_socket_addrs().and_then(|mut addrs| {
        let none = || io::Error::other("the name has no address");
        addrs.next().map(Address::Internet).ok_or_else(none)
    });
    found.map_err(|error| Error::NoAddress {
        server: server.address.clone(),
        error,
    })
}

/// How far a measurement is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) elapsed: Duration,
    pub(crate) published: u64,
    pub(crate) delivered: u64,
}

/// Measures `workload`; calls `progress` a few times a second.
///
/// # Errors
/// Only what makes it impossible to measure. What the broker does wrong is in the outcome.
pub(crate) fn run(
    workload: &Workload,
    target: &Target,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, Error> {
    workload.validate()?;
    let addr = resolve(&target.server)?;
    let greeted = greeting::hear(&target.server, &addr, target.patience)?;
    let (size, max) = (workload.message_bytes(), greeted.info.max_payload);
    if size as u64 > max && max > 0 {
        return Err(Error::TooLarge { size, max });
    }
    if let Some(pid) = target.pid
        && process::cpu_time(pid).is_none()
    {
        return Err(Error::NoProcess { pid });
    }
    let addr = greeted.stream.peer()?;
    let handshakes = match &workload.kind {
        Kind::Connect(connect) => connect.handshakes,
        _ => None,
    };
    if handshakes.is_some() && !greeted.stream.is_tls() {
        let text = "the connection is in clear, and has no handshakes; write tls://, or give --tls";
        return Err(Error::Usage(text.to_owned()));
    }
    let resumes = handshakes == Some(Handshakes::Resumed);
    let dial = Dial::new(
        &target.server,
        &greeted,
        addr.clone(),
        resumes,
        target.patience,
    );
    let dial = Arc::new(dial.map_err(|text| Error::NoWay { addr, text })?);
    // Of no use any more, and memory of the broker.
    drop(greeted);
    let run = Run {
        target,
        requesters_dial: match &target.requesters {
            Some(user) => Arc::new(dial.as_user(user)),
            None => Arc::clone(&dial),
        },
        dial,
        nonce: nonce(),
        progress,
        meter: Meter::start(target.pid),
        outcome: Outcome::new(workload),
    };
    match &workload.kind {
        Kind::Flow(flow) => flow::measure(run, flow),
        Kind::Request(request) => request::measure(run, request),
        Kind::Crowd(crowd) => crowd::measure(run, crowd),
        Kind::Idle(idle) => idle::measure(run, idle),
        Kind::Connect(connect) => connect::measure(run, connect),
        Kind::SubUnsub(subs) => sub_unsub::measure(run, subs),
    }
}

/// One measurement on its way.
struct Run<'a> {
    target: &'a Target,
    dial: Arc<Dial>,
    /// The way of requesters.
    requesters_dial: Arc<Dial>,
    nonce: u64,
    progress: &'a mut dyn FnMut(Progress),
    meter: Meter,
    outcome: Outcome,
}

impl<'a> Run<'a> {
    /// The first token of this run's subjects; another's are others.
    fn subject(&self) -> String {
        format!("bench.{:04x}", self.nonce & 0xffff)
    }

    /// Waits for the events of `shared`.
    fn watch(&mut self, shared: &Arc<Shared>, events: Receiver<Event>) -> Watch<'_> {
        Watch::new(Arc::clone(shared), events, self.target, self.progress)
    }

    /// Counts what `shared` has counted, in `each` bytes of header and payload.
    fn count(&mut self, shared: &Shared, each: usize) {
        let outcome = &mut self.outcome;
        outcome.published = shared.published_total();
        outcome.delivered = shared.received_total();
        outcome.messages = if shared.received.is_empty() {
            outcome.published
        } else {
            outcome.delivered
        };
        outcome.bytes = outcome.messages * each as u64;
    }

    fn finish(mut self, result: Result<(), Fault>) -> Outcome {
        self.outcome.interrupted = self.target.interrupted.load(Ordering::Relaxed);
        if let Err(fault) = result {
            self.outcome.cut_off += usize::from(matches!(fault, Fault::CutOff { .. }));
            self.outcome.faults.push(fault.to_string());
        }
        self.outcome.rates();
        self.outcome
    }
}

/// What the threads of one measurement share, and the channel of its events.
fn shared(publishers: usize, subscribers: usize) -> (Shared, Receiver<Event>) {
    let (sender, events) = mpsc::channel();
    (Shared::new(publishers, subscribers, sender), events)
}

/// Sees to it that this number of connections can be open.
fn need_files(connections: usize) -> Result<(), Error> {
    let limit = midge_reactor::raise_open_files()?;
    let needed = connections as u64 + 32;
    if needed > limit {
        return Err(Error::TooFewFiles { needed, limit });
    }
    Ok(())
}

/// Adds up the latencies of load threads.
fn latency(histograms: impl IntoIterator<Item = hdrhistogram::Histogram<u64>>) -> Option<Latency> {
    let mut all = super::load::thread::histogram();
    for histogram in histograms {
        all.add(histogram).ok()?;
    }
    (!all.is_empty()).then(|| Latency::of(&all))
}

/// A number that no other run is likely to have.
fn nonce() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_nanos() as u64);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mixed = (now ^ (u64::from(std::process::id()) << 48)).wrapping_add(count << 40);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}
