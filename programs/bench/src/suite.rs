//! The workloads that `versus` runs, and what is compared in each.

use super::outcome::Outcome;
use super::workload::{
    Connect, Crowd, Flow, Handshakes, Idle, Kind, Request, STAMPED_BYTES, Span, SubUnsub, Workload,
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
    /// How the broker is set up for it.
    pub(crate) setup: Setup,
    /// What is compared, the most telling first.
    pub(crate) metrics: Vec<Metric>,
    /// Entries of one series, which differ in a number: the series and that number.
    pub(crate) series: Option<(Series, usize)>,
    /// Why it is not measured, if it would tell nothing true.
    pub(crate) unfit: Option<String>,
}

impl Case {
    fn new(name: &str, title: &str, kind: impl Into<Kind>, metrics: &[Metric]) -> Case {
        let kind = kind.into();
        Case {
            workload: Workload {
                name: name.to_owned(),
                kind,
            },
            command: command(&kind),
            title: title.to_owned(),
            setup: Setup::Plain,
            metrics: metrics.to_vec(),
            series: None,
            unfit: None,
        }
    }

    /// The same on a broker that is set up so.
    fn with(self, setup: Setup) -> Case {
        Case { setup, ..self }
    }

    /// Whether a broker may cut off a subscriber here and be honest.
    pub(crate) fn may_be_cut_off(&self) -> bool {
        matches!(&self.workload.kind, Kind::Flow(flow) if flow.read_rate.is_some())
    }
}

/// How a broker is set up for a workload, and how the load comes to it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Setup {
    /// With its defaults.
    #[default]
    Plain,
    /// With a certificate: by TLS.
    Tls,
    /// With a port for WebSocket, without TLS.
    WebSocket,
    /// With a user who may publish and subscribe below one subject: as that user.
    Permissions,
    /// With two accounts, the one of which imports a service of the other: requesters come as a user of that.
    Accounts,
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

impl Scale {
    fn span(self) -> Span {
        Span::Seconds(self.seconds)
    }

