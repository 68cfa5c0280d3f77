//! `Tails`: the tails of a run, and how they are copied.
//!
//! ```text
//! input  [ tail ]....[ tail ]....[ tail ]....        each `len` bytes, `stride` bytes from one to the next
//! room   [head][ tail ][head][ tail ][head][ tail ]
//! ```
//!
//! All frames of a run are equally long, so where the next one begins is an addition, and not a question. A head
//! and a tail are copied as blocks of a fixed size: the excess of a head is overwritten by the tail, and that of a
//! tail by the next head. So a frame of the usual size costs some twenty instructions, half of what it costs to
//! append one piece after the other.

use crate::{Piece, Sink};

/// The tails of the messages of a run, in order.
#[derive(Clone, Copy, Debug)]
pub struct Tails<'a> {
    /// From the first of them on.
    input: &'a [u8],
    len: usize,
    stride: usize,
    count: usize,
}

impl<'a> Tails<'a> {
    /// `count` tails of `len` bytes, `stride` bytes from one to the next, of which the first begins `input`.
    #[inline(always)]
    pub(crate) fn new(input: &'a [u8], len: usize, stride: usize, count: usize) -> Tails<'a> {
        Tails {
            input,
            len,
            stride,
            count,
        }
    }

    /// Appends to `out`, for each of them, the first `len` bytes of `head` and the tail.
    ///
    /// What stands in `head` behind `len` may be copied too and means nothing. `N` is best 32 or 64.
    #[inline(always)]
    pub fn put_behind<const N: usize>(mut self, head: &[u8; N], len: usize, out: &mut impl Sink) {
        let room = out.room();
        let filled = match self.len {
            0..=32 => self.put_blocks::<N, 32>(head, len, room),
            33..=64 => self.put_blocks::<N, 64>(head, len, room),
            65..=128 => self.put_blocks::<N, 128>(head, len, room),
            _ => self.put_whole(head, len, room),
        };
        out.advance(filled);
        // Those at the end of the room or of the input.
        self.for_each(|tail| {
            out.put_block(head, len);
            tail.put(out);
        });
    }

    /// Puts frames into `room`, as far as there are blocks in it and in the input; answers how many bytes they
    /// have. `T` bytes are copied of each tail.
    ///
    /// Not inlined: of its own, the loop in it has all registers, whatever is around it.
    #[inline(never)]
    fn put_blocks<const N: usize, const T: usize>(
        &mut self,
        head: &[u8; N],
        len: usize,
        room: &mut [u8],
    ) -> usize {
        self.put_frames(head, len, T, room)
    }

    /// As [`put_blocks`](Tails::put_blocks), of tails that are copied as they are.
    #[inline(never)]
    fn put_whole<const N: usize>(&mut self, head: &[u8; N], len: usize, room: &mut [u8]) -> usize {
        self.put_frames(head, len, self.len, room)
    }

    #[inline(always)]
    fn put_frames<const N: usize>(
        &mut self,
        head: &[u8; N],
        len: usize,
        block: usize,
        mut room: &mut [u8],
    ) -> usize {
        if len > N || self.len > block {
            return 0;
        }
        let before = room.len();
        // Apart from `self`, where each would be stored again for each frame.
        let (mut input, mut count, stride) = (self.input, self.count, self.stride);
        let frame_len = len + self.len;
        while count > 0 && room.len() >= N + block && input.len() >= block {
            let frame = room;
            frame[..N].copy_from_slice(head);
            frame[len..len + block].copy_from_slice(&input[..block]);
            room = &mut frame[frame_len..];
            input = input.get(stride..).unwrap_or_default();
            count -= 1;
        }
        (self.input, self.count) = (input, count);
        before - room.len()
    }
}

impl<'a> Iterator for Tails<'a> {
    type Item = Piece<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Piece<'a>> {
        self.count = self.count.checked_sub(1)?;
        let tail = Piece::new(self.input, 0, self.len as u32);
        self.input = self.input.get(self.stride..).unwrap_or_default();
        Some(tail)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room of a fixed length, of which no more may be filled than `asked`.
    struct Room {
        bytes: Vec<u8>,
        at: usize,
    }

    impl Sink for Room {
        fn put(&mut self, bytes: &[u8]) {
            self.bytes[self.at..][..bytes.len()].copy_from_slice(bytes);
            self.at += bytes.len();
        }

        fn room(&mut self) -> &mut [u8] {
            &mut self.bytes[self.at..]
        }

        fn advance(&mut self, bytes: usize) {
            self.at += bytes;
        }
    }

    #[test]
    fn frames_are_whole_and_in_order_whatever_stands_behind_them() {
        fn check<const N: usize>(head: &[u8; N], head_len: usize, tail_len: usize) {
            let stride = tail_len + 9;
            for count in [1, 2, 7] {
                for (behind, overhang) in [(0, 0), (0, 64), (70, 0), (70, 31), (70, 64), (70, 200)]
                {
                    let len = (count - 1) * stride + tail_len + behind;
                    let input: Vec<u8> = (0..len).map(|at| at as u8 | 0x80).collect();
                    let tails = Tails::new(&input, tail_len, stride, count);
                    let expected: Vec<u8> = (0..count)
                        .flat_map(|place| {
                            [&head[..head_len], &input[place * stride..][..tail_len]].concat()
                        })
                        .collect();
                    let mut room = Room {
                        bytes: vec![0; expected.len() + overhang],
                        at: 0,
                    };
                    tails.put_behind(head, head_len, &mut room);
                    assert_eq!(
                        &room.bytes[..room.at],
                        expected,
                        "{head_len} {tail_len} {count}"
                    );
                    let mut bytes = Vec::new();
                    tails.put_behind(head, head_len, &mut bytes);
                    assert_eq!(
                        bytes, expected,
                        "without room: {head_len} {tail_len} {count}"
                    );
                }
            }
        }
        for tail_len in [1, 2, 22, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300] {
            for head_len in [1, 14, 31, 32] {
                check(&[b'h'; 32], head_len, tail_len);
            }
            for head_len in [1, 33, 63, 64] {
                check(&[b'h'; 64], head_len, tail_len);
            }
        }
    }
}
