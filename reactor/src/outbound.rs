//! Bytes waiting for a socket: appended in any number of pieces, written in as few calls as it takes.
//!
//! ```text
//! older  [ taken by the kernel | waiting ] ... [ waiting ]   block  [ waiting | room, zeroes or old ]
//!           <- head ->                                               <- end ->  appended here
//!
//! older.bytes == sum of the older pieces, none of which is empty
//! head <= length of the first older piece, which may be room that was made and not used; without one, head <= end
//! end <= block.len(), and len() == older.bytes + end - head
//! window == 0, or window + OVERHANG_BYTES <= block.len()
//! ```
//!
//! A block is initialized to its full length, so that appending is a copy into a slice that is there,
//! and short pieces can be copied by a fixed size that passes their end (see [`Tail::put_block`]).
//! It grows by doubling up to [`BLOCK_BYTES_MAX`]; then it becomes one of the older pieces and the
//! next one begins, so that a long queue is never copied to make it longer and is given back piece by
//! piece. Empty blocks go to a [`Pool`], last in, first out: a connection that waits for nothing owns
//! no block, and a busy one gets memory that is still in the cache.

use crate::block::Block;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;

mod passing;

/// Largest block that is grown by appending, in bytes. A single larger piece gets one of its own.
const BLOCK_BYTES_MAX: usize = 256 * 1024;

/// Room that is kept behind what was asked for, so that a short piece may be copied by a fixed size.
const OVERHANG_BYTES: usize = 64;

/// Longest queue there can be, in bytes, whatever bound a connection is given: 1 GiB.
pub const QUEUE_BYTES_MAX: usize = 1 << 30;

/// Most pieces handed to the kernel in one call. More gains nothing measurable.
pub(crate) const PIECES_MAX: usize = 64;

/// Most bytes kept for reuse by one reactor.
const POOL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where a queue begins in a long block. What is copied into it comes from a block or buffer that begins
/// with a page, as this one does, and is mostly a few bytes nearer to the beginning. From there to
/// here, as it would be without this, some processors copy long messages at a twentieth of their speed
/// (`rep movsb`, where the target is up to 64 bytes behind the source, pages left aside).
const LEAD_BYTES: usize = 2048;

/// Least bytes of a long block.
const LONG_BYTES: usize = 16 * LEAD_BYTES;

/// Blocks without a user, kept for reuse with whatever is in them.
#[derive(Debug)]
pub(crate) struct Pool {
    heap: Vec<Block>,
    /// Those with mappings of their own. They are large and cost most to make, so they go first.
    mapped: Vec<Block>,
    bytes: usize,
    block_bytes_max: usize,
}

impl Default for Pool {
    /// A pool that keeps blocks of any size.
    fn default() -> Self {
        Pool::of_blocks_up_to(POOL_BYTES_MAX)
    }
}

impl Pool {
    /// A pool that keeps no block larger than this: for what may wait long and is mostly small.
    pub(crate) fn of_blocks_up_to(block_bytes_max: usize) -> Pool {
        Pool {
            heap: Vec::new(),
            mapped: Vec::new(),
            bytes: 0,
            block_bytes_max,
        }
    }

    /// A block, warm if there is one: as it was given back, or new and empty.
    pub(crate) fn take(&mut self) -> Block {
        let block = self.mapped.pop().or_else(|| self.heap.pop());
        let block = block.unwrap_or_default();
        self.bytes -= block.len();
        block
    }

    /// Makes a block at least as long as that; its first `used` bytes stay.
    pub(crate) fn enlarge(&mut self, block: &mut Block, used: usize, len: usize) {
        match self.mapped.iter().rposition(|other| other.len() >= len) {
            Some(place) => {
                let mut larger = self.mapped.swap_remove(place);
                self.bytes -= larger.len();
                larger[..used].copy_from_slice(&block[..used]);
                self.give(std::mem::replace(block, larger));
            }
            None => block.resize(len),
        }
    }

