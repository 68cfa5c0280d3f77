//! Flags to [`Config`]: pure, and in the syntax that nats-server has from Go's `flag` package.
//!
//! ```text
//! -p 4222   --p 4222   -p=4222   --port=4222      one flag, one or two dashes, every spelling
//! -D   -D=true   -D=false                         a switch takes its value after "=" only
//! --   word                                       end the flags; the words are help and version
//! ```
//!
//! Of a flag that is repeated the last one wins. What cannot be understood is a [`UsageError`]: one
//! line, whose beginning is nats-server's text and whose end says what to do.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{ANNOUNCED_VERSION, Auth, Config, Monitor};

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run a broker.
    Run(Box<Options>),
    /// Print [`USAGE`].
    Help,
    /// Print [`version`].
    Version,
}

/// Everything that the flags of one command line say.
#[derive(Debug)]
pub struct Options {
    /// How the broker runs.
    pub config: Config,
    /// What is logged, and where.
    pub log: LogOptions,
}

/// What is logged, and where. `INF`, `WRN`, `ERR` and `FTL` lines always are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogOptions {
    /// Whether `DBG` lines are logged.
    pub debug: bool,
    /// Whether `TRC` lines are logged: each op as it passes. Does not imply `debug`.
    pub trace: bool,
    /// File to append to. Default: standard error.
    pub file: Option<PathBuf>,
    /// Whether a line bears the time. Default: true.
    pub time: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            debug: false,
            trace: false,
            file: None,
            time: true,
        }
    }
}

/// The text of `--help`.
pub const USAGE: &str = "
Usage: midge [options]

Server Options:
    -a, --addr, --net <host>         Listen on this host name or address (default: 0.0.0.0)
    -p, --port <port>                Listen on this port, -1 for any free one (default: 4222)
    -n, --name, --server_name <name> Name of this server (default: its id)
    -P, --pid <file>                 Write the process id to this file
    -m, --http_port <port>           Serve monitoring over HTTP on this port, -1 for any free one
        --busy_poll <us>             Poll so many microseconds for more before sleeping, while that
                                     pays; 0 sleeps at once (default: 50)

Logging Options:
    -l, --log <file>                 Append the log to this file (default: standard error)
    -T, --logtime                    Time on log lines, none with -T=false (default: true)
    -D, --debug                      Log debug lines
    -V, --trace                      Log each protocol operation
    -DV                              Log both
        --max_traced_msg_len <bytes> Cut traced messages at this length (default: 0, never)

Authorization Options:
        --user <user>                User name that clients must present
        --pass <password>            Password that belongs to the user name
        --auth <token>               Token that clients must present, instead of a user name

Common Options:
    -h, --help                       Print this text
    -v, --version                    Print the version
";

/// The text of `--version`: first the release of nats-server that clients are told, in that
/// server's own words, since scripts read that line; then our own.
pub fn version() -> String {
    format!(
        "nats-server: v{ANNOUNCED_VERSION}\nmidge: v{}\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Reads a command line, without the program's name.
///
/// `-v` counts before `-h`, and either before a word; all of them only if every flag is good.
///
/// ```
/// use midge::cli::{Command, parse};
///
/// let Ok(Command::Run(options)) = parse(["--port=5222", "-D"].map(Into::into)) else { panic!() };
/// assert_eq!((options.config.port, options.log.debug), (5222, true));
/// assert!(parse(["--prot=5222".into()]).is_err());
/// ```
///
/// # Errors
///
/// The first thing that is wrong, from the left.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut args = args.into_iter();
    let mut draft = Draft::default();
    let word = loop {
        let Some(arg) = args.next() else { break None };
        if arg == "--" {
            break args.next();
        }
        let Some((name, value)) = split(&arg)? else {
            break Some(arg);
        };
        draft.set(&name, value, &mut args)?;
    };
    draft.finish(word.as_deref())
}

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
    /// `-pass` without `-user` would let everybody in.
    PasswordAlone,
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
            UsageError::NotText { name } => {
                write!(
                    f,
                    "invalid value for flag -{name}: not UTF-8; use UTF-8 text"
                )
            }
            UsageError::PasswordAlone => f.write_str(
                "flag -pass needs a user name; add -user NAME, or use -auth TOKEN instead",
            ),
            UsageError::Word { word } if boolean(OsStr::new(word)).is_some() => write!(
                f,
                "unrecognized command: {word:?}; write a switch and its value in one word: -D={word}"
            ),
            UsageError::Word { word } => {
                write!(f, "unrecognized command: {word:?}; {SEE_HELP}")
            }
        }
    }
}

