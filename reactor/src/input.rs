//! The bytes of one connection on their way in: what a handler sees, and what is kept of it.

use crate::block::Block;
use crate::outbound::Pool;

/// The unread bytes of a connection, oldest first and in one piece.
///
/// What a handler does not [`consume`](Input::consume) is kept and comes again with the new bytes
/// behind it. Nothing is copied to make this view; the slices live as long as the call.
#[derive(Debug)]
pub struct Input<'a> {
    data: &'a [u8],
    pub(crate) consumed: usize,
    need: usize,
}

impl<'a> Input<'a> {
    /// A view of `data` with nothing consumed yet, for testing a handler's parser by itself.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Input<'a> {
        Input {
            data,
            consumed: 0,
            need: 0,
        }
    }

    /// All bytes not consumed so far.
    #[must_use]
    pub fn peek(&self) -> &'a [u8] {
        &self.data[self.consumed..]
    }

    /// Number of bytes not consumed so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len() - self.consumed
    }

    /// Whether everything was consumed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the first `len` bytes, or all there are if that is fewer.
    pub fn consume(&mut self, len: usize) -> &'a [u8] {
        let taken = &self.peek()[..len.min(self.len())];
        self.consumed += taken.len();
        taken
    }

    /// Takes everything.
    pub fn take(&mut self) -> &'a [u8] {
        self.consume(self.len())
    }

    /// Says that it is of no use to call again before `len` bytes are there, counted from the first
    /// byte that is not consumed. A hint: it saves calls and copies for a large message whose
    /// length is known, and holds until the next call.
    pub fn need(&mut self, len: usize) {
        self.need = len;
    }

    pub(crate) fn outcome(&self) -> (usize, usize) {
        (self.consumed, self.need)
    }
}

/// What a connection has received and its handler has not consumed.
///
/// ```text
/// 0 <= start <= end <= buf.len()
/// ```
///
/// * before `start`: consumed;
/// * `start..end`: unread;
/// * from `end`: room that a read may fill, so that a large message is read to its place.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    buf: Block,
    start: usize,
    end: usize,
}

impl Carry {
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces everything by a copy of `bytes`, in a buffer from `fresh` if there is none yet.
    pub(crate) fn store(&mut self, bytes: &[u8], fresh: impl FnOnce() -> Block) {
        if self.buf.is_empty() {
            self.buf = fresh();
        }
        if self.buf.len() < bytes.len() {
            self.buf.resize(bytes.len());
        }
        self.buf[..bytes.len()].copy_from_slice(bytes);
        (self.start, self.end) = (0, bytes.len());
        self.invariants();
    }

    /// Appends a copy of `bytes` behind what is unread, towards the `need` that makes it whole.
    pub(crate) fn append(&mut self, bytes: &[u8], need: usize, pool: &mut Pool) {
        let mut left = bytes;
        while !left.is_empty() {
            let room = self.room(left.len(), need, pool);
            let len = room.len().min(left.len());
            let (piece, rest) = left.split_at(len);
            room[..len].copy_from_slice(piece);
            left = rest;
            self.filled(len);
        }
    }

    pub(crate) fn consume(&mut self, len: usize) {
        self.start += len;
        self.invariants();
    }

    /// Room behind the unread bytes: what they lack to `need`, or `min` if they lack nothing or one
    /// byte. It grows by doubling, so that a peer which announces much and sends little costs little,
    /// or to a block out of the pool.
    pub(crate) fn room(&mut self, min: usize, need: usize, pool: &mut Pool) -> &mut [u8] {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // Who lacks one byte does not know how many: a line whose end has not come.
        let target = if need > self.end + 1 {
            need
        } else {
            self.end + min
        };
        if self.buf.len() < target.min(self.end + min) {
            let wanted = target.min((2 * self.end).max(self.end + min));
            pool.enlarge(&mut self.buf, self.end, wanted);
        }
        self.invariants();
        // A block out of the pool may be longer than what is to be read.
        let end = target.min(self.buf.len());
        &mut self.buf[self.end..end]
    }

    /// The first `len` bytes of the room have been filled.
    pub(crate) fn filled(&mut self, len: usize) {
        self.end += len;
        self.invariants();
    }

    /// The inequality above.
    #[inline]
    fn invariants(&self) {
        debug_assert!(
            self.start <= self.end,
            "{} of {} bytes",
            self.start,
            self.end
        );
        debug_assert!(
            self.end <= self.buf.len(),
            "{} bytes of {}",
            self.end,
            self.buf.len()
        );
    }

    /// Hands the buffer back when nothing in it is unread.
    pub(crate) fn release(&mut self) -> Option<Block> {
        (self.is_empty() && !self.buf.is_empty()).then(|| {
            (self.start, self.end) = (0, 0);
            std::mem::take(&mut self.buf)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_gives_each_byte_once_and_never_more_than_there_is() {
        let mut input = Input::new(b"abcdef");
        assert_eq!(input.consume(2), b"ab");
        assert_eq!(input.peek(), b"cdef");
        assert_eq!(input.consume(100), b"cdef");
        assert!(input.is_empty());
        assert_eq!(input.take(), b"");
        assert_eq!(input.outcome(), (6, 0));
    }

    #[test]
    fn carry_keeps_what_is_unread_across_growth() {
        let (mut carry, mut pool) = (Carry::default(), Pool::default());
        carry.store(b"xxabc", Block::default);
        carry.consume(2);
        let room = carry.room(3, 10, &mut pool);
        room[..3].copy_from_slice(b"def");
        carry.filled(3);
        assert_eq!(carry.unread(), b"abcdef");
        assert!(carry.release().is_none(), "something is unread");
        carry.consume(6);
        assert!(carry.release().is_some());
        assert_eq!(carry.unread(), b"");
    }

    #[test]
    fn announcing_much_and_sending_little_reserves_little() {
        let (mut carry, mut pool) = (Carry::default(), Pool::default());
        carry.store(&[0; 100], Block::default);
        carry.room(64, 1 << 30, &mut pool);
        assert!(carry.buf.len() <= 200, "reserved {}", carry.buf.len());
    }

    #[test]
    fn a_line_whose_end_has_not_come_is_read_on_in_large_pieces() {
        let (mut carry, mut pool) = (Carry::default(), Pool::default());
        carry.store(&[0; 10_000], Block::default);
        assert_eq!(carry.room(4096, 10_001, &mut pool).len(), 4096);
        let room = carry.room(4096, 10_100, &mut pool).len();
        assert_eq!(room, 100, "what is lacking is known, and no more is read");
        let mut carry = Carry::default();
        carry.store(&[0; 10_000], Block::default);
        assert_eq!(carry.room(4096, 10_100, &mut pool).len(), 100);
    }
}
