//! `Sharing`: what is to be remembered of imports where accounts come by their tokens.
//!
//! ```text
//! token of an exporter is another ──▶ importers ──▶ furnished anew
//! an activation begins, or is over ──▶ due ──▶ furnished anew
//! exporter that is not known ──▶ wanted ──▶ asked for elsewhere ──▶ its importers furnished anew
//! ```
//!
//! Imports of settings are all good, or the settings are not. One of a token may be no good on the day on which another
//! account says something else: it is left out, which the log is told once, and the others hold.

use crate::core::accounts::AccountId;
use midge_reactor::TimerId;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// Lines about one account in a row. The rest is counted.
const TOLD_MAX: usize = 20;

/// Imports of accounts that come by tokens.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// Exporter and importer, also where what is imported is left out.
    importers: BTreeSet<(Arc<str>, Arc<str>)>,
    /// The same by importer.
    exporters: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// What was left out, by importer.
    left_out: HashMap<Arc<str>, LeftOut>,
    /// When an activation begins or is over, and of which importer.
    due: BTreeSet<(i64, Arc<str>)>,
    /// Exporters that are not known.
    wanted: BTreeSet<Arc<str>>,
    /// Accounts whose clients are told of, which they do not know yet.
    introduced: Vec<AccountId>,
    /// Importers whose exporter has come.
    touched: BTreeSet<Arc<str>>,
    /// Importers with an import that would lead back to where it began.
    round: BTreeSet<Arc<str>>,
    /// Whether those are to be looked at. There may be as many as there are accounts, and thousands of tokens in a turn: so they
    /// are touched once for all that has come meanwhile.
    is_round_touched: bool,
    /// Wakes for the first that is due.
    pub(crate) timer: Option<(i64, TimerId)>,
}

/// What one account is to have and has not.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    /// Its imports that are not made, by their places.
    pub(crate) imports: Vec<usize>,
    /// A line for each, and for what else was left out.
    pub(crate) lines: Vec<String>,
    /// Whether one of them would lead back to where it began: another account may be the reason.
    pub(crate) is_round: bool,
}

