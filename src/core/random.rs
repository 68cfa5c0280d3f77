//! `Random`: numbers for choices that clients cannot foresee, and that one seed repeats.
//!
//! A queue group's message goes to a member by chance, evenly over all members, even where they joined the
//! group under different subjects. A turn by turn choice would need a counter for each group and each set of
//! subjects that messages reach.

/// Xorshift: a few instructions a number, which is what a choice in a delivery may cost.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Random {
        // From zero it would stay there.
        Random(seed | 1)
    }

    /// Other numbers, which do not depend on how many are drawn here.
    pub(crate) fn branch(&self) -> Random {
        Random::seeded(self.0.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `bound`, which is not zero: by a multiplication in place of a division.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * bound as u128) >> 64) as usize
    }
}
