//! A piece goes from one queue to another, as a layer hands it on that changes none of its bytes.
//!
//! A framing puts a few bytes in front of what waits. They are written into the room that a long block has there, or
//! are a piece of their own, and the block goes on as it is. So a framed connection copies no more than a plain one.

use super::{Outbound, Piece, Pool};
use bytes::{Buf, Bytes};

/// A shorter piece is copied behind what waits already: that costs less than a further piece for the kernel.
const PASSED_BYTES_MIN: usize = 4096;

/// A piece that fills less than this part of its block, one in four, is copied: otherwise a slow peer would hold much
/// memory for few waiting bytes.
const EMPTY_PARTS_MAX: usize = 4;

impl Outbound {
    /// Takes over the first piece of `from`, which is not empty, behind `head`.
    pub(crate) fn take_piece(&mut self, head: &[u8], from: &mut Outbound, pool: &mut Pool) {
        if self.is_empty() && from.older_bytes() == 0 && from.head() >= head.len() {
            let start = from.head() - head.len();
            from.block[start..start + head.len()].copy_from_slice(head);
            from.head = start as u32;
            from.shut_window();
            std::mem::swap(self, from);
        } else if let Some(piece) = from.long_piece() {
            self.trim();
            self.push_shared(Bytes::copy_from_slice(head));
            self.retire_block();
            self.older.get_or_insert_default().push(piece);
        } else {
            let piece = from.waiting().next().unwrap_or_default();
            let len = piece.len();
            self.make_room(head.len() + len, pool);
            let mut tail = self.tail(head.len() + len);
            tail.put(head);
            tail.put(piece);
            drop(tail);
            from.advance(len, pool);
        }
        self.invariants();
        from.invariants();
    }

