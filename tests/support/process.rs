//! The real binary, as an operator starts it: processes, their logs, and plain connections to them.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A broker that has said nothing for so long hangs. Passing tests never wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const READY: &str = "[INF] Server is ready";
pub(crate) const LISTENING: &str = "[INF] Listening for client connections on 127.0.0.1:";

/// The options of a client that can be told of lame duck mode.
pub(crate) const PROTOCOL_1: &str =
    r#"{"verbose":false,"protocol":1,"name":"app","lang":"go","version":"1.2"}"#;

/// A command that starts a program with the default dispositions of signals: what runs in the background of a shell ignores
/// SIGINT and SIGQUIT, and so does what it starts.
pub(crate) fn program(path: impl AsRef<OsStr>) -> Command {
    if !ignores_signals() {
        return Command::new(path);
    }
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal").arg(path);
    command
}

/// Whether this process ignores signals that end a process, as far as the system tells.
fn ignores_signals() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The runtime of Rust ignores SIGPIPE, and gives it back to what is started.
    let pipe = 1 << (13 - 1);
    ignored.unwrap_or_default() & !pipe != 0
}

/// A broker on a free port whose log is read line by line. Killed when dropped.
pub(crate) struct Broker {
    pub(crate) child: Child,
    pub(crate) port: u16,
    /// The log as far as it has been read.
    pub(crate) lines: Vec<String>,
    log: Receiver<String>,
}

impl Broker {
    /// Starts a broker and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Broker {
        Broker::start_in(args, &[])
    }

    pub(crate) fn start_in(args: &[&str], environment: &[(&str, &str)]) -> Broker {
        let mut broker = Broker::launch(args, environment);
        let at = broker.position(LISTENING);
        let (_, port) = broker.lines[at].rsplit_once(':').expect("an address");
        broker.port = port.parse().expect("a port");
        broker.position(READY);
        broker
    }

    /// Starts a broker whose log is JSON.
    pub(crate) fn start_as(args: &[&str]) -> Broker {
        let mut broker = Broker::launch(args, &[]);
        let at = broker.position("connections on 127.0.0.1:");
        let (_, rest) = broker.lines[at]
            .split_once("127.0.0.1:")
            .expect("an address");
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        broker.port = digits.and_then(|port| port.parse().ok()).expect("a port");
        broker.position("Server is ready");
        broker
    }

    /// Starts a broker that listens elsewhere than on 127.0.0.1, or logs otherwise; `shown` is how its
    /// log names the host.
    pub(crate) fn start_at(shown: &str, args: &[&str]) -> Broker {
        let mut broker = Broker::launch_with(&["-p", "-1"], args, &[]);
        let listening = format!("client connections on {shown}:");
        let at = broker.position(&listening);
        let (_, rest) = broker.lines[at]
            .split_once(&listening)
            .expect("it has been found");
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        broker.port = digits.and_then(|port| port.parse().ok()).expect("a port");
        broker.position("Server is ready");
        broker
    }

    fn launch(args: &[&str], environment: &[(&str, &str)]) -> Broker {
        Broker::launch_with(&["-a", "127.0.0.1", "-p", "-1"], args, environment)
    }

    fn launch_with(first: &[&str], args: &[&str], environment: &[(&str, &str)]) -> Broker {
        let mut child = program(env!("CARGO_BIN_EXE_midge"))
            .args(first)
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("midge starts");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let (sender, log) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines() {
                let line = line.expect("a log line is text");
                // The test may have ended; the pipe is read all the same, or the broker blocks.
                let _ = sender.send(line);
            }
        });
        Broker {
            child,
            port: 0,
            lines: Vec::new(),
            log,
        }
    }

    /// Where clients connect to one that listens on 127.0.0.1.
    pub(crate) fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Reads the log until a line contains `text`, and returns its index in `lines`.
    pub(crate) fn position(&mut self, text: &str) -> usize {
        self.position_of(|line| line.contains(text), text)
    }

    /// Reads the log until a line is as `wanted` has it; `what` it is.
    pub(crate) fn position_of(&mut self, wanted: impl Fn(&str) -> bool, what: &str) -> usize {
        let deadline = Instant::now() + PATIENCE;
        let mut at = 0;
        loop {
            while let Some(line) = self.lines.get(at) {
                if wanted(line) {
                    return at;
                }
                at += 1;
            }
            if !self.read_line(deadline) {
                panic!("the log ended without {what:?}: {:#?}", self.lines);
            }
        }
    }

    /// Waits for the end of the process and of its log.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while self.read_line(deadline) {}
        self.child.wait().expect("midge ends")
    }

    /// Reads a line of the log, or returns false at its end.
    pub(crate) fn read_line(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.log.recv_timeout(left) {
            Ok(line) => self.lines.push(line),
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => panic!("midge hangs: {:#?}", self.lines),
        }
        true
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.lines.iter().filter(|line| line.contains(text)).count()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process whose output is of interest once it has ended. Killed when dropped.
pub(crate) struct Quiet {
    pub(crate) child: Child,
}

/// How a process ended and what it said.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Quiet {
    /// Starts midge, after a line of shell if there is one.
    pub(crate) fn start(args: &[&str], before: Option<&str>) -> Quiet {
        let binary = env!("CARGO_BIN_EXE_midge");
        let mut command = program(before.map_or(binary, |_| "sh"));
        if let Some(before) = before {
            command.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), binary]);
        }
        let child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("midge starts");
        Quiet { child }
    }

    /// Starts another program.
    pub(crate) fn of(program: &Path, args: &[&str]) -> Quiet {
        let child = self::program(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        Quiet { child }
    }

    /// Waits for the end; a process that does not come to one is killed.
    pub(crate) fn end(&mut self) -> End {
        let mut out = self.child.stdout.take().expect("stdout is a pipe");
        let mut err = self.child.stderr.take().expect("stderr is a pipe");
        let (sender, texts) = mpsc::channel();
        thread::spawn(move || {
            let (mut out_text, mut err_text) = (String::new(), String::new());
            let read = out.read_to_string(&mut out_text);
            let read = read.and(err.read_to_string(&mut err_text));
            let _ = sender.send(read.map(|_| (out_text, err_text)));
        });
        let hangs = texts.recv_timeout(PATIENCE);
        let (out, err) = hangs.expect("midge hangs").expect("what it says is text");
        let code = self.child.wait().expect("midge ends").code();
        End { code, out, err }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl End {
    /// The last line, which must be a fatal one.
    pub(crate) fn fatal_line(&self) -> &str {
        let last = self.err.lines().last().unwrap_or_default();
        assert!(last.contains(" [FTL] "), "{self:?}");
        last
    }
}

/// Runs midge with flags that make it end by itself.
pub(crate) fn end_of(args: &[&str]) -> End {
    Quiet::start(args, None).end()
}

/// One connection, line by line.
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
    pub(crate) info: String,
}

impl Client {
    /// Connects and reads the broker's first line.
    pub(crate) fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the broker listens");
        let patience = stream.set_read_timeout(Some(PATIENCE));
        patience.expect("a timeout can be set");
        let mut client = Client {
            stream: BufReader::new(stream),
            info: String::new(),
        };
        client.info = client.line().expect("a first line");
        assert!(client.info.starts_with("INFO {"), "{}", client.info);
        client
    }

    pub(crate) fn say(&mut self, bytes: &str) {
        let sent = self.stream.get_mut().write_all(bytes.as_bytes());
        sent.expect("the broker reads");
    }

    /// The next line without its end, or nothing at the end of the stream.
    ///
    /// A `PING` is passed over: one comes to a client that is there for two seconds, and on a busy
    /// machine each may be.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            let line = self.line_or_ping();
            if line.as_deref() != Some("PING") {
                return line;
            }
        }
    }

    /// As [`line`](Client::line), `PING` included.
    pub(crate) fn line_or_ping(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            // The broker may close with bytes of ours unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("the broker does not answer: {error}"),
        }
    }

    /// The lines up to and with `last`.
    pub(crate) fn until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            let line = self.line();
            lines.push(line.unwrap_or_else(|| panic!("closed before {last:?}: {lines:?}")));
        }
        lines
    }

    /// The lines up to the end of the stream.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.line()).collect()
    }
}

