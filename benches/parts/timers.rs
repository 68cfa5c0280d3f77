//! What a timer of the reactor costs, beside 1, 1,000 and 100,000 others that are armed and not due:
//! to set one, to cancel it, to have it fire, and to set it again in place of the last, as a watchdog
//! does with each sign of life.
//!
//! `cargo bench -p midge-benches --bench timers`. The clock is a number that the bench moves on, so nothing is waited
//! for, and a turn brings what is due and nothing else. Timers come and go a hundred at a time, with
//! pseudo-random deadlines. Each hundred is counted: so many are armed, so many fire, and of those
//! that were cancelled none.

use criterion::{Bencher, BenchmarkId, Criterion, Throughput};
use midge_reactor::{
    ConnectOptions, Context, Driver, Event, Handler, Input, Key, ListenOptions, Reactor, Time,
    TimerId, Wake,
};
use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Timers that come and go together: enough to be timed by one look at the clock, and few beside a
/// thousand others.
const BATCH: usize = 100;

/// Timers beside them.
const OTHERS: [usize; 3] = [1, 1_000, 100_000];

/// All of a batch are due within this.
const SOON: Duration = Duration::from_secs(1);

/// None of the others is due before this.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What is done with so many others beside.
type Exercise = fn(&mut Bencher<'_>, usize);

const EXERCISES: [(&str, Exercise); 4] = [
    ("set", set),
    ("cancel", cancel),
    ("fire", fire),
    ("set again", set_again),
];

fn main() {
    // All micro-benches together take a few minutes.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut group = criterion.benchmark_group("timers");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, exercise) in EXERCISES {
        for others in OTHERS {
            let id = BenchmarkId::new(name, format!("beside {others}"));
            group.bench_with_input(id, &others, |bencher, others| exercise(bencher, *others));
        }
    }
    group.finish();
    criterion.final_summary();
}

fn set(bencher: &mut Bencher<'_>, others: usize) {
    let mut bench = Bench::new(others);
    bencher.iter_custom(|rounds| {
        let mut spent = Duration::ZERO;
        for _ in 0..rounds {
            let began = Instant::now();
            let mut ids = bench.set_batch();
            spent += began.elapsed();
            bench.expect_armed(others + BATCH);
            bench.cancel_batch(&mut ids);
        }
        spent
    });
    bench.expect_fired(0);
}

fn cancel(bencher: &mut Bencher<'_>, others: usize) {
    let mut bench = Bench::new(others);
    bencher.iter_custom(|rounds| {
        let mut spent = Duration::ZERO;
        for _ in 0..rounds {
            let mut ids = bench.set_batch();
            // Not in the order in which they were set.
            bench.random.shuffle(&mut ids);
            let began = Instant::now();
            bench.cancel_batch(&mut ids);
            spent += began.elapsed();
            bench.expect_armed(others);
        }
        spent
    });
    bench.expect_fired(0);
}

fn fire(bencher: &mut Bencher<'_>, others: usize) {
    let mut bench = Bench::new(others);
    bencher.iter_custom(|rounds| {
        let mut spent = Duration::ZERO;
        for _ in 0..rounds {
            black_box(bench.set_batch());
            bench.pass(SOON);
            let began = Instant::now();
            bench.turn();
            spent += began.elapsed();
            bench.expect_fired(BATCH);
            bench.expect_armed(others);
        }
        spent
    });
}

/// One of the batch after the other is cancelled and set anew; in the end each fires once.
fn set_again(bencher: &mut Bencher<'_>, others: usize) {
    let mut bench = Bench::new(others);
    let mut ids = bench.set_batch();
    bencher.iter_custom(|rounds| {
        let began = Instant::now();
        for _ in 0..rounds {
            for id in &mut ids {
                bench.cancel(*id);
                *id = bench.set();
            }
        }
        let spent = began.elapsed();
        bench.expect_armed(others + BATCH);
        spent
    });
    bench.pass(SOON);
    bench.turn();
    bench.expect_fired(BATCH);
    bench.expect_armed(others);
}

/// A reactor with one connection, which all timers belong to.
struct Bench {
    /// Its state is how many timers have fired.
    reactor: Reactor<usize>,
    key: Key,
    clock: Rc<Cell<Time>>,
    random: Random,
}

