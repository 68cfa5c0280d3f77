//! Messages as these commands show them.

use std::io::{self, Write};

use super::plain;
use midge_protocol::{Delivery, encode};
use midge_text::quantity::plural;
use serde_json::{Map, Value, json};

/// The first line of a header block without a status.
const VERSION: &[u8] = b"NATS/1.0";

/// A message that has come.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) reply: Option<String>,
    /// The header block as it came, empty for none.
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

/// How messages are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Show {
    /// For people: a line about it, its headers, its payload, without what a terminal obeys.
    Text,
    /// The payloads alone, a line each.
    Raw,
    /// One JSON object on a line.
    Json,
}

impl Message {
    pub(super) fn of(delivery: &Delivery<'_>) -> Message {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Message {
            subject: text(delivery.subject),
            reply: delivery.reply.map(text),
            header: delivery.header.to_vec(),
            payload: delivery.payload.to_vec(),
        }
    }

    /// The number and text behind the version: `503`, as brokers have it.
    pub(super) fn status(&self) -> Option<String> {
        let line = self.header.split(|byte| *byte == b'\r').next()?;
        let status = line.strip_prefix(VERSION)?.trim_ascii();
        (!status.is_empty()).then(|| String::from_utf8_lossy(status).into_owned())
    }

    /// Names and values, in the order in which they came.
    fn headers(&self) -> Vec<(String, String)> {
        let text = String::from_utf8_lossy(&self.header);
        let lines = text.split("\r\n").skip(1);
        let pairs = lines.filter_map(|line| line.split_once(':'));
        pairs
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect()
    }

    /// Writes the message, the `number`-th of its kind.
    pub(super) fn show(&self, number: u64, how: Show, out: &mut impl Write) -> io::Result<()> {
        match how {
            Show::Text => {
                let bytes = plural(self.payload.len() as u64, "byte");
                let subject = plain::line(&self.subject);
                write!(out, "[{number}] {subject} {bytes}")?;
                if let Some(reply) = &self.reply {
                    write!(out, ", reply to {}", plain::line(reply))?;
                }
                if let Some(status) = self.status() {
                    write!(out, ", status {}", plain::line(&status))?;
                }
                out.write_all(b"\n")?;
                for (name, value) in self.headers() {
                    writeln!(out, "{}: {}", plain::line(&name), plain::line(&value))?;
                }
                let payload = String::from_utf8_lossy(&self.payload);
                writeln!(out, "{}", plain::lines(&payload))?;
            }
            Show::Raw => {
                out.write_all(&self.payload)?;
                out.write_all(b"\n")?;
            }
            Show::Json => writeln!(out, "{}", self.json())?,
        }
        out.flush()
    }

    /// Shape: `{"subject":..,"reply":..,"status":..,"headers":{"Name":["value"]},"payload":..}`, without
    /// what there is not; what is not UTF-8 is in `payload_bytes`, as numbers.
    fn json(&self) -> Value {
        let mut object = json!({ "subject": self.subject });
        if let Some(reply) = &self.reply {
            object["reply"] = json!(reply);
        }
        if let Some(status) = self.status() {
            object["status"] = json!(status);
        }
        let mut headers = Map::new();
        for (name, value) in self.headers() {
            let values = headers.entry(name).or_insert_with(|| json!([]));
            if let Some(values) = values.as_array_mut() {
                values.push(json!(value));
            }
        }
        if !headers.is_empty() {
            object["headers"] = headers.into();
        }
        match std::str::from_utf8(&self.payload) {
            Ok(text) => object["payload"] = json!(text),
            Err(_) => object["payload_bytes"] = json!(self.payload),
        }
        object
    }
}

/// Appends a publish, with headers if there are any: `Name: value` each.
pub(super) fn publish(
    out: &mut Vec<u8>,
    subject: &str,
    reply: Option<&str>,
    headers: &[String],
    payload: &[u8],
) {
    let (subject, reply) = (subject.as_bytes(), reply.map(str::as_bytes));
    if headers.is_empty() {
        return encode::publish(out, subject, reply, payload);
    }
    let mut block = [VERSION, b"\r\n"].concat();
    for header in headers {
        block.extend_from_slice(header.as_bytes());
        block.extend_from_slice(b"\r\n");
    }
    block.extend_from_slice(b"\r\n");
    encode::hpublish(out, subject, reply, &block, payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(header: &str, payload: &[u8]) -> Message {
        Message {
            subject: "foo".to_owned(),
            reply: Some("bar".to_owned()),
            header: header.as_bytes().to_vec(),
            payload: payload.to_vec(),
        }
    }

    fn shown(message: &Message, how: Show) -> String {
        let mut out = Vec::new();
        message.show(7, how, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_message_is_shown_for_people_and_for_programs() {
        let one = message("NATS/1.0\r\nA: b\r\nA: c:d\r\n\r\n", b"hello");
        let text = "[7] foo 5 bytes, reply to bar\nA: b\nA: c:d\nhello\n";
        assert_eq!(shown(&one, Show::Text), text);
        assert_eq!(shown(&one, Show::Raw), "hello\n");
        let json =
            r#"{"headers":{"A":["b","c:d"]},"payload":"hello","reply":"bar","subject":"foo"}"#;
        assert_eq!(shown(&one, Show::Json), format!("{json}\n"));
        let one = message("NATS/1.0 503\r\n\r\n", b"\xff");
        assert_eq!(one.status().as_deref(), Some("503"));
        let json = r#"{"payload_bytes":[255],"reply":"bar","status":"503","subject":"foo"}"#;
        assert_eq!(shown(&one, Show::Json), format!("{json}\n"));
        assert_eq!(message("", b"").status(), None);
    }
}
