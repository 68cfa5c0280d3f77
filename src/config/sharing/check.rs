//! Who may import what: the rules between accounts, once all are known.
//!
//! * What is exported under the very subject decides by itself. Otherwise each export that covers the import has to
//!   allow it: of several, nats-server asks one at random, so that a file may start today and not tomorrow.
//! * An export with a token for the account and a list of accounts asks for both. nats-server forgets the list.
//! * One subject is exported once of each kind.
//!
//! Cost: a look into a table of the exporter for each import, and the ways on in `cycles`.

use super::cycles;
use super::export::Export;
use super::import::Import;
use super::patterns::Patterns;
use crate::config::Account;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is wrong with an export or import among those of others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    /// The account that it is of.
    pub(crate) account: String,
    pub(crate) place: Place,
    /// What is wrong, as one line.
    pub(crate) text: String,
}

/// Which of an account's exports or imports, in their order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Export(usize),
    Import(usize),
}

/// All that is wrong with exports and imports, once each is right by itself. Where imports lead to is looked at when
/// nothing else is wrong.
pub(crate) fn faults(accounts: &BTreeMap<String, Account>) -> Vec<Fault> {
    let is_alone = |one: &Account| one.exports.is_empty() && one.imports.is_empty();
    if accounts.values().all(is_alone) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (name, account) in accounts {
        of_exports(name, account, accounts, &mut faults);
    }
    let mut offers = HashMap::new();
    for (name, account) in accounts {
        of_imports(name, account, accounts, &mut offers, &mut faults);
    }
    if faults.is_empty() {
        faults = cycles::faults(accounts);
    }
    faults
}

fn of_exports(
    name: &str,
    account: &Account,
    accounts: &BTreeMap<String, Account>,
    faults: &mut Vec<Fault>,
) {
    let mut seen = HashSet::new();
    for (place, export) in account.exports.iter().enumerate() {
        let mut tell = |text| {
            faults.push(Fault {
                account: name.to_owned(),
                place: Place::Export(place),
                text,
            });
        };
        let named = export.accounts().unwrap_or_default();
        for unknown in named.iter().filter(|one| !accounts.contains_key(*one)) {
            let text = format!(
                "{unknown:?} account not defined for {} export",
                export.word()
            );
            tell(text);
        }
        if !seen.insert((export.is_service(), export.subject())) {
            let wrong = "it is exported twice; name all accounts in one list";
            tell(export.wrong(wrong).to_string());
        }
    }
}

/// What one account offers, to be looked up.
struct Offers<'a> {
    exports: &'a [Export],
    by_subject: HashMap<(bool, &'a str), usize>,
    streams: Patterns<'a>,
    services: Patterns<'a>,
}

impl<'a> Offers<'a> {
    fn of(account: &'a Account) -> Offers<'a> {
        let exports = &account.exports[..];
        let numbered = || exports.iter().enumerate();
        let patterns = |is_service| {
            let those = numbered().filter(move |(_, one)| one.is_service() == is_service);
            Patterns::new(those.map(|(number, one)| (one.subject(), number)))
        };
        let by_subject =
            numbered().map(|(number, one)| ((one.is_service(), one.subject()), number));
        Offers {
            exports,
            by_subject: by_subject.collect(),
            streams: patterns(false),
            services: patterns(true),
        }
    }

    /// Why the account `importer` may not have what `import` names; `None` if it may.
    fn refuse(&self, import: &Import, importer: &str) -> Option<String> {
        let key = (import.is_service(), import.subject());
        let exporter = import.account();
        if let Some(number) = self.by_subject.get(&key) {
            return refuse_by(&self.exports[*number], import, importer);
        }
        let patterns = match import.is_service() {
            true => &self.services,
            false => &self.streams,
        };
        let covering = patterns.covering(import.subject());
        if covering.is_empty() {
            let word = import.word();
            return Some(format!("{exporter:?} exports no {word} that has all of it"));
        }
        let mut refusals = covering
            .iter()
            .filter_map(|number| refuse_by(&self.exports[*number], import, importer));
        refusals.next()
    }
}

/// Why an export that covers an import is not for this account; `None` if it is.
fn refuse_by(export: &Export, import: &Import, importer: &str) -> Option<String> {
    let (subject, exporter) = (export.subject(), import.account());
    if let Some(accounts) = export.accounts()
        && !accounts.iter().any(|one| one == importer)
    {
        let text = format!("{exporter:?} exports {subject:?} to other accounts only");
        return Some(text);
    }
    let position = export.account_token_position()?;
    let token = import.subject().split('.').nth(position - 1);
    (token != Some(importer)).then(|| {
        format!(
            "{exporter:?} exports {subject:?} to each account under its own name, so token {position} must be {importer}"
        )
    })
}

fn of_imports<'a>(
    name: &str,
    account: &'a Account,
    accounts: &'a BTreeMap<String, Account>,
    offers: &mut HashMap<&'a str, Offers<'a>>,
    faults: &mut Vec<Fault>,
) {
    let (mut streams, mut services) = (HashSet::new(), HashMap::new());
    for (place, import) in account.imports.iter().enumerate() {
        let mut tell = |text| {
            faults.push(Fault {
                account: name.to_owned(),
                place: Place::Import(place),
                text,
            });
        };
        let (exporter, word) = (import.account(), import.word());
        let Some(other) = accounts.get(exporter) else {
            tell(format!(
                "{exporter:?} account not defined for {word} import"
            ));
            continue;
        };
        let offers = (offers.entry(exporter)).or_insert_with(|| Offers::of(other));
        if let Some(why) = offers.refuse(import, name) {
            let wrong = format!("{word} import not authorized; {why}");
            tell(import.wrong(wrong).to_string());
            continue;
        }
        if import.is_service() {
            match services.insert((exporter, import.named()), import.subject()) {
                None => {}
                Some(subject) => tell(format!(
                    "Duplicate service import subject {:?}, previously used in import for account {exporter:?}, \
                     subject {subject:?}",
                    import.named()
                )),
            }
        } else if !streams.insert((exporter, import.subject())) {
            tell(import.wrong("stream import already exists").to_string());
        }
    }
}

#[cfg(test)]
pub(in crate::config::sharing) mod tests;
