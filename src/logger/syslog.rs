//! The log in a syslog daemon, of this machine or another one.
//!
//! A thread sends: neither a daemon that does not read nor a network that is away keeps the broker
//! waiting. Up to [`WAITING_MAX`] lines and [`WAITING_BYTES_MAX`] wait for it; those that come then are
//! lost, and counted.

use std::fmt;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use midge::system_words;
use nix::errno::Errno;

/// Lines that may wait for the daemon.
const WAITING_MAX: usize = 8192;

/// Bytes in them, since a line that traces a message may be as long as that: 2 kB for each line.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long the daemon may take for one line, or for a connection.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long after a failure the daemon is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the last lines of a process may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where the local daemon listens, in the order in which it is looked for.
const LOCAL: &[&str] = &["/dev/log", "/var/run/syslog", "/var/run/log"];

/// A syslog daemon.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Daemon {
    /// On this machine, at the first of these sockets that takes a connection.
    Local(Vec<PathBuf>),
    Udp(String),
    Tcp(String),
    Unix(PathBuf),
}

impl Daemon {
    /// That of this machine, wherever it listens.
    pub(super) fn local() -> Daemon {
        Daemon::Local(LOCAL.iter().map(PathBuf::from).collect())
    }

    /// Reads `udp://host:port`, `tcp://host:port` or `unix:///path`.
    pub(super) fn parse(url: &str) -> Result<Daemon, SyslogError> {
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let address = || rest.trim_end_matches('/').to_owned();
        match scheme {
            "udp" | "tcp" if rest.is_empty() => Err(SyslogError::Scheme(url.to_owned())),
            "udp" => Ok(Daemon::Udp(address())),
            "tcp" => Ok(Daemon::Tcp(address())),
            "unix" | "unixgram" => Ok(Daemon::Unix(rest.into())),
            _ => Err(SyslogError::Scheme(scheme.to_owned())),
        }
    }

    /// Whether it runs on another machine, and so wants to know of which machine a line tells.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self, Daemon::Udp(_) | Daemon::Tcp(_))
    }

    fn connect(&self) -> Result<Wire, SyslogError> {
        match self {
            Daemon::Local(paths) => paths
                .iter()
                .find_map(|path| unix(path).ok())
                .ok_or(SyslogError::NoDaemon),
            Daemon::Unix(path) => unix(path).map_err(SyslogError::Connect),
            Daemon::Udp(address) => udp(address).map_err(SyslogError::Connect),
            Daemon::Tcp(address) => tcp(address).map_err(SyslogError::Connect),
        }
    }
}

/// Why the log cannot be sent to syslog.
#[derive(Debug)]
pub(super) enum SyslogError {
    /// No daemon listens on this machine.
    NoDaemon,
    /// Nor at the address given.
    Connect(io::Error),
    /// The address begins with something else.
    Scheme(String),
}

impl fmt::Display for SyslogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyslogError::NoDaemon => f.write_str(
                "error connecting to syslog: \"Unix syslog delivery error\"; \
                 start a syslog daemon, which listens on /dev/log, or log without it (-s, or syslog)",
            ),
            SyslogError::Connect(cause) => write!(
                f,
                "error connecting to syslog: {:?}; \
                 check that a daemon listens at that address (-r, or remote_syslog)",
                system_words(cause)
            ),
            SyslogError::Scheme(scheme) => write!(
                f,
                "error invalid network type: {scheme:?}; \
                 use udp://host:port, tcp://host:port or unix:///path"
            ),
        }
    }
}

/// The way to a daemon. On a stream a line feed ends a line.
enum Wire {
    Udp(UdpSocket),
    UnixDatagram(UnixDatagram),
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        match self {
            Wire::Udp(socket) => socket.send(packet).map(drop),
            Wire::UnixDatagram(socket) => socket.send(packet).map(drop),
            Wire::Tcp(stream) => stream.write_all(packet),
            Wire::Unix(stream) => stream.write_all(packet),
        }
    }
}

fn unix(path: &Path) -> io::Result<Wire> {
    let socket = UnixDatagram::unbound()?;
    if socket.connect(path).is_ok() {
        socket.set_write_timeout(Some(TIMEOUT))?;
        return Ok(Wire::UnixDatagram(socket));
    }
    let stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(Wire::Unix(stream))
}

fn udp(address: &str) -> io::Result<Wire> {
    let to = resolve(address)?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(Wire::Udp(socket))
}

fn tcp(address: &str) -> io::Result<Wire> {
    let stream = TcpStream::connect_timeout(&resolve(address)?, TIMEOUT)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(Wire::Tcp(stream))
}

