//! What a peer did wrong: the text that it is told, and whether the connection survives.
//!
//! Brokers look at a few of these texts (`Loop detected`), and people read the others in logs; so they are those of
//! nats-server.

use std::fmt;

use super::parser::Kind;
use crate::encode::Sink;
use crate::quote;
use crate::violation::Pieces;

/// A rule that a route or a leaf broke, told to it as `-ERR '<text>'` CR LF.
///
/// After a **fatal** one the connection is closed, after the others it stays. A **silent** one is fatal without a text.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PeerViolation<'a> {
    /// An op with an unknown name, or a payload not followed by CR LF. Fatal.
    UnknownOperation,
    /// A control line is longer than 16 times `max_control_line`. Fatal.
    ControlLineTooLong,
    /// A message announced more than `max_payload`. Fatal, before the payload is read.
    PayloadTooLarge,
    /// Arguments that make no sense, or JSON that is none. Fatal and silent.
    Parse,
    /// Interest in a subject with an empty token, or with a `>` before the end. The peer stays.
    InvalidSubscription,
    /// Interest past the limit of subscriptions. The peer stays.
    SubscriptionsMax,
    /// Bad credentials, or an op before `CONNECT`. Fatal.
    Authorization,
    /// No `CONNECT` in time. Fatal.
    AuthenticationTimeout,
    /// Too many of our PINGs stand unanswered. Fatal.
    Stale,
    /// The TLS handshake has not ended in time. Fatal.
    TlsRequired,
    /// `lang` in `CONNECT`: a client has come by the port of routes or of leaf nodes. Fatal.
    ClientPort(Kind),
    /// `gateway` in `CONNECT`. Fatal.
    GatewayPort {
        /// What it has come by.
        kind: Kind,
        /// The value of `gateway`.
        name: &'a str,
    },
    /// The `CONNECT` of a route names another cluster. Fatal.
    OtherCluster {
        /// The cluster that it names.
        theirs: &'a str,
        /// The cluster of this broker.
        ours: &'a str,
    },
    /// The `CONNECT` of a leaf names the cluster of the hub. Fatal; who dials waits for 30 seconds.
    SameCluster,
    /// A blank in the name of a cluster. Fatal.
    ClusterBlank,
    /// A leaf has told interest in the subject by which this broker finds loops. Fatal; who dials waits for 30 seconds.
    Loop {
        /// The account of this side.
        account: &'a str,
    },
    /// Another connection of the same leaf node has come: told to the older one. Fatal.
    DuplicateLeaf,
    /// The hub's second `INFO` has not come in time. Fatal.
    StaleLeaf,
    /// A leaf node is older than the hub allows. Fatal.
    TooOld {
        /// The least version.
        least: &'a str,
    },
    /// A leaf has told interest in a subject that it may not hear. Fatal.
    SubscribeDenied {
        /// The subject.
        subject: &'a [u8],
    },
    /// A leaf has sent a message that it may not. Fatal.
    PublishDenied {
        /// The subject.
        subject: &'a [u8],
    },
}

impl PeerViolation<'_> {
    /// Whether the connection is closed after telling the peer.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::InvalidSubscription | Self::SubscriptionsMax)
    }

    /// Whether the connection is closed without a word.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Parse)
    }

    /// Appends `-ERR '<text>'` CR LF; nothing for a silent one. Allocates nothing.
    pub fn put(&self, out: &mut impl Sink) {
        if self.is_silent() {
            return;
        }
        out.put(b"-ERR '");
        self.put_text(out);
        out.put(b"'\r\n");
    }

    /// Appends the text, without the quotes around it. For a silent violation these are words for a log.
    ///
    /// What came from the peer stands in double quotes, escaped so that the text is always printable UTF-8. Allocates
    /// nothing.
    pub fn put_text(&self, out: &mut impl Sink) {
        let (lead, quoted, rest) = self.parts();
        if let Self::OtherCluster { theirs, .. } = *self {
            out.put(b"Rejecting connection, cluster name ");
            quote::put(out, theirs.as_bytes());
        }
        out.put(lead.as_bytes());
        if let Some(quoted) = quoted {
            quote::put(out, quoted);
        }
        out.put(rest.as_bytes());
    }

    /// The text, what stands in quotes in it, and the rest behind that. Of [`OtherCluster`](Self::OtherCluster) what
    /// follows the first name.
    fn parts(&self) -> (&'static str, Option<&[u8]>, &'static str) {
        let text = match *self {
            Self::UnknownOperation => "Unknown Protocol Operation",
            Self::ControlLineTooLong => "maximum control line exceeded",
            Self::PayloadTooLarge => "Maximum Payload Violation",
            Self::Parse => "parse error",
            Self::InvalidSubscription => "Invalid Subscription",
            Self::SubscriptionsMax => "maximum subscriptions exceeded",
            Self::Authorization => "Authorization Violation",
            Self::AuthenticationTimeout => "Authentication Timeout",
            Self::Stale => "Stale Connection",
            Self::TlsRequired => "Secure Connection - TLS Required",
            Self::ClientPort(Kind::Route) => "attempted to connect to route port",
            Self::ClientPort(Kind::Leaf) => "attempted to connect to leaf node port",
            Self::SameCluster => "remote leafnode has same cluster name",
            Self::ClusterBlank => "cluster name cannot contain spaces",
            Self::DuplicateLeaf => "Duplicate Remote LeafNode Connection",
            Self::StaleLeaf => "Stale Leaf Node Connection - Closing",
            Self::GatewayPort { kind, name } => {
                let port = match kind {
                    Kind::Route => " on the Route port",
                    Kind::Leaf => " on the leafnode port",
                };
                let lead = "Rejecting connection from gateway ";
                return (lead, Some(name.as_bytes()), port);
            }
            Self::OtherCluster { ours, .. } => {
                return (" does not match ", Some(ours.as_bytes()), "");
            }
            Self::Loop { account } => {
                let lead = "Loop detected for leafnode account=";
                let rest = ". Delaying attempt to reconnect for 30s";
                return (lead, Some(account.as_bytes()), rest);
            }
            Self::TooOld { least } => {
                let lead = "connection rejected since minimum version required is ";
                return (lead, Some(least.as_bytes()), "");
            }
            Self::SubscribeDenied { subject } => {
                let lead = "Permissions Violation for Subscription to ";
                return (lead, Some(subject), "");
            }
            Self::PublishDenied { subject } => {
                return ("Permissions Violation for Publish to ", Some(subject), "");
            }
        };
        (text, None, "")
    }
}

