//! The language of configuration files, whole: text in, a tree of values out. Knows no option.
//!
//! ```text
//! listen: 127.0.0.1:4222            pair: key, then ":", "=" or a blank, then a value
//! max_payload = 2MB                 a bare word; numbers may have a size suffix
//! authorization {                   a map; a separator before it is optional
//!   PASS: "s3cret"                  quoted text, with escapes in double quotes only
//!   users [ {user: a, pass: $PASS} ]  a list; $NAME is a pair above it, or of the environment
//! }
//! include "more/*.conf"             the pairs of other files, in this place
//! ```
//!
//! It is nats-server's own language; JSON is very nearly a part of it. What that server reads is read
//! here with the same meaning. What it refuses for no good reason, or what ends it, is cured: see
//! [`units`] for words that look like numbers, [`environment`] for values from outside, [`includes`]
//! for absolute paths, several files and files that include themselves.
//!
//! Every value knows where it stands, how it was written and where it came from ([`Value`]). All that
//! is wrong is collected, each with its place ([`Error`]).
//!
//! * [`lexer`]: a place in the text, and the words that begin there
//! * [`comments`], [`blocks`], [`units`]: what a lexer meets, one form each
//! * [`parser`]: pairs, maps and lists
//! * [`variables`], [`environment`], [`includes`]: what stands elsewhere
//! * [`values`], [`error`]: what comes out
//! * [`world`]: files and variables, real or made up

pub mod blocks;
pub mod comments;
pub mod environment;
pub mod error;
pub mod includes;
pub mod lexer;
pub mod parser;
pub mod units;
pub mod values;
pub mod variables;
pub mod world;

pub use error::{Error, Position};
pub use values::{Kind, Map, Origin, Pair, Value};
pub use world::{System, World};

use std::path::{Path, PathBuf};

/// A file that was read without an error, and all that it includes.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Its pairs, those of included files in their place.
    pub root: Map,
    /// Every file that was read, the first one first.
    pub files: Vec<PathBuf>,
    /// Those of them that say something, themselves or by what they include.
    pub filled: Vec<PathBuf>,
    /// What is worth telling of them.
    pub notices: Vec<Error>,
}

/// Reads the file at `path` and what it includes.
///
/// ```
/// use midge::config::language::{System, read};
///
/// let errors = read("no such file".as_ref(), &System).expect_err("there is none");
/// assert_eq!(errors[0].to_string(), "open no such file: no such file or directory");
/// ```
///
/// # Errors
/// Everything that is wrong, in the order in which it stands; at least one.
pub fn read(path: &Path, world: &dyn World) -> Result<Document, Vec<Error>> {
    match world.read(path) {
        Ok(text) => parse(path, &text, world),
        Err(cause) => Err(vec![Error::unreadable(path, &cause)]),
    }
}

/// Reads `text` as if it were the contents of the file at `path`, which is not opened.
///
/// ```
/// use midge::config::language::{Kind, System, parse};
///
/// let document = parse("a.conf".as_ref(), b"SIZE: 2k\nmax_payload = $SIZE", &System);
/// let document = document.expect("it is right");
/// let value = &document.root.get("max_payload").expect("it is there").value;
/// assert_eq!(value.kind, Kind::Integer(2000));
/// assert_eq!((value.text.as_str(), value.at.to_string().as_str()), ("2k", "a.conf:2:15"));
/// ```
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, text: &[u8], world: &dyn World) -> Result<Document, Vec<Error>> {
    let mut reading = includes::Reading::new(world);
    let root = reading.file(path, text);
    if reading.errors.is_empty() {
        Ok(Document {
            root,
            files: reading.files,
            filled: reading.filled,
            notices: reading.notices,
        })
    } else {
        Err(reading.errors)
    }
}

#[cfg(test)]
mod tests;
