//! `Total`: what all queues hold together.

/// Bytes that all queues hold, whole blocks counted, and where that is a crowd.
#[derive(Debug)]
pub(crate) struct Total {
    pub(crate) bytes: usize,
    /// A crowd ends at the low mark and begins at the high one.
    pub(crate) low: usize,
    pub(crate) high: usize,
    pub(crate) is_crowded: bool,
}

impl Default for Total {
    fn default() -> Total {
        Total {
            bytes: 0,
            low: usize::MAX,
            high: usize::MAX,
            is_crowded: false,
        }
    }
}

impl Total {
    /// One queue held `before` and holds `now`.
    #[inline]
    pub(crate) fn change(&mut self, before: usize, now: usize) {
        if before != now {
            self.bytes = self.bytes + now - before;
            self.judge();
        }
    }

    /// Looks whether it is a crowd.
    pub(crate) fn judge(&mut self) {
        if self.bytes <= self.low {
            self.is_crowded = false;
        } else if self.bytes >= self.high {
            self.is_crowded = true;
        }
    }
}
