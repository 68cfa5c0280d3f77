//! `Stats`: the counters of a broker, as it tells them.

use crate::core::receiver::Traffic;

/// What a broker has done since it was started, and what it has now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Clients there are.
    pub clients: usize,
    /// Subscriptions there are.
    pub subscriptions: usize,
    /// Connections accepted so far, those that were turned away included.
    pub connections: u64,
    /// What clients have published.
    pub received: Traffic,
    /// What was delivered.
    pub sent: Traffic,
    /// Connections closed for being slow consumers.
    pub slow_consumers: u64,
    /// Connections closed for not answering `PING`s.
    pub stale: u64,
    /// Connections closed for wrong credentials, or for none in time.
    pub auth_failures: u64,
}
