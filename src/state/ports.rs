//! The ports file: where a broker that was started on any free port can be found.
//!
//! Shape: `{"nats":["nats://127.0.0.1:39325"]}`, a list of URLs for each kind of listener there is; in
//! what comes in by one of `listeners` has the name of that. A Unix socket is `unix:PATH`. It is
//! a file `<name>_<pid>.ports`, that is there at once and whole, and goes when the broker ends.

use crate::config::program;
use midge_text::system_words;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// The listeners of a broker, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports(Map<String, Value>);

impl Ports {
    /// Adds a listener of the kind that `key` names, whose addresses begin with `scheme`.
    pub(crate) fn add(&mut self, key: &str, scheme: &str, listening: &[SocketAddr]) {
        let addrs = listening.iter().flat_map(|addr| reachable(*addr));
        let urls = addrs.map(|addr| Value::from(format!("{scheme}://{addr}")));
        self.0.insert(key.to_owned(), urls.collect());
    }

    /// Adds a listener at a path.
    pub(crate) fn add_unix(&mut self, key: &str, path: &Path) {
        let url = format!("unix:{}", path.display());
        self.0.insert(key.to_owned(), Value::from(vec![url]));
    }

    /// Writes the file into `directory`.
    ///
    /// # Errors
    /// What was done to which file, and what the system said; no file is left behind.
    pub(crate) fn write(&self, directory: &Path) -> Result<PortsFile, String> {
        let path = path(directory);
        let draft = path.with_extension("ports.tmp");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o644);
        let text = Value::from(self.0.clone()).to_string();
        let failed = |action: &str, error: &io::Error| {
            format!("{action} {}: {}", draft.display(), system_words(error))
        };
        let mut file = options
            .open(&draft)
            .map_err(|error| failed("open", &error))?;
        let written = file.write_all(text.as_bytes());
        let written = written.map_err(|error| failed("write", &error));
        // A program that waits for the file finds all of it.
        let there = written.and_then(|()| {
            let renamed = fs::rename(&draft, &path);
            renamed.map_err(|error| failed("rename", &error))
        });
        if let Err(said) = there {
            let _ = fs::remove_file(&draft);
            return Err(said);
        }
        Ok(PortsFile(path))
    }
}

/// The ports file of a broker that runs, if it is to have one.
#[derive(Debug)]
pub(crate) struct Files {
    ports: Ports,
    /// Goes when another one is written, or when this is dropped.
    ports_file: Option<PortsFile>,
}

impl Files {
    /// For a broker that listens on these.
    pub(crate) fn new(ports: Ports) -> Files {
        Files {
            ports,
            ports_file: None,
        }
    }

    /// Writes the ports file into `directory`, in place of the one that there was. A broker serves
    /// all the same if that fails: it is logged.
    pub(crate) fn write_ports(&mut self, directory: Option<&Path>) {
        self.ports_file = None;
        let Some(directory) = directory else { return };
        match self.ports.write(directory) {
            Ok(file) => self.ports_file = Some(file),
            Err(said) => {
                let path = path(directory);
                log::error!(
                    target: "midge",
                    "Error writing ports file ({}): {said}; choose another directory",
                    path.display()
                );
            }
        }
    }
}

/// The name of the file: after the program, as it was called, and its process.
pub(crate) fn path(directory: &Path) -> PathBuf {
    let name = program();
    directory.join(format!("{name}_{}.ports", std::process::id()))
}

/// The file, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct PortsFile(PathBuf);

impl Drop for PortsFile {
    fn drop(&mut self) {
        // It may be gone already, and nothing depends on it any more.
        let _ = fs::remove_file(&self.0);
    }
}

/// The addresses by which a listener can be reached: of one on all interfaces those of each, in its
/// family.
fn reachable(listening: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let mut ips = vec![listening.ip()];
    if listening.ip().is_unspecified() {
        let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
        let all = all.filter_map(|one| ip(&one.address?));
        let all: Vec<IpAddr> = all
            .filter(|ip| listening.is_ipv4() == ip.is_ipv4())
            .collect();
        if !all.is_empty() {
            ips = all;
        }
    }
    ips.into_iter()
        .map(move |ip| SocketAddr::new(ip, listening.port()))
}

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_listener_on_one_address_is_reached_there_and_one_on_all_by_each() {
        let one: Vec<SocketAddr> = reachable(addr("127.0.0.1:7")).collect();
        assert_eq!(one, [addr("127.0.0.1:7")]);
        let all: Vec<SocketAddr> = reachable(addr("0.0.0.0:7")).collect();
        assert!(all.contains(&addr("127.0.0.1:7")), "{all:?}");
        assert!(all.iter().all(SocketAddr::is_ipv4), "{all:?}");
        let all: Vec<SocketAddr> = reachable(addr("[::]:7")).collect();
        assert!(all.iter().all(SocketAddr::is_ipv6), "{all:?}");
    }

    #[test]
    fn the_file_lists_urls_by_kind() {
        let mut ports = Ports::default();
        ports.add("nats", "nats", &[addr("127.0.0.1:7"), addr("[::1]:7")]);
        ports.add("monitoring", "http", &[addr("[::1]:8")]);
        let text = Value::from(ports.0).to_string();
        let expected =
            r#"{"monitoring":["http://[::1]:8"],"nats":["nats://127.0.0.1:7","nats://[::1]:7"]}"#;
        assert_eq!(text, expected);
    }
}
