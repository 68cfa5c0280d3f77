//! `Resolver`: where tokens of accounts are kept that come while the broker runs, and where they are asked for.

use super::Operators;
use std::fmt;
use std::path::PathBuf;

/// Where tokens of accounts are kept that come while the broker runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Resolver {
    /// In memory: after a restart those count that are known from the start.
    #[default]
    Memory,
    /// In files, which count as well after a restart.
    Directory(Directory),
    /// In memory, and elsewhere: an account that is not known is asked for at this address with its key behind it,
    /// by HTTP.
    Url(String),
}

/// A directory with the tokens of all accounts (`resolver: {type: full}`), each in a file `KEY.jwt`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Directory {
    /// Where it is (`dir`). It is made if it is not there.
    pub path: PathBuf,
    /// Whether operators may delete accounts (`allow_delete`, `hard_delete`). Default: no.
    pub deletes: Deletes,
    /// Most accounts that are kept (`limit`). Default: no limit.
    pub accounts_max: Option<usize>,
}

/// What becomes of the file of an account that an operator deletes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Deletes {
    /// Nothing: such requests are refused.
    #[default]
    No,
    /// It is kept as `KEY.jwt.deleted`.
    Rename,
    /// It is removed.
    Remove,
}

impl fmt::Display for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = match self {
            Resolver::Memory => return f.write_str("MEMORY"),
            Resolver::Url(url) => return write!(f, "URL({url})"),
            Resolver::Directory(directory) => directory,
        };
        write!(f, "{{type: full, dir: {}", directory.path.display())?;
        match directory.deletes {
            Deletes::No => {}
            Deletes::Rename => f.write_str(", allow_delete: true")?,
            Deletes::Remove => f.write_str(", allow_delete: true, hard_delete: true")?,
        }
        if let Some(max) = directory.accounts_max {
            write!(f, ", limit: {max}")?;
        }
        f.write_str("}")
    }
}

impl Operators {
    /// The directory with the tokens of accounts, if there is one.
    pub(crate) fn directory(&self) -> Option<&Directory> {
        match &self.resolver {
            Resolver::Memory | Resolver::Url(_) => None,
            Resolver::Directory(directory) => Some(directory),
        }
    }

    /// Where accounts are asked for that are not known, if they are.
    pub(crate) fn url(&self) -> Option<&str> {
        match &self.resolver {
            Resolver::Url(url) => Some(url),
            Resolver::Memory | Resolver::Directory(_) => None,
        }
    }
}
