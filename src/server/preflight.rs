//! What must hold before a broker can start, and what is said when it does not.

use crate::config::{self, Auth, Config};
use crate::state::State;
use crate::state::open_files::Room;
use jiff::Timestamp;
use midge_protocol::Info;
use midge_reactor::QUEUE_BYTES_MAX;
use midge_text::system_words;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Largest payload without a warning, as in nats-server.
const PAYLOAD_BYTES_WISE: usize = 8 * 1024 * 1024;

/// Why a broker could not start. Prints as a line that says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A setting makes no sense, or two contradict each other.
    Config(String),
    /// The client port cannot be listened on.
    Listen {
        /// Host and port, as configured.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The port for monitoring cannot be listened on.
    Monitor {
        /// Host and port, as configured.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The port for clients that come by WebSocket cannot be listened on.
    WebSocket {
        /// Host and port, as configured.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A further place for clients cannot be listened on.
    Listener {
        /// What it is called.
        name: String,
        /// Host and port, as configured.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A Unix socket for clients cannot be listened on.
    UnixSocket {
        /// Where it was to stand.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file for the process id cannot be written.
    PidFile {
        /// Its name.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file for the process id is open, and takes nothing.
    PidFileWrite {
        /// Its name.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The process may not open enough files for a single client.
    OpenFiles {
        /// How many it may open.
        limit: u64,
    },
    /// The selector or the thread cannot be made.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(text) => f.write_str(text),
            StartError::Listen { address, cause } => {
                let (said, advice) = not_listening(cause);
                write!(
                    f,
                    "Error listening on port: {address}, \"listen tcp {address}: {said}\"; {advice}"
                )
            }
            StartError::Monitor { address, cause } => {
                let (said, advice) = not_listening(cause);
                write!(
                    f,
                    "Can't start monitoring: can't listen to the monitor port: \
                     listen tcp {address}: {said}; {advice}"
                )
            }
            StartError::WebSocket { address, cause } => {
                let (said, advice) = not_listening(cause);
                write!(
                    f,
                    "Unable to listen for websocket connections: listen tcp {address}: {said}; {advice}"
                )
            }
            StartError::Listener {
                name,
                address,
                cause,
            } => {
                let (said, advice) = not_listening(cause);
                write!(
                    f,
                    "Error listening for listener {name:?}: listen tcp {address}: {said}; {advice}"
                )
            }
            StartError::UnixSocket { path, cause } => {
                let (path, (said, advice)) = (path.display(), not_listening_at_path(cause));
                write!(
                    f,
                    "Error listening on Unix socket: listen unix {path}: {said}; {advice}"
                )
            }
            StartError::PidFile { path, cause } => {
                let (path, said) = (path.display(), system_words(cause));
                write!(
                    f,
                    "Could not write pidfile: open {path}: {said}; choose another file"
                )
            }
            StartError::PidFileWrite { path, cause } => {
                let (path, said) = (path.display(), system_words(cause));
                write!(
                    f,
                    "Could not write pidfile: write {path}: {said}; choose another file"
                )
            }
            StartError::OpenFiles { limit } => write!(
                f,
                "The limit of {limit} open files leaves none for clients; \
                 raise the limit (ulimit -n 1024 or more)"
            ),
            StartError::System(cause) => write!(
                f,
                "Error starting: {}; if open files ran out, raise the limit (ulimit -n 1024 or more)",
                system_words(cause)
            ),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Config(_) | StartError::OpenFiles { .. } => None,
            StartError::Listen { cause, .. }
            | StartError::Monitor { cause, .. }
            | StartError::WebSocket { cause, .. }
            | StartError::Listener { cause, .. }
            | StartError::UnixSocket { cause, .. }
            | StartError::PidFile { cause, .. }
            | StartError::PidFileWrite { cause, .. }
            | StartError::System(cause) => Some(cause),
        }
    }
}

/// What the system says when a port cannot be listened on, as nats-server has it, and what to do.
fn not_listening(cause: &io::Error) -> (String, &'static str) {
    let (said, advice) = match cause.kind() {
        io::ErrorKind::AddrInUse => (
            "bind: address already in use",
            "stop the program that listens there, or choose another port",
        ),
        io::ErrorKind::AddrNotAvailable => (
            "bind: cannot assign requested address",
            "choose an address of this machine",
        ),
        io::ErrorKind::PermissionDenied => {
            ("bind: permission denied", "choose a port from 1024 up")
        }
        _ => {
            let advice = "choose another host, by name or address and without a port";
            return (words_of(cause), advice);
        }
    };
    (said.to_owned(), advice)
}

/// Likewise of a Unix socket.
fn not_listening_at_path(cause: &io::Error) -> (String, &'static str) {
    match cause.kind() {
        io::ErrorKind::AddrInUse => (
            "bind: address already in use".to_owned(),
            "stop the program that listens there, or choose another path; a file that is no socket, or that \
             another program listens on, is never removed",
        ),
        _ => (
            words_of(cause),
            "choose a path in a directory that is there and that midge may write to",
        ),
    }
}

/// The system's own words: the reactor's error names the address too, and has that as its source.
fn words_of(cause: &io::Error) -> String {
    match cause.get_ref().and_then(|error| error.source()) {
        Some(said) => system_words(said),
        None => system_words(cause),
    }
}

/// Settings with which a broker can serve, with the files of TLS that they name.
///
/// To look at ten thousand users and accounts takes milliseconds, in which a broker would keep its clients waiting:
/// that may be done on another thread, before [`Broker::take_over`](crate::Broker::take_over).
#[derive(Clone, Debug)]
pub struct Checked(Config);

impl Checked {
    /// Looks at everything, and reads the files of TLS, unless that was done.
    ///
    /// # Errors
    /// [`StartError::Config`]: with these settings no client could be served, or all the world could.
    pub fn new(config: Config) -> Result<Checked, StartError> {
        check(config).map(Checked)
    }

    pub(crate) fn into_config(self) -> Config {
        self.0
    }
}

/// Refuses settings with which no client could be served, or all the world could; reads the files of TLS, unless
/// that was done.
///
/// # Errors
/// All that is wrong, a line for each.
pub(crate) fn check(mut config: Config) -> Result<Config, StartError> {
    let faults = config::check::faults(&config);
    if !faults.is_empty() {
        let lines: Vec<String> = faults.into_iter().map(|fault| fault.text).collect();
        return Err(StartError::Config(lines.join("\n")));
    }
    for (_, tls) in config.each_tls_mut() {
        tls.load().map_err(StartError::Config)?;
    }
    Ok(config)
}

impl State {
    /// The state of a broker with no clients.
    ///
    /// # Errors
    /// [`StartError::Config`]: with these settings no client could be served, or all the world could.
    pub fn new(config: Config) -> Result<State, StartError> {
        Ok(State::announcing(check(config)?, Info::default()))
    }
}

/// Users that prove nothing: those without a password, unless certificates tell who they are.
fn by_name_alone(config: &Config) -> Vec<&str> {
    match config.maps_certificates_somewhere() {
        true => Vec::new(),
        false => config.auth.without_password(),
    }
}

/// Says what is possible and seldom wise, unless that was so `before`, and said then.
pub(crate) fn warn(config: &Config, before: Option<&Config>) {
    let is_new = |is_so: fn(&Config) -> bool| is_so(config) && !before.is_some_and(is_so);
    if is_new(|config| config.auth.has_plain_password()) {
        log::warn!(target: "midge", "Plaintext passwords detected, use nkeys or bcrypt");
    }
    let bare = by_name_alone(config);
    if !bare.is_empty() && before.is_none_or(|before| by_name_alone(before) != bare) {
        let names = bare.join(", ");
        log::warn!(
            target: "midge",
            "Users without a password come in by their name alone: {names}; give each a password or an nkey"
        );
    }
    let doubts = |config: &Config| [config.unused(), config.broken_hashes()].concat();
    let known = before.map(doubts).unwrap_or_default();
    for line in doubts(config).iter().filter(|line| !known.contains(line)) {
        log::warn!(target: "midge", "{line}");
    }
    let now = Timestamp::now();
    let known = before.map(|before| before.unusable_accounts(now));
    let lines = config.unusable_accounts(now);
    if known.is_none_or(|known| known != lines) {
        lines
            .iter()
            .for_each(|line| log::warn!(target: "midge", "{line}"));
    }
    if config.auth == Auth::None && before.is_some_and(|before| before.auth != Auth::None) {
        log::warn!(
            target: "midge",
            "Clients need no credentials now: the configuration has none"
        );
    }
    if is_new(|config| config.pending_bytes_max > QUEUE_BYTES_MAX) {
        let max = config.pending_bytes_max;
        log::warn!(
            target: "midge",
            "max_pending is {max}, but the limit of a queue is {QUEUE_BYTES_MAX} bytes, which is used instead"
        );
    }
    if is_new(|config| config.payload_bytes_max > PAYLOAD_BYTES_WISE) {
        log::warn!(
            target: "midge",
            "Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance"
        );
    }
}

/// The room of this process.
pub(crate) fn room(config: &Config) -> Result<Room, StartError> {
    let mut room = Room::of_process().map_err(|limit| StartError::OpenFiles { limit })?;
    room.keep_for_listeners(config.listeners.len());
    match room.clients {
        0 => Err(StartError::OpenFiles { limit: room.limit }),
        _ => Ok(room),
    }
}

/// How many clients there are files for; warns if that is fewer than are wanted, unless it is as `before`.
pub(crate) fn affordable_connections(
    config: &Config,
    before: Option<usize>,
) -> Result<usize, StartError> {
    let (wanted, room) = (config.connections_max, room(config)?);
    let affordable = room.clients;
    if affordable < wanted && before != Some(affordable) {
        let text = too_few_files(room.limit, affordable, wanted);
        log::warn!(target: "midge", "{text}");
    }
    Ok(wanted.min(affordable))
}

/// Says how many clients can connect, with `limit` files, when it is fewer than `wanted`.
fn too_few_files(limit: u64, affordable: usize, wanted: usize) -> String {
    let begin = format!("The limit of {limit} open files allows {affordable} clients");
    if wanted == usize::MAX {
        return format!(
            "{begin}, and max_connections is unlimited; raise the limit for more (ulimit -n)"
        );
    }
    let files = Room::limit_for(wanted as u64);
    format!("{begin} of max_connections {wanted}; raise the limit (ulimit -n {files})")
}

/// The file for the process id: opened early, so that a bad path is told before anything is served,
/// and written when the process may be sent signals.
#[derive(Debug)]
pub(crate) struct PidFile {
    file: File,
    path: PathBuf,
}

impl PidFile {
    pub(crate) fn open(path: &Path) -> Result<PidFile, StartError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        let path = path.to_owned();
        match options.open(&path) {
            Ok(file) => Ok(PidFile { file, path }),
            Err(cause) => Err(StartError::PidFile { path, cause }),
        }
    }

    /// Writes the id in one piece. Digits only: some launchers take the whole file for a number.
    pub(crate) fn write(mut self) -> Result<(), StartError> {
        let id = std::process::id().to_string();
        let written = self.file.write_all(id.as_bytes());
        written.map_err(|cause| StartError::PidFileWrite {
            path: self.path,
            cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_files_are_told_in_words_that_make_sense_whatever_was_wanted() {
        let begin = "The limit of 1024 open files allows 992 clients";
        assert_eq!(
            too_few_files(1024, 992, 5000),
            format!("{begin} of max_connections 5000; raise the limit (ulimit -n 5192)")
        );
        // What -1 in a file stands for.
        let none = too_few_files(1024, 992, usize::MAX);
        assert!(
            none.starts_with(&format!("{begin}, and max_connections is unlimited; ")),
            "{none}"
        );
        assert!(!none.contains(&usize::MAX.to_string()), "{none}");
        let most = too_few_files(1024, 992, usize::MAX - 1);
        assert!(
            most.ends_with(&format!("(ulimit -n {})", u64::MAX)),
            "{most}"
        );
    }

    #[test]
    fn a_pid_file_that_takes_nothing_is_named() {
        let Ok(file) = PidFile::open(Path::new("/dev/full")) else {
            return;
        };
        assert_eq!(
            file.write().expect_err("it is full").to_string(),
            "Could not write pidfile: write /dev/full: no space left on device; choose another file"
        );
    }

    #[test]
    fn the_system_is_told_of_in_lower_case_and_without_a_number() {
        let path = PathBuf::from("/no/such/midge.pid");
        let error = PidFile::open(&path).expect_err("there is no such directory");
        assert_eq!(
            error.to_string(),
            "Could not write pidfile: open /no/such/midge.pid: no such file or directory; \
             choose another file"
        );
    }
}
