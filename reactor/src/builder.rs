//! `Builder`: a reactor with settings of its own, and `PanicPolicy`, one of them.

use crate::context::PanicHook;
use crate::core::Times;
use crate::spin::Spin;
use crate::{Context, Driver, Key, MioDriver, Reactor};
use crate::{offload, remote};
use std::fmt;
use std::io;
use std::time::Duration;

/// Bytes of the one read buffer that all connections share. Below 128 KiB the calls begin to show.
const READ_BYTES: usize = 128 * 1024;

/// Less would leave no room for a read behind bytes that were left unread.
const READ_BYTES_MIN: usize = 64;

/// What becomes of a panic in a handler or a closure.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PanicPolicy {
    /// It leaves [`turn`](Reactor::turn) or [`run`](Reactor::run) and goes on in the caller. The
    /// default.
    ///
    /// The reactor stays usable, for those who catch it: the next turn goes on behind the item that
    /// has panicked. A connection whose handler has panicked is closed then, and the handler is
    /// dropped without a call of `on_close`: its state may be broken.
    ///
    /// Costs nothing: what is caught is caught once in a turn.
    #[default]
    Propagate,
    /// The connection whose handler has panicked is closed, with [`Close::Panicked`] as the reason,
    /// and the loop goes on.
    ///
    /// The handler is dropped at once, without a call of `on_close`: its state may be broken. (So
    /// may be the state that all handlers share, if the panic came between two changes of it.
    /// Choosing this policy says that it is not.) What the handler has queued for this or other
    /// connections is not taken back: what was queued for others is sent.
    ///
    /// A panic in a closure (timer, deferred work, posted job, signal, shutdown hook) or in a
    /// listener's acceptor ends that call and nothing else. A periodic timer ends with it; the
    /// closure for a signal stays, or nothing would hear the signal any more. A connection whose
    /// acceptor has panicked has no handler and is closed.
    ///
    /// Each time the hook runs: see [`Builder::on_handler_panic`]. A program built with
    /// `panic = "abort"` ends all the same.
    ///
    /// [`Close::Panicked`]: crate::Close::Panicked
    CloseConnection,
}

/// How a [`Reactor`] is to be. Made by [`Reactor::builder`].
///
/// ```
/// use midge_reactor::{PanicPolicy, Reactor};
///
/// # fn main() -> std::io::Result<()> {
/// // The type of the state, here a counter, cannot be found out from what follows.
/// let mut reactor = Reactor::<u32>::builder()
///     .max_timers(100_000)
///     .on_panic(PanicPolicy::CloseConnection)
///     .on_handler_panic(|cx, key, message| {
///         *cx.state += 1;
///         eprintln!("{key:?} panicked: {message}");
///     })
///     .build(0)?;
/// reactor.with(|cx| {
///     cx.defer(|_| panic!("a bug"));
///     cx.defer(|cx| cx.stop());
/// });
/// reactor.run()?;
/// assert_eq!(reactor.state, 1);
/// # Ok(())
/// # }
/// ```
pub struct Builder<S = ()> {
    pub(crate) timers_max: usize,
    pub(crate) read_bytes: usize,
    pub(crate) times: Times,
    pub(crate) spin: Spin,
    pub(crate) offload_threads: usize,
    pub(crate) offload_waiting_max: usize,
    pub(crate) posted_max: usize,
    pub(crate) policy: PanicPolicy,
    pub(crate) hook: Option<PanicHook<S>>,
}

impl<S> Default for Builder<S> {
    fn default() -> Builder<S> {
        Builder {
            timers_max: usize::MAX,
            read_bytes: READ_BYTES,
            times: Times::of(Times::DEFAULT),
            spin: Spin::new(Duration::ZERO, false),
            offload_threads: offload::THREADS,
            offload_waiting_max: offload::WAITING_MAX,
            posted_max: remote::POSTED_MAX,
            policy: PanicPolicy::default(),
            hook: None,
        }
    }
}