/// A broker of either program, whose log is read as far as is asked. Killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    log: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        Running { child, log }
    }

    /// Sends a signal, and waits for the end.
    pub(crate) fn ends_on(mut self, name: &str) -> ExitStatus {
        signal(self.child.id(), name);
        // To its end, or it might wait for a reader.
        let mut rest = Vec::new();
        self.log.read_to_end(&mut rest).expect("a pipe can be read");
        self.child.wait().expect("it ends")
    }

    /// Reads the log until a line contains one of these, and answers it.
    pub(crate) fn wait_for(&mut self, texts: &[&str]) -> String {
        let mut line = String::new();
        while !texts.iter().any(|text| line.contains(text)) {
            line.clear();
            let read = self.log.read_line(&mut line).expect("the log is text");
            assert!(read > 0, "the end before any of {texts:?}");
        }
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name without `SIG`.
pub(crate) fn signal(pid: u32, name: &str) {
    let (name, pid) = (format!("-{name}"), pid.to_string());
    let status = Command::new("kill").args([name, pid]).status();
    assert!(status.expect("kill runs").success());
}

/// A fresh directory for one test. Its name is given once.
pub(crate) fn scratch(test: &str) -> PathBuf {
    static GIVEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(given.insert(test.to_owned()), "{test} is given twice");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(env!("CARGO_CRATE_NAME"))
        .join(test);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
        _ => fs::create_dir_all(&directory).expect("a directory of our own"),
    }
    directory
}

/// A path as a flag has it.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of this test")
}

/// The files of a directory, by name.
pub(crate) fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// Looks into a file again and again until it contains `text`: another process writes it, and tells
/// nobody.
pub(crate) fn wait_for_file(file: &Path, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = fs::read_to_string(file).unwrap_or_default();
        if found.contains(text) {
            return;
        }
        assert!(Instant::now() < deadline, "no {text:?} in {found:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The writing end of a pipe that nobody reads.
pub(crate) fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}
