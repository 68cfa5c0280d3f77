//! A client of HTTP/1.1 for tests: one connection, one request after the other.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A server that has been silent for so long hangs. Passing tests never wait for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body, which is JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {}", self.body))
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Http(BufReader<TcpStream>);

impl Http {
    pub(crate) fn connect(addr: SocketAddr) -> Http {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("monitoring is served");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("the socket is open");
        Http(BufReader::new(stream))
    }

    /// Sends exactly these bytes.
    pub(crate) fn send(&mut self, bytes: &str) {
        self.0
            .get_mut()
            .write_all(bytes.as_bytes())
            .expect("the server reads");
    }

    /// Asks for `target`.
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.response(false).expect("an answer comes")
    }

    /// Reads the next answer; that to a `HEAD` has no body.
    pub(crate) fn response(&mut self, head_only: bool) -> io::Result<Response> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut response = Response {
            status: status.unwrap_or_else(|| panic!("not a status line: {line:?}")),
            fields: Vec::new(),
            body: String::new(),
        };
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                assert_eq!(line, "", "a field has a name and a value");
                break;
            };
            response
                .fields
                .push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut body = Vec::new();
        if head_only {
        } else if response.field("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line()?;
                let len = usize::from_str_radix(&line, 16).expect("a chunk begins with its length");
                let start = body.len();
                body.resize(start + len, 0);
                self.0.read_exact(&mut body[start..])?;
                assert_eq!(self.line()?, "", "a chunk ends with its line");
                if len == 0 {
                    break;
                }
            }
        } else if let Some(len) = response.field("content-length") {
            body.resize(len.parse().expect("a length is a number"), 0);
            self.0.read_exact(&mut body)?;
        } else {
            self.0.read_to_end(&mut body)?;
        }
        response.body = String::from_utf8(body).expect("all that is told is text");
        Ok(response)
    }

    /// Whether the server has ended the connection.
    pub(crate) fn is_at_end(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.strip_suffix("\r\n");
        Ok(text.expect("a line ends with CR LF").to_owned())
    }
}

/// Asks for `target` on a connection of its own.
pub(crate) fn get(addr: SocketAddr, target: &str) -> Response {
    Http::connect(addr).get(target)
}
