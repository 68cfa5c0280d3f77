//! `Offers`: what one account exports, to be looked up by those who import.
//!
//! * What is exported under the very subject decides by itself. Otherwise each export that covers the import has to
//!   allow it: of several, nats-server asks one at random, so that a file may start today and not tomorrow.
//! * An export with a token for the account and a list of accounts asks for both. nats-server forgets the list.

use super::Furnishing;
use super::export::Export;
use super::import::Import;
use crate::mapping::Patterns;
use midge_protocol::subject;
use std::collections::HashMap;

/// What one account offers.
pub(crate) struct Offers<'a> {
    account: Furnishing<'a>,
    by_subject: HashMap<(bool, &'a str), usize>,
    /// Those with wildcards: no other one covers more than its own subject.
    streams: Patterns<&'a str>,
    services: Patterns<&'a str>,
}

impl<'a> Offers<'a> {
    /// Costs a look at each export.
    pub(crate) fn of(account: Furnishing<'a>) -> Offers<'a> {
        let numbered = || account.exports.iter().enumerate();
        let patterns = |is_service| {
            let those = numbered().filter(move |(_, one)| {
                one.is_service() == is_service && subject::has_wildcard(one.subject().as_bytes())
            });
            Patterns::new(those.map(|(number, one)| (one.subject(), number)))
        };
        let by_subject =
            numbered().map(|(number, one)| ((one.is_service(), one.subject()), number));
        Offers {
            account,
            by_subject: by_subject.collect(),
            streams: patterns(false),
            services: patterns(true),
        }
    }

    /// The export by which the account `importer` has what `import` names, at this second: that of the very subject, or
    /// else the first that has all of it.
    ///
    /// # Errors
    /// Why it may not have it.
    pub(crate) fn offered(
        &self,
        import: &Import,
        importer: &str,
        second: i64,
    ) -> Result<&'a Export, String> {
        let exports = self.account.exports;
        let key = (import.is_service(), import.subject());
        let found = match self.by_subject.get(&key) {
            Some(number) => vec![*number],
            None => {
                let patterns = match import.is_service() {
                    true => &self.services,
                    false => &self.streams,
                };
                patterns.covering(import.subject())
            }
        };
        for number in &found {
            if let Some(why) = self.refuse_by(&exports[*number], import, importer, second) {
                return Err(why);
            }
        }
        let first = found.first().map(|number| &exports[*number]);
        first.ok_or_else(|| {
            let (exporter, word) = (import.account(), import.word());
            format!("{exporter:?} exports no {word} that has all of it")
        })
    }

    /// Why an export that covers an import is not for this account; `None` if it is.
    fn refuse_by(
        &self,
        export: &Export,
        import: &Import,
        importer: &str,
        second: i64,
    ) -> Option<String> {
        let (subject, exporter) = (export.subject(), import.account());
        if let Some(accounts) = export.accounts()
            && !accounts.iter().any(|one| one == importer)
        {
            let text = format!("{exporter:?} exports {subject:?} to other accounts only");
            return Some(text);
        }
        if let Some(revoked) = export.activations() {
            let Some(activation) = import.activation() else {
                let text =
                    format!("{exporter:?} exports {subject:?} to accounts with an activation only");
                return Some(text);
            };
            let terms = (self.account.signing_keys, revoked);
            return activation.refuse(import, importer, terms, second);
        }
        let position = export.account_token_position()?;
        let token = import.subject().split('.').nth(position - 1);
        (token != Some(importer)).then(|| {
            format!(
                "{exporter:?} exports {subject:?} to each account under its own name, so token {position} must be \
                 {importer}"
            )
        })
    }
}

#[cfg(test)]
mod tests;
