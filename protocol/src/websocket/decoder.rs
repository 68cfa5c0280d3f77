//! `Decoder`: payloads and control frames out of bytes that come in any pieces.
//!
//! ```text
//! left <= len of the frame
//! kept < length of the header of which it is the beginning
//! control.len <= CONTROL_BYTES_MAX
//! ```

use super::close::Status;
use super::header::{CONTROL_BYTES_MAX, Fault, Head, Header, Opcode};
use super::mask::mask;

/// Whether the frames that come are masked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Masking {
    /// They must be: a client's, by the rules.
    Required,
    /// They need not be: both sides have agreed to do without.
    Optional,
}

/// The payload of a control frame.
#[derive(Clone, Copy)]
pub struct Control {
    bytes: [u8; CONTROL_BYTES_MAX],
    len: u8,
}

impl Control {
    const EMPTY: Control = Control {
        bytes: [0; CONTROL_BYTES_MAX],
        len: 0,
    };

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn put(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({})", self.bytes().escape_ascii())
    }
}

/// What came.
#[derive(Clone, Debug)]
pub enum Event {
    /// All was taken, and more is to come.
    Partial,
    /// Bytes of a message, which were appended.
    Data {
        /// How many: none, where a message ends with an empty frame.
        len: usize,
        /// Whether they are of a compressed message.
        is_compressed: bool,
        /// Whether the message ends with them.
        is_last: bool,
    },
    /// To be answered with the same payload.
    Ping(Control),
    /// An answer.
    Pong,
    /// The peer says nothing more, for this reason if it has told one. What follows is not to be read.
    Close(Option<Status>),
}

/// The frame that has begun.
#[derive(Debug)]
struct Frame {
    header: Header,
    /// Bytes of its payload that are to come.
    left: u64,
}

/// A message of which more is to come, or which has just begun.
#[derive(Clone, Copy, Debug)]
struct Message {
    is_compressed: bool,
}

/// One direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    masking: Masking,
    /// Whether messages may be compressed.
    compression: bool,
    /// The beginning of a header.
    kept: Head,
    frame: Option<Frame>,
    message: Option<Message>,
    control: Control,
}

impl Decoder {
    /// For frames that are masked or need not be, and with messages that may be compressed or not.
    #[must_use]
    pub fn new(masking: Masking, compression: bool) -> Decoder {
        Decoder {
            masking,
            compression,
            kept: Head::EMPTY,
            frame: None,
            message: None,
            control: Control::EMPTY,
        }
    }

