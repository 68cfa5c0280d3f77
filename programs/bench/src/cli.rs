//! The command line of `midge bench`, to workloads.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use midge_dial::BrokerFlags;
use midge_protocol::Credentials;

use super::value::{
    bytes, count, number, rate, read_rate, seconds, some, some_seconds, subscribers,
};
use super::versus::VersusArgs;
use super::workload::{
    Connect, Crowd, Flow, Handshakes, Idle, Kind, Request, Span, SubUnsub, Workload,
};

const ABOUT: &str = "\
Load a NATS broker, check every message, and report the cost.

Any broker that speaks the NATS protocol can be loaded. With --pid the CPU time of the broker is \
measured too. Messages per CPU second are the fairest figure where load and broker share a machine.";

const AFTER: &str = "\
Every message has a number and a checksum. A message that is lost, doubled, out of order, altered or \
foreign is named, and the run fails.

Exit codes: 0 all checks passed, 1 a check failed or the broker cannot be reached, 2 the request cannot \
be carried out.

Examples:
  midge bench fanout --subs 8                        one publisher, eight subscribers
  midge bench pub --pid $(pidof nats-server)         cost of a message without a subscriber
  midge bench latency --rate 500k --duration 10s     latency under load, from each due time
  midge bench request --outstanding 32 --json        closed loop, for a script
  midge bench versus                                 all workloads, beside nats-server";

/// The words behind `midge bench`.
#[derive(Debug, Parser)]
#[command(
    name = "midge bench",
    bin_name = "midge bench",
    version,
    about = "Load a NATS broker, check every message, and report the cost",
    long_about = ABOUT,
    after_long_help = AFTER,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish without subscribers
    Pub(FlowArgs),
    /// Publishers to subscribers; each subscriber gets every message [1 to 1]
    Fanout(FlowArgs),
    /// Many publishers to one subscriber [8 to 1]
    Fanin(FlowArgs),
    /// Publishers to a queue group; one member gets each message [2 to 4]
    Queue(FlowArgs),
    /// Many subscriptions, half with wildcards, and messages to random subjects [100k]
    Subjects(FlowArgs),
    /// Open loop: latency of messages at a fixed rate [1.5M per second]
    Latency(FlowArgs),
    /// One of three subscribers reads nothing: what do the others get?
    Slow(FlowArgs),
    /// A publisher outruns a subscriber that reads 40 MB/s: is anything lost?
    Outrun(FlowArgs),
    /// Requests and replies: closed loop, or open loop with --rate
    Request(RequestArgs),
    /// Many connections that share one rate of messages
    Crowd(CrowdArgs),
    /// Idle connections: memory of each
    Idle(IdleArgs),
    /// Connect and close, repeatedly
    Connect(ConnectArgs),
    /// The same by TLS: what a handshake costs, full or resumed
    Handshakes(HandshakesArgs),
    /// Subscribe many times, then unsubscribe
    SubUnsub(SubUnsubArgs),
    /// All workloads on two or more brokers in turns, with a report
    #[command(after_long_help = super::versus::names())]
    Versus(VersusArgs),
}

/// Whom to load, and how to tell what came of it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Measurement and output")]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) broker: BrokerFlags,
    /// Process id of the broker on this machine, to measure CPU time and memory
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Print the result as a JSON object on one line
    #[arg(long)]
    pub(crate) json: bool,
    /// Append the result to a file of comma-separated values
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Time without progress after which the broker has failed
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = some_seconds)]
    patience: f64,
}

impl Common {
    /// How long the broker may be silent.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience)
    }
}

/// How long to go on.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct SpanArgs {
    /// Duration of the load: 2, 10s, 500ms, 1m
    #[arg(short, long, value_name = "TIME", value_parser = some_seconds, default_value = "2s")]
    duration: f64,
    /// Total number of messages, instead of a duration: 100000, 10M
    #[arg(short = 'n', long, value_parser = number, value_name = "COUNT", conflicts_with = "duration")]
    msgs: Option<u64>,
}

impl SpanArgs {
    fn span(self) -> Span {
        match self.msgs {
            Some(count) => Span::Messages(count),
            None => Span::Seconds(self.duration),
        }
    }
}

