//! Log lines as an operator of nats-server knows them.
//!
//! ```text
//! [8753] 2026/11/23 22:46:32.968826 [INF] Server is ready
//! [pid]  local time, microseconds   level text
//! ```
//!
//! * `filter.rs`: which records are logged.
//! * `writer.rs`: what passes, line by line, and what is told of the log in the log.
//! * `line.rs`: a record as bytes.
//! * `output.rs`: where the bytes go, which is one of these:
//! * `file.rs`: the log file, its rotation, opening it again.
//! * `stream.rs`: what is open for writing; `wait_budget.rs`: how long its reader is waited for.
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
mod stream;
mod syslog;
mod wait_budget;
mod writer;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use log::{Log, Metadata, Record};
use midge::cli::LogOptions;

pub(crate) use error::LogError;

use filter::{Filter, level};
use output::{Output, destination};
use writer::Writer;

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
        logger.writer().reopen();
    }
}

/// Whether lines go to standard error.
pub(crate) fn is_on_stderr() -> bool {
    let logger = LOGGER.get();
    logger.is_some_and(|logger| logger.writer().is_on_stderr())
}

/// Waits until the last lines have left, for two seconds or so. Those that come later are lost.
pub(crate) fn finish() {
    if let Some(logger) = LOGGER.get() {
        logger.flush();
    }
}

/// The logger: a filter, and what writes what passes it.
struct Logger {
    filter: RwLock<Filter>,
    writer: Mutex<Writer>,
}

impl Logger {
    fn new(options: &LogOptions, output: Output) -> Logger {
        Logger {
            filter: RwLock::new(Filter::new(options)),
            writer: Mutex::new(Writer::new(options, output)),
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic within left at worst a part of a line, which the next one clears.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(&self, options: &LogOptions) -> Result<Change, LogError> {
        // Not locked while it is opened: no other thread could log.
        let is_elsewhere = destination(self.writer().options()) != destination(options);
        let output = is_elsewhere.then(|| Output::open(options)).transpose()?;
        Ok(Change {
            options: options.clone(),
            output,
        })
    }

    fn take_over(&self, change: Change) {
        let filter = Filter::new(&change.options);
        let mut writer = self.writer();
        writer.take_over(change);
        *self.filter.write().unwrap_or_else(PoisonError::into_inner) = filter;
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let filter = self.filter.read().unwrap_or_else(PoisonError::into_inner);
        filter.passes(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.writer().log(record);
        }
    }

    fn flush(&self) {
        self.writer().finish();
    }
}

#[cfg(test)]
mod tests;
