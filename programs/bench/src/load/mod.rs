//! The load: handlers of a reactor on a thread or two, and what they share.
//!
//! ```text
//! thread bench-pub   Reactor<Shard> ── Publisher, Publisher, ...  ─┐
//!                                                                  ├─ Shared: counters, events
//! thread bench-sub   Reactor<Shard> ── Subscriber, Subscriber, ... ┘
//! ```
//!
//! * `shared.rs`: counters, flags and events between threads, in atomics and over one channel.
//! * `thread.rs`: a reactor on a thread of its own, which opens its connections in waves.
//! * `dial.rs`: how a connection comes to the broker, and introduces itself.
//! * `hello.rs`: what every one of them hears besides messages.
//! * `publisher.rs`, `subscriber.rs`: the two ends of a flow.
//! * `requester.rs`, `responder.rs`: the two ends of a request.
//! * `crowd.rs`: many connections that each do little.
//! * `idler.rs`, `short_lived.rs`: connections that do nothing, and that come and go.
//! * `churner.rs`: subscriptions that come and go.

pub(crate) mod churner;
pub(crate) mod crowd;
pub(crate) mod dial;
pub(crate) mod hello;
pub(crate) mod idler;
pub(crate) mod publisher;
pub(crate) mod requester;
pub(crate) mod responder;
pub(crate) mod shared;
pub(crate) mod short_lived;
pub(crate) mod subscriber;
pub(crate) mod thread;
