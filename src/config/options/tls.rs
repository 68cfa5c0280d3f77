//! The block `tls`, and the options beside it.

use super::reader::Reader;
use super::unsupported::TLS;
use crate::config::duration;
use crate::config::language::{Kind, Map, Pair};
use crate::tls::{
    self, AUTO_DELAY, CURVES, CertFiles, Found, HandshakeFirst, SUITES, Tls, TlsVersion,
};
use std::path::PathBuf;
use std::time::Duration;

/// What begins every complaint about the block, as in nats-server.
const CONTEXT: &str = "error parsing tls config";

/// Names of one thing, of which nats-server has some that midge has not.
struct Names {
    what: &'static str,
    find: fn(&str) -> Found,
    all: &'static [&'static str],
    /// What is so about those that midge has not.
    absent: &'static str,
}

const CIPHERS: Names = Names {
    what: "cipher",
    find: tls::find_suite,
    all: &SUITES,
    absent: "midge has no cipher suites with CBC, RC4, or RSA for the exchange of keys",
};

const CURVE_NAMES: Names = Names {
    what: "curve preference",
    find: tls::find_curve,
    all: &CURVES,
    absent: "midge does not have this curve",
};

/// One certificate that the block names by itself.
#[derive(Default)]
struct Pairing {
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl Reader<'_> {
    /// Reads the block for clients. Of two the last counts, whole.
    pub(super) fn tls(&mut self, pair: &Pair) {
        self.options.config.tls = self.tls_block(pair);
    }

    /// Reads such a block.
    pub(super) fn tls_block(&mut self, pair: &Pair) -> Option<Tls> {
        let map = self.map(pair)?;
        let (mut tls, mut own) = (Tls::default(), Pairing::default());
        for pair in map.iter() {
            self.tls_option(pair, &mut tls, &mut own);
        }
        let is_listed = !tls.certs.is_empty();
        match self.pairing(pair, own) {
            Some(_) if is_listed => {
                let text = format!(
                    "{CONTEXT}, cannot combine 'cert_file' option with 'certs' option; put all into certs"
                );
                self.report.error(&pair.at, text);
            }
            Some(files) => tls.certs.push(files),
            None => {}
        }
        Some(tls)
    }

    fn tls_option(&mut self, pair: &Pair, tls: &mut Tls, own: &mut Pairing) {
        match pair.key.to_ascii_lowercase().as_str() {
            "cert_file" => own.cert_file = self.text(pair).map(PathBuf::from),
            "key_file" => own.key_file = self.text(pair).map(PathBuf::from),
            "certs" | "certificates" => self.certs(pair, tls),
            "ca_file" => tls.ca_file = self.text(pair).map(PathBuf::from),
            "verify" => tls.verify |= self.switch(pair) == Some(true),
            "verify_and_map" => {
                if self.switch(pair) == Some(true) {
                    (tls.verify, tls.verify_and_map) = (true, true);
                }
            }
            "verify_cert_and_check_known_urls" => {
                if self.switch(pair) == Some(true) {
                    let text = format!(
                        "{CONTEXT}, verify_cert_and_check_known_urls not supported in this context; remove it"
                    );
                    self.report.error(&pair.at, text);
                }
            }
            "insecure" => {
                if self.switch(pair) == Some(true) {
                    self.ignore(pair, "it is for connections to other servers");
                }
            }
            "cipher_suites" => tls.cipher_suites = self.names(pair, &CIPHERS),
            "curve_preferences" => tls.curve_preferences = self.names(pair, &CURVE_NAMES),
            "timeout" => {
                if let Some(timeout) = self.seconds(pair, "tls") {
                    tls.timeout = timeout;
                }
            }
            "connection_rate_limit" => {
                let max = self.limit(pair).flatten();
                tls.connection_rate_limit = max.map(|max| u32::try_from(max).unwrap_or(u32::MAX));
            }
            "pinned_certs" => self.pins(pair, tls),
            "min_version" => self.min_version(pair, tls),
            "handshake_first" | "first" | "immediate" => self.handshake_first(pair, tls),
            "allow_insecure_cipher_suites" => {
                if self.switch(pair) == Some(true) {
                    self.ignore(pair, CIPHERS.absent);
                }
            }
            "ocsp_peer" => {
                if pair.value.kind != Kind::Bool(false) {
                    self.refuse(pair, "OCSP is not asked about clients' certificates");
                }
            }
            "cert_store"
            | "cert_match"
            | "cert_match_by"
            | "ca_certs_match"
            | "cert_match_skip_invalid" => {
                self.refuse(pair, "certificate stores exist on Windows only");
            }
            _ if pair.used => {}
            _ => self.unknown(pair, &format!("{CONTEXT}, "), TLS.names()),
        }
    }

