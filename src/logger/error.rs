//! Why a log cannot be opened.

use std::error::Error;
use std::path::PathBuf;
use std::{fmt, io};

use midge::system_words;

use super::syslog::SyslogError;

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
                    "error opening file: open {path}: {said}; choose another log file (-l, or log_file)"
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
