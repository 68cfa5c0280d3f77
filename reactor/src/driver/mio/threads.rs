//! The threads that do offloaded work: made when they are needed, gone with the driver.

use crate::OffloadJob;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A queue of jobs and the threads that take them from it, in order.
///
/// Dropping it drops the jobs that wait; a thread ends when it has nothing more to do, and is not
/// waited for: a lookup may hang for a minute, and the program wants to end now.
#[derive(Default)]
pub(super) struct Threads {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wanted: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<OffloadJob>,
    /// Threads that have nothing to do; one that was woken counts until it runs.
    idle: usize,
    threads: usize,
    threads_max: usize,
    ended: bool,
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Threads {
    /// Puts `job` behind those that wait.
    ///
    /// # Errors
    /// Those of starting a thread, if there is none that could do it later.
    pub(super) fn run(&self, job: OffloadJob, threads_max: usize) -> io::Result<()> {
        let mut state = self.shared.lock();
        if std::mem::replace(&mut state.threads_max, threads_max) > threads_max {
            // Those that are now too many end.
            self.shared.wanted.notify_all();
        }
        state.waiting.push_back(job);
        if state.waiting.len() <= state.idle || state.threads >= threads_max {
            self.shared.wanted.notify_one();
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let name = "reactor-offload".to_owned();
        match thread::Builder::new()
            .name(name)
            .spawn(move || shared.work())
        {
            Ok(_) => state.threads += 1,
            Err(error) if state.threads == 0 => {
                let job = state.waiting.pop_back();
                drop(state);
                drop(job);
                return Err(error);
            }
            // One of the others will come to it.
            Err(error) => log::warn!("offload: no further thread: {error}"),
        }
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.shared.wanted.notify_all();
        // Outside of the lock: what jobs own may do anything when it is dropped.
        drop(waiting);
    }
}

impl Shared {
    /// What each thread does.
    fn work(&self) {
        while let Some(job) = self.next() {
            // The work itself cannot panic; the drop of what it returned in vain may.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
        }
    }

    /// Waits for a job; `None` if this thread is to end.
    fn next(&self) -> Option<OffloadJob> {
        let mut state = self.lock();
        loop {
            if state.ended || state.threads > state.threads_max {
                state.threads -= 1;
                // It may have been woken for a job that another is to take now.
                self.wanted.notify_one();
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            state = self
                .wanted
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}
