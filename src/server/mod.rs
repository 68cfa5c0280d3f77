//! The broker as a process: its start and what is checked before, signals, reload, lame duck mode, its end.

mod broker;
pub(crate) mod lame_duck;
pub(crate) mod preflight;
mod reload;
mod signals;
#[cfg(feature = "command")]
mod systemd;

pub use broker::{Broker, Handle, Running};
pub use preflight::StartError;
