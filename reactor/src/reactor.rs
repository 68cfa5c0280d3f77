//! `Reactor`: owns the handlers and runs the turns.
//!
//! One turn, in this order:
//!
//! 1. poll the driver, for no time at all if anything is to be done, else until the next timer;
//! 2. read the clock, once;
//! 3. note what has become ready: flags and the run queue, nothing else; if a timer is due, look
//!    once more, until all there is has been seen;
//! 4. signals, then jobs posted by other threads;
//! 5. input: each entry of the run queue gets one slice; what light connections are answered is written before
//!    heavy ones are read;
//! 6. timers that are due, but for those of connections that have yet to read or write on;
//! 7. deferred work;
//! 8. flush: each connection with new output is written once;
//! 9. handshakes: input of connections whose layer is in one;
//! 10. close what is to be closed; slots are free from here on.
//!
//! Every step works on a snapshot: what it makes to do anew waits for the next turn. It ends when its
//! time is spent, and the rest goes on in the next turn; input and the flush begin with connections
//! that use little of the loop. See `core/turn.rs`.
//!
//! Handshakes come behind the flush, and mostly one of them: a step of one may be a signature, of which all others
//! would wait for two, one before they are read and one before they are answered.

use crate::builder::Builder;
use crate::context::{Context, Slot, Tasks};
use crate::core::{Conn, Core, INPUT_LANES, Lane, OUTPUT_BYTES, Phase, Target};
use crate::driver::{Driver, Event, MioDriver};
use crate::handler::{Accept, Handler};
use crate::io::Io;
use crate::offload::Offloads;
use crate::remote::{Job, Remote};
use crate::spin::Spin;
use crate::timers::Popped;
use crate::{Key, Readiness, Time, TimerId};
use panics::{Panics, caught};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

mod calling;
mod closing;
mod datagram;
mod embedding;
mod layered;
mod opening;
mod panics;
mod reading;
mod relaying;
mod streaming;
mod watching;
mod writing;

/// A loop that comes so much too late to a timer has stood still: the process was stopped, something
/// blocked, or there was no processor to be had.
const STANDSTILL: Duration = Duration::from_millis(100);

/// A loop that takes events and hands them to handlers. One thread; several may live in a process.
pub struct Reactor<S = ()> {
    /// What all handlers share.
    pub state: S,
    slots: Vec<Option<Slot<S>>>,
    core: Core,
    driver: Box<dyn Driver>,
    tasks: Tasks<S>,
    events: Vec<Event>,
    /// The last poll could not take all events there were.
    events_left: bool,
    /// Signals that have come, each once for every closure that asked for it.
    signals: VecDeque<(usize, i32)>,
    /// Jobs taken from other threads, the next one last.
    jobs: Vec<Job<S>>,
    /// When a turn last looked what is due.
    looked: Time,
    /// When the present step of a turn is to end.
    step_ends: Time,
    /// How long heavy connections were written to, and handshakes took, since heavy ones last had input: in nanoseconds.
    owed: u64,
    /// When a light connection last had something to read.
    light_at: Time,
    /// Connections that were left over by the last flush: while there are any, nothing is taken in that
    /// would make more of them.
    unwritten: usize,
    /// When the last long slice of this turn ended, or the turn began if the one before had any, and how much
    /// the thread had worked by then.
    worked: Option<(Time, Time)>,
    had_long_slice: bool,
    scratch: Box<[u8]>,
    read_bytes: usize,
    spin: Spin,
    panics: Panics<S>,
    /// What a layer has opened for the present handler.
    plain: Vec<u8>,
}

impl<S: fmt::Debug> fmt::Debug for Reactor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("state", &self.state)
            .field("connections", &self.core.connections())
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

impl<S> Reactor<S> {
    /// A reactor over the system's sockets.
    ///
    /// # Errors
    /// Those of opening a selector: above all too many open files.
    pub fn new(state: S) -> io::Result<Reactor<S>> {
        Ok(Reactor::with_driver(state, Box::new(MioDriver::new()?)))
    }

