//! What accounts let each other have: exports and imports.
//!
//! ```text
//! stream    A exports pub.>   ── messages ──▶   B imports it, as fromA.pub.>
//! service   A exports svc     ◀── requests ──   B imports it, as local.svc
//! ```
//!
//! An [`Export`] or an [`Import`] is right by itself once it is made. Whether an import may have what it names is known
//! when all accounts are: [`faults`] answers that, for settings of a file and of a program alike.
//!
//! * `export`, `import`: the two values; `patterns`: subjects with wildcards against each other
//! * `check`: who may import what; `terms`: on which terms; `cycles`: where imports lead to in the end

mod check;
mod cycles;
mod export;
mod import;
mod patterns;
mod terms;

#[cfg(feature = "command")]
pub(crate) use check::Place;
pub(crate) use check::faults;
pub use export::{Export, ExportKind, InvalidExport, Latency, Response, Sampling, Service};
pub use import::{Import, ImportKind, InvalidImport};

use crate::mapping::is_blank;
use midge_protocol::subject;

/// Whether a text may be subscribed to, and has nothing in it that would end it on the wire.
fn is_subject(text: &str) -> bool {
    subject::is_subscribable(text.as_bytes()) && !text.contains(is_blank)
}
