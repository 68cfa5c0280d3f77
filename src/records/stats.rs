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
    /// What has become of TLS handshakes of clients.
    pub tls_handshakes: TlsHandshakes,
}

/// TLS handshakes of clients, by how they have ended. One over which a WebSocket begins is over when that has begun.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct TlsHandshakes {
    /// Begun, and not over yet.
    pub under_way: u64,
    /// Made, those of `resumed` among them.
    pub done: u64,
    /// In which a client has taken up an earlier session again.
    pub resumed: u64,
    /// That ended before they were over, by whomever.
    pub failed: u64,
}

impl TlsHandshakes {
    pub(crate) fn began(&mut self) {
        self.under_way += 1;
    }

    pub(crate) fn done(&mut self, is_resumed: bool) {
        self.under_way -= 1;
        self.done += 1;
        self.resumed += u64::from(is_resumed);
    }

    pub(crate) fn failed(&mut self) {
        self.under_way -= 1;
        self.failed += 1;
    }

    /// Whether any was begun.
    pub(crate) fn is_any(&self) -> bool {
        *self != TlsHandshakes::default()
    }
}