    /// A reactor over any driver.
    #[must_use]
    pub fn with_driver(state: S, driver: Box<dyn Driver>) -> Reactor<S> {
        Reactor::builder().build_with_driver(state, driver)
    }

    /// A reactor with settings of its own.
    #[must_use]
    pub fn builder() -> Builder<S> {
        Builder::default()
    }

    pub(crate) fn with_settings(
        state: S,
        mut driver: Box<dyn Driver>,
        settings: Builder<S>,
    ) -> Reactor<S> {
        let now = driver.now();
        let mut core = Core::new(now, driver.seed());
        core.timers_max = settings.timers_max;
        core.times = settings.times;
        core.records = driver.records();
        core.is_simulated = driver.is_simulated();
        let tasks = Tasks {
            new: Vec::new(),
            deferred: VecDeque::new(),
            closures: Slab::new(),
            signals: Vec::new(),
            on_shutdown: Vec::new(),
            commands: Slab::new(),
            calls: VecDeque::new(),
            offloads: Offloads::new(settings.offload_threads, settings.offload_waiting_max),
            after_close: BTreeMap::new(),
            remote: Remote::new(driver.waker(), settings.posted_max),
        };
        Reactor {
            state,
            slots: Vec::new(),
            core,
            driver,
            tasks,
            events: Vec::new(),
            events_left: false,
            signals: VecDeque::new(),
            jobs: Vec::new(),
            looked: now,
            step_ends: Time::ZERO,
            owed: 0,
            light_at: Time::ZERO,
            unwritten: 0,
            worked: None,
            had_long_slice: false,
            scratch: panics::scratch(settings.read_bytes),
            read_bytes: settings.read_bytes,
            spin: settings.spin,
            panics: Panics::new(settings.policy, settings.hook),
            plain: Vec::new(),
        }
    }

    /// Runs `work` with the reactor's context, at once: to listen, connect and set timers before
    /// [`run`](Reactor::run), or between turns.
    ///
    /// A panic of `work` goes on in the caller, whatever the [`PanicPolicy`](crate::PanicPolicy);
    /// what `work` has made until then is there.
    pub fn with<R>(&mut self, work: impl FnOnce(&mut Context<'_, S>) -> R) -> R {
        // Time has gone on since the last turn.
        self.core.now = self.read_clock();
        self.core.turn.until = self.core.now.after(self.core.times.step);
        self.guarded(|reactor| match reactor.attempt(work) {
            Ok(result) => {
                reactor.after_callback();
                result
            }
            Err(payload) => resume_unwind(payload),
        })
    }

    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote<S> {
        self.tasks.remote.clone()
    }

    /// Turns until it is stopped; then every handler that is left sees
    /// [`Close::Shutdown`](crate::Close::Shutdown).
    ///
    /// # Errors
    /// Those of [`turn`](Reactor::turn), which leave the reactor as it is: it may be run again.
    ///
    /// # Panics
    /// With the panic of a handler or a closure, under [`PanicPolicy::Propagate`], the default. Who
    /// catches it may run the reactor again: it goes on where it was, also if it was ending.
    ///
    /// [`PanicPolicy::Propagate`]: crate::PanicPolicy::Propagate
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_stopping() {
            self.turn(None)?;
        }
        self.guarded(Reactor::end);
        Ok(())
    }

    /// One turn. Waits at most `max_wait` for something to happen, for ever if `None`.
    ///
    /// # Errors
    /// Those of the driver's poll. No handler has been called in this turn then, and no event is lost: the
    /// next turn goes on with those that were noted. A poll that was interrupted, or for which the system
    /// had no memory, is no error.
    #[doc(alias = "run_machine_once")]
    pub fn turn(&mut self, max_wait: Option<Duration>) -> io::Result<()> {
        self.guarded(|reactor| reactor.steps(max_wait))
    }

    fn steps(&mut self, max_wait: Option<Duration>) -> io::Result<()> {
        let before = self.looked;
        self.poll(max_wait)?;
        self.core.now = self.read_clock();
        self.looked = self.core.now;
        // Long slices come in a row.
        let is_asked = std::mem::take(&mut self.had_long_slice);
        self.worked = is_asked.then(|| (self.core.now, self.driver.worked()));
        self.note_events();
        self.look_again(before)?;
        self.run_signals();
        self.run_jobs();
        self.run_ready();
        self.run_timers();
        self.run_deferred();
        self.flush();
        self.run_handshakes();
        self.close();
        self.drop_cancelled();
        self.core.invariants();
        Ok(())
    }

