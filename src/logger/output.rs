//! Where lines go: one of the files, streams and daemons that there are.

use std::io;

use jiff::tz::TimeZone;
use midge::cli::LogOptions;

use super::error::LogError;
use super::file::LogFile;
use super::line::Tag;
use super::stream::Stream;
use super::syslog::{Daemon, Syslog};

/// Where lines go.
pub(super) enum Output {
    Stream(Stream),
    File(LogFile),
    Syslog(Syslog, Tag),
    #[cfg(test)]
    Memory(std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>),
}

impl Output {
    /// A file wins over a remote daemon, that one over the local one, as in nats-server.
    pub(super) fn open(options: &LogOptions) -> Result<Output, LogError> {
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
            None => {
                let stream = Stream::stderr().map_err(|cause| LogError::File {
                    path: "/dev/stderr".into(),
                    cause,
                });
                return stream.map(Output::Stream);
            }
        };
        Output::to_daemon(daemon, options)
    }

    pub(super) fn to_daemon(daemon: Daemon, options: &LogOptions) -> Result<Output, LogError> {
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

    /// Whether a line would not have to wait or be lost, as far as is known.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Output::Stream(stream) => stream.has_room(),
            Output::File(file) => file.has_room(),
            Output::Syslog(syslog, _) => syslog.is_there(),
            #[cfg(test)]
            Output::Memory(_) => true,
        }
    }

    /// How many lines were lost since this was last asked, of those that `write` took.
    pub(super) fn take_lost(&mut self) -> u64 {
        match self {
            Output::Syslog(syslog, _) => syslog.take_lost(),
            _ => 0,
        }
    }

    /// What the system said when the last line was lost, asked for once; `None` where lines are lost for
    /// want of room or of a reader.
    pub(super) fn take_fault(&mut self) -> Option<io::Error> {
        match self {
            Output::Stream(stream) => stream.take_fault(),
            Output::File(file) => file.take_fault(),
            _ => None,
        }
    }

    /// Writes a line, or hands it to a thread that does. Answers `false` if it is lost.
    pub(super) fn write(&mut self, line: &[u8]) -> bool {
        match self {
            Output::Stream(stream) => stream.write(line),
            Output::File(file) => file.write(line),
            Output::Syslog(syslog, _) => syslog.write(line),
            #[cfg(test)]
            Output::Memory(lines) => {
                let mut lines = lines.lock().expect("no test panics meanwhile");
                lines.push(line.to_vec());
                true
            }
        }
    }
}

/// Of the times on lines.
pub(super) fn zone(options: &LogOptions) -> TimeZone {
    if options.utc {
        TimeZone::UTC
    } else {
        // Looked up once; the zone knows its own summer times.
        TimeZone::system()
    }
}

/// Where lines go, and when a file is full.
pub(super) fn destination(options: &LogOptions) -> impl PartialEq + use<'_> {
    (
        &options.file,
        options.size_limit,
        options.files_max,
        &options.remote_syslog,
        options.syslog,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let expected = "error opening file: open /no/such/directory/midge.log: \
                        no such file or directory; choose another log file (-l, or log_file)";
        assert_eq!(text, expected);
    }
}
