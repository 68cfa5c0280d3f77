//! Where the requests of an import lead, before it is made: one that would come back to where it began is not made.
//!
//! ```text
//! accounts     1          2              3                   of each account only those imports are looked at
//! import ──▶ (B, svc.x) ──▶ (C, x) ──▶ (D, x.1), (E, y) ──▶     that overlap what has come to it
//! ```
//!
//! Settings are looked at as a whole, and refused with all such ways (`config/sharing/cycles.rs`). Tokens of accounts come
//! one after the other, from different people. So each import is held against those that there are, and that which
//! would close the ring is left out, as in nats-server. Streams go to clients only, and so never round.
//!
//! It is gone from account to account, with all that is reached by as many: each subject in each account once. That ends
//! behind [`CHAIN_ACCOUNTS_MAX`], which no request goes beyond.

use crate::config::CHAIN_ACCOUNTS_MAX;
use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::crossing::{ImportKind, Wanted};
use crate::mapping::{Patterns, Transform, common};
use midge_protocol::Subjects;
use std::collections::BTreeSet;

/// Most work for all imports of one account, in places of an index and imports that are looked at: some milliseconds. Where few
/// subjects overlap what has come, an account on the way takes as much as the subject has tokens.
const WORK_MAX: usize = 20_000;

/// What one account imports, as it is put together.
pub(super) struct Ways<'a> {
    importer: AccountId,
    /// Its services, by their places. What it has had is replaced by these.
    own: Patterns<&'a str>,
    /// Work that may still be done.
    left: usize,
}

/// Where an import leads to with those requests under `local` that match `pattern`; `None` if it is for none of them.
fn carry(local: &[u8], transform: Option<&Transform>, pattern: &str) -> Option<String> {
    let those = common(pattern, str::from_utf8(local).ok()?)?;
    let Some(transform) = transform else {
        return Some(those);
    };
    let mut out = Vec::new();
    transform.put(those.as_bytes(), &mut out);
    String::from_utf8(out).ok()
}

