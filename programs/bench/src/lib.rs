//! `midge bench`: loads any NATS broker, checks what it counts, and tells what it cost.
//!
//! * `cli.rs`, `value.rs`: the command line, to a `Workload`.
//! * `files.rs`: whether a file can be written, before it is.
//! * `workload.rs`, `outcome.rs`: what is asked and what was measured, plain values.
//! * `frame.rs`, `check.rs`: messages that can be checked, and the check. Pure.
//! * `load/`: the handlers that make the load, on reactors.
//! * `run/`: one workload on one broker, from the first connection to the last check.
//! * `process.rs`: CPU time and memory of a process.
//! * `suite.rs`, `versus/`: all workloads on several brokers in turns.
//! * `report/`: their results as a page and as a plot.
//! * `progress.rs`, `table.rs`, `csv.rs`: outcomes for people and for programs.
//!
//! # What is fair
//!
//! Every broker gets the same bytes in the same writes. Publishers are never more than a window
//! ahead of the slowest subscriber, since brokers cut off subscribers that are too far behind and a
//! load without bound would measure that. The end of a run is known by the broker's answers to
//! `PING`, first to the publishers and then to the subscribers, and never by silence.
//!
//! A schedule decides when a message of an open loop is due, whatever the broker does; a sender that
//! is late sends all that is due, and latency counts from when a message was due. What one read
//! brings is timed by one look at the clock.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use midge_protocol::Credentials;

mod check;
mod cli;
mod csv;
mod files;
mod frame;
mod load;
mod outcome;
mod process;
mod progress;
mod report;
mod run;
mod suite;
mod table;
mod value;
mod versus;
mod workload;

/// Runs `midge bench` with the words behind these two.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args = std::iter::once("midge bench".into()).chain(args);
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help is no error; where it cannot be printed it has no reader.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let good = match cli.command.workload() {
        Ok((workload, common)) => measure(&workload, common, cli.command.requesters()),
        Err(versus) => versus::main(versus),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// One workload on one broker; answers whether all checks have passed.
fn measure(
    workload: &workload::Workload,
    common: &cli::Common,
    requesters: Option<Credentials>,
) -> Result<bool, run::Error> {
    workload.validate()?;
    if let Some(path) = &common.csv {
        files::expect_lines("--csv", path, "workload,")?;
        files::expect_writable("--csv", path)?;
    }
    let target = run::Target {
        server: common.broker.server(),
        requesters,
        pid: common.pid,
        patience: common.patience(),
        interrupted: interruption()?,
    };
    let mut line = progress::Line::new(common.quiet);
    line.begin(&workload.name);
    let outcome = run::run(workload, &target, &mut |progress| line.show(progress));
    line.clear();
    let outcome = outcome?;
    if let Some(path) = &common.csv {
        csv::append(path, &outcome)?;
    }
    let text = if common.json {
        serde_json::to_string(&outcome).map_err(io::Error::other)? + "\n"
    } else {
        table::render(&outcome)
    };
    files::print(&text)?;
    for fault in &outcome.faults {
        complain(fault);
    }
    if outcome.is_good() && !outcome.is_measured() {
        complain(&"no message came in that time; use a longer --duration");
    }
    Ok(outcome.is_good() && outcome.is_measured())
}

/// A flag that Ctrl-C sets, and SIGTERM. A second one ends the process at once.
fn interruption() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

fn complain(error: &dyn Display) {
    let _ = writeln!(io::stderr(), "midge bench: {error}");
}
