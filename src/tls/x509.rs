//! What is to be told of a certificate.

use super::{PeerCert, PeerNames};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

/// What can be seen in a certificate.
pub(crate) struct Seen {
    /// From when on it is good.
    pub(crate) not_before: Timestamp,
    /// Up to when it is good.
    pub(crate) not_after: Timestamp,
    pub(crate) told: PeerCert,
}

/// Looks into a certificate; `None` where it cannot be read.
pub(super) fn look(der: &[u8]) -> Option<Seen> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Seen {
        not_before: Timestamp::from_second(certificate.validity().not_before.timestamp()).ok()?,
        not_after: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
        told: PeerCert {
            subject: name(certificate.subject()),
            spki_sha256: sha256(certificate.public_key().raw),
            cert_sha256: sha256(der),
        },
    })
}

/// The names in a certificate; `None` where it cannot be read.
pub(super) fn names(der: &[u8]) -> Option<PeerNames> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject().iter_rdn().map(|rdn| {
        let attributes = rdn.iter().map(|attribute| {
            let value = attribute.as_str().unwrap_or_default();
            (attribute.attr_type().to_id_string(), value.to_owned())
        });
        attributes.collect()
    });
    let mut names = PeerNames {
        subject: subject.collect(),
        ..PeerNames::default()
    };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    for name in alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
    {
        match name {
            GeneralName::RFC822Name(name) => names.emails.push((*name).to_owned()),
            GeneralName::DNSName(name) => names.hosts.push((*name).to_owned()),
            GeneralName::URI(name) => names.uris.push((*name).to_owned()),
            _ => {}
        }
    }
    Some(names)
}

/// A digest in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

/// A name as RFC 2253 has it: the last part first, `CN=bob,O=Acme`.
fn name(name: &X509Name<'_>) -> String {
    let parts = name.iter_rdn().map(|rdn| {
        let attributes = rdn.iter().map(|attribute| {
            let oid = attribute.attr_type().to_id_string();
            let value = attribute.as_str().unwrap_or_default();
            format!("{}={}", short(&oid), escaped(value))
        });
        attributes.collect::<Vec<_>>().join("+")
    });
    let mut parts: Vec<String> = parts.collect();
    parts.reverse();
    parts.join(",")
}

/// The short name of an attribute, for those that have one there.
fn short(oid: &str) -> &str {
    match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.17" => "POSTALCODE",
        "0.9.2342.19200300.100.1.25" => "DC",
        other => other,
    }
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, letter) in value.char_indices() {
        let is_first = at == 0;
        let is_last = at + letter.len_utf8() == value.len();
        let is_special = matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
        if is_special || letter == '#' && is_first || letter == ' ' && (is_first || is_last) {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}
