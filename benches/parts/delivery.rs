//! What a message costs from the bytes that were read to the bytes that are written, without a
//! kernel: the whole broker over a driver whose sockets are vectors.
//!
//! `cargo bench -p midge-benches --bench delivery`. Every workload is first played once with all output kept, which
//! must be what the subscriptions call for, byte for byte; each run that is measured must write as
//! many bytes. A message is a delivery, or a publish where nobody listens.

use criterion::{Criterion, Throughput};
use midge::{Broker, Config, State};
use midge_reactor::{ConnectOptions, Driver, Event, Key, ListenOptions, Reactor, Time, Wake};
use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Publishes in one run of a workload, about what one read brings.
const PUBLISHES: usize = 3000;

struct Workload {
    name: &'static str,
    /// Subject and queue group of each subscriber, of which each has a connection of its own.
    subscribers: &'static [(&'static str, Option<&'static str>)],
    /// Subjects published to in turn.
    subjects: usize,
    payload: usize,
    /// Deliveries of each publish.
    deliveries: usize,
}

const PLAIN: (&str, Option<&str>) = ("bench.0", None);
const MEMBER: (&str, Option<&str>) = ("bench.0", Some("q"));

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "to nobody",
        subscribers: &[],
        subjects: 1,
        payload: 16,
        deliveries: 0,
    },
    Workload {
        name: "1 to 1",
        subscribers: &[PLAIN],
        subjects: 1,
        payload: 16,
        deliveries: 1,
    },
    Workload {
        name: "1 to 1, 1 KiB",
        subscribers: &[PLAIN],
        subjects: 1,
        payload: 1024,
        deliveries: 1,
    },
    Workload {
        name: "1 to 8",
        subscribers: &[PLAIN; 8],
        subjects: 1,
        payload: 16,
        deliveries: 8,
    },
    Workload {
        name: "1 to 64",
        subscribers: &[PLAIN; 64],
        subjects: 1,
        payload: 16,
        deliveries: 64,
    },
    Workload {
        name: "to a queue group of 4",
        subscribers: &[MEMBER; 4],
        subjects: 1,
        payload: 16,
        deliveries: 1,
    },
    Workload {
        name: "1,000 subjects in turn, by wildcard",
        subscribers: &[("bench.*", None)],
        subjects: 1000,
        payload: 16,
        deliveries: 1,
    },
];

fn main() {
    // All micro-benches together take a few minutes.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut group = criterion.benchmark_group("delivery");
    for workload in WORKLOADS {
        let bytes = check(workload);
        let mut bench = Bench::new(workload, false);
        let messages = PUBLISHES * workload.deliveries.max(1);
        group.throughput(Throughput::Elements(messages as u64));
        group.bench_function(workload.name, |bencher| bencher.iter(|| bench.run(bytes)));
    }
    group.finish();
    criterion.final_summary();
}

/// Plays the workload once and looks at every byte; answers how many there are.
fn check(workload: &Workload) -> usize {
    let mut bench = Bench::new(workload, true);
    bench.publish();
    let world = bench.world.borrow();
    let mut got = 0;
    for (number, socket) in world.sockets.iter().enumerate().skip(1) {
        let out = String::from_utf8_lossy(&socket.written);
        let frames: Vec<&str> = out.split_inclusive("p\r\n").collect();
        got += frames.len();
        let in_turn = workload.subscribers[number - 1].1.is_none();
        for (place, frame) in frames.iter().enumerate() {
            let expected = |subject: usize| {
                let payload = "p".repeat(workload.payload);
                format!(
                    "MSG bench.{subject} 7 {}\r\n{payload}\r\n",
                    workload.payload
                )
            };
            let subject = if in_turn {
                place % workload.subjects
            } else {
                0
            };
            assert_eq!(*frame, expected(subject), "{}", workload.name);
        }
    }
    assert_eq!(got, PUBLISHES * workload.deliveries, "{}", workload.name);
    let kept = world.sockets.iter().map(|socket| socket.written.len());
    kept.sum()
}

struct Bench {
    reactor: Reactor<State>,
    world: Rc<RefCell<World>>,
    publishes: Vec<u8>,
}

impl Bench {
    fn new(workload: &Workload, keeps: bool) -> Bench {
        let world = Rc::new(RefCell::new(World::default()));
        let config = Config {
            host: "127.0.0.1".into(),
            port: 4222,
            ..Config::default()
        };
        let state = State::new(config).expect("the defaults are good");
        let driver = Box::new(Memory(Rc::clone(&world)));
        let mut reactor = Reactor::with_driver(state, driver);
        reactor
            .with(Broker::listen)
            .expect("nothing can go wrong in memory");
        world.borrow_mut().to_accept = 1 + workload.subscribers.len();
        let publishes = (0..PUBLISHES).map(|number| {
            let (subject, size) = (number % workload.subjects, workload.payload);
            format!("PUB bench.{subject} {size}\r\n{}\r\n", "p".repeat(size))
        });
        let publishes = publishes.collect::<String>().into_bytes();
        let mut bench = Bench {
            reactor,
            world,
            publishes,
        };
        bench.settle();
        for (number, (subject, queue)) in workload.subscribers.iter().enumerate() {
            let queue = queue.map(|queue| format!(" {queue}")).unwrap_or_default();
            let line = format!("CONNECT {{\"verbose\":false}}\r\nSUB {subject}{queue} 7\r\n");
            bench.world.borrow_mut().sockets[1 + number].feed(line.as_bytes());
        }
        bench.world.borrow_mut().sockets[0].feed(b"CONNECT {\"verbose\":false}\r\n");
        bench.settle();
        for socket in &mut bench.world.borrow_mut().sockets {
            socket.written.clear();
            socket.keeps = keeps;
        }
        bench.world.borrow_mut().written_bytes = 0;
        bench
    }

