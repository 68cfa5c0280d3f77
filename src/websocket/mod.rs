//! Clients that come by WebSocket: what stands between their queues and their sockets.
//!
//! ```text
//! socket ──▶ [TLS] ──▶ Framing (layer.rs) ──▶ Client ──▶ ...
//!                      first the request of HTTP (upgrade.rs), then frames, compressed ones too (deflate.rs)
//! ```
//!
//! The upgrade is the layer's handshake, so all that holds for one holds for it: what is sent meanwhile is held, and it
//! has a deadline. To the conversation, to delivery and to back pressure such a client is one like any other.
//!
//! This room knows the settings and no state, no handler and no connection; the layer is given what it needs when a
//! client is accepted.

mod deflate;
mod layer;
mod upgrade;

pub(crate) use layer::{Framing, Settings};
pub(crate) use upgrade::Cookies;

use crate::core::close::CloseReason;
use midge_protocol::websocket::Status;

/// The status with which the broker closes for a reason.
pub(crate) fn status_of(reason: CloseReason) -> Status {
    match reason {
        CloseReason::ClientClosed => Status::NORMAL,
        CloseReason::ServerShutdown
        | CloseReason::Stale
        | CloseReason::ReadError
        // Nothing can be said then.
        | CloseReason::TlsHandshake => Status::GOING_AWAY,
        CloseReason::ParseError
        | CloseReason::ProtocolViolation
        | CloseReason::BadClientProtocol
        | CloseReason::NoRespondersNeedsHeaders => Status::PROTOCOL,
        CloseReason::PayloadMax => Status::TOO_BIG,
        CloseReason::SlowConsumerPending
        | CloseReason::SlowConsumerTotal
        | CloseReason::SlowConsumerDeadline
        | CloseReason::AuthenticationExpired
        | CloseReason::CredentialsRevoked
        | CloseReason::AuthenticationFailure
        | CloseReason::AuthenticationTimeout
        | CloseReason::ConnectionsMax
        | CloseReason::AccountConnectionsMax
        | CloseReason::SubscriptionsMax
        | CloseReason::RateMax
        | CloseReason::Kicked
        | CloseReason::ControlLineMax => Status::POLICY,
    }
}
