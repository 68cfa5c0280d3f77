//! `Reconnect`: a connection that is made again when it is lost.

use crate::{Close, ConnectOptions, Context, Handler, Key, Time};
use std::time::Duration;

/// How to keep a connection up: whom to call, and how long to wait between attempts.
///
/// The wait after the first failure is [`base`](Reconnect::base); each further one is twice as long
/// as the one before, up to [`max`](Reconnect::max). A connection that has lasted longer than the
/// wait that would now follow begins anew with the shortest. Chance takes up to
/// [`jitter`](Reconnect::jitter) of each wait away, so that many who have lost the same server do
/// not all come back in the same moment.
///
/// Every connection has a key and a handler of its own. What a handler has learnt and the next is
/// to know stands in the shared state.
///
/// ```
/// # use midge_reactor::{util::Reconnect, Context, Handler, Input};
/// # struct Client;
/// # impl Handler<Status> for Client {
/// #     fn on_input(&mut self, _: &mut Context<'_, Status>, input: &mut Input<'_>) { input.take(); }
/// # }
/// struct Status {
///     wanted: bool,
/// }
///
/// # fn start(cx: &mut Context<'_, Status>) {
/// Reconnect::to("db.example.org:4222").start(cx, |cx, attempt| {
///     if let Some(why) = attempt.why {
///         eprintln!("lost: {why}; attempt {}", attempt.failures);
///     }
///     cx.state.wanted.then_some(Client)
/// });
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reconnect {
    /// A name or an address, with a port, as [`Context::connect_host`] takes it. It is looked up
    /// anew for each attempt.
    pub host: String,
    /// How each connection is made.
    pub options: ConnectOptions,
    /// The shortest wait. Default 100 ms.
    pub base: Duration,
    /// The longest wait. Default 30 s.
    pub max: Duration,
    /// The part of each wait that chance may take away, from 0 for none to 1 for all of it.
    /// Default 0.5.
    pub jitter: f64,
}

/// What led to an attempt to connect.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// How many connections have failed in a row; zero for the first attempt of all. One that
    /// lasted for a while and was lost counts as the first of a row.
    pub failures: u32,
    /// How the connection before has ended; `None` for the first attempt.
    pub why: Option<&'a Close>,
}

impl Reconnect {
    /// The defaults, for a connection to `host`.
    #[must_use]
    pub fn to(host: impl Into<String>) -> Reconnect {
        Reconnect {
            host: host.into(),
            options: ConnectOptions::default(),
            base: Duration::from_millis(100),
            max: Duration::from_secs(30),
            jitter: 0.5,
        }
    }

    /// Sets [`options`](Reconnect::options).
    #[must_use]
    pub fn options(mut self, options: ConnectOptions) -> Reconnect {
        self.options = options;
        self
    }

    /// Sets the shortest and the longest wait.
    #[must_use]
    pub fn backoff(mut self, base: Duration, max: Duration) -> Reconnect {
        (self.base, self.max) = (base, max.max(base));
        self
    }

    /// Sets what part of each wait chance may take away.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Reconnect {
        self.jitter = jitter.clamp(0.0, 1.0);
        self
    }

    /// Connects at once, and again whenever that has failed or the connection is lost. `make` is
    /// asked for a handler right before each attempt; with `None` it gives up for good. Answers the
    /// key of the first connection; those that follow tell theirs in `on_open`.
    ///
    /// It is also over, without another word, when the program closes the connection itself
    /// ([`Close::Local`]; a handler that cannot go on and wants another try calls
    /// [`Context::fail`]) or [hands it over](Context::detach), and when the reactor stops or shuts
    /// down.
    #[doc(alias = "reconnect")]
    pub fn start<S, H>(
        self,
        cx: &mut Context<'_, S>,
        make: impl FnMut(&mut Context<'_, S>, &Attempt<'_>) -> Option<H> + 'static,
    ) -> Option<Key>
    where
        S: 'static,
        H: Handler<S> + 'static,
    {
        let keeper = Keeper {
            how: self,
            make,
            failures: 0,
        };
        keeper.connect(cx, None)
    }

    /// How long to wait after this number of failures, the first being 1. `random` is any number.
    fn wait(&self, failures: u32, random: u64) -> Duration {
        let whole = self.longest(failures);
        let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
        let jitter = if self.jitter.is_nan() {
            0.0
        } else {
            self.jitter
        };
        // What is taken away is less than all: no product is out of bounds.
        whole.saturating_sub(whole.mul_f64(jitter.clamp(0.0, 1.0) * part))
    }

    fn longest(&self, failures: u32) -> Duration {
        let doublings = 1_u32.checked_shl(failures.saturating_sub(1));
        let longer = doublings.map_or(self.max, |times| self.base.saturating_mul(times));
        longer.min(self.max)
    }
}

