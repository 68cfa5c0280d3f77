//! Timers: what arming, cancelling, firing and restarting one costs.
//!
//! Each contender runs in a process of its own and goes through the same four exercises, with the
//! same pseudo-random deadlines:
//!
//! * *arm* a million, due within an hour; *cancel* them all, in another order;
//! * arm a million, due within a second; sleep until all are; *fire* them in one go;
//! * 100,000 are live, as if each watched a connection: *restart* one of them, a million times.
//!
//! It counts what has fired, and that nothing cancelled does.
//!
//! calloop looks for a free place among all its sources to arm a timer, and at every live timer to
//! cancel or restart one: of a million, all this would take an hour. It has fewer of them, and a
//! thousand of those are cancelled and restarted.

use crate::process::failed;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Dispatcher, EventLoop, RegistrationToken};
use midge_reactor::{Context, Handler, Input, Key, Reactor, TimerId};
use rustix::time::{ClockId, clock_gettime};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{self, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Names of the contenders, in the order of the table; ratios are to the last.
pub(crate) const CONTENDERS: [&str; 4] = ["midge-reactor", "tokio", "calloop", "BinaryHeap"];

/// Names of the figures of [`measure`].
pub(crate) const EXERCISES: [&str; 4] = ["arm", "cancel", "fire", "restart"];

/// Most timers of calloop.
const CALLOOP_MAX: usize = 100_000;

/// How many timers a contender has, where the others have `count`.
pub(crate) fn count_of(contender: &str, count: usize) -> usize {
    match contender {
        "calloop" => count.min(CALLOOP_MAX),
        _ => count,
    }
}

/// Timers that are live while one after the other is restarted: one tenth of all.
const LIVE_SHARE: usize = 10;

/// CPU time of each exercise, in nanoseconds for one timer, of `count` timers or as many as the
/// contender has.
pub(crate) fn measure(contender: &str, count: usize) -> io::Result<[f64; 4]> {
    let count = count_of(contender, count);
    match contender {
        "midge-reactor" => exercise(&mut Midge::new()?, count),
        "tokio" => exercise(&mut Tokio::new()?, count),
        "calloop" => exercise(&mut Calloop::new()?, count),
        "BinaryHeap" => exercise(&mut Heap::new(), count),
        other => Err(failed(format!("no timers of {other:?}"))),
    }
}

/// A set of timers, each with a place below the number given to [`clear`](Timers::clear).
trait Timers {
    /// Most timers that are cancelled or restarted one after the other, lest it never ends.
    fn changes_max(&self) -> usize {
        usize::MAX
    }
    /// Forgets all timers, and makes room for so many.
    fn clear(&mut self, count: usize);
    /// Arms the timer of `place`, which is not armed.
    fn arm(&mut self, place: usize, delay: Duration);
    fn cancel(&mut self, place: usize);
    /// Arms the timer of `place` anew, which is armed.
    fn restart(&mut self, place: usize, delay: Duration);
    /// Fires all that are due, and answers how many have fired since `clear`.
    fn fire(&mut self) -> io::Result<u64>;
}

fn exercise(timers: &mut dyn Timers, count: usize) -> io::Result<[f64; 4]> {
    const HOUR: Duration = Duration::from_secs(3600);
    let mut random = Random(1);

    timers.clear(count);
    let arm = timed(count, || {
        for place in 0..count {
            timers.arm(place, random.below(HOUR));
        }
    });
    let changes = count.min(timers.changes_max());
    let order = random.order(count);
    let cancel = timed(changes, || {
        for place in &order[..changes] {
            timers.cancel(*place);
        }
    });
    if changes == count {
        expect(timers.fire()?, 0, "after all were cancelled")?;
    }

    timers.clear(count);
    let second = Duration::from_secs(1);
    for place in 0..count {
        timers.arm(place, random.below(second));
    }
    thread::sleep(second + Duration::from_millis(10));
    let mut fired = Ok(0);
    let fire = timed(count, || fired = timers.fire());
    expect(fired?, count as u64, "that were due")?;

    let live = count.div_ceil(LIVE_SHARE);
    timers.clear(live);
    for place in 0..live {
        timers.arm(place, HOUR);
    }
    let order: Vec<usize> = (0..changes).map(|_| random.index(live)).collect();
    let restart = timed(changes, || {
        for place in &order {
            timers.restart(*place, HOUR);
        }
    });
    expect(timers.fire()?, 0, "of those that were restarted")?;
    Ok([arm, cancel, fire, restart])
}

fn expect(fired: u64, expected: u64, which: &str) -> io::Result<()> {
    if fired == expected {
        return Ok(());
    }
    Err(failed(format!(
        "{fired} timers have fired {which}, not {expected}"
    )))
}

/// CPU time of this thread, in nanoseconds for one of `count`.
fn timed(count: usize, work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let start = now();
    work();
    (now() - start) / count as f64
}

/// The reactor's, for a handler: `Io::set_timer` and `on_timer`, in turns over real sockets.
struct Midge {
    reactor: Reactor<u64>,
    /// The connection whose timers they are.
    key: Key,
    ids: Vec<Option<TimerId>>,
}

struct Ticking;

impl Handler<u64> for Ticking {
    fn on_input(&mut self, _: &mut Context<'_, u64>, _: &mut Input<'_>) {}

    fn on_timer(&mut self, cx: &mut Context<'_, u64>, _: u64) {
        *cx.state += 1;
    }
}

impl Midge {
    fn new() -> io::Result<Midge> {
        let mut reactor = Reactor::new(0)?;
        let key = reactor.with(|cx| {
            let listener = cx.listen("127.0.0.1:0", |_: &mut Context<'_, u64>| Ticking)?;
            let addr = cx.listening_on(listener).ok_or(io::ErrorKind::NotFound)?;
            Ok::<_, io::Error>(cx.connect(addr, Ticking))
        })?;
        while reactor.connections() < 2 {
            reactor.turn(None)?;
        }
        Ok(Midge {
            reactor,
            key,
            ids: Vec::new(),
        })
    }
}

impl Timers for Midge {
    fn clear(&mut self, count: usize) {
        for id in self.ids.drain(..).flatten() {
            self.reactor.with(|cx| cx.io.cancel(id));
        }
        self.reactor.state = 0;
        self.ids.resize(count, None);
    }

    fn arm(&mut self, place: usize, delay: Duration) {
        let key = self.key;
        let arm = |cx: &mut Context<'_, u64>| cx.io.set_timer(key, delay, place as u64);
        self.ids[place] = Some(self.reactor.with(arm));
    }

    fn cancel(&mut self, place: usize) {
        if let Some(id) = self.ids[place].take() {
            self.reactor.with(|cx| cx.io.cancel(id));
        }
    }

    fn restart(&mut self, place: usize, delay: Duration) {
        self.cancel(place);
        self.arm(place, delay);
    }

    fn fire(&mut self) -> io::Result<u64> {
        self.reactor.turn(Some(Duration::ZERO))?;
        Ok(self.reactor.state)
    }
}

/// tokio's wheel, by `Sleep`: polled once to arm it, dropped to cancel it, and what it wakes counts.
/// No task is spawned, which would cost more than the timer.
struct Tokio {
    runtime: tokio::runtime::Runtime,
    sleeps: Vec<Option<Pin<Box<tokio::time::Sleep>>>>,
    count: Arc<Count>,
    waker: Waker,
}

#[derive(Default)]
struct Count(AtomicU64);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tokio {
    fn new() -> io::Result<Tokio> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        Ok(Tokio {
            runtime,
            sleeps: Vec::new(),
            count,
            waker,
        })
    }

    fn poll(&mut self, place: usize) {
        if let Some(sleep) = &mut self.sleeps[place] {
            let _ = sleep
                .as_mut()
                .poll(&mut task::Context::from_waker(&self.waker));
        }
    }
}

impl Timers for Tokio {
    fn clear(&mut self, count: usize) {
        self.sleeps.clear();
        self.count.0.store(0, Ordering::Relaxed);
        self.sleeps.resize_with(count, || None);
    }

    fn arm(&mut self, place: usize, delay: Duration) {
        let _entered = self.runtime.enter();
        self.sleeps[place] = Some(Box::pin(tokio::time::sleep(delay)));
        self.poll(place);
    }

    fn cancel(&mut self, place: usize) {
        self.sleeps[place] = None;
    }

    fn restart(&mut self, place: usize, delay: Duration) {
        if let Some(sleep) = &mut self.sleeps[place] {
            sleep.as_mut().reset(tokio::time::Instant::now() + delay);
        }
        self.poll(place);
    }

    fn fire(&mut self) -> io::Result<u64> {
        // Any sleep makes the runtime look at the clock.
        self.runtime
            .block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        Ok(self.count.0.load(Ordering::Relaxed))
    }
}

/// calloop's, each a source of its own with a closure: inserted to arm it, removed to cancel it, and
/// given another deadline to restart it.
struct Calloop {
    events: EventLoop<'static, u64>,
    fired: u64,
    sources: Vec<Option<(Dispatcher<'static, Timer, u64>, RegistrationToken)>>,
}

impl Calloop {
    fn new() -> io::Result<Calloop> {
        Ok(Calloop {
            events: EventLoop::try_new().map_err(io::Error::from)?,
            fired: 0,
            sources: Vec::new(),
        })
    }
}

impl Timers for Calloop {
    fn changes_max(&self) -> usize {
        1_000
    }

    fn clear(&mut self, count: usize) {
        *self = Calloop::new().expect("the loop before it has closed its descriptors");
        self.sources.resize_with(count, || None);
    }

    fn arm(&mut self, place: usize, delay: Duration) {
        let fire = |_, _: &mut (), fired: &mut u64| {
            *fired += 1;
            TimeoutAction::Drop
        };
        let source = Dispatcher::new(Timer::from_duration(delay), fire);
        let token = self.events.handle().register_dispatcher(source.clone());
        self.sources[place] = Some((source, token.expect("a timer is always taken")));
    }

    fn cancel(&mut self, place: usize) {
        if let Some((_, token)) = self.sources[place].take() {
            self.events.handle().remove(token);
        }
    }

    fn restart(&mut self, place: usize, delay: Duration) {
        if let Some((source, token)) = &self.sources[place] {
            source.as_source_mut().set_duration(delay);
            let updated = self.events.handle().update(token);
            updated.expect("it is there");
        }
    }

    fn fire(&mut self) -> io::Result<u64> {
        let dispatched = self.events.dispatch(Duration::ZERO, &mut self.fired);
        dispatched.map_err(io::Error::from)?;
        Ok(self.fired)
    }
}

/// A heap of deadlines and nothing else: what is cancelled or restarted leaves a dead entry, for
/// ever or until it is due.
struct Heap {
    heap: BinaryHeap<Reverse<(Instant, usize, u32)>>,
    /// The arming that counts; 0 if there is none.
    armed: Vec<u32>,
    armings: u32,
    fired: u64,
}

impl Heap {
    fn new() -> Heap {
        Heap {
            heap: BinaryHeap::new(),
            armed: Vec::new(),
            armings: 0,
            fired: 0,
        }
    }
}

impl Timers for Heap {
    fn clear(&mut self, count: usize) {
        self.heap = BinaryHeap::new();
        self.armed = vec![0; count];
        self.fired = 0;
    }

    fn arm(&mut self, place: usize, delay: Duration) {
        self.armings += 1;
        self.armed[place] = self.armings;
        let deadline = Instant::now() + delay;
        self.heap.push(Reverse((deadline, place, self.armings)));
    }

    fn cancel(&mut self, place: usize) {
        self.armed[place] = 0;
    }

    fn restart(&mut self, place: usize, delay: Duration) {
        self.arm(place, delay);
    }

    fn fire(&mut self) -> io::Result<u64> {
        let now = Instant::now();
        while let Some(Reverse((deadline, place, arming))) = self.heap.peek().copied()
            && deadline <= now
        {
            self.heap.pop();
            if self.armed[place] == arming {
                self.armed[place] = 0;
                self.fired += 1;
            }
        }
        Ok(self.fired)
    }
}

/// SplitMix64: the same numbers for every contender.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn index(&mut self, below: usize) -> usize {
        (self.next() % below as u64) as usize
    }

    fn below(&mut self, limit: Duration) -> Duration {
        Duration::from_nanos(self.next() % limit.as_nanos() as u64)
    }

    /// The numbers below `count` in some order.
    fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for place in (1..count).rev() {
            order.swap(place, self.index(place + 1));
        }
        order
    }
}
