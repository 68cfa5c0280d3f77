//! The load: handlers of a reactor on a thread or two, and what they share.
//!
//! ```text
//! thread bench-pub   Reactor<Shard> ── Publisher, Publisher, ...  ─┐
//!                                                                  ├─ Board: counters, events
//! thread bench-sub   Reactor<Shard> ── Subscriber, Subscriber, ... ┘
//! ```
//!
//! * `board.rs`: what threads tell each other, in atomics and over one channel.
//! * `thread.rs`: a reactor on a thread of its own.
//! * `hello.rs`: how a connection introduces itself; what every one of them hears besides messages.
//! * `publisher.rs`, `subscriber.rs`: the two ends of a flow.

pub(crate) mod board;
pub(crate) mod hello;
pub(crate) mod publisher;
pub(crate) mod subscriber;
pub(crate) mod thread;
