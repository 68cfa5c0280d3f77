//! TLS on any connection, by rustls: from the start, or from the middle of a conversation.
//!
//! Needs the feature `tls`. A TLS echo:
//!
//! ```no_run
//! use midge_reactor::{run, tls, Context, Handler, Input};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
//!         cx.send(input.take());
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let identity = tls::Identity::from_files("cert.pem", "key.pem")?;
//!     let config = tls::server_config(identity, &tls::ClientCerts::None)?;
//!     run(|cx| {
//!         cx.listen_tls("127.0.0.1:8443", config, |_: &mut Context<'_>| Echo).map(drop)
//!     })?;
//!     Ok(())
//! }
//! ```
//!
//! # Where it sits
//!
//! It is a [layer](crate::layer): between the queue and the driver, without I/O of its own, the same
//! over any driver. What is sent in one turn is encrypted together when it is flushed, so that many
//! small sends are one record, and no more of it is encrypted ahead than the socket will soon take.
//! Marks, bounds, [`pause`](crate::Io::pause), timeouts and the ways to close mean what they mean
//! without it.
//!
//! # What it takes
//!
//! Records are opened in the buffer that the loop reads into, and sealed into what waits for the socket. Between two
//! reads a connection keeps the beginning of a record, which is 18 KiB at most, or of a message of the handshake,
//! which is 64 KiB at most, and else nothing: one at rest has its keys. What the peer asks for of itself, such as
//! other keys, has at most one answer that waits.
//!
//! # What is different
//!
//! * [`on_open`](crate::Handler::on_open) still means that the connection is there. What is sent
//!   before the handshake is over is held, and leaves encrypted after it.
//! * [`on_tls`](crate::Handler::on_tls) comes once, when the handshake is over and before the first
//!   decrypted byte.
//! * The handshake is read even while the connection is paused; what is decrypted waits.
//! * The peer's `close_notify` is what [`on_eof`](crate::Handler::on_eof) tells. A connection that
//!   ends without it may have been cut by anyone on the way: it closes with
//!   [`TlsError::Truncated`] and without `on_eof`.
//! * [`close_after_write`](crate::Io::close_after_write) and
//!   [`shutdown_write`](crate::Io::shutdown_write) send `close_notify` behind the last byte;
//!   [`close`](crate::Io::close) does not, as it sends nothing at all.
//! * [`queued`](crate::Io::queued) counts bytes that are encrypted and not yet taken at their
//!   encrypted length.
//!
//! # In simulation
//!
//! Keys and nonces come from the system, so the bytes on the wire, and with them the hash of a
//! run, differ between two runs of one seed. How many bytes move, and when, does not, with keys whose
//! signatures have one length (Ed25519) and with sessions that are not resumed from an earlier run.
//! Certificates are checked against the system's date, unless the configuration is given another
//! `TimeProvider`.

pub use pem::{Identity, KeyError, roots};
pub use verify::{
    ClientCerts, VerifyClient, VerifyServer, client_config, server_config, server_config_with,
};

pub use rustls;

mod asked;
mod pem;
mod verify;

pub(crate) mod layer;

use crate::layer::LayerError;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CipherSuite, ClientConfig, ProtocolVersion, ServerConfig};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a handshake may take, unless [`Tls::handshake_timeout`] says otherwise.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Which side of a handshake this is, and by what rules.
#[derive(Clone, Debug)]
pub struct Tls {
    pub(crate) side: Side,
    pub(crate) timeout: Duration,
}

#[derive(Clone, Debug)]
pub(crate) enum Side {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>, ServerName<'static>),
}

impl Tls {
    /// The side that shows a certificate. Certificates by name, protocols (ALPN) and versions are
    /// the configuration's, of which a copy is made if others have it too: it is cheaper to clone what this answers than
    /// to call it for each connection.
    #[must_use]
    pub fn server(config: Arc<ServerConfig>) -> Tls {
        Tls {
            side: Side::Server(asked::overheard(config)),
            timeout: HANDSHAKE_TIMEOUT,
        }
    }

    /// The side that speaks first. `name` is who the peer must be; it is sent along (SNI) if it is
    /// not an address.
    #[must_use]
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Tls {
        Tls {
            side: Side::Client(config, name),
            timeout: HANDSHAKE_TIMEOUT,
        }
    }

    /// How long the handshake may take: from now, or from the opening of a connection that is still
    /// connecting. Default [`HANDSHAKE_TIMEOUT`].
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Tls {
        self.timeout = timeout;
        self
    }
}

/// What a handshake has settled.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of the protocol.
    #[doc(alias = "get_cipher_protocol")]
    pub version: ProtocolVersion,
    /// The cipher suite.
    #[doc(alias = "get_cipher_name")]
    #[doc(alias = "get_cipher_bits")]
    pub cipher_suite: CipherSuite,
    /// The protocol both chose by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// The name the client asked for.
    #[doc(alias = "get_sni_hostname")]
    pub server_name: Option<String>,
    /// The peer's certificate and those that vouch for it, in DER; empty if it showed none.
    #[doc(alias = "get_peer_cert")]
    pub peer_certificates: Vec<CertificateDer<'static>>,
    /// Whether an earlier session was taken up again.
    pub resumed: bool,
}

/// Why TLS could not begin, or could not go on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TlsError {
    /// A rule of the protocol was broken, a certificate refused, or an alert came: by whom is in the
    /// error. The peer was sent an alert where one is due.
    Protocol(rustls::Error),
    /// The first bytes of the peer are not TLS: it most likely speaks plaintext, and is sent no alert, which it would
    /// not know.
    NotTls,
    /// The peer ended the connection before the handshake was over.
    EndInHandshake,
    /// The handshake was not over in time.
    HandshakeTimeout,
    /// The connection ended without `close_notify`: an attacker on the way may have cut off the last
    /// bytes. What came before was delivered.
    Truncated,
    /// TLS, or another layer, was started on this connection before.
    AlreadyStarted,
    /// The connection has gone, is closing, or one of its directions has ended.
    NotOpen,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Protocol(error) => write!(f, "{error}"),
            TlsError::NotTls => f.write_str("the peer does not speak TLS"),
            TlsError::EndInHandshake => f.write_str("the peer ended the handshake"),
            TlsError::HandshakeTimeout => f.write_str("the handshake timed out"),
            TlsError::Truncated => f.write_str("the peer ended without close_notify"),
            TlsError::AlreadyStarted => f.write_str("it was started before"),
            TlsError::NotOpen => f.write_str("the connection is not open"),
        }
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TlsError::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl From<LayerError> for TlsError {
    fn from(error: LayerError) -> TlsError {
        match error {
            LayerError::AlreadyStarted => TlsError::AlreadyStarted,
            LayerError::NotOpen => TlsError::NotOpen,
        }
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> TlsError {
        TlsError::Protocol(error)
    }
}
