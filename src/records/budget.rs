//! `Budget`: what all who ask may have looked at in a turn.

/// Most places that are looked at in one turn for all who ask together: connections, subscriptions,
/// entries of a cache.
const WORK_MAX: usize = 1000;

/// What may still be done in the present turn.
#[derive(Debug, Default)]
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget(WORK_MAX)
    }

    /// Whether it is used up.
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether half of it is: the other half is for answers that were begun before.
    pub(crate) fn is_half_spent(&self) -> bool {
        self.0 <= WORK_MAX / 2
    }

    /// Takes one place, if there is one left.
    pub(crate) fn take(&mut self) -> bool {
        self.spend(1)
    }

    /// Takes what it costs to copy `bytes`.
    pub(crate) fn spend_bytes(&mut self, bytes: usize) {
        self.spend(bytes / 64);
    }

    /// Takes `places` at once; answers whether there was any left before. What is asked for in
    /// one piece may pass the bound.
    pub(crate) fn spend(&mut self, places: usize) -> bool {
        let any = self.0 > 0;
        self.0 = self.0.saturating_sub(places);
        any
    }
}
