//! Log lines as an operator of nats-server knows them.
//!
//! ```text
//! [8753] 2026/11/23 22:46:32.968826 [INF] Server is ready
//! [pid]  local time, microseconds   level text
//! ```
//!
//! * `line.rs`: a record as bytes.
//! * `file.rs`: the log file, its rotation, opening it again.
//! * `stream.rs`: standard error, which is not waited for longer than a moment.
//! * `syslog.rs`: daemons, on a thread of its own.
//!
//! A line is one write, with nothing kept back, so that a log can be followed and survives a crash;
//! only for syslog do lines wait on their way. A line that cannot be written is lost, and the broker
//! goes on: a reader who comes back is told how many were. A file is waited for as long as the disk
//! takes.

mod file;
mod line;
mod stream;
mod syslog;

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::{fmt, io, process};

use jiff::{Timestamp, tz::TimeZone};
use log::{Level, LevelFilter, Log, Metadata, Record};
use midge::cli::LogOptions;
use midge::config::language::error::system_words;

use file::LogFile;
use line::{Style, Tag, Urgency};
use stream::Stream;
use syslog::{Daemon, Syslog, SyslogError};

/// The target of a record that is the process's last word: its level reads `FTL`.
pub(crate) const FATAL: &str = "fatal";

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Sends the records of `log` to where `options` wants them. Call it once.
///
/// The environment is not consulted.
///
/// # Errors
/// The log cannot be opened; then no logger is set.
pub(crate) fn init(options: &LogOptions) -> Result<(), LogError> {
    let output = Output::open(options)?;
    let logger = Logger::new(options, output);
    let set = log::set_logger(LOGGER.get_or_init(|| logger));
    set.expect("main sets the only logger, once");
    log::set_max_level(level(options));
    Ok(())
}

/// Changes the log to what `options` want, from the next line on: what a reload does.
///
/// # Errors
/// The new log cannot be opened; then the old one goes on as it was.
pub(crate) fn set(options: &LogOptions) -> Result<(), LogError> {
    let Some(logger) = LOGGER.get() else {
        return init(options);
    };
    logger.set(options)?;
    log::set_max_level(level(options));
    Ok(())
}

/// Does what SIGUSR1 asks for: opens the log file again by its name.
pub(crate) fn reopen() {
    if let Some(logger) = LOGGER.get() {
        logger.reopen();
    }
}

/// Waits until the last lines have left, for two seconds at most. Those that come later are lost.
pub(crate) fn finish() {
    if let Some(logger) = LOGGER.get() {
        logger.flush();
    }
}

/// The log cannot be opened.
#[derive(Debug)]
pub(crate) enum LogError {
    /// The file.
    File {
        /// Its name.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The system log.
    Syslog(String),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::File { path, cause } => {
                let (path, said) = (path.display(), system_words(cause));
                write!(
                    f,
                    "error opening file: open {path}: {said}; choose another log file with -l"
                )
            }
            LogError::Syslog(text) => f.write_str(text),
        }
    }
}

impl Error for LogError {}

impl From<SyslogError> for LogError {
    fn from(error: SyslogError) -> LogError {
        LogError::Syslog(error.to_string())
    }
}

/// Where lines go.
enum Output {
    Stream(Stream),
    File(LogFile),
    Syslog(Syslog, Tag),
    #[cfg(test)]
    Memory(std::sync::Arc<Mutex<Vec<Vec<u8>>>>),
}

impl Output {
    /// A file wins over a remote daemon, that one over the local one, as in nats-server.
    fn open(options: &LogOptions) -> Result<Output, LogError> {
        if let Some(path) = &options.file {
            let limit = (options.size_limit > 0).then_some(options.size_limit);
            let files_max = (options.files_max > 0).then_some(options.files_max);
            let file = LogFile::open(path, limit, files_max).map_err(|cause| LogError::File {
                path: path.clone(),
                cause,
            });
            return file.map(Output::File);
        }
        let daemon = match &options.remote_syslog {
            Some(url) => Daemon::parse(url)?,
            None if options.syslog => Daemon::local(),
            None => return Ok(Output::Stream(Stream::stderr())),
        };
        Output::to_daemon(daemon, options)
    }

    fn to_daemon(daemon: Daemon, options: &LogOptions) -> Result<Output, LogError> {
        let host = daemon.is_remote().then(|| {
            let name = nix::unistd::gethostname().unwrap_or_else(|_| "localhost".into());
            name.to_string_lossy().into_owned()
        });
        let tag = Tag {
            name: midge::cli::executable(),
            host,
            zone: zone(options),
        };
        Ok(Output::Syslog(Syslog::open(daemon)?, tag))
    }
}