    /// No peer is late before all that has come was seen. If a timer is due, the poll may have begun
    /// before that, and then the process was stopped, or the poll was cut short, or it could not take
    /// all there is: looks on until nothing is left, or each socket has had its turn.
    fn look_again(&mut self, before: Time) -> io::Result<()> {
        let now = self.core.now;
        let due = match self.core.timers.may_be_due(now) {
            true => self.core.timers.next().filter(|due| *due <= now),
            false => None,
        };
        // What was due already when the loop last looked has waited for its turn behind others.
        if due.is_some_and(|due| now - due.max(before) >= STANDSTILL) {
            self.core.resumed = now;
        }
        let stood_still = now - before >= STANDSTILL;
        if due.is_none() && !(stood_still && self.events_left) {
            return Ok(());
        }
        let mut sockets = self.core.entry_count();
        loop {
            self.poll_once(Some(Duration::ZERO))?;
            let seen = self.events.len();
            self.note_events();
            if !self.events_left || seen > sockets {
                return Ok(());
            }
            sockets -= seen;
        }
    }

    /// Reads the clock: what is armed now counts from this instant.
    fn read_clock(&mut self) -> Time {
        self.core.clock = self.driver.now();
        self.core.clock
    }

    /// When a byte of this connection moves: the present instant if anyone may judge by it, and else
    /// that of the turn, which costs nothing.
    fn moment(&mut self, key: Key) -> Time {
        let judged = |conn: &Conn| {
            conn.idle_timeout.is_some() || conn.congested || conn.phase != Phase::Open
        };
        match self.core.conn(key).is_some_and(judged) {
            true => self.read_clock(),
            false => self.core.now,
        }
    }

    fn note_events(&mut self) {
        for event in self.events.drain(..) {
            match event {
                Event::Ready {
                    key,
                    readable,
                    writable,
                    hangup,
                } => {
                    if let Some(conn) = self.core.conn_mut(key) {
                        conn.readable |= readable;
                        conn.writable |= writable;
                        conn.hangup |= hangup;
                        // Its output does not wait for its turn to be read.
                        if writable && conn.is_written() && conn.is_owed() {
                            self.core.mark_dirty(key);
                        }
                    } else if let Some(udp) = self.core.udp_mut(key) {
                        udp.readable |= readable;
                        udp.writable |= writable;
                    } else if let Some(watching) = self.core.watching_mut(key) {
                        watching.ready = watching.ready | Readiness { readable, writable };
                    }
                    self.core.enqueue(key);
                }
                Event::Signal(signal) => {
                    let wanting = self.tasks.signals.iter().enumerate();
                    let wanting = wanting.filter(|(_, (wanted, _))| wanted.contains(&signal));
                    self.signals
                        .extend(wanting.map(|(index, _)| (index, signal)));
                }
                Event::Exited { key, status } => self.core.note_exit(key, status),
            }
        }
    }

    fn run_signals(&mut self) {
        while let Some((index, signal)) = self.signals.pop_front() {
            let Some(mut work) = self.tasks.signals[index].1.take() else {
                continue;
            };
            self.core.stats.signals += 1;
            self.begin_step(self.core.times.step);
            let outcome = self.attempt(|cx| work(cx, signal));
            self.tasks.signals[index].1 = Some(work);
            if let Err(payload) = outcome {
                self.panicked(Key::NONE, payload);
            }
            self.after_callback();
            self.read_clock();
        }
    }

    fn run_jobs(&mut self) {
        // What a panic has left over comes first, and alone.
        if self.jobs.is_empty() {
            self.tasks.remote.take_jobs(&mut self.jobs);
            self.jobs.reverse();
        }
        if !self.jobs.is_empty() {
            self.begin_step(self.core.times.step);
        }
        while let Some(job) = self.jobs.pop() {
            self.tasks.remote.set_taken(self.jobs.len());
            self.core.stats.jobs += 1;
            self.run_work(job);
            if self.step_is_over() {
                break;
            }
        }
        // Calls that were put off: nothing may follow that would bring them about.
        self.after_callback();
    }