    /// A list of certificates.
    fn certs(&mut self, pair: &Pair, tls: &mut Tls) {
        let Some(list) = pair.value.as_list() else {
            let text =
                format!("{CONTEXT}, expected 'certs' to be a list of {{cert_file, key_file}}");
            return self.report.error(&pair.at, text);
        };
        for value in list {
            let Kind::Map(map) = &value.kind else {
                let text = format!(
                    "{CONTEXT}, expected {{cert_file, key_file}}, got {}",
                    value.kind
                );
                self.report.error(&value.at, text);
                continue;
            };
            let own = self.cert(map);
            tls.certs.extend(self.pairing(pair, own));
        }
    }

    fn cert(&mut self, map: &Map) -> Pairing {
        let mut own = Pairing::default();
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "cert_file" => own.cert_file = self.text(pair).map(PathBuf::from),
                "key_file" => own.key_file = self.text(pair).map(PathBuf::from),
                _ if pair.used => {}
                _ => {
                    let known = ["cert_file", "key_file"].into_iter();
                    self.unknown(pair, &format!("{CONTEXT}, "), known);
                }
            }
        }
        own
    }

    /// A certificate with its key; `None` where neither is named.
    fn pairing(&mut self, pair: &Pair, own: Pairing) -> Option<CertFiles> {
        let missing = match own {
            Pairing {
                cert_file: Some(cert_file),
                key_file: Some(key_file),
            } => {
                return Some(CertFiles {
                    cert_file,
                    key_file,
                });
            }
            Pairing {
                cert_file: Some(_), ..
            } => "key_file",
            Pairing {
                key_file: Some(_), ..
            } => "cert_file",
            _ => return None,
        };
        self.wrong(pair, format!("missing '{missing}' in TLS configuration"))
    }

    /// A list of names, without those that midge has not; one at least must be left.
    fn names(&mut self, pair: &Pair, names: &Names) -> Vec<String> {
        let (key, what) = (&pair.key, names.what);
        let Some(list) = pair.value.as_list() else {
            let text = format!("{CONTEXT}, expected '{key}' to be a list of names");
            self.report.error(&pair.at, text);
            return Vec::new();
        };
        let (mut found, mut is_known) = (Vec::new(), true);
        for value in list {
            let name = value.as_text().unwrap_or_default();
            match (names.find)(name) {
                Found::Present(name) => found.push(name.to_owned()),
                Found::Absent => {
                    let text = format!("{what} {name} has no effect: {}", names.absent);
                    self.report.notice(&value.at, text);
                }
                Found::Unknown => {
                    is_known = false;
                    let all = names.all.join(", ");
                    let text = format!("{CONTEXT}, unrecognized {what} {name}; there are {all}");
                    self.report.error(&value.at, text);
                }
            }
        }
        if list.is_empty() {
            let text = format!("{CONTEXT}, '{key}' cannot be empty; name some, or leave it out");
            self.report.error(&pair.at, text);
        } else if found.is_empty() && is_known {
            let text = format!(
                "{CONTEXT}, '{key}' has none that midge has; name one of {}",
                names.all.join(", ")
            );
            self.report.error(&pair.at, text);
        }
        found
    }

    fn pins(&mut self, pair: &Pair, tls: &mut Tls) {
        let Some(list) = pair.value.as_list() else {
            let text = format!("{CONTEXT}, expected 'pinned_certs' to be a list of digests");
            return self.report.error(&pair.at, text);
        };
        for value in list {
            let pin = value.as_text().unwrap_or_default().to_ascii_lowercase();
            if pin.len() == 64 && pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                tls.pinned_certs.insert(pin);
            } else {
                let text = format!(
                    "error parsing 'pinned_certs' key {pin} does not look like hex-encoded sha256 of DER encoded \
                     SubjectPublicKeyInfo"
                );
                self.report.error(&value.at, text);
            }
        }
        if list.is_empty() {
            let text = format!("{CONTEXT}, 'pinned_certs' is empty; name some, or leave it out");
            self.report.error(&pair.at, text);
        }
    }

    fn min_version(&mut self, pair: &Pair, tls: &mut Tls) {
        let text = &pair.value.text;
        if !matches!(pair.value.kind, Kind::Text) {
            let text =
                format!("{CONTEXT}, 'min_version' wrong type: {text}; write \"1.2\" or \"1.3\"");
            return self.report.error(&pair.at, text);
        }
        match text.as_str() {
            "1.2" => tls.min_version = TlsVersion::V1_2,
            "1.3" => tls.min_version = TlsVersion::V1_3,
            "1.0" | "1.1" => {
                let text = format!(
                    "{CONTEXT}, unsupported TLS version: TLS {text}; write \"1.2\" or \"1.3\""
                );
                self.report.error(&pair.at, text);
            }
            _ => {
                let text = format!("{CONTEXT}, unknown version: {text}; write \"1.2\" or \"1.3\"");
                self.report.error(&pair.at, text);
            }
        }
    }

    fn handshake_first(&mut self, pair: &Pair, tls: &mut Tls) {
        let text = pair.value.text.to_ascii_lowercase();
        tls.handshake_first = match &pair.value.kind {
            Kind::Bool(true) => HandshakeFirst::Yes,
            Kind::Bool(false) => HandshakeFirst::No,
            _ if ["auto", "auto_fallback"].contains(&text.as_str()) => {
                HandshakeFirst::Within(AUTO_DELAY)
            }
            _ => match duration::nanoseconds(&text).map(u64::try_from) {
                Ok(Ok(nanoseconds)) if nanoseconds > 0 => {
                    HandshakeFirst::Within(Duration::from_nanos(nanoseconds))
                }
                _ => {
                    let text = format!(
                        "{CONTEXT}, field {:?}'s value {:?} is invalid; write true, false, auto, or a duration such as \
                         \"300ms\"",
                        pair.key, pair.value.text
                    );
                    return self.report.error(&pair.at, text);
                }
            },
        };
    }

    /// Stapled answers of OCSP: there are none, which is what the modes `auto` and `never` come to with most certificates.
    pub(super) fn ocsp(&mut self, pair: &Pair) {
        let mode = match &pair.value.kind {
            Kind::Bool(true) => "auto",
            Kind::Bool(false) => "never",
            Kind::Map(map) => match map.get("mode") {
                Some(mode) => mode.value.as_text().unwrap_or_default(),
                None => "auto",
            },
            _ => "",
        };
        match mode {
            "never" => {}
            "auto" => self.ignore(
                pair,
                "no answer of OCSP is sent along with a certificate; one with must-staple would be refused by clients",
            ),
            "always" | "must" => self.refuse(
                pair,
                "no answer of OCSP is sent along with a certificate; mode auto or never is possible",
            ),
            _ => self.report.error(
                &pair.at,
                "error parsing ocsp config: unsupported ocsp mode string; write auto or never",
            ),
        }
    }

    /// What is kept of answers of OCSP about clients: nothing, since none is asked for.
    pub(super) fn ocsp_cache(&mut self, pair: &Pair) {
        let kind = match &pair.value.kind {
            Kind::Bool(true) => "local",
            Kind::Bool(false) => "none",
            Kind::Map(map) => match map.get("type") {
                Some(kind) => kind.value.as_text().unwrap_or_default(),
                None => "local",
            },
            _ => "",
        };
        match kind.to_ascii_lowercase().as_str() {
            "none" => {}
            "local" => self.ignore(pair, "OCSP is not asked about clients' certificates"),
            _ => {
                let text = format!(
                    "error parsing OCSP peer cache config, unknown type [{kind}]; write none"
                );
                self.report.error(&pair.at, text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
