//! `Reactor`: owns the handlers and runs the turns.
//!
//! One turn, in this order:
//!
//! 1. poll the driver, for no time at all if anything is to be done, else until the next timer;
//! 2. read the clock, once;
//! 3. note what has become ready: flags and the run queue, nothing else;
//! 4. signals, then jobs posted by other threads;
//! 5. input: each entry of the run queue gets one slice;
//! 6. timers that are due;
//! 7. deferred work;
//! 8. flush: each connection with new output is written once;
//! 9. close what is to be closed; slots are free from here on.
//!
//! Every step works on a snapshot: what it makes to do anew waits for the next turn.

use crate::context::{Context, Slot, Tasks};
use crate::core::{Core, Phase, Target};
use crate::driver::{Driver, Event, MioDriver};
use crate::handler::{Accept, Close, Handler};
use crate::io::Io;
use crate::offload::Offloads;
use crate::remote::{Job, Remote};
use crate::{Key, Readiness, Time};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::time::Duration;

mod calling;
mod datagram;
mod offload;
mod opening;
mod processes;
mod reading;
mod relaying;
mod streaming;
mod watching;
mod writing;

/// Bytes of the one read buffer that all connections share, and so most bytes read from one
/// connection in a turn. Below 128 KiB the calls begin to show.
const READ_BYTES: usize = 128 * 1024;

/// A loop that takes events and hands them to handlers. One thread; several may live in a process.
pub struct Reactor<S = ()> {
    /// What all handlers share.
    pub state: S,
    slots: Vec<Option<Slot<S>>>,
    core: Core,
    driver: Box<dyn Driver>,
    tasks: Tasks<S>,
    events: Vec<Event>,
    signals: Vec<i32>,
    jobs: Vec<Job<S>>,
    scratch: Box<[u8]>,
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
    pub fn with_driver(state: S, mut driver: Box<dyn Driver>) -> Reactor<S> {
        let mut core = Core::new(driver.now(), driver.seed());
        core.records = driver.records();
        let tasks = Tasks {
            new: Vec::new(),
            deferred: VecDeque::new(),
            closures: Slab::new(),
            signals: Vec::new(),
            commands: Slab::new(),
            calls: VecDeque::new(),
            offloads: Offloads::default(),
            after_close: BTreeMap::new(),
            remote: Remote::new(driver.waker()),
        };
        Reactor {
            state,
            slots: Vec::new(),
            core,
            driver,
            tasks,
            events: Vec::new(),
            signals: Vec::new(),
            jobs: Vec::new(),
            scratch: vec![0; READ_BYTES].into(),
        }
    }

