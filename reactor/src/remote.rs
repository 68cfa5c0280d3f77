//! `Remote`: the reactor as other threads see it.

use crate::Context;
use crate::driver::Wake;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Jobs that may wait before `try_post` refuses one, unless a reactor is told otherwise.
pub(crate) const POSTED_MAX: usize = 16 * 1024;

pub(crate) type Job<S> = Box<dyn FnOnce(&mut Context<'_, S>) + Send>;

/// A handle on a reactor, for any thread. Only closures cross: the state itself need not be `Send`.
pub struct Remote<S = ()> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    jobs: Mutex<Jobs<S>>,
    /// Jobs that the reactor has taken and not yet begun. Only the reactor changes it.
    taken: AtomicUsize,
    /// A wake is under way: the reactor has not yet taken the jobs it was woken for.
    pending: AtomicBool,
    waker: Arc<dyn Wake>,
}

struct Jobs<S> {
    queue: Vec<Job<S>>,
    /// Where `try_post` refuses.
    max: usize,
    closed: bool,
}

/// The reactor has ended; the job was not and will not be run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reactor has ended")
    }
}

impl std::error::Error for Ended {}

/// What was not accepted, and why; it is handed back.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Refused<T> {
    /// The bound on waiting jobs is reached. There will be room when the reactor has turned.
    Full(T),
    /// The reactor has ended, and will take nothing any more.
    Ended(T),
}

impl<T> Refused<T> {
    /// What was refused.
    pub fn into_inner(self) -> T {
        match self {
            Refused::Full(it) | Refused::Ended(it) => it,
        }
    }
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Full(_) => "Full(..)",
            Refused::Ended(_) => "Ended(..)",
        })
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Full(_) => f.write_str("too much waits for the reactor"),
            Refused::Ended(_) => Ended.fmt(f),
        }
    }
}

impl<T> std::error::Error for Refused<T> {}

impl<S> Clone for Remote<S> {
    fn clone(&self) -> Self {
        Remote {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S> fmt::Debug for Remote<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl<S> Remote<S> {
    pub(crate) fn new(waker: Arc<dyn Wake>, posted_max: usize) -> Remote<S> {
        let jobs = Mutex::new(Jobs {
            queue: Vec::new(),
            max: posted_max,
            closed: false,
        });
        Remote {
            shared: Arc::new(Shared {
                jobs,
                taken: AtomicUsize::new(0),
                pending: AtomicBool::new(false),
                waker,
            }),
        }
    }

    /// Runs `work` on the reactor's thread, in the order of posting.
    ///
    /// # Errors
    /// [`Ended`] if the reactor no longer runs.
    #[doc(alias = "schedule")]
    pub fn post(
        &self,
        work: impl FnOnce(&mut Context<'_, S>) + Send + 'static,
    ) -> Result<(), Ended> {
        self.post_boxed(Box::new(work)).map_err(|_| Ended)
    }

    /// As [`post`](Remote::post), unless too many jobs wait for the reactor: then `work` is handed
    /// back. For threads that make work faster than the reactor does it.
    ///
    /// All jobs that wait are counted, wherever they were posted and how;
    /// [`Builder::posted_max`](crate::Builder::posted_max) and [`Context::set_posted_max`] say how many
    /// are too many.
    ///
    /// # Errors
    /// [`Refused::Full`], and [`Refused::Ended`] if the reactor no longer runs.
    pub fn try_post<F>(&self, work: F) -> Result<(), Refused<F>>
    where
        F: FnOnce(&mut Context<'_, S>) + Send + 'static,
    {
        {
            let mut jobs = self.jobs();
            if jobs.closed {
                return Err(Refused::Ended(work));
            }
            let taken = self.shared.taken.load(Ordering::Relaxed);
            if jobs.queue.len() + taken >= jobs.max {
                return Err(Refused::Full(work));
            }
            jobs.queue.push(Box::new(work));
        }
        self.wake();
        Ok(())
    }

    /// Whether the reactor has ended: nothing that is posted runs any more.
    #[doc(alias = "reactor_running?")]
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.jobs().closed
    }

    /// Stops the reactor at the end of its turn.
    ///
    /// # Errors
    /// [`Ended`] if it no longer runs.
    pub fn stop(&self) -> Result<(), Ended> {
        self.post(|cx| cx.io.stop())
    }

    /// As [`post`](Remote::post), and gives the job back, undropped, if the reactor has ended.
    pub(crate) fn post_boxed(&self, job: Job<S>) -> Result<(), Job<S>> {
        {
            let mut jobs = self.jobs();
            if jobs.closed {
                return Err(job);
            }
            jobs.queue.push(job);
        }
        self.wake();
        Ok(())
    }

    pub(crate) fn set_posted_max(&self, max: usize) {
        self.jobs().max = max;
    }

    pub(crate) fn has_jobs(&self) -> bool {
        self.shared.pending.load(Ordering::Acquire)
    }

    /// Swaps the jobs posted so far into `out`, which is empty.
    pub(crate) fn take_jobs(&self, out: &mut Vec<Job<S>>) {
        // Cleared before the queue is taken: a job that comes in between wakes once too often,
        // never once too seldom.
        if self.shared.pending.swap(false, Ordering::AcqRel) {
            let mut jobs = self.jobs();
            std::mem::swap(&mut jobs.queue, out);
            self.set_taken(out.len());
        }
    }

    /// `count` jobs are left of those that were taken.
    pub(crate) fn set_taken(&self, count: usize) {
        self.shared.taken.store(count, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        let dropped = {
            let mut jobs = self.jobs();
            jobs.closed = true;
            std::mem::take(&mut jobs.queue)
        };
        // Outside of the lock: what a closure owns may post when it is dropped.
        drop(dropped);
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs<S>> {
        let jobs = &self.shared.jobs;
        jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if !self.shared.pending.swap(true, Ordering::AcqRel) {
            self.shared.waker.wake();
        }
    }
}