    fn count(self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// One publisher and one subscriber, 16 bytes.
    fn flow(self) -> Flow {
        Flow {
            span: self.span(),
            ..Flow::default()
        }
    }

    /// One requester and one responder.
    fn request(self, outstanding: usize) -> Kind {
        Kind::Request(Request {
            requesters: 1,
            responders: 1,
            outstanding,
            size: STAMPED_BYTES,
            span: self.span(),
            rate: None,
        })
    }
}

const RATES: [Metric; 2] = [Metric::CpuRate, Metric::Rate];

/// All workloads.
pub(crate) fn suite(scale: Scale) -> Vec<Case> {
    let mut cases = throughput(scale);
    cases.extend(latency(scale));
    cases.extend(slow_subscribers(scale));
    cases.extend(connections(scale));
    cases.extend(growing_subscriptions(scale));
    cases.extend(growing_connections(scale));
    cases.extend(encrypted(scale));
    cases.extend(framed(scale));
    cases.extend(permitted(scale));
    cases.extend(imported(scale));
    cases
}

/// Publishers as fast as their subscribers: payloads, fan-out, fan-in, queue groups, subjects.
fn throughput(scale: Scale) -> Vec<Case> {
    let flow = scale.flow();
    let sized = |size| Flow { size, ..flow };
    let fan = |publishers, subscribers| Flow {
        publishers,
        subscribers,
        ..flow
    };
    let headers = Flow {
        headers: true,
        ..flow
    };
    let queue = Flow {
        span: flow.span,
        ..Flow::queue()
    };
    let subjects = Flow {
        span: flow.span,
        subjects: scale.count(100_000, 1000),
        ..Flow::subjects()
    };
    let flows = [
        ("pub-only", "Publish only, 16 B", fan(1, 0)),
        ("1-to-1", "1 to 1, 16 B", fan(1, 1)),
        ("1-to-1-headers", "1 to 1, 16 B and headers", headers),
        ("1-to-1-1k", "1 to 1, 1 KiB", sized(1024)),
        ("1-to-1-4k", "1 to 1, 4 KiB", sized(4096)),
        ("1-to-1-64k", "1 to 1, 64 KiB", sized(65536)),
        ("1-to-8", "1 to 8, 16 B", fan(1, 8)),
        ("1-to-64", "1 to 64, 16 B", fan(1, 64)),
        ("8-to-1", "8 to 1, 16 B", fan(8, 1)),
        ("queue-2-to-4", "2 to a queue group of 4, 16 B", queue),
        (
            "subjects-100k",
            "100,000 literal and wildcard subscriptions, random subjects",
            subjects,
        ),
    ];
    let cases = flows.map(|(name, title, flow)| Case::new(name, title, flow, &RATES));
    cases.into()
}

/// Requests in a closed loop, and messages in an open one.
fn latency(scale: Scale) -> Vec<Case> {
    use Metric::{CpuRate, P50, P99, Rate};
    let request = |outstanding| scale.request(outstanding);
    let open_loop = Flow {
        span: scale.span(),
        ..Flow::latency(if scale.quick { 10e3 } else { 1.5e6 })
    };
    let metrics = [CpuRate, Rate, P50, P99];
    vec![
        Case::new(
            "request-1",
            "Request and reply, 1 outstanding",
            request(1),
            &metrics,
        ),
        Case::new(
            "request-32",
            "Request and reply, 32 outstanding",
            request(32),
            &metrics,
        ),
        Case::new(
            "latency-1.5m",
            "Open loop, 1.5 M messages/s",
            open_loop,
            &[P50, P99, CpuRate],
        ),
    ]
}

/// Subscribers that read nothing, or less than is published.
fn slow_subscribers(scale: Scale) -> Vec<Case> {
    let stalled = Flow {
        span: Span::Seconds(scale.seconds.max(STALLED_SECONDS)),
        ..Flow::slow()
    };
    let outrun = Flow {
        span: scale.span(),
        ..Flow::outrun()
    };
    let mut stalled = Case::new(
        "stalled",
        "One stalled subscriber of three",
        stalled,
        // Processors are idle while everybody waits for the stalled one: the clock tells more.
        &[Metric::Rate, Metric::CpuRate],
    );
    stalled.unfit = scale.quick.then(|| {
        format!(
            "a broker shows only after some seconds what it does with a stalled subscriber; without --quick this takes {STALLED_SECONDS} s of load"
        )
    });
    let outrun = Case::new(
        "outrun",
        "A publisher outruns a subscriber of 40 MB/s",
        outrun,
        &[Metric::PeakMemory, Metric::CpuRate],
    );
    vec![stalled, outrun]
}

/// Connections and subscriptions that come, stay and go.
fn connections(scale: Scale) -> Vec<Case> {
    let connect = Kind::Connect(Connect {
        concurrency: 16,
        span: scale.span(),
        handshakes: None,
    });
    let idle = Kind::Idle(Idle {
        connections: scale.count(5000, 100),
        subscriptions: 1,
        hold: 0.0,
    });
    let subs = Kind::SubUnsub(SubUnsub {
        subscriptions: scale.count(100_000, 1000),
    });
    vec![
        Case::new("connect", "Connect, greet, close", connect, &RATES),
        Case::new("idle", "Idle connections", idle, &[Metric::ConnectionBytes]),
        Case::new(
            "sub-unsub",
            "100,000 SUB, then UNSUB",
            subs,
            &[
                Metric::SubRate,
                Metric::UnsubRate,
                Metric::SubscriptionBytes,
                Metric::CpuRate,
            ],
        ),
    ]
}

/// One flow beside ever more subscriptions that get nothing of it.
fn growing_subscriptions(scale: Scale) -> Vec<Case> {
    let case = |bystanders| {
        let flow = Flow {
            bystanders,
            ..scale.flow()
        };
        let title = format!("1 to 1, {} beside", counted(bystanders, "subscription"));
        let mut case = Case::new(&format!("beside-{bystanders}"), &title, flow, &RATES);
        case.series = Some((Series::Subscriptions, bystanders));
        case
    };
    [1, 1000, scale.count(100_000, 2000)].map(case).into()
}

/// One rate over ever more connections.
fn growing_connections(scale: Scale) -> Vec<Case> {
    let case = |connections| {
        let crowd = Kind::Crowd(Crowd {
            connections,
            size: STAMPED_BYTES,
            // At this rate each message travels alone, also where all come from one connection.
            rate: 5e3,
            warm_up: if scale.quick { 0.0 } else { 3.5 },
            span: scale.span(),
        });
        let title = format!(
            "{}, 5,000 messages/s together",
            counted(connections, "connection")
        );
        let metrics = [Metric::CpuRate, Metric::P50];
        let mut case = Case::new(&format!("crowd-{connections}"), &title, crowd, &metrics);
        case.series = Some((Series::Connections, connections));
        case
    };
    [1, 100, scale.count(1000, 150), scale.count(10_000, 200)]
        .map(case)
        .into()
}

/// By TLS: messages, handshakes, connections at rest.
fn encrypted(scale: Scale) -> Vec<Case> {
    let sized = |size| Flow {
        size,
        ..scale.flow()
    };
    let handshakes = |resume| {
        Kind::Connect(Connect {
            concurrency: 16,
            span: scale.span(),
            handshakes: Some(if resume {
                Handshakes::Resumed
            } else {
                Handshakes::Full
            }),
        })
    };
    let idle = Kind::Idle(Idle {
        connections: scale.count(2000, 50),
        subscriptions: 1,
        hold: 0.0,
    });
    let cases = [
        Case::new("tls-1-to-1", "TLS, 1 to 1, 16 B", sized(16), &RATES),
        Case::new("tls-1-to-1-1k", "TLS, 1 to 1, 1 KiB", sized(1024), &RATES),
        Case::new(
            "tls-1-to-1-64k",
            "TLS, 1 to 1, 64 KiB",
            sized(65536),
            &RATES,
        ),
        Case::new(
            "tls-handshakes",
            "TLS, full handshakes: connect, greet, close",
            handshakes(false),
            &RATES,
        ),
        Case::new(
            "tls-resumed",
            "TLS, resumed handshakes: connect, greet, close",
            handshakes(true),
            &RATES,
        ),
        Case::new(
            "tls-idle",
            "TLS, idle connections",
            idle,
            &[Metric::ConnectionBytes],
        ),
    ];
    cases.map(|case| case.with(Setup::Tls)).into()
}

/// By WebSocket.
fn framed(scale: Scale) -> Vec<Case> {
    let sized = |size| Flow {
        size,
        ..scale.flow()
    };
    let cases = [
        Case::new("ws-1-to-1", "WebSocket, 1 to 1, 16 B", sized(16), &RATES),
        Case::new(
            "ws-1-to-1-1k",
            "WebSocket, 1 to 1, 1 KiB",
            sized(1024),
            &RATES,
        ),
    ];
    cases.map(|case| case.with(Setup::WebSocket)).into()
}

/// As a user with permissions, held against each message that is published.
fn permitted(scale: Scale) -> Vec<Case> {
    let subjects = Flow {
        subjects: scale.count(1000, 100),
        ..scale.flow()
    };
    let cases = [
        Case::new(
            "permissions",
            "Permissions, 1 to 1, 16 B, one subject",
            scale.flow(),
            &RATES,
        ),
        Case::new(
            "permissions-1000",
            "Permissions, 1 to 1, 16 B, 1,000 subjects at random",
            subjects,
            &RATES,
        ),
    ];
    cases.map(|case| case.with(Setup::Permissions)).into()
}

/// Requests to another account, by a service that is imported, and the answers to them.
fn imported(scale: Scale) -> Vec<Case> {
    let cases = [
        Case::new(
            "import-request-1",
            "Request to another account and reply, 1 outstanding",
            scale.request(1),
            &RATES,
        ),
        Case::new(
            "import-request-32",
            "Request to another account and reply, 32 outstanding",
            scale.request(32),
            &RATES,
        ),
    ];
    cases.map(|case| case.with(Setup::Accounts)).into()
}

/// `1 connection`, `10,000 connections`.
fn counted(count: usize, thing: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {thing}{s}", super::table::thousands(count))
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
        Kind::Connect(connect) if connect.handshakes.is_some() => "handshakes",
        Kind::Connect(_) => "connect",
        Kind::SubUnsub(_) => "sub-unsub",
    }
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
