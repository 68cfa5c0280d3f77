//! `midge digest`: what `pinned_certs` wants of certificates. It is worked out where the broker works it out of those that
//! clients show.

use crate::tls;

/// A line for each certificate in PEM text: the SHA-256 digest of its public key info, as `pinned_certs` has it; its end;
/// its subject.
///
/// ```text
/// ab12...  until 2027-11-30T17:00:00Z  CN=ann,O=Acme
/// ```
///
/// # Errors
/// There is no certificate, or one that cannot be read.
pub fn digest(pem: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    for seen in tls::look(pem)? {
        let subject = match seen.told.subject.as_str() {
            "" => "no subject",
            subject => subject,
        };
        // Who has made the certificate chose the subject: it must not move a cursor.
        let shown = subject
            .chars()
            .map(|c| if c.is_control() { '?' } else { c });
        let (digest, end) = (&seen.told.spki_sha256, seen.not_after);
        text.extend([digest, "  until ", &end.to_string(), "  "]);
        text.extend(shown);
        text.push('\n');
    }
    Ok(text)
}
