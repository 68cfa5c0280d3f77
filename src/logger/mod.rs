//! Log lines as an operator of nats-server knows them.
//!
//! ```text
//! [8753] 2026/11/23 22:46:32.968826 [INF] Server is ready
//! [pid]  local time, microseconds   level text
//! ```
//!
//! A line is one write, with nothing kept back, so that a log can be followed and survives a crash.
//! A line that cannot be written is lost, and the broker goes on; but a pipe that is full and that
//! nobody reads makes it wait, as it does every program that logs to a pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::{error, fmt, process};

use env_logger::{Builder, Logger, Target, WriteStyle};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use log::{Level, LevelFilter, Log, Metadata, Record};
use midge::cli::LogOptions;

/// The target of a record that is the process's last word: its level reads `FTL`.
pub(crate) const FATAL: &str = "fatal";

/// Sends the records of `log` to standard error or to the file that `options` names. Call it once.
///
/// The environment is not consulted.
///
/// # Errors
///
/// The file cannot be opened; then no logger is set.
pub(crate) fn init(options: &LogOptions) -> Result<(), LogFileError> {
    let file = options.file.as_ref().map(open).transpose()?;
    let colour = file.is_none() && io::stderr().is_terminal();
    let output: Box<dyn Write + Send> = match file {
        Some(file) => Box::new(file),
        None => Box::new(io::stderr()),
    };
    let lines = Lines::new(options, colour, output);
    log::set_max_level(lines.logger.filter());
    log::set_boxed_logger(Box::new(lines)).expect("main sets the only logger, once");
    Ok(())
}

/// The log file cannot be opened.
#[derive(Debug)]
pub(crate) struct LogFileError {
    file: PathBuf,
    cause: io::Error,
}

impl fmt::Display for LogFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(
            f,
            "error opening file: open {file}: {}; choose another log file with -l",
            self.cause
        )
    }
}

impl error::Error for LogFileError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.cause)
    }
}

fn open(file: &PathBuf) -> Result<File, LogFileError> {
    let mut options = OpenOptions::new();
    let opened = options.append(true).create(true).mode(0o640).open(file);
    opened.map_err(|cause| LogFileError {
        file: file.clone(),
        cause,
    })
}

/// The logger: env_logger's, for which each level includes those above it, with `DBG` taken out
/// when only `TRC` was asked for.
struct Lines {
    logger: Logger,
    debug: bool,
}

impl Lines {
    fn new(options: &LogOptions, colour: bool, output: Box<dyn Write + Send>) -> Self {
        let level = match options {
            LogOptions { trace: true, .. } => LevelFilter::Trace,
            LogOptions { debug: true, .. } => LevelFilter::Debug,
            _ => LevelFilter::Info,
        };
        let pid = process::id();
        // Looked up once; the zone knows its own summer times.
        let zone = options.time.then(TimeZone::system);
        let logger = Builder::new()
            // Other crates' view of the world is of interest when it is a warning.
            .filter_level(LevelFilter::Warn)
            .filter_module("midge", level)
            .filter_module(FATAL, LevelFilter::Error)
            .format(move |out, record| {
                let time = zone.as_ref().map(|zone| zone.to_datetime(Timestamp::now()));
                write_line(out, pid, time, colour, record)
            })
            .target(Target::Pipe(output))
            // `write_line` decides about colour; nothing is to look into the lines again.
            .write_style(WriteStyle::Always)
            .build();
        Lines {
            logger,
            debug: options.debug,
        }
    }
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        (self.debug || metadata.level() != Level::Debug) && self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.logger.log(record);
        }
    }

    fn flush(&self) {}
}

