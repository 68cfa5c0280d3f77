//! What names stand for.

use super::Sim;
use super::net::{Net, nanos};
use crate::{Answer, Key, OffloadJob};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How long a slow lookup may take.
const SLOW_MAX: Duration = Duration::from_secs(30);

impl Sim {
    /// Lets `name` stand for `addrs` wherever it is looked up from now on, in this order: see
    /// [`Context::resolve`](crate::Context::resolve). With no address at all, the name is unknown.
    ///
    /// The name of a host stands for its address without being told so, and `localhost` for the
    /// host that asks.
    pub fn name(&mut self, name: &str, addrs: &[IpAddr]) {
        let mut net = self.net.borrow_mut();
        net.names.insert(name.to_owned(), addrs.to_vec());
    }
}

impl Net {
    pub(super) fn resolve(
        &mut self,
        host: usize,
        name: &str,
        port: u16,
        answer: Answer<io::Result<Vec<SocketAddr>>>,
        threads: usize,
    ) {
        let found = self.lookup(name, port);
        let (failed, slow) = (self.faults.lookup_failed, self.faults.lookup_slow);
        let rng = &mut self.rng.lookup;
        let fails = rng.chance(failed);
        let max = match rng.chance(slow) {
            true => SLOW_MAX,
            false => self.faults.job_max,
        };
        let time = rng.up_to(nanos(max));
        let text = match fails {
            true => "lookup, to fail",
            false => "lookup",
        };
        self.note(host, Key::NONE, text, Some(port.into()));
        let job = OffloadJob::new(move || {
            answer.give(match fails {
                true => Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "no name server answers",
                )),
                false => found,
            });
        });
        self.offload_for(host, job, time, threads);
    }

    pub(super) fn lookup(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let ips: Vec<IpAddr> = match self.names.get(name) {
            Some(ips) => ips.clone(),
            None if name == "localhost" => vec![Ipv4Addr::LOCALHOST.into()],
            None => {
                let hosts = self.hosts.iter().enumerate();
                let named = hosts.filter(|(index, _)| self.history.name_of(*index) == Some(name));
                named.map(|(_, host)| host.ip).collect()
            }
        };
        if ips.is_empty() {
            return Err(io::Error::new(
                ErrorKind::NotFound,
                "nobody knows this name",
            ));
        }
        let addrs = ips.into_iter().map(|ip| SocketAddr::new(ip, port));
        Ok(addrs.collect())
    }
}
