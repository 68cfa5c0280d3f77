//! `Counts`: what was published to a subject.

/// A message weighs as much as this number of bytes: about what it costs the broker, beside what its payload
/// does.
pub(crate) const MESSAGE_WEIGHT: u64 = 256;

/// What was published to a subject, or to all of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    /// Bytes of their headers and payloads.
    pub(crate) bytes: u64,
    /// Messages without a receiver.
    pub(crate) unrouted: u64,
    /// Messages that were not counted but estimated from those that were looked at.
    pub(crate) estimated: u64,
}

impl Counts {
    /// What it weighs: a share of the messages or of the bytes makes it heavy.
    pub(super) fn weight(&self) -> u64 {
        MESSAGE_WEIGHT * self.messages + self.bytes
    }

    /// Adds what was counted elsewhere.
    pub(super) fn add(&mut self, other: &Counts) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.unrouted += other.unrouted;
        self.estimated += other.estimated;
    }
}
