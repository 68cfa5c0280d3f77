//! Layers that are not TLS: one without a handshake or an end, a framing with both, one that changes no byte, and one
//! that makes much of little.

use midge_reactor::Close;
use midge_reactor::layer::{Arrived, Heard, Layer, Queue, Wire};

/// Each byte by itself, changed. The end of the socket is the end.
#[derive(Debug)]
pub(crate) struct Xor(pub(crate) u8);

impl Layer for Xor {
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        plain.extend(wire.iter().map(|byte| byte ^ self.0));
        Ok(Heard::More)
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        Ok(())
    }

    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        let mut taken = 0;
        for piece in queue.pieces(4096) {
            let changed: Vec<u8> = piece.iter().map(|byte| byte ^ self.0).collect();
            wire.put(&changed);
            taken += piece.len();
        }
        taken
    }
}

/// What both sides say first.
pub(crate) const GREETING: &[u8] = b"frames 1\n";

/// Longest frame.
pub(crate) const FRAME_BYTES_MAX: usize = 1000;

/// Frames behind a greeting: a kind, a length of two bytes, and bytes of that number. `d` has data, `p` asks for
/// the same as `a`, `e` is the end, and `x` says why nothing more is read.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    has_greeted: bool,
    is_greeted: bool,
    /// The beginning of a frame, or of the greeting.
    part: Vec<u8>,
    /// What was asked last, and is not answered.
    asked: Option<Vec<u8>>,
    reason: Option<&'static str>,
    /// How many answers have come.
    pub(crate) answers: usize,
}

/// One frame, as it stands on the wire.
pub(crate) fn frame(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len())
        .expect("it is short")
        .to_be_bytes();
    [&[kind, len[0], len[1]], bytes].concat()
}

impl Frames {
    fn fail(&mut self, reason: &'static str) -> Close {
        self.reason = Some(reason);
        Close::Failed(reason.into())
    }

    /// Takes the first frame, if all of it is there.
    fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>, Close> {
        let [kind, high, low, rest @ ..] = &self.part[..] else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if len > FRAME_BYTES_MAX {
            return Err(self.fail("a frame is too long"));
        }
        let frame = rest.get(..len).map(|bytes| (*kind, bytes.to_vec()));
        if frame.is_some() {
            self.part.drain(..3 + len);
        }
        Ok(frame)
    }
}

impl Layer for Frames {
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        self.part.extend(wire.bytes());
        if !self.is_greeted {
            let len = self.part.len().min(GREETING.len());
            if self.part[..len] != GREETING[..len] {
                return Err(self.fail("no greeting"));
            }
            if len < GREETING.len() {
                return Ok(Heard::More);
            }
            self.part.drain(..len);
            self.is_greeted = true;
        }
        while let Some((kind, bytes)) = self.next()? {
            match kind {
                b'd' => plain.extend(bytes),
                b'p' => self.asked = Some(bytes),
                b'a' => self.answers += 1,
                b'e' => return Ok(Heard::End),
                _ => return Err(self.fail("no such frame")),
            }
        }
        Ok(Heard::More)
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        Err(Close::Failed("cut off".into()))
    }

    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        let bytes: Vec<u8> = queue.pieces(FRAME_BYTES_MAX).flatten().copied().collect();
        wire.put(&frame(b'd', &bytes));
        bytes.len()
    }

    fn write(&mut self, wire: &mut Wire<'_>) {
        if !std::mem::replace(&mut self.has_greeted, true) {
            wire.put(GREETING);
        }
        if let Some(bytes) = self.asked.take() {
            wire.put(&frame(b'a', &bytes));
        }
        if let Some(reason) = self.reason.take() {
            wire.put(&frame(b'x', reason.as_bytes()));
        }
    }

    fn wants_write(&self) -> bool {
        !self.has_greeted || self.asked.is_some() || self.reason.is_some()
    }

    fn finish(&mut self, wire: &mut Wire<'_>) {
        wire.put(&frame(b'e', b""));
    }

    fn is_handshaking(&self) -> bool {
        !self.is_greeted
    }

    fn timed_out(&mut self) -> Close {
        Close::Failed("no greeting in time".into())
    }
}

/// Pieces behind their lengths, as they are.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The beginning of a length.
    part: Vec<u8>,
    /// How much of a piece is to come.
    left: usize,
}

/// A piece as it stands on the wire.
pub(crate) fn passed(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("it is short");
    [&len.to_be_bytes(), bytes].concat()
}

impl Layer for Passed {
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        let mut wire = wire.bytes();
        while !wire.is_empty() {
            if self.left == 0 {
                self.part.push(wire[0]);
                wire = &wire[1..];
                if let Ok(len) = self.part[..].try_into() {
                    self.left = u32::from_be_bytes(len) as usize;
                    self.part.clear();
                }
                continue;
            }
            let (piece, rest) = wire.split_at(self.left.min(wire.len()));
            plain.extend(piece);
            self.left -= piece.len();
            wire = rest;
        }
        Ok(Heard::More)
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        match self.left == 0 && self.part.is_empty() {
            true => Ok(()),
            false => Err(Close::Failed("cut off".into())),
        }
    }

    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        let len = queue.pieces(usize::MAX).next().map_or(0, <[u8]>::len);
        let head = u32::try_from(len).expect("it is short").to_be_bytes();
        wire.pass(&head, queue);
        0
    }
}

/// Passes a number of bytes as they are: then it says so, and takes no more.
#[derive(Debug)]
pub(crate) struct Spent {
    pub(crate) left: usize,
    pub(crate) says: Option<&'static [u8]>,
    pub(crate) is_asked: bool,
}

impl Layer for Spent {
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        plain.extend(wire.iter());
        Ok(Heard::More)
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        Ok(())
    }

    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        let bytes: Vec<u8> = queue.pieces(self.left).flatten().copied().collect();
        self.is_asked |= bytes.is_empty();
        self.left -= bytes.len();
        wire.put(&bytes);
        bytes.len()
    }

    fn write(&mut self, wire: &mut Wire<'_>) {
        if let Some(text) = self.says.take_if(|_| self.is_asked) {
            wire.put(text);
        }
    }
}

/// Each byte stands for itself many times, some of them at a call.
#[derive(Debug)]
pub(crate) struct Repeated {
    pub(crate) times: usize,
    rest: Vec<u8>,
}

impl Repeated {
    pub(crate) fn new(times: usize) -> Repeated {
        Repeated {
            times,
            rest: Vec::new(),
        }
    }
}

impl Layer for Repeated {
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        self.rest.extend(wire.bytes());
        if self.rest.is_empty() {
            return Ok(Heard::More);
        }
        let byte = self.rest.remove(0);
        plain.extend(vec![byte; self.times]);
        Ok(match self.rest.is_empty() {
            true => Heard::More,
            false => Heard::Again,
        })
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        Ok(())
    }

    /// One byte for as many that are the same.
    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        let Some(&byte) = queue.pieces(1).next().and_then(<[u8]>::first) else {
            return 0;
        };
        let taken = queue.len().min(self.times);
        wire.put(&[byte]);
        taken
    }
}
