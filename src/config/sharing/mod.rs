//! What accounts let each other have: exports and imports.
//!
//! ```text
//! stream    A exports pub.>   ── messages ──▶   B imports it, as fromA.pub.>
//! service   A exports svc     ◀── requests ──   B imports it, as local.svc
//! ```
//!
//! An [`Export`] or an [`Import`] is right by itself once it is made. Whether an import may have what it names is known
//! when all accounts are. [`faults`] answers that for settings, of a file and of a program alike. Where accounts come by
//! their tokens, [`Offers`] are asked for each import as it is made.
//!
//! * `export`, `import`: the two values; `activation`: by which the one allows the other
//! * `furnishing`: what an account has of them; `claims`: from a token to that
//! * `offers`: who may import what
//! * `check`: what is wrong with settings; `cycles`: where imports lead to in the end

mod activation;
mod check;
mod claims;
mod cycles;
mod export;
mod furnishing;
mod import;
mod offers;

#[cfg(feature = "command")]
pub(crate) use check::Place;
pub(crate) use check::faults;
pub(crate) use claims::Shared;
pub(crate) use cycles::CHAIN_ACCOUNTS_MAX;
pub use export::{Export, ExportKind, InvalidExport, Latency, Response, Sampling, Service};
pub(crate) use furnishing::Furnishing;
pub use import::{Import, ImportKind, InvalidImport};
pub(crate) use offers::Offers;

use crate::mapping::is_blank;
use midge_protocol::subject;

/// Whether a text may be subscribed to, and has nothing in it that would end it on the wire.
fn is_subject(text: &str) -> bool {
    subject::is_subscribable(text.as_bytes()) && !text.contains(is_blank)
}
