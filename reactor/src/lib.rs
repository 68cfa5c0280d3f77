//! A reactor: a loop that takes events and hands them to registered handlers. EventMachine's
//! design in Rust, on mio; one thread, no async, no locks.
//!
//! # A server in a minute
//!
//! ```toml
//! [dependencies]
//! midge-reactor = { path = "../midge/reactor" } # not in the registry yet
//! ```
//!
//! ```
//! use midge_reactor::{run, Context, Handler, Input};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
//!         cx.send(input.take());
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     run(|cx| {
//!         cx.listen("127.0.0.1:0", |_| Echo)?; // any free port; yours is rather "127.0.0.1:8081"
//! #       cx.stop();
//!         Ok(())
//!     })
//! }
//! ```
//!
//! `nc 127.0.0.1 8081` talks to it. The folder `examples` has more, each as short: lines with a
//! timeout, HTTP, a proxy, a chat, a UDP beacon, TLS, child processes, a thread for each core, and a
//! handler in simulation.
//!
//! # Where to read on
//!
//! * `guide`, in the documentation with the feature `sim`: a small server, step by step, and its test.
//! * [`Handler`] is all that you implement; [`Context`] and [`Io`] are all that you may ask for.
//! * [`contract`]: what is called when, what holds then, bounds and defaults.
//! * [`eventmachine`]: for people who know EventMachine, with the table of names.
//! * [`codec`] cuts streams into lines and messages; [`util`] keeps connections up; [`process`] runs
//!   programs; a [`layer`] stands between a connection and its socket, as TLS does.
//! * The feature `sim` runs your handlers over a simulated network and clock, with faults, from a
//!   seed; the feature `tls` adds TLS by rustls; the feature `codec`, on by default, has the codecs.
//!
//! # For a broker, and for others
//!
//! | part | a broker such as midge uses it | others do |
//! |---|---|---|
//! | listeners, connections, queues with marks, timers, deferred work, signals | yes | yes |
//! | [`Remote`], [`Context::offload`], [`Context::call`] | yes | yes |
//! | connects, also to names | in its bench | yes |
//! | [`layer`], and TLS as one (feature `tls`) | comes with TLS and WebSocket | yes |
//! | the simulator (feature `sim`) | in its tests | in theirs |
//! | [`codec`] (feature `codec`, on by default) | no: it has a parser of its own | yes |
//! | [`process`], datagrams, [relays](Io::proxy), [streams](Io::stream), [`Watch`], [`EachTurn`], [`util`], [Unix sockets](Context::listen_unix) | no | yes |
//!
//! Of the last row nothing stands behind a feature: each is a kind of entry or a flag of a connection, which
//! the loop knows at many places. A program that uses none of it pays a few branches where nothing is
//! hot, and no dependency.
//!
//! # The one rule
//!
//! Handlers never do I/O. `send`, `close`, `pause` and the timers record intent, and the loop does
//! the system calls when the handler has returned; `listen` and `connect` begin at once, through
//! the same driver and without waiting. From this follows all the rest: output
//! is collected and written once per connection and turn, nothing ever calls back into a handler
//! that is running, no connection can starve the others, and the same handlers run over anything
//! that implements [`Driver`].
//!
//! What would make the loop wait has a form that does not: [`Context::offload`] for long work,
//! [`Context::resolve`] and [`Context::connect_host`] for names, [`Remote`] for other threads.
//!
//! # Who owns what
//!
//! ```text
//! Reactor ─┬─ state: S            lent to every call as cx.state
//!          ├─ handlers            one box per listener and connection
//!          ├─ core                flags, queues, timers; what cx.io works on
//!          └─ driver              sockets and the clock; mio behind it
//! ```
//!
//! A handler is lent the state and the core, never another handler. Connections are named by a
//! [`Key`], which is never used again: a key that has become stale finds nothing.

#[doc = include_str!("../docs/contract.md")]
pub mod contract {}

#[cfg(feature = "sim")]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[doc = include_str!("../docs/eventmachine.md")]
pub mod eventmachine {}

pub use builder::{Builder, PanicPolicy};
pub use context::{Context, EachTurn};
pub use credentials::Credentials;
pub use datagram::{Datagram, PACKET_BYTES_MAX, UdpOptions};
pub use driver::{Driver, Event, MioDriver, NO_ADDR, Spliced, Wake};
pub use endpoint::Endpoint;
pub use handler::{Accept, Close, Eof, Handler};
pub use input::Input;
pub use io::{Io, LINGER, Writer};
pub use key::Key;
pub use offload::{Answer, OffloadJob, Panic};
pub use options::{
    CONNECT_TIMEOUT, ConnectOptions, Keepalive, ListenOptions, SocketOption, raise_open_files,
};
pub use outbound::QUEUE_BYTES_MAX;
pub use reactor::Reactor;
pub use relay::{ProxyEnd, ProxyError, ProxyOptions};
pub use remote::{Ended, Refused, Remote};
pub use stats::{Counts, Memory, Stats};
pub use stream::{StreamEnd, StreamError, StreamOptions};
pub use time::Time;
pub use timers::TimerId;
pub use transport::{Detached, ListenerAddr, ListeningSocket, Transport};
pub use watch::{Again, Readiness, Watch};

#[cfg(feature = "codec")]
pub mod codec;
pub mod layer;
pub mod process;
pub mod signal;
pub mod util;

mod builder;
mod reactor;

mod datagram;
mod handler;

mod context;
mod credentials;
mod io;
mod options;
mod transport;
mod watch;

mod annotated;
mod block;
mod core;
mod dial;
mod endpoint;
mod input;
mod key;
mod outbound;
mod packets;
mod pause;
mod relay;
mod stream;
mod timers;

mod driver;
mod offload;
mod remote;
mod spin;
mod stats;
mod time;

#[cfg(feature = "sim")]
pub mod sim;

#[cfg(feature = "tls")]
pub mod tls;

mod wire;

/// Runs a program without shared state: makes a reactor, lets `setup` listen and connect, and turns
/// until it is stopped.
///
/// # Errors
/// Those of `setup` and of [`Reactor::run`].
#[doc(alias = "EM.run")]
#[doc(alias = "EM.run_block")]
pub fn run(setup: impl FnOnce(&mut Context<'_>) -> std::io::Result<()>) -> std::io::Result<()> {
    run_with((), setup)
}

/// As [`run()`], with a `state` that all handlers share.
///
/// # Errors
/// Those of `setup` and of [`Reactor::run`].
pub fn run_with<S>(
    state: S,
    setup: impl FnOnce(&mut Context<'_, S>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut reactor = Reactor::new(state)?;
    reactor.with(setup)?;
    reactor.run()
}
