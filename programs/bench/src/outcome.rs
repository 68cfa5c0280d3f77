//! What was measured: plain values.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
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
    /// Messages that did not come to those who read.
    pub(crate) lost: u64,
    /// What rates are counted in: deliveries, or what was published without subscribers; of
    /// requests the pair of question and answer; connections, where these are what is measured.
    pub(crate) messages: u64,
    /// Bytes of header and payload of these messages.
    pub(crate) bytes: u64,
    /// From the first message to the last check, in seconds.
    pub(crate) seconds: f64,
    /// Messages per second.
    pub(crate) messages_per_second: f64,
    /// Bytes of header and payload per second.
    pub(crate) bytes_per_second: f64,
    /// Messages for each second of CPU time of the broker, if its process is known.
    pub(crate) messages_per_broker_cpu_second: Option<f64>,
    /// Times from when a message was due, or a request sent, to its arrival.
    pub(crate) latency: Option<Latency>,
    /// CPU time of this process meanwhile, in seconds.
    pub(crate) load_cpu_seconds: Option<f64>,
    /// What the broker used, if its process is known.
    pub(crate) usage: Option<Usage>,
    /// Figures of single kinds, under names that end in their units.
    pub(crate) figures: BTreeMap<String, f64>,
    /// Subscribers that the broker has cut off.
    pub(crate) cut_off: usize,
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

/// Percentiles of a latency, in nanoseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) min: u64,
    pub(crate) mean: f64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) p9999: u64,
    pub(crate) max: u64,
    /// Percentile and value, for a plot.
    pub(crate) curve: Vec<(f64, u64)>,
}

impl Latency {
    /// The percentiles of a histogram.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Latency {
        let at = |percentile| histogram.value_at_percentile(percentile);
        // Evenly over the logarithm of what is beyond: 0, 50, 75 ... and so on.
        let curve = (0..=60).map(|step| {
            let percentile = 100.0 * (1.0 - 10_f64.powf(-f64::from(step) / 12.0));
            (percentile, at(percentile))
        });
        Latency {
            count: histogram.len(),
            min: histogram.min(),
            mean: histogram.mean(),
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            p9999: at(99.99),
            max: histogram.max(),
            curve: curve.collect(),
        }
    }
}

impl Outcome {
    /// Nothing measured yet.
    pub(crate) fn new(workload: &Workload) -> Outcome {
        Outcome {
            workload: workload.clone(),
            broker: String::new(),
            published: 0,
            delivered: 0,
            lost: 0,
            messages: 0,
            bytes: 0,
            seconds: 0.0,
            messages_per_second: 0.0,
            bytes_per_second: 0.0,
            messages_per_broker_cpu_second: None,
            latency: None,
            load_cpu_seconds: None,
            usage: None,
            figures: BTreeMap::new(),
            cut_off: 0,
            interrupted: false,
            faults: Vec::new(),
        }
    }

    /// Notes a figure.
    pub(crate) fn figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// Works out the rates.
    pub(crate) fn rates(&mut self) {
        let per = |count: u64, seconds: f64| {
            if seconds > 0.0 {
                count as f64 / seconds
            } else {
                0.0
            }
        };
        self.messages_per_second = per(self.messages, self.seconds);
        self.bytes_per_second = per(self.bytes, self.seconds);
        let usage = self.usage.filter(|usage| usage.cpu_seconds > 0.0);
        self.messages_per_broker_cpu_second =
            usage.map(|usage| per(self.messages, usage.cpu_seconds));
    }

    /// Whether there is anything to tell: a run that failed at its beginning has measured nothing.
    pub(crate) fn is_measured(&self) -> bool {
        self.messages > 0 && self.seconds > 0.0
    }

    /// Whether every check has passed.
    pub(crate) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}
