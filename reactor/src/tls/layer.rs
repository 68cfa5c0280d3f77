//! `TlsLayer`: one connection's TLS, by rustls.
//!
//! ```text
//! kept | wire ── records, opened in place ──▶ plain          kept: the beginning of a record, or of a handshake message
//! queue ── records, sealed into ──▶ wire                     answer: what rustls has to say of its own
//!
//! kept.capacity() <= KEPT_BYTES_MAX; past the handshake it is less than a record, but where a message of the handshake's
//! kind has begun
//! answer is empty when `write` has returned
//! ```
//!
//! rustls is used without buffers of its own: a connection at rest has its keys and nothing else.

use super::{Side, TlsError, TlsInfo, asked};
use crate::Close;
use crate::layer::{Arrived, Heard, Layer, Queue, Wire};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{CommonState, HandshakeKind, InvalidMessage};
use std::fmt;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Most bytes kept between two reads: the longest message of a handshake that rustls takes.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Most plaintext of one record.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// More than what a record is longer than its plaintext, in any version and suite.
const RECORD_OVERHEAD_BYTES: usize = 48;

/// Bytes sealed at a time: whole records.
const SEAL_BYTES_MAX: usize = 4 * RECORD_BYTES_MAX;

/// Pieces of a queue shorter than this go into one record together, by a copy. That costs less than a record.
const SMALL_PIECE_BYTES: usize = 1024;

pub(crate) struct TlsLayer {
    session: Session,
    /// The name that the client asks for, until the handshake is over.
    name: Option<String>,
    /// What the handshake has settled, once it is over.
    info: Option<Arc<TlsInfo>>,
    kept: Vec<u8>,
    answer: Vec<u8>,
    heard: bool,
    /// The peer speaks something else: an alert would be noise to it.
    is_mute: bool,
}

impl TlsLayer {
    pub(crate) fn new(side: Side) -> Result<TlsLayer, TlsError> {
        let (session, name) = match side {
            Side::Server(config) => {
                let server = UnbufferedServerConnection::new(config)?;
                (Session::Server(server), None)
            }
            Side::Client(config, name) => {
                let shown = match &name {
                    ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
                    _ => None,
                };
                let client = UnbufferedClientConnection::new(config, name)?;
                (Session::Client(client), shown)
            }
        };
        Ok(TlsLayer {
            session,
            name,
            info: None,
            kept: Vec::new(),
            answer: Vec::new(),
            heard: false,
            is_mute: false,
        })
    }

    pub(crate) fn info(&self) -> Option<&Arc<TlsInfo>> {
        self.info.as_ref()
    }

    /// What the handshake has settled, now that it is over.
    fn settled(&mut self) -> Option<Arc<TlsInfo>> {
        let server_name = self.name.take();
        let state = self.session.state();
        let certificates = state.peer_certificates().unwrap_or_default();
        Some(Arc::new(TlsInfo {
            version: state.protocol_version()?,
            cipher_suite: state.negotiated_cipher_suite()?.suite(),
            alpn: state.alpn_protocol().map(<[u8]>::to_vec),
            server_name,
            peer_certificates: certificates
                .iter()
                .map(|certificate| certificate.clone().into_owned())
                .collect(),
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
        }))
    }

