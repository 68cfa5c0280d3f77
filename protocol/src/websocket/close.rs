//! The end: why a side closes, as a number and a text.

use super::header::{CONTROL_BYTES_MAX, Fault, Header, Opcode};
use crate::encode::Sink;
use std::str;

/// Most bytes of the text in a close frame.
pub const CLOSE_TEXT_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// Why a side closes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status(u16);

impl Status {
    /// It has done what it wanted.
    pub const NORMAL: Status = Status(1000);
    /// It goes: a server that stops, a page that is left.
    pub const GOING_AWAY: Status = Status(1001);
    /// The other side has broken the protocol.
    pub const PROTOCOL: Status = Status(1002);
    /// What came is not what it said to be: compressed, or text.
    pub const INVALID_DATA: Status = Status(1007);
    /// The other side does what it may not.
    pub const POLICY: Status = Status(1008);
    /// What came is too large.
    pub const TOO_BIG: Status = Status(1009);
    /// Something else.
    pub const INTERNAL: Status = Status(1011);

    /// The number.
    #[must_use]
    pub fn code(self) -> u16 {
        self.0
    }

    /// Appends a frame that says this with a text, of which what is too long is left out. Not masked: a server's.
    pub fn write<S: Sink>(self, out: &mut S, text: &str) {
        let mut len = text.len().min(CLOSE_TEXT_BYTES_MAX);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        let text = &text[..len];
        out.put(Header::of(Opcode::Close, 2 + text.len()).head().bytes());
        out.put(&self.0.to_be_bytes());
        out.put(text.as_bytes());
    }

    /// What a close frame says, if it says anything.
    pub(super) fn of_payload(payload: &[u8]) -> Result<Option<Status>, Fault> {
        match payload {
            [] => Ok(None),
            [_] => Err(Fault::CloseTooShort),
            [high, low, text @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if !is_said(code) {
                    return Err(Fault::CloseStatus(code));
                }
                match str::from_utf8(text) {
                    Ok(_) => Ok(Some(Status(code))),
                    Err(_) => Err(Fault::CloseText),
                }
            }
        }
    }
}

/// Whether a number may stand in a frame. Some only tell a program what has become of its connection.
fn is_said(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_ends_between_two_characters() {
        let mut out = Vec::new();
        Status::POLICY.write(&mut out, &"ä".repeat(100));
        assert_eq!(out[..4], [0x88, 124, 0x03, 0xf0]);
        assert_eq!(str::from_utf8(&out[4..]).expect("whole").len(), 122);
    }

    #[test]
    fn a_status_is_read_as_written_and_others_are_refused() {
        for (payload, expected) in [
            (&b""[..], Ok(None)),
            (b"\x03\xe8", Ok(Some(Status::NORMAL))),
            (b"\x03\xf0why", Ok(Some(Status::POLICY))),
            (b"\x0f\xa0", Ok(Some(Status(4000)))),
            (b"\x03", Err(Fault::CloseTooShort)),
            (b"\x03\xed", Err(Fault::CloseStatus(1005))),
            (b"\x03\xee", Err(Fault::CloseStatus(1006))),
            (b"\x00\x01", Err(Fault::CloseStatus(1))),
            (b"\x03\xe8\xff", Err(Fault::CloseText)),
        ] {
            assert_eq!(Status::of_payload(payload), expected, "{payload:?}");
        }
    }
}
