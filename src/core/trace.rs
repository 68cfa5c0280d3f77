//! Traces: each op as it passes, `<<-` from a client, `->>` to it, `<->` within.
//!
//! Every function here looks first whether traces are on, which costs one load; only then is
//! anything formatted. Secrets never get this far: `CONNECT` is shown by `redacted`.

use crate::core::receiver::Label;
use log::{Level, log_enabled, trace};
use midge_protocol::{ClientOp, Publish, Violation, redacted};
use std::fmt;

/// A byte string as a log may show it: in double quotes, everything unprintable escaped.
struct Quoted<'a>(&'a [u8], usize);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quoted(bytes, max) = *self;
        let cut = max > 0 && bytes.len() > max;
        let shown = if cut { &bytes[..max] } else { bytes };
        f.write_str("\"")?;
        for chunk in shown.utf8_chunks() {
            write!(f, "{}", chunk.valid().escape_debug())?;
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        f.write_str(if cut { "...\"" } else { "\"" })
    }
}

/// Arguments of an op: words, separated by blanks, with nothing in them that could end the line.
struct Words<'a>(&'a [&'a [u8]]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for word in self.0 {
            f.write_str(" ")?;
            for chunk in word.utf8_chunks() {
                for char in chunk.valid().chars() {
                    if char.is_control() {
                        write!(f, "{}", char.escape_default())?;
                    } else {
                        write!(f, "{char}")?;
                    }
                }
                write!(f, "{}", chunk.invalid().escape_ascii())?;
            }
        }
        Ok(())
    }
}

/// Most bytes of a [`Text`]: more than any reason takes.
const TEXT_BYTES_MAX: usize = 256;

/// What others say, in a line of the log: it cannot end the line, move a cursor, turn what stands behind it, or fill the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = TEXT_BYTES_MAX;
        for char in self.0.chars() {
            let Some(rest) = left.checked_sub(char.len_utf8()) else {
                return f.write_str("...");
            };
            left = rest;
            let is_obeyed = matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if char.is_control() || is_obeyed {
                write!(f, "{}", char.escape_default())?;
            } else {
                write!(f, "{char}")?;
            }
        }
        Ok(())
    }
}

/// Whether traces are wanted: one load.
#[inline]
pub(crate) fn is_on() -> bool {
    log_enabled!(target: "midge", Level::Trace)
}

/// An op has come from a client. Payloads are cut at `traced_bytes_max`, if that is not zero.
pub(crate) fn received(label: &Label, op: &ClientOp<'_>, traced_bytes_max: usize) {
    if !is_on() {
        return;
    }
    match *op {
        ClientOp::Connect { json } => inbound(label, &format_args!("CONNECT {}", redacted(json))),
        ClientOp::Publish(ref message) => {
            let name = if message.header_size().is_empty() {
                "PUB"
            } else {
                "HPUB"
            };
            let words = [&[message.subject()][..], &sizes(message)].concat();
            inbound(label, &format_args!("{name}{}", Words(&words)));
            let body = Quoted(message.payload(), traced_bytes_max);
            trace!(target: "midge", "{label} - <<- MSG_PAYLOAD: [{body}]");
        }
        ClientOp::Subscribe {
            subject,
            queue,
            sid,
        } => {
            let words: Vec<&[u8]> = [Some(subject), queue, Some(sid)]
                .into_iter()
                .flatten()
                .collect();
            inbound(label, &format_args!("SUB{}", Words(&words)));
        }
        ClientOp::Unsubscribe { sid, max: None } => {
            inbound(label, &format_args!("UNSUB{}", Words(&[sid])));
        }
        ClientOp::Unsubscribe {
            sid,
            max: Some(max),
        } => {
            inbound(label, &format_args!("UNSUB{} {max}", Words(&[sid])));
        }
        ClientOp::Ping => inbound(label, &"PING"),
        ClientOp::Pong => inbound(label, &"PONG"),
        ClientOp::Ok => inbound(label, &"+OK"),
        ClientOp::Info { .. } => inbound(label, &"INFO"),
    }
}

/// A message goes to `to`, in place of the subject that it was published to; to none, if it is lost.
pub(crate) fn mapped(label: &Label, from: &[u8], to: &[u8]) {
    if is_on() {
        inbound(
            label,
            &format_args!("MAPPING{} ->{}", Words(&[from]), Words(&[to])),
        );
    }
}

/// A message was queued for a client, which takes headers or not.
pub(crate) fn delivered(label: &Label, headers: bool, sid: &[u8], message: &Publish<'_>) {
    if !is_on() {
        return;
    }
    let name = if headers && !message.header().is_empty() {
        "HMSG"
    } else {
        "MSG"
    };
    let words = [&[message.subject(), sid][..], &sizes(message)].concat();
    sent(label, &format_args!("{name}{}", Words(&words)));
}

/// A subscription has had its last message.
pub(crate) fn ended(label: &Label, sid: &[u8]) {
    if is_on() {
        trace!(target: "midge", "{label} - <-> [DELSUB{}]", Words(&[sid]));
    }
}

/// Something else was queued for a client.
pub(crate) fn sent(label: &Label, what: &dyn fmt::Display) {
    if is_on() {
        trace!(target: "midge", "{label} - ->> [{what}]");
    }
}

/// A violation was told to a client.
pub(crate) fn told(label: &Label, violation: &Violation<'_>) {
    if is_on() && !violation.is_silent() {
        sent(label, &format_args!("-ERR {violation}"));
    }
}

fn inbound(label: &Label, what: &dyn fmt::Display) {
    trace!(target: "midge", "{label} - <<- [{what}]");
}

/// What follows the subject (and the sid): reply and sizes.
fn sizes<'a>(message: &Publish<'a>) -> Vec<&'a [u8]> {
    let header_size = Some(message.header_size()).filter(|digits| !digits.is_empty());
    [message.reply(), header_size, Some(message.size())]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_sent_can_neither_end_a_line_nor_colour_a_terminal() {
        let bytes = b"a\"b\n\x1b[31m\xff\xc3\xa9";
        assert_eq!(
            Quoted(bytes, 0).to_string(),
            "\"a\\\"b\\n\\u{1b}[31m\\xffé\""
        );
        assert_eq!(Words(&[b"a\rb", b"\xfe"]).to_string(), " a\\rb \\xfe");
        assert_eq!(Quoted(b"abcdef", 5).to_string(), "\"abcde...\"");
    }
}