impl<S> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("timers_max", &self.timers_max)
            .field("read_bytes", &self.read_bytes)
            .field("turn_time", &Duration::from_nanos(self.times.input))
            .field("spin", &self.spin)
            .field("offload_threads", &self.offload_threads)
            .field("offload_waiting_max", &self.offload_waiting_max)
            .field("posted_max", &self.posted_max)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<S> Builder<S> {
    /// Lets no more than `count` timers be armed at once; by default there is no limit.
    ///
    /// A net for bugs: `after`, `every`, `set_timer` and `set_interval` panic beyond it, for a
    /// program that arms timers and forgets them has no better answer. The timers that the reactor
    /// arms for itself, such as those of timeouts, count but are never refused.
    #[doc(alias = "set_max_timers")]
    #[doc(alias = "get_max_timers")]
    #[must_use]
    pub fn max_timers(mut self, count: usize) -> Builder<S> {
        self.timers_max = count;
        self
    }

    /// Sets the size of the read buffer that all connections share, in bytes: most that is read from
    /// one connection in a turn, unless it has left much unread. Default 128 KiB; less is fairer,
    /// more saves system calls. Taken as 64 if it is less.
    #[must_use]
    pub fn read_bytes(mut self, bytes: usize) -> Builder<S> {
        self.read_bytes = bytes.max(READ_BYTES_MIN);
        self
    }

    /// Sets how long a turn works on input, over all connections, before it writes. Default 4 ms;
    /// taken as 100 microseconds if it is less, as a second if it is more.
    ///
    /// The flush has as much, every other step half of it, and one slice of a connection that has
    /// used little of the loop lately an eightieth. Less answers the others sooner beside a flood; more
    /// lets more messages share a write. Counts with a clock that goes on during a turn: see
    /// [`Io::is_time_up`](crate::Io::is_time_up).
    #[must_use]
    pub fn turn_time(mut self, time: Duration) -> Builder<S> {
        self.times = Times::of(time);
        self
    }

    /// Polls for up to `time` without sleeping before each sleep. Default zero: sleep at once.
    ///
    /// Saves the time it takes the system to wake a thread, at the price of a processor that is
    /// never idle. A simulated driver, whose clock does not go on by itself, never spins.
    #[must_use]
    pub fn spin(mut self, time: Duration) -> Builder<S> {
        self.spin = Spin::new(time, false);
        self
    }

    /// As [`spin`](Builder::spin), but only while it pays. It is tried when at least half of the
    /// waits of late ended within that time, and goes on while at least half of them end within
    /// three quarters of it: when what is waited for comes sooner because no one slept. A reactor
    /// with little to do, whose peers are far, or whose input keeps to a schedule of its own,
    /// sleeps; what has not paid is tried again more and more seldom.
    ///
    /// 20 to 50 microseconds are what it takes to wake a thread. Where there is one processor alone
    /// it never pays, since the awaited peer needs it.
    #[must_use]
    pub fn spin_while_it_pays(mut self, time: Duration) -> Builder<S> {
        self.spin = Spin::new(time, true);
        self
    }

    /// Lets at most `threads` threads work on [offloaded](Context::offload) jobs at once. Default 4;
    /// zero counts as one. [`Context::set_offload_threads`] changes it later.
    #[doc(alias = "threadpool_size")]
    #[must_use]
    pub fn offload_threads(mut self, threads: usize) -> Builder<S> {
        self.offload_threads = threads;
        self
    }

    /// Lets at most `jobs` offloaded jobs wait for a thread. Default 1024.
    /// [`Context::set_offload_waiting_max`] changes it later.
    #[must_use]
    pub fn offload_waiting_max(mut self, jobs: usize) -> Builder<S> {
        self.offload_waiting_max = jobs;
        self
    }

    /// Lets [`Remote::try_post`](crate::Remote::try_post) refuse a job when `jobs` posted ones wait
    /// for the reactor. Default 16,384. [`Context::set_posted_max`] changes it later.
    #[must_use]
    pub fn posted_max(mut self, jobs: usize) -> Builder<S> {
        self.posted_max = jobs;
        self
    }

    /// Chooses what becomes of a panic in a handler or a closure.
    #[must_use]
    pub fn on_panic(mut self, policy: PanicPolicy) -> Builder<S> {
        self.policy = policy;
        self
    }

    /// Calls `hook` after each panic that was caught under [`PanicPolicy::CloseConnection`], with
    /// the message and the key of the connection or listener, [`Key::NONE`] for a closure. Without
    /// one, an error is logged. A panic of the hook itself is logged and goes no further.
    #[doc(alias = "error_handler")]
    #[must_use]
    pub fn on_handler_panic(
        mut self,
        hook: impl FnMut(&mut Context<'_, S>, Key, &str) + 'static,
    ) -> Builder<S> {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Makes the reactor, over the system's sockets.
    ///
    /// # Errors
    /// Those of opening a selector: above all too many open files.
    pub fn build(self, state: S) -> io::Result<Reactor<S>> {
        Ok(self.build_with_driver(state, Box::new(MioDriver::new()?)))
    }

    /// Makes the reactor, over any driver.
    #[must_use]
    pub fn build_with_driver(self, state: S, driver: Box<dyn Driver>) -> Reactor<S> {
        Reactor::with_settings(state, driver, self)
    }
}
