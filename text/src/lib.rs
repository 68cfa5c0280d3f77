//! Values as people write and read them, the same in the broker and in every program beside it.
//!
//! This crate is functions of text: no socket, no clock, no log, and nothing of NATS.

mod duration;
pub mod host_port;
pub mod quantity;
mod system_words;

pub use duration::duration;
pub use system_words::system_words;
