//! `Key`: a slot and the generation of what lives in it. A stale key finds nothing.

use std::fmt;

/// Names one listener or connection of one reactor, for ever.
///
/// Slots are used again, keys are not: a key carries the generation of its slot, so a late event,
/// a forgotten timer or a call on a connection that has gone finds nothing and does nothing.
/// Unique until four thousand million connections have been made by one reactor.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(align(8))] // Compared and copied as one word.
pub struct Key {
    generation: u32,
    index: u32,
}

impl Key {
    /// A key that names nothing: what [`Context::key`](crate::Context::key) answers outside of any
    /// connection.
    pub const NONE: Key = Key {
        generation: 0,
        index: u32::MAX,
    };

    /// The key of a slot and a generation. Reactors make keys; a program needs this only to test,
    /// without a reactor, what is named by keys.
    ///
    /// # Panics
    /// If `index` does not fit in 32 bits.
    #[must_use]
    pub fn new(index: usize, generation: u32) -> Key {
        let index =
            u32::try_from(index).expect("a slab of 2^32 connections does not fit in memory");
        Key { generation, index }
    }

    /// The slot. Drivers use it to index their own table; two live keys never share one.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Key::NONE {
            f.write_str("Key(none)")
        } else {
            write!(f, "Key({}#{})", self.index, self.generation)
        }
    }
}
