//! The command line of `midge bench`.

use clap::{Args, Parser, Subcommand};

use super::workload::{Flow, Kind, Span, WINDOW_BYTES, Workload};

/// Loads a NATS broker, checks every message, and tells what it cost.
#[derive(Debug, Parser)]
#[command(name = "midge bench", bin_name = "midge bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish where nobody listens
    Pub(FlowArgs),
    /// From publishers to subscribers; each subscriber gets every message
    Fanout(FlowArgs),
    /// From many publishers to one subscriber
    Fanin(FlowArgs),
    /// From publishers to the members of one queue group; each message goes to one of them
    Queue(FlowArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// Where the broker listens
    #[arg(
        short,
        long,
        default_value = "127.0.0.1:4222",
        value_name = "HOST:PORT"
    )]
    pub(crate) server: String,
    /// The broker's process: its CPU time and memory are measured too
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// User name
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Password that belongs to the user name
    #[arg(long)]
    pub(crate) password: Option<String>,
    /// Token, instead of a user name
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct FlowArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Bytes of payload: 16, 1k, 64KiB, 1MiB
    #[arg(long, default_value = "16", value_parser = bytes)]
    size: u64,
    /// Connections that publish
    #[arg(long)]
    pubs: Option<usize>,
    /// Connections that subscribe
    #[arg(long)]
    subs: Option<usize>,
    /// Messages with a header block
    #[arg(long)]
    headers: bool,
    /// Messages, all publishers together: 100000, 10M
    #[arg(long, value_parser = number, conflicts_with = "duration")]
    msgs: Option<u64>,
    /// Seconds of publishing
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    duration: f64,
    /// Bytes that publishers may be ahead of the slowest subscriber; 0 is no bound
    #[arg(long, default_value_t = WINDOW_BYTES, value_parser = bytes)]
    window: u64,
}

impl FlowArgs {
    pub(crate) fn workload(&self, name: &str, pubs: usize, subs: usize) -> Workload {
        Workload {
            name: name.to_owned(),
            kind: Kind::Flow(Flow {
                publishers: self.pubs.unwrap_or(pubs).max(1),
                subscribers: self.subs.unwrap_or(subs),
                queue: name == "queue",
                size: self.size as usize,
                headers: self.headers,
                span: match self.msgs {
                    Some(count) => Span::Messages(count),
                    None => Span::Seconds(self.duration),
                },
                window_bytes: (self.window > 0).then_some(self.window),
            }),
        }
    }
}

/// A number of bytes: digits and a unit. `k` and `KiB` are both 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    scaled(text, 1024).ok_or_else(|| "write bytes as 16, 1k, 64KiB or 1MiB".to_owned())
}

/// A count: digits and perhaps `k`, `M` or `G`, in thousands.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    scaled(text, 1000).ok_or_else(|| "write a count as 100000, 100k or 1.5M".to_owned())
}

fn scaled(text: &str, base: u64) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(&unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    Some((number * base.pow(power) as f64) as u64)
}
