//! What a run of the command is started with: the broker's settings, what is logged, and where both came from.

use super::Config;
use std::path::PathBuf;

/// Everything that the flags of one command line say, or a file, or both.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the broker runs.
    pub config: Config,
    /// What is logged, and where.
    pub log: LogOptions,
    /// The configuration file. Default: none.
    pub file: Option<PathBuf>,
    /// The files that it was read from, itself and included ones, but for those that say nothing.
    pub filled: Vec<PathBuf>,
    /// The [settings](crate::config::settings) that flags have set, by name, in the order of the flags.
    pub by_flag: Vec<&'static str>,
    /// What flags ask for that has no effect, a line for each.
    pub notices: Vec<String>,
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
    /// Bytes past which the file is renamed and a new one begun (`logfile_size_limit`). Default: 0,
    /// never.
    pub size_limit: u64,
    /// Most log files, the one that is written among them; the oldest go (`logfile_max_num`).
    /// Default: 0, all stay.
    pub files_max: usize,
    /// Whether to log to the system log of this machine, if there is no file. Default: false.
    pub syslog: bool,
    /// Address of a system log to log to, if there is no file: `udp://host:port`, `tcp://host:port` or
    /// `unix:///path`. Default: none.
    pub remote_syslog: Option<String>,
    /// Whether a line bears the time. Default: true.
    pub time: bool,
    /// Whether that time is UTC, and not that of this place. Default: false.
    pub utc: bool,
    /// What a line looks like. Default: text, as nats-server writes it.
    pub format: LogFormat,
}

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// `[7] 2026/11/23 22:46:32.968826 [INF] Server is ready`
    #[default]
    Text,
    /// `{"time":"2026-11-23T22:46:32.968826+01:00","level":"info","pid":7,"msg":"Server is ready"}`, with
    /// further fields where a line tells of a connection: `cid`, `peer`, and at its end `reason`,
    /// `open_seconds`, `in_msgs`, `in_bytes`, `out_msgs`, `out_bytes`, `client`.
    Json,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            debug: false,
            trace: false,
            file: None,
            size_limit: 0,
            files_max: 0,
            syslog: false,
            remote_syslog: None,
            time: true,
            utc: false,
            format: LogFormat::Text,
        }
    }
}
