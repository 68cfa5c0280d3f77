//! Accounts as they are opened: with the mappings and imports that they have by the settings or by their tokens.
//!
//! An account that is imported from is opened with the importer, since messages may come to it. So is one of which that
//! imports in its turn.
//!
//! Imports of settings were held against each other when those were read. Those of tokens are held against what is known
//! when they are made: what may not be, or may not be yet, is left out ([`Sharing`]).

use crate::auth::tokens::{Known, Now};
use crate::config::{Config, ExportKind, Import, ImportKind as Kind, Offers, Response, Sampling};
use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::crossing::{ImportKind, ResponseTerms, Wanted};
use crate::mapping::Mappings;
use crate::state::State;
use crate::state::sharing::{LeftOut, Sharing};
use crate::state::ways::Ways;
use midge_protocol::Subjects;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How long an answer is waited for, unless the service says otherwise.
const THRESHOLD: Duration = Duration::from_secs(120);

impl State {
    /// The account of this name, which is open from here on.
    pub(crate) fn open_account(&mut self, name: &str) -> AccountId {
        if let Some(account) = self.core.accounts.named(name) {
            return account;
        }
        let account = self.core.accounts.open(name);
        self.furnish_account(account);
        account
    }

    /// An account that is open has from here on what there is for it, and so have those that it takes to open for that.
    /// Answers how much work that was, in places looked at.
    pub(crate) fn furnish_account(&mut self, account: AccountId) -> usize {
        let State {
            config,
            known,
            core,
            sharing,
            ..
        } = self;
        let now = Now::at(core.clock.now());
        let mut furnisher = Furnisher {
            config,
            known,
            now,
            core,
            sharing,
            opened: vec![account],
        };
        let mut work = 0;
        while let Some(account) = furnisher.opened.pop() {
            work += furnisher.furnish(account);
        }
        work
    }
}

/// Gives accounts what there is for them.
struct Furnisher<'a> {
    config: &'a Config,
    known: &'a Known,
    now: Now,
    core: &'a mut Core,
    sharing: &'a mut Sharing,
    /// Those that are open and have nothing yet.
    opened: Vec<AccountId>,
}

/// Why an import is not made.
enum Lack {
    /// Its exporter is not known.
    Unknown,
    /// The exporter does not let this account have it, or it is there already.
    Refused(String),
    /// It would lead back to where it began.
    Round(String),
    /// It leads to itself, and would do nothing.
    Idle,
}

impl<'a> Furnisher<'a> {
    /// Furnishes one. Answers how much work that was.
    fn furnish(&mut self, account: AccountId) -> usize {
        let (config, known, now) = (self.config, self.known, self.now);
        let name = Arc::clone(&self.core.accounts[account].name);
        let having = known.furnishing(config, &name, &now).unwrap_or_default();
        let mappings = &mut self.core.accounts[account].mappings;
        let cluster = config.cluster_name.as_deref();
        if !mappings.are(having.mappings, cluster) {
            *mappings = Mappings::new(having.mappings, cluster);
        }
        let mut work = 1 + having.mappings.len();
        let mut offers = HashMap::new();
        let mut streams = HashSet::new();
        let mut wanted = Vec::with_capacity(having.imports.len());
        let mut ways = Ways::of(account);
        let mut left_out = LeftOut {
            lines: having.left_out.to_vec(),
            ..LeftOut::default()
        };
        let second = now.wall.as_second();
        for (place, import) in having.imports.iter().enumerate() {
            work += 1;
            let changes = import.activation().and_then(|one| one.changes(second));
            if let Some(second) = changes {
                self.sharing.note_due(second, &name);
            }
            let is_first =
                import.is_service() || streams.insert((import.account(), import.subject()));
            let made = match is_first {
                true => self.want(
                    (account, &name),
                    import,
                    (&wanted, &mut ways),
                    &mut offers,
                    &mut work,
                ),
                false => {
                    let wrong = import.wrong("stream import already exists");
                    Err(Lack::Refused(wrong.to_string()))
                }
            };
            let line = match made {
                Ok(one) => {
                    ways.add(&one, wanted.len());
                    wanted.push(one);
                    continue;
                }
                Err(Lack::Idle) => continue,
                Err(Lack::Refused(line)) => line,
                Err(Lack::Round(line)) => {
                    left_out.is_round = true;
                    line
                }
                Err(Lack::Unknown) => {
                    self.sharing.want(import.account());
                    format!(
                        "Can't locate account [{}] for import of [{}] {}",
                        import.account(),
                        import.subject(),
                        import.word()
                    )
                }
            };
            left_out.imports.push(place);
            left_out.lines.push(line);
        }
        work += ways.work();
        // Those whose clients are told of from here on.
        let measured = wanted.iter().filter(|one| one.measuring.is_some());
        let telling = measured.map(|one| one.exporter).chain([account]);
        let silent = telling.filter(|one| !self.core.tells_of_clients(*one));
        let silent: Vec<AccountId> = silent.collect();
        self.core.import(account, &wanted);
        let told = silent.into_iter();
        let told = told.filter(|one| self.core.tells_of_clients(*one));
        self.sharing.introduce(told);
        if config.operators().is_some() {
            let exporters = having.imports.iter().map(Import::account);
            self.sharing.settle(&name, exporters, left_out);
        }
        work
    }

