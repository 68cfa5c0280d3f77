//! Bytes waiting for a socket: appended in any number of pieces, written in as few calls as it takes.
//!
//! ```text
//! chunks  [ taken by the kernel | waiting ] [ waiting ] ... [ waiting, room ]
//!           <- head ->                                        appended here
//!
//! head <= chunks[0].len(), and bytes == sum of chunk lengths - head
//! ```
//!
//! A chunk grows by doubling up to [`CHUNK_BYTES_MAX`]; then the next one begins, so that a long
//! queue is never copied to make it longer and is given back piece by piece. Empty chunks go to a
//! [`Pool`], last in, first out: a connection that waits for nothing owns no memory here, and a busy
//! one gets memory that is still in the cache.

use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;

/// Largest chunk that is grown by appending, in bytes. A single larger piece gets a chunk of its own.
const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Most pieces handed to the kernel in one call. More gains nothing measurable.
pub(crate) const PIECES_MAX: usize = 64;

/// Most bytes kept for reuse by one reactor.
const POOL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Empty buffers, kept for reuse.
#[derive(Debug)]
pub(crate) struct Pool {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    buffer_bytes_max: usize,
}

impl Default for Pool {
    /// A pool that keeps buffers of any size.
    fn default() -> Self {
        Pool::of_buffers_up_to(POOL_BYTES_MAX)
    }
}

impl Pool {
    /// A pool that keeps no buffer larger than this: for what may wait long and is mostly small.
    pub(crate) fn of_buffers_up_to(buffer_bytes_max: usize) -> Pool {
        Pool {
            buffers: Vec::new(),
            bytes: 0,
            buffer_bytes_max,
        }
    }

    /// An empty buffer, warm if there is one.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Gives a buffer back; one that is too large, or would make the pool so, is freed.
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let bytes = self.bytes + buffer.capacity();
        let fits = (1..=self.buffer_bytes_max).contains(&buffer.capacity());
        if fits && bytes <= POOL_BYTES_MAX {
            buffer.clear();
            self.bytes = bytes;
            self.buffers.push(buffer);
        }
    }
}

#[derive(Debug)]
enum Chunk {
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match self {
            Chunk::Owned(buffer) => buffer,
            Chunk::Shared(bytes) => bytes,
        }
    }
}

/// The end of a queue, lent for appending.
#[derive(Debug)]
pub(crate) struct Tail<'a> {
    buffer: &'a mut Vec<u8>,
    bytes: &'a mut usize,
}

impl Tail<'_> {
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        *self.bytes += bytes.len();
    }
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    chunks: VecDeque<Chunk>,
    head: usize,
    bytes: usize,
}

impl Outbound {
    /// Bytes waiting.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The end of the queue, with room for `len` more bytes.
    pub(crate) fn tail(&mut self, len: usize, pool: &mut Pool) -> Tail<'_> {
        let fits = match self.chunks.back() {
            Some(Chunk::Owned(buffer)) => {
                buffer.len() + len <= CHUNK_BYTES_MAX.max(buffer.capacity())
            }
            _ => false,
        };
        if !fits {
            self.chunks.push_back(Chunk::Owned(pool.take()));
        }
        match self.chunks.back_mut() {
            Some(Chunk::Owned(buffer)) => {
                grow(buffer, len);
                Tail {
                    buffer,
                    bytes: &mut self.bytes,
                }
            }
            _ => unreachable!("the last chunk is owned: either it was, or it has just been pushed"),
        }
    }

    /// Appends bytes without copying them.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.chunks.push_back(Chunk::Shared(bytes));
        }
    }

    /// The first pieces waiting, as many as fit and no more than `bytes` altogether, and how many
    /// there are.
    pub(crate) fn pieces<'a>(
        &'a self,
        out: &mut [IoSlice<'a>; PIECES_MAX],
        mut bytes: usize,
    ) -> usize {
        let mut head = self.head;
        let mut count = 0;
        for chunk in self.chunks.iter().take(PIECES_MAX) {
            let piece = &chunk.as_slice()[head..];
            let piece = &piece[..piece.len().min(bytes)];
            head = 0;
            bytes -= piece.len();
            if !piece.is_empty() {
                out[count] = IoSlice::new(piece);
                count += 1;
            }
        }
        count
    }

    /// Forgets the first `len` bytes: the kernel has them.
    pub(crate) fn advance(&mut self, len: usize, pool: &mut Pool) {
        debug_assert!(len <= self.bytes, "took {len} of {} bytes", self.bytes);
        self.bytes -= len;
        self.head += len;
        while let Some(first) = self.chunks.front() {
            let first_len = first.as_slice().len();
            if self.head < first_len {
                break;
            }
            self.head -= first_len;
            if let Some(Chunk::Owned(buffer)) = self.chunks.pop_front() {
                pool.give(buffer);
            }
        }
    }

    /// Gives back room that the last chunk will not need soon. Called when the socket is full, so
    /// that a peer which does not read holds what waits for it and not the buffer it came in.
    pub(crate) fn trim(&mut self) {
        if let Some(Chunk::Owned(buffer)) = self.chunks.back_mut()
            && buffer.capacity() / 4 > buffer.len()
        {
            buffer.shrink_to(buffer.len() * 2);
        }
    }

    /// A copy of all that waits.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes);
        let mut head = self.head;
        for chunk in &self.chunks {
            bytes.extend_from_slice(&chunk.as_slice()[head..]);
            head = 0;
        }
        bytes
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.advance(self.bytes, pool);
    }
}

/// Makes room for `len` more bytes: by doubling, but not past the limit of a chunk without need.
fn grow(buffer: &mut Vec<u8>, len: usize) {
    let needed = buffer.len() + len;
    if needed > buffer.capacity() {
        let wanted = needed.max(CHUNK_BYTES_MAX.min(2 * buffer.capacity()));
        buffer.reserve_exact(wanted - buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(out: &mut Outbound, pool: &mut Pool, bytes: &[u8]) {
        out.tail(bytes.len(), pool).put(bytes);
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
        assert_eq!((out.chunks.len(), pool.buffers.len()), (0, 1));
        put(&mut out, &mut pool, b"again");
        assert_eq!(pool.buffers.len(), 0);
        out.clear(&mut pool);
        assert_eq!((out.len(), pool.buffers.len()), (0, 1));
    }

    #[test]
    fn a_long_queue_is_many_chunks_and_none_grows_past_the_limit() {
        let (mut out, mut pool) = (Outbound::default(), Pool::default());
        for _ in 0..5000 {
            put(&mut out, &mut pool, &[1; 1000]);
        }
        assert_eq!(out.len(), 5_000_000);
        assert!(out.chunks.len() >= 5_000_000 / CHUNK_BYTES_MAX);
        assert!(
            out.chunks
                .iter()
                .all(|chunk| chunk.as_slice().len() <= CHUNK_BYTES_MAX)
        );
        put(&mut out, &mut pool, &vec![2; CHUNK_BYTES_MAX + 1]);
        assert_eq!(out.len(), 5_000_000 + CHUNK_BYTES_MAX + 1);
    }
}
