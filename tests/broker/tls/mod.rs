//! TLS: who speaks first, who is let in, and what is said of those who are not.

mod monitoring;
mod opening;
pub(crate) mod papers;
mod reloading;
mod renewing;
mod resolver;
mod verifying;
