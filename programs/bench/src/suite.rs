//! The workloads that `versus` runs, and what is compared in each.

use super::outcome::Outcome;
use super::workload::{
    Connect, Crowd, Flow, Idle, Kind, Request, STAMPED_BYTES, Span, SubUnsub, Workload,
};
use serde::{Deserialize, Serialize};

/// A workload of the suite.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) workload: Workload,
    /// The subcommand that runs it by itself.
    pub(crate) command: &'static str,
    /// For tables and plots.
    pub(crate) title: String,
    /// What is compared, the most telling first.
    pub(crate) metrics: Vec<Metric>,
    /// Entries of one series, which differ in a number: the series and that number.
    pub(crate) series: Option<(Series, usize)>,
    /// Why it is not measured, if it would tell nothing true.
    pub(crate) unfit: Option<String>,
}

impl Case {
    /// Whether a broker may cut off a subscriber here and be honest.
    pub(crate) fn may_be_cut_off(&self) -> bool {
        matches!(&self.workload.kind, Kind::Flow(flow) if flow.read_rate.is_some())
    }
}

/// Workloads that differ in one number.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Series {
    /// Subscriptions beside the one under load.
    Subscriptions,
    /// Connections that share one rate.
    Connections,
}

impl Series {
    /// For the heading of a plot.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Series::Subscriptions => "Other subscriptions beside the one under load",
            Series::Connections => "Connections that share one rate",
        }
    }
}

/// One number of an outcome.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    /// Messages, requests or connections for each second of the broker's CPU.
    CpuRate,
    /// The same for each second of the clock.
    Rate,
    /// The middle latency, in nanoseconds.
    P50,
    /// The latency that one of a hundred exceeds, in nanoseconds.
    P99,
    /// The most memory that the broker ever had, in bytes.
    PeakMemory,
    /// Memory of a connection, in bytes.
    ConnectionBytes,
    /// Memory of a subscription, in bytes.
    SubscriptionBytes,
    /// Subscriptions made a second.
    SubRate,
    /// Subscriptions ended a second.
    UnsubRate,
}

impl Metric {
    /// What it is called where the workload is known.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Metric::CpuRate => "per broker CPU second",
            Metric::Rate => "per second",
            Metric::P50 => "latency p50",
            Metric::P99 => "latency p99",
            Metric::PeakMemory => "peak memory",
            Metric::ConnectionBytes => "memory per connection",
            Metric::SubscriptionBytes => "memory per subscription",
            Metric::SubRate => "SUB per second",
            Metric::UnsubRate => "UNSUB per second",
        }
    }

    /// Whether more is better.
    pub(crate) fn more_is_better(self) -> bool {
        match self {
            Metric::CpuRate | Metric::Rate | Metric::SubRate | Metric::UnsubRate => true,
            Metric::P50
            | Metric::P99
            | Metric::PeakMemory
            | Metric::ConnectionBytes
            | Metric::SubscriptionBytes => false,
        }
    }

    /// The number, if the outcome has it.
    pub(crate) fn of(self, outcome: &Outcome) -> Option<f64> {
        let latency = outcome.latency.as_ref();
        let figure = |name: &str| outcome.figures.get(name).copied();
        match self {
            Metric::CpuRate => outcome.messages_per_broker_cpu_second,
            Metric::Rate => Some(outcome.messages_per_second),
            Metric::P50 => latency.map(|latency| latency.p50 as f64),
            Metric::P99 => latency.map(|latency| latency.p99 as f64),
            Metric::PeakMemory => outcome.usage.map(|usage| usage.resident_peak as f64),
            Metric::ConnectionBytes => figure("bytes_per_connection"),
            Metric::SubscriptionBytes => figure("bytes_per_subscription"),
            Metric::SubRate => figure("sub_rate"),
            Metric::UnsubRate => figure("unsub_rate"),
        }
    }

    /// The number for people.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Metric::P50 | Metric::P99 => super::table::seconds(value),
            Metric::PeakMemory | Metric::ConnectionBytes | Metric::SubscriptionBytes => {
                super::table::bytes(value)
            }
            _ => super::table::count(value),
        }
    }
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Seconds of load.
    pub(crate) seconds: f64,
    /// Everything is there, and little of it.
    pub(crate) quick: bool,
}

