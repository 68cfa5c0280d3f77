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
    input: &'a [u8],
    start: u32,
    end: u32,
}

impl<'a> Piece<'a> {
    /// The bytes from `start` to `end` of `input`; none if that does not go so far.
    #[inline(always)]
    pub(crate) fn new(input: &'a [u8], start: u32, end: u32) -> Piece<'a> {
        debug_assert!(start <= end);
        Piece { input, start, end }
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &'a [u8] {
        let place = self.start as usize..self.end as usize;
        self.input.get(place).unwrap_or_default()
    }

    /// Number of bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the bytes to `out`.
    #[inline(always)]
    pub fn put(&self, out: &mut impl Sink) {
        let len = self.len();
        if len <= BLOCK_BYTES
            && let Some(block) = self.block::<BLOCK_BYTES>()
        {
            out.put_block(block, len);
        } else if len <= 2 * BLOCK_BYTES
            && let Some(block) = self.block::<{ 2 * BLOCK_BYTES }>()
        {
            out.put_block(block, len);
        } else {
            out.put(self.as_slice());
        }
    }

    /// The bytes from the first one on, as far as a block goes, if the input goes so far.
    #[inline(always)]
    fn block<const N: usize>(&self) -> Option<&'a [u8; N]> {
        let start = self.start as usize;
        self.input.get(start..start + N)?.first_chunk()
    }
}

/// A piece with nothing behind it.
impl<'a> From<&'a [u8]> for Piece<'a> {
    fn from(input: &'a [u8]) -> Piece<'a> {
        let end = u32::try_from(input.len()).expect("pieces are shorter than 4 GiB");
        Piece::new(input, 0, end)
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
            for start in [0, 1, 5, 40_u32] {
                for len in [0, 1, 2, 31, 32, 33, 63, 64, 65, 90] {
                    let input = &input[..end_of_input];
                    let piece = Piece::new(input, start, start + len);
                    let place = start as usize..(start + len) as usize;
                    let Some(expected) = input.get(place) else {
                        continue;
                    };
                    let mut out = Vec::new();
                    piece.put(&mut out);
                    assert_eq!((piece.as_slice(), &*out), (expected, expected));
                }
            }
        }
    }
}
