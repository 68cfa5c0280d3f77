//! The command: flags in, an exit code out. `midge bench` and the tools go their own ways.

mod logger;
mod send_signal;

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use midge::cli::{self, Command, Loaded, Options};
use midge::config::language::{Error, System};
use midge::config::options::Refused;
use midge::{Broker, Checked, Config, StartError, Stop, system_words};

/// Gives memory back in whatever order it is freed. The system's allocator gives back what lies at the
/// end alone, and one small block that stays there keeps all the rest.
///
/// When a million subscriptions of one client have gone, glibc keeps 150 of 150 MB, mimalloc 2 20 to 40, and
/// 60 to 90 if a hundred others subscribed in between; musl 5 and 100. jemalloc, told to keep nothing, has 10
/// to 23, but takes three minutes of processor time to build and 2 MB more when idle. Huge pages would add
/// 4 MB to an idle broker (`no_thp`). The library sets no allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

macro_rules! check {
    () => {
        "    check                            Explain a configuration file: see midge check --help
"
    };
}

#[cfg(feature = "tls")]
macro_rules! digest {
    () => {
        "    digest                           Show what pinned_certs wants of certificates: see midge digest --help
"
    };
}

#[cfg(feature = "tools")]
macro_rules! tools {
    () => {
        "    pub, sub, req                    Publish, subscribe, or send a request, on any broker: see
                                     midge pub --help
    top                              Watch a running broker: see midge top --help
    kick                             Close connections of a running midge: see midge kick --help
    passwd                           Make the hash of a password: see midge passwd --help
    nkey                             Make a key for a user: see midge nkey --help
"
    };
}

#[cfg(feature = "bench")]
macro_rules! bench {
    () => {
        "    bench                            Load a broker and measure it: see midge bench --help
"
    };
}

/// What a build without a feature says of its commands.
#[cfg(not(all(feature = "bench", feature = "tls", feature = "tools")))]
macro_rules! nothing {
    () => {
        ""
    };
}

#[cfg(not(feature = "bench"))]
use nothing as bench;
#[cfg(not(feature = "tls"))]
use nothing as digest;
#[cfg(not(feature = "tools"))]
use nothing as tools;

/// What `--help` adds to the broker's flags.
const COMMANDS: &str = concat!("\nCommands:\n", check!(), digest!(), tools!(), bench!());

/// The text of `midge check --help`.
const CHECK_USAGE: &str = "\
Explain a configuration file: each setting, its value, and the source of the value

No broker is started. If midge would not start, this command reports every error and fails.

Usage: midge check [FILE] [OPTIONS]

Arguments:
  [FILE]     Configuration file (default: none, all settings have their defaults)
  [OPTIONS]  Flags of midge, which override the file

Options:
  -h, --help  Print help

Exit codes: 0 midge would start, 1 it would not. `midge -t -c FILE` also fails on warnings, as
nats-server's test does.
";

/// The text of `midge digest --help`.
#[cfg(feature = "tls")]
const DIGEST_USAGE: &str = "\
Show what pinned_certs wants of certificates: the SHA-256 digest of each one's public key info

Behind each digest stand the end of the certificate and its subject.

Usage: midge digest FILE...

Arguments:
  FILE...  PEM files with certificates, or - for standard input

Options:
  -h, --help  Print help

Exit codes: 0 done, 1 a file has no certificate that can be read, 2 wrong command line.
";

fn main() -> ExitCode {
    outlive_file_size_limit();
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [help, word] = &*args
        && help == "help"
        && is_command(word)
    {
        args = vec![word.clone(), "--help".into()];
    }
    match args.first() {
        #[cfg(feature = "bench")]
        Some(word) if word == "bench" => return midge_bench::main(args.into_iter().skip(1)),
        Some(word) if word == "check" => return check(&args[1..]),
        #[cfg(feature = "tls")]
        Some(word) if word == "digest" => return digest(&args[1..]),
        #[cfg(feature = "tools")]
        Some(word) if is_command(word) => return midge_tools::main(args.into_iter()),
        _ => {}
    }
    match cli::parse(args.iter().cloned()) {
        Ok(Command::Run(options)) => match load(*options, &args) {
            Ok(loaded) => run(loaded, args),
            Err(refused) => refuse_config(&refused),
        },
        Ok(Command::Test(options)) => test(*options, &args),
        Ok(Command::Help) => print(&format!("{}{COMMANDS}", cli::USAGE)),
        Ok(Command::TlsHelp) => print(&cli::tls_help()),
        Ok(Command::Version) => print(&cli::version()),
        Ok(Command::Signal(request)) => match send_signal::send(&request) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&error),
        },
        Err(error) => refuse(&error),
    }
}

