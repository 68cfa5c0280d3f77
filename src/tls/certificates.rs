//! `Certificates`: what the files of the settings hold, read once and ready for handshakes.

use super::resolver::Choice;
use super::settings::{CertFiles, Tls, TlsVersion};
use super::verifier::Pinned;
use super::{Purpose, Shown, x509};
use midge_reactor::tls::rustls::{self, ServerConfig};
use midge_reactor::tls::{self, Identity, KeyError};
use midge_reactor::{Io, Key};
use midge_text::system_words;
use ring::digest::{SHA256, digest};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{NamedGroup, RootCertStore, version};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What begins every complaint about a certificate and its key, as in nats-server.
const PAIR: &str = "error parsing X509 certificate/key pair";

/// Certificates and keys in the form that handshakes need. Copies are cheap.
#[derive(Clone)]
pub(crate) struct Certificates(Arc<Inner>);

struct Inner {
    clients: tls::Tls,
    monitoring: tls::Tls,
    shown: Vec<Shown>,
    /// Of each file that was read.
    digests: Vec<u8>,
    /// What was read, as it was before.
    stamps: Vec<(PathBuf, Option<Stamp>)>,
}

impl fmt::Debug for Certificates {
    /// Never the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({:?})", self.0.shown)
    }
}

impl Certificates {
    /// Reads the files that `settings` name. Blocks.
    ///
    /// # Errors
    /// What is wrong with which file, and what to do.
    pub(super) fn read(settings: &Tls) -> Result<Certificates, String> {
        let mut read = Reading::default();
        let provider = Arc::new(provider(settings));
        let (mut keys, mut shown) = (Vec::new(), Vec::new());
        for files in &settings.certs {
            let (key, certificate) = read.pair(files, &provider)?;
            keys.push(Arc::new(key));
            shown.push(certificate);
        }
        let verifier = match settings.verify {
            true => Some(verifier(settings, read.authorities(settings)?, &provider)?),
            false => None,
        };
        let choice = Arc::new(Choice(keys));
        let of = |verifier| {
            config(settings, &provider, verifier, Arc::clone(&choice)).map(tls::Tls::server)
        };
        let (clients, monitoring) = (of(verifier)?, of(None)?);
        let Reading { digests, stamps } = read;
        Ok(Certificates(Arc::new(Inner {
            clients,
            monitoring,
            shown,
            digests,
            stamps,
        })))
    }

    /// Begins a handshake: what has come and is unread is its beginning. A connection with which that is impossible is
    /// closed, and its handler told why ([`failure`](super::failure)).
    pub(crate) fn start(&self, io: &mut Io<'_>, key: Key, purpose: Purpose, timeout: Duration) {
        let of_purpose = match purpose {
            Purpose::Clients => &self.0.clients,
            Purpose::Monitoring => &self.0.monitoring,
        };
        let tls = of_purpose.clone().handshake_timeout(timeout);
        if let Err(error) = io.start_tls(key, tls) {
            io.fail(key, error);
        }
    }

    /// Whether any of the files is another one than was read. Blocks.
    pub(super) fn has_changed(&self) -> bool {
        let is_new = |(path, stamp): &(PathBuf, Option<Stamp>)| Stamp::of(path) != *stamp;
        self.0.stamps.iter().any(is_new)
    }

    /// The certificates that are shown.
    pub(crate) fn shown(&self) -> &[Shown] {
        &self.0.shown
    }

    /// Whether the files held the same for both.
    pub(crate) fn is_same(&self, other: &Certificates) -> bool {
        self.0.digests == other.0.digests
    }
}

/// What shows that a file is another one, without a look into it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    file: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            file: metadata.ino(),
        })
    }
}

/// Reads files, and notes what was in them.
#[derive(Default)]
pub(super) struct Reading {
    digests: Vec<u8>,
    stamps: Vec<(PathBuf, Option<Stamp>)>,
}

impl Reading {
    pub(super) fn file(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        // Before it is read: a change in between is seen the next time.
        self.stamps.push((path.to_owned(), Stamp::of(path)));
        let bytes = std::fs::read(path).map_err(|error| {
            let (path, said) = (path.display(), system_words(&error));
            format!("open {path}: {said}; name a file that midge may read")
        })?;
        self.digests
            .extend_from_slice(digest(&SHA256, &bytes).as_ref());
        Ok(bytes)
    }