impl<'a> Ways<'a> {
    pub(super) fn of(importer: AccountId) -> Ways<'a> {
        Ways {
            importer,
            own: Patterns::default(),
            left: WORK_MAX,
        }
    }

    /// The account imports this, in that place of what it imports.
    pub(super) fn add(&mut self, one: &Wanted<'a>, place: usize) {
        if one.kind != ImportKind::Stream
            && let Ok(local) = str::from_utf8(one.subject)
        {
            self.own.insert(local, place);
        }
    }

    /// How much was done.
    pub(super) fn work(&self) -> usize {
        WORK_MAX - self.left
    }

    /// Why the import `wanted` of the account cannot be made, which has `own` beside it; `None` if it can.
    pub(super) fn refuse(
        &mut self,
        core: &Core,
        own: &[Wanted<'_>],
        wanted: &Wanted<'_>,
    ) -> Option<String> {
        let local = str::from_utf8(wanted.subject).ok()?;
        let back = Subjects::new([local]);
        let first = carry(wanted.subject, wanted.transform, local)?;
        let mut reached = BTreeSet::from([(wanted.exporter, first)]);
        for accounts in 2.. {
            let is_back = |(account, pattern): &(AccountId, String)| {
                *account == self.importer && back.overlaps(pattern.as_bytes())
            };
            if reached.iter().any(is_back) {
                return Some("import forms a cycle".to_owned());
            }
            if accounts > CHAIN_ACCOUNTS_MAX {
                return Some(format!(
                    "a request would go through more than {CHAIN_ACCOUNTS_MAX} accounts"
                ));
            }
            let mut next = BTreeSet::new();
            for (account, pattern) in &reached {
                let mut go_on = |exporter, local, transform| {
                    next.extend(
                        carry(local, transform, pattern).map(|carried| (exporter, carried)),
                    );
                };
                let work = match *account == self.importer {
                    true => {
                        let (those, work) =
                            self.own.overlapping_within(pattern, usize::MAX, self.left);
                        let those = those.into_iter().map(|place| &own[place]);
                        those.for_each(|one| go_on(one.exporter, one.subject, one.transform));
                        work
                    }
                    false => core.each_service_overlapping(*account, pattern, self.left, go_on),
                };
                if work > self.left {
                    // The rest of the imports is not made for nothing again and again.
                    self.left = 0;
                    return Some(format!(
                        "requests of this account would have too many ways on through the imports of others: it takes \
                         more than {WORK_MAX} steps to go them all; import fewer or narrower subjects"
                    ));
                }
                self.left -= work;
            }
            if next.is_empty() {
                break;
            }
            reached = next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::crossing::ResponseTerms;
    use std::time::Duration;

    fn service<'a>(exporter: AccountId, local: &'a str) -> Wanted<'a> {
        Wanted {
            exporter,
            subject: local.as_bytes(),
            transform: None,
            kind: ImportKind::Service(ResponseTerms {
                is_single: true,
                threshold: Duration::from_secs(1),
            }),
            is_told: false,
            measuring: None,
        }
    }

    fn open<const N: usize>(core: &mut Core) -> [AccountId; N] {
        std::array::from_fn(|number| core.accounts.open(&format!("A{number}")))
    }

    #[test]
    fn what_an_exporter_imports_beside_it_costs_nothing() {
        let mut core = Core::new(usize::MAX);
        let [importer, exporter, beyond] = open(&mut core);
        let locals: Vec<String> = (0..30_000).map(|number| format!("svc.{number}")).collect();
        let many: Vec<Wanted<'_>> = locals.iter().map(|one| service(beyond, one)).collect();
        core.import(exporter, &many);
        let mut ways = Ways::of(importer);
        let refuse =
            |ways: &mut Ways<'_>, local| ways.refuse(&core, &[], &service(exporter, local));
        assert_eq!(refuse(&mut ways, "svc.7"), None);
        assert_eq!(refuse(&mut ways, "other.>"), None);
        assert!(ways.work() < 10, "{}", ways.work());
        let told = refuse(&mut ways, "svc.*").unwrap_or_default();
        assert!(told.contains("more than 20000 steps"), "{told}");
        assert_eq!(ways.work(), WORK_MAX);
    }

    #[test]
    fn what_is_passed_and_not_found_is_work_too() {
        let mut core = Core::new(usize::MAX);
        let [importer, exporter, beyond] = open(&mut core);
        let locals: Vec<String> = (0..7_000).map(|number| format!("a{number}.b")).collect();
        let many: Vec<Wanted<'_>> = locals.iter().map(|one| service(beyond, one)).collect();
        core.import(exporter, &many);
        let mut ways = Ways::of(importer);
        for (number, is_made) in [(1, true), (2, true), (3, false), (4, false)] {
            let told = ways.refuse(&core, &[], &service(exporter, "*.q"));
            assert_eq!(told.is_none(), is_made, "{number}: {told:?}");
        }
        assert_eq!(ways.work(), WORK_MAX);
    }

    #[test]
    fn an_import_that_an_exporter_makes_later_closes_a_ring_too() {
        let mut core = Core::new(usize::MAX);
        let [importer, exporter] = open(&mut core);
        core.import(exporter, &[service(importer, "other")]);
        assert_eq!(
            Ways::of(importer).refuse(&core, &[], &service(exporter, "svc.7")),
            None
        );
        // What it imports later is looked at too.
        core.import(exporter, &[service(importer, "svc.7")]);
        let mut ways = Ways::of(importer);
        let told = ways.refuse(&core, &[], &service(exporter, "svc.7"));
        assert_eq!(told.as_deref(), Some("import forms a cycle"));
    }

    #[test]
    fn ways_that_part_and_meet_again_are_gone_once() {
        let mut core = Core::new(usize::MAX);
        let all: [AccountId; 15] = open(&mut core);
        // Each imports all from the next one twice, so that there are 2^13 ways to the last.
        for two in all[1..].windows(2) {
            core.import(two[0], &[service(two[1], ">"), service(two[1], "a.>")]);
        }
        let mut ways = Ways::of(all[0]);
        let wanted = service(all[1], "a.b");
        assert_eq!(ways.refuse(&core, &[], &wanted), None);
        assert!(ways.work() <= 4 * 13, "{}", ways.work());
    }

    #[test]
    fn a_request_goes_through_as_many_accounts_as_may_be_and_no_more() {
        let mut core = Core::new(usize::MAX);
        let all: [AccountId; CHAIN_ACCOUNTS_MAX + 1] = open(&mut core);
        for two in all[1..].windows(2) {
            core.import(two[0], &[service(two[1], "svc")]);
        }
        let told = |from: usize, to: usize| {
            let wanted = service(all[to], "svc");
            Ways::of(all[from]).refuse(&core, &[], &wanted)
        };
        assert_eq!(told(0, 2), None);
        let text = "a request would go through more than 16 accounts";
        assert_eq!(told(0, 1).as_deref(), Some(text));
        let last = CHAIN_ACCOUNTS_MAX;
        assert_eq!(told(last, 1).as_deref(), Some("import forms a cycle"));
    }

    #[test]
    fn imports_of_an_account_from_itself_that_lead_round_are_found() {
        let mut core = Core::new(usize::MAX);
        let [importer, other] = open(&mut core);
        let b = Transform::of([crate::mapping::Piece::Text("b")]);
        let a = Transform::of([crate::mapping::Piece::Text("a")]);
        let to_b = Wanted {
            transform: Some(&b),
            ..service(importer, "a")
        };
        let to_a = Wanted {
            transform: Some(&a),
            ..service(importer, "b")
        };
        let mut ways = Ways::of(importer);
        assert_eq!(ways.refuse(&core, &[], &to_b), None);
        ways.add(&to_b, 0);
        let told = ways.refuse(&core, &[to_b], &to_a);
        assert_eq!(told.as_deref(), Some("import forms a cycle"));
        // By way of another account too, and of streams there is nothing to find.
        core.import(other, &[service(importer, "b")]);
        let told = ways.refuse(&core, &[to_b], &service(other, "b"));
        assert_eq!(told.as_deref(), Some("import forms a cycle"));
        let stream = Wanted {
            kind: ImportKind::Stream,
            ..to_a
        };
        let mut ways = Ways::of(importer);
        ways.add(&stream, 0);
        assert_eq!(ways.refuse(&core, &[stream], &to_b), None);
        assert_eq!(ways.work(), 1);
    }
}