/// Of the times on lines.
fn zone(options: &LogOptions) -> TimeZone {
    if options.utc {
        TimeZone::UTC
    } else {
        // Looked up once; the zone knows its own summer times.
        TimeZone::system()
    }
}

/// What lines look like.
fn style(options: &LogOptions, output: &Output) -> Style {
    Style {
        pid: process::id(),
        zone: options.time.then(|| zone(options)),
        format: options.format,
        colour: matches!(output, Output::Stream(stream) if stream.is_terminal()),
    }
}

/// Where lines go, and when a file is full.
fn destination(options: &LogOptions) -> impl PartialEq + use<'_> {
    (
        &options.file,
        options.size_limit,
        options.files_max,
        &options.remote_syslog,
        options.syslog,
    )
}

/// The least urgent level that is logged.
fn level(options: &LogOptions) -> LevelFilter {
    match options {
        LogOptions { trace: true, .. } => LevelFilter::Trace,
        LogOptions { debug: true, .. } => LevelFilter::Debug,
        _ => LevelFilter::Info,
    }
}

/// The logger: a filter, and what is done with what passes it.
struct Logger {
    filter: RwLock<Filter>,
    inner: Mutex<Inner>,
}

/// What is logged: env_logger's filter, for which each level includes those above it, with `DBG`
/// taken out when only `TRC` was asked for.
struct Filter {
    levels: env_logger::Logger,
    debug: bool,
}

impl Filter {
    fn new(options: &LogOptions) -> Filter {
        let mut levels = env_logger::Builder::new();
        // Other crates' view of the world is of interest when it is a warning.
        levels.filter_level(LevelFilter::Warn);
        levels.filter_module("midge", level(options));
        levels.filter_module(FATAL, LevelFilter::Error);
        Filter {
            levels: levels.build(),
            debug: options.debug,
        }
    }

    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        (self.debug || metadata.level() != Level::Debug) && self.levels.enabled(metadata)
    }
}

struct Inner {
    options: LogOptions,
    style: Style,
    output: Output,
    /// Kept for its room.
    line: Vec<u8>,
}

