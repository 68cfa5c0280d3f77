//! `Tls`: what an operator says of TLS, each setting with its unit, its default and the default's reason.

use super::Certificates;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait for the first byte of TLS before `INFO` is sent in clear, where `handshake_first` is `auto`. As in
/// nats-server: longer than a round trip in most networks, and not felt by a person.
#[cfg(feature = "command")]
pub(crate) const AUTO_DELAY: Duration = Duration::from_millis(50);

/// TLS for clients, and for monitoring over HTTPS.
///
/// ```
/// let pair = midge::CertFiles { cert_file: "cert.pem".into(), key_file: "key.pem".into() };
/// let tls = midge::Tls { certs: vec![pair], ..midge::Tls::default() };
/// let config = midge::Config { tls: Some(tls), ..midge::Config::default() };
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tls {
    /// The certificates to show, each with its key: one at least. Of several the first is shown that is for the name that the
    /// client asks for and signs in a way that it knows.
    pub certs: Vec<CertFiles>,
    /// PEM file with the authorities that vouch for clients (`ca_file`). Default: none.
    pub ca_file: Option<PathBuf>,
    /// Whether a client must show a certificate of one of those (`verify`). Default false.
    pub verify: bool,
    /// Whether that certificate tells which of the users a client is (`verify_and_map`). Default false.
    pub verify_and_map: bool,
    /// Time that a handshake may take (`timeout`). Default 2 seconds.
    pub timeout: Duration,
    /// The oldest version spoken (`min_version`). Default 1.2.
    pub min_version: TlsVersion,
    /// The cipher suites allowed, by the names of the IANA (`cipher_suites`). Those of TLS 1.3 are all allowed unless one of
    /// them is named. Default, and where it is empty: all there are.
    pub cipher_suites: Vec<String>,
    /// The curves for the exchange of keys, the best first, as nats-server names them (`curve_preferences`). Default, and where
    /// it is empty: all there are.
    pub curve_preferences: Vec<String>,
    /// If there are any, those keys that a client's certificate may have: SHA-256 of its public key info, in small
    /// hexadecimal digits (`pinned_certs`). Default: none.
    pub pinned_certs: BTreeSet<String>,
    /// Most handshakes that are begun in a second (`connection_rate_limit`). Default: any number.
    pub connection_rate_limit: Option<u32>,
    /// Who speaks first (`handshake_first`). Default: `INFO` comes before the handshake.
    pub handshake_first: HandshakeFirst,
    /// What the files hold. They are read when a broker starts or is given new settings, unless they
    /// [have been](Tls::load) already.
    pub loaded: Loaded,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            certs: Vec::new(),
            ca_file: None,
            verify: false,
            verify_and_map: false,
            timeout: Duration::from_secs(2),
            min_version: TlsVersion::V1_2,
            cipher_suites: Vec::new(),
            curve_preferences: Vec::new(),
            pinned_certs: BTreeSet::new(),
            connection_rate_limit: None,
            handshake_first: HandshakeFirst::No,
            loaded: Loaded::default(),
        }
    }
}

impl Tls {
    /// Reads the files, unless that was done. Blocks: not for the thread of a broker that runs.
    ///
    /// # Errors
    /// What is wrong with which file, and what to do.
    pub fn load(&mut self) -> Result<(), String> {
        if self.loaded.0.is_none() {
            self.loaded.0 = Some(Certificates::read(self)?);
        }
        Ok(())
    }

    /// The same settings with what the files hold now; `None` if no file has changed. Blocks.
    pub(crate) fn read_again(&self) -> Option<Result<Tls, String>> {
        if !self.certificates()?.has_changed() {
            return None;
        }
        Some(Certificates::read(self).map(|read| Tls {
            loaded: Loaded(Some(read)),
            ..self.clone()
        }))
    }

    /// The certificates, which are [loaded](Tls::load) wherever a broker runs.
    pub(crate) fn certificates(&self) -> Option<&Certificates> {
        self.loaded.0.as_ref()
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CertFiles {
    /// PEM file with the certificate, and behind it those that vouch for it.
    pub cert_file: PathBuf,
    /// PEM file with the private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key_file: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// 1.2.
    V1_2,
    /// 1.3.
    V1_3,
}

impl TlsVersion {
    /// `1.2` or `1.3`.
    pub fn name(self) -> &'static str {
        match self {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        }
    }
}

/// Whether the handshake comes before `INFO`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeFirst {
    /// It comes behind `INFO`, which is sent in clear.
    No,
    /// It comes first.
    Yes,
    /// It comes first where the client begins it in this time; behind `INFO` where it does not.
    Within(Duration),
}

/// What the files of [`Tls`] hold, once they are read. That is no setting, so any two are equal.
#[derive(Clone, Debug, Default)]
pub struct Loaded(pub(crate) Option<Certificates>);

impl PartialEq for Loaded {
    fn eq(&self, _: &Loaded) -> bool {
        true
    }
}

impl Eq for Loaded {}
