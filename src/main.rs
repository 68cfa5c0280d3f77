//! The command: flags in, an exit code out. `midge bench` goes its own way.

#[cfg(feature = "bench")]
mod bench;
mod logger;
mod send_signal;

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use midge::cli::{self, Command, Options};
use midge::{Broker, Stop};

/// What `--help` adds to the broker's flags.
#[cfg(feature = "bench")]
const BENCH: &str = "
Commands:
    bench                            Load a broker and measure it: see midge bench --help
";
#[cfg(not(feature = "bench"))]
const BENCH: &str = "";

fn main() -> ExitCode {
    #[cfg(feature = "bench")]
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "bench")
    {
        return bench::main(std::env::args_os().skip(2));
    }
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => run(*options),
        Ok(Command::Help) => print(&format!("{}{BENCH}", cli::USAGE)),
        Ok(Command::Version) => print(&cli::version()),
        Ok(Command::Signal(request)) => match send_signal::send(&request) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&error),
        },
        Err(error) => refuse(&error),
    }
}

fn run(options: Options) -> ExitCode {
    if let Err(error) = logger::init(&options.log) {
        return refuse(&error);
    }
    let code = match Broker::bind(options.config) {
        Ok(broker) => serve(broker),
        Err(error) => fail(&error),
    };
    logger::finish();
    code
}

fn serve(mut broker: Broker) -> ExitCode {
    let stop = obey_signals(&mut broker).and_then(|()| broker.run());
    match stop {
        // As nats-server 2.2 to 2.10 have it, after all clients are closed in good order.
        Ok(Stop::Terminated) => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&format_args!("Error running the broker: {error}")),
    }
}

fn obey_signals(broker: &mut Broker) -> io::Result<()> {
    broker.stop_on_signals()?;
    broker.reopen_on_signal(logger::reopen)?;
    broker.reload_on_signal(|_| {
        log::error!(
            target: "midge",
            "Failed to reload server configuration: can only reload config when a file is provided \
             using -c or --config; nothing has changed"
        );
    })
}

/// Prints an answer on standard output. A reader that went away had enough.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            refuse(&format_args!("error writing to standard output: {error}"))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Ends a process that has no log yet. If standard error is gone as well, the code must do.
fn refuse(error: &dyn Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "{error}");
    ExitCode::FAILURE
}

/// Ends a process that has a log.
fn fail(error: &dyn Display) -> ExitCode {
    log::error!(target: logger::FATAL, "{error}");
    ExitCode::FAILURE
}
