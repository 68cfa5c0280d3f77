//! A reactor on a thread of its own, which opens its connections in waves.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;
use midge_reactor::{Context, Key, Reactor, Remote};

use super::shared::{Event, Shared};

/// Connections that may be on their way at once: more than a listener's backlog would be lost.
const OPENING_MAX: usize = 128;

/// Longest latency that is told from longer ones, in nanoseconds.
const LATENCY_MAX: u64 = 100_000_000_000;

/// Opens the connection of this number.
pub(crate) type Open = Box<dyn FnMut(&mut Context<'_, Shard>, usize) -> Key>;

/// What is done at each tick of a thread that keeps a schedule.
pub(crate) type Tick = Box<dyn FnMut(&mut Context<'_, Shard>) + Send>;

/// What the handlers of one load thread share.
pub(crate) struct Shard {
    pub(crate) shared: Arc<Shared>,
    /// The connections of this thread, by number.
    pub(crate) keys: Vec<Key>,
    /// Latencies in nanoseconds.
    pub(crate) latency: Option<Histogram<u64>>,
    open: Open,
    to_open: Range<usize>,
    tick: Option<Tick>,
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("connections", &self.keys.len())
            .field("to_open", &self.to_open)
            .finish_non_exhaustive()
    }
}

impl Shard {
    /// Records a latency, if latencies are wanted.
    #[inline]
    pub(crate) fn record(&mut self, latency: Duration) {
        if let Some(histogram) = &mut self.latency {
            histogram.saturating_record(latency.as_nanos() as u64);
        }
    }
}

/// A connection has joined: tells so, and opens the next.
pub(crate) fn ready(cx: &mut Context<'_, Shard>) {
    cx.state.shared.report(Event::Ready);
    open_next(cx);
}

/// Opens the next connection, if one is left.
pub(crate) fn open_next(cx: &mut Context<'_, Shard>) {
    let Some(number) = cx.state.to_open.next() else {
        return;
    };
    let mut open = std::mem::replace(&mut cx.state.open, Box::new(|_, _| Key::NONE));
    let key = open(cx, number);
    cx.state.open = open;
    cx.state.keys.push(key);
}

/// How a load thread is to be.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// Connections to open.
    pub(crate) connections: usize,
    /// Whether latencies are recorded.
    pub(crate) latency: bool,
    /// What is done by the clock. Without it the thread sleeps until something happens.
    pub(crate) clock: Option<Clock>,
}

/// What a thread does by the clock.
pub(crate) struct Clock {
    /// Time between ticks.
    pub(crate) pause: Duration,
    /// Done at each.
    pub(crate) tick: Tick,
    /// The thread's connections hear as well as speak, so that it must wake for them between ticks.
    pub(crate) hears: bool,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("name", &self.name)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// A load thread.
#[derive(Debug)]
pub(crate) struct Thread {
    remote: Remote<Shard>,
    join: Option<JoinHandle<Option<Histogram<u64>>>>,
}

impl Thread {
    /// Starts a thread and opens the first wave of its connections.
    ///
    /// # Errors
    /// Those of the system: no more threads or files.
    pub(crate) fn spawn<O>(plan: Plan, shared: &Arc<Shared>, open: O) -> io::Result<Thread>
    where
        O: FnMut(&mut Context<'_, Shard>, usize) -> Key + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::clone(shared);
        let name = plan.name.to_owned();
        let join = thread::Builder::new().name(name).spawn(move || {
            let shard = Shard {
                shared,
                keys: Vec::with_capacity(plan.connections),
                latency: plan.latency.then(histogram),
                open: Box::new(open),
                to_open: 0..plan.connections,
                tick: None,
            };
            match Reactor::new(shard) {
                Ok(mut reactor) => {
                    let _ = sender.send(Ok(reactor.remote()));
                    turn(&mut reactor, plan);
                    reactor.state.latency.take()
                }
                Err(error) => {
                    let _ = sender.send(Err(error));
                    None
                }
            }
        })?;
        let gone = || Err(io::Error::other("a load thread ended at its start"));
        let remote = receiver.recv().unwrap_or_else(|_| gone())?;
        Ok(Thread {
            remote,
            join: Some(join),
        })
    }

    /// Calls `on_timer` of every connection of this thread with this number.
    pub(crate) fn command(&self, number: u64) {
        // A reactor that has ended has failed, and has told why.
        let _ = self.remote.post(move |cx| command(cx, number));
    }

    /// The same for the connections of these numbers.
    pub(crate) fn command_range(&self, range: Range<usize>, number: u64) {
        let _ = self.remote.post(move |cx| {
            for key in cx.state.keys.get(range).unwrap_or_default() {
                cx.io.set_timer(*key, Duration::ZERO, number);
            }
        });
    }

    /// Ends the thread; answers the latencies, if they were recorded.
    pub(crate) fn end(mut self) -> Option<Histogram<u64>> {
        let _ = self.remote.stop();
        self.join.take()?.join().ok()?
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let _ = self.remote.stop();
        if let Some(join) = self.join.take() {
            let _ = join.join();
        }
    }
}

/// Calls `on_timer` of every connection with this number, in this turn.
pub(crate) fn command(cx: &mut Context<'_, Shard>, number: u64) {
    for key in &cx.state.keys {
        cx.io.set_timer(*key, Duration::ZERO, number);
    }
}

/// An empty histogram of nanoseconds, with three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, 3).expect("1 < LATENCY_MAX / 2, and 3 is below 6")
}

fn turn(reactor: &mut Reactor<Shard>, plan: Plan) {
    reactor.with(|cx| (0..OPENING_MAX).for_each(|_| open_next(cx)));
    let result = match plan.clock {
        None => reactor.run(),
        Some(clock) if clock.hears => run_beside_metronome(reactor, clock),
        Some(clock) => run_asleep(reactor, clock),
    };
    if let Err(error) = result {
        log::error!("a load thread ended: {error}");
    }
}

/// Sleeps between the ticks, and looks at the connections after each: the selector counts in
/// milliseconds, which is too coarse.
fn run_asleep(reactor: &mut Reactor<Shard>, mut clock: Clock) -> io::Result<()> {
    precise_sleep();
    while !reactor.is_stopping() {
        reactor.turn(Some(Duration::ZERO))?;
        thread::sleep(clock.pause);
        reactor.with(&mut clock.tick);
    }
    reactor.run()
}

/// Has another thread sleep, which costs a wake more for each tick.
fn run_beside_metronome(reactor: &mut Reactor<Shard>, clock: Clock) -> io::Result<()> {
    reactor.state.tick = Some(clock.tick);
    let remote = reactor.remote();
    thread::scope(|scope| {
        scope.spawn(|| {
            precise_sleep();
            let due = Arc::new(AtomicBool::new(false));
            while !remote.is_ended() {
                thread::sleep(clock.pause);
                // A tick that has not been heard yet is not repeated.
                if !due.swap(true, Ordering::AcqRel) {
                    let due = Arc::clone(&due);
                    let _ = remote.post(move |cx| {
                        due.store(false, Ordering::Release);
                        run_tick(cx);
                    });
                }
            }
        });
        reactor.run()
    })
}

fn run_tick(cx: &mut Context<'_, Shard>) {
    if let Some(mut tick) = cx.state.tick.take() {
        tick(cx);
        cx.state.tick = Some(tick);
    }
}

/// Asks the system to wake this thread when it wants to be woken, and not up to 50 us later.
fn precise_sleep() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_timerslack(1000);
}
