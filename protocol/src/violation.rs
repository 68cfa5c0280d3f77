//! What the peer did wrong: the text it is told, and whether the connection survives.
//!
//! The texts are compatibility surface. Client libraries compare them (without regard to letter
//! case) and cut subjects out of the quotes, so changing one is a breaking change. Nearly all are
//! nats-server 2.9's; this is the one place where they stand.

use std::fmt;

use crate::encode::Sink;
use crate::quote;

/// A rule the peer broke, told to it as `-ERR '<text>'` CR LF ([`encode::err`](crate::encode::err)).
///
/// After a **fatal** one the connection is closed, after the others it stays. A **silent** one is
/// fatal without a text.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Violation<'a> {
    /// An op with an unknown name, or a payload not followed by CR LF. Fatal.
    UnknownOperation,
    /// The arguments of an op are longer than `max_control_line`. Fatal.
    ControlLineTooLong,
    /// `PUB` or `HPUB` announced more than `max_payload`. Fatal, before the payload is read.
    PayloadTooLarge,
    /// `CONNECT` asked for a protocol other than 0 and 1. Fatal.
    InvalidClientProtocol,
    /// `CONNECT` asked for 503 messages although headers are not in effect. Fatal.
    NoRespondersNeedsHeaders,
    /// Bad credentials, or an op before `CONNECT` when credentials are wanted. Fatal.
    Authorization,
    /// No `CONNECT` in time, when credentials are wanted. Fatal.
    AuthenticationTimeout,
    /// What the client has presented was good until now, and is not good any more. Fatal.
    AuthenticationExpired,
    /// The account was good until now, and is not good any more. Fatal.
    AccountExpired,
    /// The account lets the user in no longer. Fatal.
    CredentialsRevoked,
    /// The server has as many connections as it may. Fatal.
    ConnectionsMax,
    /// The user or the address has as many connections as it may. Fatal.
    OwnConnectionsMax,
    /// More connections of a user or an address have come in a second than may. Fatal.
    ConnectionRateMax,
    /// The account has as many connections as it may. Fatal.
    AccountConnectionsMax,
    /// An operator ended the connection, for this reason. Fatal.
    Kicked {
        /// The operator's words.
        reason: &'a str,
    },
    /// More TLS handshakes were to begin in a second than may. Fatal.
    Throttled,
    /// The user or the address has sent more in a second than it may. Fatal.
    RateMax,
    /// Too many of our PINGs stand unanswered. Fatal.
    Stale,
    /// Arguments that make no sense, or JSON that is none. Fatal and silent.
    Parse,
    /// The peer said `-ERR`: there is nothing that a client could reproach a broker with. Fatal and silent.
    PeerError,
    /// `HPUB` although headers are not in effect. Fatal and silent.
    HeadersNotSupported,
    /// `SUB` to a subject with an empty token, or with a `>` before the end. The peer stays.
    InvalidSubject,
    /// A pedantic client published to a subject with an empty token or a wildcard. The peer
    /// stays, and the message is published all the same.
    InvalidPublishSubject,
    /// `SUB` past the limit of subscriptions. The peer stays.
    SubscriptionsMax,
    /// No right to publish there. The peer stays.
    PublishDenied {
        /// The subject published to.
        subject: &'a [u8],
    },
    /// The user or the address has sent more in a second than it may, and the message is dropped. The peer stays.
    ///
    /// It begins as other texts do after which a peer stays: the client library for Go ends the connection at
    /// one that it does not know.
    MessageDropped {
        /// The subject published to.
        subject: &'a [u8],
    },
    /// The reply subject is one of the reserved ones. The peer stays.
    ReplyDenied {
        /// The reply subject.
        reply: &'a [u8],
    },
    /// No right to subscribe there. The peer stays.
    SubscribeDenied {
        /// The subject subscribed to.
        subject: &'a [u8],
        /// The queue group, if one was named.
        queue: Option<&'a [u8]>,
    },
    /// `SUB` to a subject of more tokens than `max_sub_tokens`. The peer stays.
    TooManyTokens {
        /// The subject subscribed to.
        subject: &'a [u8],
    },
    /// A reload took the right to a subscription away, and the subscription with it. The peer
    /// stays.
    SubscriptionRevoked {
        /// The subject subscribed to.
        subject: &'a [u8],
        /// The client's name of the subscription.
        sid: &'a [u8],
    },
}

