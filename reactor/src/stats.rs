//! `Stats` and `Counts`: what a reactor has done so far, and what it has open now.

/// What a reactor has done since it was made. Every number only grows.
///
/// Made by [`Reactor::stats`](crate::Reactor::stats) and [`Io::stats`](crate::Io::stats). Two of
/// them, some time apart, tell a rate. Cost of keeping them: an addition each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Turns begun.
    pub turns: u64,
    /// Calls of the driver's poll: one in each turn, and more where the reactor spins or a timer is due.
    pub polls: u64,
    /// Events that the driver has reported.
    pub events: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connects that have succeeded.
    pub connected: u64,
    /// Connections that are over, connects that have failed among them.
    pub closed: u64,
    /// Calls of the driver's read on connections, those in vain among them.
    pub reads: u64,
    /// Bytes these calls have brought.
    pub read_bytes: u64,
    /// Calls of the driver's write on connections, those in vain among them.
    pub writes: u64,
    /// Bytes these calls have taken.
    pub written_bytes: u64,
    /// Packets that sockets for datagrams have received.
    pub received_packets: u64,
    /// Bytes of these packets.
    pub received_bytes: u64,
    /// Packets that sockets for datagrams have sent: the kernel has taken them.
    pub sent_packets: u64,
    /// Bytes of these packets.
    pub sent_bytes: u64,
    /// Timers that have fired, the reactor's own (timeouts, deadlines) among them.
    pub timers_fired: u64,
    /// Pieces of deferred work that were run.
    pub deferred: u64,
    /// Jobs posted by other threads that were run.
    pub jobs: u64,
    /// Signals handed to closures.
    pub signals: u64,
    /// Panics of handlers and closures, whatever became of them.
    pub panics: u64,
}

/// Memory that a reactor holds, in bytes: what it has reserved, without the allocator's own part.
///
/// Made by [`Io::memory`](crate::Io::memory). Queues and unread input are told for each connection, by
/// [`Io::queued`](crate::Io::queued) and [`Io::unread`](crate::Io::unread).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Memory {
    /// The table of connections and listeners, and what is known of each connection.
    pub connections: usize,
    /// Unused buffers, kept for reuse.
    pub pools: usize,
}

/// What a reactor has open at present, by kind.
///
/// Made by [`Reactor::counts`](crate::Reactor::counts) and [`Io::counts`](crate::Io::counts). What
/// the driver needs for itself (a selector, a waker) is not counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Listening sockets.
    pub listeners: usize,
    /// Connections in any state from connecting to draining.
    pub connections: usize,
    /// Sockets for datagrams.
    pub udp_sockets: usize,
    /// Watched descriptors of others.
    pub watches: usize,
}
