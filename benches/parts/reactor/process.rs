//! This program started anew as a server, and what the system knows of it.

use crate::servers::{Contender, Service};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// A server in a process of its own, which ends when this is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    child: Child,
}

impl Server {
    pub(crate) fn start(contender: Contender, service: Service) -> io::Result<Server> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["server", &contender.to_string(), &service.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        on_server_core(&child);
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let addr = line.trim().parse();
        let addr = addr.map_err(|_| failed(format!("{contender} told no address: {line:?}")))?;
        Ok(Server { addr, child })
    }

    /// CPU time of the thread that runs the loop, user and system, to the nanosecond. The kernel
    /// brings it up to date when the thread goes to sleep: ask when all is quiet.
    pub(crate) fn cpu_time(&self) -> io::Result<Duration> {
        let pid = self.child.id();
        let stat = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"))?;
        let nanos = stat.split_whitespace().next();
        let nanos = nanos.and_then(|nanos| nanos.parse().ok());
        let nanos = nanos.ok_or_else(|| failed(format!("cannot read {stat:?}")))?;
        Ok(Duration::from_nanos(nanos))
    }

    /// Memory of the process that is resident, in bytes.
    pub(crate) fn resident_bytes(&self) -> io::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kib.ok_or_else(|| failed(format!("cannot read {status:?}")))? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Keeps this thread on one core and all that is started from now on, by [`on_server_core`], on
/// another: whether two processes that wake each other share a core makes more difference than
/// what is measured here. Without effect where there is only one, or the system does not let us.
pub(crate) fn pin() {
    let Ok(allowed) = sched_getaffinity(None) else {
        return;
    };
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    if let (Some(first), Some(last)) = (cores.next(), cores.next_back()) {
        let _ = SERVER_CORE.set(last);
        let _ = sched_setaffinity(None, &only(first));
    }
}

static SERVER_CORE: OnceLock<usize> = OnceLock::new();

/// Puts a child on the core for servers.
pub(crate) fn on_server_core(child: &Child) {
    if let Some(core) = SERVER_CORE.get() {
        let _ = sched_setaffinity(Some(Pid::from_child(child)), &only(*core));
    }
}

fn only(core: usize) -> CpuSet {
    let mut one = CpuSet::new();
    one.set(core);
    one
}

pub(crate) fn failed(text: String) -> io::Error {
    io::Error::other(text)
}