impl Violation<'_> {
    /// Whether the connection is closed after telling the peer.
    pub fn is_fatal(&self) -> bool {
        !matches!(
            self,
            Self::InvalidSubject
                | Self::InvalidPublishSubject
                | Self::SubscriptionsMax
                | Self::PublishDenied { .. }
                | Self::MessageDropped { .. }
                | Self::ReplyDenied { .. }
                | Self::SubscribeDenied { .. }
                | Self::TooManyTokens { .. }
                | Self::SubscriptionRevoked { .. }
        )
    }

    /// Whether the connection is closed without a word.
    pub fn is_silent(&self) -> bool {
        matches!(
            self,
            Self::Parse | Self::PeerError | Self::HeadersNotSupported
        )
    }

    /// Appends the text, without the quotes around it. For a silent violation, which no peer is
    /// ever told, these are words for a log.
    ///
    /// What came from the peer stands in double quotes, escaped so that the text is always
    /// printable UTF-8. Allocates nothing.
    pub fn put_text(&self, out: &mut impl Sink) {
        out.put(self.lead().as_bytes());
        match *self {
            Self::PublishDenied { subject } => quote::put(out, subject),
            Self::MessageDropped { subject } => {
                quote::put(out, subject);
                out.put(b", rate limit exceeded");
            }
            Self::ReplyDenied { reply } => quote::put(out, reply),
            Self::SubscribeDenied { subject, queue } => {
                quote::put(out, subject);
                if let Some(queue) = queue {
                    out.put(b" using queue ");
                    quote::put(out, queue);
                }
            }
            Self::TooManyTokens { subject } => {
                quote::put(out, subject);
                out.put(b", too many tokens");
            }
            Self::SubscriptionRevoked { subject, sid } => {
                quote::put(out, subject);
                out.put(b" (sid ");
                quote::put(out, sid);
                out.put(b")");
            }
            Self::Kicked { reason } => out.put(reason.as_bytes()),
            _ => {}
        }
    }

    /// The text up to what came from the peer; the whole text of most.
    fn lead(&self) -> &'static str {
        match self {
            Self::UnknownOperation => "Unknown Protocol Operation",
            Self::ControlLineTooLong => "maximum control line exceeded",
            Self::PayloadTooLarge => "Maximum Payload Violation",
            Self::InvalidClientProtocol => "invalid client protocol",
            Self::NoRespondersNeedsHeaders => "no responders requires headers support",
            Self::Kicked { .. } => "Kicked: ",
            Self::Authorization => "Authorization Violation",
            Self::AuthenticationTimeout => "Authentication Timeout",
            Self::AuthenticationExpired => "User Authentication Expired",
            Self::AccountExpired => "Account Authentication Expired",
            Self::CredentialsRevoked => "User Authentication Revoked",
            Self::ConnectionsMax | Self::OwnConnectionsMax => "maximum connections exceeded",
            Self::AccountConnectionsMax => "maximum account active connections exceeded",
            Self::Throttled | Self::ConnectionRateMax => {
                "Connection throttling is active. Please try again later."
            }
            Self::RateMax => "maximum message rate exceeded",
            Self::Stale => "Stale Connection",
            Self::Parse => "parse error",
            Self::PeerError => "the peer told of an error",
            Self::HeadersNotSupported => "message headers not supported",
            Self::InvalidSubject => "Invalid Subject",
            Self::InvalidPublishSubject => "Invalid Publish Subject",
            Self::SubscriptionsMax => "maximum subscriptions exceeded",
            Self::PublishDenied { .. } | Self::MessageDropped { .. } => {
                "Permissions Violation for Publish to "
            }
            Self::ReplyDenied { .. } => "Permissions Violation for Publish with Reply of ",
            Self::SubscribeDenied { .. }
            | Self::TooManyTokens { .. }
            | Self::SubscriptionRevoked { .. } => "Permissions Violation for Subscription to ",
        }
    }
}

/// The text of [`Violation::put_text`], for a log.
impl fmt::Display for Violation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces = Pieces::new(f);
        self.put_text(&mut pieces);
        pieces.end()
    }
}

impl std::error::Error for Violation<'_> {}

/// A formatter as a sink. Every piece that is put must be UTF-8 by itself.
pub(crate) struct Pieces<'f, 'b> {
    f: &'f mut fmt::Formatter<'b>,
    result: fmt::Result,
}

impl<'f, 'b> Pieces<'f, 'b> {
    pub(crate) fn new(f: &'f mut fmt::Formatter<'b>) -> Pieces<'f, 'b> {
        Pieces { f, result: Ok(()) }
    }

    pub(crate) fn end(self) -> fmt::Result {
        self.result
    }
}

