//! From records to lines that are out; and what is told of the log in the log.

use std::{fmt, io, mem, process};

use jiff::Timestamp;
use log::Record;
use midge::cli::{LogFormat, LogOptions};
use midge::system_words;

use super::Change;
use super::file::Rotated;
use super::line::{Style, Urgency};
use super::output::{Output, zone};
use super::stream::Stream;
use super::syslog::Syslog;

/// Writes lines, and what is to be said of them: how many were lost, that a file was full.
pub(super) struct Writer {
    options: LogOptions,
    style: Style,
    output: Output,
    /// The last lines before a reload may still be on their way.
    former: Option<Syslog>,
    /// Lines lost since this was last told.
    lost: u64,
    /// Why the last of them was, where the system has said so.
    fault: Option<io::Error>,
    /// Whether standard error was told of that.
    is_told_elsewhere: bool,
    /// Standard error for that, once it was wanted: one, since it has one wait budget.
    elsewhere: Option<Stream>,
    /// Kept for its room.
    line: Vec<u8>,
}

impl Writer {
    pub(super) fn new(options: &LogOptions, output: Output) -> Writer {
        Writer {
            options: options.clone(),
            style: style(options, &output),
            output,
            former: None,
            lost: 0,
            fault: None,
            is_told_elsewhere: false,
            elsewhere: None,
            line: Vec::new(),
        }
    }

    pub(super) fn options(&self) -> &LogOptions {
        &self.options
    }

    pub(super) fn is_on_stderr(&self) -> bool {
        matches!(self.output, Output::Stream(_))
    }

    /// Goes on as `change` has it, from the next line on.
    pub(super) fn take_over(&mut self, change: Change) {
        let Change { options, output } = change;
        if let Some(output) = output {
            let mut former = mem::replace(&mut self.output, output);
            self.lost += former.take_lost();
            self.is_told_elsewhere = false;
            if let Output::Syslog(mut syslog, _) = former {
                syslog.close();
                self.former = Some(syslog);
            }
        }
        if let Output::Syslog(_, tag) = &mut self.output {
            tag.zone = zone(&options);
        }
        self.style = style(&options, &self.output);
        self.options = options;
    }

    /// Opens the log file again, and says so.
    pub(super) fn reopen(&mut self) {
        let Output::File(file) = &mut self.output else {
            let text = format_args!("File log re-open ignored, not a file logger");
            return self.say(Urgency::Info, text);
        };
        match file.reopen() {
            Ok(()) => {
                self.tell_lost();
                self.say(Urgency::Info, format_args!("File log re-opened"));
            }
            Err(error) => {
                let path = file.path().to_owned();
                let (path, said) = (path.display(), system_words(&error));
                self.say(
                    Urgency::Error,
                    format_args!(
                        "File log not re-opened: open {path}: {said}; \
                         lines go on into the file that was open"
                    ),
                );
            }
        }
    }

    /// Waits until what is on its way has left, for two seconds or so. No more can be written.
    pub(super) fn finish(&mut self) {
        if let Some(mut former) = self.former.take() {
            former.finish();
        }
        if let Output::Syslog(syslog, _) = &mut self.output {
            syslog.finish();
        }
    }

    /// Writes what is wanted of a record.
    pub(super) fn log(&mut self, record: &Record<'_>) {
        self.tell_lost();
        self.count(Urgency::of(record), record);
        self.rotate();
    }

    /// Tells how many lines were lost. If that cannot be told yet either, the next line tries again.
    fn tell_lost(&mut self) {
        self.lost += self.output.take_lost();
        if self.lost == 0 || !self.output.has_room() {
            return;
        }
        let lost = self.lost;
        let why = match &self.fault {
            Some(error) => system_words(error),
            None => "the reader of this log was too slow".to_owned(),
        };
        let text = format_args!("{lost} log lines were lost: {why}");
        if self.write(Urgency::Warn, &Record::builder().args(text).build()) {
            (self.lost, self.fault) = (0, None);
            self.is_told_elsewhere = false;
        }
    }

    /// A line of the logger's own.
    fn say(&mut self, urgency: Urgency, text: fmt::Arguments<'_>) {
        self.count(urgency, &Record::builder().args(text).build());
    }

    /// Writes a line, which counts as lost if it cannot be written.
    fn count(&mut self, urgency: Urgency, record: &Record<'_>) {
        if self.write(urgency, record) {
            return;
        }
        self.lost += 1;
        if let Some(error) = self.output.take_fault() {
            self.fault = Some(error);
            if !mem::replace(&mut self.is_told_elsewhere, true) {
                self.tell_elsewhere();
            }
        }
    }

    /// Tells standard error that a log file takes no more lines: in the log itself it cannot be told before
    /// that is over. Once each time, whatever comes of it.
    fn tell_elsewhere(&mut self) {
        let (Output::File(file), Some(error)) = (&self.output, &self.fault) else {
            return;
        };
        let (path, said) = (file.path().display(), system_words(error));
        let text = format!(
            "Log file {path}: {said}; lines are lost and counted until it can be written again"
        );
        self.line.clear();
        let (now, args) = (Timestamp::now(), format_args!("{text}"));
        let record = Record::builder().args(args).build();
        self.style
            .line(&mut self.line, now, Urgency::Error, &record);
        if self.elsewhere.is_none() {
            self.elsewhere = Stream::stderr().ok();
        }
        if let Some(stream) = &mut self.elsewhere {
            stream.write(&self.line);
        }
    }

    fn write(&mut self, urgency: Urgency, record: &Record<'_>) -> bool {
        let Writer {
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
                let text = format_args!("Log file {path:?} was gone and has been created again");
                self.say(Urgency::Warn, text);
            }
            Rotated::Failed(error) => {
                let path = file.path().display().to_string();
                let said = system_words(&error);
                let text =
                    format_args!("Unable to rotate log file {path:?}: {said}; it keeps growing");
                self.say(Urgency::Warn, text);
            }
        }
    }
}

/// Standard error in a test.
#[cfg(test)]
impl Writer {
    pub(super) fn tell_to(&mut self, stream: Stream) {
        self.elsewhere = Some(stream);
    }

    /// As when the disk had room for a moment.
    pub(super) fn forget_told(&mut self) {
        self.is_told_elsewhere = false;
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