    /// Bytes of the blocks in it.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives a block back; one that is too large, or would make the pool so, is freed.
    pub(crate) fn give(&mut self, block: Block) {
        let bytes = self.bytes + block.len();
        let fits = (1..=self.block_bytes_max).contains(&block.len());
        if fits && bytes <= POOL_BYTES_MAX {
            self.bytes = bytes;
            match block {
                Block::Heap(_) => self.heap.push(block),
                Block::Mapped(_) => self.mapped.push(block),
            }
        }
    }
}

/// A piece that is full, or is not ours to append to.
#[derive(Debug)]
enum Piece {
    /// A block, of which the bytes from `start` to `end` wait.
    Owned {
        block: Block,
        start: u32,
        end: u32,
    },
    Shared(Bytes),
}

impl Piece {
    fn as_slice(&self) -> &[u8] {
        match self {
            Piece::Owned { block, start, end } => &block[*start as usize..*end as usize],
            Piece::Shared(bytes) => bytes,
        }
    }
}

/// The end of a queue, lent for appending. What was put counts when this is dropped.
#[derive(Debug)]
pub(crate) struct Tail<'a> {
    /// As long as was asked for, and [`OVERHANG_BYTES`] longer.
    room: &'a mut [u8],
    /// How much of it is filled.
    at: usize,
    end: &'a mut u32,
}

impl Tail<'_> {
    /// Appends a copy of `bytes`.
    ///
    /// # Panics
    /// If there is no room for them: more was put than was asked for. By a few bytes that is not
    /// noticed.
    #[inline(always)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        match self.room.get_mut(self.at..end) {
            Some(room) => room.copy_from_slice(bytes),
            None => self.is_full(),
        }
        self.at = end;
    }

    /// Appends the first `len` bytes of `block`, which may all be copied: a copy of a fixed size
    /// costs less than one that must look how long it is.
    ///
    /// # Panics
    /// As [`put`](Tail::put).
    #[inline(always)]
    pub(crate) fn put_block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        match self.room.get_mut(self.at..self.at + N) {
            Some(room) if len <= N => {
                room.copy_from_slice(block);
                self.at += len;
            }
            _ => self.put(&block[..len]),
        }
    }

    /// What is not filled.
    #[inline(always)]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.room.get_mut(self.at..).unwrap_or_default()
    }

    /// Appends the first `bytes` of the room.
    ///
    /// # Panics
    /// As [`put`](Tail::put).
    #[inline(always)]
    pub(crate) fn advance(&mut self, bytes: usize) {
        if bytes > self.room.len() - self.at {
            self.is_full();
        }
        self.at += bytes;
    }

    /// Bytes that can still be put, of those that were asked for.
    pub(crate) fn left(&self) -> usize {
        let asked = self.room.len() - OVERHANG_BYTES;
        asked.saturating_sub(self.at)
    }

    #[cold]
    #[inline(never)]
    fn is_full(&self) -> ! {
        let asked = self.room.len() - OVERHANG_BYTES;
        panic!("more was written than the {asked} bytes that were asked for");
    }
}

impl Drop for Tail<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        debug_assert!(self.at <= self.room.len());
        *self.end += self.at as u32;
    }
}

/// The queue of one connection.
///
/// Offsets into a piece are half a word, so that all that a send looks at lies in one cache line: a
/// queue is never longer than [`QUEUE_BYTES_MAX`], and what a layer makes of it little longer.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    block: Block,
    end: u32,
    head: u32,
    /// As long as the end stays below this place of the block, an append has nothing to look at and
    /// nothing to note. Zero: it must look.
    window: u32,
    /// Apart, since most queues are never so long.
    older: Option<Box<Older>>,
}

/// The pieces in front of the block.
#[derive(Debug, Default)]
struct Older {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

impl Older {
    fn push(&mut self, piece: Piece) {
        self.bytes += piece.as_slice().len();
        self.pieces.push_back(piece);
    }
}

impl Outbound {
    /// Bytes waiting.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.older_bytes() + self.end() - self.head()
    }

