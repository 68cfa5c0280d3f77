//! The command lines of these subcommands.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand};

use super::connection::Deadline;
use super::message::Show;
use super::monitor::Monitor;
use super::subject::{literal, pattern, queue};
use super::top::Sort;
use midge_dial::{BrokerFlags, CertificateFlags};
use midge_text::quantity::{count, some};

const CODES: &str = "\
Exit codes: 0 done, 1 the broker cannot be reached or refuses, 2 wrong command line, 3 timeout, \
4 no subscriber answers the request.";

const SECRET_CODES: &str =
    "Exit codes: 0 done, 1 nothing can be made of the input, 2 wrong command line.";

/// The words behind `midge`.
#[derive(Debug, Parser)]
#[command(name = "midge", bin_name = "midge", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
// An error names the options in use, and one that the environment sets is in use: hence the usages.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Publish a message, and wait until the broker has received it
    #[command(after_help = CODES, override_usage = "midge pub [OPTIONS] <SUBJECT> [PAYLOAD]")]
    Pub(PubArgs),
    /// Subscribe, and print each message that comes
    #[command(after_help = CODES, override_usage = "midge sub [OPTIONS] <SUBJECTS>...")]
    Sub(SubArgs),
    /// Send a request, and print the reply
    #[command(after_help = CODES, override_usage = "midge req [OPTIONS] <SUBJECT> [PAYLOAD]")]
    Req(ReqArgs),
    /// Watch a running broker by its monitoring port
    #[command(after_help = CODES)]
    Top(TopArgs),
    /// Close connections of a running midge by its monitoring port
    ///
    /// Without --yes it shows the connections that match all of the filters, and closes none. The monitoring
    /// port must ask for a password or a token (http_authorization in the configuration file).
    #[command(after_help = CODES)]
    Kick(KickArgs),
    /// Make the bcrypt hash of a password, for the configuration file
    ///
    /// The password is typed twice on a terminal, which does not show it; otherwise it is the first line of standard
    /// input. It has at most 72 bytes.
    #[command(after_help = SECRET_CODES)]
    Passwd(PasswdArgs),
    /// Make a key for a user: its seed, and below it the public key for the configuration file
    ///
    /// The seed is the secret of the client, and the broker never sees it. Write both to a file that nobody else may read:
    /// (umask 077; midge nkey > ann.nk). The option --nkey of midge's tools takes that file.
    #[command(after_help = SECRET_CODES)]
    Nkey(NkeyArgs),
}

/// What is sent.
#[derive(Args, Clone, Debug)]
pub(super) struct MessageArgs {
    /// Subject, without wildcards
    #[arg(value_parser = literal)]
    pub(super) subject: String,
    /// Payload; without it, all of standard input
    payload: Option<String>,
    /// Header, as "Name: value"; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER", action = ArgAction::Append, value_parser = header)]
    pub(super) headers: Vec<String>,
}

impl MessageArgs {
    pub(super) fn payload(&self) -> io::Result<Vec<u8>> {
        match &self.payload {
            Some(text) => Ok(text.clone().into_bytes()),
            None => {
                let mut payload = Vec::new();
                io::stdin().lock().read_to_end(&mut payload)?;
                Ok(payload)
            }
        }
    }
}

/// How messages that come are shown.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct ShowArgs {
    /// Print payloads only
    #[arg(short, long)]
    raw: bool,
    /// Print each message as a JSON object on one line
    #[arg(short, long, conflicts_with = "raw")]
    json: bool,
}

impl ShowArgs {
    pub(super) fn how(self) -> Show {
        match self {
            ShowArgs { json: true, .. } => Show::Json,
            ShowArgs { raw: true, .. } => Show::Raw,
            _ => Show::Text,
        }
    }
}

/// `midge pub`.
#[derive(Args, Clone, Debug)]
pub(super) struct PubArgs {
    #[command(flatten)]
    pub(super) message: MessageArgs,
    /// Reply subject
    #[arg(short, long, value_parser = literal)]
    pub(super) reply: Option<String>,
    /// Number of times to publish it
    #[arg(short = 'n', long, default_value = "1", value_parser = count)]
    pub(super) count: u64,
    /// Publish each line of standard input as a message
    #[arg(short, long, conflicts_with = "payload")]
    pub(super) lines: bool,
    /// Print nothing when done
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Time limit for the broker: 5, 5s, 500ms, 2m
    #[arg(short, long, default_value = "5s", value_name = "TIME", value_parser = time)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) broker: BrokerFlags,
}

impl PubArgs {
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::new(self.timeout)
    }
}

/// `midge sub`.
#[derive(Args, Clone, Debug)]
pub(super) struct SubArgs {
    /// Subjects; wildcards are * and >
    #[arg(required = true, value_parser = pattern)]
    pub(super) subjects: Vec<String>,
    /// Queue group that shares the messages
    #[arg(short, long, value_parser = queue)]
    pub(super) queue: Option<String>,
    /// Exit after this number of messages
    #[arg(short = 'n', long, value_parser = some)]
    pub(super) count: Option<u64>,
    /// Answer each request with this text
    #[arg(short, long, value_name = "TEXT")]
    pub(super) answer: Option<String>,
    /// Exit with code 3 after this time: 5, 5s, 500ms, 2m; 0 for never
    #[arg(short, long, default_value = "0s", value_name = "TIME", value_parser = time)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) show: ShowArgs,
    #[command(flatten)]
    pub(super) broker: BrokerFlags,
}

