//! What was measured: plain values.

use serde::{Deserialize, Serialize};

use super::workload::Workload;

/// The outcome of one workload on one broker.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// What was asked.
    pub(crate) workload: Workload,
    /// The broker by its own words: name and version.
    pub(crate) broker: String,
    /// Messages that publishers have written, and the broker has answered for.
    pub(crate) published: u64,
    /// Messages that subscribers have received and checked.
    pub(crate) delivered: u64,
    /// What rates are counted in: deliveries, or what was published where nobody subscribes.
    pub(crate) messages: u64,
    /// Bytes of header and payload of these messages.
    pub(crate) bytes: u64,
    /// From the first publish to the last check, in seconds.
    pub(crate) seconds: f64,
    /// CPU time of this process meanwhile, in seconds.
    pub(crate) load_cpu_seconds: Option<f64>,
    /// What the broker used, if its process is known.
    pub(crate) usage: Option<Usage>,
    /// The run was ended before its time by a signal.
    pub(crate) interrupted: bool,
    /// What went wrong; empty if all is well.
    pub(crate) faults: Vec<String>,
}

/// What the broker's process used.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Usage {
    /// CPU time of all threads during the measurement, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Resident memory before anybody connected, in bytes.
    pub(crate) resident_before: u64,
    /// Resident memory at the end, connections still open, in bytes.
    pub(crate) resident_after: u64,
    /// The most there ever was, in bytes.
    pub(crate) resident_peak: u64,
}

impl Outcome {
    /// Messages per second.
    pub(crate) fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// Payload and header bytes per second.
    pub(crate) fn byte_rate(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }

    /// Messages per second of the broker's CPU.
    pub(crate) fn cpu_rate(&self) -> Option<f64> {
        let cpu = self.usage?.cpu_seconds;
        (cpu > 0.0).then(|| self.messages as f64 / cpu)
    }

    /// Whether every check has passed.
    pub(crate) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}
