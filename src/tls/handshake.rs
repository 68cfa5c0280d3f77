//! What a handshake has settled, or why it failed, in the words that are told.

use super::verifier::{NotPinned, check_pin};
use super::{Failure, PeerNames, Settled, Tls, x509};
use data_encoding::BASE64;
use jiff::Timestamp;
use midge_reactor::tls::{TlsError, rustls};
use midge_reactor::{Close, Io, Key};
use rustls::{CertificateError, CipherSuite, Error, ProtocolVersion};

/// What the handshake of a connection has settled; `None` before it is over, or without TLS.
pub(crate) fn settled(io: &Io<'_>, key: Key) -> Option<Settled> {
    let info = io.tls(key)?;
    let certificates = info.peer_certificates.iter();
    Some(Settled {
        version: match info.version {
            ProtocolVersion::TLSv1_2 => "1.2",
            _ => "1.3",
        },
        cipher_suite: suite_name(info.cipher_suite),
        peer_certs: certificates
            .filter_map(|certificate| Some(x509::look(certificate)?.told))
            .collect(),
    })
}

/// The certificates that the peer has shown, its own first, as PEM.
pub(crate) fn shown_as_pem(io: &Io<'_>, key: Key) -> Vec<String> {
    let info = io.tls(key);
    let certificates = info.iter().flat_map(|info| info.peer_certificates.iter());
    certificates.map(|certificate| pem(certificate)).collect()
}

/// The PEM of a certificate, in lines of 64 letters.
fn pem(certificate: &[u8]) -> String {
    let letters = BASE64.encode(certificate);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for place in (0..letters.len()).step_by(64) {
        text.push_str(&letters[place..letters.len().min(place + 64)]);
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// Whether TLS was begun on a connection.
pub(crate) fn is_begun(io: &Io<'_>, key: Key) -> bool {
    io.is_tls(key)
}

/// Whether the peer has taken up an earlier session again; no before the handshake is over.
pub(crate) fn is_resumed(io: &Io<'_>, key: Key) -> bool {
    io.tls(key).is_some_and(|info| info.resumed)
}

/// Whether the key of the peer's certificate is among those that the settings list, if they list any. A peer that speaks in
/// clear has none to show.
pub(crate) fn is_pinned(io: &Io<'_>, key: Key, settings: Option<&Tls>) -> bool {
    let pins = settings.map(|tls| &tls.pinned_certs);
    match (pins, io.tls(key)) {
        (Some(pins), Some(info)) if !pins.is_empty() => {
            let own = info.peer_certificates.first();
            own.is_some_and(|own| check_pin(own, pins).is_ok())
        }
        _ => true,
    }
}

/// The names in the peer's certificate, if it has shown one.
pub(crate) fn names(io: &Io<'_>, key: Key) -> Option<PeerNames> {
    x509::names(io.tls(key)?.peer_certificates.first()?)
}

/// Whether the peer takes up a session again with a certificate that is good no longer. Of a session that is not taken up again
/// the handshake has looked.
pub(crate) fn has_ended(io: &Io<'_>, key: Key, now: Timestamp) -> bool {
    let resumed = io.tls(key).filter(|info| info.resumed);
    let own = resumed.and_then(|info| info.peer_certificates.first());
    own.is_some_and(|own| x509::look(own).is_none_or(|seen| seen.not_after < now))
}

/// The name that the IANA has given a cipher suite.
pub(super) fn suite_name(suite: CipherSuite) -> String {
    let name = suite.as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}

/// Why TLS has ended a connection, if it has.
pub(crate) fn failure(why: &Close) -> Option<Failure> {
    let error = match why {
        Close::Tls(error) => error,
        // It could not begin.
        Close::Failed(error) => error.downcast_ref()?,
        _ => return None,
    };
    Some(match error {
        TlsError::EndInHandshake => Failure::LeftInHandshake,
        TlsError::Truncated => Failure::Truncated,
        TlsError::HandshakeTimeout => Failure::Timeout,
        TlsError::NotTls => {
            Failure::Error("tls: first record does not look like a TLS handshake".to_owned())
        }
        TlsError::Protocol(error) => Failure::Error(words(error)),
        other => Failure::Error(other.to_string()),
    })
}

/// What rustls says, in nats-server's words where operators may look for them.
fn words(error: &Error) -> String {
    match error {
        Error::NoCertificatesPresented => "tls: client didn't provide a certificate".to_owned(),
        Error::InvalidCertificate(error) => format!(
            "tls: failed to verify certificate: x509: {}",
            match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } =>
                    "certificate has expired".to_owned(),
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } =>
                    "certificate is not yet valid".to_owned(),
                CertificateError::UnknownIssuer =>
                    "certificate signed by unknown authority".to_owned(),
                CertificateError::InvalidPurpose
                | CertificateError::InvalidPurposeContext { .. } =>
                    "certificate specifies an incompatible key usage".to_owned(),
                CertificateError::Other(other) => match other.0.downcast_ref::<NotPinned>() {
                    Some(error) => format!("{error}: key id {}", error.key_id),
                    None => other.to_string(),
                },
                other => other.to_string(),
            }
        ),
        other => format!("tls: {other}"),
    }
}
