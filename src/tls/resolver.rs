//! Which of several certificates is shown to a client.

use midge_reactor::tls::rustls;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// The certificates there are, in the order in which they are wanted; one at least.
#[derive(Debug)]
pub(super) struct Choice(pub(super) Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Choice {
    /// The first that is for the name asked for and signs in a way that the client knows; or else the first that signs so.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Where there is one, no name has to be looked up in it.
        if let [only] = &self.0[..] {
            return Some(Arc::clone(only));
        }
        let signs = |key: &&Arc<CertifiedKey>| {
            let scheme = key.key.choose_scheme(hello.signature_schemes());
            scheme.is_some()
        };
        let wanted = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let is_wanted = |key: &&Arc<CertifiedKey>| match &wanted {
            Some(name) => is_for(key, name),
            None => true,
        };
        let mut fit = self.0.iter().filter(signs);
        let found = fit.clone().find(is_wanted).or_else(|| fit.next());
        found.or_else(|| self.0.first()).map(Arc::clone)
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let Ok(certificate) = key.end_entity_cert().and_then(ParsedCertificate::try_from) else {
        return false;
    };
    rustls::client::verify_server_name(&certificate, name).is_ok()
}
