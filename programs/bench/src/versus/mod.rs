//! `midge bench versus`: brokers beside each other, in turns.
//!
//! * `choice.rs`: which workloads.
//! * `broker.rs`: starts one, and stops it.
//! * `set_up.rs`: what it is set up with.
//! * `rounds.rs`: all workloads on all brokers, several times.
//! * `results.rs`: medians, summaries, ratios. Plain values.
//! * `machine.rs`: where it was measured.
//! * `text.rs`: the results on a terminal.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::files;
use super::report;
use super::run;
use super::suite::{Scale, Setup, suite};
use set_up::Files;

mod broker;
mod choice;
mod machine;
pub(crate) mod results;
mod rounds;
mod set_up;
mod text;

pub(crate) use choice::names;
pub(crate) use text::letter;

/// What `versus` is asked.
#[derive(Args, Clone, Debug)]
pub(crate) struct VersusArgs {
    /// First broker: a program and its flags; -a HOST -p PORT is appended, and -c FILE where a workload needs
    /// TLS, WebSocket or users [default: this midge]
    #[arg(long, value_name = "COMMAND")]
    a: Option<String>,
    /// Second broker [default: nats-server in PATH]
    #[arg(long, value_name = "COMMAND")]
    b: Option<String>,
    /// A further broker; may be repeated
    #[arg(long, value_name = "COMMAND")]
    broker: Vec<String>,
    /// Number of rounds
    #[arg(long, value_name = "COUNT", default_value = "5", value_parser = super::value::some)]
    rounds: usize,
    /// Duration of the load of each measurement
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = super::value::some_seconds)]
    seconds: f64,
    /// Only these workloads, by name, beginning of a name, or subcommand; --list and --help name them
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// List the workloads, and exit
    #[arg(long)]
    list: bool,
    /// One short round, to see whether everything works
    #[arg(long)]
    quick: bool,
    /// Write the report to this file, one HTML page [default: report.html, or report-2.html and so on if
    /// that exists]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write no report
    #[arg(long, conflicts_with = "report")]
    no_report: bool,
    /// Write a small plot of the ratios
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write all results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    force: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl VersusArgs {
    /// Where the report goes, if there is to be one. Nothing that is there is replaced unasked.
    fn report(&self) -> Option<PathBuf> {
        let default = || files::new_name("report", "html");
        (!self.no_report).then(|| self.report.clone().unwrap_or_else(default))
    }
}

/// Runs it all; answers whether all checks have passed.
///
/// # Errors
/// Names of workloads that do not exist, brokers that do not start, files that cannot be written: all
/// before anything is measured.
pub(crate) fn main(args: &VersusArgs) -> Result<bool, run::Error> {
    let scale = Scale {
        seconds: if args.quick { 0.1 } else { args.seconds },
        quick: args.quick,
    };
    let cases = choice::choose(suite(scale), &args.only)?;
    if args.list {
        let mut out = io::stdout().lock();
        for case in &cases {
            let (name, command, title) = (&case.workload.name, case.command, &case.title);
            let _ = writeln!(out, "{name:<16} {command:<10} {title}");
        }
        return Ok(true);
    }
    let brokers = broker::commands(args.a.as_deref(), args.b.as_deref(), &args.broker)?;
    let report_path = args.report();
    let set_up = Files::new()?;
    expect_ready(args, report_path.as_deref(), &brokers, &set_up)?;
    let rounds = if args.quick { 1 } else { args.rounds };
    let results = rounds::run(&brokers, &set_up, &cases, rounds, scale.seconds, args.quiet)?;
    files::print(&text::render(&results))?;
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&results).map_err(io::Error::other)?;
        write(path, &(json + "\n"))?;
    }
    if let Some(path) = &args.svg {
        write(path, &report::headline(&results))?;
    }
    if let Some(path) = &report_path {
        write(path, &report::page(&results))?;
        let _ = writeln!(io::stdout(), "\nreport: {}", path.display());
    }
    Ok(results.is_good())
}

/// What would otherwise go wrong at the end, or after the first broker's turn.
fn expect_ready(
    args: &VersusArgs,
    report: Option<&Path>,
    brokers: &[broker::BrokerCommand],
    set_up: &Files,
) -> Result<(), run::Error> {
    for (flag, path) in [
        ("--report", report),
        ("--svg", args.svg.as_deref()),
        ("--json", args.json.as_deref()),
    ] {
        if let Some(path) = path {
            if !args.force {
                files::expect_new(flag, path)?;
            }
            files::expect_writable(flag, path)?;
        }
    }
    for broker in brokers {
        // It is stopped at once.
        broker::Running::start(broker, Setup::Plain, set_up)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text).map_err(|error| files::named("write", path, &error))
}