/// Long enough for a broker to show its patience with a stalled subscriber: midge waits for it up to
/// three seconds, and until then the others get next to nothing.
const STALLED_SECONDS: f64 = 8.0;

/// All workloads.
pub(crate) fn suite(scale: Scale) -> Vec<Case> {
    use Metric::{CpuRate, P50, P99, Rate};
    let span = Span::Seconds(scale.seconds);
    let many = |full: usize, quick: usize| if scale.quick { quick } else { full };
    let flow = Flow {
        span,
        ..Flow::default()
    };
    let mut cases = Vec::new();
    let mut add = |name: &str, title: &str, kind: Kind, metrics: &[Metric]| {
        cases.push(Case {
            workload: Workload {
                name: name.to_owned(),
                kind,
            },
            command: command(&kind),
            title: title.to_owned(),
            metrics: metrics.to_vec(),
            series: None,
            unfit: None,
        });
    };
    let rates = [CpuRate, Rate];
    let sized = |size| Flow { size, ..flow }.into();
    let fan = |publishers, subscribers| {
        Flow {
            publishers,
            subscribers,
            ..flow
        }
        .into()
    };
    add("pub-only", "Publish only, 16 B", fan(1, 0), &rates);
    add("1-to-1", "1 to 1, 16 B", fan(1, 1), &rates);
    let headers = Flow {
        headers: true,
        ..flow
    };
    add(
        "1-to-1-headers",
        "1 to 1, 16 B and headers",
        headers.into(),
        &rates,
    );
    add("1-to-1-1k", "1 to 1, 1 KiB", sized(1024), &rates);
    add("1-to-1-4k", "1 to 1, 4 KiB", sized(4096), &rates);
    add("1-to-1-64k", "1 to 1, 64 KiB", sized(65536), &rates);
    add("1-to-8", "1 to 8, 16 B", fan(1, 8), &rates);
    add("1-to-64", "1 to 64, 16 B", fan(1, 64), &rates);
    add("8-to-1", "8 to 1, 16 B", fan(8, 1), &rates);
    let queue = Flow {
        span,
        ..Flow::queue()
    };
    add(
        "queue-2-to-4",
        "2 to a queue group of 4, 16 B",
        queue.into(),
        &rates,
    );
    let subjects = Flow {
        span,
        subjects: many(100_000, 1000),
        ..Flow::subjects()
    };
    add(
        "subjects-100k",
        "100,000 literal and wildcard subscriptions, random subjects",
        subjects.into(),
        &rates,
    );
    let request = |outstanding| {
        Kind::Request(Request {
            requesters: 1,
            responders: 1,
            outstanding,
            size: STAMPED_BYTES,
            span,
            rate: None,
        })
    };
    add(
        "request-1",
        "Request and reply, 1 outstanding",
        request(1),
        &[CpuRate, Rate, P50, P99],
    );
    add(
        "request-32",
        "Request and reply, 32 outstanding",
        request(32),
        &[CpuRate, Rate, P50, P99],
    );
    let rate = if scale.quick { 10e3 } else { 1.5e6 };
    let latency = Flow {
        span,
        ..Flow::latency(rate)
    };
    add(
        "latency-1.5m",
        "Open loop, 1.5 M messages/s",
        latency.into(),
        &[P50, P99, CpuRate],
    );
    let slow = Flow {
        span: Span::Seconds(scale.seconds.max(STALLED_SECONDS)),
        ..Flow::slow()
    };
    add(
        "stalled",
        "One stalled subscriber of three",
        slow.into(),
        &rates_of_others(),
    );
    let outrun = Flow {
        span,
        ..Flow::outrun()
    };
    add(
        "outrun",
        "A publisher outruns a subscriber of 40 MB/s",
        outrun.into(),
        &[Metric::PeakMemory, CpuRate],
    );
    let connect = Kind::Connect(Connect {
        concurrency: 16,
        span,
    });
    add("connect", "Connect, greet, close", connect, &rates);
    let idle = Kind::Idle(Idle {
        connections: many(5000, 100),
        subscriptions: 1,
        hold: 0.0,
    });
    add("idle", "Idle connections", idle, &[Metric::ConnectionBytes]);
    let subs = Kind::SubUnsub(SubUnsub {
        subscriptions: many(100_000, 1000),
    });
    let sub_metrics = [
        Metric::SubRate,
        Metric::UnsubRate,
        Metric::SubscriptionBytes,
        CpuRate,
    ];
    add("sub-unsub", "100,000 SUB, then UNSUB", subs, &sub_metrics);
    for bystanders in [1, 1000, many(100_000, 2000)] {
        let flow = Flow { bystanders, ..flow };
        let count = super::table::thousands(bystanders);
        let s = if bystanders == 1 { "" } else { "s" };
        let title = format!("1 to 1, {count} subscription{s} beside");
        add(&format!("beside-{bystanders}"), &title, flow.into(), &rates);
    }
    for connections in [1, 100, many(1000, 150), many(10_000, 200)] {
        let crowd = Kind::Crowd(Crowd {
            connections,
            size: STAMPED_BYTES,
            // At this rate each message travels alone, also where all come from one connection.
            rate: 5e3,
            warm_up: if scale.quick { 0.0 } else { 3.5 },
            span,
        });
        let count = super::table::thousands(connections);
        let s = if connections == 1 { "" } else { "s" };
        let title = format!("{count} connection{s}, 5,000 messages/s together");
        add(
            &format!("crowd-{connections}"),
            &title,
            crowd,
            &[CpuRate, P50],
        );
    }
    for case in &mut cases {
        if scale.quick && matches!(&case.workload.kind, Kind::Flow(flow) if flow.stalled > 0) {
            case.unfit = Some(format!(
                "a broker shows only after some seconds what it does with a stalled subscriber; without --quick this takes {STALLED_SECONDS} s of load"
            ));
        }
        case.series = match &case.workload.kind {
            Kind::Flow(flow) if flow.bystanders > 0 => {
                Some((Series::Subscriptions, flow.bystanders))
            }
            Kind::Crowd(crowd) => Some((Series::Connections, crowd.connections)),
            _ => None,
        };
    }
    cases
}