    /// Opens what is whole of `bytes`. Answers how much of them is done with, and how that ended.
    fn opened(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> (usize, Result<Heard, Close>) {
        if self.info.is_some() {
            return self.records(bytes, plain);
        }
        // One that has failed may have left its name.
        asked::take();
        let opened = self.records(bytes, plain);
        if let Some(name) = asked::take() {
            self.name = Some(name);
        }
        if opened.1.is_ok() && !self.state().is_handshaking() {
            self.info = self.settled();
        }
        opened
    }

    fn records(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> (usize, Result<Heard, Close>) {
        let mut done = 0;
        loop {
            let wire = &mut bytes[done..];
            let (len, step) = self.session.step(wire, plain, &mut self.answer);
            done += len;
            let heard = match step {
                Ok(Step::Done) => {
                    self.heard |= !self.answer.is_empty() || !self.state().is_handshaking();
                    continue;
                }
                Ok(Step::Wait) => Ok(Heard::More),
                Ok(Step::End) => Ok(Heard::End),
                Err(error) => Err(self.failed(error)),
            };
            self.heard |= !self.state().is_handshaking();
            return (done, heard);
        }
    }

    /// What `error` means to the connection. The alert that tells the peer waits for `write`.
    fn failed(&mut self, error: rustls::Error) -> Close {
        let error = not_tls(error, !self.heard);
        self.is_mute |= error == TlsError::NotTls;
        Close::Tls(error)
    }

    fn state(&self) -> &CommonState {
        self.session.state()
    }
}

impl Layer for TlsLayer {
    fn open(&mut self, mut wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        let mut kept = std::mem::take(&mut self.kept);
        if let Some(bytes) = wire.behind(&kept) {
            let (done, heard) = self.opened(bytes, plain);
            if heard? == Heard::End {
                return Ok(Heard::End);
            }
            let rest = &bytes[done..];
            if !rest.is_empty() {
                kept.clear();
                append_exact(&mut kept, rest);
                self.kept = kept;
            }
        } else {
            append_exact(&mut kept, wire.bytes());
            let (done, heard) = self.opened(&mut kept, plain);
            if heard? == Heard::End {
                return Ok(Heard::End);
            }
            // What a long handshake has taken is given back behind it.
            self.kept = match done {
                0 => kept,
                _ => kept[done..].to_vec(),
            };
        }
        if self.kept.len() > KEPT_BYTES_MAX {
            self.kept = Vec::new();
            let error = "a message of the handshake is too large".to_owned();
            return Err(Close::Tls(TlsError::Protocol(rustls::Error::General(
                error,
            ))));
        }
        Ok(Heard::More)
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        Err(Close::Tls(match self.is_handshaking() {
            true => TlsError::EndInHandshake,
            false => TlsError::Truncated,
        }))
    }

    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        let bytes = &mut self.kept;
        let sealed = match &mut self.session {
            Session::Server(server) => with_traffic(server.process_tls_records(bytes), |traffic| {
                seal(traffic, queue, wire)
            }),
            Session::Client(client) => with_traffic(client.process_tls_records(bytes), |traffic| {
                seal(traffic, queue, wire)
            }),
        };
        sealed.unwrap_or(0)
    }

    fn write(&mut self, wire: &mut Wire<'_>) {
        if self.is_mute {
            return;
        }
        // As long as there is something, rustls looks at no byte of what is kept, which it may have refused.
        while self.state().wants_write() {
            let (plain, answer) = (&mut Vec::new(), &mut self.answer);
            let (_, step) = self.session.step(&mut self.kept, plain, answer);
            if step.is_err() {
                break;
            }
        }
        wire.put(&std::mem::take(&mut self.answer));
    }

    fn wants_write(&self) -> bool {
        !self.is_mute && (!self.answer.is_empty() || self.state().wants_write())
    }

    fn finish(&mut self, wire: &mut Wire<'_>) {
        let bytes = &mut self.kept;
        match &mut self.session {
            Session::Server(server) => with_traffic(server.process_tls_records(bytes), |traffic| {
                finish(traffic, wire);
            }),
            Session::Client(client) => with_traffic(client.process_tls_records(bytes), |traffic| {
                finish(traffic, wire);
            }),
        };
    }

    fn is_handshaking(&self) -> bool {
        self.info.is_none() && self.state().is_handshaking()
    }

    fn timed_out(&mut self) -> Close {
        Close::Tls(TlsError::HandshakeTimeout)
    }
}

/// Lengths only: what has come may be a secret.
impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match &self.session {
            Session::Server(_) => "server",
            Session::Client(_) => "client",
        };
        f.debug_struct("TlsLayer")
            .field("side", &side)
            .field("info", &self.info)
            .field("kept_bytes", &self.kept.len())
            .field("answer_bytes", &self.answer.len())
            .finish_non_exhaustive()
    }
}

/// rustls' side of the connection.
enum Session {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

impl Session {
    fn state(&self) -> &CommonState {
        match self {
            Session::Server(server) => server,
            Session::Client(client) => client,
        }
    }

