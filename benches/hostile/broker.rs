//! The broker that is tried, as a process: started, looked at, ended.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long it may take to start, and to end.
const START_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A probe without an answer for so long has failed.
const PROBE_MAX: Duration = Duration::from_secs(10);
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// Where a broker is. One that was started for this is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) addr: SocketAddr,
    pub(crate) monitor: Option<SocketAddr>,
    /// Where clients come by WebSocket, compressed if they like.
    pub(crate) websocket: Option<SocketAddr>,
    pub(crate) pid: Option<u32>,
    child: Option<(Child, PathBuf)>,
}

impl Broker {
    /// One that runs already.
    pub(crate) fn running(
        addr: SocketAddr,
        monitor: Option<SocketAddr>,
        websocket: Option<SocketAddr>,
        pid: Option<u32>,
    ) -> Broker {
        let child = None;
        Broker {
            addr,
            monitor,
            websocket,
            pid,
            child,
        }
    }

    /// Starts `program` with these settings on free ports of the loopback address; its log goes to a file.
    pub(crate) fn start(program: &Path, settings: &str, log: &Path) -> io::Result<Broker> {
        let free = || TcpListener::bind("127.0.0.1:0")?.local_addr();
        let (addr, monitor, websocket) = (free()?, free()?, free()?);
        let file = log.with_extension("conf");
        let block =
            format!("websocket {{ listen: \"{websocket}\", no_tls: true, compression: true }}\n");
        fs::write(&file, block + settings)?;
        let child = Command::new(program)
            .args(["-a", "127.0.0.1", "-p", &addr.port().to_string()])
            .args(["-m", &monitor.port().to_string()])
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(log)?)
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
        let pid = Some(child.id());
        let mut broker = Broker {
            addr,
            monitor: Some(monitor),
            websocket: Some(websocket),
            pid,
            child: Some((child, log.to_owned())),
        };
        let end = Instant::now() + START_MAX;
        while TcpStream::connect(addr).is_err() {
            if let Some(end) = broker.end_told() {
                return Err(io::Error::other(end));
            }
            if Instant::now() > end {
                return Err(io::Error::other("the broker does not listen"));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(broker)
    }

    /// How it has ended, with its last words, if it has.
    pub(crate) fn end_told(&mut self) -> Option<String> {
        let (child, log) = self.child.as_mut()?;
        let status = child.try_wait().ok()??;
        let text = fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        let words = lines.into_iter().rev().collect::<Vec<_>>().join("\n    ");
        Some(format!("the broker has ended, {status}:\n    {words}"))
    }

    /// Memory of the process that is resident, in bytes.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        resident_bytes(self.pid?)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Looks at the broker from outside while others load it: its memory and its `/healthz`.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    memory: JoinHandle<()>,
    health: Option<JoinHandle<Health>>,
}

/// What came of asking for `/healthz` again and again.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) asked: u64,
    /// Answers that were none, or not 200, with the last of them in words.
    pub(crate) failed: u64,
    pub(crate) failure: String,
    pub(crate) max: Duration,
}

impl Watch {
    pub(crate) fn start(broker: &Broker) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let peak = Arc::new(AtomicU64::new(0));
        let (over, most, pid) = (Arc::clone(&stop), Arc::clone(&peak), broker.pid);
        let memory = thread::spawn(move || {
            while let Some(pid) = pid
                && !over.load(Ordering::Relaxed)
            {
                let bytes = resident_bytes(pid).unwrap_or(0);
                most.fetch_max(bytes, Ordering::Relaxed);
                thread::sleep(LOOK_EVERY);
            }
        });
        let health = broker.monitor.map(|monitor| {
            let over = Arc::clone(&stop);
            thread::spawn(move || {
                let mut health = Health::default();
                while !over.load(Ordering::Relaxed) {
                    health.ask(monitor);
                    thread::sleep(PROBE_EVERY);
                }
                health
            })
        });
        Watch {
            stop,
            peak,
            memory,
            health,
        }
    }

    /// Ends the watch; answers the most bytes that were resident, and the broker's health.
    pub(crate) fn finish(self) -> (u64, Option<Health>) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.memory.join();
        let health = self.health.and_then(|thread| thread.join().ok());
        (self.peak.load(Ordering::Relaxed), health)
    }
}

impl Health {
    fn ask(&mut self, monitor: SocketAddr) {
        let began = Instant::now();
        self.asked += 1;
        match probe(monitor) {
            Ok(line) if line.contains(" 200 ") => {}
            Ok(line) => {
                self.failed += 1;
                self.failure = line;
            }
            Err(error) => {
                self.failed += 1;
                self.failure = error.to_string();
            }
        }
        self.max = self.max.max(began.elapsed());
    }
}

/// Asks for `/healthz` on a connection of its own; answers the status line.
fn probe(monitor: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&monitor, PROBE_MAX)?;
    stream.set_read_timeout(Some(PROBE_MAX))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    match (text.lines().next(), read) {
        (Some(line), _) => Ok(line.to_owned()),
        (None, read) => read.and(Err(io::Error::other("no answer"))),
    }
}
