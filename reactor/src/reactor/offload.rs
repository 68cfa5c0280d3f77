//! The bounds of work on other threads and of what they post.

use super::Reactor;

impl<S> Reactor<S> {
    /// Lets at most `threads` threads work on [offloaded](crate::Context::offload) jobs at once,
    /// from the next job on; at least 1. The default is 4.
    ///
    /// Threads are made when they are needed and kept for the next job.
    #[doc(alias = "threadpool_size")]
    pub fn set_offload_threads(&mut self, threads: usize) {
        self.tasks.offloads.threads = threads.max(1);
    }

    /// Lets at most `jobs` offloaded jobs wait for a thread, those not counted that have one.
    /// The default is 1024.
    pub fn set_offload_waiting_max(&mut self, jobs: usize) {
        self.tasks.offloads.waiting_max = jobs;
    }

    /// Lets [`Remote::try_post`](crate::Remote::try_post) refuse a job when `jobs` posted ones wait
    /// for the reactor. The default is 16,384.
    pub fn set_posted_max(&mut self, jobs: usize) {
        self.tasks.remote.set_posted_max(jobs);
    }

    /// Offloaded jobs and lookups whose closures have not been called yet.
    #[doc(alias = "defers_finished?")]
    #[must_use]
    pub fn offloaded(&self) -> usize {
        self.tasks.offloads.len()
    }
}