    /// Publishes, and counts the bytes that come of it.
    fn run(&mut self, bytes: usize) {
        self.publish();
        let written = std::mem::take(&mut self.world.borrow_mut().written_bytes);
        assert_eq!(written, bytes, "bytes written");
    }

    /// Carries out all publishes, and writes what comes of them.
    fn publish(&mut self) {
        self.world.borrow_mut().sockets[0].feed(&self.publishes);
        self.settle();
    }

    fn settle(&mut self) {
        while self.world.borrow().has_events() || self.reactor.has_work() {
            let turned = self.reactor.turn(Some(Duration::ZERO));
            turned.expect("nothing can go wrong in memory");
        }
    }
}

/// The far ends.
#[derive(Debug, Default)]
struct World {
    listener: Option<Key>,
    to_accept: usize,
    told: bool,
    sockets: Vec<Socket>,
    /// To all sockets together.
    written_bytes: usize,
}

#[derive(Debug, Default)]
struct Socket {
    key: Option<Key>,
    /// What is to be read, from `at` on.
    input: Vec<u8>,
    at: usize,
    told: bool,
    /// Whether `written` is kept.
    keeps: bool,
    written: Vec<u8>,
}

impl Socket {
    fn feed(&mut self, bytes: &[u8]) {
        assert_eq!(
            self.at,
            self.input.len(),
            "what was fed before has been read"
        );
        self.input.clear();
        self.input.extend_from_slice(bytes);
        (self.at, self.told) = (0, false);
    }

    fn has_news(&self) -> bool {
        !self.told && self.at < self.input.len()
    }
}

impl World {
    fn has_events(&self) -> bool {
        (self.to_accept > 0 && !self.told) || self.sockets.iter().any(Socket::has_news)
    }

    fn socket(&mut self, key: Key) -> io::Result<&mut Socket> {
        let mut all = self.sockets.iter_mut();
        all.find(|socket| socket.key == Some(key))
            .ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

/// A driver whose sockets are vectors.
#[derive(Debug)]
struct Memory(Rc<RefCell<World>>);

#[derive(Debug)]
struct NoWaker;

impl Wake for NoWaker {
    fn wake(&self) {}
}

impl Driver for Memory {
    fn now(&mut self) -> Time {
        Time::ZERO
    }

    fn seed(&mut self) -> u64 {
        7
    }

    fn poll(&mut self, events: &mut Vec<Event>, _: Option<Duration>) -> io::Result<()> {
        let world = &mut *self.0.borrow_mut();
        let ready = |key| Event::Ready {
            key,
            readable: true,
            writable: true,
            hangup: false,
        };
        if world.to_accept > 0 && !world.told {
            world.told = true;
            events.extend(world.listener.map(ready));
        }
        for socket in &mut world.sockets {
            if socket.has_news() {
                socket.told = true;
                events.extend(socket.key.map(ready));
            }
        }
        Ok(())
    }

    fn listen(&mut self, key: Key, addr: SocketAddr, _: &ListenOptions) -> io::Result<SocketAddr> {
        self.0.borrow_mut().listener = Some(key);
        Ok(addr)
    }

    fn accept(&mut self, _: Key) -> io::Result<SocketAddr> {
        let world = &mut *self.0.borrow_mut();
        if world.to_accept == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        world.to_accept -= 1;
        Ok(([127, 0, 0, 1], 5000).into())
    }

    fn adopt(&mut self, key: Key) -> io::Result<SocketAddr> {
        let key = Some(key);
        self.0.borrow_mut().sockets.push(Socket {
            key,
            ..Socket::default()
        });
        Ok(([127, 0, 0, 1], 4222).into())
    }

    fn connect(&mut self, _: Key, _: SocketAddr, _: &ConnectOptions) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn finish_connect(&mut self, _: Key) -> io::Result<SocketAddr> {
        Err(ErrorKind::Unsupported.into())
    }

    fn read(&mut self, key: Key, buf: &mut [u8]) -> io::Result<usize> {
        let world = &mut *self.0.borrow_mut();
        let socket = world.socket(key)?;
        let rest = &socket.input[socket.at..];
        if rest.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        socket.at += len;
        Ok(len)
    }

    fn short_read_drains(&self) -> bool {
        true
    }

    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let world = &mut *self.0.borrow_mut();
        let socket = world.socket(key)?;
        if socket.keeps {
            for piece in pieces {
                socket.written.extend_from_slice(piece);
            }
        }
        let len = pieces.iter().map(|piece| piece.len()).sum();
        world.written_bytes += len;
        Ok(len)
    }

    fn shutdown_write(&mut self, _: Key) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self, _: Key) {}

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NoWaker)
    }
}
