//! Log lines as an operator of nats-server knows them.
//!
//! ```text
//! [8753] 2026/11/23 22:46:32.968826 [INF] Server is ready
//! [pid]  local time, microseconds   level text
//! ```
//!
//! * `filter.rs`: which records are logged.
//! * `line.rs`: a record as bytes.
//! * `output.rs`: where the bytes go, which is one of these:
//! * `file.rs`: the log file, its rotation, opening it again.
//! * `stream.rs`: what is open for writing; `patience.rs`: how long its reader is waited for.
//! * `syslog.rs`: daemons, on a thread of its own.
//!
//! A line is one write, with nothing kept back, so that a log can be followed and survives a crash;
//! only for syslog do lines wait on their way. A line that cannot be written is lost, and the broker
//! goes on: how many were is told by the first line that can be written again. A file is waited for
//! as long as the disk takes.

mod error;
mod file;
mod filter;
mod line;
mod output;
mod patience;
mod stream;
mod syslog;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::{fmt, process};

use jiff::{Timestamp, tz::TimeZone};
use log::{Log, Metadata, Record};
use midge::cli::{LogFormat, LogOptions};
use midge::system_words;

pub(crate) use error::LogError;

use file::Rotated;
use filter::{Filter, level};
use line::{Style, Urgency};
use output::{Output, destination};
use syslog::Syslog;

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

/// What the log is to be from some line on; open already.
pub(crate) struct Change {
    options: LogOptions,
    /// `None` if lines go on to where they go now.
    output: Option<Output>,
}

/// Opens what `options` want, for a reload; lines go on to where they went. It may take as long as a
/// network does, and the other threads log meanwhile.
///
/// # Errors
/// The new log cannot be opened.
///
/// # Panics
/// There is no log yet.
pub(crate) fn prepare(options: &LogOptions) -> Result<Change, LogError> {
    LOGGER.get().expect("init came first").prepare(options)
}

/// Changes the log to what was prepared, from the next line on.
///
/// # Panics
/// There is no log yet.
pub(crate) fn take_over(change: Change) {
    let level = level(&change.options);
    LOGGER.get().expect("init came first").take_over(change);
    log::set_max_level(level);
}

/// Does what SIGUSR1 asks for: opens the log file again by its name.
pub(crate) fn reopen() {
    if let Some(logger) = LOGGER.get() {
        logger.reopen();
    }
}

/// Whether lines go to standard error.
pub(crate) fn is_on_stderr() -> bool {
    let logger = LOGGER.get();
    logger.is_some_and(|logger| matches!(logger.inner().output, Output::Stream(_)))
}

