//! `Block`: memory for bytes that wait, of which much is given back in no order.
//!
//! A large one is a mapping of its own and goes back to the system when it is dropped, whatever lies
//! beside it and whatever the program's allocator does: an allocator that keeps what was freed below
//! something that stays would keep nearly all of it.
//!
//! Of 440 MB to 1.2 GB that waited for stalled connections, and was freed in no order, glibc kept 270 to
//! 430 MB, jemalloc 300 to 500, mimalloc all while nothing else was allocated. With mappings 14 to 18 MB
//! stay, under each of these and under musl. A mapping costs more than an allocation; so some free blocks are
//! kept for reuse, and of these the mapped ones are used first.

use memmap2::{MmapMut, MmapOptions};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Smallest block with a mapping of its own, in bytes: what the calls of the system cost is little
/// beside copying so much.
const MAPPED_BYTES_MIN: usize = 32 * 1024;

/// Most blocks of the process with a mapping of their own. Linux allows a process 65,530 of any kind,
/// and an allocator needs some.
const MAPPINGS_MAX: usize = 16 * 1024;

/// How many there are.
static MAPPINGS: AtomicUsize = AtomicUsize::new(0);

/// Memory that is initialized to its full length.
///
/// Both kinds are a pointer and a length, in the same places: to find the bytes nothing is decided.
#[derive(Debug)]
pub(crate) enum Block {
    Heap(Box<[u8]>),
    Mapped(Mapping),
}

/// Pages of the system, counted.
#[derive(Debug)]
pub(crate) struct Mapping(MmapMut);

impl Mapping {
    /// Zeroes; nothing where the system or [`MAPPINGS_MAX`] allows no more.
    fn of_len(len: usize) -> Option<Mapping> {
        // Nothing else depends on the number.
        if MAPPINGS.load(Ordering::Relaxed) >= MAPPINGS_MAX {
            return None;
        }
        // It is written soon: one call for all pages costs less than a fault for each.
        let mut options = MmapOptions::new();
        let map = options.len(len).populate().map_anon().ok()?;
        MAPPINGS.fetch_add(1, Ordering::Relaxed);
        Some(Mapping(map))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        MAPPINGS.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Block {
    fn default() -> Self {
        Block::Heap(Box::default())
    }
}

impl Block {
    /// Makes it as long as that. What it has of that length stays, and zeroes come behind it.
    pub(crate) fn resize(&mut self, len: usize) {
        let old = std::mem::take(self);
        let mapping = if len >= MAPPED_BYTES_MIN {
            Mapping::of_len(len)
        } else {
            None
        };
        *self = match (mapping, old) {
            (Some(mut mapping), old) => {
                let kept = old.len().min(len);
                mapping.0[..kept].copy_from_slice(&old[..kept]);
                Block::Mapped(mapping)
            }
            (None, Block::Heap(old)) => {
                let mut bytes = old.into_vec();
                bytes.reserve_exact(len.saturating_sub(bytes.len()));
                bytes.resize(len, 0);
                Block::Heap(bytes.into_boxed_slice())
            }
            (None, Block::Mapped(old)) => {
                let kept = old.0.len().min(len);
                let mut bytes = Vec::with_capacity(len);
                bytes.extend_from_slice(&old.0[..kept]);
                bytes.resize(len, 0);
                Block::Heap(bytes.into_boxed_slice())
            }
        };
    }
}

impl Deref for Block {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        match self {
            Block::Heap(bytes) => bytes,
            Block::Mapped(mapping) => &mapping.0,
        }
    }
}

impl DerefMut for Block {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Block::Heap(bytes) => bytes,
            Block::Mapped(mapping) => &mut mapping.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_its_bytes_in_whatever_memory_it_lies() {
        let mut block = Block::default();
        let mut kept: Vec<u8> = Vec::new();
        for len in [
            1,
            100,
            MAPPED_BYTES_MIN - 1,
            MAPPED_BYTES_MIN,
            1 << 20,
            70_000,
            10,
            1 << 16,
            0,
        ] {
            block.resize(len);
            kept.resize(len, 0);
            assert_eq!(block[..], kept, "at {len}");
            let mapped = matches!(block, Block::Mapped(_));
            assert_eq!(mapped, len >= MAPPED_BYTES_MIN, "at {len}");
            for (at, byte) in block.iter_mut().enumerate() {
                *byte = (at % 251) as u8;
            }
            kept.copy_from_slice(&block);
        }
    }

    /// Memory of this process that is in use, in bytes.
    #[cfg(target_os = "linux")]
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("it runs");
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        1024 * kib.and_then(|kib| kib.parse::<usize>().ok()).expect("kB")
    }

    /// Whatever allocator the program has, and whatever small things lie between.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_memory_of_a_large_block_goes_back_to_the_system_with_it() {
        let before = resident();
        let mut small = Vec::new();
        let mut blocks = Vec::new();
        for round in 0..4096 {
            let mut block = Block::default();
            block.resize(MAPPED_BYTES_MIN << (round % 3));
            blocks.push(Some(block));
            small.push(vec![1_u8; 100 + round % 300]);
        }
        let all: usize = blocks.iter().flatten().map(|block| block.len()).sum();
        assert!(resident() > before + all / 2, "it is not in use");
        for number in 0..blocks.len() {
            blocks[number * 37 % 4096] = None;
            small.push(vec![1_u8; 100 + number % 300]);
        }
        // Other tests run meanwhile.
        let rest = resident().saturating_sub(before);
        assert!(rest < all / 2, "{rest} bytes of {all} stay");
    }
}