    /// A certificate with its key, fit for handshakes.
    pub(super) fn pair(
        &mut self,
        files: &CertFiles,
        provider: &CryptoProvider,
    ) -> Result<(CertifiedKey, Shown), String> {
        let CertFiles {
            cert_file,
            key_file,
        } = files;
        let (cert_name, key_name) = (cert_file.display(), key_file.display());
        let wrong = |text: String| format!("{PAIR}: {text}");
        let certificates = self.file(cert_file).map_err(wrong)?;
        let chain = chain(&certificates).map_err(|error| wrong(format!("{cert_name}: {error}")))?;
        let seen = chain
            .first()
            .and_then(|own| x509::look(own))
            .ok_or_else(|| {
                wrong(format!(
                    "{cert_name}: the first certificate cannot be read; write it again"
                ))
            })?;
        let key = self.file(key_file).map_err(wrong)?;
        let identity = Identity::from_pem(&certificates, &key).map_err(|error| {
            wrong(match error {
                KeyError::Mismatch => format!(
                    "{key_name} is not the key of {cert_name}; give the key that the certificate was made for"
                ),
                KeyError::NoKey => format!(
                    "{key_name}: no private key; it must hold BEGIN PRIVATE KEY, BEGIN RSA PRIVATE KEY or BEGIN EC PRIVATE KEY"
                ),
                KeyError::EncryptedKey => format!(
                    "{key_name}: encrypted private keys are not supported; decrypt it (openssl pkey -in {key_name})"
                ),
                KeyError::SeveralKeys => {
                    format!("{key_name}: more than one private key; leave the one of {cert_name}")
                }
                other => format!("{key_name}: {other}; give the key of {cert_name}, in PEM"),
            })
        })?;
        let key = identity
            .certified(provider)
            .map_err(|error| wrong(format!("{key_name}: {error}")))?;
        let shown = Shown {
            cert_file: cert_file.clone(),
            not_before: seen.not_before,
            not_after: seen.not_after,
        };
        Ok((key, shown))
    }

    /// Those who vouch for clients.
    fn authorities(&mut self, settings: &Tls) -> Result<RootCertStore, String> {
        let Some(path) = &settings.ca_file else {
            return Err("verify needs ca_file: the authorities that vouch for clients".to_owned());
        };
        let wrong = |text: String| format!("failed to parse root ca certificate: {text}");
        let text = self.file(path).map_err(wrong)?;
        let name = path.display();
        tls::roots(&text).map_err(|error| {
            wrong(format!(
                "{name}: {error}; it must hold the authorities' certificates, in PEM"
            ))
        })
    }
}

/// Looks into all certificates of a file, one at least.
///
/// # Errors
/// There is none, or one that cannot be read.
#[cfg(feature = "command")]
pub(crate) fn look(text: &[u8]) -> Result<Vec<x509::Seen>, String> {
    let unreadable = |number: usize| format!("certificate {number} cannot be read; write it again");
    let seen = (1..).zip(chain(text)?);
    seen.map(|(number, der)| x509::look(&der).ok_or_else(|| unreadable(number)))
        .collect()
}

/// All certificates of a file, one at least.
pub(super) fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    match read {
        Ok(chain) if chain.is_empty() => {
            Err("no certificate; it must hold BEGIN CERTIFICATE".to_owned())
        }
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("malformed PEM: {error}; write it again")),
    }
}

/// The algorithms that the settings allow.
pub(super) fn provider(settings: &Tls) -> CryptoProvider {
    let mut provider = default_provider();
    let named = &settings.cipher_suites;
    let is_named = |name: &str| named.iter().any(|one| one == name);
    let any_of_1_3 = named.iter().any(|name| !name.contains("_WITH_"));
    provider.cipher_suites.retain(|suite| {
        let name = super::handshake::suite_name(suite.suite());
        let is_of_1_3 = suite.tls13().is_some();
        named.is_empty() || is_named(&name) || is_of_1_3 && !any_of_1_3
    });
    let curves = &settings.curve_preferences;
    let place = |group: NamedGroup| curves.iter().position(|name| curve_of(name) == Some(group));
    if !curves.is_empty() {
        provider
            .kx_groups
            .retain(|group| place(group.name()).is_some());
        provider.kx_groups.sort_by_key(|group| place(group.name()));
    }
    provider
}

fn curve_of(name: &str) -> Option<NamedGroup> {
    match name {
        "X25519" => Some(NamedGroup::X25519),
        "CurveP256" => Some(NamedGroup::secp256r1),
        "CurveP384" => Some(NamedGroup::secp384r1),
        _ => None,
    }
}

fn verifier(
    settings: &Tls,
    authorities: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let authorities = Arc::new(authorities);
    let builder = WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(provider));
    let inner = builder
        .build()
        .map_err(|error| format!("ca_file: {error}"))?;
    if settings.pinned_certs.is_empty() {
        return Ok(inner);
    }
    let pins = settings.pinned_certs.clone();
    Ok(Arc::new(Pinned { inner, pins }))
}

/// What a listener needs. Its tickets are its own: what was settled under other files or settings is not taken up again.
fn config(
    settings: &Tls,
    provider: &Arc<CryptoProvider>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    choice: Arc<Choice>,
) -> Result<Arc<ServerConfig>, String> {
    let versions = match settings.min_version {
        TlsVersion::V1_2 => rustls::DEFAULT_VERSIONS,
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(versions).map_err(|error| {
        format!("{error}; name other cipher_suites, other curve_preferences or another min_version")
    })?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(choice);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new().map_err(|error| format!("tickets: {error}"))?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
