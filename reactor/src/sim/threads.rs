//! The other threads of a host, which do what is offloaded.
//!
//! A job begins when a thread is free, takes a random time, and is done by the one real thread at
//! the moment at which it would be finished. So jobs of several threads finish in any order, those of
//! one thread in the order in which they were given.

use super::net::{Due, Net, nanos};
use crate::{Key, OffloadJob};
use std::collections::BTreeMap;

/// The threads of one host.
#[derive(Debug, Default)]
pub(super) struct Threads {
    jobs: BTreeMap<u64, OffloadJob>,
    given: u64,
    /// When each thread is free.
    free: Vec<u64>,
}

impl Threads {
    /// The process has ended, and its threads with it; answers what they had yet to do.
    pub(super) fn end(&mut self) -> BTreeMap<u64, OffloadJob> {
        self.free.clear();
        std::mem::take(&mut self.jobs)
    }

    /// Keeps `job` until it is finished, which takes `time`. Answers its number and that moment.
    fn add(&mut self, job: OffloadJob, now: u64, time: u64, threads: usize) -> (u64, u64) {
        self.free.resize(threads.max(1), now);
        // There is always a first one.
        let next = (0..self.free.len()).min_by_key(|thread| self.free[*thread]);
        let free = &mut self.free[next.unwrap_or(0)];
        *free = (*free).max(now).saturating_add(time);
        let done = *free;
        self.given += 1;
        self.jobs.insert(self.given, job);
        (self.given, done)
    }
}

impl Net {
    pub(super) fn offload(&mut self, host: usize, job: OffloadJob, threads: usize) {
        let time = self.rng.job.up_to(nanos(self.faults.job_max));
        self.offload_for(host, job, time, threads);
    }

    pub(super) fn offload_for(&mut self, host: usize, job: OffloadJob, time: u64, threads: usize) {
        let now = self.clock;
        let (id, done) = self.hosts[host].threads.add(job, now, time, threads);
        self.schedule(done, Due::Job(host, id));
        self.progress(host, Key::NONE, "offload", Some(id));
    }

    /// A job's time has come, unless its process is gone.
    pub(super) fn finish_job(&mut self, host: usize, id: u64) {
        if let Some(job) = self.hosts[host].threads.jobs.remove(&id) {
            self.note(host, Key::NONE, "job", Some(id));
            job.run();
        }
    }
}
