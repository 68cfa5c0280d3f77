//! How midge's programs come to a broker: where it is, as whom, and by what way.
//!
//! ```text
//! flags, URL, NATS_URL ──▶ Server ──▶ Stream::open ──▶ greet ──▶ INFO, and a stream that is encrypted where it must be
//! ```
//!
//! * `flags.rs`: the flags that say it, the same for all programs.
//! * `server.rs`: what they say.
//! * `keys.rs`: files with keys.
//! * `tls.rs`: flags, certificates and authorities of TLS.
//! * `websocket.rs`: a client's side of WebSocket, bytes in and bytes out; `deflate.rs`: its compressed messages.
//! * `socket.rs`: a connection of the system, over TCP or at a Unix socket.
//! * `stream.rs`: a connection that waits, in clear or not; what a broker says first.
//!
//! Nothing here needs a reactor. A program that has one takes from here what TLS and WebSocket need, and moves the bytes
//! itself.

mod deflate;
mod flags;
mod keys;
mod server;
mod socket;
mod stream;
mod tls;
pub mod websocket;

pub use flags::BrokerFlags;
pub use server::{Server, WebSocket};
pub use socket::Address;
pub use stream::{Fault, Greeted, Stream, greet};
pub use tls::{CertificateFlags, Certificates, Encryption};