impl Bench {
    fn new(others: usize) -> Bench {
        let clock = Rc::default();
        let driver = Box::new(Scripted {
            clock: Rc::clone(&clock),
            opening: None,
        });
        let mut reactor = Reactor::with_driver(0, driver);
        let addr: SocketAddr = ([127, 0, 0, 1], 4222).into();
        let key = reactor.with(|cx| cx.connect(addr, Counting));
        let random = Random(1);
        let mut bench = Bench {
            reactor,
            key,
            clock,
            random,
        };
        bench.turn();
        assert_eq!(bench.reactor.connections(), 1);
        for _ in 0..others {
            let delay = NEVER + bench.random.below(NEVER);
            bench.arm(delay);
        }
        bench.expect_armed(others);
        bench
    }

    fn arm(&mut self, delay: Duration) -> TimerId {
        let key = self.key;
        self.reactor.with(|cx| cx.io.set_timer(key, delay, 7))
    }

    fn set(&mut self) -> TimerId {
        let delay = self.random.below(SOON);
        self.arm(delay)
    }

    fn set_batch(&mut self) -> Vec<TimerId> {
        (0..BATCH).map(|_| self.set()).collect()
    }

    fn cancel(&mut self, id: TimerId) {
        let found = self.reactor.with(|cx| cx.io.cancel(id));
        assert!(found, "it was armed");
    }

    fn cancel_batch(&mut self, ids: &mut Vec<TimerId>) {
        for id in ids.drain(..) {
            self.cancel(id);
        }
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        self.clock.set(self.clock.get() + time);
    }

    fn turn(&mut self) {
        let turned = self.reactor.turn(Some(Duration::ZERO));
        turned.expect("nothing can go wrong in memory");
    }

    fn expect_armed(&self, count: usize) {
        assert_eq!(self.reactor.timer_count(), count, "armed");
    }

    /// So many have fired since this was asked.
    fn expect_fired(&mut self, count: usize) {
        assert_eq!(std::mem::take(&mut self.reactor.state), count, "fired");
    }
}

struct Counting;

impl Handler<usize> for Counting {
    fn on_input(&mut self, _: &mut Context<'_, usize>, _: &mut Input<'_>) {}

    fn on_timer(&mut self, cx: &mut Context<'_, usize>, _: u64) {
        *cx.state += 1;
    }
}

/// xorshift: the same deadlines in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Up to `end`, without it.
    fn below(&mut self, end: Duration) -> Duration {
        let end = u64::try_from(end.as_nanos()).expect("less than 584 years");
        Duration::from_nanos(self.next() % end)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            let other = self.next() % (place as u64 + 1);
            items.swap(place, other as usize);
        }
    }
}

/// A driver with a clock that others move, and one connection that is opened and then silent.
#[derive(Debug)]
struct Scripted {
    clock: Rc<Cell<Time>>,
    opening: Option<Key>,
}

#[derive(Debug)]
struct NoWaker;

impl Wake for NoWaker {
    fn wake(&self) {}
}

impl Driver for Scripted {
    fn now(&mut self) -> Time {
        self.clock.get()
    }

    fn seed(&mut self) -> u64 {
        7
    }

    fn poll(&mut self, events: &mut Vec<Event>, _: Option<Duration>) -> io::Result<()> {
        events.extend(self.opening.take().map(|key| Event::Ready {
            key,
            readable: false,
            writable: true,
            hangup: false,
        }));
        Ok(())
    }

    fn listen(&mut self, _: Key, _: SocketAddr, _: &ListenOptions) -> io::Result<SocketAddr> {
        Err(ErrorKind::Unsupported.into())
    }

    fn accept(&mut self, _: Key) -> io::Result<SocketAddr> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn adopt(&mut self, _: Key) -> io::Result<SocketAddr> {
        Err(ErrorKind::Unsupported.into())
    }

    fn connect(&mut self, key: Key, _: SocketAddr, _: &ConnectOptions) -> io::Result<()> {
        self.opening = Some(key);
        Ok(())
    }

    fn finish_connect(&mut self, _: Key) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 5000).into())
    }

    fn read(&mut self, _: Key, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn write(&mut self, _: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }

    fn shutdown_write(&mut self, _: Key) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self, _: Key) {}

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NoWaker)
    }
}
