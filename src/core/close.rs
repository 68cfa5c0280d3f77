//! `CloseReason`: why a connection ended, for the log and the counters.

use crate::core::backpressure::crowd::Crowded;
use midge_protocol::Violation;
use midge_reactor::Close;
use std::error::Error;
use std::fmt;

/// Why a connection ended. Wider than what the peer is told: the texts are those of nats-server's
/// log and monitoring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) enum CloseReason {
    /// The client hung up.
    ClientClosed,
    /// A read or a write failed.
    ReadError,
    /// More was queued for it than `max_pending`.
    SlowConsumerPending,
    /// More was queued for all together than `max_pending_total` lets stand, and for it more than for
    /// most.
    SlowConsumerTotal,
    /// What was queued for it did not leave within `write_deadline`.
    SlowConsumerDeadline,
    /// It left `ping_max` `PING`s unanswered.
    Stale,
    /// Wrong credentials, or none.
    AuthenticationFailure,
    /// No `CONNECT` in time.
    AuthenticationTimeout,
    /// What it had logged in with was good until then.
    AuthenticationExpired,
    /// Its account lets the user in no longer.
    CredentialsRevoked,
    /// It told of an error itself, with `-ERR`.
    ParseError,
    /// It broke the protocol: it sent what is no op, or what cannot be parsed.
    ProtocolViolation,
    /// It asked for a protocol that we do not speak.
    BadClientProtocol,
    /// It asked for 503 messages without headers.
    NoRespondersNeedsHeaders,
    /// The TLS handshake failed, or was not over in time.
    TlsHandshake,
    /// There were `max_connections` already, or too many of its user or its address, or too many handshakes.
    ConnectionsMax,
    /// There were as many of its account as may be.
    AccountConnectionsMax,
    /// It had more subscriptions than its account lets it have.
    SubscriptionsMax,
    /// It sent more in a second than its user or its address may.
    RateMax,
    /// It announced more than `max_payload`.
    PayloadMax,
    /// Its control line was longer than `max_control_line`.
    ControlLineMax,
    /// An operator ended it.
    Kicked,
    /// The broker stopped.
    ServerShutdown,
}

/// Why a connection ends whose framing says so, and not the conversation.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) reason: CloseReason,
    pub(crate) text: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Ended {}

impl CloseReason {
    /// The reason behind a fatal violation.
    pub(crate) fn of_violation(violation: &Violation<'_>) -> CloseReason {
        match violation {
            Violation::Authorization => CloseReason::AuthenticationFailure,
            Violation::AuthenticationTimeout => CloseReason::AuthenticationTimeout,
            Violation::AuthenticationExpired | Violation::AccountExpired => {
                CloseReason::AuthenticationExpired
            }
            Violation::CredentialsRevoked => CloseReason::CredentialsRevoked,
            Violation::ConnectionsMax
            | Violation::OwnConnectionsMax
            | Violation::ConnectionRateMax
            | Violation::Throttled => CloseReason::ConnectionsMax,
            Violation::AccountConnectionsMax => CloseReason::AccountConnectionsMax,
            Violation::SubscriptionsMax => CloseReason::SubscriptionsMax,
            Violation::RateMax => CloseReason::RateMax,
            Violation::Kicked { .. } => CloseReason::Kicked,
            Violation::Stale => CloseReason::Stale,
            Violation::ControlLineTooLong => CloseReason::ControlLineMax,
            Violation::PayloadTooLarge => CloseReason::PayloadMax,
            Violation::InvalidClientProtocol => CloseReason::BadClientProtocol,
            Violation::NoRespondersNeedsHeaders => CloseReason::NoRespondersNeedsHeaders,
            Violation::PeerError => CloseReason::ParseError,
            _ => CloseReason::ProtocolViolation,
        }
    }

    /// Whether it is a failed login.
    pub(crate) fn is_failed_login(self) -> bool {
        matches!(
            self,
            CloseReason::AuthenticationFailure | CloseReason::AuthenticationTimeout
        )
    }

    /// The reason as the reactor saw it, when no violation came first.
    pub(crate) fn of_close(close: &Close) -> CloseReason {
        match close {
            Close::SlowConsumer => CloseReason::SlowConsumerPending,
            Close::Failed(error) if error.is::<Crowded>() => CloseReason::SlowConsumerTotal,
            Close::Failed(error) if error.is::<Ended>() => {
                let ended = error.downcast_ref::<Ended>();
                ended.map_or(CloseReason::ClientClosed, |ended| ended.reason)
            }
            Close::WriteTimeout => CloseReason::SlowConsumerDeadline,
            Close::Shutdown => CloseReason::ServerShutdown,
            // An end that can be read is seen by `on_eof` first: this one was a reset.
            Close::Error(_) | Close::Peer => CloseReason::ReadError,
            _ => CloseReason::ClientClosed,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::ClientClosed => "Client Closed",
            CloseReason::ReadError => "Read Error",
            CloseReason::SlowConsumerPending | CloseReason::SlowConsumerTotal => {
                "Slow Consumer (Pending Bytes)"
            }
            CloseReason::SlowConsumerDeadline => "Slow Consumer (Write Deadline)",
            CloseReason::Stale => "Stale Connection",
            CloseReason::AuthenticationFailure => "Authentication Failure",
            CloseReason::AuthenticationTimeout => "Authentication Timeout",
            CloseReason::AuthenticationExpired => "Authentication Expired",
            CloseReason::CredentialsRevoked => "Credentials Revoked",
            CloseReason::ParseError => "Parse Error",
            CloseReason::ProtocolViolation => "Protocol Violation",
            CloseReason::BadClientProtocol => "Bad Client Protocol Version",
            CloseReason::NoRespondersNeedsHeaders => "No Responders Requires Headers",
            CloseReason::TlsHandshake => "TLS Handshake Failure",
            CloseReason::ConnectionsMax => "Maximum Connections Exceeded",
            CloseReason::AccountConnectionsMax => "Maximum Account Connections Exceeded",
            CloseReason::SubscriptionsMax => "Maximum Subscriptions Exceeded",
            CloseReason::RateMax => "Maximum Message Rate Exceeded",
            CloseReason::PayloadMax => "Maximum Message Payload Exceeded",
            CloseReason::ControlLineMax => "Maximum Control Line Exceeded",
            CloseReason::Kicked => "Kicked",
            CloseReason::ServerShutdown => "Server Shutdown",
        })
    }
}
