//! `Io`: what may be asked for any connection, without a word of the shared state's type.

use crate::core::{Core, Phase, Target};
use crate::outbound::QUEUE_BYTES_MAX;
use crate::pause::Pause;
use crate::{Close, Driver, Key, Time, TimerId};
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

mod chance;
mod datagram;
mod layer;
mod lifecycle;
mod output;
mod proxy;
mod stream;

pub use output::Writer;

/// How long [`Io::close_after_write`] waits for a peer that reads nothing.
pub const LINGER: Duration = Duration::from_secs(30);

/// The sockets and timers of a reactor, as handlers see them.
///
/// Not generic: pass `&mut cx.io` on to functions that send. Every call with the key of a
/// connection that has gone does nothing and answers `false`, `None` or zero.
pub struct Io<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) driver: &'a mut dyn Driver,
}

impl fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("now", &self.core.now)
            .finish_non_exhaustive()
    }
}

impl Io<'_> {
    /// The instant this turn began. It does not move while handlers run; what is armed counts from
    /// the call that arms it.
    #[doc(alias = "current_time")]
    #[must_use]
    pub fn now(&self) -> Time {
        self.core.now
    }

    /// Reads the clock: what is armed now counts from this instant, however long the turn has
    /// taken.
    pub(crate) fn read_clock(&mut self) -> Time {
        self.core.clock = self.driver.now();
        self.core.clock
    }

    /// Since when the loop has not stood still: the end of the last time in which it came a tenth of a
    /// second or more too late to something that was due, since the process was stopped, a callback
    /// blocked, or the machine was busy. [`Time::ZERO`] if that has not happened.
    ///
    /// To judge a peer by how long ago something was, count from then at the earliest.
    #[must_use]
    pub fn resumed(&self) -> Time {
        self.core.resumed
    }

    /// A random number; the same ones in each run of one simulated seed. Not for secrets.
    pub fn random(&mut self) -> u64 {
        self.core.random()
    }

    /// Whether the world is simulated. Then what is to be the same in each run of one seed, secrets as well, is made
    /// of [`random`](Io::random) numbers, and else of the system's.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.core.is_simulated
    }

    /// Bytes queued since the handler or closure that is running now was called, over all
    /// connections: what to look at before going on with a long input (see
    /// [`Context::yield_now`](crate::Context::yield_now)).
    #[must_use]
    pub fn produced(&self) -> usize {
        self.core.produced
    }

    /// Bytes that the handler running now should still queue, over all connections, before it leaves the
    /// rest of its input for another turn: zero if it has had its share of the turn.
    #[inline]
    #[must_use]
    pub fn output_left(&self) -> usize {
        self.core.turn.output_max.saturating_sub(self.core.produced)
    }

    /// Whether the handler running now has had its time, and should [yield](crate::Context::yield_now).
    /// Looks at the clock: ask now and then during work that is long.
    #[must_use]
    pub fn is_time_up(&mut self) -> bool {
        self.driver.now() >= self.core.turn.until
    }

    /// Whether the connection exists and is not being closed.
    #[must_use]
    pub fn is_open(&self, key: Key) -> bool {
        let udp = self.core.udp(key);
        self.core.is_open(key) || udp.is_some_and(|udp| udp.phase == Phase::Open)
    }

    /// Whether the system has told that the peer sends no more: it has closed its side, or all of the
    /// connection, or is gone. What it has sent before may still be unread. A connection that is read
    /// hears of it by [`on_eof`](crate::Handler::on_eof) or [`on_close`](crate::Handler::on_close); this
    /// is for one that is [paused](Io::pause). False for what is no connection, and for some drivers
    /// that cannot tell.
    #[must_use]
    pub fn has_hung_up(&self, key: Key) -> bool {
        self.core.conn(key).is_some_and(|conn| conn.hangup)
    }

    /// Whether something of what the peer has sent is known to be still unread, in the kernel, or here
    /// since the handler has yielded. False for what is no connection.
    #[must_use]
    pub fn has_unread(&self, key: Key) -> bool {
        self.core
            .conn(key)
            .is_some_and(|conn| conn.rescan || (conn.readable && !conn.eof))
    }

    /// Bytes queued and not yet taken by the kernel.
    #[doc(alias = "get_outbound_data_size")]
    #[must_use]
    pub fn queued(&self, key: Key) -> usize {
        match self.core.conn(key) {
            Some(conn) => conn.queued(),
            None => self.core.udp(key).map_or(0, |udp| udp.packets.bytes()),
        }
    }

    /// How many connections have queues that are [`congested`](Io::congested): a cheap look before
    /// a closer one.
    #[must_use]
    pub fn congested_count(&self) -> usize {
        self.core.total.congested()
    }

    /// Whether any queue is [`congested`](Io::congested), or all together are [a crowd](Io::is_crowded).
    #[inline]
    #[must_use]
    pub fn any_congested(&self) -> bool {
        self.core.total.is_behind()
    }

    /// Bytes of memory that the queue of a connection holds, as of its last flush: what it adds to
    /// [`total_queued`](Io::total_queued). That may be more than is [`queued`](Io::queued), for a block
    /// of 256 KiB of which the peer has taken most stays whole, or less, for what was queued since then
    /// is not counted yet. Zero for what is closing, and for sockets for datagrams.
    #[must_use]
    pub fn held(&self, key: Key) -> usize {
        self.core.conn(key).map_or(0, |conn| conn.counted)
    }

    /// Bytes of memory that all queues hold together, each as of its last flush. Costs nothing.
    #[must_use]
    pub fn total_queued(&self) -> usize {
        self.core.total.bytes
    }

    /// Whether all queues together have reached their high mark and not yet fallen to the low one.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.core.total.is_crowded()
    }

    /// Sets where all queues together count as a crowd (`high`) and where no longer (`low`), in bytes.
    /// By default they never do. Nothing follows from it but [`is_crowded`](Io::is_crowded).
    pub fn total_watermarks(&mut self, low: usize, high: usize) {
        let total = &mut self.core.total;
        (total.low, total.high) = (low.min(high), high);
        total.judge();
    }

    /// The marks set by [`total_watermarks`](Io::total_watermarks).
    #[must_use]
    pub fn total_marks(&self) -> (usize, usize) {
        (self.core.total.low, self.core.total.high)
    }

    /// Bytes of this connection that the kernel has taken so far.
    #[must_use]
    pub fn written(&self, key: Key) -> u64 {
        self.core.conn(key).map_or(0, |conn| conn.written)
    }

    /// Most bytes that are queued for this connection: see [`watermarks`](Io::watermarks).
    #[must_use]
    pub fn queue_max(&self, key: Key) -> usize {
        self.core.conn(key).map_or(0, |conn| conn.max)
    }

    /// Whether the queue has reached its high mark and not yet fallen to the low one.
    #[must_use]
    pub fn congested(&self, key: Key) -> bool {
        self.core.conn(key).is_some_and(|conn| conn.congested)
    }

    /// Whether `len` more bytes would be queued, and change nothing that anyone has to be told: they
    /// neither reach the high mark nor pass the bound. A look before a batch is made.
    #[must_use]
    pub fn has_room(&self, key: Key, len: usize) -> bool {
        self.core.conn(key).is_some_and(|conn| {
            conn.outbound.has_window(len) || (conn.takes_output() && len < conn.to_next_mark())
        })
    }

    /// When the kernel last took bytes of this connection, or when its queue was last empty: since
    /// when what is queued has not moved. The present turn where the kernel has room, and it is the
    /// loop that has yet to write.
    #[must_use]
    pub fn last_progress(&self, key: Key) -> Option<Time> {
        self.core.conn(key).map(|conn| match conn.is_owed() {
            true => self.core.now,
            false => conn.last_progress,
        })
    }

    /// Sets where a queue counts as congested (`high`), where it no longer does and `on_drain` is
    /// called (`low`), and where the connection is closed instead of queueing more (`max`): all in
    /// bytes. The defaults are 512 KiB, 1 MiB and 64 MiB; no queue is ever longer than
    /// [`QUEUE_BYTES_MAX`].
    pub fn watermarks(&mut self, key: Key, low: usize, high: usize, max: usize) {
        if let Some(conn) = self.core.conn_mut(key) {
            conn.max = max.min(QUEUE_BYTES_MAX);
            conn.high = high.min(conn.max);
            conn.low = low.min(conn.high);
            conn.outbound.shut_window();
            conn.invariants();
        }
    }

    /// Sets how many bytes a handler may leave unread; when it has left more, the connection is closed
    /// with [`Close::InputFull`]. The default is 64 MiB. A parser that waits for the end of a longer
    /// message, also one that asks for it with [`Input::need`](crate::Input::need), sets more; one that
    /// knows its longest message sets that. The adapters of [`codec`](crate::codec) have bounds of
    /// their own, and set none here.
    ///
    /// What a [paused](Io::pause) connection has left waits for as long as it likes, and so does what
    /// is left for [the next turn](crate::Context::yield_now).
    pub fn input_max(&mut self, key: Key, bytes: usize) {
        if let Some(conn) = self.core.conn_mut(key) {
            conn.input_max = bytes;
        }
    }

    /// Closes the connection with [`Close::WriteTimeout`] when what was queued at one moment has
    /// not left `timeout` later; `None`, the default, waits for ever.
    ///
    /// All that is queued counts as one write: a peer that takes a byte now and then is not saved by it.
    pub fn write_timeout(&mut self, key: Key, timeout: Option<Duration>) {
        if let Some(conn) = self.core.conn_mut(key) {
            conn.write_timeout = timeout;
            if let Some(timer) = conn.write_timer.take() {
                self.core.timers.cancel(timer);
            }
            self.core.mark_dirty(key);
        }
    }

    /// Closes the connection with [`Close::IdleTimeout`] when no byte has moved, in either direction,
    /// for `timeout`; `None`, the default, waits for ever. Replaces the timeout set before.
    ///
    /// The time counts from the last byte that moved, or from the opening, also if that was before
    /// this call. It does not run while a connect is under way or [`close_after_write`] waits for the
    /// last bytes, which have limits of their own, nor while reading is [paused](Io::pause): nobody
    /// can tell then whether the peer is silent. [`resume`](Io::resume) begins it anew.
    ///
    /// Cost: one timer for each connection; bytes that move only note the time.
    ///
    /// [`close_after_write`]: Io::close_after_write
    #[doc(alias = "comm_inactivity_timeout")]
    #[doc(alias = "set_comm_inactivity_timeout")]
    pub fn idle_timeout(&mut self, key: Key, timeout: Option<Duration>) {
        if let Some(conn) = self.core.conn_mut(key) {
            conn.idle_timeout = timeout;
            if let Some(timer) = conn.idle_timer.take() {
                self.core.timers.cancel(timer);
            }
            self.read_clock();
            self.core.arm_idle_timer(key);
        }
    }

    /// How long ago a byte last moved, in either direction, or the connection opened, or reading was
    /// resumed.
    #[doc(alias = "get_idle_time")]
    #[must_use]
    pub fn idle_for(&self, key: Key) -> Duration {
        let conn = self.core.conn(key);
        conn.map_or(Duration::ZERO, |conn| {
            self.core.now.since(conn.last_activity)
        })
    }

    /// Stops reading from the connection. What the peer sends waits in the kernel, and at last in
    /// the peer. Output goes on.
    ///
    /// This is the program's own pause: the one that [`proxy`](Io::proxy) makes when its target is
    /// full is another, and neither ends the other.
    pub fn pause(&mut self, key: Key) {
        match self.core.udp_mut(key) {
            Some(udp) => udp.paused = true,
            None => self.core.pause(key, Pause::Program),
        }
    }

    /// Reads again, beginning with what was left unread.
    pub fn resume(&mut self, key: Key) {
        if let Some(udp) = self.core.udp_mut(key) {
            if std::mem::replace(&mut udp.paused, false) {
                self.core.enqueue(key);
            }
        } else {
            self.read_clock();
            self.core.unpause(key, Pause::Program);
        }
    }

    /// Whether reading is stopped by [`pause`](Io::pause).
    #[doc(alias = "paused?")]
    #[must_use]
    pub fn is_paused(&self, key: Key) -> bool {
        match self.core.conn(key) {
            Some(conn) => conn.pauses.has(Pause::Program),
            None => self.core.udp(key).is_some_and(|udp| udp.paused),
        }
    }

    /// Closes a connection or a listener at the end of this turn. What is queued is not sent.
    #[doc(alias = "close_connection")]
    #[doc(alias = "stop_server")]
    pub fn close(&mut self, key: Key) -> bool {
        self.core.close(key, Close::Local)
    }

    /// Closes a connection once all that is queued has left, or when nothing of it has for
    /// [`LINGER`]. No further input
    /// is given to the handler, nothing more can be sent. A connect that is still under way is given
    /// up at once.
    #[doc(alias = "close_connection_after_writing")]
    pub fn close_after_write(&mut self, key: Key) -> bool {
        self.read_clock();
        self.core.close_after_write(key, Close::Local, LINGER)
    }

    /// Closes a connection at the end of this turn; its handler is told [`Close::Failed`] with
    /// `error`. What is queued is not sent.
    pub fn fail(&mut self, key: Key, error: impl Into<Box<dyn Error + Send + Sync>>) -> bool {
        // A listener has no handler to tell.
        let core = &mut *self.core;
        let has_handler =
            core.conn(key).is_some() || core.udp(key).is_some() || core.watching(key).is_some();
        has_handler && core.close(key, Close::Failed(error.into()))
    }

    /// As [`fail`](Io::fail), once all that is queued has left: for a peer that is to be told what it
    /// has done wrong. Ends as [`close_after_write`](Io::close_after_write) does.
    pub fn fail_after_write(
        &mut self,
        key: Key,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> bool {
        let why = Close::Failed(error.into());
        match self.core.watching(key) {
            // It has no output.
            Some(_) => self.core.close(key, why),
            None => {
                self.read_clock();
                self.core.close_after_write(key, why, LINGER)
            }
        }
    }

    /// Ends the outgoing direction once all that is queued has left; input goes on until the peer
    /// ends too.
    pub fn shutdown_write(&mut self, key: Key) {
        self.core.shutdown_write(key);
    }

    /// The far end's address: of an accepted connection, or the one given to `connect`. `None` while
    /// the name given to [`connect_host`](crate::Context::connect_host) is looked up, and for Unix
    /// sockets and pipes.
    #[doc(alias = "get_peername")]
    #[must_use]
    pub fn peer_addr(&self, key: Key) -> Option<SocketAddr> {
        match self.core.conn(key) {
            Some(conn) => conn.peer,
            None => self.core.udp(key).and_then(|udp| udp.peer),
        }
    }

    /// This end's address; `None` while a connect is under way, and for Unix sockets and pipes.
    #[doc(alias = "get_sockname")]
    #[must_use]
    pub fn local_addr(&self, key: Key) -> Option<SocketAddr> {
        match self.core.conn(key) {
            Some(conn) => conn.local,
            None => self.core.udp(key).map(|udp| udp.local),
        }
    }

    /// Calls `on_timer` of `key` with the number `timer` after `delay`, unless the connection has gone.
    /// The delay counts from this call. What had come for the connection by then is given to it first.
    ///
    /// Allocates nothing. Timers that a connection leaves behind are forgotten in time: there are
    /// never many more of them than of others.
    pub fn set_timer(&mut self, key: Key, delay: Duration, timer: u64) -> TimerId {
        self.read_clock();
        self.core.arm(delay, None, Target::Handler(key, timer))
    }

    /// As [`set_timer`](Io::set_timer), for what the peer has to do within `timeout`. If the loop has
    /// stood still in that time (see [`resumed`](Io::resumed)), the peer gets all of it once more,
    /// and `on_timer` is called after that; and again if the loop was late by half of that time.
    pub fn set_deadline(&mut self, key: Key, timeout: Duration, timer: u64) -> TimerId {
        self.read_clock();
        self.core.arm_deadline(timeout, Target::Handler(key, timer))
    }

    /// As [`set_timer`](Io::set_timer), again and again. The period does not drift; periods missed
    /// altogether are left out.
    pub fn set_interval(&mut self, key: Key, period: Duration, timer: u64) -> TimerId {
        self.read_clock();
        let target = Target::Handler(key, timer);
        self.core.arm(period, Some(period), target)
    }

    /// Forgets a timer. `false` if it has fired or was cancelled before.
    #[doc(alias = "cancel_timer")]
    pub fn cancel(&mut self, timer: TimerId) -> bool {
        match self.core.timers.cancel(timer) {
            Some(Target::Closure(closure)) => {
                self.core.cancelled.push(closure);
                true
            }
            other => other.is_some(),
        }
    }

    /// Connections of this reactor, listeners not counted.
    #[doc(alias = "connection_count")]
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.connections()
    }

    /// Stops the reactor at the end of this turn. What is deferred still runs, and what is queued is not
    /// sent; see [`shutdown`](Io::shutdown).
    #[doc(alias = "stop_event_loop")]
    pub fn stop(&mut self) {
        self.core.stopping = true;
    }

    /// Stops in good order: closes the listeners, closes each connection once its queue has left,
    /// and stops the reactor when none is open or `grace` is over.
    ///
    /// Connections that are cut off by the end of `grace` see [`Close::Shutdown`], with
    /// [`queued`](Io::queued) telling what was lost.
    pub fn shutdown(&mut self, grace: Duration) {
        if std::mem::replace(&mut self.core.shutting_down, true) {
            return;
        }
        let end = self.read_clock() + grace;
        // No deadline: it is the program's own time, and no peer can make it longer.
        self.core.timers.arm(end, None, Target::ShutdownDeadline);
        for key in self.core.keys() {
            if self.core.listening_mut(key).is_some() {
                self.core.close(key, Close::Shutdown);
            } else {
                self.core.close_after_write(key, Close::Shutdown, grace);
            }
        }
    }
}
