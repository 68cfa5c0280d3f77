//! The header by which a request tells the account that serves it who asks: `Nats-Request-Info: {"acc":"B","rtt":52000}`.
//!
//! A line of that name that the client has written itself is dropped: no client may pass for another account.

use super::about::About;
use std::io::Write;

const VERSION: &[u8] = b"NATS/1.0";
const NAME: &[u8] = b"Nats-Request-Info";
const LINE_END: &[u8] = b"\r\n";

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requester<'a> {
    /// The account of the client, and the one that the request has come to the present one from, where that is another:
    /// as JSON.
    pub(super) account: &'a str,
    pub(super) service: Option<&'a str>,
    /// The last one measured, in nanoseconds; 0 is none.
    pub(super) round_trip: u32,
    /// More about the client, where its account shares that.
    pub(super) about: Option<&'a About>,
}

impl Requester<'_> {
    /// Appends it as a JSON object.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let [first, middle, last] = self.about.map_or([""; 3], About::parts);
        out.push(b'{');
        out.extend_from_slice(first.as_bytes());
        out.extend_from_slice(b"\"acc\":");
        out.extend_from_slice(self.account.as_bytes());
        if let Some(service) = self.service {
            out.extend_from_slice(b",\"svc\":");
            out.extend_from_slice(service.as_bytes());
        }
        out.extend_from_slice(middle.as_bytes());
        if self.round_trip > 0 {
            let written = write!(out, ",\"rtt\":{}", self.round_trip);
            debug_assert!(written.is_ok(), "a vector takes everything");
        }
        out.extend_from_slice(last.as_bytes());
        out.push(b'}');
    }

    /// Puts the line that tells it into `line`, in place of what is there.
    pub(super) fn put_line(&self, line: &mut Vec<u8>) {
        line.clear();
        line.extend_from_slice(NAME);
        line.extend_from_slice(b": ");
        self.put(line);
        line.extend_from_slice(LINE_END);
    }
}

/// What such a line tells.
pub(super) fn told(line: &[u8]) -> &[u8] {
    let told = line.get(NAME.len() + 2..line.len() - LINE_END.len());
    told.unwrap_or_default()
}

/// A name as JSON.
pub(super) fn quoted(name: &str) -> Box<str> {
    serde_json::Value::from(name).to_string().into()
}

/// Puts a header block that holds what `header` does and the line of a requester into `out`. `header` is empty, or what
/// a client has sent as a block.
pub(super) fn put(header: &[u8], requester: &[u8], out: &mut Vec<u8>) {
    let mut lines = header.split_inclusive(|byte| *byte == b'\n');
    match lines.next() {
        None => {
            out.extend_from_slice(VERSION);
            out.extend_from_slice(LINE_END);
        }
        Some(first) => {
            out.extend_from_slice(first);
            if !first.ends_with(b"\n") {
                out.extend_from_slice(LINE_END);
            }
        }
    }
    for line in lines {
        if is_blank(line) {
            break;
        }
        if !is_requester(line) {
            out.extend_from_slice(line);
            if !line.ends_with(b"\n") {
                out.extend_from_slice(LINE_END);
            }
        }
    }
    out.extend_from_slice(requester);
    out.extend_from_slice(LINE_END);
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// Whether a line has the name, in whatever letters.
fn is_requester(line: &[u8]) -> bool {
    let name = line.iter().position(|byte| *byte == b':');
    let name = name.and_then(|end| line.get(..end)).unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_tells_its_account_and_no_other_one() {
        let requester = Requester {
            account: &quoted("a \"B\""),
            service: None,
            round_trip: 0,
            about: None,
        };
        let mut line = Vec::new();
        requester.put_line(&mut line);
        assert_eq!(told(&line), br#"{"acc":"a \"B\""}"#);
        for (header, expected) in [
            ("", "NATS/1.0\r\n"),
            ("NATS/1.0\r\n\r\n", "NATS/1.0\r\n"),
            (
                "NATS/1.0\r\nA: b\r\nC: d\r\n\r\n",
                "NATS/1.0\r\nA: b\r\nC: d\r\n",
            ),
            (
                "NATS/1.0\r\nnats-request-INFO : {\"acc\":\"C\"}\r\nA: b\r\n\r\n",
                "NATS/1.0\r\nA: b\r\n",
            ),
            // What is no header block is not made one, and comes no further than it would.
            ("NATS/1.0 503 No\r\n\r\n", "NATS/1.0 503 No\r\n"),
            ("x", "x\r\n"),
            ("NATS/1.0\r\nA: b", "NATS/1.0\r\nA: b\r\n"),
        ] {
            let mut out = Vec::new();
            put(header.as_bytes(), &line, &mut out);
            let expected =
                format!("{expected}Nats-Request-Info: {{\"acc\":\"a \\\"B\\\"\"}}\r\n\r\n");
            assert_eq!(String::from_utf8_lossy(&out), expected, "{header:?}");
        }
    }

    #[test]
    fn a_requester_is_told_with_as_much_as_is_known_of_it() {
        let about = About {
            first: "\"id\":7,".into(),
            middle: ",\"name\":\"n\"".into(),
            last: ",\"kind\":\"Client\"".into(),
        };
        let bare = Requester {
            account: "\"C\"",
            service: None,
            round_trip: 0,
            about: None,
        };
        let timed = Requester {
            round_trip: 5,
            ..bare
        };
        let whole = Requester {
            service: Some("\"B\""),
            about: Some(&about),
            ..timed
        };
        for (requester, expected) in [
            (bare, r#"{"acc":"C"}"#),
            (timed, r#"{"acc":"C","rtt":5}"#),
            (
                whole,
                r#"{"id":7,"acc":"C","svc":"B","name":"n","rtt":5,"kind":"Client"}"#,
            ),
        ] {
            let mut out = Vec::new();
            requester.put(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