    /// Where the block's filled part ends.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.end as usize
    }

    #[inline]
    fn head(&self) -> usize {
        self.head as usize
    }

    #[inline]
    fn older_bytes(&self) -> usize {
        self.older.as_ref().map_or(0, |older| older.bytes)
    }

    /// Bytes of memory held for them: the block is as long as it was made.
    pub(crate) fn held(&self) -> usize {
        self.older_bytes() + self.block.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets up to `bytes` more, less one, be appended without a look, as far as the block goes.
    pub(crate) fn open_window(&mut self, bytes: usize) {
        let room = (self.block.len() - self.end()).saturating_sub(OVERHANG_BYTES);
        self.window = self.end + room.min(bytes) as u32;
        self.invariants();
    }

    /// Up to where of the block an append has nothing to look at, if it is so far anywhere.
    pub(crate) fn window_end(&self) -> Option<usize> {
        (self.window > 0).then_some(self.window as usize)
    }

    /// The next append has something to look at.
    #[inline]
    pub(crate) fn shut_window(&mut self) {
        self.window = 0;
    }

    /// Whether `len` more bytes are appended without a look.
    #[inline(always)]
    pub(crate) fn has_window(&self, len: usize) -> bool {
        len < (self.window as usize).saturating_sub(self.end())
    }

    /// The end of the queue, with room for `len` more bytes, which must have been made.
    #[inline(always)]
    pub(crate) fn tail(&mut self, len: usize) -> Tail<'_> {
        let start = self.end();
        Tail {
            room: &mut self.block[start..start + len + OVERHANG_BYTES],
            at: 0,
            end: &mut self.end,
        }
    }

    /// Makes room for `len` more bytes. The window is shut.
    pub(crate) fn make_room(&mut self, len: usize, pool: &mut Pool) {
        debug_assert!(self.window == 0);
        let fits = self.end() + len + OVERHANG_BYTES <= BLOCK_BYTES_MAX;
        if !fits {
            self.retire_block();
        }
        if self.block.is_empty() {
            self.block = pool.take();
            // Only of the first piece the head is passed over.
            if self.block.len() >= LONG_BYTES && self.older_bytes() == 0 && self.head == 0 {
                (self.head, self.end) = (LEAD_BYTES as u32, LEAD_BYTES as u32);
            }
        }
        let needed = self.end() + len + OVERHANG_BYTES;
        if needed > self.block.len() {
            // By doubling, but not past the limit of a block without need.
            let wanted = needed.max(BLOCK_BYTES_MAX.min(2 * self.block.len()));
            pool.enlarge(&mut self.block, self.end as usize, wanted);
        }
        self.invariants();
    }

    /// Makes the block one of the older pieces, if anything of it waits.
    fn retire_block(&mut self) {
        if self.end > 0 {
            let block = std::mem::take(&mut self.block);
            let (start, end) = (0, std::mem::take(&mut self.end));
            let older = self.older.get_or_insert_default();
            older.push(Piece::Owned { block, start, end });
        }
    }

    /// Appends bytes without copying them.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.shut_window();
            self.retire_block();
            let older = self.older.get_or_insert_default();
            older.push(Piece::Shared(bytes));
            self.invariants();
        }
    }

    /// All that waits, piece by piece.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &[u8]> {
        let older = self.older.iter().flat_map(|older| &older.pieces);
        let all = older
            .map(Piece::as_slice)
            .chain([&self.block[..self.end()]]);
        let heads = std::iter::once(self.head()).chain(std::iter::repeat(0));
        all.zip(heads)
            .map(|(piece, head)| &piece[head..])
            .filter(|piece| !piece.is_empty())
    }

    /// The first pieces waiting, as many as fit and no more than `bytes` altogether, and how many
    /// there are.
    pub(crate) fn pieces<'a>(
        &'a self,
        out: &mut [IoSlice<'a>; PIECES_MAX],
        mut bytes: usize,
    ) -> usize {
        let mut count = 0;
        for (piece, slot) in self.waiting().zip(out) {
            let piece = &piece[..piece.len().min(bytes)];
            if piece.is_empty() {
                break;
            }
            bytes -= piece.len();
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// All that waits, if it is one piece and no longer than `bytes`: the common case.
    #[inline]
    pub(crate) fn only_piece(&self, bytes: usize) -> Option<&[u8]> {
        let piece = self.block.get(self.head()..self.end())?;
        (self.older_bytes() == 0 && piece.len() <= bytes).then_some(piece)
    }

    /// Forgets the first `len` bytes: the kernel has them.
    pub(crate) fn advance(&mut self, len: usize, pool: &mut Pool) {
        debug_assert!(len <= self.len(), "took {len} of {} bytes", self.len());
        self.shut_window();
        let mut head = self.head() + len;
        while let Some(older) = &mut self.older
            && let Some(first) = older.pieces.front()
        {
            let first_len = first.as_slice().len();
            if head < first_len {
                self.head = head as u32;
                return self.invariants();
            }
            head -= first_len;
            older.bytes -= first_len;
            if let Some(Piece::Owned { block, .. }) = older.pieces.pop_front() {
                pool.give(block);
            }
        }
        self.head = head as u32;
        if self.head == self.end {
            (self.head, self.end) = (0, 0);
            pool.give(std::mem::take(&mut self.block));
        }
        self.invariants();
    }

    /// Gives back room that the block will not need soon. Called when the socket is full, so that a
    /// peer which does not read holds what waits for it and not the buffer it came in.
    pub(crate) fn trim(&mut self) {
        if self.block.len() / 4 > self.end() {
            self.shut_window();
            self.block.resize(self.end() * 2);
        }
        self.invariants();
    }

    /// The inequalities of the header. Where many pieces wait, not all of them are looked at.
    #[inline]
    fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let (head, end, block) = (self.head(), self.end(), self.block.len());
        assert!(end <= block, "{end} bytes of a block of {block}");
        let window = self.window as usize;
        assert!(
            window == 0 || window + OVERHANG_BYTES <= block,
            "a window of {window} in {block}"
        );
        let pieces = self.older.iter().flat_map(|older| &older.pieces);
        match pieces.clone().next() {
            Some(first) => assert!(
                head <= first.as_slice().len(),
                "{head} bytes of the first are gone"
            ),
            None => assert!(head <= end, "{head} bytes of {end} are gone"),
        }
        if self
            .older
            .as_ref()
            .is_some_and(|older| older.pieces.len() > 64)
        {
            return;
        }
        let lengths = pieces.map(|piece| piece.as_slice().len());
        assert!(lengths.clone().all(|len| len > 0), "an empty piece");
        assert_eq!(
            self.older_bytes(),
            lengths.sum::<usize>(),
            "bytes of older pieces"
        );
    }

    /// A copy of all that waits.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.waiting().collect::<Vec<_>>().concat()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.advance(self.len(), pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail<'a>(out: &'a mut Outbound, pool: &mut Pool, len: usize) -> Tail<'a> {
        if !out.has_window(len) {
            out.shut_window();
            out.make_room(len, pool);
            out.open_window(usize::MAX);
        }
        out.tail(len)
    }

    fn put(out: &mut Outbound, pool: &mut Pool, bytes: &[u8]) {
        tail(out, pool, bytes.len()).put(bytes);
    }

    fn waiting(out: &Outbound) -> Vec<u8> {
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let count = out.pieces(&mut pieces, usize::MAX);
        pieces[..count]
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect()
    }

    #[test]
    fn a_queue_in_a_long_block_begins_apart_from_its_beginning() {
        let (mut out, mut pool) = (Outbound::default(), Pool::default());
        put(&mut out, &mut pool, &[7; LONG_BYTES]);
        out.clear(&mut pool);
        for _ in 0..3 {
            put(&mut out, &mut pool, b"one");
            assert_eq!(out.head(), LEAD_BYTES);
            out.push_shared(Bytes::from_static(b"two"));
            put(&mut out, &mut pool, b"three");
            assert_eq!((out.len(), out.to_vec()), (11, b"onetwothree".to_vec()));
            out.advance(2, &mut pool);
            assert_eq!((out.len(), out.to_vec()), (9, b"etwothree".to_vec()));
            out.clear(&mut pool);
            assert_eq!((out.len(), out.head()), (0, 0));
        }
        // Room that was made and not used.
        tail(&mut out, &mut pool, 3);
        out.push_shared(Bytes::from_static(b"two"));
        assert_eq!((out.len(), out.to_vec()), (3, b"two".to_vec()));
        out.clear(&mut pool);
        assert!(out.is_empty());
    }

    #[test]
    fn what_is_appended_comes_out_in_order_however_the_kernel_takes_it() {
        for step in [1, 2, 3, 7, 1000] {
            let (mut out, mut pool) = (Outbound::default(), Pool::default());
            put(&mut out, &mut pool, b"abc");
            out.push_shared(Bytes::from_static(b"defg"));
            put(&mut out, &mut pool, b"hi");
            out.push_shared(Bytes::new());
            let mut taken = Vec::new();
            while !out.is_empty() {
                let len = step.min(out.len());
                taken.extend_from_slice(&waiting(&out)[..len]);
                out.advance(len, &mut pool);
            }
            assert_eq!(taken, b"abcdefghi", "in steps of {step}");
        }
    }

    #[test]
    fn a_drained_queue_owns_no_buffer_and_the_next_one_gets_it() {
        let (mut out, mut pool) = (Outbound::default(), Pool::default());
        put(&mut out, &mut pool, &[7; 1000]);
        out.advance(1000, &mut pool);
        assert_eq!((out.block.len(), pool.heap.len()), (0, 1));
        put(&mut out, &mut pool, b"again");
        assert_eq!(pool.heap.len(), 0);
        out.clear(&mut pool);
        assert_eq!((out.len(), pool.heap.len()), (0, 1));
    }

    #[test]
    fn a_long_queue_is_many_blocks_and_none_grows_past_the_limit() {
        let (mut out, mut pool) = (Outbound::default(), Pool::default());
        for _ in 0..5000 {
            put(&mut out, &mut pool, &[1; 1000]);
        }
        assert_eq!(out.len(), 5_000_000);
        assert!(out.waiting().count() >= 5_000_000 / BLOCK_BYTES_MAX);
        assert!(out.waiting().all(|piece| piece.len() <= BLOCK_BYTES_MAX));
        put(&mut out, &mut pool, &vec![2; BLOCK_BYTES_MAX + 1]);
        assert_eq!(out.len(), 5_000_000 + BLOCK_BYTES_MAX + 1);
    }

    #[test]
    fn a_block_copied_whole_counts_only_for_its_length() {
        let (mut out, mut pool) = (Outbound::default(), Pool::default());
        for round in 0..10_000 {
            let mut tail = tail(&mut out, &mut pool, 5 + 3);
            tail.put_block(b"abcdefghijklmnopqrstuvwxyz012345", 5);
            tail.put(b"-");
            tail.put_block(b"xy--------------", 2);
            drop(tail);
            assert_eq!(out.len(), 8 * (round + 1));
        }
        assert_eq!(out.to_vec(), b"abcde-xy".repeat(10_000));
    }

    #[test]
    #[should_panic = "more was written than the 5 bytes that were asked for"]
    fn more_than_was_asked_for_is_refused() {
        let (mut out, mut pool) = (Outbound::default(), Pool::default());
        tail(&mut out, &mut pool, 5).put(&[1; 100]);
    }
}