/// Publishers and subscribers. What is not said depends on the command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct FlowArgs {
    /// Number of publishers
    #[arg(long, value_parser = some, value_name = "COUNT")]
    pubs: Option<usize>,
    /// Number of subscribers
    #[arg(long, value_parser = subscribers, value_name = "COUNT")]
    subs: Option<usize>,
    /// Payload size: 0, 16, 1k, 64KiB, 1MiB [default: 16]
    #[arg(long, value_parser = bytes, value_name = "BYTES")]
    size: Option<u64>,
    /// Give each message a header block
    #[arg(long)]
    headers: bool,
    #[command(flatten)]
    span: SpanArgs,
    /// Open loop: messages per second of all publishers together, each due at its own time
    #[arg(long, value_parser = rate, value_name = "COUNT")]
    rate: Option<u64>,
    /// Lead of the publishers over the slowest subscriber; 0 is no bound
    ///
    /// Brokers close subscribers that are too far behind, and a load without a bound would measure
    /// that. The bound is checked once for each write. With --rate there is none.
    #[arg(long, value_parser = bytes, value_name = "BYTES", default_value = "16MiB")]
    window: u64,
    /// Number of subjects, with a subscription each; each message goes to a random one
    #[arg(long, value_parser = some, value_name = "COUNT")]
    subjects: Option<usize>,
    /// Subscribe to half of these subjects with wildcards
    #[arg(long)]
    wildcards: bool,
    /// Literal subscriptions to other subjects, on a further connection
    #[arg(long, value_parser = count, value_name = "COUNT", default_value = "0", hide_default_value = true)]
    bystanders: usize,
    /// Further idle connections, with one subscription each
    #[arg(long, value_parser = count, value_name = "COUNT", default_value = "0", hide_default_value = true)]
    idle: usize,
    /// Number of subscribers that read nothing
    #[arg(long, value_parser = count, value_name = "COUNT")]
    stalled: Option<usize>,
    /// Bytes per second that a subscriber reads
    #[arg(long, value_parser = read_rate, value_name = "BYTES")]
    read_rate: Option<u64>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl FlowArgs {
    /// `base`, changed by what was said.
    fn flow(&self, base: Flow) -> Flow {
        Flow {
            publishers: self.pubs.unwrap_or(base.publishers),
            subscribers: self.subs.unwrap_or(base.subscribers),
            queue: base.queue,
            size: self.size.map_or(base.size, |size| size as usize),
            headers: self.headers || base.headers,
            subjects: self.subjects.unwrap_or(base.subjects),
            wildcards: self.wildcards || base.wildcards,
            bystanders: self.bystanders,
            idle: self.idle,
            span: self.span.span(),
            rate: self.rate.map_or(base.rate, |rate| Some(rate as f64)),
            window_bytes: base
                .window_bytes
                .and((self.window > 0).then_some(self.window)),
            stalled: self.stalled.unwrap_or(base.stalled),
            read_rate: self.read_rate.or(base.read_rate),
        }
    }
}

