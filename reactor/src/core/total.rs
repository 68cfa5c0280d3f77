//! `Total`: what all queues hold together, and how many of them are congested.

/// Bytes that all queues hold, whole blocks counted, and where that is a crowd.
#[derive(Debug)]
pub(crate) struct Total {
    pub(crate) bytes: usize,
    /// A crowd ends at the low mark and begins at the high one.
    pub(crate) low: usize,
    pub(crate) high: usize,
    is_crowded: bool,
    /// Queues that are congested.
    congested: usize,
    /// Whether one is, or all are a crowd. Looked at for each message.
    is_behind: bool,
}

impl Default for Total {
    fn default() -> Total {
        Total {
            bytes: 0,
            low: usize::MAX,
            high: usize::MAX,
            is_crowded: false,
            congested: 0,
            is_behind: false,
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

    /// One more queue is congested.
    pub(crate) fn congest(&mut self) {
        self.congested += 1;
        self.is_behind = true;
    }

    /// One fewer is.
    pub(crate) fn relieve(&mut self) {
        self.congested -= 1;
        self.is_behind = self.congested > 0 || self.is_crowded;
    }

    /// Looks whether it is a crowd.
    pub(crate) fn judge(&mut self) {
        if self.bytes <= self.low {
            self.is_crowded = false;
        } else if self.bytes >= self.high {
            self.is_crowded = true;
        }
        self.is_behind = self.congested > 0 || self.is_crowded;
    }

    pub(crate) fn congested(&self) -> usize {
        self.congested
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.is_crowded
    }

    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }
}