    /// Runs `work` with the reactor's context, at once: to listen, connect and set timers before
    /// [`run`](Reactor::run), or between turns.
    pub fn with<R>(&mut self, work: impl FnOnce(&mut Context<'_, S>) -> R) -> R {
        // Time has gone on since the last turn: what is armed now counts from now.
        self.core.now = self.driver.now();
        let result = self.lend(work);
        self.after_callback();
        result
    }

    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote<S> {
        self.tasks.remote.clone()
    }

    /// Turns until it is stopped; then every handler that is left sees [`Close::Shutdown`].
    ///
    /// # Errors
    /// Those of the driver's poll, which leave the reactor as it is.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_stopping() {
            self.turn(None)?;
        }
        self.end();
        Ok(())
    }

    /// Whether it has been stopped and will turn no more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.core.stopping
    }

    /// When the next timer is due.
    #[must_use]
    pub fn next_deadline(&mut self) -> Option<Time> {
        self.core.timers.next()
    }

    /// Whether the next turn will not wait.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.core.has_work()
            || !(self.tasks.deferred.is_empty() && self.tasks.calls.is_empty())
            || self.tasks.remote.has_jobs()
    }

    /// Connections that are open, listeners not counted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.connections()
    }

    /// Timers that are armed.
    #[must_use]
    pub fn timer_count(&self) -> usize {
        self.core.timers.len()
    }

    /// One turn. Waits at most `max_wait` for something to happen, for ever if `None`.
    ///
    /// # Errors
    /// Those of the driver's poll; nothing else of the turn has happened then.
    #[doc(alias = "run_machine_once")]
    pub fn turn(&mut self, max_wait: Option<Duration>) -> io::Result<()> {
        let wait = self.wait(max_wait);
        self.driver.poll(&mut self.events, wait)?;
        self.core.now = self.driver.now();
        self.note_events();
        self.run_signals();
        self.run_jobs();
        self.run_ready();
        self.run_timers();
        self.run_deferred();
        self.flush();
        self.close();
        self.drop_cancelled();
        Ok(())
    }

    fn wait(&mut self, max_wait: Option<Duration>) -> Option<Duration> {
        if self.has_work() {
            return Some(Duration::ZERO);
        }
        let Some(deadline) = self.core.timers.next() else {
            return max_wait;
        };
        let until = deadline.since(self.driver.now());
        Some(max_wait.map_or(until, |max| max.min(until)))
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
                    } else if let Some(udp) = self.core.udp_mut(key) {
                        udp.readable |= readable;
                        udp.writable |= writable;
                    } else if let Some(watching) = self.core.watching_mut(key) {
                        watching.ready = watching.ready | Readiness { readable, writable };
                    }
                    self.core.enqueue(key);
                }
                Event::Signal(signal) => self.signals.push(signal),
                Event::Exited { key, status } => self.core.note_exit(key, status),
            }
        }
    }

    fn run_signals(&mut self) {
        let mut signals = std::mem::take(&mut self.signals);
        for signal in signals.drain(..) {
            self.run_signal(signal);
        }
        self.signals = signals;
    }

    fn run_signal(&mut self, signal: i32) {
        for index in 0..self.tasks.signals.len() {
            let (wanted, work) = &mut self.tasks.signals[index];
            if !wanted.contains(&signal) {
                continue;
            }
            if let Some(mut work) = work.take() {
                self.lend(|cx| work(cx, signal));
                self.tasks.signals[index].1 = Some(work);
                self.after_callback();
            }
        }
    }

    fn run_jobs(&mut self) {
        let mut jobs = std::mem::take(&mut self.jobs);
        self.tasks.remote.take_jobs(&mut jobs);
        for job in jobs.drain(..) {
            self.lend(job);
            self.after_callback();
        }
        self.jobs = jobs;
        // Calls that were put off: nothing may follow that would bring them about.
        self.after_callback();
    }

    fn run_ready(&mut self) {
        for _ in 0..self.core.ready.len() {
            let Some(key) = self.core.ready.pop_front() else {
                break;
            };
            if let Some(listening) = self.core.listening_mut(key) {
                listening.in_ready = false;
                self.accept(key);
            } else if let Some(conn) = self.core.conn_mut(key) {
                conn.in_ready = false;
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
                    .is_some_and(|conn| conn.writable && !conn.outbound.is_empty())
                {
                    self.core.mark_dirty(key);
                }
            } else if let Some(udp) = self.core.udp_mut(key) {
                udp.in_ready = false;
                self.run_udp(key);
            } else {
                self.watch_is_ready(key);
            }
            self.after_callback();
        }
    }

    fn run_timers(&mut self) {
        let pass = self.core.timers.pass();
        while let Some(due) = self.core.timers.pop(self.core.now, pass) {
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
                        .is_some_and(|watching| watching.why.is_none())
                    {
                        self.call_watch(key, "on_timer", |watch, cx| watch.on_timer(cx, timer));
                    } else if !self.run_udp_timer(key, timer)
                        && let Some(timer) = due.again
                    {
                        self.core.timers.cancel(timer);
                    }
                }
                Target::Closure(closure) => self.run_closure(closure, due.again.is_some()),
                Target::AcceptAgain(listener) => {
                    if let Some(listening) = self.core.listening_mut(listener) {
                        listening.resting = false;
                        self.core.enqueue(listener);
                    }
                }
                Target::ConnectDeadline(key) => self.check_connect_deadline(key),
                Target::ReceiveAgain(key) => self.receive_again(key),
                Target::WriteDeadline(key) => self.check_write_deadline(key),
                Target::IdleDeadline(key) => self.core.check_idle_deadline(key),
                Target::Linger(key) => self.check_linger(key),
                Target::ShutdownDeadline => self.core.stopping = true,
            }
            self.after_callback();
            self.drop_cancelled();
        }
        self.drop_cancelled();
    }

    fn run_closure(&mut self, closure: usize, periodic: bool) {
        let Some(Some(mut work)) = self.tasks.closures.get_mut(closure).map(Option::take) else {
            return;
        };
        self.lend(|cx| work(cx));
        if periodic && !self.core.cancelled.contains(&closure) {
            self.tasks.closures[closure] = Some(work);
        } else if !periodic {
            self.tasks.closures.remove(closure);
        }
    }

    fn drop_cancelled(&mut self) {
        for closure in self.core.cancelled.drain(..) {
            self.tasks.closures.try_remove(closure);
        }
    }

    fn run_deferred(&mut self) {
        for _ in 0..self.tasks.deferred.len() {
            let Some(work) = self.tasks.deferred.pop_front() else {
                break;
            };
            self.lend(work);
            self.after_callback();
        }
    }

    fn close(&mut self) {
        let mut closing = std::mem::take(&mut self.core.closing);
        for key in closing.drain(..) {
            if self.awaits_exit(key) {
                continue;
            }
            let why = match self.core.conn_mut(key) {
                Some(conn) => conn.why.take(),
                None => self
                    .core
                    .watching_mut(key)
                    .and_then(|watching| watching.why.take()),
            };
            let why = why.unwrap_or(Close::Local);
            self.call(key, "on_close", |handler, cx| handler.on_close(cx, &why));
            self.call_watch(key, "on_close", |watch, cx| watch.on_close(cx, &why));
            self.close_udp(key);
            self.tell_feeder(key);
            self.forget(key);
            if let Some(after) = self.tasks.after_close.remove(&key) {
                self.lend(|cx| after(cx, why));
            }
            self.after_callback();
        }
        closing.append(&mut self.core.closing);
        self.core.closing = closing;
        if self.core.shutting_down && self.core.is_drained() {
            self.core.stopping = true;
        }
    }

    fn forget(&mut self, key: Key) {
        self.driver.close(key);
        self.core.release(key);
        if let Some(slot) = self.slots.get_mut(key.index()) {
            *slot = None;
        }
    }

    /// The loop is over: every handler that is left learns of it.
    fn end(&mut self) {
        self.tasks.remote.end();
        self.tasks.offloads.clear();
        for key in self.core.keys() {
            self.core.close(key, Close::Shutdown);
        }
        self.close();
        // What those handlers have opened in `on_close` goes without a call.
        for key in self.core.keys() {
            self.forget(key);
        }
    }

    /// Calls `work`, which belongs to no connection.
    fn lend<R>(&mut self, work: impl FnOnce(&mut Context<'_, S>) -> R) -> R {
        self.core.produced = 0;
        self.record(Key::NONE, "closure");
        let result = work(&mut Context {
            state: &mut self.state,
            io: Io {
                core: &mut self.core,
                driver: &mut *self.driver,
            },
            key: Key::NONE,
            tasks: &mut self.tasks,
        });
        self.install();
        result
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
        self.core.produced = 0;
        let io = Io {
            core: &mut self.core,
            driver: &mut *self.driver,
        };
        let (state, tasks) = (&mut self.state, &mut self.tasks);
        let result = f(
            slot,
            &mut Context {
                state,
                io,
                key,
                tasks,
            },
        );
        self.install();
        result
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
