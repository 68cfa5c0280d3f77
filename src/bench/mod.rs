//! `midge bench`: loads any NATS broker, checks what it counts, and tells what it cost.
//!
//! * `cli.rs`: the command line, to a `Workload`.
//! * `workload.rs`, `outcome.rs`: what is asked and what was measured, plain values.
//! * `frame.rs`, `check.rs`: messages that can be checked, and the check. Pure.
//! * `load/`: the handlers that make the load, on reactors.
//! * `run.rs`: one workload on one broker, from the first connection to the last check.
//! * `process.rs`: CPU time and memory of a process.
//! * `table.rs`: outcomes for people.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;

mod check;
mod cli;
mod frame;
mod load;
mod outcome;
mod process;
mod run;
mod table;
mod workload;

/// Runs `midge bench` with the words behind these two.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args = std::iter::once("midge bench".into()).chain(args);
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match measure(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("midge bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &cli::Cli) -> Result<bool, run::Error> {
    use cli::Command;
    let (args, workload) = match &cli.command {
        Command::Pub(args) => (args, args.workload("pub", 1, 0)),
        Command::Fanout(args) => (args, args.workload("fanout", 1, 1)),
        Command::Fanin(args) => (args, args.workload("fanin", 8, 1)),
        Command::Queue(args) => (args, args.workload("queue", 2, 4)),
    };
    let common = &args.common;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second signal ends the process at once.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&interrupted))?;
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let target = run::Target {
        addr: run::resolve(&common.server)?,
        pid: common.pid,
        credentials: load::hello::Credentials {
            user: common.user.clone(),
            password: common.password.clone(),
            token: common.token.clone(),
        },
        interrupted,
    };
    let live = std::io::stderr().is_terminal();
    let outcome = run::run(&workload, &target, &mut |progress| {
        if live {
            let rate = progress.delivered.max(progress.published) as f64;
            let rate = table::count(rate / progress.elapsed.as_secs_f64());
            eprint!("\r\x1b[K{:.1} s  {rate}/s", progress.elapsed.as_secs_f64());
        }
    })?;
    if live {
        eprint!("\r\x1b[K");
    }
    if common.json {
        let text = serde_json::to_string_pretty(&outcome);
        println!("{}", text.map_err(std::io::Error::other)?);
    } else {
        print!("{}", table::render(&outcome));
    }
    for fault in &outcome.faults {
        eprintln!("midge bench: {fault}");
    }
    Ok(outcome.is_good())
}
