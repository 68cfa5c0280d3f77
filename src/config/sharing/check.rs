//! Who may import what: the rules between accounts, once all are known.
//!
//! `offers` says who may have what an account exports. One subject is exported once of each kind.
//!
//! Cost: a look into a table of the exporter for each import, and the ways on in `cycles`.

use super::Furnishing;
use super::cycles;
use super::offers::Offers;
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
        let offers = (offers.entry(exporter)).or_insert_with(|| {
            Offers::of(Furnishing {
                exports: &other.exports,
                ..Furnishing::default()
            })
        });
        // No activation stands in settings, so it is no matter of the time.
        if let Err(why) = offers.offered(import, name, 0) {
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