    fn run_ready(&mut self) {
        if self.core.ready.is_empty() {
            return;
        }
        let mut now = self.begin_step(self.core.times.input);
        // A panic in the flush may have ended the count of what was left over.
        self.unwritten = self.unwritten.min(self.core.dirty[Lane::Heavy].len());
        if !self.core.has_one_only() {
            self.core.promote();
        }
        // Signals and jobs may have waited for something, and that is no interruption of a slice.
        if now != self.core.now {
            self.worked = None;
        }
        let counts = self.core.ready.counts();
        for lane in INPUT_LANES {
            let count = counts[lane as usize];
            if count == 0 {
                continue;
            }
            if lane == Lane::Heavy {
                if self.unwritten > 0 {
                    break;
                }
                now = self.flush_light();
            }
            let ends = self.input_ends(lane, now);
            now = self.run_lane(lane, count, now, ends);
        }
        self.core.turn.end_slices(self.step_ends);
    }

    /// When input of a lane ends that begins at `now`: each gets its least, also where those before it have used up the
    /// time, and the heavy one no more than its part while light connections come.
    fn input_ends(&mut self, lane: Lane, now: Time) -> Time {
        let times = &self.core.times;
        let ends = self.step_ends.max(now.after(times.least[lane as usize]));
        if lane != Lane::Heavy {
            return ends;
        }
        let owed = std::mem::take(&mut self.owed);
        match times.is_recent(self.light_at, now) {
            true => ends.min(now.after(times.heavy_beside_light(owed))),
            false => ends,
        }
    }

    /// Input of those whose layer is in its handshake.
    fn run_handshakes(&mut self) {
        let count = self.core.ready[Lane::Handshake].len();
        if count == 0 {
            return;
        }
        let now = self.read_clock();
        let others = now.nanos_since(self.core.now);
        let time = self.core.times.handshakes(others);
        self.begin_step(time);
        let over = self.run_lane(Lane::Handshake, count, now, self.step_ends);
        self.owed += over.nanos_since(now);
        self.core.turn.end_slices(self.step_ends);
    }

    /// The first `count` of a lane have a slice each, from `now` on until `ends`; answers when they have had them.
    fn run_lane(&mut self, lane: Lane, count: usize, mut now: Time, ends: Time) -> Time {
        let mut is_first = true;
        for _ in 0..count {
            self.core.begin_call();
            let spent = now >= ends || self.core.turn.produced >= OUTPUT_BYTES;
            // One comes in each turn, whatever the others do.
            if spent && !is_first {
                break;
            }
            let Some(key) = self.core.next_ready(lane) else {
                continue;
            };
            is_first = false;
            self.core.shut_own_window(key);
            let Core { turn, times, .. } = &mut self.core;
            turn.begin_slice(key, lane, times, now, ends);
            let before = self.core.stats.read_bytes;
            self.serve(key);
            let end = self.read_clock();
            let has_read = self.core.stats.read_bytes > before;
            if lane == Lane::Light && has_read && self.core.conn(key).is_some() {
                self.light_at = end;
            }
            let cost = self.cost_of_slice(now, end);
            self.core.end_slice(cost, end);
            self.after_callback();
            // What a slice has called is not the next one's.
            now = self.core.clock;
        }
        now
    }

    /// What a slice has cost: how long it lasted, without what an interruption has taken. Only after long ones
    /// is it worth a call of the system to know that.
    fn cost_of_slice(&mut self, began: Time, ended: Time) -> u64 {
        let lasted = ended.nanos_since(began);
        if lasted <= self.core.times.light_slice {
            return lasted;
        }
        self.had_long_slice = true;
        let worked = self.driver.worked();
        let before = self.worked.replace((ended, worked));
        let taken = before.map_or(0, |(since, had)| {
            let passed = ended.nanos_since(since);
            passed.saturating_sub(worked.nanos_since(had))
        });
        lasted.saturating_sub(taken)
    }