impl Error for UsageError {}

const SEE_HELP: &str = "midge --help lists all flags";

const PORTS: &str = "1 to 65535, or -1 for any free port";
const HTTP_PORTS: &str = "1 to 65535, -1 for any free port, or 0 for none";
const MICROSECONDS: &str = "a number of microseconds, 0 to 1000000";
const LENGTHS: &str = "a number of bytes, or 0 for no limit";

#[derive(Clone, Copy)]
enum Flag {
    Host,
    Port,
    Name,
    PidFile,
    HttpPort,
    LogFile,
    LogTime,
    Debug,
    Trace,
    DebugTrace,
    TracedBytes,
    BusyPoll,
    User,
    Password,
    Token,
    Help,
    Version,
}

/// The flags there are, each with all its spellings.
const FLAGS: &[(Flag, &[&str])] = &[
    (Flag::Host, &["a", "addr", "net"]),
    (Flag::Port, &["p", "port"]),
    (Flag::Name, &["n", "name", "server_name"]),
    (Flag::PidFile, &["P", "pid"]),
    (Flag::HttpPort, &["m", "http_port"]),
    (Flag::LogFile, &["l", "log"]),
    (Flag::LogTime, &["T", "logtime"]),
    (Flag::Debug, &["D", "debug"]),
    (Flag::Trace, &["V", "trace"]),
    (Flag::DebugTrace, &["DV"]),
    (Flag::TracedBytes, &["max_traced_msg_len"]),
    (Flag::BusyPoll, &["busy_poll"]),
    (Flag::User, &["user"]),
    (Flag::Password, &["pass"]),
    (Flag::Token, &["auth"]),
    (Flag::Help, &["h", "help"]),
    (Flag::Version, &["v", "version"]),
];

/// The flags of nats-server that are refused, each group with what it is for. To ignore them would
/// be worse: a broker that was told to use TLS must not start without.
const UNSUPPORTED: &[(&str, &[&str])] = &[
    ("configuration file", &["c", "config"]),
    ("check of the configuration file", &["t"]),
    ("address announced to clients", &["client_advertise"]),
    ("ports file", &["ports_file_dir"]),
    ("monitoring over HTTPS", &["ms", "https_port"]),
    ("signal to a running server", &["sl", "signal"]),
    ("log rotation", &["log_size_limit"]),
    ("system log", &["s", "syslog"]),
    ("remote system log", &["r", "remote_syslog"]),
    ("trace of internal clients", &["VV", "DVV"]),
    ("log times in UTC", &["logtime_utc"]),
    (
        "TLS",
        &[
            "tls",
            "tlsverify",
            "tlscert",
            "tlskey",
            "tlscacert",
            "help_tls",
        ],
    ),
    (
        "cluster",
        &[
            "routes",
            "cluster",
            "cluster_listen",
            "cluster_name",
            "cluster_advertise",
            "no_advertise",
            "connect_retries",
        ],
    ),
    ("profiling", &["profile"]),
    ("JetStream", &["js", "jetstream", "sd", "store_dir"]),
];

/// The flags read so far. An empty text is the same as a flag not given, as in nats-server.
#[derive(Default)]
struct Draft {
    config: Config,
    log: LogOptions,
    debug_trace: bool,
    user: String,
    password: String,
    token: String,
    help: bool,
    version: bool,
}

impl Draft {
    /// Takes in one flag; the value of one that needs it is taken from `args` unless an `=` brought
    /// it.
    fn set(
        &mut self,
        name: &str,
        value: Option<OsString>,
        args: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), UsageError> {
        let (flag, name) = lookup(name)?;
        let mut given = Given { name, value, args };
        match flag {
            Flag::Host => {
                self.config.host = match given.text()? {
                    host if host.is_empty() => Config::default().host,
                    host => host,
                }
            }
            Flag::Port => self.config.port = given.port()?,
            Flag::Name => self.config.server_name = Some(given.text()?).filter(|n| !n.is_empty()),
            Flag::PidFile => self.config.pid_file = given.file()?,
            Flag::HttpPort => self.config.monitor = given.http_port()?,
            Flag::LogFile => self.log.file = given.file()?,
            Flag::LogTime => self.log.time = given.switch()?,
            Flag::Debug => self.log.debug = given.switch()?,
            Flag::Trace => self.log.trace = given.switch()?,
            Flag::DebugTrace => self.debug_trace = given.switch()?,
            Flag::TracedBytes => self.config.traced_bytes_max = given.length()?,
            Flag::BusyPoll => self.config.busy_poll = given.microseconds()?,
            Flag::User => self.user = given.text()?,
            Flag::Password => self.password = given.text()?,
            Flag::Token => self.token = given.text()?,
            Flag::Help => self.help = given.switch()?,
            Flag::Version => self.version = given.switch()?,
        }
        Ok(())
    }

