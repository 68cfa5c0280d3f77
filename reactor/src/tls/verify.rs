//! Configurations in one call, and verification by a closure.

use super::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};
use std::fmt;
use std::sync::Arc;

/// Whether a server asks clients for certificates, and who decides about them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientCerts {
    /// It asks for none.
    None,
    /// A certificate of one of these authorities is required.
    #[doc(alias = "verify_peer")]
    #[doc(alias = "fail_if_no_peer_cert")]
    Required(Arc<RootCertStore>),
    /// A client may show a certificate; if it does, one of these authorities must vouch for it.
    Optional(Arc<RootCertStore>),
    /// The closure decides.
    Verify(Arc<VerifyClient>),
}

/// A server's configuration: versions 1.2 and 1.3, no ALPN.
///
/// # Errors
/// What rustls finds wrong with the authorities.
pub fn server_config(
    identity: Identity,
    clients: &ClientCerts,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    server_config_with(identity, clients, rustls::DEFAULT_VERSIONS, &[])
}

/// A server's configuration with the versions and protocols (ALPN, most wanted first) it allows.
/// For certificates by name, put a resolver into its `cert_resolver`.
///
/// # Errors
/// What rustls finds wrong with the authorities or the versions.
pub fn server_config_with(
    identity: Identity,
    clients: &ClientCerts,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(default_provider());
    let refuse = |error: rustls::server::VerifierBuilderError| {
        rustls::Error::General(format!("authorities for client certificates: {error}"))
    };
    let verifier: Option<Arc<dyn ClientCertVerifier>> = match clients {
        ClientCerts::None => None,
        ClientCerts::Required(roots) | ClientCerts::Optional(roots) => {
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider.clone());
            let builder = match clients {
                ClientCerts::Optional(_) => builder.allow_unauthenticated(),
                _ => builder,
            };
            Some(builder.build().map_err(refuse)?)
        }
        ClientCerts::Verify(verify) => Some(Arc::clone(verify) as Arc<dyn ClientCertVerifier>),
    };
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(identity.chain, identity.key)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// A client's configuration that trusts these authorities, and shows a certificate if it has one:
/// versions 1.2 and 1.3, no ALPN. [`VerifyServer::into_config`] is the one where a closure decides.
///
/// # Errors
/// What rustls finds wrong with the certificate.
pub fn client_config(
    roots: RootCertStore,
    identity: Option<Identity>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match identity {
        Some(identity) => builder.with_client_auth_cert(identity.chain, identity.key)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

type Chain<'a> = &'a [CertificateDer<'a>];
type DecideClient = dyn Fn(Chain<'_>) -> Result<(), rustls::Error> + Send + Sync;
type DecideServer = dyn Fn(Chain<'_>, &ServerName<'_>) -> Result<(), rustls::Error> + Send + Sync;

/// A server's check of client certificates by a closure. It sees the chain, the client's own
/// certificate first, and accepts or refuses. That the client owns the key is checked besides.
///
/// The closure runs during the handshake, on the reactor's thread: it must not block.
#[doc(alias = "ssl_verify_peer")]
pub struct VerifyClient {
    required: bool,
    decide: Box<DecideClient>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl VerifyClient {
    /// A client without a certificate is refused, without a call.
    #[must_use]
    pub fn required(
        decide: impl Fn(Chain<'_>) -> Result<(), rustls::Error> + Send + Sync + 'static,
    ) -> Arc<VerifyClient> {
        VerifyClient::new(true, decide)
    }

    /// A client without a certificate is let in, without a call.
    #[must_use]
    pub fn optional(
        decide: impl Fn(Chain<'_>) -> Result<(), rustls::Error> + Send + Sync + 'static,
    ) -> Arc<VerifyClient> {
        VerifyClient::new(false, decide)
    }

    fn new(
        required: bool,
        decide: impl Fn(Chain<'_>) -> Result<(), rustls::Error> + Send + Sync + 'static,
    ) -> Arc<VerifyClient> {
        Arc::new(VerifyClient {
            required,
            decide: Box::new(decide),
            algorithms: default_provider().signature_verification_algorithms,
        })
    }
}

impl fmt::Debug for VerifyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyClient")
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl ClientCertVerifier for VerifyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        (self.decide)(&chain(own, others)).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A client's check of the server's certificate by a closure, in place of authorities: for a
/// certificate known beforehand. It sees the chain, the server's own certificate first, and the
/// name that was wanted. That the server owns the key is checked besides.
///
/// The closure runs during the handshake, on the reactor's thread: it must not block.
#[doc(alias = "ssl_verify_peer")]
pub struct VerifyServer {
    decide: Box<DecideServer>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl VerifyServer {
    /// A check by `decide`.
    #[must_use]
    pub fn new(
        decide: impl Fn(Chain<'_>, &ServerName<'_>) -> Result<(), rustls::Error> + Send + Sync + 'static,
    ) -> VerifyServer {
        VerifyServer {
            decide: Box::new(decide),
            algorithms: default_provider().signature_verification_algorithms,
        }
    }

    /// A client's configuration with this check: see [`client_config`].
    ///
    /// # Errors
    /// What rustls finds wrong with the certificate.
    pub fn into_config(
        self,
        identity: Option<Identity>,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self));
        let config = match identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain, identity.key)?,
            None => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for VerifyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyServer").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for VerifyServer {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        (self.decide)(&chain(own, others), name).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn chain<'a>(own: &CertificateDer<'a>, others: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    std::iter::once(own).chain(others).cloned().collect()
}
