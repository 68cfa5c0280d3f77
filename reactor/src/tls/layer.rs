//! `Layer`: one connection's TLS, between its queue and its socket. Bytes in, bytes out.
//!
//! ```text
//! queue (plaintext) ── seal ──▶ rustls ──▶ wire ──▶ socket      wire <= WIRE_BYTES_MAX + a record,
//!                                                               not counting what was in it at first
//! held, socket ── open ──▶ plaintext, for the handler
//! ```
//!
//! `wire` begins with what was queued before TLS: it leaves as it is. `held` is what had come before
//! TLS and was left unread: it is the beginning of the handshake.

use super::{Side, Tls, TlsError, TlsInfo};
use crate::TimerId;
use crate::input::Carry;
use crate::outbound::{Outbound, PIECES_MAX, Pool};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, HandshakeKind, InvalidMessage, ServerConnection};
use std::io::{self, BufRead, IoSlice, Write};
use std::sync::Arc;
use std::time::Duration;

/// No more is encrypted while so many bytes wait for the socket.
const WIRE_BYTES_MAX: usize = 256 * 1024;

/// Bytes encrypted at a time: whole records.
const SEAL_BYTES_MAX: usize = 32 * 1024;

/// What is to follow the last byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum After {
    /// More, perhaps.
    Nothing,
    /// The end of our direction.
    End,
    /// The end of the connection: a handshake that nothing waits for is given up.
    Close,
}

/// How the peer has ended its direction.
#[derive(Clone, Debug)]
pub(crate) enum End {
    CloseNotify,
    Error(TlsError),
}

#[derive(Debug)]
pub(crate) struct Layer {
    session: Connection,
    name: Option<String>,
    /// The handler's unread input is still to become `held`.
    pub(crate) fresh: bool,
    held: Vec<u8>,
    held_at: usize,
    wire: Outbound,
    /// What the handshake has settled, once it is over and the handler was told.
    pub(crate) info: Option<Arc<TlsInfo>>,
    /// The peer's end, until the handler has been told of it.
    pub(crate) end: Option<End>,
    heard: bool,
    failed: bool,
    sent_close: bool,
    pub(crate) timeout: Duration,
    /// Armed until the handshake is over.
    pub(crate) timer: Option<TimerId>,
}

impl Layer {
    /// Takes over from plaintext: what `queue` holds leaves as it is.
    pub(crate) fn new(tls: Tls, queue: &mut Outbound) -> Result<Layer, TlsError> {
        let (session, name) = match tls.side {
            Side::Server(config) => (Connection::Server(ServerConnection::new(config)?), None),
            Side::Client(config, name) => {
                let shown = match &name {
                    ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
                    _ => None,
                };
                let session = ClientConnection::new(config, name)?;
                (Connection::Client(session), shown)
            }
        };
        Ok(Layer {
            session,
            name,
            fresh: true,
            held: Vec::new(),
            held_at: 0,
            wire: std::mem::take(queue),
            info: None,
            end: None,
            heard: false,
            failed: false,
            sent_close: false,
            timeout: tls.timeout,
            timer: None,
        })
    }

