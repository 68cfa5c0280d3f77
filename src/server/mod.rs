//! The broker as a process: its start and what is checked before, signals, reload, lame duck mode, its end.

mod broker;
mod certificates;
mod claims;
mod handle;
pub(crate) mod lame_duck;
mod operators;
pub(crate) mod preflight;
mod reload;
mod sharing;
mod signals;
mod stopping;
#[cfg(feature = "command")]
mod systemd;

pub use broker::Broker;
pub use handle::{Handle, Running};
pub use preflight::{Checked, StartError};
