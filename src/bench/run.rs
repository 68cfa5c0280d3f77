//! Measures one workload on one broker.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver as Channel, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use midge_protocol::Info;

use super::check::{Bits, Fault, Receiver, Share};
use super::frame::Shape;
use super::load::board::{Board, Checked, Event};
use super::load::hello::Credentials;
use super::load::publisher::{self, Publisher};
use super::load::subscriber::{self, Subscriber};
use super::load::thread::Thread;
use super::outcome::{Outcome, Usage};
use super::process;
use super::workload::{Flow, Kind, Span, Workload};

/// A broker that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the measuring thread looks at counters.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Whom to measure, and who asks for the end.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) pid: Option<u32>,
    pub(crate) credentials: Credentials,
    /// Set by Ctrl-C.
    pub(crate) interrupted: Arc<AtomicBool>,
}

/// Why nothing could be measured.
#[derive(Debug)]
pub(crate) enum Error {
    /// The name of the server cannot be resolved.
    NoAddress { server: String, error: io::Error },
    /// Nobody answers there.
    NoBroker { addr: SocketAddr, error: io::Error },
    /// There is no process of this number.
    NoProcess { pid: u32 },
    /// The system refuses what the load needs.
    System(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoAddress { server, error } => {
                write!(f, "--server {server}: {error}; write host:port")
            }
            Error::NoBroker { addr, error } => write!(
                f,
                "cannot connect to {addr}: {error}; is a broker running there? --server tells where"
            ),
            Error::NoProcess { pid } => {
                write!(f, "--pid {pid}: there is no such process")
            }
            Error::System(error) => write!(f, "cannot set up the load: {error}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::System(error)
    }
}

/// The address of `host:port`, or of a host with the port of NATS.
pub(crate) fn resolve(server: &str) -> Result<SocketAddr, Error> {
    let name = server.strip_prefix("nats://").unwrap_or(server);
    let has_port = name
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let name = if has_port {
        name.to_owned()
    } else {
        format!("{name}:4222")
    };
    let found = name.to_socket_addrs().and_then(|mut addrs| {
        let none = || io::Error::other("the name has no address");
        addrs.next().ok_or_else(none)
    });
    found.map_err(|error| Error::NoAddress {
        server: server.to_owned(),
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
    // The plainest way to find out whether anybody is there.
    let addr = target.addr;
    TcpStream::connect(addr).map_err(|error| Error::NoBroker { addr, error })?;
    if let Some(pid) = target.pid
        && process::cpu_time(pid).is_none()
    {
        return Err(Error::NoProcess { pid });
    }
    match &workload.kind {
        Kind::Flow(flow) => run_flow(workload, flow, target, progress),
    }
}

fn run_flow(
    workload: &Workload,
    flow: &Flow,
    target: &Target,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, Error> {
    let nonce = nonce();
    let subject = format!("bench.{:04x}", nonce & 0xffff);
    let shape = Shape::new(&subject, flow.size, flow.headers, nonce);
    let share = if flow.queue { Share::Once } else { Share::Each };
    let window = window(flow, &shape);
    let (sender, events) = mpsc::channel();
    let board = Board::new(flow.publishers, flow.subscribers, share, window, sender);
    let board = Arc::new(board);
    let mut watch = Watch::new(Arc::clone(&board), events, target, progress);
    let meter = Meter::start(target.pid);

    let subscribers = subscribers(flow, &shape, share, &board, target)?;
    let publishers = publishers(flow, &shape, &board, target)?;
    let mut outcome = Outcome {
        workload: workload.clone(),
        broker: String::new(),
        published: 0,
        delivered: 0,
        messages: 0,
        bytes: 0,
        seconds: 0.0,
        load_cpu_seconds: None,
        usage: None,
        interrupted: false,
        faults: Vec::new(),
    };
    let result = (|| {
        watch.ready(flow.publishers + flow.subscribers)?;
        let meter = meter.begin();
        let began = *board.began.get_or_init(Instant::now);
        publishers.command(publisher::GO);
        let published = watch.published(flow.publishers)?;
        subscribers.command(subscriber::FINISH);
        let checked = watch.checked(flow.subscribers)?;
        outcome.seconds = began.elapsed().as_secs_f64();
        (outcome.load_cpu_seconds, outcome.usage) = meter.end();
        settle(&published, checked, share)
    })();
    outcome.published = board.published_total();
    outcome.delivered = board.received_total();
    outcome.messages = if flow.subscribers == 0 {
        outcome.published
    } else {
        outcome.delivered
    };
    outcome.bytes = outcome.messages * (flow.size + shape.header.len()) as u64;
    outcome.broker = watch.broker.clone();
    outcome.interrupted = target.interrupted.load(Ordering::Relaxed);
    if let Err(fault) = result {
        outcome.faults.push(fault.to_string());
    }
    Ok(outcome)
}

/// Messages that publishers may be ahead, all together.
fn window(flow: &Flow, shape: &Shape) -> u64 {
    let Some(bytes) = flow.window_bytes else {
        return u64::MAX;
    };
    // Many subscribers may each be as far behind: the broker keeps a copy for each.
    let bytes = bytes.min(16 * super::workload::WINDOW_BYTES / flow.subscribers.max(1) as u64);
    (bytes / shape.published_bytes() as u64).max(1)
}

fn subscribers(
    flow: &Flow,
    shape: &Shape,
    share: Share,
    board: &Arc<Board>,
    target: &Target,
) -> io::Result<Thread> {
    let subject = String::from_utf8_lossy(&shape.subject).into_owned();
    let queue = if flow.queue { " workers" } else { "" };
    let hello = target.credentials.connect_line() + &format!("SUB {subject}{queue} 1\r\n");
    let (count, publishers, addr) = (flow.subscribers, flow.publishers, target.addr);
    let shape = shape.clone();
    Thread::spawn("bench-sub", Arc::clone(board), move |cx| {
        for number in 0..count {
            let receiver = Receiver::new(&shape, "1", publishers, share);
            let key = cx.connect(addr, Subscriber::new(number, receiver, &hello));
            cx.state.keys.push(key);
        }
    })
}

fn publishers(
    flow: &Flow,
    shape: &Shape,
    board: &Arc<Board>,
    target: &Target,
) -> io::Result<Thread> {
    let hello = target.credentials.connect_line();
    let (flow, shape, addr) = (flow.clone(), shape.clone(), target.addr);
    Thread::spawn("bench-pub", Arc::clone(board), move |cx| {
        for number in 0..flow.publishers {
            let publisher = Publisher::new(number, &shape, &hello);
            let publisher = match flow.span {
                Span::Seconds(seconds) => publisher.seconds_max(Duration::from_secs_f64(seconds)),
                Span::Messages(count) => {
                    let (each, more) = (
                        count / flow.publishers as u64,
                        count % flow.publishers as u64,
                    );
                    publisher.messages_max(each + u64::from((number as u64) < more))
                }
            };
            let key = cx.connect(addr, publisher);
            cx.state.keys.push(key);
        }
    })
}

/// Whether all that was published has come, once it is known that nothing more will.
fn settle(published: &[u64], checked: Vec<Checked>, share: Share) -> Result<(), Fault> {
    let total: u64 = published.iter().sum();
    match share {
        Share::Each => {
            for one in checked {
                let who = format!("subscriber {}", one.subscriber);
                let missing = total.saturating_sub(one.received);
                if missing > 0 {
                    let places = published.iter().zip(&one.next);
                    let publisher = places.take_while(|(sent, next)| sent == next).count();
                    return Err(Fault::Lost {
                        who,
                        count: missing,
                        publisher,
                        sequence: one.next.get(publisher).copied().unwrap_or(0),
                    });
                }
                if one.received > total {
                    let count = one.received - total;
                    return Err(Fault::Surplus { who, count });
                }
            }
        }
        Share::Once => {
            if checked.is_empty() {
                return Ok(());
            }
            let who = "the group".to_owned();
            for (publisher, sent) in published.iter().enumerate() {
                let mut all = Bits::default();
                for one in &checked {
                    if let Some(sequence) = all.add(&one.seen[publisher]) {
                        return Err(Fault::Doubled {
                            publisher,
                            sequence,
                        });
                    }
                }
                if let Some((count, sequence)) = all.missing(*sent) {
                    return Err(Fault::Lost {
                        who,
                        count,
                        publisher,
                        sequence,
                    });
                }
            }
            let received: u64 = checked.iter().map(|one| one.received).sum();
            if received != total {
                let count = received.saturating_sub(total);
                return Err(Fault::Surplus { who, count });
            }
        }
    }
    Ok(())
}

/// Waits for what load threads tell, and looks that something moves.
struct Watch<'a> {
    board: Arc<Board>,
    events: Channel<Event>,
    target: &'a Target,
    progress: &'a mut dyn FnMut(Progress),
    broker: String,
    /// The counters when they last moved, and when that was.
    moved: (u64, Instant),
}

impl<'a> Watch<'a> {
    fn new(
        board: Arc<Board>,
        events: Channel<Event>,
        target: &'a Target,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Watch<'a> {
        Watch {
            board,
            events,
            target,
            progress,
            broker: String::new(),
            moved: (0, Instant::now()),
        }
    }

    /// The next event.
    fn next(&mut self, missing: impl Fn() -> String) -> Result<Event, Fault> {
        loop {
            if self.target.interrupted.load(Ordering::Relaxed) {
                self.board.stop.store(true, Ordering::Relaxed);
            }
            match self.events.recv_timeout(LOOK_EVERY) {
                Ok(Event::Failed(fault)) => return Err(fault),
                Ok(Event::Info(json)) => {
                    if self.broker.is_empty() {
                        self.broker = broker_name(&json);
                    }
                }
                Ok(event) => {
                    self.moved.1 = Instant::now();
                    return Ok(event);
                }
                Err(RecvTimeoutError::Timeout) => self.look(&missing)?,
                Err(RecvTimeoutError::Disconnected) => {
                    let missing = missing();
                    return Err(Fault::Silent {
                        seconds: 0,
                        missing,
                    });
                }
            }
        }
    }

    fn look(&mut self, missing: &impl Fn() -> String) -> Result<(), Fault> {
        let (published, delivered) = (self.board.published_total(), self.board.received_total());
        if published + delivered != self.moved.0 {
            self.moved = (published + delivered, Instant::now());
        } else if self.moved.1.elapsed() >= PATIENCE {
            return Err(Fault::Silent {
                seconds: PATIENCE.as_secs(),
                missing: missing(),
            });
        }
        if let Some(began) = self.board.began.get() {
            (self.progress)(Progress {
                elapsed: began.elapsed(),
                published,
                delivered,
            });
        }
        Ok(())
    }

    fn ready(&mut self, connections: usize) -> Result<(), Fault> {
        let mut left = connections;
        while left > 0 {
            let missing = || format!("the answer of {left} of {connections} connections to PING");
            if let Event::Ready = self.next(missing)? {
                left -= 1;
            }
        }
        Ok(())
    }

    /// By publisher, how many messages it has published.
    fn published(&mut self, publishers: usize) -> Result<Vec<u64>, Fault> {
        let mut counts = vec![None; publishers];
        while counts.contains(&None) {
            let missing = || {
                let waiting = counts.iter().filter(|count| count.is_none()).count();
                format!("the end of {waiting} of {publishers} publishers")
            };
            if let Event::Published { publisher, count } = self.next(missing)? {
                counts[publisher] = Some(count);
            }
        }
        Ok(counts.into_iter().flatten().collect())
    }

    fn checked(&mut self, subscribers: usize) -> Result<Vec<Checked>, Fault> {
        let mut all = Vec::new();
        let board = Arc::clone(&self.board);
        while all.len() < subscribers {
            let missing = || {
                let (published, received) = (board.published_total(), board.received_total());
                let left = subscribers - all.len();
                format!(
                    "the end of {left} of {subscribers} subscribers, {published} messages published, {received} received"
                )
            };
            if let Event::Checked(checked) = self.next(missing)? {
                all.push(checked);
            }
        }
        Ok(all)
    }
}

/// Name and version of a broker, from its `INFO`.
fn broker_name(json: &[u8]) -> String {
    let info: Info = serde_json::from_slice(json).unwrap_or_default();
    if info.midge.is_empty() {
        format!("nats-server {}", info.version)
    } else {
        format!("midge {}", info.midge)
    }
}

/// A number that no other run is likely to have.
fn nonce() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_nanos() as u64);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mixed = (now ^ u64::from(std::process::id()) << 48).wrapping_add(count << 40);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// CPU time and memory, before and after.
#[derive(Clone, Copy, Debug)]
struct Meter {
    pid: Option<u32>,
    resident_before: u64,
    cpu: Option<Duration>,
    own_cpu: Option<Duration>,
}

impl Meter {
    /// Before anybody connects.
    fn start(pid: Option<u32>) -> Meter {
        Meter {
            pid,
            resident_before: pid.and_then(process::resident_bytes).unwrap_or(0),
            cpu: None,
            own_cpu: None,
        }
    }

    /// Before the first message.
    fn begin(mut self) -> Meter {
        self.cpu = self.pid.and_then(process::cpu_time);
        self.own_cpu = process::cpu_time(std::process::id());
        self
    }

    /// Behind the last: own CPU seconds, and the broker's usage.
    fn end(self) -> (Option<f64>, Option<Usage>) {
        let own = process::cpu_time(std::process::id());
        let seconds = |before: Option<Duration>, after: Option<Duration>| {
            Some(after?.saturating_sub(before?).as_secs_f64())
        };
        let usage = self.pid.and_then(|pid| {
            Some(Usage {
                cpu_seconds: seconds(self.cpu, process::cpu_time(pid))?,
                resident_before: self.resident_before,
                resident_after: process::resident_bytes(pid)?,
                resident_peak: process::peak_bytes(pid)?,
            })
        });
        (seconds(self.own_cpu, own), usage)
    }
}
