//! What goes back: status lines, fields, and the texts of refusals.

use crate::monitor::endpoints::Field;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::monitor) struct Status(pub(super) u16, pub(super) &'static str);

pub(in crate::monitor) const OK: Status = Status(200, "OK");
pub(in crate::monitor) const MOVED: Status = Status(301, "Moved Permanently");
pub(in crate::monitor) const BAD_REQUEST: Status = Status(400, "Bad Request");
pub(in crate::monitor) const UNAUTHORIZED: Status = Status(401, "Unauthorized");
pub(in crate::monitor) const FORBIDDEN: Status = Status(403, "Forbidden");
pub(in crate::monitor) const NOT_FOUND: Status = Status(404, "Not Found");
pub(in crate::monitor) const INTERNAL_ERROR: Status = Status(500, "Internal Server Error");
pub(in crate::monitor) const UNAVAILABLE: Status = Status(503, "Service Unavailable");

/// Why a request is not answered and its connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::monitor) enum Refusal {
    /// This is no HTTP.
    Malformed,
    /// HTTP/1.1 demands the field `Host`, once.
    NoHost,
    /// It did not come in time.
    Timeout,
    /// The body is too large.
    BodyTooLarge,
    /// The head is too large.
    HeadTooLarge,
    /// A body in chunks: its end cannot be told before it has come.
    BodyInChunks,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    Version,
}

impl Refusal {
    /// The status, and the text for the person who asked.
    pub(in crate::monitor) fn status_and_text(self) -> (Status, &'static str) {
        match self {
            Refusal::Malformed => (BAD_REQUEST, "this is no HTTP request"),
            Refusal::NoHost => (BAD_REQUEST, "one field Host is required"),
            Refusal::Timeout => (
                Status(408, "Request Timeout"),
                "the request did not come in time",
            ),
            Refusal::BodyTooLarge => (
                Status(413, "Content Too Large"),
                "no endpoint reads a body; send none",
            ),
            Refusal::HeadTooLarge => (
                Status(431, "Request Header Fields Too Large"),
                "the head of a request may have 8192 bytes and 64 fields",
            ),
            Refusal::BodyInChunks => (
                Status(501, "Not Implemented"),
                "no endpoint reads a body; send none",
            ),
            Refusal::Version => (
                Status(505, "HTTP Version Not Supported"),
                "use HTTP/1.1 or HTTP/1.0",
            ),
        }
    }
}

/// How long a body is, as its receiver is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::monitor) enum Framing {
    /// This number of bytes.
    Length(usize),
    /// In chunks, each behind its length.
    Chunks,
    /// To the end of the connection, for HTTP/1.0.
    UntilClose,
}

/// Appends the head of an answer.
pub(in crate::monitor) fn head(
    out: &mut Vec<u8>,
    status: Status,
    fields: &[Field],
    framing: Framing,
    keep_alive: bool,
    now: Timestamp,
) {
    let mut text = format!("HTTP/1.1 {} {}\r\n", status.0, status.1);
    let mut field = |name: &str, value: &str| {
        text.extend([name, ": ", value, "\r\n"]);
    };
    for (name, value) in fields {
        field(name, value);
    }
    // Years beyond 9999 have no such date.
    if let Ok(date) = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
        field("Date", &date);
    }
    match framing {
        Framing::Length(len) => field("Content-Length", &len.to_string()),
        Framing::Chunks => field("Transfer-Encoding", "chunked"),
        Framing::UntilClose => {}
    }
    if !keep_alive {
        field("Connection", "close");
    }
    text.push_str("\r\n");
    out.extend_from_slice(text.as_bytes());
}

/// Appends one chunk; an empty one would end the body.
pub(in crate::monitor) fn chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}

/// What ends a body in chunks.
pub(in crate::monitor) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
