//! What a loop around the reactor needs: when to turn, and what to wait for until then.

use super::Reactor;
use crate::{Counts, Stats, Time};
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

impl<S> Reactor<S> {
    /// Whether it has been stopped and will turn no more.
    #[doc(alias = "stopping?")]
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
        self.events_left
            || self.core.has_work()
            || !self.tasks.deferred.is_empty()
            || !self.tasks.calls.is_empty()
            || !self.jobs.is_empty()
            || !self.signals.is_empty()
            || self.tasks.remote.has_jobs()
    }

    /// How long there is nothing to do unless something happens outside: nothing if there is
    /// [work](Reactor::has_work), until the next timer if one is armed, for ever (`None`) otherwise.
    ///
    /// The longest that a loop around this reactor may wait for its
    /// [`descriptor`](Reactor::descriptor).
    #[must_use]
    pub fn next_wait(&mut self) -> Option<Duration> {
        self.wait(None)
    }

    /// The descriptor that becomes readable when something has happened outside: an event of a
    /// socket, a signal, a job posted by another thread. `None` over a driver that has none.
    ///
    /// For a program that has a loop already and would nest the reactor there. Poll the descriptor
    /// (level- or edge-triggered) for no longer than [`next_wait`](Reactor::next_wait), then turn
    /// until there is no [work](Reactor::has_work). Neither read from it nor close it; it is the
    /// reactor's, and closes with it. Once the reactor [has stopped](Reactor::is_stopping),
    /// [`run`](Reactor::run) tells its handlers and returns at once.
    ///
    /// ```
    /// use midge_reactor::{Context, Handler, Input, Reactor};
    /// use mio::unix::SourceFd;
    /// use mio::{Events, Interest, Poll, Token};
    /// use std::time::Duration;
    ///
    /// # struct Echo;
    /// # impl Handler for Echo {
    /// #     fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
    /// #         cx.send(input.take());
    /// #     }
    /// # }
    /// # fn main() -> std::io::Result<()> {
    /// // Another loop ...
    /// let mut poll = Poll::new()?;
    /// let mut events = Events::with_capacity(16);
    ///
    /// // ... and a reactor in it.
    /// let mut reactor = Reactor::new(())?;
    /// reactor.with(|cx| cx.listen("127.0.0.1:0", |_: &mut Context<'_>| Echo))?;
    /// let descriptor = reactor.descriptor().expect("mio has one");
    /// poll.registry()
    ///     .register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)?;
    /// # reactor.with(|cx| cx.after(Duration::from_millis(1), |cx| cx.stop()));
    ///
    /// while !reactor.is_stopping() {
    ///     let wait = reactor.next_wait();
    ///     poll.poll(&mut events, wait)?;
    ///     // ... what else the loop is for, and then:
    ///     reactor.turn(Some(Duration::ZERO))?;
    ///     while reactor.has_work() && !reactor.is_stopping() {
    ///         reactor.turn(Some(Duration::ZERO))?;
    ///     }
    /// }
    /// reactor.run()
    /// # }
    /// ```
    #[doc(alias = "as_raw_fd")]
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.driver.descriptor()
    }

    /// Connections that are open, listeners not counted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.connections()
    }

    /// What is open, by kind.
    #[doc(alias = "connection_count")]
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.core.counts()
    }

    /// Timers that are armed, those that the reactor has armed for itself among them.
    #[doc(alias = "get_timer_count")]
    #[must_use]
    pub fn timer_count(&self) -> usize {
        self.core.timers.len()
    }

    /// Jobs and lookups that are under way: see [`Context::offloaded`](crate::Context::offloaded).
    #[doc(alias = "defers_finished?")]
    #[must_use]
    pub fn offloaded(&self) -> usize {
        self.tasks.offloads.len()
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats
    }

    /// Polls the driver, after some rounds without sleep if the reactor is to spin.
    pub(super) fn poll(&mut self, max_wait: Option<Duration>) -> io::Result<()> {
        self.core.stats.turns += 1;
        let wait = self.wait(max_wait);
        let spin = self.spin.time();
        let asks = !spin.is_zero() || self.spin.listens();
        if !asks || wait == Some(Duration::ZERO) || !self.driver.spins() {
            return self.poll_once(wait);
        }
        let spin = wait.map_or(spin, |wait| wait.min(spin));
        let start = self.driver.now();
        let mut spent = Duration::ZERO;
        while spent < spin {
            self.poll_once(Some(Duration::ZERO))?;
            spent = self.driver.now().since(start);
            // A wake by another thread is no event; what it was for is work.
            if !self.events.is_empty() || self.has_work() {
                self.spin.waited(spent);
                return Ok(());
            }
        }
        self.poll_once(wait.map(|wait| wait.saturating_sub(spent)))?;
        if self.spin.listens() {
            let waited = self.driver.now().since(start);
            self.spin.waited(waited);
        }
        Ok(())
    }

    pub(super) fn poll_once(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.core.stats.polls += 1;
        self.driver.poll(&mut self.events, wait)?;
        self.core.stats.events += self.events.len() as u64;
        self.events_left = !self.events.is_empty() && self.driver.events_left();
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
}
