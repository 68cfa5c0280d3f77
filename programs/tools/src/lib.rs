//! `midge pub`, `midge sub`, `midge req`, `midge top`, `midge kick`: a look at any NATS broker, with nothing else to
//! install. The last one needs a midge. `midge passwd`, `midge nkey`: what the configuration of a
//! broker needs.
//!
//! * `cli.rs`: the command lines; where the broker is, and how to come to it, is `midge_dial`'s.
//! * `connection.rs`: one connection that waits for what it wants. No reactor: each of these does one
//!   thing after the other.
//! * `message.rs`: messages and headers, for people and for programs.
//! * `plain.rs`: text of others, for terminals.
//! * `subject.rs`: where a message can go, and what can be subscribed to.
//! * `publish.rs`, `subscribe.rs`, `request.rs`: one subcommand each.
//! * `monitor.rs`: asking the broker's monitoring port.
//! * `peer.rs`: the far end of a connection, as that port tells it.
//! * `top/`: what that says, as a table.
//! * `kick.rs`: closing connections by it.
//! * `secrets/`: what a configuration knows its users by.
//!
//! The exit code says how it went: 0 it was done, 1 the broker cannot be reached or says no, 2 the
//! command line is wrong, 3 timeout, 4 no subscriber answers the
//! request.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

mod cli;
mod connection;
mod kick;
mod message;
mod monitor;
mod peer;
mod plain;
mod publish;
mod request;
mod secrets;
mod subject;
mod subscribe;
mod top;

use connection::Error;

/// The words that these subcommands begin with.
pub const WORDS: &[&str] = &["pub", "sub", "req", "top", "kick", "passwd", "nkey"];

/// Runs the command line, whose first word is one of [`WORDS`].
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args = std::iter::once("midge".into()).chain(args);
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help is no error; where it cannot be printed it has no reader.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (word, done) = match &cli.command {
        cli::Command::Pub(args) => ("pub", publish::run(args)),
        cli::Command::Sub(args) => ("sub", subscribe::run(args)),
        cli::Command::Req(args) => ("req", request::run(args)),
        cli::Command::Top(args) => ("top", top::run(args)),
        cli::Command::Kick(args) => ("kick", kick::run(args)),
        cli::Command::Passwd(args) => ("passwd", secrets::passwd::run(args)),
        cli::Command::Nkey(args) => ("nkey", secrets::nkey::run(args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that went away had enough.
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "midge {word}: {error}");
            ExitCode::from(error.code())
        }
    }
}
