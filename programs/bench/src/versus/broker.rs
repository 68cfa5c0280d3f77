//! Starts a broker, and stops it.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::set_up::Files;
use crate::run::Error;
use crate::suite::Setup;
use midge_dial::Server;
use midge_protocol::Credentials;

/// How long a broker may take until it listens.
const START_MAX: Duration = Duration::from_secs(10);

/// How long between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long a broker may take to end before it is killed.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A program and its flags, under a name for tables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BrokerCommand {
    pub(super) label: String,
    pub(super) words: Vec<String>,
}

/// The brokers to compare: this very program and nats-server, unless others are named.
///
/// # Errors
/// [`Error::Usage`]: there is no nats-server, a command is empty, or its program cannot be executed.
pub(super) fn commands(
    a: Option<&str>,
    b: Option<&str>,
    more: &[String],
) -> Result<Vec<BrokerCommand>, Error> {
    let mut all = Vec::new();
    match a {
        Some(command) => all.push(split("--a", command)?),
        None => {
            let own = env::current_exe()?;
            all.push(vec![own.to_string_lossy().into_owned()]);
        }
    }
    match b {
        Some(command) => all.push(split("--b", command)?),
        None if more.is_empty() => all.push(vec![nats_server()?]),
        None => {}
    }
    for command in more {
        all.push(split("--broker", command)?);
    }
    let mut commands: Vec<BrokerCommand> = Vec::new();
    for words in all {
        let name = Path::new(&words[0]).file_name();
        let name = name.map_or(words[0].clone(), |name| name.to_string_lossy().into_owned());
        let same = |command: &&BrokerCommand| command.label.split(" #").next() == Some(&name);
        let twins = commands.iter().filter(same).count();
        let label = match twins {
            0 => name,
            _ => format!("{name} #{}", twins + 1),
        };
        commands.push(BrokerCommand { label, words });
    }
    Ok(commands)
}

fn split(flag: &str, command: &str) -> Result<Vec<String>, Error> {
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    match words.first() {
        Some(word) => program(flag, word)?,
        None => {
            let text = format!("{flag}: the command is empty; name a broker's program");
            return Err(Error::Usage(text));
        }
    }
    Ok(words)
}

/// The first word of a command, as a file that can be executed.
fn program(flag: &str, word: &str) -> Result<(), Error> {
    if which::which(word).is_ok() {
        return Ok(());
    }
    let what = if Path::new(word).is_dir() {
        "it is a directory"
    } else if Path::new(word).exists() {
        "it cannot be executed"
    } else if word.contains('/') {
        "there is no such file"
    } else {
        "PATH has no such program"
    };
    Err(Error::Usage(format!(
        "{flag} {word}: {what}; name a broker's program"
    )))
}

/// System daemons live in sbin, which not every user's PATH holds.
fn nats_server() -> Result<String, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let folders = env::join_paths(env::split_paths(&path).chain(sbin)).ok();
    match which::which_in("nats-server", folders, "/") {
        Ok(file) => Ok(file.to_string_lossy().into_owned()),
        Err(_) => Err(Error::Usage(
            "there is no nats-server in PATH; name a broker with --b COMMAND".to_owned(),
        )),
    }
}

/// A broker that takes connections. It is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    /// Where it is, and how to come to it.
    pub(super) server: Server,
    /// As whom requesters come, if that is another user.
    pub(super) requesters: Option<Credentials>,
    child: Child,
}

impl Running {
    /// Starts a broker on free ports of this machine.
    ///
    /// # Errors
    /// It cannot be started, ends, or does not listen in time.
    pub(super) fn start(
        command: &BrokerCommand,
        setup: Setup,
        files: &Files,
    ) -> io::Result<Running> {
        let free = || TcpListener::bind("127.0.0.1:0");
        // Both at a time, or they might be the same.
        let both = (free()?, free()?);
        let (addr, websocket) = (both.0.local_addr()?, both.1.local_addr()?.port());
        drop(both);
        let configuration = files.configuration(setup, websocket)?;
        let configuration = configuration.iter();
        let failed = |what: String| {
            let words = command.words.join(" ");
            io::Error::other(format!("{words} -a 127.0.0.1 -p {}: {what}", addr.port()))
        };
        let child = Command::new(&command.words[0])
            .args(&command.words[1..])
            .args(configuration.flat_map(|file| [OsStr::new("-c"), file.as_os_str()]))
            .args(["-a", "127.0.0.1", "-p", &addr.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let server = files.server(setup, addr, websocket);
        let requesters = files.requesters(setup);
        let mut running = Running {
            server,
            requesters,
            child,
        };
        let began = Instant::now();
        while TcpStream::connect(&running.server.address).is_err() {
            if let Some(status) = running.child.try_wait()? {
                return Err(failed(format!("it ended at once, {status}")));
            }
            if began.elapsed() > START_MAX {
                let seconds = START_MAX.as_secs();
                return Err(failed(format!("it does not listen after {seconds} s")));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(running)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        }
        let began = Instant::now();
        while began.elapsed() < STOP_MAX {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(LOOK_EVERY),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_of_one_name_are_told_apart() {
        let more = ["true -x".to_owned()];
        let commands = commands(Some("true"), Some("/bin/true -D"), &more);
        let commands = commands.expect("all are there");
        let labels: Vec<_> = commands.iter().map(|command| &*command.label).collect();
        assert_eq!(labels, ["true", "true #2", "true #3"]);
        assert_eq!(commands[1].words, ["/bin/true", "-D"]);
    }

    #[test]
    fn what_is_no_program_is_told_with_its_flag() {
        for (command, expected) in [
            (
                "/nowhere/broker -x",
                "--b /nowhere/broker: there is no such file",
            ),
            (
                "no-such-broker",
                "--b no-such-broker: PATH has no such program",
            ),
            ("/etc/passwd", "--b /etc/passwd: it cannot be executed"),
            ("/etc", "--b /etc: it is a directory"),
            (" ", "--b: the command is empty"),
        ] {
            let error = commands(Some("true"), Some(command), &[]).expect_err("it is no program");
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_broker_that_ends_at_once_is_told() {
        let command = BrokerCommand {
            label: "true".to_owned(),
            words: vec!["true".to_owned()],
        };
        let files = Files::new().expect("a folder can be made");
        let error = Running::start(&command, Setup::Plain, &files).expect_err("it does not listen");
        assert!(error.to_string().contains("it ended at once"), "{error}");
    }
}