fn write_line(
    out: &mut impl Write,
    pid: u32,
    time: Option<DateTime>,
    colour: bool,
    record: &Record<'_>,
) -> io::Result<()> {
    write!(out, "[{pid}] ")?;
    if let Some(time) = time {
        write!(
            out,
            "{:04}/{:02}/{:02} {:02}:{:02}:{:02}.{:06} ",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.subsec_nanosecond() / 1000,
        )?;
    }
    let (letters, code) = match record.level() {
        _ if record.target() == FATAL => ("FTL", "31"),
        Level::Error => ("ERR", "31"),
        Level::Warn => ("WRN", "0;93"),
        Level::Info => ("INF", "32"),
        Level::Debug => ("DBG", "36"),
        Level::Trace => ("TRC", "33"),
    };
    if colour {
        write!(out, "[\x1b[{code}m{letters}\x1b[0m] ")?;
    } else {
        write!(out, "[{letters}] ")?;
    }
    writeln!(out, "{}", record.args())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, PoisonError};

    /// The writes that a logger made.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Writes {
        fn texts(&self) -> Vec<String> {
            let writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
            writes.iter().map(text).collect()
        }
    }

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            writes.push(bytes.to_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output that is gone.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn options(debug: bool, trace: bool) -> LogOptions {
        LogOptions {
            debug,
            trace,
            time: false,
            ..LogOptions::default()
        }
    }

    fn log(lines: &Lines, level: Level, target: &str, text: &str) {
        let args = format_args!("{text}");
        let mut record = Record::builder();
        lines.log(&record.level(level).target(target).args(args).build());
    }

    fn line(time: Option<DateTime>, colour: bool, level: Level, target: &str) -> String {
        let mut out = Vec::new();
        let mut record = Record::builder();
        let record = record.level(level).target(target);
        let record = record.args(format_args!("text")).build();
        write_line(&mut out, 7, time, colour, &record).expect("a vector takes all");
        String::from_utf8(out).expect("a line is text")
    }

    #[test]
    fn each_level_has_its_letters_and_on_a_terminal_its_colour() {
        for (level, target, plain, coloured) in [
            (Level::Error, "midge", "ERR", "\x1b[31mERR\x1b[0m"),
            (Level::Warn, "midge", "WRN", "\x1b[0;93mWRN\x1b[0m"),
            (Level::Info, "midge", "INF", "\x1b[32mINF\x1b[0m"),
            (Level::Debug, "midge", "DBG", "\x1b[36mDBG\x1b[0m"),
            (Level::Trace, "midge", "TRC", "\x1b[33mTRC\x1b[0m"),
            (Level::Error, "fatal", "FTL", "\x1b[31mFTL\x1b[0m"),
        ] {
            let expected = format!("[7] [{plain}] text\n");
            assert_eq!(line(None, false, level, target), expected);
            let expected = format!("[7] [{coloured}] text\n");
            assert_eq!(line(None, true, level, target), expected);
        }
    }

    #[test]
    fn the_time_is_padded_and_ends_in_microseconds() {
        for (nanoseconds, fraction) in [(0, "000000"), (1_999, "000001"), (987_654_321, "987654")] {
            let time = jiff::civil::datetime(2026, 1, 2, 3, 4, 5, nanoseconds);
            assert_eq!(
                line(Some(time), false, Level::Info, "midge"),
                format!("[7] 2026/01/02 03:04:05.{fraction} [INF] text\n")
            );
        }
    }

    #[test]
    fn debug_and_trace_lines_are_turned_on_independently() {
        for (debug, trace, expected) in [
            (false, false, "FTL ERR WRN INF"),
            (true, false, "FTL ERR WRN INF DBG"),
            (false, true, "FTL ERR WRN INF TRC"),
            (true, true, "FTL ERR WRN INF DBG TRC"),
        ] {
            let writes = Writes::default();
            let lines = Lines::new(&options(debug, trace), false, Box::new(writes.clone()));
            log(&lines, Level::Error, FATAL, "x");
            for level in Level::iter() {
                log(&lines, level, "midge::client", "x");
            }
            let pid = process::id();
            let expected: Vec<String> = expected
                .split(' ')
                .map(|letters| format!("[{pid}] [{letters}] x\n"))
                .collect();
            assert_eq!(writes.texts(), expected, "debug {debug}, trace {trace}");
        }
    }

    #[test]
    fn other_crates_are_heard_when_they_warn() {
        let writes = Writes::default();
        let lines = Lines::new(&options(true, true), false, Box::new(writes.clone()));
        for level in Level::iter() {
            log(&lines, level, "mio::poll", "mio");
            log(&lines, level, "midge_reactor", "reactor");
        }
        let heard = |text: &str| writes.texts().iter().filter(|w| w.contains(text)).count();
        assert_eq!((heard("mio"), heard("reactor")), (2, 5));
    }

    #[test]
    fn a_line_is_one_write() {
        let writes = Writes::default();
        let with_time = LogOptions::default();
        let lines = Lines::new(&with_time, true, Box::new(writes.clone()));
        for text in ["short", "", "\x1b[31m \t é", &"long".repeat(100_000)] {
            log(&lines, Level::Info, "midge", text);
            let texts = writes.texts();
            let last = texts.last().expect("a write");
            assert!(last.ends_with(&format!("] {text}\n")));
        }
        assert_eq!(writes.texts().len(), 4);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_lost_without_a_panic() {
        let lines = Lines::new(&LogOptions::default(), false, Box::new(Broken));
        log(&lines, Level::Info, "midge", "lost");
        log(&lines, Level::Error, FATAL, "lost as well");
        lines.flush();
    }

    #[test]
    fn a_log_file_that_cannot_be_opened_is_named() {
        let error = open(&PathBuf::from("/no/such/directory/midge.log")).expect_err("opened");
        let text = error.to_string();
        let expected = "error opening file: open /no/such/directory/midge.log: ";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.len() > expected.len(), "{text}");
    }
}
