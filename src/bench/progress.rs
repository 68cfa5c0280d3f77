//! One line on a terminal that tells how far a measurement is.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::run::Progress;
use super::table;

/// The line; nothing at all where there is no terminal.
#[derive(Debug)]
pub(crate) struct Line {
    live: bool,
    /// What stands in front.
    prefix: String,
    last: (Duration, u64),
}

impl Line {
    /// On standard error, if that is a terminal and nobody wants it quiet.
    pub(crate) fn new(quiet: bool) -> Line {
        Line {
            live: !quiet && io::stderr().is_terminal(),
            prefix: String::new(),
            last: (Duration::ZERO, 0),
        }
    }

    /// A new measurement, under this name.
    pub(crate) fn begin(&mut self, prefix: &str) {
        self.prefix = prefix.to_owned();
        self.last = (Duration::ZERO, 0);
        self.put(prefix);
    }

    /// Shows how far it is, and the rate since the last time.
    pub(crate) fn show(&mut self, progress: Progress) {
        let messages = progress.delivered.max(progress.published);
        let time = progress.elapsed.saturating_sub(self.last.0).as_secs_f64();
        let rate = messages.saturating_sub(self.last.1) as f64 / time.max(1e-3);
        self.last = (progress.elapsed, messages);
        let (total, rate) = (table::count(messages as f64), table::count(rate));
        let seconds = progress.elapsed.as_secs_f64();
        let text = format!(
            "{}  {seconds:.1} s  {total} messages  {rate}/s",
            self.prefix
        );
        self.put(&text);
    }

    /// Removes it.
    pub(crate) fn clear(&mut self) {
        self.put("");
    }

    fn put(&self, text: &str) {
        if self.live {
            // Back to the left, the new text, and nothing behind it.
            let _ = write!(io::stderr(), "\r{text}\x1b[K");
            let _ = io::stderr().flush();
        }
    }
}