impl Logger {
    fn new(options: &LogOptions, output: Output) -> Logger {
        Logger {
            filter: RwLock::new(Filter::new(options)),
            inner: Mutex::new(Inner {
                options: options.clone(),
                style: style(options, &output),
                output,
                line: Vec::new(),
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic within left at worst a part of a line, which the next one clears.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, options: &LogOptions) -> Result<(), LogError> {
        let mut inner = self.inner();
        if destination(&inner.options) != destination(options) {
            let output = Output::open(options)?;
            if let Output::Syslog(syslog, _) = &mut inner.output {
                syslog.finish();
            }
            inner.output = output;
        }
        if let Output::Syslog(_, tag) = &mut inner.output {
            tag.zone = zone(options);
        }
        inner.style = style(options, &inner.output);
        inner.options = options.clone();
        let mut filter = self.filter.write().unwrap_or_else(PoisonError::into_inner);
        *filter = Filter::new(options);
        Ok(())
    }

    fn reopen(&self) {
        let mut inner = self.inner();
        let Output::File(file) = &mut inner.output else {
            let text = format_args!("File log re-open ignored, not a file logger");
            return inner.say(Urgency::Info, text);
        };
        match file.reopen() {
            Ok(()) => inner.say(Urgency::Info, format_args!("File log re-opened")),
            Err(error) => {
                let path = file.path().to_owned();
                let (path, said) = (path.display(), system_words(&error));
                inner.say(
                    Urgency::Error,
                    format_args!(
                        "File log not re-opened: open {path}: {said}; \
                         lines go on into the file that was open"
                    ),
                );
            }
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let filter = self.filter.read().unwrap_or_else(PoisonError::into_inner);
        filter.passes(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.inner().log(Urgency::of(record), record);
        }
    }

    fn flush(&self) {
        if let Output::Syslog(syslog, _) = &mut self.inner().output {
            syslog.finish();
        }
    }
}

impl Inner {
    fn log(&mut self, urgency: Urgency, record: &Record<'_>) {
        let lost = match &mut self.output {
            Output::Stream(stream) => stream.take_lost(),
            Output::Syslog(syslog, _) => syslog.take_lost(),
            _ => None,
        };
        if let Some(lost) = lost {
            let text = format_args!(
                "{lost} log lines were lost, since nobody took them from this log in time"
            );
            self.say(Urgency::Warn, text);
        }
        self.write(urgency, record);
        self.rotate();
    }

    /// A line of the logger's own.
    fn say(&mut self, urgency: Urgency, text: fmt::Arguments<'_>) {
        self.write(urgency, &Record::builder().args(text).build());
    }

    fn write(&mut self, urgency: Urgency, record: &Record<'_>) {
        let Inner {
            style,
            output,
            line,
            ..
        } = self;
        let now = Timestamp::now();
        line.clear();
        if let Output::Syslog(syslog, tag) = output {
            tag.put(line, now, urgency);
            match style.format {
                // The daemon has all the rest.
                midge::cli::LogFormat::Text => {
                    line.extend_from_slice(format!("{}\n", record.args()).as_bytes());
                }
                midge::cli::LogFormat::Json => style.line(line, now, urgency, record),
            }
            return syslog.write(line);
        }
        style.line(line, now, urgency, record);
        match output {
            Output::Stream(stream) => stream.write(line),
            Output::File(file) => file.write(line),
            Output::Syslog(..) => unreachable!("it was dealt with above"),
            #[cfg(test)]
            Output::Memory(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(line.clone());
            }
        }
    }

    fn rotate(&mut self) {
        let Output::File(file) = &mut self.output else {
            return;
        };
        let Some(rotated) = file.rotate_if_full(Timestamp::now()) else {
            return;
        };
        match rotated.backup {
            Ok(backup) => {
                let backup = backup.display().to_string();
                let text = format_args!("Rotated log, backup saved as {backup:?}");
                self.say(Urgency::Info, text);
            }
            Err(error) => {
                let path = file.path().display().to_string();
                let text = format_args!("Unable to rotate log file {path:?}: {error}; it grows on");
                self.say(Urgency::Warn, text);
            }
        }
        for name in rotated.purged {
            self.say(Urgency::Info, format_args!("Purged log file {name:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A logger into memory, and the lines it has written.
    fn logger(options: &LogOptions) -> (Logger, impl Fn() -> Vec<String> + use<>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let logger = Logger::new(options, Output::Memory(Arc::clone(&lines)));
        let texts = move || {
            let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
            lines.iter().map(text).collect()
        };
        (logger, texts)
    }

    fn options(debug: bool, trace: bool) -> LogOptions {
        LogOptions {
            debug,
            trace,
            time: false,
            ..LogOptions::default()
        }
    }

    fn log(logger: &Logger, level: Level, target: &str, text: &str) {
        let args = format_args!("{text}");
        let mut record = Record::builder();
        logger.log(&record.level(level).target(target).args(args).build());
    }

    #[test]
    fn debug_and_trace_lines_are_turned_on_independently() {
        for (debug, trace, expected) in [
            (false, false, "FTL ERR WRN INF"),
            (true, false, "FTL ERR WRN INF DBG"),
            (false, true, "FTL ERR WRN INF TRC"),
            (true, true, "FTL ERR WRN INF DBG TRC"),
        ] {
            let (logger, texts) = logger(&options(debug, trace));
            log(&logger, Level::Error, FATAL, "x");
            for level in Level::iter() {
                log(&logger, level, "midge::client", "x");
            }
            let pid = process::id();
            let expected: Vec<String> = expected
                .split(' ')
                .map(|letters| format!("[{pid}] [{letters}] x\n"))
                .collect();
            assert_eq!(texts(), expected, "debug {debug}, trace {trace}");
        }
    }

    #[test]
    fn a_log_that_is_changed_changes_from_the_next_line_on() {
        let (logger, texts) = logger(&options(false, false));
        log(&logger, Level::Debug, "midge", "unwanted");
        let wanted = LogOptions {
            format: midge::cli::LogFormat::Json,
            ..options(true, false)
        };
        logger.set(&wanted).expect("it stays in memory");
        log(&logger, Level::Debug, "midge", "wanted");
        let nowhere = LogOptions {
            file: Some("/no/such/directory/midge.log".into()),
            ..LogOptions::default()
        };
        assert!(logger.set(&nowhere).is_err());
        log(&logger, Level::Debug, "midge", "still wanted");
        let pid = process::id();
        let line = |text| format!("{{\"level\":\"debug\",\"pid\":{pid},\"msg\":\"{text}\"}}\n");
        assert_eq!(texts(), [line("wanted"), line("still wanted")]);
    }

    #[test]
    fn other_crates_are_heard_when_they_warn() {
        let (logger, texts) = logger(&options(true, true));
        for level in Level::iter() {
            log(&logger, level, "mio::poll", "mio");
            log(&logger, level, "midge_reactor", "reactor");
        }
        let heard = |text: &str| texts().iter().filter(|line| line.contains(text)).count();
        assert_eq!((heard("mio"), heard("reactor")), (2, 5));
    }

    #[test]
    fn a_line_is_one_write() {
        let (logger, texts) = logger(&LogOptions::default());
        for text in ["short", "", "\x1b[31m \t é", &"long".repeat(100_000)] {
            log(&logger, Level::Info, "midge", text);
            let texts = texts();
            let last = texts.last().expect("a write");
            assert!(last.ends_with(&format!("] {text}\n")));
        }
        assert_eq!(texts().len(), 4);
    }

    /// Sockets for daemons, in a directory of one test.
    fn sockets(test: &str) -> PathBuf {
        let name = format!("midge-{test}-{}", process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory of this test");
        directory
    }

    #[test]
    fn the_daemon_of_this_machine_is_found_where_it_listens() {
        use std::os::unix::net::UnixDatagram;

        let directory = sockets("local");
        let [nobody, first, second] =
            ["nobody", "first", "second"].map(|name| directory.join(name));
        let bind = |path| UnixDatagram::bind(path).expect("a path of this test");
        let (socket, other) = (bind(&first), bind(&second));
        let daemon = Daemon::Local(vec![nobody, first, second]);
        let output = Output::to_daemon(daemon, &options(true, false)).expect("one listens");
        let logger = Logger::new(&options(true, false), output);
        for (level, priority) in [
            (Level::Error, 27),
            (Level::Warn, 28),
            (Level::Info, 29),
            (Level::Debug, 31),
        ] {
            log(&logger, level, "midge", "told");
            let mut packet = [0; 200];
            let len = socket.recv(&mut packet).expect("a packet");
            let packet = String::from_utf8_lossy(&packet[..len]);
            let beginning = format!("<{priority}>");
            let ending = format!(" {}[{}]: told\n", midge::cli::executable(), process::id());
            let time = packet
                .strip_prefix(&beginning)
                .and_then(|rest| rest.strip_suffix(&ending))
                .unwrap_or_else(|| panic!("{packet}"));
            // `Nov 26 02:04:23`, and no name of this machine, which its daemon knows.
            let shape = |(at, c): (usize, char)| match at {
                3 | 6 => c == ' ',
                9 | 12 => c == ':',
                _ => c.is_ascii_alphanumeric() || c == ' ',
            };
            assert!(
                time.len() == 15 && time.chars().enumerate().all(shape),
                "{packet}"
            );
        }
        other.set_nonblocking(true).expect("a socket");
        assert!(other.recv(&mut [0; 10]).is_err(), "only one is told");
        std::fs::remove_dir_all(&directory).expect("it is there");
    }

    #[test]
    fn a_daemon_of_this_machine_may_want_a_stream() {
        use std::io::{BufRead, BufReader};
        use std::os::unix::net::UnixListener;

        let directory = sockets("stream");
        let path = directory.join("log");
        let listener = UnixListener::bind(&path).expect("a path of this test");
        let daemon = Daemon::Local(vec![path]);
        let output = Output::to_daemon(daemon, &options(false, false)).expect("it listens");
        let logger = Logger::new(&options(false, false), output);
        log(&logger, Level::Info, "midge", "one");
        log(&logger, Level::Info, "midge", "two");
        logger.flush();
        let (stream, _) = listener.accept().expect("it has connected");
        let lines: Vec<String> = BufReader::new(stream)
            .lines()
            .take(2)
            .map_while(Result::ok)
            .collect();
        assert!(
            lines[0].ends_with(": one") && lines[1].ends_with(": two"),
            "{lines:?}"
        );
        std::fs::remove_dir_all(&directory).expect("it is there");
    }

    #[test]
    fn a_machine_without_a_daemon_is_told_so() {
        let nowhere = Daemon::Local(vec!["/no/such/socket".into()]);
        let text = match Output::to_daemon(nowhere, &LogOptions::default()) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("opened"),
        };
        let expected = "error connecting to syslog: \"Unix syslog delivery error\"; ";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_log_file_that_cannot_be_opened_is_named() {
        let options = LogOptions {
            file: Some("/no/such/directory/midge.log".into()),
            ..LogOptions::default()
        };
        let text = match Output::open(&options) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("opened"),
        };
        let expected = "error opening file: open /no/such/directory/midge.log: ";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.len() > expected.len(), "{text}");
    }
}