impl Sharing {
    /// What an account imports from is this, and what was left out of it. The log is told what is not as before.
    pub(super) fn settle<'a>(
        &mut self,
        importer: &Arc<str>,
        exporters: impl Iterator<Item = &'a str>,
        left_out: LeftOut,
    ) {
        let exporters: BTreeSet<Arc<str>> = exporters.map(Arc::from).collect();
        self.follow(importer, exporters);
        let former = match left_out.lines.is_empty() {
            true => self.left_out.remove(importer),
            false => self.left_out.get(importer).map(|one| LeftOut {
                lines: one.lines.clone(),
                ..LeftOut::default()
            }),
        };
        let is_told = |line: &&String| former.as_ref().is_some_and(|one| one.lines.contains(line));
        let mut news = left_out.lines.iter().filter(|line| !is_told(line));
        for line in news.by_ref().take(TOLD_MAX) {
            log::warn!(target: "midge", "Account [{importer}]: {line}");
        }
        let more = news.count();
        if more > 0 {
            log::warn!(target: "midge", "Account [{importer}]: {more} more exports, imports or mappings are left out");
        }
        match left_out.is_round {
            true => self.round.insert(Arc::clone(importer)),
            false => self.round.remove(importer),
        };
        if !left_out.lines.is_empty() {
            self.left_out.insert(Arc::clone(importer), left_out);
        }
    }

    /// An account imports from these, and from no others any more.
    fn follow(&mut self, importer: &Arc<str>, exporters: BTreeSet<Arc<str>>) {
        let pair = |exporter: &Arc<str>| (Arc::clone(exporter), Arc::clone(importer));
        for gone in self.exporters.remove(importer).unwrap_or_default() {
            self.importers.remove(&pair(&gone));
        }
        if !exporters.is_empty() {
            self.importers.extend(exporters.iter().map(pair));
            self.exporters.insert(Arc::clone(importer), exporters);
        }
    }

    /// An activation of this importer begins, or is over, in that second.
    pub(super) fn note_due(&mut self, second: i64, importer: &Arc<str>) {
        self.due.insert((second, Arc::clone(importer)));
    }

    /// The clients of these accounts are to leave what is told of them.
    pub(super) fn introduce(&mut self, accounts: impl Iterator<Item = AccountId>) {
        self.introduced.extend(accounts);
    }

    /// Takes those accounts out.
    pub(crate) fn take_introduced(&mut self) -> Vec<AccountId> {
        std::mem::take(&mut self.introduced)
    }

    /// This exporter is not known.
    pub(super) fn want(&mut self, exporter: &str) {
        self.wanted.insert(exporter.into());
    }

    /// The token of this account has come, or is another one: who imports from it is to be looked at.
    pub(crate) fn touch(&mut self, exporter: &str) {
        let exporter: Arc<str> = exporter.into();
        let first = (Arc::clone(&exporter), Arc::from(""));
        let from = (Bound::Included(&first), Bound::Unbounded);
        let all = self.importers.range::<(Arc<str>, Arc<str>), _>(from);
        let its = all.take_while(|(one, _)| *one == exporter);
        self.touched
            .extend(its.map(|(_, importer)| Arc::clone(importer)));
        self.touch_round();
    }

    /// Those with an import that would lead back to where it began are to be looked at: it may do so no longer.
    pub(crate) fn touch_round(&mut self) {
        self.is_round_touched |= !self.round.is_empty();
    }

    /// Those that are due by this second are to be looked at.
    pub(crate) fn touch_due(&mut self, second: i64) {
        while let Some((when, _)) = self.due.first()
            && *when <= second
            && let Some((_, importer)) = self.due.pop_first()
        {
            self.touched.insert(importer);
        }
    }

    /// The next second in which something is due.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.due.first().map(|(second, _)| *second)
    }

    /// Takes out one that is to be looked at.
    pub(crate) fn next_touched(&mut self) -> Option<Arc<str>> {
        if std::mem::take(&mut self.is_round_touched) {
            self.touched.extend(self.round.iter().cloned());
        }
        self.touched.pop_first()
    }

    /// Takes out one that is to be asked for.
    pub(crate) fn next_wanted(&mut self) -> Option<Arc<str>> {
        self.wanted.pop_first()
    }

    /// Whether there is something to be done and the loop does not know that yet.
    pub(crate) fn is_waiting(&self) -> bool {
        let armed = self.timer.map(|(second, _)| second);
        let is_due = self
            .next_due()
            .is_some_and(|next| armed.is_none_or(|armed| next < armed));
        let is_asked = !self.introduced.is_empty();
        is_due
            || is_asked
            || !self.wanted.is_empty()
            || !self.touched.is_empty()
            || self.is_round_touched
    }

    /// Places of an account's imports that are left out.
    pub(crate) fn left_out(&self, importer: &str) -> &[usize] {
        self.left_out.get(importer).map_or(&[], |one| &one.imports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn tokens_of_ten_thousand_accounts_whose_imports_lead_back_touch_each_once() {
        const ACCOUNTS: usize = 10_000;
        let names: Vec<Arc<str>> = (0..ACCOUNTS)
            .map(|number| format!("A{number}").into())
            .collect();
        let mut sharing = Sharing::default();
        for (number, name) in names.iter().enumerate() {
            let exporter: &str = &names[(number + 1) % ACCOUNTS];
            let left_out = LeftOut {
                imports: vec![0],
                lines: vec!["it leads back".to_owned()],
                is_round: true,
            };
            sharing.settle(name, [exporter].into_iter(), left_out);
        }
        let begun = Instant::now();
        for name in &names {
            sharing.touch(name);
        }
        assert!(sharing.is_waiting());
        let touched = std::iter::from_fn(|| sharing.next_touched());
        assert_eq!(touched.count(), ACCOUNTS);
        // It is some hundredths. Each with each, it would be more than ten.
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        // What leads back no longer is not looked at for the others any more.
        sharing.settle(&names[0], [].into_iter(), LeftOut::default());
        sharing.touch_round();
        let touched = std::iter::from_fn(|| sharing.next_touched());
        assert_eq!(touched.count(), ACCOUNTS - 1);
        assert!(!sharing.is_waiting());
    }
}
