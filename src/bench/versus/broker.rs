//! Starts a broker, and stops it.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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
/// There is no nats-server, or a command is empty.
pub(super) fn commands(
    a: Option<&str>,
    b: Option<&str>,
    more: &[String],
) -> io::Result<Vec<BrokerCommand>> {
    let mut all = Vec::new();
    match a {
        Some(command) => all.push(split(command)?),
        None => {
            let own = env::current_exe()?;
            all.push(vec![own.to_string_lossy().into_owned()]);
        }
    }
    match b {
        Some(command) => all.push(split(command)?),
        None if more.is_empty() => all.push(vec![nats_server()?]),
        None => {}
    }
    for command in more {
        all.push(split(command)?);
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

fn split(command: &str) -> io::Result<Vec<String>> {
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        return Err(io::Error::other(
            "a broker's command is empty; name a program",
        ));
    }
    Ok(words)
}

/// System daemons live in sbin, which not every user's PATH holds.
fn nats_server() -> io::Result<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders =
        env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let mut found = folders.map(|folder| folder.join("nats-server"));
    found
        .find(|file| file.is_file())
        .map(|file| file.to_string_lossy().into_owned())
        .ok_or_else(|| {
            io::Error::other("there is no nats-server in PATH; name a broker with --b COMMAND")
        })
}

/// A broker that takes connections. It is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) addr: SocketAddr,
    child: Child,
}

impl Running {
    /// Starts a broker on a free port of this machine.
    ///
    /// # Errors
    /// It cannot be started, ends, or does not listen in time.
    pub(super) fn start(command: &BrokerCommand) -> io::Result<Running> {
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let failed = |what: String| {
            let words = command.words.join(" ");
            io::Error::other(format!("{words} -a 127.0.0.1 -p {}: {what}", addr.port()))
        };
        let child = Command::new(&command.words[0])
            .args(&command.words[1..])
            .args(["-a", "127.0.0.1", "-p", &addr.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let mut running = Running { addr, child };
        let began = Instant::now();
        while TcpStream::connect(addr).is_err() {
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
        let more = ["/c/midge".to_owned()];
        let commands = commands(Some("/a/midge"), Some("/b/midge -D"), &more);
        let commands = commands.expect("all are named");
        let labels: Vec<_> = commands.iter().map(|command| &*command.label).collect();
        assert_eq!(labels, ["midge", "midge #2", "midge #3"]);
        assert_eq!(commands[1].words, ["/b/midge", "-D"]);
    }

    #[test]
    fn a_broker_that_ends_at_once_is_told() {
        let command = BrokerCommand {
            label: "true".to_owned(),
            words: vec!["true".to_owned()],
        };
        let error = Running::start(&command).expect_err("it does not listen");
        assert!(error.to_string().contains("it ended at once"), "{error}");
    }
}
