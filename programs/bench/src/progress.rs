//! One line on a terminal that tells how far a measurement is.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use terminal_size::terminal_size_of;

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
    /// On standard error, if that is a terminal, and not with --quiet.
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
        self.put(prefix, "");
    }

    /// Shows how far it is, and the rate since the last time.
    pub(crate) fn show(&mut self, progress: Progress) {
        let messages = progress.delivered.max(progress.published);
        let time = progress.elapsed.saturating_sub(self.last.0).as_secs_f64();
        let rate = messages.saturating_sub(self.last.1) as f64 / time.max(1e-3);
        self.last = (progress.elapsed, messages);
        let (total, rate) = (table::count(messages as f64), table::count(rate));
        let seconds = progress.elapsed.as_secs_f64();
        let text = format!("  {seconds:.1} s  {total} messages  {rate}/s");
        self.put(&self.prefix, &text);
    }

    /// Removes it.
    pub(crate) fn clear(&mut self) {
        self.put("", "");
    }

    fn put(&self, prefix: &str, numbers: &str) {
        if self.live {
            let size = terminal_size_of(io::stderr());
            let columns = size.map_or(80, |(width, _)| usize::from(width.0));
            let text = fitted(prefix, numbers, columns);
            // Back to the left, the new text, and nothing behind it.
            let _ = write!(io::stderr(), "\r{text}\x1b[K");
            let _ = io::stderr().flush();
        }
    }
}

/// Both on one line of a terminal, which leaves its last column free: the end of `prefix` gives way, and
/// numbers stay whole as long as there is room for them.
fn fitted(prefix: &str, numbers: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1);
    let cut = |text: &str, room: usize| match text.chars().count() {
        len if len <= room => text.to_owned(),
        _ if room == 0 => String::new(),
        _ => text.chars().take(room - 1).chain(['…']).collect(),
    };
    let prefix = cut(prefix, room.saturating_sub(numbers.chars().count()));
    cut(&(prefix + numbers), room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_no_wider_than_its_terminal_and_numbers_are_whole() {
        for (prefix, columns, expected) in [
            ("fanout", 80, "fanout  1.2 s  3M messages"),
            (
                "1 of 5  midge  a long heading",
                40,
                "1 of 5  midge…  1.2 s  3M messages",
            ),
            ("fanout", 22, "…  1.2 s  3M messages"),
            ("fanout", 10, "  1.2 s …"),
            ("fanout", 0, ""),
        ] {
            let line = fitted(prefix, "  1.2 s  3M messages", columns);
            assert!(line.chars().count() <= columns.saturating_sub(1), "{line}");
            if columns != 40 {
                assert_eq!(line, expected);
            }
            assert_eq!(line.ends_with("3M messages"), columns > 20, "{line}");
        }
    }
}
