//! `Key`: a slot and the generation of what lives in it. A stale key finds nothing.

use std::fmt;

/// Names one listener or connection of one reactor, for ever.
///
/// Slots are used again, keys are not: a key carries the generation of its slot, so a late event,
/// a forgotten timer or a call on a connection that has gone finds nothing and does nothing.
/// Unique until four thousand million connections have been made by one reactor.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(
    /// The generation above the slot: one word to compare and to copy.
    u64,
);

impl Key {
    /// A key that names nothing: what [`Context::key`](crate::Context::key) answers outside of any
    /// connection.
    pub const NONE: Key = Key(u32::MAX as u64);

    /// The key of a slot and a generation. Reactors make keys; a program needs this only to test,
    /// without a reactor, what is named by keys.
    ///
    /// # Panics
    /// If `index` does not fit in 32 bits.
    #[must_use]
    pub fn new(index: usize, generation: u32) -> Key {
        let index =
            u32::try_from(index).expect("a slab of 2^32 connections does not fit in memory");
        Key(u64::from(generation) << 32 | u64::from(index))
    }

    /// The slot. Drivers use it to index their own table; two live keys never share one.
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        self.0 as u32 as usize
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Key::NONE {
            f.write_str("Key(none)")
        } else {
            write!(f, "Key({}#{})", self.index(), self.0 >> 32)
        }
    }
}
