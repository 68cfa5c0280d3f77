//! Where the requests of an import lead, before it is made: one that would come back to where it began is not made.
//!
//! Settings are looked at as a whole, and refused with all such ways (`config/sharing/cycles.rs`). Tokens of accounts come
//! one after the other, from different people. So each import is held against those that there are, and that which
//! would close the ring is left out, as in nats-server. Streams go to clients only, and so never round.

use crate::config::CHAIN_ACCOUNTS_MAX;
use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::crossing::{ImportKind, Wanted};
use crate::mapping::{Transform, common};
use midge_protocol::Subjects;

/// Most steps that are walked for one import. One that has more ways on is not made either.
const STEPS_MAX: usize = 1_000;

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

/// Why the import `wanted` of the account `importer` cannot be made, which has `own` beside it; `None` if it can. Adds
/// the number of steps that were looked at to `work`.
pub(super) fn refuse(
    core: &Core,
    importer: AccountId,
    own: &[Wanted<'_>],
    wanted: &Wanted<'_>,
    work: &mut usize,
) -> Option<String> {
    let step = |one: &Wanted<'_>, pattern: &str| carry(one.subject, one.transform, pattern);
    let local = String::from_utf8_lossy(wanted.subject);
    let back = Subjects::new([&*local]);
    let mut ways = vec![(wanted.exporter, step(wanted, &local)?, 2)];
    let mut steps = 0;
    while let Some((account, pattern, accounts)) = ways.pop() {
        if account == importer && back.overlaps(pattern.as_bytes()) {
            return Some("import forms a cycle".to_owned());
        }
        if accounts > CHAIN_ACCOUNTS_MAX {
            let text =
                format!("a request would go through more than {CHAIN_ACCOUNTS_MAX} accounts");
            return Some(text);
        }
        let mut go_on = |exporter, carried: Option<String>| {
            steps += 1;
            *work += 1;
            ways.extend(carried.map(|carried| (exporter, carried, accounts + 1)));
        };
        if account == importer {
            // What it has had is replaced by these.
            let services = own.iter().filter(|one| one.kind != ImportKind::Stream);
            services.for_each(|one| go_on(one.exporter, step(one, &pattern)));
        } else {
            for (exporter, local, transform) in core.services_imported(account) {
                go_on(exporter, carry(local, transform, &pattern));
            }
        }
        if steps > STEPS_MAX {
            return Some(format!("it has more than {STEPS_MAX} ways on"));
        }
    }
    None
}
