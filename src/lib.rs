//! midge: a NATS message broker in one thread.
//!
//! ```text
//!            bytes              ops                 matches            bytes
//! socket ──▶ Client ── Parser ──▶ Session ── Sublist ──▶ delivery ──▶ queues ──▶ sockets
//!            client/  (protocol)   client/    core/       core/        (reactor)
//! ```
//!
//! The reactor reads a socket and calls [its handler](midge_reactor::Handler), which cuts the bytes
//! into ops and has them carried out; deliveries are appended to the receivers' queues, and the
//! reactor writes each queue once per turn. All of it happens in one thread, on state that is lent
//! as `&mut`, with no lock on the way of a message.
//!
//! # A broker inside another program
//!
//! ```
//! let config = midge::Config { host: "127.0.0.1".into(), port: 0, ..midge::Config::default() };
//! let broker = midge::Broker::spawn(config)?;
//! println!("clients may connect to nats://{}", broker.addr());
//! broker.shutdown()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! That one has a thread of its own. [`Broker::listen`] puts a broker into a reactor that you run.
//!
//! Signals are the program's. The command has a handler for SIGXFSZ, so that a write past the limit on a
//! file's size (`ulimit -f`) fails and does not end the process; a program that writes a log, or has a pid
//! file or a ports file written, under such a limit needs one too.

pub use config::{
    Account, AccountLimits, AccountToken, AddressLimits, Advertise, Auth, AuthCallout, Cache,
    Config, ConnectionType, Deletes, Directory, Exceeded, Export, ExportKind, Grant, Import,
    ImportKind, InvalidExport, InvalidImport, InvalidSubject, Latency, Limits, Listener, Monitor,
    Network, OperatorToken, Operators, Permission, Permissions, Preload, Proof, ProxyProtocol,
    Resolver, Response, Responses, Sampling, Secret, Service, Subscriptions, TokenFault, UnixGroup,
    UnixSocket, User, Users, WebSocket,
};
#[doc(hidden)]
pub use core::interest::Mirror;
pub use core::receiver::Traffic;
pub use core::sublist;
pub use mapping::{Destination, InvalidMapping, Mapping};
pub use midge_protocol::Subjects;
pub use midge_text::system_words;
pub use records::{Stats, TlsHandshakes};
pub use server::{Broker, Checked, Handle, Running, StartError};
pub use state::{State, Stop};
pub use tls::{CertFiles, HandshakeFirst, Loaded, Tls, TlsVersion};

#[cfg(feature = "command")]
pub mod cli;
pub mod config;

mod auth;
mod client;
mod core;
mod door;
mod http;
#[doc(hidden)]
pub mod jwt;
mod limits;
mod link;
mod mapping;
mod monitor;
mod records;
mod server;
mod state;
mod tls;
mod websocket;

/// The release of nats-server whose behaviour clients may rely on; `INFO` announces it. Client libraries decide
/// by it what they may use, so it is one whose client protocol midge speaks: a promise about the wire, and not
/// about features.
pub const ANNOUNCED_VERSION: &str = "2.10.29";