/// The text of [`PeerViolation::put_text`], for a log.
impl fmt::Display for PeerViolation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces = Pieces::new(f);
        self.put_text(&mut pieces);
        pieces.end()
    }
}

impl std::error::Error for PeerViolation<'_> {}

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
    fn check(violation: PeerViolation<'_>, then: Then, text: &str) {
        let said = match (violation.is_fatal(), violation.is_silent()) {
            (false, _) => Stays,
            (true, false) => Closes,
            (true, true) => ClosesSilently,
        };
        assert_eq!((said, violation.to_string().as_str()), (then, text));
        let mut out = Vec::new();
        violation.put(&mut out);
        let line = match then {
            ClosesSilently => String::new(),
            Stays | Closes => format!("-ERR '{text}'\r\n"),
        };
        assert_eq!(String::from_utf8_lossy(&out), line);
    }

    #[test]
    fn texts_are_those_of_the_reference() {
        use PeerViolation::*;
        let (route, leaf) = (Kind::Route, Kind::Leaf);
        check(UnknownOperation, Closes, "Unknown Protocol Operation");
        check(ControlLineTooLong, Closes, "maximum control line exceeded");
        check(PayloadTooLarge, Closes, "Maximum Payload Violation");
        check(Parse, ClosesSilently, "parse error");
        check(InvalidSubscription, Stays, "Invalid Subscription");
        check(SubscriptionsMax, Stays, "maximum subscriptions exceeded");
        check(Authorization, Closes, "Authorization Violation");
        check(AuthenticationTimeout, Closes, "Authentication Timeout");
        check(Stale, Closes, "Stale Connection");
        check(TlsRequired, Closes, "Secure Connection - TLS Required");
        let port = "attempted to connect to route port";
        check(ClientPort(route), Closes, port);
        let port = "attempted to connect to leaf node port";
        check(ClientPort(leaf), Closes, port);
        let name = "G";
        let text = "Rejecting connection from gateway \"G\" on the Route port";
        check(GatewayPort { kind: route, name }, Closes, text);
        let text = "Rejecting connection from gateway \"G\" on the leafnode port";
        check(GatewayPort { kind: leaf, name }, Closes, text);
        let (theirs, ours) = ("X", "Y");
        let text = "Rejecting connection, cluster name \"X\" does not match \"Y\"";
        check(OtherCluster { theirs, ours }, Closes, text);
        check(SameCluster, Closes, "remote leafnode has same cluster name");
        check(ClusterBlank, Closes, "cluster name cannot contain spaces");
        let text =
            "Loop detected for leafnode account=\"$G\". Delaying attempt to reconnect for 30s";
        check(Loop { account: "$G" }, Closes, text);
        let text = "Duplicate Remote LeafNode Connection";
        check(DuplicateLeaf, Closes, text);
        check(StaleLeaf, Closes, "Stale Leaf Node Connection - Closing");
        let text = "connection rejected since minimum version required is \"2.8.0\"";
        check(TooOld { least: "2.8.0" }, Closes, text);
        let subject = b"zzz".as_slice();
        let text = "Permissions Violation for Subscription to \"zzz\"";
        check(SubscribeDenied { subject }, Closes, text);
        let text = "Permissions Violation for Publish to \"zzz\"";
        check(PublishDenied { subject }, Closes, text);
    }

    #[test]
    fn what_a_peer_has_sent_is_escaped() {
        let subject = b"a\r\n'\"\xff".as_slice();
        let text = r#"Permissions Violation for Publish to "a\r\n'\"\xff""#;
        check(PeerViolation::PublishDenied { subject }, Closes, text);
    }
}
