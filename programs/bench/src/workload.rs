//! What is asked of a broker: plain values, with no socket and no clock.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::frame::HEADER;

/// Bytes that publishers may be ahead of the subscribers, unless told otherwise.
pub(crate) const WINDOW_BYTES: u64 = 16 << 20;

/// Most subjects of one run: their numbers have six digits.
pub(crate) const SUBJECTS_MAX: usize = 1_000_000;

/// Least payload that says which message it is.
pub(crate) const STAMPED_BYTES: usize = 16;

/// One measurement, under the name that tables show.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Workload {
    /// Short, for `--only` and tables: `1-to-1`.
    pub(crate) name: String,
    /// What the load does.
    #[serde(flatten)]
    pub(crate) kind: Kind,
}

/// What the load does.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Messages from publishers to subscribers.
    Flow(Flow),
    /// Requests and replies.
    Request(Request),
    /// Connections that each publish to the next, slowly.
    Crowd(Crowd),
    /// Connections that do nothing.
    Idle(Idle),
    /// Connections that come and go.
    Connect(Connect),
    /// Subscriptions that come and go.
    SubUnsub(SubUnsub),
}

/// Messages from publishers to subscribers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Flow {
    /// Connections that publish.
    pub(crate) publishers: usize,
    /// Connections that subscribe; 0 measures the cost of a message without a subscriber.
    pub(crate) subscribers: usize,
    /// The subscribers form one queue group: each message goes to one of them.
    pub(crate) queue: bool,
    /// Bytes of payload.
    pub(crate) size: usize,
    /// Messages have a header block.
    pub(crate) headers: bool,
    /// Subjects, each with one subscription; a message goes to one of them at random. 0 is one
    /// subject for all.
    pub(crate) subjects: usize,
    /// Half of these subscriptions have a wildcard.
    pub(crate) wildcards: bool,
    /// Literal subscriptions on a connection of their own, to other subjects.
    pub(crate) bystanders: usize,
    /// Connections beside, each with a subscription to another subject.
    pub(crate) idle: usize,
    /// When the publishers end.
    pub(crate) span: Span,
    /// Messages a second, all publishers together, each due at its own time. `None` is as fast as
    /// it goes.
    pub(crate) rate: Option<f64>,
    /// Most bytes on the wire that publishers may be ahead of the slowest subscriber. `None` is no
    /// bound.
    pub(crate) window_bytes: Option<u64>,
    /// This number of subscribers, the last ones, read nothing.
    pub(crate) stalled: usize,
    /// Bytes a second that a subscriber reads. `None` is as fast as it goes.
    pub(crate) read_rate: Option<u64>,
}

impl Default for Flow {
    fn default() -> Flow {
        Flow {
            publishers: 1,
            subscribers: 1,
            queue: false,
            size: 16,
            headers: false,
            subjects: 0,
            wildcards: false,
            bystanders: 0,
            idle: 0,
            span: Span::Seconds(2.0),
            rate: None,
            window_bytes: Some(WINDOW_BYTES),
            stalled: 0,
            read_rate: None,
        }
    }
}

impl Flow {
    /// Two publishers and a queue group of four.
    pub(crate) fn queue() -> Flow {
        Flow {
            publishers: 2,
            subscribers: 4,
            queue: true,
            ..Flow::default()
        }
    }

    /// A hundred thousand subscriptions.
    pub(crate) fn subjects() -> Flow {
        Flow {
            subjects: 100_000,
            wildcards: true,
            ..Flow::default()
        }
    }

    /// An open loop.
    pub(crate) fn latency(rate: f64) -> Flow {
        Flow {
            rate: Some(rate),
            ..Flow::default()
        }
    }

    /// One stalled subscriber of three.
    pub(crate) fn slow() -> Flow {
        Flow {
            subscribers: 3,
            stalled: 1,
            ..Flow::default()
        }
    }

    /// A publisher without a window, a subscriber with a limit.
    pub(crate) fn outrun() -> Flow {
        Flow {
            size: 128,
            window_bytes: None,
            read_rate: Some(40_000_000),
            ..Flow::default()
        }
    }
}

impl From<Flow> for Kind {
    fn from(flow: Flow) -> Kind {
        Kind::Flow(flow)
    }
}

/// Requests and replies.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Request {
    /// Connections that ask.
    pub(crate) requesters: usize,
    /// Connections that answer, one queue group.
    pub(crate) responders: usize,
    /// Requests of one connection that may be unanswered. Without effect if there is a rate.
    pub(crate) outstanding: usize,
    /// Bytes of payload of request and reply.
    pub(crate) size: usize,
    /// When the requesters end.
    pub(crate) span: Span,
    /// Requests a second, all requesters together, each due at its own time.
    pub(crate) rate: Option<f64>,
}

/// Connections that each publish to the next, at one rate for all together.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Crowd {
    pub(crate) connections: usize,
    /// Bytes of payload.
    pub(crate) size: usize,
    /// Messages a second, all together.
    pub(crate) rate: f64,
    /// Seconds of the same load before it counts.
    #[serde(default)]
    pub(crate) warm_up: f64,
    /// When they end.
    pub(crate) span: Span,
}

/// Connections that do nothing.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Idle {
    pub(crate) connections: usize,
    /// Subscriptions of each.
    pub(crate) subscriptions: usize,
    /// Seconds for which they stay.
    pub(crate) hold: f64,
}

