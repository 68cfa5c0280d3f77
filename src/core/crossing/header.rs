//! The header by which a request tells the account that serves it who asks: `Nats-Request-Info: {"acc":"B"}`.
//!
//! A line of that name that the client has written itself is dropped: no client may pass for another account.

const VERSION: &[u8] = b"NATS/1.0";
const NAME: &[u8] = b"Nats-Request-Info";
const LINE_END: &[u8] = b"\r\n";

/// The line of an account of this name.
pub(super) fn requester(account: &str) -> Box<[u8]> {
    let account = serde_json::Value::from(account).to_string();
    let value = format!("{{\"acc\":{account}}}");
    [NAME, b": ", value.as_bytes(), LINE_END].concat().into()
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
        let line = requester("a \"B\"");
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
}