    /// Does one thing of what `wire` asks for. Answers how many bytes of it are to be dropped.
    fn step(
        &mut self,
        wire: &mut [u8],
        plain: &mut Vec<u8>,
        answer: &mut Vec<u8>,
    ) -> (usize, Result<Step, rustls::Error>) {
        match self {
            Session::Server(server) => step(server.process_tls_records(wire), plain, answer),
            Session::Client(client) => step(client.process_tls_records(wire), plain, answer),
        }
    }
}

/// What rustls has done.
enum Step {
    /// Something, and there may be more.
    Done,
    /// All that could be: more is to come first.
    Wait,
    /// The peer has said that nothing more will come.
    End,
}

fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    plain: &mut Vec<u8>,
    answer: &mut Vec<u8>,
) -> (usize, Result<Step, rustls::Error>) {
    let mut discard = status.discard;
    let step = match status.state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Ok(Step::Done),
                Some(Err(error)) => break Err(error),
                Some(Ok(record)) => {
                    plain.extend_from_slice(record.payload);
                    discard += record.discard;
                }
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            let start = answer.len();
            // The first call asks for the length.
            let len = match data.encode(&mut []) {
                Err(EncodeError::InsufficientSize(size)) => size.required_size,
                _ => 0,
            };
            answer.resize(start + len, 0);
            let written = data.encode(&mut answer[start..]).unwrap_or(0);
            answer.truncate(start + written);
            Ok(Step::Done)
        }
        // `answer` is sent, whatever follows.
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Done)
        }
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Step::End),
        // Early data is refused in the handshake, so none comes.
        Ok(_) => Ok(Step::Wait),
        Err(error) => Err(error),
    };
    (discard, step)
}

/// Calls `work` if data can be sealed.
fn with_traffic<D, R>(
    status: UnbufferedStatus<'_, '_, D>,
    work: impl FnOnce(&mut WriteTraffic<'_, D>) -> R,
) -> Option<R> {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => Some(work(&mut traffic)),
        Ok(ConnectionState::TransmitTlsData(mut data)) => {
            let traffic = data.may_encrypt_app_data();
            let done = traffic.map(|mut traffic| work(&mut traffic));
            data.done();
            done
        }
        _ => None,
    }
}

/// Seals the first of `queue`: a long piece, or short ones together. Answers how much that was.
fn seal<D>(traffic: &mut WriteTraffic<'_, D>, queue: &Queue<'_>, wire: &mut Wire<'_>) -> usize {
    let Some(first) = queue.pieces(SEAL_BYTES_MAX).next() else {
        return 0;
    };
    if first.len() == queue.len() {
        return encrypt(traffic, first, wire);
    }
    if first.len() >= SMALL_PIECE_BYTES {
        // What is more than whole records goes with what is behind it.
        let whole = first.len() - first.len() % RECORD_BYTES_MAX;
        let len = if whole == 0 { first.len() } else { whole };
        return encrypt(traffic, &first[..len], wire);
    }
    let mut together = Vec::with_capacity(2 * SMALL_PIECE_BYTES);
    let pieces = queue.pieces(RECORD_BYTES_MAX);
    for piece in pieces.take_while(|piece| piece.len() < SMALL_PIECE_BYTES) {
        together.extend_from_slice(piece);
    }
    encrypt(traffic, &together, wire)
}

/// Appends `bytes` as records. Answers how many that were: all, or none where the keys are used up.
fn encrypt<D>(traffic: &mut WriteTraffic<'_, D>, bytes: &[u8], wire: &mut Wire<'_>) -> usize {
    let records = bytes.len().div_ceil(RECORD_BYTES_MAX);
    let room = bytes.len() + (1 + records) * RECORD_OVERHEAD_BYTES;
    match put(wire, room, |room| traffic.encrypt(bytes, room)) {
        Ok(()) => bytes.len(),
        Err(_) => 0,
    }
}

fn finish<D>(traffic: &mut WriteTraffic<'_, D>, wire: &mut Wire<'_>) {
    // Without room it would wait for the next `write`.
    let _ = put(wire, 2 * RECORD_OVERHEAD_BYTES, |room| {
        traffic.queue_close_notify(room)
    });
}

/// Appends what `write` writes into so much room, or into as much as it then asks for.
fn put(
    wire: &mut Wire<'_>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), EncryptError> {
    match wire.put_with(room, &mut write) {
        Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
            wire.put_with(required_size, write)
        }
        result => result,
    }
}

/// Appends without room for more: what peers in their handshakes have sent, and no more, is what they take. A vector that
/// grows by itself takes up to twice that.
fn append_exact(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.reserve_exact(bytes.len());
    kept.extend_from_slice(bytes);
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
