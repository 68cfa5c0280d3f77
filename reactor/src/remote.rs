//! `Remote`: the reactor as other threads see it.

use crate::Context;
use crate::driver::Wake;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) type Job<S> = Box<dyn FnOnce(&mut Context<'_, S>) + Send>;

/// A handle on a reactor, for any thread. Only closures cross: the state itself need not be `Send`.
pub struct Remote<S = ()> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    jobs: Mutex<Jobs<S>>,
    /// A wake is under way: the reactor has not yet taken the jobs it was woken for.
    pending: AtomicBool,
    waker: Arc<dyn Wake>,
}

struct Jobs<S> {
    queue: Vec<Job<S>>,
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
    pub(crate) fn new(waker: Arc<dyn Wake>) -> Remote<S> {
        let jobs = Mutex::new(Jobs {
            queue: Vec::new(),
            closed: false,
        });
        Remote {
            shared: Arc::new(Shared {
                jobs,
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
        {
            let mut jobs = self
                .shared
                .jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if jobs.closed {
                return Err(Ended);
            }
            jobs.queue.push(Box::new(work));
        }
        if !self.shared.pending.swap(true, Ordering::AcqRel) {
            self.shared.waker.wake();
        }
        Ok(())
    }

    /// Stops the reactor at the end of its turn.
    ///
    /// # Errors
    /// [`Ended`] if it no longer runs.
    pub fn stop(&self) -> Result<(), Ended> {
        self.post(|cx| cx.io.stop())
    }

    pub(crate) fn has_jobs(&self) -> bool {
        self.shared.pending.load(Ordering::Acquire)
    }

    /// Swaps the jobs posted so far into `out`, which is empty.
    pub(crate) fn take_jobs(&self, out: &mut Vec<Job<S>>) {
        // Cleared before the queue is taken: a job that comes in between wakes once too often,
        // never once too seldom.
        if self.shared.pending.swap(false, Ordering::AcqRel) {
            let mut jobs = self
                .shared
                .jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut jobs.queue, out);
        }
    }

    pub(crate) fn end(&self) {
        let dropped = {
            let mut jobs = self
                .shared
                .jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            jobs.closed = true;
            std::mem::take(&mut jobs.queue)
        };
        // Outside of the lock: what a closure owns may post when it is dropped.
        drop(dropped);
    }
}
