//! Errors that name what was tried: which address, which path.

use std::error::Error;
use std::fmt;
use std::io;

/// The error `cause` of something that did not succeed, with `what` in front of its text. Its kind is
/// kept, and it is the source.
pub(crate) fn annotated(what: impl Into<String>, cause: io::Error) -> io::Error {
    let what = what.into();
    io::Error::new(cause.kind(), Annotated { what, cause })
}

#[derive(Debug)]
struct Annotated {
    what: String,
    cause: io::Error,
}

impl fmt::Display for Annotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

impl Error for Annotated {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}
