//! The command: flags in, an exit code out. `midge bench` and the tools go their own ways.

#[cfg(feature = "bench")]
mod bench;
mod logger;
mod send_signal;

#[cfg(feature = "tools")]
mod tools;

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use midge::cli::{self, Command, Options};
use midge::{Broker, Stop};

macro_rules! tools {
    () => {
        "    pub, sub, req                    Publish, subscribe, or send a request, on any broker: see
                                     midge pub --help
    top                              Watch what a broker does: see midge top --help
"
    };
}

macro_rules! bench {
    () => {
        "    bench                            Load a broker and measure it: see midge bench --help
"
    };
}

/// What `--help` adds to the broker's flags.
const COMMANDS: &str = if cfg!(all(feature = "bench", feature = "tools")) {
    concat!("\nCommands:\n", tools!(), bench!())
} else if cfg!(feature = "tools") {
    concat!("\nCommands:\n", tools!())
} else if cfg!(feature = "bench") {
    concat!("\nCommands:\n", bench!())
} else {
    ""
};

fn main() -> ExitCode {
    #[cfg(any(feature = "bench", feature = "tools"))]
    let first = std::env::args_os().nth(1).unwrap_or_default();
    #[cfg(feature = "bench")]
    if first == "bench" {
        return bench::main(std::env::args_os().skip(2));
    }
    #[cfg(feature = "tools")]
    if tools::WORDS.iter().any(|word| first == *word) {
        return tools::main(std::env::args_os().skip(1));
    }
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => run(*options),
        Ok(Command::Help) => print(&format!("{}{COMMANDS}", cli::USAGE)),
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
    broker.report_to_systemd();
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