    /// Puts together what several flags decide. `word` is the first that is not a flag; those
    /// behind it are not looked at.
    fn finish(mut self, word: Option<&OsStr>) -> Result<Command, UsageError> {
        if self.version {
            return Ok(Command::Version);
        }
        if self.help {
            return Ok(Command::Help);
        }
        match word {
            Some(word) if word.eq_ignore_ascii_case("version") => return Ok(Command::Version),
            Some(word) if word.eq_ignore_ascii_case("help") => return Ok(Command::Help),
            Some(word) => {
                return Err(UsageError::Word {
                    word: word.to_string_lossy().into_owned(),
                });
            }
            None => {}
        }
        // `-DV` is a flag of its own: `-D=false` beside it takes nothing back.
        self.log.debug |= self.debug_trace;
        self.log.trace |= self.debug_trace;
        self.config.auth = if !self.token.is_empty() {
            Auth::Token(self.token)
        } else if !self.user.is_empty() {
            Auth::User {
                user: self.user,
                pass: self.password,
            }
        } else if !self.password.is_empty() {
            return Err(UsageError::PasswordAlone);
        } else {
            Auth::None
        };
        Ok(Command::Run(Box::new(Options {
            config: self.config,
            log: self.log,
        })))
    }
}

/// One known flag where it stands on the command line.
struct Given<'a, A> {
    name: &'static str,
    /// What stood behind an `=`.
    value: Option<OsString>,
    /// The words that follow.
    args: &'a mut A,
}

impl<A: Iterator<Item = OsString>> Given<'_, A> {
    fn switch(&mut self) -> Result<bool, UsageError> {
        let Some(value) = self.value.take() else {
            return Ok(true);
        };
        boolean(&value).ok_or_else(|| UsageError::NotBoolean {
            name: self.name,
            value: value.to_string_lossy().into_owned(),
        })
    }

    /// The value, even if it looks like a flag: `-p -1`.
    fn value(&mut self) -> Result<OsString, UsageError> {
        let value = self.value.take().or_else(|| self.args.next());
        value.ok_or(UsageError::NoValue { name: self.name })
    }

    fn text(&mut self) -> Result<String, UsageError> {
        let name = self.name;
        let text = self.value()?.into_string();
        text.map_err(|_| UsageError::NotText { name })
    }

    fn file(&mut self) -> Result<Option<PathBuf>, UsageError> {
        let file = self.value()?;
        Ok((!file.is_empty()).then(|| file.into()))
    }

    /// In nats-server -1 is any free port, which sockets spell 0, and 0 is the default.
    fn port(&mut self) -> Result<u16, UsageError> {
        self.number(PORTS, |number| match number {
            -1 => Some(0),
            0 => Some(Config::default().port),
            _ => u16::try_from(number).ok(),
        })
    }

    /// As a port, but 0 is none.
    fn http_port(&mut self) -> Result<Option<Monitor>, UsageError> {
        let monitor = |port| Monitor {
            port,
            ..Monitor::default()
        };
        self.number(HTTP_PORTS, |number| match number {
            -1 => Some(Some(monitor(0))),
            0 => Some(None),
            _ => u16::try_from(number).ok().map(|port| Some(monitor(port))),
        })
    }

    /// Nothing below zero is a limit either.
    fn length(&mut self) -> Result<usize, UsageError> {
        self.number(LENGTHS, |number| usize::try_from(number.max(0)).ok())
    }

    fn microseconds(&mut self) -> Result<Duration, UsageError> {
        let convert = |number: i64| {
            let number = u64::try_from(number).ok()?;
            (number <= 1_000_000).then(|| Duration::from_micros(number))
        };
        self.number(MICROSECONDS, convert)
    }

    fn number<T>(
        &mut self,
        allowed: &'static str,
        convert: impl Fn(i64) -> Option<T>,
    ) -> Result<T, UsageError> {
        let value = self.value()?.to_string_lossy().into_owned();
        let number = integer(&value);
        number
            .and_then(|number| convert(number).ok_or(NumberFault::Range))
            .map_err(|fault| UsageError::BadNumber {
                name: self.name,
                value,
                fault,
                allowed,
            })
    }
}

