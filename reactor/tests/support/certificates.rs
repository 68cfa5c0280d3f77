//! Certificates made for one run of the tests: an authority, and what it vouches for.

use midge_reactor::tls::{self, ClientCerts, Identity};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ED25519,
    SignatureAlgorithm,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;

pub(crate) const NAME: &str = "midge.test";

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Paper {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Paper {
    pub(crate) fn identity(&self) -> Identity {
        let read = Identity::from_pem(self.certificate.as_bytes(), self.key.as_bytes());
        read.expect("it was made a moment ago")
    }
}

impl Authority {
    pub(crate) fn new() -> Authority {
        Authority::named("authority")
    }

    pub(crate) fn named(name: &str) -> Authority {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("ring makes keys");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("the key signs");
        Authority {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn paper(&self, name: &str) -> Paper {
        self.paper_until(name, 2500)
    }

    pub(crate) fn paper_until(&self, name: &str, year: i32) -> Paper {
        // Signatures of one length, so that what goes over the wire has one length too.
        self.paper_of(&PKCS_ED25519, name, year)
    }

    pub(crate) fn paper_of(
        &self,
        algorithm: &'static SignatureAlgorithm,
        name: &str,
        year: i32,
    ) -> Paper {
        let key = KeyPair::generate_for(algorithm).expect("ring makes keys");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("it signs");
        Paper {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn roots(&self) -> rustls::RootCertStore {
        tls::roots(self.pem.as_bytes()).expect("it was made a moment ago")
    }

    /// A server that is called [`NAME`] and asks for no certificate.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server_asking(&ClientCerts::None)
    }

    pub(crate) fn server_asking(&self, clients: &ClientCerts) -> Arc<ServerConfig> {
        tls::server_config(self.paper(NAME).identity(), clients).expect("all is in order")
    }

    /// A client that trusts this authority.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        tls::client_config(self.roots(), None).expect("all is in order")
    }
}

pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("it is a name")
}