    /// Takes the first piece out, if it is not better copied.
    fn long_piece(&mut self) -> Option<Piece> {
        let head = self.head();
        let first = self.older.as_mut().and_then(|older| older.pieces.front());
        let (len, block) = match first {
            Some(Piece::Owned { block, start, end }) => {
                ((end - start) as usize - head, block.len())
            }
            Some(Piece::Shared(bytes)) => (bytes.len() - head, 0),
            None => (self.end() - head, self.block.len()),
        };
        if len < PASSED_BYTES_MIN || len < block / EMPTY_PARTS_MAX {
            return None;
        }
        self.shut_window();
        self.head = 0;
        let Some(older) = self.older.as_mut().filter(|older| older.bytes > 0) else {
            let (start, end) = (head as u32, std::mem::take(&mut self.end));
            let block = std::mem::take(&mut self.block);
            return Some(Piece::Owned { block, start, end });
        };
        let mut piece = older.pieces.pop_front()?;
        older.bytes -= piece.as_slice().len();
        match &mut piece {
            Piece::Owned { start, .. } => *start += head as u32,
            Piece::Shared(bytes) => bytes.advance(head),
        }
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn put(out: &mut Outbound, pool: &mut Pool, bytes: &[u8]) {
        out.shut_window();
        out.make_room(bytes.len(), pool);
        out.tail(bytes.len()).put(bytes);
    }

    /// Where the waiting pieces lie.
    fn places(out: &Outbound) -> Vec<*const u8> {
        out.waiting().map(<[u8]>::as_ptr).collect()
    }

    /// A pool with a long block, as a busy reactor has.
    fn warm() -> Pool {
        let (mut out, mut pool) = (Outbound::default(), Pool::default());
        put(&mut out, &mut pool, &[0; 100_000]);
        out.clear(&mut pool);
        pool
    }

    #[test]
    fn a_queue_that_leaves_at_once_is_one_piece_with_its_head_and_no_byte_is_copied() {
        let (mut from, mut to, mut pool) = (Outbound::default(), Outbound::default(), warm());
        for _ in 0..3 {
            put(&mut from, &mut pool, b"hello");
            let place = places(&from)[0];
            to.take_piece(b"head", &mut from, &mut pool);
            assert_eq!(to.only_piece(usize::MAX), Some(&b"headhello"[..]));
            assert_eq!(places(&to)[0].wrapping_add(4), place);
            assert!(from.is_empty());
            to.clear(&mut pool);
        }
    }

    #[test]
    fn long_pieces_behind_others_are_not_copied_and_what_is_short_is() {
        let (mut from, mut to, mut pool) = (Outbound::default(), Outbound::default(), warm());
        put(&mut to, &mut pool, b"before");
        put(&mut from, &mut pool, b"short");
        from.push_shared(Bytes::from(vec![1; 5000]));
        put(&mut from, &mut pool, &[2; 200_000]);
        let there = places(&from);
        for _ in 0..3 {
            to.take_piece(b"h", &mut from, &mut pool);
        }
        assert!(from.is_empty());
        let here = places(&to);
        assert!(!here.contains(&there[0]));
        assert!(here.contains(&there[1]) && here.contains(&there[2]));
        let expected = [b"beforehshorth", &[1; 5000][..], b"h", &[2; 200_000]].concat();
        assert!(to.to_vec() == expected);
    }

    #[test]
    fn a_slow_peer_holds_little_more_than_what_waits_for_it() {
        let (mut from, mut to, mut pool) = (Outbound::default(), Outbound::default(), warm());
        for len in (1..200).map(|round| round * 97 % 6000 + 1) {
            put(&mut from, &mut pool, &vec![7; len]);
            to.take_piece(b"head", &mut from, &mut pool);
        }
        let blocks = to.older.iter().flat_map(|older| &older.pieces);
        let held: usize = blocks
            .map(|piece| match piece {
                Piece::Owned { block, .. } => block.len(),
                Piece::Shared(bytes) => bytes.len(),
            })
            .sum();
        let (held, waiting) = (held + to.block.len(), to.len());
        assert!(held < 5 * waiting, "{held} bytes held for {waiting}");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(usize),
        Share(usize),
        /// Some of the queue is sealed otherwise.
        Advance(usize),
        Pass(usize),
        /// The kernel takes some.
        Write(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let len = || prop_oneof![0..20usize, 4000..5000usize, 30_000..300_000usize];
        prop_oneof![
            3 => len().prop_map(Step::Put),
            1 => len().prop_map(Step::Share),
            1 => len().prop_map(Step::Advance),
            3 => (0..14usize).prop_map(Step::Pass),
            2 => len().prop_map(Step::Write),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_changed_on_the_way(steps in vec(step(), 0..40)) {
            let (mut from, mut to, mut pool) = (Outbound::default(), Outbound::default(), warm());
            let (mut queue, mut wire) = (Vec::new(), Vec::new());
            for (byte, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Put(len) => {
                        put(&mut from, &mut pool, &vec![byte as u8; len]);
                        queue.extend(vec![byte as u8; len]);
                    }
                    Step::Share(len) => {
                        from.push_shared(Bytes::from(vec![byte as u8; len]));
                        queue.extend(vec![byte as u8; len]);
                    }
                    Step::Advance(len) => {
                        let len = len.min(from.len());
                        from.advance(len, &mut pool);
                        queue.drain(..len);
                    }
                    Step::Pass(head) if !from.is_empty() => {
                        let head = vec![255; head];
                        let len = from.waiting().next().map_or(0, <[u8]>::len);
                        to.take_piece(&head, &mut from, &mut pool);
                        wire.extend(head);
                        wire.extend(queue.drain(..len));
                    }
                    Step::Pass(_) => {}
                    Step::Write(len) => {
                        let len = len.min(to.len());
                        to.advance(len, &mut pool);
                        wire.drain(..len);
                        to.trim();
                    }
                }
                prop_assert_eq!((from.len(), to.len()), (queue.len(), wire.len()));
            }
            prop_assert!(from.to_vec() == queue && to.to_vec() == wire);
        }
    }
}
