//! What a message meets on its way: the accounts with their subscriptions, the receivers, delivery, and who has
//! to wait for whom. Nothing here knows of settings, of handlers, or of what is kept for monitoring.

pub(crate) mod backpressure;
pub(crate) mod close;
pub(crate) mod delivery;
pub(crate) mod leaving;
pub(crate) mod outbox;
pub(crate) mod random;
pub(crate) mod receiver;
pub mod sublist;
pub(crate) mod trace;
