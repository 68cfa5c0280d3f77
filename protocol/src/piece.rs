//! `Piece`: bytes that know what stands behind them, for copying them often.

use crate::Sink;
use std::fmt;

/// How much of a piece is copied in one go.
const BLOCK_BYTES: usize = 32;

/// Part of the input, together with the input behind it.
///
/// Most pieces of a message are shorter than 32 bytes, and copying them costs mostly the question how
/// long they are. A piece whose input goes on far enough is copied as one block of that size, of which
/// the excess is overwritten by what comes next.
///
/// Equal to another if the bytes are; what stands behind them does not count.
#[derive(Clone, Copy, Default)]
pub struct Piece<'a> {
    /// From the first byte to the end of the input.
    input: &'a [u8],
    /// Bytes of it that belong to the piece.
    len: usize,
}

impl<'a> Piece<'a> {
    /// The bytes from `start` to `end` of `input`; nothing if the input does not go so far.
    #[inline]
    pub(crate) fn new(input: &'a [u8], start: usize, end: usize) -> Piece<'a> {
        match input.get(start..) {
            Some(input) if start + input.len() >= end => Piece {
                input,
                len: end.saturating_sub(start),
            },
            _ => Piece::default(),
        }
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &'a [u8] {
        &self.input[..self.len]
    }

    /// Number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the bytes to `out`.
    #[inline(always)]
    pub fn put(&self, out: &mut impl Sink) {
        match self.input.first_chunk::<BLOCK_BYTES>() {
            Some(block) if self.len <= BLOCK_BYTES => out.put_block(block, self.len),
            _ => self.put_long(out),
        }
    }

    #[inline(never)]
    fn put_long(&self, out: &mut impl Sink) {
        match self.input.first_chunk::<{ 2 * BLOCK_BYTES }>() {
            Some(block) if self.len <= 2 * BLOCK_BYTES => out.put_block(block, self.len),
            _ => out.put(self.as_slice()),
        }
    }
}

/// A piece with nothing behind it.
impl<'a> From<&'a [u8]> for Piece<'a> {
    fn from(input: &'a [u8]) -> Piece<'a> {
        let len = input.len();
        Piece { input, len }
    }
}

impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl PartialEq for Piece<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Piece<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_copied_whole_and_alone_wherever_the_input_ends() {
        let input: Vec<u8> = (0..200).collect();
        for end_of_input in [0, 1, 31, 32, 33, 63, 64, 65, 100, 200] {
            for start in [0, 1, 5, 40] {
                for len in [0, 1, 2, 31, 32, 33, 63, 64, 65, 90] {
                    let input = &input[..end_of_input];
                    let piece = Piece::new(input, start, start + len);
                    let expected = input.get(start..start + len).unwrap_or_default();
                    let mut out = Vec::new();
                    piece.put(&mut out);
                    assert_eq!((piece.as_slice(), &*out), (expected, expected));
                }
            }
        }
    }
}