    /// One entry of the run queue has its slice.
    fn serve(&mut self, key: Key) {
        if self.core.listening_mut(key).is_some() {
            self.accept(key);
        } else if let Some(conn) = self.core.conn(key) {
            match conn.phase {
                Phase::Connecting => self.finish_connect(key),
                Phase::Open => self.read(key),
                Phase::Ending | Phase::Draining => self.discard(key),
                Phase::Closing => {}
            }
            // An event may have told that output can go on.
            if self
                .core
                .conn(key)
                .is_some_and(|conn| conn.writable && conn.queued() > 0)
            {
                self.core.mark_dirty(key);
            }
        } else if self.core.udp(key).is_some() {
            self.run_udp(key);
        } else {
            self.watch_is_ready(key);
        }
    }

    /// A step begins, and is to end after `nanos`; answers the instant: that of the last look at the clock,
    /// which comes after the last callback of each step before the flush. What follows that looks anew.
    fn begin_step(&mut self, nanos: u64) -> Time {
        let now = self.core.clock;
        self.step_ends = now.after(nanos);
        self.core.turn.until = self.step_ends;
        now
    }

    /// Whether what is left of a step is for the next turn.
    fn step_is_over(&mut self) -> bool {
        self.read_clock() >= self.step_ends
    }

    fn run_timers(&mut self) {
        if !self.core.timers.may_be_due(self.core.now) {
            return;
        }
        let pass = self.core.timers.pass();
        self.begin_step(self.core.times.step);
        loop {
            let due = match self.core.pop_timer(pass) {
                Popped::Due(due) => due,
                Popped::PutOff if self.step_is_over() => break,
                Popped::PutOff => continue,
                Popped::Nothing => break,
            };
            self.core.stats.timers_fired += 1;
            match due.target {
                Target::Handler(key, timer) => {
                    let alive = self
                        .core
                        .conn(key)
                        .is_some_and(|conn| conn.phase != Phase::Closing);
                    if alive {
                        self.call(key, "on_timer", |handler, cx| handler.on_timer(cx, timer));
                    } else if self
                        .core
                        .watching(key)
                        .is_some_and(|watching| !watching.closing)
                    {
                        self.call_watch(key, "on_timer", |watch, cx| watch.on_timer(cx, timer));
                    } else if !self.run_udp_timer(key, timer)
                        && let Some(timer) = due.again
                    {
                        self.core.timers.cancel(timer);
                    }
                }
                Target::Closure(closure) => self.run_closure(closure, due.again),
                Target::AcceptAgain(listener) => {
                    if let Some(listening) = self.core.listening_mut(listener) {
                        listening.resting = false;
                        self.core.enqueue(listener);
                    }
                }
                Target::ConnectDeadline(key) => self.check_connect_deadline(key),
                Target::ReceiveAgain(key) => self.receive_again(key),
                Target::TryAgain(key) => self.core.try_again(key),
                Target::WriteDeadline(key) => self.check_write_deadline(key),
                Target::IdleDeadline(key) => self.core.check_idle_deadline(key),
                Target::HandshakeDeadline(key) => self.check_handshake_deadline(key),
                Target::Linger(key) => self.check_linger(key),
                Target::ShutdownDeadline => self.core.stopping = true,
            }
            self.after_callback();
            self.drop_cancelled();
            // Those that are due still come in the next turn, after what has come in meanwhile.
            if self.step_is_over() {
                break;
            }
        }
        self.drop_cancelled();
    }

    fn run_closure(&mut self, closure: usize, again: Option<TimerId>) {
        let Some(Some(mut work)) = self.tasks.closures.get_mut(closure).map(Option::take) else {
            return;
        };
        let outcome = self.attempt(|cx| work(cx));
        match (again, outcome) {
            (Some(_), Ok(())) => {
                if !self.core.cancelled.contains(&closure) {
                    self.tasks.closures[closure] = Some(work);
                }
            }
            (None, Ok(())) => {
                self.tasks.closures.remove(closure);
            }
            (again, Err(payload)) => {
                // A timer that its own closure has cancelled is dropped with the cancelled ones.
                let live = again.is_some_and(|timer| self.core.timers.cancel(timer).is_some());
                if live || again.is_none() {
                    self.tasks.closures.remove(closure);
                }
                self.panicked(Key::NONE, payload);
            }
        }
    }