impl SubArgs {
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::new(self.timeout)
    }
}

/// `midge req`.
#[derive(Args, Clone, Debug)]
pub(super) struct ReqArgs {
    #[command(flatten)]
    pub(super) message: MessageArgs,
    /// Number of replies to wait for
    #[arg(short = 'n', long, default_value = "1", value_parser = some)]
    pub(super) replies: u64,
    /// Time limit for the replies: 5, 5s, 500ms, 2m
    #[arg(short, long, default_value = "2s", value_name = "TIME", value_parser = time)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) show: ShowArgs,
    #[command(flatten)]
    pub(super) broker: BrokerFlags,
}

impl ReqArgs {
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::new(self.timeout)
    }
}

/// Where the monitoring port is, and how to come to it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Monitoring")]
pub(super) struct MonitorArgs {
    /// Address of monitoring: port, host:port or http://host:port/base; also https://, and with credentials
    /// http://user:password@host:port or http://token@host:port
    #[arg(short, long, env = "MIDGE_MONITOR", hide_env_values = true)]
    #[arg(default_value = "127.0.0.1:8222", value_name = "ADDRESS", value_parser = Monitor::parse)]
    monitor: Monitor,
    #[command(flatten)]
    certificates: CertificateFlags,
}

impl MonitorArgs {
    /// The port, with whom to trust there.
    pub(super) fn monitor(&self) -> Monitor {
        self.monitor
            .clone()
            .trusting(self.certificates.certificates())
    }
}

/// `midge top`.
#[derive(Args, Clone, Debug)]
pub(super) struct TopArgs {
    #[command(flatten)]
    pub(super) monitoring: MonitorArgs,
    /// Time between two samples: 5, 5s, 500ms, 2m
    #[arg(short, long, default_value = "1s", value_name = "TIME", value_parser = time)]
    pub(super) delay: Duration,
    /// Number of samples to print before exiting: 1 for a script
    #[arg(short = 'n', long, value_parser = some)]
    pub(super) samples: Option<u64>,
    /// Column by which connections are sorted
    #[arg(short, long, value_enum, default_value = "cid", value_name = "COLUMN")]
    pub(super) sort: Sort,
    /// Maximum number of connections listed
    #[arg(short, long, default_value_t = 1024)]
    pub(super) limit: u32,
    /// Print each sample as a JSON object on one line
    #[arg(short, long)]
    pub(super) json: bool,
}

/// `midge kick`.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("whom").required(true).multiple(true).args(["cid", "user", "account", "find", "all"]))]
pub(super) struct KickArgs {
    #[command(flatten)]
    pub(super) monitoring: MonitorArgs,
    /// Number of one connection
    #[arg(long)]
    pub(super) cid: Option<u64>,
    /// Name of the user
    #[arg(long)]
    pub(super) user: Option<String>,
    /// Name of the account
    #[arg(long)]
    pub(super) account: Option<String>,
    /// Text that occurs in the name, language, version, user or address
    #[arg(long, value_name = "TEXT")]
    pub(super) find: Option<String>,
    /// All connections
    #[arg(long)]
    pub(super) all: bool,
    /// Reason sent to the clients and written to the log
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Close the connections
    #[arg(long)]
    pub(super) yes: bool,
}

/// `midge passwd`.
#[derive(Args, Clone, Debug)]
pub(super) struct PasswdArgs {
    /// Make a password of 24 letters and digits, and print it above its hash
    #[arg(short, long)]
    pub(super) generate: bool,
    /// Cost, 4 to 16: one more doubles the time that the hash, and each login, takes
    #[arg(short, long, default_value = "11", value_name = "N", value_parser = cost)]
    pub(super) cost: u32,
}

/// `midge nkey`.
#[derive(Args, Clone, Debug)]
pub(super) struct NkeyArgs {
    /// Print the public key of the seed in this file, or at standard input if it is -; make none
    #[arg(short, long, value_name = "SEED_FILE")]
    pub(super) public: Option<PathBuf>,
}

fn cost(text: &str) -> Result<u32, String> {
    let cost = text.parse().ok();
    cost.filter(|cost| (4..=16).contains(cost)).ok_or_else(|| {
        "write a number from 4 to 16; a login takes about a tenth of a second with 11, and twice as long with each \
         one more, so that with 17 clients would give up"
            .to_owned()
    })
}

fn header(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((name, _)) if !name.is_empty() && !text.contains(['\r', '\n']) => Ok(text.to_owned()),
        _ => Err("write a header as \"Name: value\"".to_owned()),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    midge_text::duration(text).ok_or_else(|| "write a time as 2, 2s, 500ms or 1m30s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_contradict_nothing() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
