//! The flags for TLS, and what is printed about it.

use super::UsageError;
use crate::config::duration;
use crate::tls::{CURVES, CertFiles, SUITES, Tls};
use std::path::PathBuf;

/// What flags say of TLS.
#[derive(Default)]
pub(super) struct TlsFlags {
    pub(super) on: Option<bool>,
    pub(super) verify: Option<bool>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) help: bool,
}

impl TlsFlags {
    /// Puts them over what a file says.
    ///
    /// # Errors
    /// A file for TLS is named, and there is no TLS: clients would speak in clear.
    pub(super) fn put_over(&mut self, tls: &mut Option<Tls>) -> Result<(), UsageError> {
        match self.on {
            Some(false) if self.verify != Some(true) => {
                *tls = None;
                return Ok(());
            }
            _ if self.on == Some(true) || self.verify == Some(true) => {
                tls.get_or_insert_default();
            }
            _ => {}
        }
        let files = [
            ("tlscert", &self.cert),
            ("tlskey", &self.key),
            ("tlscacert", &self.ca),
        ];
        let named = files.iter().find(|(_, file)| file.is_some());
        let tls = match (tls, named) {
            (Some(tls), _) => tls,
            (None, Some((name, _))) => return Err(UsageError::TlsFileAlone { name }),
            (None, None) => return Ok(()),
        };
        if let Some(verify) = self.verify {
            tls.verify = verify;
        }
        if let Some(ca) = self.ca.take() {
            tls.ca_file = Some(ca);
        }
        let (cert, key) = (self.cert.take(), self.key.take());
        if cert.is_some() || key.is_some() {
            let former = tls.certs.first().cloned().unwrap_or_default();
            tls.certs = vec![CertFiles {
                cert_file: cert.unwrap_or(former.cert_file),
                key_file: key.unwrap_or(former.key_file),
            }];
        }
        Ok(())
    }
}

/// The text of `--help_tls`.
pub fn tls_help() -> String {
    let timeout = duration::show(Tls::default().timeout);
    let list = |names: &[&str]| names.join("\n    ");
    let (suites, curves) = (list(&SUITES), list(&CURVES));
    format!(
        "\
TLS in the configuration file:

tls {{
    cert_file: \"server-cert.pem\"     # the certificate, and those that vouch for it
    key_file: \"server-key.pem\"       # its key
    timeout: 2                       # seconds that a handshake may take (default: {timeout})

    # Require a certificate of each client, from one of these authorities:
    ca_file: \"authorities.pem\"
    verify: true

    # Older versions are refused (default: \"1.2\"):
    min_version: \"1.3\"

    # Only these, the best first (default: all of the lists below):
    cipher_suites: [\"TLS_AES_128_GCM_SHA256\"]
    curve_preferences: [\"X25519\"]
}}

Cipher suites:
    {suites}

Curves:
    {curves}
"
    )
}