/// Lets a write past the limit on a file's size (`ulimit -f`, systemd's `LimitFSIZE`) fail, as a write to a
/// full disk does. The signal that comes with that failure would end the process.
///
/// A handler and not `SIG_IGN`, which a program that is started from here would inherit.
fn outlive_file_size_limit() {
    // It fails for no signal that may be caught.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Whether something else than a broker is meant.
fn is_command(word: &OsStr) -> bool {
    #[cfg(feature = "tools")]
    if midge_tools::WORDS.iter().any(|tool| word == *tool) {
        return true;
    }
    word == "check"
        || cfg!(feature = "bench") && word == "bench"
        || cfg!(feature = "tls") && word == "digest"
}

/// What a broker is to be started with: the file, if there is one, and the flags.
fn load(options: Options, args: &[OsString]) -> Result<Loaded, Refused> {
    match &options.file {
        Some(file) => cli::load(file, args, &System),
        None => Ok(Loaded {
            options,
            ..Loaded::default()
        }),
    }
}

fn run(loaded: Loaded, args: Vec<OsString>) -> ExitCode {
    let remarks = loaded.remarks();
    let options = loaded.options;
    if let Err(error) = logger::init(&options.log) {
        return refuse(&error);
    }
    let code = match Broker::bind(options.config.clone()) {
        Ok(broker) => serve(broker, options, args, &remarks),
        Err(error) => fail_to_start(&error),
    };
    logger::finish();
    code
}

fn serve(
    mut broker: Broker,
    running: Options,
    args: Vec<OsString>,
    remarks: &[String],
) -> ExitCode {
    if let Some(file) = &running.file {
        log::info!(target: "midge", "Using configuration file: {}", file.display());
    }
    for remark in remarks {
        log::warn!(target: "midge", "{remark}");
    }
    broker.report_to_systemd();
    if let Err(error) = obey_signals(&mut broker, running, args) {
        return fail_to_start(&StartError::System(error));
    }
    match broker.run() {
        // As nats-server 2.2 to 2.10 have it, after all clients are closed in good order.
        Ok(Stop::Terminated) => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => match error.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(cause) => fail_to_start(cause),
            None => fail(&format_args!(
                "Error running the broker: {}",
                system_words(&error)
            )),
        },
    }
}

fn obey_signals(broker: &mut Broker, running: Options, args: Vec<OsString>) -> io::Result<()> {
    broker.stop_on_signals()?;
    broker.reopen_on_signal(logger::reopen)?;
    // What was taken over last.
    let running = Rc::new(RefCell::new(running));
    let last = Rc::clone(&running);
    let begin = move || {
        let (running, args) = (last.borrow().clone(), args.clone());
        move || read_again(&running, &args)
    };
    broker.reload_on_signal(begin, move |cx, reload| {
        let hand_over = |config| Broker::take_over(cx, config);
        Ok(take_over(reload, &mut running.borrow_mut(), hand_over))
    })
}

/// What the file has to say now, with all that can fail behind it.
struct Reload {
    options: Options,
    config: Checked,
    remarks: Vec<String>,
    changes: Vec<cli::Change>,
    log: logger::Change,
}

/// Reads the file again and makes ready what it wants; or answers why not, a text for each reason.
fn read_again(running: &Options, args: &[OsString]) -> Result<Reload, Vec<String>> {
    let reloaded = cli::reload(running, args, &System).map_err(|Refused(errors)| {
        let texts = errors.iter().map(ToString::to_string);
        texts.collect::<Vec<String>>()
    })?;
    let refused = reloaded.refused();
    let refused: Vec<String> = refused
        .map(|change| format!("{change}; restart midge to apply it"))
        .collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    let remarks = reloaded.loaded.remarks();
    let options = reloaded.loaded.options;
    let config = Checked::new(options.config.clone()).map_err(|error| vec![error.to_string()])?;
    let log = logger::prepare(&options.log).map_err(|error| vec![error.to_string()])?;
    Ok(Reload {
        options,
        config,
        remarks,
        changes: reloaded.changes,
        log,
    })
}

/// Takes it over: these lines are in the new log already. Answers what was in force before.
fn take_over(
    reload: Reload,
    running: &mut Options,
    take_over: impl FnOnce(Checked) -> Config,
) -> (Config, Options) {
    logger::take_over(reload.log);
    for remark in reload.remarks {
        log::warn!(target: "midge", "{remark}");
    }
    for change in &reload.changes {
        log::info!(target: "midge", "{change}");
    }
    let former = take_over(reload.config);
    let former = (former, std::mem::replace(running, reload.options));
    log::info!(target: "midge", "Reloaded server configuration");
    former
}