/// Connections that come, greet and go.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Connect {
    /// How many at a time.
    pub(crate) concurrency: usize,
    /// When to end; messages are connections here.
    pub(crate) span: Span,
    /// What handshakes of TLS are to be, if they are what is measured.
    #[serde(default)]
    pub(crate) handshakes: Option<Handshakes>,
}

/// What a handshake of TLS takes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Handshakes {
    /// A signature each.
    Full,
    /// The session of an earlier connection.
    Resumed,
}

/// Subscriptions of one connection that come and go.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct SubUnsub {
    pub(crate) subscriptions: usize,
}

/// When a load ends.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Span {
    /// After so long.
    Seconds(f64),
    /// After this number of messages, all together.
    Messages(u64),
}

impl Span {
    /// How many messages the one with this `number` of `count` may send.
    pub(crate) fn share(self, number: usize, count: usize) -> u64 {
        match self {
            Span::Seconds(_) => u64::MAX,
            Span::Messages(total) => {
                let (number, count) = (number as u64, count as u64);
                total / count + u64::from(number < total % count)
            }
        }
    }

    /// How long it may go on.
    pub(crate) fn time(self) -> std::time::Duration {
        match self {
            Span::Seconds(seconds) => std::time::Duration::from_secs_f64(seconds.max(0.0)),
            Span::Messages(_) => std::time::Duration::MAX,
        }
    }
}

/// What is asked that cannot be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Impossible {
    NoPublisher,
    NoResponder,
    NothingOutstanding,
    NoConnection,
    NoRate,
    TooSmall { size: usize },
    TooManySubjects { subjects: usize },
    AllStalled,
    QueueOfSubjects,
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Impossible::NoPublisher => f.write_str("at least one connection must publish"),
            Impossible::NoResponder => f.write_str("at least one connection must answer"),
            Impossible::NothingOutstanding => {
                f.write_str("at least one request must be outstanding")
            }
            Impossible::NoConnection => f.write_str("at least one connection is needed"),
            Impossible::NoRate => f.write_str("a rate must be above 0"),
            Impossible::TooSmall { size } => write!(
                f,
                "a payload of {size} bytes cannot say which message it is; use --size {STAMPED_BYTES} or more"
            ),
            Impossible::TooManySubjects { subjects } => {
                write!(f, "{subjects} are too many; use {SUBJECTS_MAX} or fewer")
            }
            Impossible::AllStalled => f.write_str(
                "at least one subscriber must read; use a lower --stalled or a higher --subs",
            ),
            Impossible::QueueOfSubjects => {
                f.write_str("a queue group has one subject here; leave --subjects out")
            }
        }
    }
}

impl Workload {
    /// Bytes of a message's header and payload, which the broker has to take.
    pub(crate) fn message_bytes(&self) -> usize {
        match &self.kind {
            Kind::Flow(flow) if flow.headers => flow.size + HEADER.len(),
            Kind::Flow(flow) => flow.size,
            Kind::Request(request) => request.size,
            Kind::Crowd(crowd) => crowd.size,
            Kind::Idle(_) | Kind::Connect(_) | Kind::SubUnsub(_) => 0,
        }
    }

    /// Looks for what cannot be done.
    pub(crate) fn validate(&self) -> Result<(), Impossible> {
        match &self.kind {
            Kind::Flow(flow) => flow.validate(),
            Kind::Request(request) => {
                need(request.requesters > 0, Impossible::NoPublisher)?;
                need(request.responders > 0, Impossible::NoResponder)?;
                need(request.outstanding > 0, Impossible::NothingOutstanding)?;
                need(request.rate.is_none_or(is_rate), Impossible::NoRate)?;
                stamped(request.size)
            }
            Kind::Crowd(crowd) => {
                need(crowd.connections > 0, Impossible::NoConnection)?;
                need(is_rate(crowd.rate), Impossible::NoRate)?;
                numbered(crowd.connections)?;
                stamped(crowd.size)
            }
            Kind::Idle(idle) => {
                need(idle.connections > 0, Impossible::NoConnection)?;
                numbered(idle.subscriptions)
            }
            Kind::Connect(connect) => need(connect.concurrency > 0, Impossible::NoConnection),
            Kind::SubUnsub(subs) => {
                need(subs.subscriptions > 0, Impossible::NoConnection)?;
                numbered(subs.subscriptions)
            }
        }
    }
}

impl Flow {
    fn validate(&self) -> Result<(), Impossible> {
        need(self.publishers > 0, Impossible::NoPublisher)?;
        need(self.rate.is_none_or(is_rate), Impossible::NoRate)?;
        need(
            self.stalled == 0 || self.stalled < self.subscribers,
            Impossible::AllStalled,
        )?;
        numbered(self.subjects.max(self.bystanders))?;
        if self.subjects > 0 {
            need(!self.queue, Impossible::QueueOfSubjects)?;
        }
        // Who gets which message, and when it was due, is told by the stamp alone.
        if self.queue || self.subjects > 0 || (self.rate.is_some() && self.publishers > 1) {
            stamped(self.size)?;
        }
        Ok(())
    }
}

fn need(good: bool, impossible: Impossible) -> Result<(), Impossible> {
    if good { Ok(()) } else { Err(impossible) }
}

fn is_rate(rate: f64) -> bool {
    rate > 0.0 && rate.is_finite()
}

fn stamped(size: usize) -> Result<(), Impossible> {
    need(size >= STAMPED_BYTES, Impossible::TooSmall { size })
}

fn numbered(subjects: usize) -> Result<(), Impossible> {
    need(
        subjects <= SUBJECTS_MAX,
        Impossible::TooManySubjects { subjects },
    )
}
