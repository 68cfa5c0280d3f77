//! `UsageError`: what is wrong with a command line, and what to do about it.

use super::SignalError;
use std::error::Error;
use std::fmt;

/// Why a command line cannot be understood. The operator's fault; nothing has been started.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UsageError {
    /// Three dashes, or no name before the `=`.
    Syntax {
        /// The word as it was given.
        word: String,
    },
    /// No such flag, in nats-server or here.
    Unknown {
        /// The name as it was given, without dashes.
        name: String,
        /// What may have been meant, with its dash.
        nearest: Option<String>,
    },
    /// A flag of nats-server for something that midge does not do.
    Unsupported {
        /// The name as it was given, without dashes.
        name: &'static str,
        /// What the flag is for.
        purpose: &'static str,
    },
    /// The command line ends where a value should be.
    NoValue {
        /// The name as it was given, without dashes.
        name: &'static str,
    },
    /// The value of a switch is neither true nor false.
    NotBoolean {
        /// The name as it was given, without dashes.
        name: &'static str,
        /// The value as it was given.
        value: String,
    },
    /// The value is not a whole number, or not one of those that are allowed.
    BadNumber {
        /// The name as it was given, without dashes.
        name: &'static str,
        /// The value as it was given.
        value: String,
        /// Which of the two it is.
        fault: NumberFault,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The value is not UTF-8. It is not repeated, for it may be a password.
    NotText {
        /// The name as it was given, without dashes.
        name: &'static str,
    },
    /// The value is not one of a few words.
    BadWord {
        /// The name as it was given, without dashes.
        name: &'static str,
        /// The value as it was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// What `-signal` wants cannot be sent.
    Signal(SignalError),
    /// `-pass` without `-user` would let every client in.
    PasswordAlone,
    /// A file for TLS, and no TLS.
    TlsFileAlone {
        /// The name of the flag, without dashes.
        name: &'static str,
    },
    /// Monitoring over HTTP and over HTTPS.
    TwoMonitors,
    /// `-t` without `-c`.
    NothingToTest,
    /// The value is no address.
    BadAddress {
        /// The name as it was given, without dashes.
        name: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// A word that is not a flag.
    Word {
        /// The word as it was given.
        word: String,
    },
}

/// What is wrong with a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NumberFault {
    /// It is no number in Go's syntax.
    Syntax,
    /// It is too large or too small.
    Range,
}

impl fmt::Display for NumberFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NumberFault::Syntax => "parse error",
            NumberFault::Range => "value out of range",
        })
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Syntax { word } => {
                let word = word.escape_debug();
                write!(
                    f,
                    "bad flag syntax: {word}; write a flag as -name or --name"
                )
            }
            UsageError::Unknown { name, nearest } => {
                let name = name.escape_debug();
                write!(f, "flag provided but not defined: -{name}; ")?;
                if let Some(nearest) = nearest {
                    write!(f, "did you mean {nearest}? ")?;
                }
                f.write_str(SEE_HELP)
            }
            UsageError::Unsupported { name, purpose } => {
                write!(
                    f,
                    "flag -{name} ({purpose}) is not supported yet; {SEE_HELP}"
                )
            }
            UsageError::NoValue { name } => {
                write!(f, "flag needs an argument: -{name}; write -{name} VALUE")
            }
            UsageError::NotBoolean { name, value } => write!(
                f,
                "invalid boolean value {value:?} for -{name}: parse error; use true or false"
            ),
            UsageError::BadNumber {
                name,
                value,
                fault,
                allowed,
            } => write!(
                f,
                "invalid value {value:?} for flag -{name}: {fault}; use {allowed}"
            ),
            UsageError::BadWord {
                name,
                value,
                allowed,
            } => write!(
                f,
                "invalid value {value:?} for flag -{name}: parse error; use {allowed}"
            ),
            UsageError::Signal(error) => write!(f, "{error}"),
            UsageError::NotText { name } => {
                write!(
                    f,
                    "invalid value for flag -{name}: not UTF-8; use UTF-8 text"
                )
            }
            UsageError::PasswordAlone => f.write_str(
                "flag -pass needs a user name; add -user NAME, or use -auth TOKEN instead",
            ),
            UsageError::TlsFileAlone { name } => {
                write!(f, "flag -{name} needs TLS, or clients would speak in clear; add -tls")
            }
            UsageError::TwoMonitors => f.write_str(
                "Can't start monitoring: can't specify both HTTP and HTTPs ports; leave one of them out",
            ),
            UsageError::NothingToTest => {
                f.write_str("must specify [-c, --config] option to check configuration file syntax")
            }
            UsageError::BadAddress { name, fault } => {
                write!(f, "invalid value for flag -{name}: {fault}")
            }
            UsageError::Word { word } => {
                write!(f, "unrecognized command: {word:?}; {SEE_HELP}")
            }
        }
    }
}

impl Error for UsageError {}

const SEE_HELP: &str = "midge --help lists all flags";