/// Tells whether a broker would start with a configuration, here and now, and serve as it is written. Warnings are errors
/// here, as in nats-server.
fn test(options: Options, args: &[OsString]) -> ExitCode {
    let file = options.file.clone().unwrap_or_default();
    let loaded = match load(options, args) {
        Ok(loaded) => loaded,
        Err(refused) => return refuse_config(&refused),
    };
    let obstacles = loaded.obstacles().into_iter();
    let obstacles = obstacles.map(|text| Error { at: None, text });
    let warnings = loaded.report.warnings.iter().cloned();
    let refused: Vec<Error> = warnings.chain(obstacles).collect();
    if !refused.is_empty() {
        return refuse_config(&Refused(refused));
    }
    let mut remarks = loaded.remarks();
    remarks.extend(loaded.doubts());
    let mut err = io::stderr().lock();
    for remark in remarks {
        let _ = writeln!(err, "{remark}");
    }
    let (name, file) = (cli::executable(), file.display());
    let _ = writeln!(err, "{name}: configuration file {file} is valid");
    ExitCode::SUCCESS
}

/// `midge check FILE [FLAGS]`: explains what a broker would be started with.
fn check(args: &[OsString]) -> ExitCode {
    let mut args = args.to_vec();
    match args.first() {
        Some(file) if !file.as_encoded_bytes().starts_with(b"-") => args.insert(0, "-c".into()),
        Some(help) if matches!(help.to_str(), Some("-h" | "-help" | "--help")) => {
            return print(CHECK_USAGE);
        }
        _ => {}
    }
    match cli::parse(args.iter().cloned()) {
        Ok(Command::Run(options) | Command::Test(options)) => match load(*options, &args) {
            Ok(loaded) => print(&cli::explain(&loaded)),
            Err(refused) => refuse_config(&refused),
        },
        Ok(_) => print(CHECK_USAGE),
        Err(error) => refuse(&error),
    }
}

/// `midge digest FILE...`: tells what `pinned_certs` wants of the certificates in PEM files.
#[cfg(feature = "tls")]
fn digest(files: &[OsString]) -> ExitCode {
    let is_flag = |file: &&OsString| *file != "-" && file.as_encoded_bytes().starts_with(b"-");
    let wrong = |text: &dyn Display| {
        let _ = refuse(&format_args!(
            "midge digest: {text}; see midge digest --help"
        ));
        ExitCode::from(2)
    };
    match files.iter().find(is_flag).map(|flag| flag.display()) {
        Some(flag) if ["-h", "-help", "--help"].contains(&&*flag.to_string()) => {
            return print(DIGEST_USAGE);
        }
        Some(flag) => return wrong(&format_args!("there is no flag {flag}")),
        None if files.is_empty() => return wrong(&"name a PEM file with certificates"),
        None => {}
    }
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let name = file.display();
        let pem = match file == "-" {
            true => io::read_to_string(io::stdin()).map(String::into_bytes),
            false => std::fs::read(file),
        };
        let pem = pem.map_err(|error| system_words(&error));
        let done = match pem.and_then(|pem| cli::digest(&pem)) {
            Ok(lines) if files.len() > 1 => print(&format!("{name}:\n{lines}")),
            Ok(lines) => print(&lines),
            Err(error) => refuse(&format_args!("midge digest: {name}: {error}")),
        };
        if done != ExitCode::SUCCESS {
            code = done;
        }
    }
    code
}

/// Tells what is wrong with a configuration.
fn refuse_config(refused: &Refused) -> ExitCode {
    refuse(&format_args!("{}: {refused}", cli::executable()))
}

/// Prints an answer on standard output. A reader that went away had enough.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => refuse(&format_args!(
            "error writing to standard output: {}",
            system_words(&error)
        )),
        _ => ExitCode::SUCCESS,
    }
}

/// Ends a process that has no log yet. If standard error is gone as well, the code must do.
fn refuse(error: &dyn Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "{error}");
    ExitCode::FAILURE
}

/// Ends a process that has a log and no clients yet. The person who has just started it looks at the
/// terminal, wherever the log goes.
fn fail_to_start(error: &StartError) -> ExitCode {
    if !logger::is_on_stderr() {
        refuse(error);
    }
    fail(error)
}

/// Ends a process that has a log.
fn fail(error: &dyn Display) -> ExitCode {
    log::error!(target: logger::FATAL, "{error}");
    ExitCode::FAILURE
}
