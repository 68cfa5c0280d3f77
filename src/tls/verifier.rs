//! Client certificates whose keys are listed (`pinned_certs`), besides that an authority vouches for them.

use super::x509;
use midge_reactor::tls::rustls;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The key of a certificate is not among those listed.
#[derive(Debug)]
pub(super) struct NotPinned {
    /// Its digest.
    pub(super) key_id: String,
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("certificate not pinned")
    }
}

impl std::error::Error for NotPinned {}

/// Whether the key of a certificate is among those listed.
pub(super) fn check_pin(own: &CertificateDer<'_>, pins: &BTreeSet<String>) -> Result<(), Error> {
    let certificate = ParsedCertificate::try_from(own)?;
    let key_id = x509::sha256(certificate.subject_public_key_info().as_ref());
    if pins.contains(&key_id) {
        return Ok(());
    }
    let why = OtherError(Arc::new(NotPinned { key_id }));
    Err(Error::InvalidCertificate(CertificateError::Other(why)))
}

/// Asks `inner`, and then whether the key is listed.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) inner: Arc<dyn ClientCertVerifier>,
    pub(super) pins: BTreeSet<String>,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(own, others, now)?;
        check_pin(own, &self.pins).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
