//! Just enough HTTP to ask a monitoring port.

use std::fmt;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use midge_dial::{Certificates, Encryption, Fault, Server, Stream};
use midge_text::host_port;
use serde_json::Value;

use super::connection::Error;

/// The port of monitoring, if no other is given.
const PORT: u16 = 8222;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of one answer: 1024 connections with their subscriptions take about a megabyte.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How it is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// A monitoring port.
#[derive(Clone)]
pub(crate) struct Monitor {
    /// `host:port`, by TLS or not.
    server: Server,
    /// What stands before the names of endpoints: `/nats`, or nothing.
    base: String,
    /// The field `Authorization`, if there are credentials.
    authorization: Option<String>,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("address", &self.server.address)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl Monitor {
    /// Reads `8222`, `host`, `host:8222`, `http://host:8222/base`, `http://user:password@host` or
    /// `http://token@host`; the same with `https://`.
    pub(crate) fn parse(text: &str) -> Result<Monitor, String> {
        let (encryption, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Encryption::AsBroker, rest),
            Some(("https", rest)) => (Encryption::First, rest),
            Some((scheme, _)) => {
                return Err(format!(
                    "{scheme}:// is not spoken here; write http://host:port or https://host:port"
                ));
            }
            None => (Encryption::AsBroker, text),
        };
        let (host, base) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (secrets, host) = match host.rsplit_once('@') {
            Some((secrets, host)) => (Some(secrets), host),
            None => (None, host),
        };
        let authorization = secrets.map(|secrets| match secrets.contains(':') {
            true => format!("Basic {}", BASE64.encode(secrets.as_bytes())),
            false => format!("Bearer {secrets}"),
        });
        let is_port = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit());
        let address = match is_port {
            true => host_port::server(&format!("127.0.0.1:{host}"), PORT)?,
            false => host_port::server(host, PORT)?,
        };
        Ok(Monitor {
            server: Server {
                address,
                encryption,
                ..Server::default()
            },
            base: base.trim_end_matches('/').to_owned(),
            authorization,
        })
    }

    /// The same, whose certificate is held against these, if it has one.
    pub(crate) fn trusting(mut self, certificates: Certificates) -> Monitor {
        self.server.certificates = certificates;
        self
    }

    /// `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.server.address
    }

    /// Asks one endpoint, with its query.
    pub(super) fn get(&self, endpoint: &str) -> Result<Value, Error> {
        self.ask_json(Method::Get, endpoint)
    }

    /// As [`get`](Monitor::get), by another method.
    pub(super) fn ask_json(&self, method: Method, endpoint: &str) -> Result<Value, Error> {
        let scheme = match self.server.is_tls_first() {
            true => "https",
            false => "http",
        };
        let (address, base) = (self.address(), &self.base);
        let url = format!("{scheme}://{address}{base}{endpoint}");
        let failed = |fault: Fault| match fault {
            Fault::Connect(cause) | Fault::Io(cause) => Error::Monitor {
                url: url.clone(),
                cause,
            },
            fault => Error::Foreign(format!("{url}: {fault}")),
        };
        let answer = self.ask(method, endpoint).map_err(failed)?;
        let foreign = |what: &str| Error::Foreign(format!("{url} {what}"));
        let (head, body) = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .map(|at| (&answer[..at], &answer[at + 4..]))
            .ok_or_else(|| foreign("does not speak HTTP"))?;
        let head = String::from_utf8_lossy(head);
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            let hint = match status {
                "401" => "; give the credentials, as http://user:password@host:port".to_owned(),
                // A word of a broker, and not a page for people.
                _ if body.len() <= 512 => format!(": {}", String::from_utf8_lossy(body).trim()),
                _ => String::new(),
            };
            return Err(foreign(&format!("answers with status {status}{hint}")));
        }
        serde_json::from_slice(body).map_err(|_| foreign("does not answer with JSON"))
    }

    /// By version 1.0, so that the answer comes in one piece and ends with the connection.
    fn ask(&self, method: Method, endpoint: &str) -> Result<Vec<u8>, Fault> {
        // All of it has to come in time, however it drips.
        let end = Some(Instant::now() + TIMEOUT);
        let mut stream = Stream::open(&self.server, end)?;
        let (host, base) = (self.address(), &self.base);
        let method = match method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let authorization = match &self.authorization {
            Some(value) => format!("Authorization: {value}\r\n"),
            None => String::new(),
        };
        let ask =
            format!("{method} {base}{endpoint} HTTP/1.0\r\nHost: {host}\r\n{authorization}\r\n");
        stream.write_all(ask.as_bytes()).map_err(Fault::Io)?;
        let mut answer = Vec::new();
        while answer.len() < ANSWER_BYTES_MAX {
            if stream.read(&mut answer, end).map_err(Fault::Io)? == 0 {
                break;
            }
        }
        Ok(answer)
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
            ("https://h:1/", "h:1", ""),
        ] {
            let monitor = Monitor::parse(text).expect(text);
            assert_eq!((monitor.address(), &*monitor.base), (address, base));
            let is_https = text.starts_with("https");
            assert_eq!(monitor.server.is_tls_first(), is_https, "{text}");
        }
        for (text, authorization) in [
            ("http://ann:p@ss@h:1/nats", Some("Basic YW5uOnBAc3M=")),
            ("http://tok@h", Some("Bearer tok")),
            ("h", None),
        ] {
            let monitor = Monitor::parse(text).expect(text);
            assert_eq!(monitor.authorization.as_deref(), authorization);
        }
        for text in ["", "ftp://h", "http:///x", "0", "65536", ":8222"] {
            assert!(Monitor::parse(text).is_err(), "{text}");
        }
    }
}
