//! What every connection has, whatever is spoken on it.

pub(crate) mod queues;
