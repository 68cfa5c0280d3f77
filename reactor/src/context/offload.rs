//! Work that would hold the loop up, done on other threads; name lookups above all.

use crate::offload::{OffloadJob, Panic, caught};
use crate::{Context, Ended};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

impl<S: 'static> Context<'_, S> {
    /// Runs `work` on another thread, then `then` on this one with what came of it: for what takes
    /// long to compute or cannot be had without waiting.
    ///
    /// `then` runs in a later turn, where [posted jobs](crate::Remote::post) do, in the order in
    /// which jobs are finished; it is called once, also if `work` panics. It belongs to no
    /// connection: the key of one that waits for it is best captured, and asked for with
    /// [`Io::is_open`](crate::Io::is_open) or simply sent to.
    ///
    /// The threads belong to the reactor and are made when they are first needed, 4 at most; 1024
    /// jobs may wait for one of them. See
    /// [`Builder::offload_threads`](crate::Builder::offload_threads) and
    /// [`Builder::offload_waiting_max`](crate::Builder::offload_waiting_max).
    ///
    /// When the reactor stops, jobs that have not begun are not run, and no `then` is called any
    /// more: all of them are dropped. A job that is running is not waited for: its thread ends with
    /// it, and at the latest with the process.
    ///
    /// ```
    /// # use midge_reactor::Context;
    /// # use std::io;
    /// fn fingerprint(cx: &mut Context<'_>, file: Vec<u8>) -> io::Result<()> {
    ///     let key = cx.key();
    ///     let work = move || file.iter().fold(7_u64, |hash, byte| hash.wrapping_mul(31) + u64::from(*byte));
    ///     cx.offload(work, move |cx, hash| {
    ///         match hash {
    ///             Ok(hash) => cx.io.send(key, &hash.to_be_bytes()),
    ///             Err(panic) => cx.io.fail(key, panic),
    ///         };
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// `QuotaExceeded` when too many jobs wait already, `BrokenPipe` when the reactor has ended,
    /// `Unsupported` where the driver has no threads, and those of starting a thread if there is
    /// none yet. `work` and `then` are dropped.
    #[doc(alias = "EM.defer")]
    #[doc(alias = "spawn_blocking")]
    pub fn offload<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut Context<'_, S>, Result<T, Panic>) + 'static,
    ) -> io::Result<()> {
        self.admit_offload()?;
        let (answer, ticket, _) = self.await_answer(move |cx, outcome| {
            let outcome = outcome.unwrap_or_else(|| Err(Panic::of_dropped_job()));
            then(cx, outcome);
        });
        let job = OffloadJob::new(move || {
            if answer.is_wanted() {
                answer.give(caught(work));
            }
        });
        let threads = self.tasks.offloads.threads();
        let started = self.io.driver.offload(job, threads);
        if started.is_err() {
            self.tasks.offloads.take(ticket);
        }
        started
    }

    /// Looks up the addresses of `name` and hands them to `then`, each with `port`, in the order of
    /// the system's preference and never none at all.
    ///
    /// Never fails here: every failure comes to `then`, as success does, and its error names `name`.
    /// `then` is never called from inside this call. An address as text (`"127.0.0.1"`, `"::1"`)
    /// needs no lookup, and is there with the [deferred](Context::defer) work. Lookups are
    /// [offloaded](Context::offload) and share the threads and the bounds of other jobs; the
    /// system decides how long one takes, often many seconds where no server answers.
    ///
    /// `then` is dropped without a call when the reactor stops first.
    #[doc(alias = "getaddrinfo")]
    #[doc(alias = "DNS::Resolver.resolve")]
    pub fn resolve(
        &mut self,
        name: &str,
        port: u16,
        then: impl FnOnce(&mut Context<'_, S>, io::Result<Vec<SocketAddr>>) + 'static,
    ) {
        let known = match name.parse::<IpAddr>() {
            Ok(ip) => Some(Ok(vec![SocketAddr::new(ip, port)])),
            Err(_) if name.is_empty() => Some(Err(ErrorKind::InvalidInput.into())),
            Err(_) => self.admit_offload().err().map(Err),
        };
        let name_for_errors = name.to_owned();
        let then = move |cx: &mut Context<'_, S>, found: Option<io::Result<Vec<SocketAddr>>>| {
            let found = found.unwrap_or_else(|| Err(io::Error::other("the lookup was dropped")));
            let found = match found {
                Ok(addrs) if addrs.is_empty() => {
                    Err(io::Error::new(ErrorKind::NotFound, "no address"))
                }
                found => found,
            };
            let named = found.map_err(|error| {
                let text = format!("cannot resolve \"{name_for_errors}\": {error}");
                io::Error::new(error.kind(), text)
            });
            then(cx, named);
        };
        if known.is_some() {
            return self.defer(move |cx| then(cx, known));
        }
        let threads = self.tasks.offloads.threads();
        let (answer, _, slot) = self.await_answer(then);
        if let Err(error) = self.io.driver.resolve(name, port, answer, threads) {
            // The answer was dropped with the call, and has told so: this is what will be found.
            *slot.lock() = Some(Err(error));
        }
    }

    fn admit_offload(&self) -> io::Result<()> {
        if self.tasks.remote.is_ended() {
            return Err(io::Error::new(ErrorKind::BrokenPipe, Ended));
        }
        self.tasks.offloads.admit()
    }
}

impl<S> Context<'_, S> {
    /// Jobs and lookups that are under way: handed over, and their closures not called yet.
    #[doc(alias = "defers_finished?")]
    #[must_use]
    pub fn offloaded(&self) -> usize {
        self.tasks.offloads.len()
    }

    /// Lets at most `threads` threads work on [offloaded](Context::offload) jobs at once, from the
    /// next job on; at least 1. The default is 4.
    ///
    /// Threads are made when they are needed and kept for the next job.
    pub fn set_offload_threads(&mut self, threads: usize) {
        self.tasks.offloads.set_threads(threads);
    }

    /// Lets at most `jobs` offloaded jobs wait for a thread, those not counted that have one. The
    /// default is 1024.
    pub fn set_offload_waiting_max(&mut self, jobs: usize) {
        self.tasks.offloads.waiting_max = jobs;
    }

    /// Lets [`Remote::try_post`](crate::Remote::try_post) refuse a job when `jobs` posted ones wait
    /// for the reactor. The default is 16,384.
    pub fn set_posted_max(&mut self, jobs: usize) {
        self.tasks.remote.set_posted_max(jobs);
    }
}