/// The subcommand that runs a workload of this kind.
fn command(kind: &Kind) -> &'static str {
    match kind {
        Kind::Flow(flow) if flow.subscribers == 0 => "pub",
        Kind::Flow(flow) if flow.stalled > 0 => "slow",
        Kind::Flow(flow) if flow.read_rate.is_some() => "outrun",
        Kind::Flow(flow) if flow.rate.is_some() => "latency",
        Kind::Flow(flow) if flow.subjects > 0 => "subjects",
        Kind::Flow(flow) if flow.queue => "queue",
        Kind::Flow(flow) if flow.publishers > flow.subscribers => "fanin",
        Kind::Flow(_) => "fanout",
        Kind::Request(_) => "request",
        Kind::Crowd(_) => "crowd",
        Kind::Idle(_) => "idle",
        Kind::Connect(_) => "connect",
        Kind::SubUnsub(_) => "sub-unsub",
    }
}

/// Where one subscriber stalls, time counts: processors are idle while everybody waits.
fn rates_of_others() -> [Metric; 2] {
    [Metric::Rate, Metric::CpuRate]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_can_be_done_and_has_a_name_of_its_own() {
        for quick in [false, true] {
            let cases = suite(Scale {
                seconds: 1.0,
                quick,
            });
            let mut names: Vec<_> = cases.iter().map(|case| &case.workload.name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), cases.len());
            for case in cases {
                assert_eq!(case.workload.validate(), Ok(()), "{case:?}");
                assert!(!case.metrics.is_empty());
            }
        }
    }
}