/// One connection that is kept up. It goes from closure to closure: there is only one at a time.
struct Keeper<F> {
    how: Reconnect,
    make: F,
    failures: u32,
}

impl<F> Keeper<F> {
    fn connect<S, H>(mut self, cx: &mut Context<'_, S>, why: Option<&Close>) -> Option<Key>
    where
        F: FnMut(&mut Context<'_, S>, &Attempt<'_>) -> Option<H> + 'static,
        S: 'static,
        H: Handler<S> + 'static,
    {
        let failures = self.failures;
        let handler = (self.make)(cx, &Attempt { failures, why })?;
        let since = cx.io.read_clock();
        let key = cx.connect_host_with(&self.how.host, &self.how.options, handler);
        let lost = move |cx: &mut Context<'_, S>, why| self.lost(cx, since, why);
        cx.tasks.after_close.insert(key, Box::new(lost));
        Some(key)
    }

    fn lost<S, H>(mut self, cx: &mut Context<'_, S>, since: Time, why: Close)
    where
        F: FnMut(&mut Context<'_, S>, &Attempt<'_>) -> Option<H> + 'static,
        S: 'static,
        H: Handler<S> + 'static,
    {
        let core = &cx.io.core;
        let is_over = matches!(why, Close::Local | Close::Detached | Close::Shutdown);
        if is_over || core.stopping || core.shutting_down {
            return;
        }
        let was_open = !matches!(why, Close::ConnectFailed(_) | Close::ConnectTimeout);
        self.failures = self.failures.saturating_add(1);
        if was_open && cx.now().since(since) > self.how.longest(self.failures) {
            self.failures = 1;
        }
        let random = cx.io.random();
        let wait = self.how.wait(self.failures, random);
        cx.after(wait, move |cx| {
            if !cx.io.core.shutting_down {
                self.connect(cx, Some(&why));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_wait_doubles_up_to_the_longest_and_never_overflows() {
        let how = Reconnect::to("x:1")
            .backoff(SECOND, 10 * SECOND)
            .jitter(0.0);
        let waits = [1, 2, 3, 4, 5, 31, 32, 33, u32::MAX].map(|failures| how.wait(failures, 7));
        let seconds = waits.map(|wait| wait.as_secs());
        assert_eq!(seconds, [1, 2, 4, 8, 10, 10, 10, 10, 10]);
        let how = how.backoff(Duration::MAX, SECOND);
        assert_eq!(how.longest(40), Duration::MAX);
        assert_eq!(how.wait(40, 7), Duration::MAX);
    }

    #[test]
    fn what_is_no_part_takes_nothing_away() {
        for jitter in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            let mut how = Reconnect::to("x:1").backoff(SECOND, SECOND);
            how.jitter = jitter;
            assert_eq!(how.wait(1, u64::MAX), SECOND, "{jitter}");
        }
        let how = Reconnect::to("x:1").backoff(SECOND, SECOND).jitter(1e9);
        assert_eq!(how.wait(1, 1 << 63), SECOND / 2);
    }

    #[test]
    fn chance_shortens_a_wait_by_its_part_at_most() {
        let how = Reconnect::to("x:1").backoff(SECOND, SECOND).jitter(0.25);
        assert_eq!(how.wait(1, 0), SECOND);
        let least = how.wait(1, u64::MAX);
        assert!(least >= Duration::from_millis(750) && least < Duration::from_millis(751));
    }
}