    /// Whether what came so far ends between two messages.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.frame.is_none() && self.message.is_none() && self.kept.bytes().is_empty()
    }

    /// Takes what comes next from the beginning of `wire`. What it says of a message is appended to `out`, unmasked.
    ///
    /// # Errors
    /// What is wrong with it. Nothing more is to be read.
    pub fn next(&mut self, wire: &mut &[u8], out: &mut Vec<u8>) -> Result<Event, Fault> {
        loop {
            let Some(frame) = &mut self.frame else {
                let Some(header) = self.header(wire)? else {
                    return Ok(Event::Partial);
                };
                self.begin(header)?;
                continue;
            };
            let fits = usize::try_from(frame.left).unwrap_or(usize::MAX);
            let (piece, rest) = wire.split_at(fits.min(wire.len()));
            let at = frame.header.len - frame.left;
            frame.left -= piece.len() as u64;
            let (header, is_over) = (frame.header, frame.left == 0);
            *wire = rest;
            if is_over {
                self.frame = None;
            } else if piece.is_empty() {
                return Ok(Event::Partial);
            }
            if !header.opcode.is_control() {
                return Ok(self.data(&header, piece, at, is_over, out));
            }
            self.control.put(piece);
            if is_over {
                return self.control(&header);
            }
        }
    }

    /// The next header, once it is there as a whole.
    fn header(&mut self, wire: &mut &[u8]) -> Result<Option<Header>, Fault> {
        if self.kept.bytes().is_empty() {
            return Ok(match Header::read(wire)? {
                Some((header, len)) => {
                    *wire = &wire[len..];
                    Some(header)
                }
                None => {
                    self.kept.put(wire);
                    *wire = &[];
                    None
                }
            });
        }
        while let Some((byte, rest)) = wire.split_first() {
            self.kept.put(&[*byte]);
            *wire = rest;
            if let Some((header, _)) = Header::read(self.kept.bytes())? {
                self.kept = Head::EMPTY;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// A frame begins: it must be one that may come now.
    fn begin(&mut self, header: Header) -> Result<(), Fault> {
        if header.mask.is_none() && self.masking == Masking::Required {
            return Err(Fault::NotMasked);
        }
        match header.opcode {
            Opcode::Continuation if self.message.is_none() => return Err(Fault::NothingToContinue),
            Opcode::Text | Opcode::Binary if self.message.is_some() => {
                return Err(Fault::NotContinued);
            }
            Opcode::Text | Opcode::Binary => {
                if header.is_compressed && !self.compression {
                    return Err(Fault::Compressed);
                }
                self.message = Some(Message {
                    is_compressed: header.is_compressed,
                });
            }
            Opcode::Continuation => {}
            Opcode::Close | Opcode::Ping | Opcode::Pong => self.control = Control::EMPTY,
        }
        self.frame = Some(Frame {
            header,
            left: header.len,
        });
        Ok(())
    }

    /// A piece of a message, which stands `at` this place of its frame.
    fn data(
        &mut self,
        header: &Header,
        piece: &[u8],
        at: u64,
        is_over: bool,
        out: &mut Vec<u8>,
    ) -> Event {
        let start = out.len();
        out.extend_from_slice(piece);
        if let Some(key) = header.mask {
            mask(&mut out[start..], key, at);
        }
        let is_compressed = self.message.is_some_and(|message| message.is_compressed);
        let is_last = is_over && header.is_final;
        if is_last {
            self.message = None;
        }
        Event::Data {
            len: piece.len(),
            is_compressed,
            is_last,
        }
    }

    /// A control frame is there as a whole.
    fn control(&mut self, header: &Header) -> Result<Event, Fault> {
        let mut control = self.control;
        if let Some(key) = header.mask {
            mask(&mut control.bytes[..usize::from(control.len)], key, 0);
        }
        Ok(match header.opcode {
            Opcode::Ping => Event::Ping(control),
            Opcode::Close => Event::Close(Status::of_payload(control.bytes())?),
            _ => Event::Pong,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    /// A frame as a client sends it.
    fn frame(opcode: Opcode, is_final: bool, payload: &[u8]) -> Vec<u8> {
        let header = Header {
            is_final,
            mask: Some(KEY),
            ..Header::of(opcode, payload.len())
        };
        let mut masked = payload.to_vec();
        mask(&mut masked, KEY, 0);
        [header.head().bytes(), &masked].concat()
    }

    /// All that `wire` says, and what is wrong with it, if anything is.
    fn decode(wire: &[u8]) -> (Vec<u8>, Vec<String>) {
        let mut decoder = Decoder::new(Masking::Required, false);
        let (mut wire, mut out, mut told) = (wire, Vec::new(), Vec::new());
        loop {
            match decoder.next(&mut wire, &mut out) {
                Ok(Event::Partial) => return (out, told),
                Ok(Event::Data { .. }) => {}
                Ok(event) => told.push(format!("{event:?}")),
                Err(fault) => {
                    told.push(fault.to_string());
                    return (out, told);
                }
            }
        }
    }

    #[test]
    fn the_pieces_of_a_message_are_one_stream_and_control_frames_stand_between_them() {
        let wire = [
            frame(Opcode::Binary, false, b"PUB a "),
            frame(Opcode::Ping, true, b"there?"),
            frame(Opcode::Continuation, false, b""),
            frame(Opcode::Pong, true, b""),
            frame(Opcode::Continuation, true, b"1\r\nx\r\n"),
            frame(Opcode::Text, true, b"PING\r\n"),
            frame(Opcode::Close, true, &[0x03, 0xe8, b'b']),
        ];
        let (out, told) = decode(&wire.concat());
        assert_eq!(out, b"PUB a 1\r\nx\r\nPING\r\n");
        assert_eq!(
            told,
            ["Ping(Control(there?))", "Pong", "Close(Some(Status(1000)))"]
        );
    }

    #[test]
    fn what_must_not_come_now_is_refused_behind_what_was_good() {
        let good = frame(Opcode::Binary, true, b"good");
        let unmasked = [Header::of(Opcode::Binary, 1).head().bytes(), b"x"].concat();
        let begun = frame(Opcode::Binary, false, b"");
        let mut compressed = frame(Opcode::Binary, true, b"x");
        compressed[0] |= 0x40;
        for (wire, expected) in [
            (unmasked, Fault::NotMasked),
            (
                frame(Opcode::Continuation, true, b"x"),
                Fault::NothingToContinue,
            ),
            (
                [begun, frame(Opcode::Text, true, b"x")].concat(),
                Fault::NotContinued,
            ),
            (compressed, Fault::Compressed),
            (frame(Opcode::Close, true, b"x"), Fault::CloseTooShort),
        ] {
            let (out, told) = decode(&[good.clone(), wire].concat());
            assert_eq!((out, told), (b"good".to_vec(), vec![expected.to_string()]));
        }
    }

    #[test]
    fn a_length_reserves_nothing() {
        let header = Header {
            mask: Some(KEY),
            ..Header::of(Opcode::Binary, i64::MAX as usize)
        };
        let (out, told) = decode(&[header.head().bytes(), &[1, 2, 3]].concat());
        assert_eq!((&out[..], told.len()), (&[0, 0, 0][..], 0));
        assert!(out.capacity() < 100);
    }

    #[test]
    fn frames_need_no_mask_where_both_have_agreed() {
        let wire = [Header::of(Opcode::Binary, 1).head().bytes(), b"x"].concat();
        let wire = [wire, frame(Opcode::Binary, true, b"y")].concat();
        let mut decoder = Decoder::new(Masking::Optional, false);
        let (mut wire, mut out) = (&wire[..], Vec::new());
        for _ in 0..2 {
            let event = decoder.next(&mut wire, &mut out).expect("it is good");
            assert!(matches!(
                event,
                Event::Data {
                    len: 1,
                    is_last: true,
                    ..
                }
            ));
        }
        assert_eq!(out, b"xy");
        assert!(decoder.is_between_messages());
    }
}
