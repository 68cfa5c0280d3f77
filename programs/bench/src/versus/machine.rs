//! Where it was measured.

use std::fs;
use std::thread;

use serde::{Deserialize, Serialize};

/// What a reader has to know of the machine. Empty where the system does not tell.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) system: String,
    pub(crate) kernel: String,
    pub(crate) congestion_control: String,
    /// What the machine had to do at the beginning, as the system averages it over a minute.
    pub(crate) load_before: String,
    pub(crate) load_after: String,
}

impl Machine {
    /// Looks around.
    pub(crate) fn look() -> Machine {
        Machine {
            processor: field("/proc/cpuinfo", "model name"),
            cores: thread::available_parallelism().map_or(1, Into::into),
            memory_bytes: memory_bytes(),
            system: field_of("/etc/os-release", "PRETTY_NAME", '='),
            kernel: line("/proc/sys/kernel/osrelease"),
            congestion_control: line("/proc/sys/net/ipv4/tcp_congestion_control"),
            load_before: load(),
            load_after: String::new(),
        }
    }

    /// Looks again, at the end.
    pub(crate) fn look_again(&mut self) {
        self.load_after = load();
    }
}

fn load() -> String {
    let text = line("/proc/loadavg");
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn memory_bytes() -> u64 {
    let text = field("/proc/meminfo", "MemTotal");
    let kib = text.strip_suffix(" kB").and_then(|kib| kib.parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

fn field(path: &str, name: &str) -> String {
    field_of(path, name, ':')
}

/// The value of the first line `name: value`, without quotes.
fn field_of(path: &str, name: &str, separator: char) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    let found = pairs.find(|(key, _)| key.trim() == name);
    found
        .map_or("", |(_, value)| value.trim().trim_matches('"'))
        .to_owned()
}

fn line(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}
