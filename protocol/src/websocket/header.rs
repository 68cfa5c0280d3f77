//! The header of a frame, read and written.

use std::fmt;

/// Most bytes of a control frame's payload.
pub const CONTROL_BYTES_MAX: usize = 125;

/// Most bytes of a header.
const HEAD_BYTES_MAX: usize = 14;

const FINAL: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// What the length is where it stands in two bytes more, and in eight.
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;

/// What a frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opcode {
    /// More of the message that has begun.
    Continuation,
    /// The beginning of a message that calls itself text.
    Text,
    /// The beginning of a message of bytes.
    Binary,
    /// The end.
    Close,
    /// To be answered with its payload.
    Ping,
    /// The answer.
    Pong,
}

impl Opcode {
    fn of(number: u8) -> Result<Opcode, Fault> {
        Ok(match number {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return Err(Fault::Opcode(number)),
        })
    }

    fn number(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xa,
        }
    }

    /// Whether it may stand between the frames of a message, and is none of them.
    #[must_use]
    pub fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// What stands in front of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Whether the message ends with this frame.
    pub is_final: bool,
    /// Whether the message that begins here is compressed (RFC 7692).
    pub is_compressed: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// What the payload is masked with, if it is.
    pub mask: Option<[u8; 4]>,
    /// Bytes of the payload.
    pub len: u64,
}

impl Header {
    /// That of a frame which is a message by itself, as a server sends it.
    #[must_use]
    pub fn of(opcode: Opcode, len: usize) -> Header {
        Header {
            is_final: true,
            is_compressed: false,
            opcode,
            mask: None,
            len: len as u64,
        }
    }

    /// The header with which `bytes` begin, and how many of them it is; `None` if it goes on behind them.
    ///
    /// # Errors
    /// What no header may say, whatever came before it.
    pub fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & RESERVED != 0 {
            return Err(Fault::Reserved);
        }
        let opcode = Opcode::of(first & OPCODE)?;
        let short = second & LENGTH;
        let (len, rest) = match short {
            IN_TWO => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return Ok(None),
            },
            IN_EIGHT => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            len => (u64::from(len), rest),
        };
        if len > i64::MAX as u64 {
            return Err(Fault::Length);
        }
        let (mask, rest) = match (second & MASKED != 0, rest.split_first_chunk()) {
            (false, _) => (None, rest),
            (true, Some((mask, rest))) => (Some(*mask), rest),
            (true, None) => return Ok(None),
        };
        let header = Header {
            is_final: first & FINAL != 0,
            is_compressed: first & COMPRESSED != 0,
            opcode,
            mask,
            len,
        };
        header.check()?;
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// What holds for control frames, and for the bit of compression.
    fn check(&self) -> Result<(), Fault> {
        let is_control = self.opcode.is_control();
        if is_control && !self.is_final {
            return Err(Fault::ControlInParts);
        }
        if is_control && self.len > CONTROL_BYTES_MAX as u64 {
            return Err(Fault::ControlTooLong);
        }
        if self.is_compressed && (is_control || self.opcode == Opcode::Continuation) {
            return Err(Fault::Compressed);
        }
        Ok(())
    }

    /// The bytes.
    #[must_use]
    pub fn head(&self) -> Head {
        let mut head = Head::EMPTY;
        let mut first = self.opcode.number();
        first |= if self.is_final { FINAL } else { 0 };
        first |= if self.is_compressed { COMPRESSED } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        match (u8::try_from(self.len), u16::try_from(self.len)) {
            (Ok(len), _) if len < IN_TWO => head.put(&[first, masked | len]),
            (_, Ok(len)) => {
                head.put(&[first, masked | IN_TWO]);
                head.put(&len.to_be_bytes());
            }
            _ => {
                head.put(&[first, masked | IN_EIGHT]);
                head.put(&self.len.to_be_bytes());
            }
        }
        head.put(self.mask.as_ref().map_or(&[], |mask| &mask[..]));
        head
    }
}

/// A header as it stands on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    len: u8,
}

