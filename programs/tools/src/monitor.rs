//! Just enough HTTP to ask a monitoring port.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use midge_text::host_port;
use serde_json::Value;

use super::connection::Error;

/// The port of monitoring, if no other is given.
const PORT: u16 = 8222;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of one answer: 1024 connections with their subscriptions take about a megabyte.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A monitoring port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Monitor {
    /// `host:port`.
    address: String,
    /// What stands before the names of endpoints: `/nats`, or nothing.
    base: String,
}

impl Monitor {
    /// Reads `8222`, `host`, `host:8222` or `http://host:8222/base`.
    pub(crate) fn parse(text: &str) -> Result<Monitor, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => {
                return Err(format!(
                    "{scheme}:// is not spoken here; write http://host:port"
                ));
            }
            None => text,
        };
        let (host, base) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let is_port = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit());
        let address = match is_port {
            true => host_port::server(&format!("127.0.0.1:{host}"), PORT)?,
            false => host_port::server(host, PORT)?,
        };
        Ok(Monitor {
            address,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks one endpoint, with its query.
    pub(super) fn get(&self, endpoint: &str) -> Result<Value, Error> {
        let url = format!("http://{}{}{endpoint}", self.address, self.base);
        let failed = |cause| Error::Monitor {
            url: url.clone(),
            cause,
        };
        let answer = self.ask(endpoint).map_err(failed)?;
        let foreign = |what: &str| Error::Foreign(format!("{url} {what}"));
        let (head, body) = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .map(|at| (&answer[..at], &answer[at + 4..]))
            .ok_or_else(|| foreign("does not speak HTTP"))?;
        let head = String::from_utf8_lossy(head);
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            return Err(foreign(&format!("answers with status {status}")));
        }
        serde_json::from_slice(body).map_err(|_| foreign("does not answer with JSON"))
    }

    /// By version 1.0, so that the answer comes in one piece and ends with the connection.
    fn ask(&self, endpoint: &str) -> std::io::Result<Vec<u8>> {
        let mut last = std::io::Error::from(ErrorKind::NotFound);
        for addr in self.address.to_socket_addrs()? {
            let mut stream = match TcpStream::connect_timeout(&addr, TIMEOUT) {
                Ok(stream) => stream,
                Err(error) => {
                    last = error;
                    continue;
                }
            };
            let end = Instant::now() + TIMEOUT;
            let (host, base) = (&self.address, &self.base);
            let ask = format!("GET {base}{endpoint} HTTP/1.0\r\nHost: {host}\r\n\r\n");
            stream.write_all(ask.as_bytes())?;
            let mut answer = Vec::new();
            let mut piece = [0; 16 * 1024];
            while answer.len() < ANSWER_BYTES_MAX {
                // All of it has to come in time, however it drips.
                let left = end.saturating_duration_since(Instant::now());
                stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
                match stream.read(&mut piece)? {
                    0 => break,
                    len => answer.extend_from_slice(&piece[..len]),
                }
                if end <= Instant::now() {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            return Ok(answer);
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_is_a_port_a_host_or_a_url() {
        for (text, address, base) in [
            ("8223", "127.0.0.1:8223", ""),
            ("h", "h:8222", ""),
            ("h:1", "h:1", ""),
            ("[::1]", "[::1]:8222", ""),
            ("::1", "[::1]:8222", ""),
            ("http://h:1/", "h:1", ""),
            ("http://h/nats/", "h:8222", "/nats"),
        ] {
            let monitor = Monitor::parse(text).expect(text);
            assert_eq!((&*monitor.address, &*monitor.base), (address, base));
        }
        for text in ["", "https://h", "http:///x", "0", "65536", ":8222"] {
            assert!(Monitor::parse(text).is_err(), "{text}");
        }
    }
}