    #[inline]
    fn drop_cancelled(&mut self) {
        if self.core.cancelled.is_empty() {
            return;
        }
        for closure in self.core.cancelled.drain(..) {
            self.tasks.closures.try_remove(closure);
        }
    }

    fn run_deferred(&mut self) {
        if self.tasks.deferred.is_empty() {
            return;
        }
        self.begin_step(self.core.times.step);
        for _ in 0..self.tasks.deferred.len() {
            self.run_next_deferred();
            // No turn follows the last one.
            if self.step_is_over() && !self.core.stopping {
                break;
            }
        }
    }

    fn run_next_deferred(&mut self) {
        if let Some(work) = self.tasks.deferred.pop_front() {
            self.core.stats.deferred += 1;
            self.run_work(work);
        }
    }

    /// Calls a connection's handler; `name` is the call's, for the record.
    fn call<R>(
        &mut self,
        key: Key,
        name: &'static str,
        f: impl FnOnce(&mut dyn Handler<S>, &mut Context<'_, S>) -> R,
    ) -> Option<R> {
        self.core.conn(key)?;
        self.enter(key, key, name, |slot, cx| match slot {
            Slot::Conn(handler) => Some(f(&mut **handler, cx)),
            _ => None,
        })
    }

    /// Calls a listener's acceptor; `key` is what its context tells.
    fn call_listener<R>(
        &mut self,
        listener: Key,
        key: Key,
        name: &'static str,
        f: impl FnOnce(&mut dyn Accept<S>, &mut Context<'_, S>) -> R,
    ) -> Option<R> {
        self.enter(listener, key, name, |slot, cx| match slot {
            Slot::Listener(accept) => Some(f(&mut **accept, cx)),
            _ => None,
        })
    }

    /// The only place from which a registered handler is entered: it is lent everything else.
    fn enter<R>(
        &mut self,
        owner: Key,
        key: Key,
        name: &'static str,
        f: impl FnOnce(&mut Slot<S>, &mut Context<'_, S>) -> Option<R>,
    ) -> Option<R> {
        self.record(key, name);
        let slot = self.slots.get_mut(owner.index())?.as_mut()?;
        self.core.begin_call();
        let io = Io {
            core: &mut self.core,
            driver: &mut *self.driver,
        };
        let (state, tasks) = (&mut self.state, &mut self.tasks);
        let mut cx = Context {
            state,
            io,
            key,
            tasks,
        };
        self.panics.inside = owner;
        let result = if self.panics.caught {
            caught(|| f(slot, &mut cx))
        } else {
            Ok(f(slot, &mut cx))
        };
        self.panics.inside = Key::NONE;
        self.install();
        match result {
            Ok(result) => result,
            Err(payload) => {
                self.handler_panicked(owner, key, payload);
                None
            }
        }
    }

    /// Tells a driver that wants to know who is called next.
    fn record(&mut self, key: Key, call: &'static str) {
        if self.core.records {
            self.driver.record(key, call);
        }
    }

    /// Handlers made during a callback take their places.
    fn install(&mut self) {
        while let Some((key, slot)) = self.tasks.new.pop() {
            self.put_slot(key, slot);
        }
    }

    fn put_slot(&mut self, key: Key, slot: Slot<S>) {
        if let Slot::Conn(handler) = &slot
            && let Some(conn) = self.core.conn_mut(key)
        {
            conn.handler_type = Some((**handler).own_type());
        }
        if self.slots.len() <= key.index() {
            self.slots.resize_with(key.index() + 1, || None);
        }
        self.slots[key.index()] = Some(slot);
    }
}

impl<S> Drop for Reactor<S> {
    fn drop(&mut self) {
        // Sockets close with the driver; posts from now on are answered with an error.
        self.tasks.remote.end();
    }
}