impl Head {
    pub(super) const EMPTY: Head = Head {
        bytes: [0; HEAD_BYTES_MAX],
        len: 0,
    };

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

/// What is wrong with what came. Nothing behind it can be believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// A bit is set that nothing was agreed on for.
    Reserved,
    /// There is no such frame.
    Opcode(u8),
    /// The length has 64 bits.
    Length,
    /// A control frame is not final.
    ControlInParts,
    /// A control frame is longer than [`CONTROL_BYTES_MAX`].
    ControlTooLong,
    /// The bit of compression stands where it must not, or was not agreed on.
    Compressed,
    /// A client's frame is not masked.
    NotMasked,
    /// More of a message comes that has not begun.
    NothingToContinue,
    /// A message begins within another.
    NotContinued,
    /// A close frame has half a status.
    CloseTooShort,
    /// A close frame has a status that there is not.
    CloseStatus(u16),
    /// The text of a close frame is not UTF-8.
    CloseText,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Reserved => f.write_str("a reserved bit is set"),
            Fault::Opcode(number) => write!(f, "unknown opcode {number}"),
            Fault::Length => f.write_str("the frame is too long"),
            Fault::ControlInParts => f.write_str("a control frame must not be fragmented"),
            Fault::ControlTooLong => write!(
                f,
                "a control frame may have {CONTROL_BYTES_MAX} bytes at most"
            ),
            Fault::Compressed => f.write_str("the bit of compression must not be set here"),
            Fault::NotMasked => f.write_str("the frame is not masked"),
            Fault::NothingToContinue => f.write_str("there is no message to continue"),
            Fault::NotContinued => f.write_str("the message before is not complete"),
            Fault::CloseTooShort => f.write_str("the status of the close frame is cut off"),
            Fault::CloseStatus(code) => write!(f, "invalid close status {code}"),
            Fault::CloseText => f.write_str("the text of the close frame is not UTF-8"),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn opcode() -> impl Strategy<Value = Opcode> {
        (0..16u8).prop_filter_map("unknown", |number| Opcode::of(number).ok())
    }

    fn len() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..300u64,
            65_530..65_540u64,
            any::<u64>().prop_map(|len| len >> 1),
        ]
    }

    proptest! {
        #[test]
        fn a_header_is_read_as_written_and_not_before_it_is_there(
            is_final: bool,
            is_compressed: bool,
            opcode in opcode(),
            mask: Option<[u8; 4]>,
            len in len(),
        ) {
            let header = Header { is_final, is_compressed, opcode, mask, len };
            prop_assume!(header.check().is_ok());
            let head = header.head();
            let bytes = [head.bytes(), b"payload"].concat();
            prop_assert_eq!(Header::read(&bytes), Ok(Some((header, head.bytes().len()))));
            for cut in 0..head.bytes().len() {
                prop_assert_eq!(Header::read(&bytes[..cut]), Ok(None));
            }
        }
    }

    #[test]
    fn what_no_header_may_say_is_refused() {
        for (bytes, fault) in [
            (&[0xa2, 0x80, 0, 0, 0, 0][..], Fault::Reserved),
            (&[0x92, 0x80], Fault::Reserved),
            (&[0x83, 0x80], Fault::Opcode(3)),
            (&[0x8f, 0x80], Fault::Opcode(15)),
            (&[0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0], Fault::Length),
            (
                &[0x82, 0xff, 0xff, 255, 255, 255, 255, 255, 255, 255],
                Fault::Length,
            ),
            (&[0x09, 0], Fault::ControlInParts),
            (&[0x89, 126, 0, 126], Fault::ControlTooLong),
            (
                &[0x88, 127, 0, 0, 0, 0, 0, 0, 0, 126],
                Fault::ControlTooLong,
            ),
            (&[0xc9, 0], Fault::Compressed),
            (&[0xc0, 0], Fault::Compressed),
        ] {
            assert_eq!(Header::read(bytes), Err(fault), "{bytes:x?}");
        }
    }
}
