//! TLS of the broker as a client: it asks a resolver for accounts. The resolver must show a certificate for its name, of a
//! trusted authority.

use super::certificates::{Reading, chain, provider};
use super::settings::{Tls, TlsVersion};
use std::sync::Arc;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// What questions by HTTPS need. Reads the files, and those of the system where none is named. Blocks.
///
/// # Errors
/// What is wrong with which file, and what to do.
pub(crate) fn asking(settings: Option<&Tls>) -> Result<TlsConfig, String> {
    let default = Tls::default();
    let settings = settings.unwrap_or(&default);
    let mut provider = provider(settings);
    if settings.min_version == TlsVersion::V1_3 {
        // The versions are those of the suites.
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some());
    }
    let mut read = Reading::default();
    let own = match settings.certs.first() {
        None => None,
        Some(files) => {
            read.pair(files, &provider)?;
            let wrong = |text: String| format!("{}: {text}", files.cert_file.display());
            let shown = chain(&read.file(&files.cert_file)?).map_err(wrong)?;
            let shown: Vec<_> = shown.iter().map(|der| of_der(der)).collect();
            let key = read.file(&files.key_file)?;
            let key = PrivateKey::from_pem(&key)
                .map_err(|error| format!("{}: {error}", files.key_file.display()))?;
            Some(ClientCert::new_with_certs(&shown, key))
        }
    };
    let trusted: Vec<_> = match &settings.ca_file {
        Some(path) => {
            let wrong = |text: String| format!("failed to parse root ca certificate: {text}");
            let text = read.file(path).map_err(wrong)?;
            let found = chain(&text);
            found.map_err(|text| wrong(format!("{}: {text}", path.display())))?
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    if trusted.is_empty() {
        return Err(
            "the system has no authorities to trust; name some in resolver_tls, with ca_file"
                .to_owned(),
        );
    }
    let trusted: Vec<_> = trusted.iter().map(|der| of_der(der)).collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(trusted)))
        .client_cert(own)
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build())
}

fn of_der(der: &[u8]) -> Certificate<'static> {
    Certificate::from_der(der).to_owned()
}
