//! Accounts as they are opened: with the mappings and imports that the settings have for them.
//!
//! An account that is imported from is opened with the importer, since messages may come to it. So is one of which that
//! imports in its turn.

use crate::config::{Config, GLOBAL, ImportKind as Kind, Response};
use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::crossing::{ImportKind, ResponseTerms, Wanted};
use crate::mapping::Mappings;
use crate::state::State;
use midge_protocol::Subjects;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer is waited for, unless the service says otherwise.
const THRESHOLD: Duration = Duration::from_secs(120);

impl State {
    /// The account of this name, which is open from here on.
    pub(crate) fn open_account(&mut self, name: &str) -> AccountId {
        open(&self.config, &mut self.core, name)
    }

    /// An account that is open has from here on what the settings have for it. Answers how much work that was, in
    /// places looked at.
    pub(crate) fn furnish_account(&mut self, account: AccountId) -> usize {
        furnish_all(&self.config, &mut self.core, account)
    }
}

fn open(config: &Config, core: &mut Core, name: &str) -> AccountId {
    if let Some(account) = core.accounts.named(name) {
        return account;
    }
    let account = core.accounts.open(name);
    furnish_all(config, core, account);
    account
}

/// Furnishes an account, and those that it takes to open for that. Answers how much work that was.
fn furnish_all(config: &Config, core: &mut Core, account: AccountId) -> usize {
    let (mut work, mut bare) = (0, vec![account]);
    while let Some(account) = bare.pop() {
        work += furnish(config, core, account, &mut bare);
    }
    work
}

/// Furnishes an account; puts those that were opened for it into `opened`. Answers how much work that was.
fn furnish(
    config: &Config,
    core: &mut Core,
    account: AccountId,
    opened: &mut Vec<AccountId>,
) -> usize {
    let name = Arc::clone(&core.accounts[account].name);
    let settings = config.accounts.get(&*name);
    let (wanted, imports) = match settings {
        _ if &*name == GLOBAL => (&config.mappings[..], &[][..]),
        Some(settings) => (&settings.mappings[..], &settings.imports[..]),
        None => (&[][..], &[][..]),
    };
    let mappings = &mut core.accounts[account].mappings;
    let cluster = config.cluster_name.as_deref();
    if !mappings.are(wanted, cluster) {
        *mappings = Mappings::new(wanted, cluster);
    }
    let mut work = 1 + wanted.len();
    let mut wanted = Vec::with_capacity(imports.len());
    for import in imports {
        let exporter = core.accounts.named(import.account());
        let exporter = exporter.unwrap_or_else(|| {
            let account = core.accounts.open(import.account());
            opened.push(account);
            account
        });
        // Or a message would come back again and again.
        if exporter == account
            && Subjects::new([import.local()]).overlaps(import.subject().as_bytes())
        {
            continue;
        }
        let (subject, kind) = match import.kind() {
            Kind::Stream => (import.subject(), ImportKind::Stream),
            Kind::Service { .. } => {
                let service = config.terms_of_service(import);
                let response = service.map(|one| one.response).unwrap_or_default();
                let threshold = service.and_then(|one| one.threshold);
                let terms = ResponseTerms {
                    is_single: response == Response::Singleton,
                    threshold: threshold.unwrap_or(THRESHOLD),
                };
                let exports = config.accounts.get(import.account());
                work += exports.map_or(0, |one| one.exports.len());
                (import.local(), ImportKind::Service(terms))
            }
        };
        work += 1;
        wanted.push(Wanted {
            exporter,
            subject: subject.as_bytes(),
            transform: import.transform(),
            kind,
        });
    }
    core.import(account, &wanted);
    work
}
