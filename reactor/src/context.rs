//! `Context`: what a handler may ask while it runs.

use crate::core::Target;
use crate::datagram::Datagram;
use crate::handler::{Accept, Handler};
use crate::io::Io;
use crate::offload::Offloads;
use crate::process::Gathering;
use crate::remote::Remote;
use crate::{Close, ConnectOptions, Endpoint, Key, ListenOptions, Time, TimerId, Watch, Writer};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

mod adopting;
mod call;
mod connect_host;
mod connecting;
mod datagram;
mod flow;
mod lifecycle;
mod offload;
mod options;
#[cfg(feature = "tls")]
mod tls;
mod unix;
mod watching;

pub use lifecycle::EachTurn;

pub(crate) type Deferred<S> = Box<dyn FnOnce(&mut Context<'_, S>)>;
pub(crate) type TimerClosure<S> = Box<dyn FnMut(&mut Context<'_, S>)>;
pub(crate) type PanicHook<S> = Box<dyn FnMut(&mut Context<'_, S>, Key, &str)>;
pub(crate) type AfterClose<S> = Box<dyn FnOnce(&mut Context<'_, S>, Close)>;
pub(crate) type SignalClosure<S> = Box<dyn FnMut(&mut Context<'_, S>, i32)>;

/// A call of a handler by another.
pub(crate) type Call<S> = (Key, HandlerClosure<S>);
pub(crate) type HandlerClosure<S> = Box<dyn FnOnce(&mut dyn Handler<S>, &mut Context<'_, S>)>;

/// A handler as the reactor keeps it.
pub(crate) enum Slot<S> {
    Listener(Box<dyn Accept<S>>),
    Conn(Box<dyn Handler<S>>),
    Datagram(Box<dyn Datagram<S>>),
    Watch(Box<dyn Watch<S>>),
}

/// Work that names the type of the shared state, and so cannot live in `Core`.
pub(crate) struct Tasks<S> {
    /// Handlers made during a callback; they take their places when it has returned.
    pub(crate) new: Vec<(Key, Slot<S>)>,
    pub(crate) deferred: VecDeque<Deferred<S>>,
    /// `None` while the closure runs.
    pub(crate) closures: Slab<Option<TimerClosure<S>>>,
    pub(crate) signals: Vec<(Vec<i32>, Option<SignalClosure<S>>)>,
    /// Hooks for the end, the first to run last.
    pub(crate) on_shutdown: Vec<Deferred<S>>,
    /// Commands whose output is being collected.
    pub(crate) commands: Slab<Gathering<S>>,
    /// Calls of other handlers, for as soon as the present callback has returned.
    pub(crate) calls: VecDeque<Call<S>>,
    pub(crate) offloads: Offloads<S>,
    /// What is to be done when a connection has gone, by those who keep one up.
    pub(crate) after_close: BTreeMap<Key, AfterClose<S>>,
    pub(crate) remote: Remote<S>,
}

/// The reactor, lent to a handler for one call.
///
/// `cx.state` and `cx.io` are fields, so that a loop over the one may send by the other. Calls
/// named here act on the connection being called; those of [`Io`] take any key.
#[doc(alias = "reactor_thread?")]
pub struct Context<'a, S = ()> {
    /// What all handlers share.
    pub state: &'a mut S,
    /// Sockets and timers.
    pub io: Io<'a>,
    pub(crate) key: Key,
    pub(crate) tasks: &'a mut Tasks<S>,
}

impl<S> fmt::Debug for Context<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("key", &self.key)
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}

impl<S> Context<'_, S> {
    /// The connection being called; [`Key::NONE`] in timers, deferred work and posted jobs.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// The instant this turn began: see [`Io::now`].
    #[must_use]
    pub fn now(&self) -> Time {
        self.io.now()
    }

    /// Queues a copy of `bytes`, which may be text, for this connection: see [`Io::send`].
    ///
    /// ```
    /// # use midge_reactor::Context;
    /// fn greet(cx: &mut Context<'_>, name: &str) {
    ///     cx.send("hello ");
    ///     cx.send(name);
    ///     cx.send(b"\r\n");
    ///     write!(cx, "{} of you are here\r\n", cx.io.connections());
    /// }
    /// ```
    ///
    /// What lies in the shared state is sent by `cx.io`, a field beside `cx.state`: the compiler knows
    /// that one may be read while the other is written to. `cx.send(&cx.state.greeting)` would borrow
    /// all of `cx` twice.
    ///
    /// ```
    /// # use midge_reactor::Context;
    /// struct Shared {
    ///     greeting: String,
    /// }
    ///
    /// fn greet(cx: &mut Context<'_, Shared>) {
    ///     let key = cx.key();
    ///     cx.io.send(key, &cx.state.greeting);
    /// }
    /// ```
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.io.send(self.key, bytes)
    }

    /// Queues formatted text for this connection, by `write!(cx, ..)`: see [`Io::send_fmt`].
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> bool {
        self.io.send_fmt(self.key, text)
    }

    /// Lends the end of this connection's queue: see [`Io::writer`].
    pub fn writer(&mut self, len: usize) -> Option<Writer<'_>> {
        self.io.writer(self.key, len)
    }

    /// Bytes queued for this connection and not yet sent. In `on_close`: those that never will be.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.io.queued(self.key)
    }

    /// Closes this connection at the end of this turn: see [`Io::close`].
    pub fn close(&mut self) {
        self.io.close(self.key);
    }

    /// Closes this connection once its output has left: see [`Io::close_after_write`].
    pub fn close_after_write(&mut self) {
        self.io.close_after_write(self.key);
    }

    /// Closes this connection at the end of this turn with `error` as the reason: see [`Io::fail`].
    pub fn fail(&mut self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        self.io.fail(self.key, error);
    }

    /// As [`fail`](Context::fail), once its output has left: see [`Io::fail_after_write`].
    pub fn fail_after_write(&mut self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        self.io.fail_after_write(self.key, error);
    }

    /// What `on_input` has left unread: in `on_eof` and `on_close` the beginning of a message whose
    /// end will not come. Empty while `on_input` runs, which has it all in its `input`.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        let conn = self.io.core.conn(self.key);
        conn.map_or(&[], |conn| conn.carry.unread())
    }

    /// Stops reading from this connection: see [`Io::pause`].
    pub fn pause(&mut self) {
        self.io.pause(self.key);
    }

    /// Ends this `on_input` early: what is left unread comes again next turn, after all others
    /// has had theirs. For input that makes more work than its length tells.
    pub fn yield_now(&mut self) {
        self.io.core.yielded = true;
    }

    /// The far end's address.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.io.peer_addr(self.key)
    }

    /// This end's address.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.io.local_addr(self.key)
    }

    /// Calls `on_timer` of this connection with the number `timer`: see [`Io::set_timer`].
    pub fn set_timer(&mut self, delay: Duration, timer: u64) -> TimerId {
        self.io.set_timer(self.key, delay, timer)
    }

    /// As [`set_timer`](Context::set_timer), for what the peer has to do within `timeout`: see
    /// [`Io::set_deadline`].
    pub fn set_deadline(&mut self, timeout: Duration, timer: u64) -> TimerId {
        self.io.set_deadline(self.key, timeout, timer)
    }

    /// As [`set_timer`](Context::set_timer), again and again: see [`Io::set_interval`].
    pub fn set_interval(&mut self, period: Duration, timer: u64) -> TimerId {
        self.io.set_interval(self.key, period, timer)
    }

    /// Closes this connection when no byte moves for `timeout`: see [`Io::idle_timeout`].
    pub fn idle_timeout(&mut self, timeout: Option<Duration>) {
        self.io.idle_timeout(self.key, timeout);
    }

    /// How long ago a byte of this connection last moved: see [`Io::idle_for`].
    #[must_use]
    pub fn idle_for(&self) -> Duration {
        self.io.idle_for(self.key)
    }

    /// Stops the reactor at the end of this turn: see [`Io::stop`].
    pub fn stop(&mut self) {
        self.io.stop();
    }

    /// Listens on `addr`; `accept` makes a handler for each connection. With port 0 the system
    /// picks one: [`listening_on`](Context::listening_on) tells which. If `addr` is a name, it is
    /// looked up here and now, and the loop waits for that: give an address where others would wait
    /// as well.
    ///
    /// If `addr` stands for several addresses, as `localhost` often does, all of them are listened on
    /// as one listener, with the same port where the system picks it. Those that this machine does
    /// not have are left out with a warning, as long as there is one that it has.
    ///
    /// # Errors
    /// Those of the system: the port is in use, the address is not this machine's, no right to the
    /// port, too many open files; a name that is not known. The text names what was asked; the
    /// system's own error is its source. Nothing is left behind.
    #[doc(alias = "start_server")]
    pub fn listen<H: Handler<S> + 'static>(
        &mut self,
        addr: impl Endpoint,
        accept: impl FnMut(&mut Context<'_, S>) -> H + 'static,
    ) -> io::Result<Key> {
        self.listen_with(addr, &ListenOptions::default(), accept)
    }

    /// As [`listen`](Context::listen), with options, and with an acceptor that may choose among
    /// handlers of several types and hears of errors.
    ///
    /// # Errors
    /// As [`listen`](Context::listen).
    pub fn listen_with(
        &mut self,
        addr: impl Endpoint,
        options: &ListenOptions,
        accept: impl Accept<S> + 'static,
    ) -> io::Result<Key> {
        let key = self.io.core.reserve();
        match self.io.listen_on(key, &addr.place(), options) {
            Ok(bound) => {
                let addr = bound[0].into();
                self.io.core.set_listening(key, addr, options).addrs = bound;
                self.tasks.new.push((key, Slot::Listener(Box::new(accept))));
                Ok(key)
            }
            Err(error) => {
                self.io.core.release(key);
                Err(error)
            }
        }
    }

    /// The address a listener is bound to, with the port the system has picked; the first, if there
    /// are several. `None` for Unix sockets.
    #[must_use]
    pub fn listening_on(&mut self, listener: Key) -> Option<SocketAddr> {
        self.listening_on_all(listener).first().copied()
    }

    /// The addresses a listener is bound to. None for Unix sockets.
    #[must_use]
    pub fn listening_on_all(&mut self, listener: Key) -> &[SocketAddr] {
        let listening = self.io.core.listening_mut(listener);
        listening.map_or(&[], |listening| &listening.addrs)
    }

    /// Connects to `addr`. Never fails here: a connect that does not succeed within
    /// [`CONNECT_TIMEOUT`](crate::CONNECT_TIMEOUT) ends in `on_close` without `on_open`.
    ///
    /// What is sent before it is open waits in the queue.
    pub fn connect(&mut self, addr: SocketAddr, handler: impl Handler<S> + 'static) -> Key {
        self.connect_with(addr, &ConnectOptions::default(), handler)
    }

    /// Runs `work` later in this turn, after input and timers; what is deferred from there runs in
    /// the next turn, with a poll in between.
    #[doc(alias = "next_tick")]
    pub fn defer(&mut self, work: impl FnOnce(&mut Context<'_, S>) + 'static) {
        self.tasks.deferred.push_back(Box::new(work));
    }

    /// Runs `work` once, after `delay` from this call.
    #[doc(alias = "add_timer")]
    #[doc(alias = "EM::Timer")]
    pub fn after(
        &mut self,
        delay: Duration,
        work: impl FnOnce(&mut Context<'_, S>) + 'static,
    ) -> TimerId {
        let mut work = Some(work);
        let once = move |cx: &mut Context<'_, S>| {
            if let Some(work) = work.take() {
                work(cx);
            }
        };
        self.arm_closure(delay, None, Box::new(once))
    }

    /// Runs `work` again and again, without drift.
    #[doc(alias = "add_periodic_timer")]
    #[doc(alias = "EM::PeriodicTimer")]
    pub fn every(
        &mut self,
        period: Duration,
        work: impl FnMut(&mut Context<'_, S>) + 'static,
    ) -> TimerId {
        self.arm_closure(period, Some(period), Box::new(work))
    }

    fn arm_closure(
        &mut self,
        delay: Duration,
        period: Option<Duration>,
        work: TimerClosure<S>,
    ) -> TimerId {
        let place = self.tasks.closures.vacant_entry();
        self.io.read_clock();
        let armed = (self.io.core).arm(delay, period, Target::Closure(place.key()));
        // Not before: a timer that is refused must not leave its closure behind.
        place.insert(Some(work));
        armed
    }

    /// Calls `work` on this thread with the number of each signal of `signals` that comes; their
    /// names stand in [`signal`](crate::signal).
    ///
    /// ```
    /// use midge_reactor::signal::{SIGINT, SIGTERM};
    /// use midge_reactor::run;
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// run(|cx| {
    ///     cx.on_signals(&[SIGINT, SIGTERM], |cx, _| cx.io.shutdown(Duration::from_secs(5)))?;
    /// #   cx.stop();
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the system; `InvalidInput` for a signal that cannot be caught; `Unsupported` where
    /// the driver has no signals.
    pub fn on_signals(
        &mut self,
        signals: &[i32],
        work: impl FnMut(&mut Context<'_, S>, i32) + 'static,
    ) -> io::Result<()> {
        self.io.driver.watch_signals(signals)?;
        self.tasks
            .signals
            .push((signals.to_vec(), Some(Box::new(work))));
        Ok(())
    }

    /// A handle that other threads may use.
    #[must_use]
    pub fn remote(&self) -> Remote<S> {
        self.tasks.remote.clone()
    }
}
