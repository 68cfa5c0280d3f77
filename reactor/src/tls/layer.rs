//! `TlsLayer`: one connection's TLS, by rustls.

use super::{Side, TlsError, TlsInfo};
use crate::Close;
use crate::layer::{Heard, Layer, Queue, Wire};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, HandshakeKind, InvalidMessage, ServerConnection};
use std::io::{BufRead, IoSlice, Write};
use std::sync::Arc;

/// Bytes encrypted at a time: whole records.
const SEAL_BYTES_MAX: usize = 32 * 1024;

/// Most pieces of a queue encrypted at a time.
const PIECES_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct TlsLayer {
    session: Connection,
    name: Option<String>,
    /// What the handshake has settled, once it is over.
    info: Option<Arc<TlsInfo>>,
    heard: bool,
    /// The peer speaks something else: an alert would be noise to it.
    is_mute: bool,
}

impl TlsLayer {
    pub(crate) fn new(side: Side) -> Result<TlsLayer, TlsError> {
        let (session, name) = match side {
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
        Ok(TlsLayer {
            session,
            name,
            info: None,
            heard: false,
            is_mute: false,
        })
    }

    pub(crate) fn info(&self) -> Option<&Arc<TlsInfo>> {
        self.info.as_ref()
    }

    /// What the handshake has settled, now that it is over.
    fn settled(&mut self) -> Option<Arc<TlsInfo>> {
        let session = &self.session;
        let server_name = match session {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => self.name.take(),
        };
        let certificates = session.peer_certificates().unwrap_or_default();
        Some(Arc::new(TlsInfo {
            version: session.protocol_version()?,
            cipher_suite: session.negotiated_cipher_suite()?.suite(),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            server_name,
            peer_certificates: certificates
                .iter()
                .map(|certificate| certificate.clone().into_owned())
                .collect(),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        }))
    }
}

impl Layer for TlsLayer {
    fn open(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<Heard, Close> {
        let mut heard = Heard::More;
        while !wire.is_empty() && heard == Heard::More {
            let taken = self.session.read_tls(&mut wire);
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
            self.is_mute |= matches!(processed, Err(TlsError::NotTls));
            drain(&mut self.session, plain);
            if processed.map_err(Close::Tls)?.peer_has_closed() {
                heard = Heard::End;
            }
            self.heard |= !self.session.is_handshaking() || self.session.wants_write();
        }
        if self.info.is_none() && !self.session.is_handshaking() {
            self.info = self.settled();
        }
        Ok(heard)
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        Err(Close::Tls(match self.is_handshaking() {
            true => TlsError::EndInHandshake,
            false => TlsError::Truncated,
        }))
    }

    fn seal(&mut self, queue: &mut Queue<'_>, _: &mut Wire<'_>) -> usize {
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        for (slot, piece) in pieces.iter_mut().zip(queue.pieces(SEAL_BYTES_MAX)) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        let taken = self.session.writer().write_vectored(&pieces[..count]);
        taken.unwrap_or(0)
    }

    fn write(&mut self, wire: &mut Wire<'_>) {
        while self.wants_write() {
            if self.session.write_tls(wire).is_err() {
                return;
            }
        }
    }

    fn wants_write(&self) -> bool {
        self.session.wants_write() && !self.is_mute
    }

    fn finish(&mut self, _: &mut Wire<'_>) {
        self.session.send_close_notify();
    }

    fn is_handshaking(&self) -> bool {
        self.info.is_none() && self.session.is_handshaking()
    }

    fn timed_out(&mut self) -> Close {
        Close::Tls(TlsError::HandshakeTimeout)
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
