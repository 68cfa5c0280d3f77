//! Flags to [`Config`]: pure, and in the syntax that nats-server has from Go's `flag` package.
//!
//! ```text
//! -p 4222   --p 4222   -p=4222   --port=4222      one flag, one or two dashes, every spelling
//! -D   -D=true   -D=false   -D false              a switch, on unless it is told otherwise
//! --   word                                       end the flags; the words are help and version
//! ```
//!
//! `-c FILE` names a configuration file. [`parse`] does not read it. [`load`] does, and puts the flags over
//! it; [`reload`] compares the two with what the broker runs with, and [`explain()`] prints them.
//!
//! Of a flag that is repeated the last one wins. What cannot be understood is a [`UsageError`]: one
//! line, whose beginning is nats-server's text and whose end says what to do.

use std::ffi::{OsStr, OsString};
use std::iter::Peekable;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

pub use crate::config::{LogFormat, LogOptions, Options};
use crate::{ANNOUNCED_VERSION, Advertise, Auth, Config, Monitor};
#[cfg(feature = "tls")]
pub use digest::digest;
pub use error::{NumberFault, UsageError};
pub use explain::explain;
pub use load::{Loaded, load};
pub use reload::{Change, Reloaded, changes, reload};
pub use signal::{Signal, SignalError, SignalRequest, SignalTarget};
use tls::TlsFlags;
pub use tls::tls_help;
use value::Given;

#[cfg(feature = "tls")]
mod digest;
mod error;
mod explain;
mod load;
mod reload;
mod signal;
mod tls;
mod value;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run a broker. With a [`file`](Options::file) these are only the flags, over the defaults.
    Run(Box<Options>),
    /// Tell whether the configuration file is right, and run nothing.
    Test(Box<Options>),
    /// Print [`USAGE`].
    Help,
    /// Print [`tls_help`].
    TlsHelp,
    /// Print [`version`].
    Version,
    /// Send a signal to a broker that runs.
    Signal(SignalRequest),
}

/// The text of `--help`.
pub const USAGE: &str = "
Usage: midge [options]

A flag takes one dash or two; its value is the next word, or stands behind an equals sign.

Server Options:
    -c, --config <file>              Read this configuration file; flags override it
    -t                               Test the configuration file, and exit
    -a, --addr, --net <host>         Listen on this address, or on each address of this host name;
                                     0.0.0.0 and :: are all of IPv4 and IPv6 (default: 0.0.0.0)
    -p, --port <port>                Listen on this port, -1 for any free one (default: 4222)
    -n, --name, --server_name <name> Name of the server (default: its id)
        --cluster_name <name>        Cluster name told to clients; it has no other effect
        --client_advertise <address> host:port told to clients, in place of the address listened on
    -P, --pid <file>                 Write the process id to this file
        --ports_file_dir <dir>       Write the addresses listened on, as JSON, to midge_PID.ports in
                                     this directory
    -m, --http_port <port>           Serve monitoring over HTTP on this port, -1 for any free one
    -ms, --https_port <port>         Serve monitoring over HTTPS on this port, with the certificate
                                     for clients
        --busy_poll <us>             Microseconds, or a time such as 50us, to poll for input before
                                     sleeping, while that shortens waits; while answers come at
                                     once, this keeps a core busy; 0 sleeps at once (default: 50)
        --lame_duck_duration <time>  Time until the last client is closed in lame duck mode
                                     (default: 2m)
    --lame_duck_grace_period <time>  Time before the first client is closed (default: 10s)
    -sl, --signal <cmd>[=<pid>]      Send a signal to a running broker, and exit; cmd is stop, quit,
                                     term, reopen, reload or ldm; pid is a process id, a pid file,
                                     12* for all that begin so, or * for all (default: the only one)

Logging Options:
    -l, --log <file>                 Append the log to this file (default: standard error)
        --log_size_limit <bytes>     Begin a new log file past this size (default: 0, never)
        --log_max_num <count>        Number of log files kept, the current one included
                                     (default: 0, all)
    -s, --syslog                     Log to the system log of this machine
    -r, --remote_syslog <url>        Log to the system log at udp://host:port or tcp://host:port
        --log_format <format>        Format of log lines, text or json (default: text)
    -T, --logtime                    Time on log lines, none with -T=false (default: true)
        --logtime_utc                Time on log lines in UTC instead of local time
    -D, --debug                      Log debug lines
    -V, --trace                      Log each protocol operation
    -VV                              Log each protocol operation, as -V
    -DV, -DVV                        Log debug lines and each protocol operation
        --max_traced_msg_len <bytes> Length at which traced messages are cut (default: 0, never)