impl Sink for Pieces<'_, '_> {
    fn put(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            if self.result.is_ok() {
                self.result = self.f.write_str(chunk.valid());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Then {
        Stays,
        Closes,
        ClosesSilently,
    }
    use Then::{Closes, ClosesSilently, Stays};

    #[track_caller]
    fn check(violation: Violation<'_>, then: Then, line: &str) {
        let mut out = Vec::new();
        crate::encode::err(&mut out, &violation);
        assert_eq!(String::from_utf8_lossy(&out), line);
        let said = match (violation.is_fatal(), violation.is_silent()) {
            (false, _) => Stays,
            (true, false) => Closes,
            (true, true) => ClosesSilently,
        };
        assert_eq!(said, then, "{violation}");
        if then != ClosesSilently {
            assert_eq!(format!("-ERR '{violation}'\r\n"), line);
        }
    }

    #[test]
    fn texts_are_those_that_clients_compare() {
        use Violation::*;
        let (subject, queue, sid) = (b"a.b".as_slice(), b"q".as_slice(), b"7".as_slice());
        let table = [
            (
                UnknownOperation,
                Closes,
                "-ERR 'Unknown Protocol Operation'\r\n",
            ),
            (
                ControlLineTooLong,
                Closes,
                "-ERR 'maximum control line exceeded'\r\n",
            ),
            (
                PayloadTooLarge,
                Closes,
                "-ERR 'Maximum Payload Violation'\r\n",
            ),
            (
                InvalidClientProtocol,
                Closes,
                "-ERR 'invalid client protocol'\r\n",
            ),
            (
                NoRespondersNeedsHeaders,
                Closes,
                "-ERR 'no responders requires headers support'\r\n",
            ),
            (Authorization, Closes, "-ERR 'Authorization Violation'\r\n"),
            (
                AuthenticationTimeout,
                Closes,
                "-ERR 'Authentication Timeout'\r\n",
            ),
            (
                AuthenticationExpired,
                Closes,
                "-ERR 'User Authentication Expired'\r\n",
            ),
            (
                AccountExpired,
                Closes,
                "-ERR 'Account Authentication Expired'\r\n",
            ),
            (
                CredentialsRevoked,
                Closes,
                "-ERR 'User Authentication Revoked'\r\n",
            ),
            (
                ConnectionsMax,
                Closes,
                "-ERR 'maximum connections exceeded'\r\n",
            ),
            (
                OwnConnectionsMax,
                Closes,
                "-ERR 'maximum connections exceeded'\r\n",
            ),
            (
                ConnectionRateMax,
                Closes,
                "-ERR 'Connection throttling is active. Please try again later.'\r\n",
            ),
            (RateMax, Closes, "-ERR 'maximum message rate exceeded'\r\n"),
            (
                MessageDropped { subject },
                Stays,
                "-ERR 'Permissions Violation for Publish to \"a.b\", rate limit exceeded'\r\n",
            ),
            (
                AccountConnectionsMax,
                Closes,
                "-ERR 'maximum account active connections exceeded'\r\n",
            ),
            (
                Throttled,
                Closes,
                "-ERR 'Connection throttling is active. Please try again later.'\r\n",
            ),
            (Stale, Closes, "-ERR 'Stale Connection'\r\n"),
            (Parse, ClosesSilently, ""),
            (PeerError, ClosesSilently, ""),
            (HeadersNotSupported, ClosesSilently, ""),
            (InvalidSubject, Stays, "-ERR 'Invalid Subject'\r\n"),
            (
                InvalidPublishSubject,
                Stays,
                "-ERR 'Invalid Publish Subject'\r\n",
            ),
            (
                SubscriptionsMax,
                Stays,
                "-ERR 'maximum subscriptions exceeded'\r\n",
            ),
            (
                PublishDenied { subject },
                Stays,
                "-ERR 'Permissions Violation for Publish to \"a.b\"'\r\n",
            ),
            (
                ReplyDenied { reply: b"_R_.x" },
                Stays,
                "-ERR 'Permissions Violation for Publish with Reply of \"_R_.x\"'\r\n",
            ),
            (
                SubscribeDenied {
                    subject,
                    queue: None,
                },
                Stays,
                "-ERR 'Permissions Violation for Subscription to \"a.b\"'\r\n",
            ),
            (
                SubscribeDenied {
                    subject,
                    queue: Some(queue),
                },
                Stays,
                "-ERR 'Permissions Violation for Subscription to \"a.b\" using queue \"q\"'\r\n",
            ),
            (
                TooManyTokens { subject },
                Stays,
                "-ERR 'Permissions Violation for Subscription to \"a.b\", too many tokens'\r\n",
            ),
            (
                SubscriptionRevoked { subject, sid },
                Stays,
                "-ERR 'Permissions Violation for Subscription to \"a.b\" (sid \"7\")'\r\n",
            ),
        ];
        for (violation, then, line) in table {
            check(violation, then, line);
        }
    }

    #[test]
    fn single_quotes_inside_a_text_are_not_escaped() {
        check(
            Violation::PublishDenied { subject: b"it's" },
            Stays,
            "-ERR 'Permissions Violation for Publish to \"it's\"'\r\n",
        );
    }

    #[test]
    fn bytes_from_the_peer_are_escaped() {
        check(
            Violation::PublishDenied {
                subject: b"a\"\\\xff\xc3\xbc\r",
            },
            Stays,
            "-ERR 'Permissions Violation for Publish to \"a\\\"\\\\\\xffü\\r\"'\r\n",
        );
    }
}
