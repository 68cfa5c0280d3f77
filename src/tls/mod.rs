//! TLS, as the broker has it: what an operator says of it (`settings.rs`), what the files hold (`certificates.rs`), and
//! what a handshake has settled (`handshake.rs`); and where the broker is the one that asks (`asking.rs`). Who begins a handshake when is a matter of those who listen.
//!
//! The handshake and the encryption are a layer of the reactor's, by rustls. A build without the feature `tls` has the
//! settings, and refuses them (`absent.rs`).

use jiff::Timestamp;
use std::path::PathBuf;

#[cfg(feature = "command")]
mod names;
mod settings;

#[cfg(all(feature = "nkeys", feature = "tls"))]
mod asking;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod handshake;
#[cfg(feature = "tls")]
mod resolver;
#[cfg(feature = "tls")]
mod verifier;
#[cfg(feature = "tls")]
mod x509;

#[cfg(not(feature = "tls"))]
mod absent;

#[cfg(not(feature = "tls"))]
pub(crate) use absent::{
    Certificates, failure, has_ended, is_begun, is_pinned, is_resumed, names, settled, shown_as_pem,
};
#[cfg(all(feature = "nkeys", feature = "tls"))]
pub(crate) use asking::asking;
#[cfg(feature = "tls")]
pub(crate) use certificates::Certificates;
#[cfg(all(feature = "command", feature = "tls"))]
pub(crate) use certificates::look;
#[cfg(feature = "tls")]
pub(crate) use handshake::{
    failure, has_ended, is_begun, is_pinned, is_resumed, names, settled, shown_as_pem,
};
#[cfg(feature = "command")]
pub(crate) use names::{CURVES, Found, SUITES, find_curve, find_suite};
#[cfg(feature = "command")]
pub(crate) use settings::AUTO_DELAY;
pub use settings::{CertFiles, HandshakeFirst, Loaded, Tls, TlsVersion};

/// The first byte of a record of a handshake, with which a client begins.
pub(crate) const HANDSHAKE_RECORD: u8 = 0x16;

/// A certificate that is shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) cert_file: PathBuf,
    /// From when on it is good.
    pub(crate) not_before: Timestamp,
    /// Up to when it is good.
    pub(crate) not_after: Timestamp,
}

impl Shown {
    /// What logs call it; `place` is behind the name of its file.
    pub(crate) fn called(&self, place: &str) -> String {
        format!("TLS certificate {}{place}", self.cert_file.display())
    }

    /// Why clients refuse it at this time, if they do.
    pub(crate) fn untimely(&self, now: Timestamp) -> Option<String> {
        let (not_before, not_after) = (self.not_before, self.not_after);
        if now < not_before {
            return Some(format!(
                "is not valid before {not_before}; clients refuse it until then, set the clock right or make it anew"
            ));
        }
        (now >= not_after).then(|| format!("has ended at {not_after}; renew it, clients refuse it"))
    }
}

/// Which of the listeners a handshake is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Clients,
    /// No client is asked for a certificate here, as in nats-server.
    Monitoring,
}

/// How TLS has ended a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "nothing fails that is absent")
)]
pub(crate) enum Failure {
    /// The peer went away in the middle of the handshake, as a probe of the port does.
    LeftInHandshake,
    /// The peer went away without a last word of TLS. Many client libraries do.
    Truncated,
    /// The handshake was not over in time.
    Timeout,
    /// It could not begin or go on, for this reason.
    Error(String),
}

/// What a handshake has settled, as it is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settled {
    /// `1.3`.
    pub(crate) version: &'static str,
    /// The name that the IANA has given it.
    pub(crate) cipher_suite: String,
    /// The certificates that the peer has shown, its own first.
    pub(crate) peer_certs: Vec<PeerCert>,
}

impl Settled {
    /// Bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        let of =
            |cert: &PeerCert| cert.subject.len() + cert.spki_sha256.len() + cert.cert_sha256.len();
        self.cipher_suite.len() + self.peer_certs.iter().map(of).sum::<usize>()
    }
}

/// The names in a certificate that a peer has shown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct PeerNames {
    /// Alternative names that are e-mail addresses.
    pub(crate) emails: Vec<String>,
    /// Alternative names that are host names.
    pub(crate) hosts: Vec<String>,
    /// Alternative names that are URIs.
    pub(crate) uris: Vec<String>,
    /// The parts of the subject, the most general first, and of each its attributes: type, by number, and value.
    pub(crate) subject: Vec<Vec<(String, String)>>,
}

/// A certificate that a peer has shown. Digests are in hexadecimal digits.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub(crate) struct PeerCert {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) subject: String,
    pub(crate) spki_sha256: String,
    pub(crate) cert_sha256: String,
}
