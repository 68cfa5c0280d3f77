//! The bounds of work on other threads and of what they post: see the same calls of `Context`.

use super::Reactor;

impl<S> Reactor<S> {
    /// As [`Context::set_offload_threads`](crate::Context::set_offload_threads).
    #[doc(alias = "threadpool_size")]
    pub fn set_offload_threads(&mut self, threads: usize) {
        self.tasks.offloads.threads = threads.max(1);
    }

    /// As [`Context::set_offload_waiting_max`](crate::Context::set_offload_waiting_max).
    pub fn set_offload_waiting_max(&mut self, jobs: usize) {
        self.tasks.offloads.waiting_max = jobs;
    }

    /// As [`Context::set_posted_max`](crate::Context::set_posted_max).
    pub fn set_posted_max(&mut self, jobs: usize) {
        self.tasks.remote.set_posted_max(jobs);
    }

    /// As [`Context::offloaded`](crate::Context::offloaded).
    #[doc(alias = "defers_finished?")]
    #[must_use]
    pub fn offloaded(&self) -> usize {
        self.tasks.offloads.len()
    }
}