fn resolve(address: &str) -> io::Result<std::net::SocketAddr> {
    let mut all = address.to_socket_addrs()?;
    all.next().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The sending end of the thread.
#[derive(Debug)]
pub(super) struct Syslog {
    /// `None` when the process is about to end.
    lines: Option<SyncSender<Vec<u8>>>,
    ended: Receiver<()>,
    /// Bytes in lines that the thread has not taken yet.
    waiting_bytes: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
    is_there: Arc<AtomicBool>,
}

impl Syslog {
    /// Connects, and starts the thread.
    pub(super) fn open(daemon: Daemon) -> Result<Syslog, SyslogError> {
        let wire = daemon.connect()?;
        let (lines, waiting) = mpsc::sync_channel::<Vec<u8>>(WAITING_MAX);
        let (end, ended) = mpsc::channel();
        let lost = Arc::new(AtomicU64::new(0));
        let is_there = Arc::new(AtomicBool::new(true));
        let mut sender = Sender {
            daemon,
            wire: Some(wire),
            failed_at: Instant::now(),
            lost: Arc::clone(&lost),
            is_there: Arc::clone(&is_there),
        };
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&waiting_bytes);
        let run = move || {
            for line in waiting {
                taken.fetch_sub(line.len(), Ordering::Relaxed);
                sender.send(&line);
            }
            drop(end);
        };
        let thread = thread::Builder::new().name("syslog".to_owned());
        thread.spawn(run).map_err(SyslogError::Connect)?;
        Ok(Syslog {
            lines: Some(lines),
            ended,
            waiting_bytes,
            lost,
            is_there,
        })
    }

    /// How many of the lines that were taken were lost, since this was last asked.
    pub(super) fn take_lost(&mut self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Whether the last packet reached the daemon, as far as is known.
    pub(super) fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }

    /// Has one packet sent. Answers `false` if it is lost, since too much waits already.
    pub(super) fn write(&mut self, packet: &[u8]) -> bool {
        // What comes behind the last word is not told any more.
        let Some(lines) = &self.lines else {
            return true;
        };
        let before = self
            .waiting_bytes
            .fetch_add(packet.len(), Ordering::Relaxed);
        let fits = before.saturating_add(packet.len()) <= WAITING_BYTES_MAX;
        let is_sent = fits && lines.try_send(packet.to_vec()).is_ok();
        if !is_sent {
            self.waiting_bytes
                .fetch_sub(packet.len(), Ordering::Relaxed);
        }
        is_sent
    }

    /// Ends the thread when all lines have left. No more can be written.
    pub(super) fn close(&mut self) {
        self.lines = None;
    }

    /// As [`close`](Syslog::close), and waits for that, for a while.
    pub(super) fn finish(&mut self) {
        self.close();
        let end = self.ended.recv_timeout(LAST_WORDS);
        debug_assert!(!matches!(end, Ok(())), "the thread says nothing");
        let _: Result<(), RecvTimeoutError> = end;
    }
}

/// The thread.
struct Sender {
    daemon: Daemon,
    /// `None` after a failure.
    wire: Option<Wire>,
    failed_at: Instant,
    lost: Arc<AtomicU64>,
    is_there: Arc<AtomicBool>,
}

impl Sender {
    /// Sends a line, over a new connection if the old one is of no more use.
    fn send(&mut self, line: &[u8]) {
        match self.wire.as_mut().map(|wire| wire.send(line)) {
            Some(Ok(())) => return self.is_there.store(true, Ordering::Relaxed),
            // No packet is so large, and no new connection makes it smaller: those behind it may fit.
            Some(Err(error)) if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Some(Err(error)) if self.is_of_packet_before(&error) => {
                self.has_lost_one();
                if let Some(Ok(())) = self.wire.as_mut().map(|wire| wire.send(line)) {
                    return;
                }
            }
            Some(Err(_)) | None => {}
        }
        let is_new_failure = self.wire.take().is_some();
        if is_new_failure || self.failed_at.elapsed() >= PAUSE {
            self.wire = self.daemon.connect().ok();
            let again = self.wire.as_mut().map(|wire| wire.send(line));
            if let Some(Ok(())) = again {
                return self.is_there.store(true, Ordering::Relaxed);
            }
            self.wire = None;
            self.failed_at = Instant::now();
        }
        self.has_lost_one();
    }

    /// Whether a UDP packet that was sent before has found no receiver. The present one was not sent.
    fn is_of_packet_before(&self, error: &io::Error) -> bool {
        matches!(self.wire, Some(Wire::Udp(_))) && error.kind() == io::ErrorKind::ConnectionRefused
    }

    fn has_lost_one(&self) {
        self.is_there.store(false, Ordering::Relaxed);
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn an_address_says_how_to_get_there() {
        for (url, daemon) in [
            ("udp://h:514", Daemon::Udp("h:514".to_owned())),
            ("tcp://[::1]:514/", Daemon::Tcp("[::1]:514".to_owned())),
            ("unix:///run/log", Daemon::Unix("/run/log".into())),
            ("unix:/run/log", Daemon::Unix("/run/log".into())),
        ] {
            assert_eq!(Daemon::parse(url).expect(url), daemon);
        }
        for (url, shown) in [("foo://h:1", "\"foo\""), ("h", "\"\""), ("udp://", "udp")] {
            let error = Daemon::parse(url).expect_err(url).to_string();
            assert!(error.starts_with("error invalid network type: "), "{error}");
            assert!(error.contains(shown), "{error}");
        }
    }

    #[test]
    fn what_waits_for_a_daemon_that_reads_nothing_has_a_limit_in_bytes() {
        let path = std::env::temp_dir().join(format!("midge-syslog-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let daemon = UnixListener::bind(&path).expect("a path of this test");
        let mut syslog = Syslog::open(Daemon::Unix(path.clone())).expect("it listens");
        const LINE: usize = 1 << 20;
        let packet = vec![b'x'; LINE];
        let taken = (0..64).filter(|_| syslog.write(&packet)).count();
        // One may be with the thread, which has no more room for it than a socket has.
        assert!(taken <= WAITING_BYTES_MAX / LINE + 1, "{taken}");
        assert!(taken >= WAITING_BYTES_MAX / LINE, "{taken}");
        // Short lines have a limit of their own.
        while syslog.write(b"x") {}
        assert!(syslog.waiting_bytes.load(Ordering::Relaxed) <= WAITING_BYTES_MAX);
        drop((syslog, daemon));
        std::fs::remove_file(&path).expect("it is there");
    }
}