Authorization Options:
        --user <user>                User name required of clients
        --pass <password>            Password of that user
        --auth <token>               Token required of clients, instead of a user name

TLS Options:
        --tls                        Require TLS of clients
        --tlscert <file>             Certificate of the server, in PEM
        --tlskey <file>              Private key of that certificate, in PEM
        --tlsverify                  Require TLS, and a certificate of each client
        --tlscacert <file>           Authorities that vouch for clients, in PEM
        --help_tls                   Print what there is to know about TLS

Common Options:
    -h, --help                       Print this help
    -v, --version                    Print the version; the first line is that of nats-server
";

/// The text of `--version`: first the release of nats-server that clients are told, in that
/// server's own words, since scripts read that line; then our own.
pub fn version() -> String {
    format!(
        "nats-server: v{ANNOUNCED_VERSION}\nmidge: v{}\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The name this program was called by, without its directory: of messages, and of the ports file.
pub fn executable() -> String {
    crate::config::program()
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
    parse_over(Options::default(), args)
}

/// As [`parse`], over what a file says: `base`, with its [`file`](Options::file).
///
/// # Errors
///
/// The first thing that is wrong, from the left.
pub fn parse_over(
    base: Options,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Command, UsageError> {
    let mut args = args.into_iter().peekable();
    let mut draft = Draft::over(base);
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

#[derive(Clone, Copy)]
enum Flag {
    ConfigFile,
    Test,
    ClientAdvertise,
    Host,
    Port,
    Name,
    PidFile,
    PortsFileDir,
    LameDuckDuration,
    LameDuckGracePeriod,
    Signal,
    HttpPort,
    HttpsPort,
    LogFile,
    LogSizeLimit,
    LogMaxNum,
    Syslog,
    RemoteSyslog,
    LogFormat,
    LogTime,
    LogTimeUtc,
    Debug,
    Trace,
    DebugTrace,
    TracedBytes,
    BusyPoll,
    User,
    Password,
    Token,
    ClusterName,
    Tls,
    TlsVerify,
    TlsCert,
    TlsKey,
    TlsCa,
    TlsHelp,
    Routes,
    IgnoredSwitch,
    IgnoredText,
    Help,
    Version,
}

impl Flag {
    /// The settings that it sets.
    fn sets(self) -> &'static [&'static str] {
        match self {
            Flag::Host => &["host"],
            Flag::Port => &["port"],
            Flag::Name => &["server_name"],
            Flag::ClientAdvertise => &["client_advertise"],
            Flag::ClusterName => &["cluster_name"],
            Flag::PidFile => &["pid_file"],
            Flag::PortsFileDir => &["ports_file_dir"],
            Flag::HttpPort => &["http_port"],
            Flag::HttpsPort => &["https_port"],
            Flag::LameDuckDuration => &["lame_duck_duration"],
            Flag::LameDuckGracePeriod => &["lame_duck_grace_period"],
            Flag::LogSizeLimit => &["logfile_size_limit"],
            Flag::LogMaxNum => &["logfile_max_num"],
            Flag::Syslog => &["syslog"],
            Flag::RemoteSyslog => &["remote_syslog"],
            Flag::LogFormat => &["log_format"],
            Flag::LogTimeUtc => &["logtime_utc"],
            Flag::LogFile => &["log_file"],
            Flag::LogTime => &["logtime"],
            Flag::Debug => &["debug"],
            Flag::Trace => &["trace"],
            Flag::DebugTrace => &["debug", "trace"],
            Flag::TracedBytes => &["max_traced_msg_len"],
            Flag::BusyPoll => &["busy_poll"],
            Flag::User | Flag::Password | Flag::Token => &["authorization"],
            Flag::Tls | Flag::TlsVerify | Flag::TlsCert | Flag::TlsKey | Flag::TlsCa => &["tls"],
            Flag::ConfigFile
            | Flag::Signal
            | Flag::Test
            | Flag::TlsHelp
            | Flag::Routes
            | Flag::IgnoredSwitch
            | Flag::IgnoredText
            | Flag::Help
            | Flag::Version => &[],
        }
    }
}

/// The flags there are, each with all its spellings.
const FLAGS: &[(Flag, &[&str])] = &[
    (Flag::ConfigFile, &["c", "config"]),
    (Flag::Test, &["t"]),
    (Flag::ClientAdvertise, &["client_advertise"]),
    (Flag::Host, &["a", "addr", "net"]),
    (Flag::Port, &["p", "port"]),
    (Flag::Name, &["n", "name", "server_name"]),
    (Flag::PidFile, &["P", "pid"]),
    (Flag::PortsFileDir, &["ports_file_dir"]),
    (Flag::LameDuckDuration, &["lame_duck_duration"]),
    (Flag::LameDuckGracePeriod, &["lame_duck_grace_period"]),
    (Flag::Signal, &["sl", "signal"]),
    (Flag::HttpPort, &["m", "http_port"]),
    (Flag::HttpsPort, &["ms", "https_port"]),
    (Flag::LogFile, &["l", "log"]),
    (Flag::LogSizeLimit, &["log_size_limit"]),
    (Flag::LogMaxNum, &["log_max_num"]),
    (Flag::Syslog, &["s", "syslog"]),
    (Flag::RemoteSyslog, &["r", "remote_syslog"]),
    (Flag::LogFormat, &["log_format"]),
    (Flag::LogTime, &["T", "logtime"]),
    (Flag::LogTimeUtc, &["logtime_utc"]),
    (Flag::Debug, &["D", "debug"]),
    (Flag::Trace, &["V", "trace", "VV"]),
    (Flag::DebugTrace, &["DV", "DVV"]),
    (Flag::TracedBytes, &["max_traced_msg_len"]),
    (Flag::BusyPoll, &["busy_poll"]),
    (Flag::User, &["user"]),
    (Flag::Password, &["pass"]),
    (Flag::Token, &["auth"]),
    (Flag::Tls, &["tls"]),
    (Flag::TlsVerify, &["tlsverify"]),
    (Flag::TlsCert, &["tlscert"]),
    (Flag::TlsKey, &["tlskey"]),
    (Flag::TlsCa, &["tlscacert"]),
    (Flag::TlsHelp, &["help_tls"]),
    (Flag::Routes, &["routes"]),
    (Flag::ClusterName, &["cluster_name"]),
    (Flag::IgnoredSwitch, &["js", "jetstream", "no_advertise"]),
    (
        Flag::IgnoredText,
        &[
            "sd",
            "store_dir",
            "profile",
            "cluster",
            "cluster_listen",
            "cluster_advertise",
            "connect_retries",
        ],
    ),
    (Flag::Help, &["h", "help"]),
    (Flag::Version, &["v", "version"]),
];

/// Why a flag that is accepted has no effect, by all its spellings.
const IGNORED: &[(&str, &[&str])] = &[
    (
        "JetStream is not supported: nothing is stored",
        &["js", "jetstream", "sd", "store_dir"],
    ),
    ("midge has no profiler", &["profile"]),
    (
        "this server runs alone and does not listen for routes; only the name of a cluster is used",
        &[
            "cluster",
            "cluster_listen",
            "cluster_advertise",
            "no_advertise",
            "connect_retries",
        ],
    ),
];

/// The flags read so far. An empty text is the same as a flag not given, as in nats-server.
#[derive(Default)]
struct Draft {
    /// What counts where a flag has an empty text: the file, or the defaults.
    base: Options,
    config: Config,
    log: LogOptions,
    file: Option<PathBuf>,
    filled: Vec<PathBuf>,
    by_flag: Vec<&'static str>,
    notices: Vec<String>,
    /// Whether `config` and `log` are those of the file.
    over_file: bool,
    test: bool,
    debug_trace: bool,
    user: String,
    password: String,
    token: String,
    signal: String,
    tls: TlsFlags,
    help: bool,
    version: bool,
}

impl Draft {
    fn over(base: Options) -> Draft {
        Draft {
            over_file: base.file.is_some(),
            config: base.config.clone(),
            log: base.log.clone(),
            file: base.file.clone(),
            filled: base.filled.clone(),
            base,
            ..Draft::default()
        }
    }

    /// Takes in one flag; the value of one that needs it is taken from `args` unless an `=` brought
    /// it.
    fn set(
        &mut self,
        name: &str,
        value: Option<OsString>,
        args: &mut Peekable<impl Iterator<Item = OsString>>,
    ) -> Result<(), UsageError> {
        let (flag, name) = lookup(name)?;
        let is_empty = false;
        let mut given = Given {
            name,
            value,
            args,
            is_empty,
        };
        match flag {
            Flag::ConfigFile => self.file = given.file()?.or(self.base.file.clone()),
            Flag::Test => self.test = given.switch()?,
            Flag::ClientAdvertise => {
                let fault = |fault| UsageError::BadAddress { name, fault };
                let advertise = Advertise::parse(&given.text()?).map_err(fault)?;
                self.config.advertise = advertise.or(self.base.config.advertise.clone());
            }
            Flag::Host => {
                let host = given.some_text()?;
                self.config.host = host.unwrap_or_else(|| self.base.config.host.clone());
            }
            Flag::Port => self.config.port = given.port()?,
            Flag::Name => {
                self.config.server_name =
                    given.some_text()?.or(self.base.config.server_name.clone());
            }
            Flag::ClusterName => {
                self.config.cluster_name =
                    given.some_text()?.or(self.base.config.cluster_name.clone());
            }
            Flag::PidFile => {
                self.config.pid_file = given.file()?.or(self.base.config.pid_file.clone());
            }
            Flag::PortsFileDir => {
                self.config.ports_file_dir =
                    given.file()?.or(self.base.config.ports_file_dir.clone());
            }
            Flag::LameDuckDuration => self.config.lame_duck_duration = given.duration()?,
            Flag::LameDuckGracePeriod => self.config.lame_duck_grace_period = given.duration()?,
            Flag::Signal => self.signal = given.text()?,
            Flag::HttpPort => {
                let port = given.http_port()?;
                self.monitor_on(port, false)?;
            }
            Flag::HttpsPort => {
                let port = given.http_port()?;
                self.monitor_on(port, true)?;
            }
            Flag::LogFile => self.log.file = given.file()?.or(self.base.log.file.clone()),
            Flag::LogSizeLimit => self.log.size_limit = given.length()? as u64,
            Flag::LogMaxNum => self.log.files_max = given.count()?,
            Flag::Syslog => self.log.syslog = given.switch()?,
            Flag::RemoteSyslog => {
                self.log.remote_syslog = given.some_text()?.or(self.base.log.remote_syslog.clone());
            }
            Flag::LogFormat => {
                self.log.format = given.log_format()?.unwrap_or(self.base.log.format);
            }
            Flag::LogTime => self.log.time = given.switch()?,
            Flag::LogTimeUtc => self.log.utc = given.switch()?,
            Flag::Debug => self.log.debug = given.switch()?,
            Flag::Trace => self.log.trace = given.switch()?,
            Flag::DebugTrace => self.debug_trace = given.switch()?,
            Flag::TracedBytes => self.config.traced_bytes_max = given.length()?,
            Flag::BusyPoll => self.config.busy_poll = given.microseconds()?,
            Flag::User => self.user = given.text()?,
            Flag::Password => self.password = given.text()?,
            Flag::Token => self.token = given.text()?,
            Flag::Tls => self.tls.on = Some(given.switch()?),
            Flag::TlsVerify => self.tls.verify = Some(given.switch()?),
            Flag::TlsCert => self.tls.cert = given.file()?,
            Flag::TlsKey => self.tls.key = given.file()?,
            Flag::TlsCa => self.tls.ca = given.file()?,
            Flag::TlsHelp => self.tls.help = given.switch()?,
            // An empty text turns them off, as in nats-server.
            Flag::Routes => {
                if !given.text()?.is_empty() {
                    let purpose = "cluster";
                    return Err(UsageError::Unsupported { name, purpose });
                }
            }
            Flag::IgnoredSwitch => {
                if given.switch()? {
                    self.ignore(name);
                }
            }
            Flag::IgnoredText => {
                if !matches!(given.text()?.as_str(), "" | "0") {
                    self.ignore(name);
                }
            }
            Flag::Help => self.help = given.switch()?,
            Flag::Version => self.version = given.switch()?,
        }
        match given.is_empty {
            // Another flag may have said something of them.
            true if flag.sets() == ["authorization"] => {}
            true => self.by_flag.retain(|name| !flag.sets().contains(name)),
            false => self.by_flag.extend(flag.sets()),
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
        if self.tls.help {
            return Ok(Command::TlsHelp);
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
        if !self.signal.is_empty() {
            let request = SignalRequest::parse(&self.signal).map_err(UsageError::Signal)?;
            return Ok(Command::Signal(request));
        }
        // `-DV` is a flag of its own: `-D=false` beside it takes nothing back.
        self.log.debug |= self.debug_trace;
        self.log.trace |= self.debug_trace;
        if self.test && self.file.is_none() {
            return Err(UsageError::NothingToTest);
        }
        // With a file that is still to be read, the user may be in there, and so may TLS.
        if self.file.is_none() || self.over_file {
            self.credentials()?;
            self.tls.put_over(&mut self.config.tls)?;
        }
        let options = Box::new(Options {
            config: self.config,
            log: self.log,
            file: self.file,
            filled: self.filled,
            by_flag: self.by_flag,
            notices: self.notices,
        });
        Ok(match self.test {
            true => Command::Test(options),
            false => Command::Run(options),
        })
    }

    /// Puts the credentials of the flags over those there are.
    ///
    /// As in nats-server, a token counts before a user, and a list of users before both, but a token
    /// may stand beside it.
    fn credentials(&mut self) -> Result<(), UsageError> {
        let wants_user = !self.user.is_empty() || !self.password.is_empty();
        let mut ignored = false;
        match &mut self.config.auth {
            Auth::Users { token, .. } => {
                if !self.token.is_empty() {
                    *token = Some(std::mem::take(&mut self.token).into());
                }
                ignored = wants_user;
            }
            Auth::Token(token) if self.token.is_empty() => {
                ignored = wants_user && !token.is_empty();
            }
            Auth::User { user, pass } if self.token.is_empty() => {
                if !self.user.is_empty() {
                    *user = std::mem::take(&mut self.user);
                }
                if !self.password.is_empty() {
                    *pass = std::mem::take(&mut self.password).into();
                }
            }
            Auth::Operators(_) => {
                if wants_user || !self.token.is_empty() {
                    let text = "flags -user, -pass and -auth have no effect: the configuration file names an \
                                operator, so each client presents a JWT";
                    self.notices.push(text.to_owned());
                }
            }
            auth => {
                *auth = if !self.token.is_empty() {
                    Auth::Token(std::mem::take(&mut self.token).into())
                } else if !self.user.is_empty() {
                    Auth::User {
                        user: std::mem::take(&mut self.user),
                        pass: std::mem::take(&mut self.password).into(),
                    }
                } else if !self.password.is_empty() {
                    return Err(UsageError::PasswordAlone);
                } else {
                    Auth::None
                }
            }
        }
        if ignored {
            let text = "flags -user and -pass have no effect: the configuration file has a token, or a \
                        list of users, which counts before them";
            self.notices.push(text.to_owned());
        }
        Ok(())
    }

    /// Monitoring on this port, if it is one. Host and path are those of the file, whether or not it has a port.
    fn monitor_on(&mut self, port: Option<u16>, tls: bool) -> Result<(), UsageError> {
        let former = self.config.monitor.take();
        let other = former.as_ref().filter(|former| former.tls != tls);
        if let (Some(_), Some(_)) = (port, other) {
            return Err(UsageError::TwoMonitors);
        }
        let former = former.unwrap_or_default();
        self.config.monitor = port.map(|port| Monitor {
            port,
            tls,
            ..former
        });
        Ok(())
    }

    /// Notes a flag that has no effect.
    fn ignore(&mut self, name: &str) {
        let why = IGNORED.iter().find(|(_, names)| names.contains(&name));
        let why = why.map_or("", |(why, _)| why);
        self.notices
            .push(format!("flag -{name} has no effect: {why}"));
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
    Err(UsageError::Unknown {
        name: name.to_owned(),
        nearest: nearest(name),
    })
}

/// What may have been meant by an unknown flag; a missing blank behind `-p` among others.
fn nearest(name: &str) -> Option<String> {
    if let Some(port) = name.strip_prefix('p')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(format!("-p {port}"));
    }
    let known = FLAGS.iter().flat_map(|(_, names)| names.iter().copied());
    crate::config::options::nearest::nearest(name, known).map(|known| format!("-{known}"))
}

#[cfg(test)]
mod tests;
