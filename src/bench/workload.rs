//! What is asked of a broker: plain values, with no socket and no clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes that publishers may be ahead of the subscribers, unless told otherwise.
pub(crate) const WINDOW_BYTES: u64 = 16 << 20;

/// One measurement, under the name that tables show.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Workload {
    /// Short, for `--only` and file names: `1-to-1`.
    pub(crate) name: String,
    /// What the load does.
    #[serde(flatten)]
    pub(crate) kind: Kind,
}

/// What the load does.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Messages from publishers to subscribers.
    Flow(Flow),
}

/// Messages from publishers to subscribers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Flow {
    /// Connections that publish.
    pub(crate) publishers: usize,
    /// Connections that subscribe; 0 measures what a message costs that nobody wants.
    pub(crate) subscribers: usize,
    /// The subscribers form one queue group: each message goes to one of them.
    pub(crate) queue: bool,
    /// Bytes of payload.
    pub(crate) size: usize,
    /// Messages have a header block.
    pub(crate) headers: bool,
    /// When the publishers end.
    pub(crate) span: Span,
    /// Most bytes on the wire that a publisher may be ahead of the slowest subscriber. `None` is no
    /// bound.
    pub(crate) window_bytes: Option<u64>,
}

impl Default for Flow {
    fn default() -> Flow {
        Flow {
            publishers: 1,
            subscribers: 1,
            queue: false,
            size: 16,
            headers: false,
            span: Span::Seconds(2.0),
            window_bytes: Some(WINDOW_BYTES),
        }
    }
}

/// When publishers end.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Span {
    /// After so long.
    Seconds(f64),
    /// After so many messages, all publishers together.
    Messages(u64),
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Span::Seconds(seconds) => write!(f, "{seconds} s"),
            Span::Messages(count) => write!(f, "{count} messages"),
        }
    }
}