    /// What an import comes to, of an account that has `own` already, with the ways of those.
    fn want(
        &mut self,
        (account, name): (AccountId, &str),
        import: &'a Import,
        (own, ways): (&[Wanted<'a>], &mut Ways<'a>),
        offers: &mut HashMap<&'a str, Option<Offers<'a>>>,
        work: &mut usize,
    ) -> Result<Wanted<'a>, Lack> {
        let (config, known, now) = (self.config, self.known, self.now);
        let offers = offers.entry(import.account()).or_insert_with(|| {
            let exporter = known.furnishing(config, import.account(), &now)?;
            *work += exporter.exports.len();
            Some(Offers::of(exporter))
        });
        let offers = offers.as_ref().ok_or(Lack::Unknown)?;
        let refused = |why: String| {
            let word = import.word();
            let wrong = import.wrong(format!("{word} import not authorized; {why}"));
            Lack::Refused(wrong.to_string())
        };
        let export = offers.offered(import, name, now.wall.as_second());
        let export = export.map_err(refused)?;
        let exporter = self.core.accounts.named(import.account());
        let exporter = exporter.unwrap_or_else(|| {
            let account = self.core.accounts.open(import.account());
            self.opened.push(account);
            account
        });
        // Or a message would come back again and again.
        if exporter == account
            && Subjects::new([import.local()]).overlaps(import.subject().as_bytes())
        {
            return Err(Lack::Idle);
        }
        let mut measuring = None;
        let (subject, kind) = match (import.kind(), export.kind()) {
            (Kind::Service { .. }, ExportKind::Service(service)) => {
                let terms = ResponseTerms {
                    is_single: service.response == Response::Singleton,
                    threshold: service.threshold.unwrap_or(THRESHOLD),
                };
                measuring = service.latency.as_ref().map(|latency| {
                    let percent = match latency.sampling {
                        Sampling::Percent(percent) => percent,
                        Sampling::Headers => 0,
                    };
                    (percent, &*latency.subject)
                });
                (import.local(), ImportKind::Service(terms))
            }
            _ => (import.subject(), ImportKind::Stream),
        };
        let wanted = Wanted {
            exporter,
            subject: subject.as_bytes(),
            transform: import.transform(),
            kind,
            is_told: import.kind() == (Kind::Service { share: true }),
            measuring,
        };
        if config.operators().is_some()
            && kind != ImportKind::Stream
            && let Some(why) = ways.refuse(self.core, own, &wanted)
        {
            return Err(Lack::Round(import.wrong(why).to_string()));
        }
        Ok(wanted)
    }
}
