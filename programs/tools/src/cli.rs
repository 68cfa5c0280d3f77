//! The command lines of these subcommands.

use std::io::{self, Read};
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};

use super::connection::Patience;
use super::message::Show;
use super::server::Server;
use super::subject::{literal, pattern, queue};
use super::top::{Monitor, Sort};
use midge_text::quantity::{count, some};

const CODES: &str = "\
Exit codes: 0 done, 1 the broker cannot be reached or says no, 2 wrong command line, 3 nothing came in \
time, 4 nobody answers such requests.";

/// The words behind `midge`.
#[derive(Debug, Parser)]
#[command(name = "midge", bin_name = "midge", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Publish a message, and wait until the broker has it
    #[command(after_help = CODES)]
    Pub(PubArgs),
    /// Subscribe, and print each message that comes
    #[command(after_help = CODES)]
    Sub(SubArgs),
    /// Send a request, and print the reply
    #[command(after_help = CODES)]
    Req(ReqArgs),
    /// Watch what a broker does, by its monitoring port
    #[command(after_help = CODES)]
    Top(TopArgs),
}

/// Where the broker is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Broker")]
pub(super) struct ServerArgs {
    /// Where the broker listens: host, host:port or nats://user:password@host:port
    #[arg(
        short,
        long,
        env = "NATS_URL",
        hide_env_values = true,
        default_value = "127.0.0.1:4222"
    )]
    #[arg(value_name = "SERVER", value_parser = Server::parse)]
    server: Server,
    /// User name
    #[arg(long)]
    user: Option<String>,
    /// Password that belongs to the user name
    #[arg(long, requires = "user")]
    password: Option<String>,
    /// Token, instead of a user name
    #[arg(long, conflicts_with = "user")]
    token: Option<String>,
}

impl ServerArgs {
    /// What a flag says counts before what stands in the URL.
    pub(super) fn server(&self) -> Server {
        let mut server = self.server.clone();
        if self.user.is_some() || self.token.is_some() {
            server.credentials.user = self.user.clone();
            server.credentials.password = self.password.clone();
            server.credentials.token = self.token.clone();
        }
        server
    }
}

/// What is sent.
#[derive(Args, Clone, Debug)]
pub(super) struct MessageArgs {
    /// Where to: a subject without wildcards
    #[arg(value_parser = literal)]
    pub(super) subject: String,
    /// The message; without it all of standard input
    payload: Option<String>,
    /// A header, as "Name: value"; may be repeated
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
    /// Print payloads and nothing else
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
    /// Where answers are to go
    #[arg(short, long, value_parser = literal)]
    pub(super) reply: Option<String>,
    /// Publish it so many times
    #[arg(short = 'n', long, default_value = "1", value_parser = count)]
    pub(super) count: u64,
    /// Publish each line of standard input as a message
    #[arg(short, long, conflicts_with = "payload")]
    pub(super) lines: bool,
    /// Say nothing when it is done
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// How long the broker may take: 5, 5s, 500ms, 2m
    #[arg(short, long, default_value = "5s", value_name = "TIME", value_parser = time)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

impl PubArgs {
    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.timeout)
    }
}

/// `midge sub`.
#[derive(Args, Clone, Debug)]
pub(super) struct SubArgs {
    /// What to subscribe to; wildcards are * and >
    #[arg(required = true, value_parser = pattern)]
    pub(super) subjects: Vec<String>,
    /// Share the messages with the others of this queue group
    #[arg(short, long, value_parser = queue)]
    pub(super) queue: Option<String>,
    /// End after so many messages
    #[arg(short = 'n', long, value_parser = some)]
    pub(super) count: Option<u64>,
    /// Answer each request with this text
    #[arg(short, long, value_name = "TEXT")]
    pub(super) answer: Option<String>,
    /// End with code 3 when so much time has passed: 5, 5s, 500ms, 2m; 0 for never
    #[arg(short, long, default_value = "0s", value_name = "TIME", value_parser = time)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) show: ShowArgs,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

impl SubArgs {
    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.timeout)
    }
}

/// `midge req`.
#[derive(Args, Clone, Debug)]
pub(super) struct ReqArgs {
    #[command(flatten)]
    pub(super) message: MessageArgs,
    /// Wait for so many replies
    #[arg(short = 'n', long, default_value = "1", value_parser = some)]
    pub(super) replies: u64,
    /// How long to wait for them: 5, 5s, 500ms, 2m
    #[arg(short, long, default_value = "2s", value_name = "TIME", value_parser = time)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) show: ShowArgs,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

impl ReqArgs {
    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.timeout)
    }
}

/// `midge top`.
#[derive(Args, Clone, Debug)]
pub(super) struct TopArgs {
    /// Where monitoring listens: port, host:port or http://host:port/base
    #[arg(short, long, default_value = "127.0.0.1:8222", value_name = "ADDRESS", value_parser = Monitor::parse)]
    pub(super) monitor: Monitor,
    /// Time between two samples: 5, 5s, 500ms, 2m
    #[arg(short, long, default_value = "1s", value_name = "TIME", value_parser = time)]
    pub(super) delay: Duration,
    /// Print so many samples, one below the other, and end: 1 for a script
    #[arg(short = 'n', long, value_parser = some)]
    pub(super) samples: Option<u64>,
    /// Order of the connections
    #[arg(short, long, value_enum, default_value = "cid", value_name = "COLUMN")]
    pub(super) sort: Sort,
    /// Most connections that are listed
    #[arg(short, long, default_value_t = 1024)]
    pub(super) limit: u32,
    /// Print each sample as a JSON object on one line
    #[arg(short, long)]
    pub(super) json: bool,
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
