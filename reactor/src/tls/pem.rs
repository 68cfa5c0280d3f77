//! Certificates and keys out of PEM, with what is wrong with them told before any handshake.

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

/// A certificate with those that vouch for it, and the key that belongs to it.
#[derive(Debug)]
pub struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads certificates, the own one first, and a private key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    /// [`KeyError`] for what is missing, malformed, encrypted, more than one key, or a key of another
    /// certificate.
    #[doc(alias = "private_key")]
    #[doc(alias = "cert_chain")]
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Identity, KeyError> {
        let chain = read_certificates(certificates)?;
        let key = read_key(key)?;
        let provider = default_provider();
        match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
            Ok(_) => Ok(Identity { chain, key }),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(KeyError::Mismatch)
            }
            Err(error) => Err(KeyError::Unusable(error)),
        }
    }

    /// As [`from_pem`](Identity::from_pem), from two files, which may be the same one. Blocks: for
    /// the time before the reactor runs.
    ///
    /// # Errors
    /// As [`from_pem`](Identity::from_pem), and [`KeyError::File`].
    #[doc(alias = "private_key_file")]
    #[doc(alias = "cert_chain_file")]
    pub fn from_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Identity, KeyError> {
        Identity::from_pem(&read(certificates.as_ref())?, &read(key.as_ref())?)
    }

    /// In the form that a resolver of certificates answers, with the algorithms of `provider`.
    ///
    /// # Errors
    /// What rustls finds wrong with it.
    pub fn certified(self, provider: &CryptoProvider) -> Result<CertifiedKey, rustls::Error> {
        CertifiedKey::from_der(self.chain, self.key, provider)
    }
}

/// Reads the certificates of authorities to trust.
///
/// # Errors
/// [`KeyError`] if there is none, or one is malformed.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, KeyError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(pem)? {
        roots.add(certificate).map_err(KeyError::Unusable)?;
    }
    Ok(roots)
}

/// What is wrong with certificates or keys.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyError {
    /// A file could not be read: its name, and why.
    File(String, io::Error),
    /// The text is not PEM.
    Malformed(pem::Error),
    /// There is no certificate.
    NoCertificate,
    /// There is no private key.
    NoKey,
    /// There are several private keys, and nothing tells which one is meant.
    SeveralKeys,
    /// The private key is encrypted, which is not supported: decrypt it first.
    EncryptedKey,
    /// The key is not that of the certificate.
    Mismatch,
    /// rustls cannot use it.
    Unusable(rustls::Error),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::File(path, error) => write!(f, "{path}: {error}"),
            KeyError::Malformed(error) => write!(f, "malformed PEM: {error}"),
            KeyError::NoCertificate => f.write_str("no certificate"),
            KeyError::NoKey => f.write_str("no private key"),
            KeyError::SeveralKeys => f.write_str("more than one private key"),
            KeyError::EncryptedKey => f.write_str("encrypted private keys are not supported"),
            KeyError::Mismatch => f.write_str("the private key is not that of the certificate"),
            KeyError::Unusable(error) => write!(f, "{error}"),
        }
    }
}

impl Error for KeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            KeyError::File(_, error) => Some(error),
            KeyError::Malformed(error) => Some(error),
            KeyError::Unusable(error) => Some(error),
            _ => None,
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    std::fs::read(path).map_err(|error| KeyError::File(path.display().to_string(), error))
}

fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, KeyError> {
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = read.map_err(KeyError::Malformed)?;
    if chain.is_empty() {
        return Err(KeyError::NoCertificate);
    }
    Ok(chain)
}

fn read_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, KeyError> {
    let says = |text: &[u8]| pem.windows(text.len()).any(|window| window == text);
    if says(b"BEGIN ENCRYPTED PRIVATE KEY") || says(b"Proc-Type: 4,ENCRYPTED") {
        return Err(KeyError::EncryptedKey);
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(pem);
    let key = keys.next().ok_or(KeyError::NoKey)?;
    let key = key.map_err(KeyError::Malformed)?;
    match keys.next() {
        None => Ok(key),
        Some(Ok(_)) => Err(KeyError::SeveralKeys),
        Some(Err(error)) => Err(KeyError::Malformed(error)),
    }
}
