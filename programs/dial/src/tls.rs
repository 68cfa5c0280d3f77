//! TLS as a client has it: whom to trust, and what to show.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedCipherSuite,
};

/// The cipher suite that is offered before all others.
const FIRST_SUITE: CipherSuite = CipherSuite::TLS13_AES_128_GCM_SHA256;

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Encryption {
    /// If the broker requires it.
    #[default]
    AsBroker,
    /// It is, from `INFO` on.
    Required,
    /// It is, from the first byte on.
    First,
}

/// The flags that say whom to trust, and what to show.
#[derive(Args, Clone, Debug)]
pub struct CertificateFlags {
    /// PEM file with the authorities that vouch for the broker [default: those of the system]
    #[arg(long, value_name = "FILE", conflicts_with = "tlsinsecure")]
    tlsca: Option<PathBuf>,
    /// PEM file with a certificate to show to the broker
    #[arg(long, value_name = "FILE", requires = "tlskey")]
    tlscert: Option<PathBuf>,
    /// PEM file with the private key of that certificate
    #[arg(long, value_name = "FILE", requires = "tlscert")]
    tlskey: Option<PathBuf>,
    /// Accept any certificate of the broker: encrypted, but by whom is not known
    #[arg(long)]
    tlsinsecure: bool,
}

impl CertificateFlags {
    /// Whether there is any of them.
    #[must_use]
    pub fn are_given(&self) -> bool {
        self.tlsca.is_some() || self.tlscert.is_some() || self.tlsinsecure
    }

    /// What they say.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        Certificates {
            trust: match &self.tlsca {
                _ if self.tlsinsecure => Trust::Any,
                Some(file) => Trust::File(file.clone()),
                None => Trust::System,
            },
            own: self.tlscert.clone().zip(self.tlskey.clone()),
        }
    }
}

/// Whom to trust, and what to show.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Certificates {
    pub(crate) trust: Trust,
    /// Files with a certificate, and with its key.
    own: Option<(PathBuf, PathBuf)>,
}

/// Who vouches for the broker.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Trust {
    /// The authorities of the system.
    #[default]
    System,
    /// Those in this file.
    File(PathBuf),
    /// Nobody need.
    Any,
}

impl Certificates {
    /// Those in this PEM file vouch for the broker, and nothing is shown.
    #[must_use]
    pub fn of_authorities(file: &Path) -> Certificates {
        Certificates {
            trust: Trust::File(file.to_owned()),
            own: None,
        }
    }

    /// Reads the files. That takes milliseconds where the system's authorities are trusted.
    ///
    /// # Errors
    /// Which file it is, and what is wrong with it.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let mut provider = ring::default_provider();
        // As the most common clients of NATS offer it: a broker that follows its clients does with these as with those.
        let is_first = |suite: &SupportedCipherSuite| suite.suite() == FIRST_SUITE;
        provider.cipher_suites.sort_by_key(|suite| !is_first(suite));
        let provider = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.trust {
            Trust::Any => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
            Trust::System => builder.with_root_certificates(of_system()?),
            Trust::File(file) => builder.with_root_certificates(of_file(file)?),
        };
        let config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates("--tlscert", cert)?;
                let of_key = |error: &dyn Display| wrong("--tlskey", key, error);
                let read = PrivateKeyDer::from_pem_file(key).map_err(|error| of_key(&error))?;
                builder
                    .with_client_auth_cert(chain, read)
                    .map_err(|error| of_key(&error))?
            }
        };
        Ok(Arc::new(config))
    }
}

fn wrong(flag: &str, file: &Path, error: &dyn Display) -> String {
    format!("{flag} {}: {error}", file.display())
}

fn certificates(flag: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error: &dyn Display| wrong(flag, file, error);
    let found = CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|error| failed(&error))?;
    match found.is_empty() {
        true => Err(failed(&"it has no certificate")),
        false => Ok(found),
    }
}

fn of_file(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("--tlsca", file)? {
        let added = roots.add(certificate);
        added.map_err(|error| wrong("--tlsca", file, &error))?;
    }
    Ok(roots)
}

fn of_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        true => {
            Err("the system has no authorities to trust; name some with --tlsca FILE".to_owned())
        }
        false => Ok(roots),
    }
}

/// Accepts any certificate; that the broker has its key is checked all the same.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_will_not_do_is_told_with_its_flag() {
        let nowhere = Path::new("/nowhere/ca.pem");
        let none = Path::new("/dev/null");
        for (certificates, expected) in [
            (
                Certificates::of_authorities(nowhere),
                "--tlsca /nowhere/ca.pem: ",
            ),
            (
                Certificates::of_authorities(none),
                "--tlsca /dev/null: it has no certificate",
            ),
            (
                Certificates {
                    trust: Trust::Any,
                    own: Some((none.to_owned(), none.to_owned())),
                },
                "--tlscert /dev/null: it has no certificate",
            ),
        ] {
            let error = certificates.config().expect_err("it will not do");
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
