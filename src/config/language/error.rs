//! Where something stands, and what is wrong there.

use midge_text::system_words;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A place in a file: `FILE:LINE:COLUMN`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Position {
    /// The file, as the flag or the including file names it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The character in it, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something that is wrong in a file, or with it. Prints as one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// Where. `None` for a file that cannot be read at all, and for what no single place is to
    /// blame for.
    pub at: Option<Position>,
    /// What, with the offending text.
    pub text: String,
}

impl Error {
    /// What is wrong with the meaning of what stands at `at`.
    pub fn new(at: &Position, text: impl Into<String>) -> Error {
        Error {
            at: Some(at.clone()),
            text: text.into(),
        }
    }

    /// What breaks the rules of the language at `at`.
    pub(crate) fn syntax(at: &Position, text: &str) -> Error {
        Error::new(at, format!("Parse error on line {}: '{text}'", at.line))
    }

    /// A file that cannot be read.
    pub(crate) fn unreadable(path: &Path, cause: &io::Error) -> Error {
        Error {
            at: None,
            text: unreadable(path, cause),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{at}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Error {}

/// What went wrong with a file, in the words that operators of nats-server know.
pub(crate) fn unreadable(path: &Path, cause: &io::Error) -> String {
    let call = match cause.kind() {
        io::ErrorKind::IsADirectory => "read",
        _ => "open",
    };
    format!("{call} {}: {}", path.display(), system_words(cause))
}
