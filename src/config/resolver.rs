//! `Resolver`: where tokens of accounts are kept that come while the broker runs, and where they are asked for.

#[cfg(feature = "command")]
use super::Config;
use super::Operators;
use crate::tls::Tls;
#[cfg(all(feature = "nkeys", feature = "tls"))]
use crate::tls::asking;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
#[cfg(all(feature = "nkeys", feature = "tls"))]
use ureq::tls::TlsConfig;

/// How many accounts a cache keeps, and how long it waits for an answer, as in nats-server.
const CACHED_MAX: usize = 1000;
const TIMEOUT: Duration = Duration::from_millis(1900);

/// Where tokens of accounts are kept that come while the broker runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Resolver {
    /// In memory: after a restart those count that are known from the start.
    #[default]
    Memory,
    /// In files, which count as well after a restart.
    Directory(Directory),
    /// In files, but only of accounts that were in use lately: one that is not there is asked for, by a message in the
    /// system account.
    Cache(Cache),
    /// In memory, and elsewhere: an account that is not known is asked for at this address with its key behind it, by
    /// HTTP or HTTPS.
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

/// A directory with the tokens of accounts that were in use lately (`resolver: {type: cache}`), each in a file `KEY.jwt`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cache {
    /// Where it is (`dir`). It is made if it is not there.
    pub path: PathBuf,
    /// Most accounts that are kept (`limit`): past that, the one goes that was not used for longest. Default 1,000.
    pub accounts_max: usize,
    /// How long an account is kept that is not used (`ttl`). Default: until its token is over.
    pub ttl: Option<Duration>,
    /// How long an answer is waited for (`timeout`). Default 1.9 seconds.
    pub timeout: Duration,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            path: PathBuf::new(),
            accounts_max: CACHED_MAX,
            ttl: None,
            timeout: TIMEOUT,
        }
    }
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
        match self {
            Resolver::Memory => f.write_str("MEMORY"),
            Resolver::Url(url) => write!(f, "URL({url})"),
            Resolver::Directory(directory) => directory.fmt(f),
            Resolver::Cache(cache) => cache.fmt(f),
        }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{type: full, dir: {}", self.path.display())?;
        match self.deletes {
            Deletes::No => {}
            Deletes::Rename => f.write_str(", allow_delete: true")?,
            Deletes::Remove => f.write_str(", allow_delete: true, hard_delete: true")?,
        }
        if let Some(max) = self.accounts_max {
            write!(f, ", limit: {max}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cache {
            path,
            accounts_max,
            ttl,
            timeout,
        } = self;
        let path = path.display();
        write!(f, "{{type: cache, dir: {path}, limit: {accounts_max}")?;
        if let Some(ttl) = ttl {
            write!(f, ", ttl: {ttl:?}")?;
        }
        write!(f, ", timeout: {timeout:?}}}")
    }
}

/// Where accounts are asked for by HTTP.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(all(feature = "nkeys", feature = "tls")),
    expect(dead_code, reason = "no resolver is asked, or none by HTTPS")
)]
pub(crate) struct Source {
    /// The address in front of an account's key.
    pub(crate) base: String,
    tls: Option<Tls>,
}

#[cfg(all(feature = "nkeys", feature = "tls"))]
impl Source {
    /// What questions need by HTTPS. Reads files.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub(crate) fn tls(&self) -> Result<TlsConfig, String> {
        match self.base.starts_with("https://") {
            true => asking(self.tls.as_ref()),
            false => Ok(TlsConfig::default()),
        }
    }
}

#[cfg(feature = "command")]
impl Config {
    /// Reads the files by which a resolver is asked, if there are any: they are right if this answers nothing.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub(crate) fn can_ask(&self) -> Result<(), String> {
        #[cfg(all(feature = "nkeys", feature = "tls"))]
        if let Some(source) = self.operators().and_then(Operators::source) {
            source.tls()?;
        }
        Ok(())
    }
}

/// The files in which tokens of accounts are kept, whichever resolver keeps them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store<'a> {
    pub(crate) path: &'a Path,
    pub(crate) deletes: Deletes,
    /// Most accounts, of which a further one is refused.
    pub(crate) accounts_max: Option<usize>,
}

impl Operators {
    /// The files in which accounts are kept, if they are.
    pub(crate) fn store(&self) -> Option<Store<'_>> {
        match &self.resolver {
            Resolver::Memory | Resolver::Url(_) => None,
            Resolver::Directory(directory) => Some(Store {
                path: &directory.path,
                deletes: directory.deletes,
                accounts_max: directory.accounts_max,
            }),
            // As in nats-server, what is deleted there is not kept under another name.
            Resolver::Cache(cache) => Some(Store {
                path: &cache.path,
                deletes: Deletes::Remove,
                accounts_max: None,
            }),
        }
    }

    /// How accounts are kept of which others know all, if they are.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        match &self.resolver {
            Resolver::Cache(cache) => Some(cache),
            _ => None,
        }
    }

    /// The address at which accounts are asked for that are not known, if they are.
    pub(crate) fn url(&self) -> Option<&str> {
        match &self.resolver {
            Resolver::Url(url) => Some(url),
            _ => None,
        }
    }

    /// Where accounts are asked for by HTTP that are not known, if they are.
    pub(crate) fn source(&self) -> Option<Source> {
        Some(Source {
            base: self.url()?.to_owned(),
            tls: self.resolver_tls.clone(),
        })
    }

    /// Whether an account that is not known is asked for elsewhere.
    pub(crate) fn ask_elsewhere(&self) -> bool {
        matches!(self.resolver, Resolver::Url(_) | Resolver::Cache(_))
    }
}
