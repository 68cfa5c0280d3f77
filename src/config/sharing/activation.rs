//! `Activation`: by which an exporter lets one account have what others may not.
//!
//! It stands in the token of the importer, signed by the exporter or a signing key of it. What it says is known when the
//! importer's token is read; whether it is good depends on the exporter and on the time.

use super::export::Revoked;
use super::import::Import;
use crate::jwt::{self, Claims, Fault, SigningKey};
use midge_protocol::Subjects;
use std::sync::Arc;

/// What an exporter lets one account have. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Activation(Arc<Claims<jwt::Activation>>);

impl Activation {
    /// Reads one. Costs a check of a signature.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn parse(text: &str) -> Result<Activation, Fault> {
        Ok(Activation(Arc::new(jwt::activation(text)?)))
    }

    /// When what it lets an account have changes next: the second in which it begins, or that in which it is over.
    pub(crate) fn changes(&self, second: i64) -> Option<i64> {
        let seconds = [self.0.not_before, self.0.expires];
        seconds.into_iter().find(|one| *one > second)
    }

    /// Why it does not let the account `importer` have what `import` names, at this second; `None` if it does. `signing`
    /// are the signing keys of the exporter, `revoked` what that has revoked.
    pub(super) fn refuse(
        &self,
        import: &Import,
        importer: &str,
        (signing, revoked): (&[SigningKey], &Revoked),
        second: i64,
    ) -> Option<String> {
        let claims = &*self.0;
        let (exporter, body) = (import.account(), &claims.body);
        if claims.subject != importer {
            return Some(format!("its activation is for {}", claims.subject));
        }
        if body.kind != import.word() {
            return Some(format!("its activation is for a {}", body.kind));
        }
        let is_own = claims.issuer == exporter;
        let is_by_signing_key = || {
            let has = signing.iter().any(|one| one.key == claims.issuer);
            body.issuer_account == exporter && has
        };
        if !is_own && !is_by_signing_key() {
            return Some(format!(
                "its activation is signed by {}, which is no key of {exporter:?}",
                claims.issuer
            ));
        }
        if !Subjects::new([&body.subject]).covers(import.subject().as_bytes()) {
            return Some(format!("its activation is for {:?}", body.subject));
        }
        if claims.is_early(second) {
            return Some("its activation is not yet valid".to_owned());
        }
        // In its last second it is over, as logins are.
        if claims.expires > 0 && second >= claims.expires {
            return Some("its activation is expired".to_owned());
        }
        let entries = ["*", importer].into_iter();
        let mut entries = entries.filter_map(|key| revoked.get(key));
        entries
            .any(|one| *one >= claims.issued_at)
            .then(|| "its activation is revoked".to_owned())
    }
}