    /// Whether input is still the handshake's, and nothing can be sent.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.info.is_none() && self.session.is_handshaking()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn wire(&self) -> &Outbound {
        &self.wire
    }

    pub(crate) fn wire_mut(&mut self) -> &mut Outbound {
        &mut self.wire
    }

    /// Takes what had come before TLS and was left unread.
    pub(crate) fn hold(&mut self, carry: &mut Carry) {
        if std::mem::take(&mut self.fresh) {
            self.held.extend_from_slice(carry.unread());
            carry.consume(carry.len());
        }
    }

    /// At most `len` bytes of what is held, which are no longer.
    pub(crate) fn take_held(&mut self, len: usize) -> Vec<u8> {
        let end = self.held.len().min(self.held_at + len);
        let taken = self.held[self.held_at..end].to_vec();
        self.held_at = end;
        if self.held_at == self.held.len() {
            self.held = Vec::new();
            self.held_at = 0;
        }
        taken
    }

    /// Whether something is to be delivered without a read.
    pub(crate) fn is_pending(&self) -> bool {
        self.has_held() || self.end.is_some()
    }

    pub(crate) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Bytes came from the peer: appends what they say to `plain`. How the peer ends is in `end`.
    pub(crate) fn open(&mut self, mut cipher: &[u8], plain: &mut Vec<u8>) {
        while !cipher.is_empty() && self.end.is_none() {
            let taken = self.session.read_tls(&mut cipher);
            let processed = match taken {
                Ok(0) => break,
                Ok(_) => self.session.process_new_packets().map_err(|error| {
                    let first = !std::mem::replace(&mut self.heard, true);
                    not_tls(error, first)
                }),
                // Its buffer is emptied each time, so only the peer can have filled it.
                Err(_) => Err(TlsError::Protocol(rustls::Error::General(
                    "a message is too large".to_owned(),
                ))),
            };
            drain(&mut self.session, plain);
            match processed {
                Ok(state) if state.peer_has_closed() => self.end = Some(End::CloseNotify),
                Ok(_) => {}
                Err(error) => {
                    self.failed = true;
                    self.end = Some(End::Error(error));
                }
            }
            self.heard |= !self.session.is_handshaking() || self.session.wants_write();
        }
    }

    /// The handshake is over and nobody knows yet: what it has settled.
    pub(crate) fn settle(&mut self) -> Option<Arc<TlsInfo>> {
        if self.info.is_some() || self.failed || self.session.is_handshaking() {
            return None;
        }
        let session = &self.session;
        let server_name = match session {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => self.name.take(),
        };
        let certificates = session.peer_certificates().unwrap_or_default();
        let info = Arc::new(TlsInfo {
            version: session.protocol_version()?,
            cipher_suite: session.negotiated_cipher_suite()?.suite(),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            server_name,
            peer_certificates: certificates
                .iter()
                .map(|certificate| certificate.clone().into_owned())
                .collect(),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        });
        self.info = Some(Arc::clone(&info));
        Some(info)
    }

    pub(crate) fn wants_write(&self) -> bool {
        self.session.wants_write()
    }

    /// Encrypts what `queue` holds, as far as `wire` has room, and what is to come after it.
    pub(crate) fn seal(&mut self, queue: &mut Outbound, pool: &mut Pool, after: After) {
        loop {
            while self.session.wants_write() {
                let mut sink = Sink(&mut self.wire, pool);
                if self.session.write_tls(&mut sink).is_err() {
                    break;
                }
            }
            if self.failed || self.sent_close || self.wire.len() >= WIRE_BYTES_MAX {
                return;
            }
            if !queue.is_empty() {
                if self.is_handshaking() {
                    return;
                }
                let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
                let count = queue.pieces(&mut pieces, SEAL_BYTES_MAX);
                let Ok(taken) = self.session.writer().write_vectored(&pieces[..count]) else {
                    return;
                };
                if taken == 0 {
                    return;
                }
                queue.advance(taken, pool);
            } else {
                match after {
                    After::Nothing => return,
                    After::End if self.is_handshaking() => return,
                    After::Close if self.is_handshaking() => self.sent_close = true,
                    After::End | After::Close => {
                        self.session.send_close_notify();
                        self.sent_close = true;
                    }
                }
            }
        }
    }

    /// Whether nothing of `queue` will be sent any more, or nothing is left, and `after` is done.
    pub(crate) fn is_flushed(&self, queue: &Outbound, after: After) -> bool {
        self.wire.is_empty()
            && (self.failed || (queue.is_empty() && (after == After::Nothing || self.sent_close)))
    }
}

/// Appends what rustls has decrypted.
fn drain(session: &mut Connection, plain: &mut Vec<u8>) {
    let mut reader = session.reader();
    while let Ok(chunk) = reader.fill_buf() {
        let len = chunk.len();
        if len == 0 {
            return;
        }
        plain.extend_from_slice(chunk);
        reader.consume(len);
    }
}

/// The first record of a peer that speaks something else has a type that is none.
fn not_tls(error: rustls::Error, first: bool) -> TlsError {
    match error {
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge,
        ) if first => TlsError::NotTls,
        error => TlsError::Protocol(error),
    }
}

/// The end of a queue, as rustls writes to it.
struct Sink<'a>(&'a mut Outbound, &'a mut Pool);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.make_room(bytes.len(), self.1);
        self.0.tail(bytes.len()).put(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        self.0.make_room(len, self.1);
        let mut tail = self.0.tail(len);
        for piece in pieces {
            tail.put(piece);
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