/// Splits `--name=value`; `None` is a word that is not a flag, and a single dash is one.
fn split(arg: &OsStr) -> Result<Option<(String, Option<OsString>)>, UsageError> {
    let Some(rest) = arg.as_bytes().strip_prefix(b"-") else {
        return Ok(None);
    };
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let (name, value) = match rest.iter().position(|&byte| byte == b'=') {
        Some(at) => (&rest[..at], Some(OsStr::from_bytes(&rest[at + 1..]))),
        None => (rest, None),
    };
    match name.first() {
        None if value.is_none() => Ok(None),
        None | Some(b'-') => Err(UsageError::Syntax {
            word: arg.to_string_lossy().into_owned(),
        }),
        Some(_) => {
            let name = String::from_utf8_lossy(name).into_owned();
            Ok(Some((name, value.map(OsStr::to_owned))))
        }
    }
}

/// Finds a flag by any of its spellings.
fn lookup(name: &str) -> Result<(Flag, &'static str), UsageError> {
    for &(flag, names) in FLAGS {
        if let Some(name) = names.iter().find(|known| **known == name) {
            return Ok((flag, name));
        }
    }
    for &(purpose, names) in UNSUPPORTED {
        if let Some(name) = names.iter().find(|known| **known == name) {
            return Err(UsageError::Unsupported { name, purpose });
        }
    }
    Err(UsageError::Unknown {
        name: name.to_owned(),
        nearest: nearest(name),
    })
}

/// What may have been meant by an unknown flag: another case, a missing blank, a word begun or
/// carried on, or a slip of the finger. Names of one or two letters are near to everything, so
/// only the first two count for them.
fn nearest(name: &str) -> Option<String> {
    if let Some(port) = name.strip_prefix('p')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(format!("-p {port}"));
    }
    let known = || FLAGS.iter().flat_map(|(_, names)| *names);
    let slips_max = if name.chars().count() < 5 { 1 } else { 2 };
    let long = |known: &&&str| known.len() > 2 && name.len() > 2;
    known()
        .find(|known| known.eq_ignore_ascii_case(name))
        .or_else(|| {
            known()
                .filter(long)
                .map(|known| (slips(known, name), known))
                .filter(|(slips, _)| *slips <= slips_max)
                .min_by_key(|(slips, _)| *slips)
                .map(|(_, known)| known)
        })
        .or_else(|| {
            let begun = |known: &&&str| known.starts_with(name) || name.starts_with(**known);
            known().filter(long).find(begun)
        })
        .map(|known| format!("-{known}"))
}

/// Letters to insert, leave out, replace or swap with their neighbour to make `b` of `a`.
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // `cost[i][j]` is that of the first `i` letters of `a` and the first `j` of `b`.
    let mut cost = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            cost[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replace = cost[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped {
                    cost[i - 2][j - 2] + 1
                } else {
                    usize::MAX
                };
                let shift = cost[i - 1][j].min(cost[i][j - 1]) + 1;
                replace.min(swap).min(shift)
            };
        }
    }
    cost[a.len()][b.len()]
}

/// A truth value in any of Go's spellings.
fn boolean(value: &OsStr) -> Option<bool> {
    match value.as_bytes() {
        b"1" | b"t" | b"T" | b"true" | b"True" | b"TRUE" => Some(true),
        b"0" | b"f" | b"F" | b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number in Go's syntax.
///
/// Shape: a sign or none, then `0x`, `0o` or `0`, `0b` or nothing for base 16, 8, 2 or 10, then
/// digits; one underscore may stand between two digits, or between the prefix and a digit.
fn integer(text: &str) -> Result<i64, NumberFault> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', digits @ ..] if !digits.is_empty() => (16, digits),
        [b'0', b'o' | b'O', digits @ ..] if !digits.is_empty() => (8, digits),
        [b'0', b'b' | b'B', digits @ ..] if !digits.is_empty() => (2, digits),
        [b'0', digits @ ..] => (8, digits),
        digits => (10, digits),
    };
    let mut number: i128 = 0;
    let mut after_digit = radix != 10;
    for &byte in digits {
        if byte == b'_' && after_digit {
            after_digit = false;
            continue;
        }
        let digit = char::from(byte).to_digit(radix);
        number = number * i128::from(radix) + i128::from(digit.ok_or(NumberFault::Syntax)?);
        if number > i128::from(u64::MAX) {
            return Err(NumberFault::Range);
        }
        after_digit = true;
    }
    if !after_digit {
        return Err(NumberFault::Syntax);
    }
    i64::try_from(sign * number).map_err(|_| NumberFault::Range)
}

#[cfg(test)]
mod tests;