/// Requesters and responders.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct RequestArgs {
    /// Number of requesters
    #[arg(long, value_parser = some, value_name = "COUNT", default_value = "1")]
    clients: usize,
    /// Number of responders, in one queue group
    #[arg(long, value_parser = some, value_name = "COUNT", default_value = "1")]
    responders: usize,
    /// Number of outstanding requests per connection
    #[arg(long, value_parser = some, value_name = "COUNT", default_value = "1")]
    outstanding: usize,
    /// Payload size of request and reply
    #[arg(long, value_parser = bytes, value_name = "BYTES", default_value = "16")]
    size: u64,
    #[command(flatten)]
    span: SpanArgs,
    /// Open loop: requests per second of all connections together, each due at its own time
    #[arg(long, value_parser = rate, value_name = "COUNT", conflicts_with = "outstanding")]
    rate: Option<u64>,
    /// User, or user:password, of the requesters, where they are in another account: that imports what the responders
    /// serve
    #[arg(long, value_name = "USER")]
    requester: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Many connections that each do little.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct CrowdArgs {
    /// Number of connections; each publishes to the next
    #[arg(long, value_parser = some, value_name = "COUNT", default_value = "1000")]
    conns: usize,
    /// Messages per second of all connections together
    #[arg(long, value_parser = rate, value_name = "COUNT", default_value = "50k")]
    rate: u64,
    /// Duration of the same load before the measurement: a broker sends its first PING after two seconds
    #[arg(long, value_parser = seconds, value_name = "TIME", default_value = "0s")]
    warm_up: f64,
    /// Payload size
    #[arg(long, value_parser = bytes, value_name = "BYTES", default_value = "16")]
    size: u64,
    #[command(flatten)]
    span: SpanArgs,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Connections that do nothing.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct IdleArgs {
    /// Number of connections
    #[arg(long, value_parser = some, value_name = "COUNT", default_value = "5000")]
    conns: usize,
    /// Subscriptions per connection
    #[arg(long, value_parser = count, value_name = "COUNT", default_value = "1")]
    subs: usize,
    /// Time that they stay connected
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = seconds)]
    hold: f64,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Connections that come and go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct ConnectArgs {
    /// Number of connections at a time
    #[arg(long, value_parser = some, value_name = "COUNT", default_value = "16")]
    concurrency: usize,
    #[command(flatten)]
    span: SpanArgs,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Connections that come and go, for their handshakes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct HandshakesArgs {
    /// Take up the session of an earlier connection, where the broker lets that
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Subscriptions that come and go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct SubUnsubArgs {
    /// Number of subscriptions
    #[arg(long, value_parser = some, value_name = "COUNT", default_value = "100k")]
    subs: usize,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Command {
    /// As whom requesters come, if that is another user than the responders.
    pub(crate) fn requesters(&self) -> Option<Credentials> {
        let Command::Request(args) = self else {
            return None;
        };
        let user = args.requester.as_ref();
        user.map(|user| Credentials::of_user(user, None))
    }

    /// What is asked, and of whom; or that it is more than one workload.
    pub(crate) fn workload(&self) -> Result<(Workload, &Common), &VersusArgs> {
        let flow = Flow::default();
        let (name, kind, common) = match self {
            Command::Pub(args) => (
                "pub",
                args.flow(Flow {
                    subscribers: 0,
                    ..flow
                })
                .into(),
                &args.common,
            ),
            Command::Fanout(args) => ("fanout", args.flow(flow).into(), &args.common),
            Command::Fanin(args) => (
                "fanin",
                args.flow(Flow {
                    publishers: 8,
                    ..flow
                })
                .into(),
                &args.common,
            ),
            Command::Queue(args) => ("queue", args.flow(Flow::queue()).into(), &args.common),
            Command::Subjects(args) => {
                ("subjects", args.flow(Flow::subjects()).into(), &args.common)
            }
            Command::Latency(args) => (
                "latency",
                args.flow(Flow::latency(1.5e6)).into(),
                &args.common,
            ),
            Command::Slow(args) => ("slow", args.flow(Flow::slow()).into(), &args.common),
            Command::Outrun(args) => ("outrun", args.flow(Flow::outrun()).into(), &args.common),
            Command::Request(args) => {
                let request = Request {
                    requesters: args.clients,
                    responders: args.responders,
                    outstanding: args.outstanding,
                    size: args.size as usize,
                    span: args.span.span(),
                    rate: args.rate.map(|rate| rate as f64),
                };
                ("request", Kind::Request(request), &args.common)
            }
            Command::Crowd(args) => {
                let crowd = Crowd {
                    connections: args.conns,
                    size: args.size as usize,
                    rate: args.rate as f64,
                    warm_up: args.warm_up,
                    span: args.span.span(),
                };
                ("crowd", Kind::Crowd(crowd), &args.common)
            }
            Command::Idle(args) => {
                let idle = Idle {
                    connections: args.conns,
                    subscriptions: args.subs,
                    hold: args.hold,
                };
                ("idle", Kind::Idle(idle), &args.common)
            }
            Command::Connect(args) => {
                let connect = Connect {
                    concurrency: args.concurrency,
                    span: args.span.span(),
                    handshakes: None,
                };
                ("connect", Kind::Connect(connect), &args.common)
            }
            Command::Handshakes(args) => {
                let connect = Connect {
                    concurrency: args.connect.concurrency,
                    span: args.connect.span.span(),
                    handshakes: Some(match args.resume {
                        true => Handshakes::Resumed,
                        false => Handshakes::Full,
                    }),
                };
                ("handshakes", Kind::Connect(connect), &args.connect.common)
            }
            Command::SubUnsub(args) => {
                let subscriptions = args.subs;
                let subs = SubUnsub { subscriptions };
                ("sub-unsub", Kind::SubUnsub(subs), &args.common)
            }
            Command::Versus(args) => return Err(args),
        };
        let name = name.to_owned();
        Ok((Workload { name, kind }, common))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Workload {
        let words = format!("bench {line}");
        let cli = Cli::try_parse_from(words.split_whitespace());
        let cli = cli.unwrap_or_else(|error| panic!("{line}: {error}"));
        cli.command.workload().expect("it is one workload").0
    }

    fn flow(line: &str) -> Flow {
        match parse(line).kind {
            Kind::Flow(flow) => flow,
            kind => panic!("{line}: {kind:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_default_that_can_be_done() {
        for command in Cli::command().get_subcommands() {
            if command.get_name() != "versus" {
                let workload = parse(command.get_name());
                assert_eq!(workload.validate(), Ok(()), "{workload:?}");
            }
        }
    }

    #[test]
    fn sizes_and_counts_have_units() {
        for (text, size) in crate::value::tests::SIZES {
            assert_eq!(
                flow(&format!("pub --size {text}")).size as u64,
                size,
                "{text}"
            );
        }
        assert_eq!(flow("pub -n 1.5M").span, Span::Messages(1_500_000));
        for half in ["0.5", "0.5s", "500ms"] {
            assert_eq!(flow(&format!("pub -d {half}")).span, Span::Seconds(0.5));
        }
        for bad in [
            "--size x",
            "--size 1x",
            "--msgs 1KiB",
            "--duration -1",
            "--msgs 5 --duration 1",
        ] {
            let words = format!("bench pub {bad}");
            assert!(
                Cli::try_parse_from(words.split_whitespace()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_said_replaces_what_the_command_brings() {
        let queue = flow("queue --pubs 3 --window 0");
        assert_eq!(
            (queue.publishers, queue.subscribers, queue.queue),
            (3, 4, true)
        );
        assert_eq!(queue.window_bytes, None);
        assert_eq!(flow("fanout --subs 8").subscribers, 8);
        assert_eq!(flow("latency").rate, Some(1.5e6));
        assert_eq!(flow("outrun").window_bytes, None);
    }
}
