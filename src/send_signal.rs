//! `--signal`: finds a broker that runs, and sends it a signal.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use midge::cli::{self, Signal, SignalRequest, SignalTarget};
use midge::system_words;
use nix::errno::Errno;
use nix::sys::signal::{Signal as Number, kill};
use nix::unistd::{Pid, Uid};

/// Words behind the program's name that make it something else than a broker.
const SUBCOMMANDS: &[&str] = &["bench", "pub", "sub", "req", "top"];

/// Most characters that are shown of a file that holds no process id.
const SHOWN_MAX: usize = 20;

/// Sends what is asked for.
///
/// # Errors
/// No process, several of them, or one that may not be sent signals.
pub(crate) fn send(request: &SignalRequest) -> Result<(), SendError> {
    let signal = number(request.signal);
    match &request.target {
        SignalTarget::Process(text) => kill_one(pid_of(text)?, signal),
        SignalTarget::Only => match *brokers("").as_slice() {
            [] => Err(SendError::None),
            [pid] => kill_one(pid, signal),
            ref several => Err(SendError::Several(several.to_vec())),
        },
        SignalTarget::All(beginning) => match brokers(beginning) {
            pids if pids.is_empty() => Err(SendError::None),
            pids => {
                let sent = pids.into_iter().map(|pid| kill_one(pid, signal));
                // All of them, even if one cannot be reached.
                sent.fold(Ok(()), Result::and)
            }
        },
    }
}

/// Why a signal was not sent.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Neither a process id nor a file with one.
    Pid(String),
    /// A file without a process id; what it holds instead, if that may be shown.
    Content(String, Option<String>),
    /// No process id, nor a file that can be read.
    File(String, io::Error),
    /// No broker runs.
    None,
    /// Several brokers run, and one was meant.
    Several(Vec<i32>),
    /// The system refuses.
    Kill(i32, Errno),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = cli::executable();
        match self {
            SendError::Pid(text) => write!(
                f,
                "invalid pid: {text}; give a process id, or a file that holds one"
            ),
            SendError::Content(path, Some(content)) => write!(
                f,
                "invalid pid: {content}; {path} holds no process id; give a process id, or a file \
                 that holds one"
            ),
            SendError::Content(path, None) => write!(
                f,
                "invalid pid file: {path} holds no process id; give a process id, or a file that \
                 holds one"
            ),
            SendError::File(path, cause) => write!(
                f,
                "invalid pid: {path}; read {path}: {}; give a process id, or a file that holds one",
                system_words(cause)
            ),
            SendError::None => write!(
                f,
                "no {name} processes running; give the process: --signal CMD=PID"
            ),
            SendError::Several(pids) => {
                write!(f, "multiple {name} processes running:")?;
                for pid in pids {
                    write!(f, "\n{pid}")?;
                }
                f.write_str("\nchoose one: --signal CMD=PID, or all of them: --signal CMD=*")
            }
            SendError::Kill(pid, Errno::ESRCH) => {
                write!(
                    f,
                    "no such process: {pid}; it has ended, or the pid file is stale"
                )
            }
            SendError::Kill(pid, Errno::EPERM) => write!(
                f,
                "operation not permitted: {pid} belongs to another user; be that user, or root"
            ),
            SendError::Kill(pid, error) => write!(f, "{}: {pid}", error.desc()),
        }
    }
}

fn number(signal: Signal) -> Number {
    match signal {
        Signal::Stop => Number::SIGKILL,
        Signal::Quit => Number::SIGINT,
        Signal::Term => Number::SIGTERM,
        Signal::Reopen => Number::SIGUSR1,
        Signal::Reload => Number::SIGHUP,
        Signal::LameDuck => Number::SIGUSR2,
    }
}

fn kill_one(pid: i32, signal: Number) -> Result<(), SendError> {
    kill(Pid::from_raw(pid), signal).map_err(|error| SendError::Kill(pid, error))
}

/// Reads a process id, or the file that holds it. Zero and less are groups of processes.
fn pid_of(text: &str) -> Result<i32, SendError> {
    let pid = |text: &str| text.parse().ok().filter(|pid| *pid > 0);
    if let Some(pid) = pid(text) {
        return Ok(pid);
    }
    match fs::read_to_string(text) {
        Ok(content) => {
            let content = content.trim();
            pid(content).ok_or_else(|| SendError::Content(text.to_owned(), shown(content)))
        }
        Err(_) if text.parse::<i64>().is_ok() => Err(SendError::Pid(text.to_owned())),
        Err(cause) => Err(SendError::File(text.to_owned(), cause)),
    }
}

/// What may be shown of a file that holds no process id: a configuration has passwords.
fn shown(content: &str) -> Option<String> {
    let is_short = (1..=SHOWN_MAX).contains(&content.chars().count());
    let is_printable = content.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    (is_short && is_printable).then(|| content.to_owned())
}

/// The brokers that run on this machine under this user's name, or under any for root, whose process
/// id begins with `beginning`.
fn brokers(beginning: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = std::process::id().to_string();
    let mut pids: Vec<i32> = entries
        .filter_map(|entry| {
            let pid = entry.file_name().into_string().ok()?;
            let wanted = pid != own && pid.starts_with(beginning);
            let pid = pid.parse().ok()?;
            (wanted && is_broker(&entry.path())).then_some(pid)
        })
        .collect();
    pids.sort_unstable();
    pids
}

/// Whether a process runs the same program as this one, as a broker.
fn is_broker(process: &Path) -> bool {
    let user = Uid::effective();
    let of_user = fs::metadata(process).is_ok_and(|of| user.is_root() || of.uid() == user.as_raw());
    let (Ok(words), Ok(ours)) = (fs::read(process.join("cmdline")), std::env::current_exe()) else {
        return false;
    };
    let mut words = words.split(|byte| *byte == 0).skip(1);
    let first = words.next().unwrap_or_default();
    let is_command = SUBCOMMANDS.iter().any(|word| word.as_bytes() == first);
    let is_sender = std::iter::once(first).chain(words).any(|word| {
        let flag = word.split(|byte| *byte == b'=').next().unwrap_or_default();
        [&b"-sl"[..], b"--sl", b"-signal", b"--signal"].contains(&flag)
    });
    // A file that was replaced since, by a newer release perhaps, has this behind its name.
    let bare = |path: &Path| {
        let path = path.as_os_str().as_bytes();
        path.strip_suffix(b" (deleted)").unwrap_or(path).to_owned()
    };
    let runs = fs::read_link(process.join("exe"));
    let is_same = runs.is_ok_and(|runs| bare(&runs) == bare(&ours));
    of_user && is_same && !is_command && !is_sender
}
