//! Processor time and memory, before and after.

use std::time::{Duration, Instant};

use crate::outcome::{Outcome, Usage};
use crate::process;

/// What is known before a load begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    pub(super) pid: Option<u32>,
    pub(super) resident_before: u64,
    cpu: Option<Duration>,
    own_cpu: Option<Duration>,
    began: Instant,
}

impl Meter {
    /// Before anybody connects.
    pub(super) fn start(pid: Option<u32>) -> Meter {
        Meter {
            pid,
            resident_before: pid.and_then(process::resident_bytes).unwrap_or(0),
            cpu: None,
            own_cpu: None,
            began: Instant::now(),
        }
        .begin()
    }

    /// Before the first message.
    pub(super) fn begin(mut self) -> Meter {
        self.cpu = self.pid.and_then(process::cpu_time);
        self.own_cpu = process::cpu_time(std::process::id());
        self.began = Instant::now();
        self
    }

    /// CPU seconds of the broker since it began.
    pub(super) fn broker_cpu(&self) -> Option<f64> {
        seconds(self.cpu, process::cpu_time(self.pid?))
    }

    /// Resident bytes of the broker, now.
    pub(super) fn resident(&self) -> Option<u64> {
        process::resident_bytes(self.pid?)
    }

    /// Behind the last message.
    pub(super) fn end(&self, outcome: &mut Outcome) {
        outcome.seconds = self.began.elapsed().as_secs_f64();
        let own = process::cpu_time(std::process::id());
        outcome.load_cpu_seconds = seconds(self.own_cpu, own);
        outcome.usage = self.usage();
    }

    fn usage(&self) -> Option<Usage> {
        Some(Usage {
            cpu_seconds: self.broker_cpu()?,
            resident_before: self.resident_before,
            resident_after: self.resident()?,
            resident_peak: process::peak_bytes(self.pid?)?,
        })
    }
}

fn seconds(before: Option<Duration>, after: Option<Duration>) -> Option<f64> {
    Some(after?.saturating_sub(before?).as_secs_f64())
}