/// Waits until the last lines have left, for two seconds or so. Those that come later are lost.
pub(crate) fn finish() {
    if let Some(logger) = LOGGER.get() {
        logger.flush();
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

/// The logger: a filter, and what is done with what passes it.
struct Logger {
    filter: RwLock<Filter>,
    inner: Mutex<Inner>,
}

struct Inner {
    options: LogOptions,
    style: Style,
    output: Output,
    /// The last lines before a reload may still be on their way.
    former: Option<Syslog>,
    /// Lines lost since this was last told.
    lost: u64,
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
                former: None,
                lost: 0,
                line: Vec::new(),
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic within left at worst a part of a line, which the next one clears.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(&self, options: &LogOptions) -> Result<Change, LogError> {
        // Not locked while it is opened: nobody else could log.
        let is_elsewhere = destination(&self.inner().options) != destination(options);
        let output = is_elsewhere.then(|| Output::open(options)).transpose()?;
        Ok(Change {
            options: options.clone(),
            output,
        })
    }

    fn take_over(&self, change: Change) {
        let Change { options, output } = change;
        let mut inner = self.inner();
        if let Some(output) = output {
            let former = std::mem::replace(&mut inner.output, output);
            if let Output::Syslog(mut syslog, _) = former {
                syslog.close();
                inner.former = Some(syslog);
            }
        }
        if let Output::Syslog(_, tag) = &mut inner.output {
            tag.zone = zone(&options);
        }
        inner.style = style(&options, &inner.output);
        let mut filter = self.filter.write().unwrap_or_else(PoisonError::into_inner);
        *filter = Filter::new(&options);
        inner.options = options;
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
        let mut inner = self.inner();
        if let Some(mut former) = inner.former.take() {
            former.finish();
        }
        if let Output::Syslog(syslog, _) = &mut inner.output {
            syslog.finish();
        }
    }
}

impl Inner {
    fn log(&mut self, urgency: Urgency, record: &Record<'_>) {
        self.tell_lost();
        self.count(urgency, record);
        self.rotate();
    }

    /// Tells how many lines were lost. If that cannot be told yet either, the next line tries again.
    fn tell_lost(&mut self) {
        self.lost += self.output.take_lost();
        if self.lost == 0 || !self.output.has_room() {
            return;
        }
        let lost = self.lost;
        let text = format_args!(
            "{lost} log lines were lost, since nobody took them from this log in time, or its disk is full"
        );
        if self.write(Urgency::Warn, &Record::builder().args(text).build()) {
            self.lost = 0;
        }
    }

    /// A line of the logger's own.
    fn say(&mut self, urgency: Urgency, text: fmt::Arguments<'_>) {
        self.count(urgency, &Record::builder().args(text).build());
    }

    /// Writes a line, which counts as lost if it cannot be written.
    fn count(&mut self, urgency: Urgency, record: &Record<'_>) {
        if !self.write(urgency, record) {
            self.lost += 1;
        }
    }

    fn write(&mut self, urgency: Urgency, record: &Record<'_>) -> bool {
        let Inner {
            style,
            output,
            line,
            ..
        } = self;
        let now = Timestamp::now();
        line.clear();
        match output {
            Output::Syslog(_, tag) => {
                tag.put(line, now, urgency);
                match style.format {
                    // The daemon has all the rest.
                    LogFormat::Text => {
                        line.extend_from_slice(format!("{}\n", record.args()).as_bytes());
                    }
                    LogFormat::Json => style.line(line, now, urgency, record),
                }
            }
            _ => style.line(line, now, urgency, record),
        }
        output.write(line)
    }

    fn rotate(&mut self) {
        let Output::File(file) = &mut self.output else {
            return;
        };
        let Some(rotated) = file.rotate_if_full(Timestamp::now()) else {
            return;
        };
        match rotated {
            Rotated::Renamed { backup, purged } => {
                let backup = backup.display().to_string();
                let text = format_args!("Rotated log, backup saved as {backup:?}");
                self.say(Urgency::Info, text);
                for name in purged {
                    self.say(Urgency::Info, format_args!("Purged log file {name:?}"));
                }
            }
            Rotated::MadeAnew => {
                let path = file.path().display().to_string();
                let text = format_args!("Log file {path:?} was gone, and is made anew");
                self.say(Urgency::Warn, text);
            }
            Rotated::Failed(error) => {
                let path = file.path().display().to_string();
                let said = system_words(&error);
                let text = format_args!("Unable to rotate log file {path:?}: {said}; it grows on");
                self.say(Urgency::Warn, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;
    use std::io::Read as _;
    use std::path::PathBuf;
    use std::sync::Arc;
    use syslog::Daemon;

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
            format: LogFormat::Json,
            ..options(true, false)
        };
        let change = logger.prepare(&wanted).expect("it stays in memory");
        log(&logger, Level::Debug, "midge", "not yet wanted");
        logger.take_over(change);
        log(&logger, Level::Debug, "midge", "wanted");
        let nowhere = LogOptions {
            file: Some("/no/such/directory/midge.log".into()),
            ..LogOptions::default()
        };
        assert!(logger.prepare(&nowhere).is_err());
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
    fn lost_lines_are_told_when_there_is_room_again_and_counted_until_then() {
        let (mut stream, mut reader) = stream::tests::pipe();
        stream::tests::fill(&mut stream);
        let (options, line) = (options(false, false), "a line");
        let logger = Logger::new(&options, Output::Stream(stream));
        log(&logger, Level::Info, "midge", line);
        log(&logger, Level::Info, "midge", line);
        let mut taken = vec![0; 1 << 20];
        let len = reader.read(&mut taken).expect("the pipe is full");
        assert!(taken[..len].iter().all(|byte| *byte == b'x'));
        log(&logger, Level::Info, "midge", line);
        drop(logger);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("text");
        let rest = rest.trim_start_matches('x');
        let pid = process::id();
        let told = format!("[{pid}] [WRN] 2 log lines were lost, since ");
        assert!(rest.starts_with(&told), "{rest}");
        assert!(
            rest.ends_with(&format!("\n[{pid}] [INF] {line}\n")),
            "{rest}"
        );
    }

    #[test]
    fn lines_that_find_the_disk_full_are_counted_until_that_can_be_told() {
        let options = LogOptions {
            file: Some("/dev/full".into()),
            ..options(false, false)
        };
        let Ok(output) = Output::open(&options) else {
            return;
        };
        let logger = Logger::new(&options, output);
        for _ in 0..3 {
            log(&logger, Level::Info, "midge", "a line");
        }
        assert_eq!(logger.inner().lost, 3);
        let lines = Arc::default();
        logger.inner().output = Output::Memory(Arc::clone(&lines));
        log(&logger, Level::Info, "midge", "a line");
        let lines: Vec<Vec<u8>> = std::mem::take(&mut *lines.lock().expect("nobody panics"));
        let told = String::from_utf8_lossy(&lines[0]).into_owned();
        assert!(
            told.contains("[WRN] 3 log lines were lost, since "),
            "{told}"
        );
        assert_eq!((lines.len(), logger.inner().lost), (2, 0));
    }
}
