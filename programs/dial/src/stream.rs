//! A connection that waits, in clear or not, and what a broker says first.
//!
//! ```text
//! read:  socket ──▶ TLS, if there is any ──▶ WebSocket, if it is one ──▶ bytes of the protocol
//! ```

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use midge_protocol::{Info, ServerOp, ServerParser, ServerStep};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, ClientConnection};

use crate::server::Server;
use crate::socket::{Address, Socket, left};
use crate::tls::Encryption;
use crate::websocket::{Client, FRAME_BYTES};

/// Bytes asked of the kernel in one read.
const READ_BYTES: usize = 64 * 1024;

/// Why there is no connection.
#[derive(Debug)]
pub enum Fault {
    /// No peer is there, or its name has no address.
    Connect(io::Error),
    /// It was there and has gone, or has nothing to say in time.
    Io(io::Error),
    /// A file of certificates will not do, or TLS could not begin.
    Tls(String),
    /// It is not to become a WebSocket.
    WebSocket(String),
    /// It does not say what a broker says first, but this.
    Foreign(Vec<u8>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Connect(error) | Fault::Io(error) => {
                f.write_str(&midge_text::system_words(error))
            }
            Fault::Tls(text) => write!(f, "TLS: {text}"),
            Fault::WebSocket(text) => write!(f, "WebSocket: {text}"),
            Fault::Foreign(_) => f.write_str("the peer is not a NATS broker"),
        }
    }
}

impl std::error::Error for Fault {}

/// A broker that has said its first words.
#[derive(Debug)]
pub struct Greeted {
    /// The connection, encrypted if that was asked or is required.
    pub stream: Stream,
    /// What the broker says of itself.
    pub info: Info,
    /// What came behind that.
    pub rest: Vec<u8>,
}

/// Connects, and hears the broker's `INFO`; begins TLS behind it where that is asked or required. With an `end`, all of it
/// must be done by then.
///
/// # Errors
/// Why it could not be done. [`Fault::Io`] with [`ErrorKind::TimedOut`]: not in time.
pub fn greet(server: &Server, end: Option<Instant>) -> Result<Greeted, Fault> {
    let mut stream = Stream::open(server, end)?;
    let mut heard = Vec::new();
    let (info, len) = loop {
        if stream.read(&mut heard, end).map_err(Fault::Io)? == 0 {
            return match heard.is_empty() {
                true => Err(Fault::Io(ErrorKind::UnexpectedEof.into())),
                false => Err(Fault::Foreign(heard)),
            };
        }
        match ServerParser::default().next(&heard) {
            Ok(ServerStep::Partial { .. }) => {}
            Ok(ServerStep::Op {
                op: ServerOp::Info { json },
                len,
            }) => match serde_json::from_slice::<Info>(json) {
                Ok(info) => break (info, len),
                Err(_) => return Err(Fault::Foreign(heard)),
            },
            _ => return Err(Fault::Foreign(heard)),
        }
    };
    heard.drain(..len);
    if starts_tls(server, &info)? {
        if !heard.is_empty() {
            // Nothing that came in clear may be taken for what comes encrypted.
            return Err(Fault::Foreign(heard));
        }
        let config = server.certificates.config().map_err(Fault::Tls)?;
        stream.start_tls(server, config, end)?;
    }
    Ok(Greeted {
        stream,
        info,
        rest: heard,
    })
}

/// Whether TLS begins behind this `INFO`.
///
/// # Errors
/// It is asked for, and not to be had.
pub(crate) fn starts_tls(server: &Server, info: &Info) -> Result<bool, Fault> {
    if server.websocket.is_some() {
        return Ok(false);
    }
    match server.encryption {
        Encryption::First => Ok(false),
        Encryption::AsBroker => Ok(info.tls_required),
        Encryption::Required if info.tls_required || info.tls_available => Ok(true),
        Encryption::Required => Err(Fault::Tls("the broker has none to offer".to_owned())),
    }
}

/// A connection whose reads wait.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    websocket: Option<Client>,
    /// What came of a WebSocket, before it is opened.
    wire: Vec<u8>,
}

impl Stream {
    /// Connects, up to where a broker speaks: with TLS, if that comes first, and as a WebSocket, if it is to be one.
    ///
    /// # Errors
    /// Why it could not be done.
    pub fn open(server: &Server, end: Option<Instant>) -> Result<Stream, Fault> {
        let socket = Socket::connect(server, end).map_err(Fault::Connect)?;
        socket.set_nodelay().map_err(Fault::Io)?;
        let mut stream = Stream {
            socket,
            tls: None,
            websocket: None,
            wire: Vec::new(),
        };
        if server.is_tls_first() {
            let config = server.certificates.config().map_err(Fault::Tls)?;
            stream.start_tls(server, config, end)?;
        }
        if let Some(websocket) = &server.websocket {
            let client = Client::new(server.authority(), websocket);
            let client = client.map_err(|error| Fault::Io(error.into()))?;
            stream.upgrade(client, end)?;
        }
        Ok(stream)
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// What the system says.
    pub fn peer(&self) -> io::Result<Address> {
        self.socket.peer()
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The handshake of TLS.
    ///
    /// # Errors
    /// Why it has failed.
    pub fn start_tls(
        &mut self,
        server: &Server,
        config: Arc<ClientConfig>,
        end: Option<Instant>,
    ) -> Result<(), Fault> {
        let failed = |error: rustls::Error| Fault::Tls(words(&error));
        let name = ServerName::try_from(server.host().to_owned());
        let name = name.map_err(|_| Fault::Tls(format!("{:?} is no name", server.host())))?;
        let mut session = ClientConnection::new(config, name).map_err(failed)?;
        while session.is_handshaking() {
            flush(&mut session, &mut self.socket).map_err(Fault::Io)?;
            match receive(&mut session, &mut self.socket, end) {
                Ok(0) => {
                    let text = "the broker has ended the handshake; does it speak TLS here?";
                    return Err(Fault::Tls(text.to_owned()));
                }
                Ok(_) => {}
                Err(error) => {
                    // The reason is for the broker as well.
                    let _ = flush(&mut session, &mut self.socket);
                    return Err(
                        match error
                            .get_ref()
                            .and_then(|inner| inner.downcast_ref::<Unwanted>())
                        {
                            Some(unwanted) => Fault::Tls(unwanted.to_string()),
                            None => Fault::Io(error),
                        },
                    );
                }
            }
        }
        flush(&mut session, &mut self.socket).map_err(Fault::Io)?;
        self.tls = Some(Box::new(session));
        Ok(())
    }

    fn upgrade(&mut self, mut client: Client, end: Option<Instant>) -> Result<(), Fault> {
        self.put(&client.take_first()).map_err(Fault::Io)?;
        let mut plain = Vec::new();
        while client.is_asking() {
            let mut wire = std::mem::take(&mut self.wire);
            wire.clear();
            let read = self.get(&mut wire, end).map_err(Fault::Io)?;
            let opened = client.open(&wire, &mut plain);
            self.wire = wire;
            if let Err(fault) = opened {
                return Err(Fault::WebSocket(fault.to_string()));
            }
            if read == 0 {
                let text = "the broker has ended the connection; is this the port of WebSocket?";
                return Err(Fault::WebSocket(text.to_owned()));
            }
        }
        // What came behind the answer is read next.
        self.wire = plain;
        self.websocket = Some(client);
        Ok(())
    }

    /// Waits for bytes, and appends them to `into`; answers how many, which is 0 at the end.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] past `end`, and what the system says. What TLS or WebSocket have to say against what came
    /// is [`ErrorKind::InvalidData`].
    pub fn read(&mut self, into: &mut Vec<u8>, end: Option<Instant>) -> io::Result<usize> {
        let Some(mut client) = self.websocket.take() else {
            return self.get(into, end);
        };
        let read = self.read_frames(&mut client, into, end);
        self.websocket = Some(client);
        read
    }

    fn read_frames(
        &mut self,
        client: &mut Client,
        into: &mut Vec<u8>,
        end: Option<Instant>,
    ) -> io::Result<usize> {
        let before = into.len();
        // That of the answer to the request, the first time.
        into.append(&mut self.wire);
        while into.len() == before {
            let mut wire = std::mem::take(&mut self.wire);
            let read = self.get(&mut wire, end)?;
            let opened = client.open(&wire, into);
            wire.clear();
            self.wire = wire;
            let goes_on = opened.map_err(|fault| io::Error::new(ErrorKind::InvalidData, fault))?;
            if client.wants_write() {
                self.put(&client.take_first())?;
            }
            if read == 0 || !goes_on {
                break;
            }
        }
        Ok(into.len() - before)
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(client) = &self.websocket else {
            return self.put(bytes);
        };
        let mut wire = Vec::with_capacity(bytes.len() + 64);
        for piece in bytes.chunks(FRAME_BYTES) {
            client.frame(piece.len(), std::iter::once(piece), &mut wire);
        }
        self.put(&wire)
    }

    /// Below WebSocket.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(session) = &mut self.tls else {
            return self.socket.write_all(bytes);
        };
        let mut left = bytes;
        while !left.is_empty() {
            let taken = session.writer().write(left)?;
            left = &left[taken..];
            flush(session, &mut self.socket)?;
        }
        Ok(())
    }

    /// Below WebSocket.
    fn get(&mut self, into: &mut Vec<u8>, end: Option<Instant>) -> io::Result<usize> {
        let Some(session) = &mut self.tls else {
            return receive_plain(&mut self.socket, into, end);
        };
        loop {
            let read = drain(session, into);
            if read > 0 {
                return Ok(read);
            }
            if receive(session, &mut self.socket, end)? == 0 {
                return Ok(0);
            }
            flush(session, &mut self.socket)?;
        }
    }
}

/// What rustls has against what came. With TLS 1.3 the broker tells behind the handshake that it takes no such client.
#[derive(Debug)]
struct Unwanted(rustls::Error);

impl fmt::Display for Unwanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words(&self.0))
    }
}

impl std::error::Error for Unwanted {}

/// What rustls says, and what to do about it.
fn words(error: &rustls::Error) -> String {
    let hint = match error {
        rustls::Error::InvalidCertificate(_) => {
            "; --tlsca names the authorities that vouch for the broker, --tlsinsecure accepts any certificate"
        }
        rustls::Error::InvalidMessage(_) => "; does the broker speak TLS here?",
        // The second is what brokers say that are written in Go, before TLS 1.3.
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate,
        ) => "; the broker wants a certificate: give --tlscert and --tlskey",
        _ => "",
    };
    format!("{error}{hint}")
}

fn flush(session: &mut ClientConnection, socket: &mut Socket) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(socket)?;
    }
    Ok(())
}

/// One read for TLS; 0 at the end.
fn receive(
    session: &mut ClientConnection,
    socket: &mut Socket,
    end: Option<Instant>,
) -> io::Result<usize> {
    let read = in_time(socket, end, |socket| session.read_tls(socket))?;
    let processed = session.process_new_packets();
    processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, Unwanted(error)))?;
    Ok(read)
}

/// Appends what was decrypted.
fn drain(session: &mut ClientConnection, into: &mut Vec<u8>) -> usize {
    let (mut reader, before) = (session.reader(), into.len());
    while let Ok(chunk) = reader.fill_buf() {
        let len = chunk.len();
        if len == 0 {
            break;
        }
        into.extend_from_slice(chunk);
        reader.consume(len);
    }
    into.len() - before
}

fn receive_plain(
    socket: &mut Socket,
    into: &mut Vec<u8>,
    end: Option<Instant>,
) -> io::Result<usize> {
    let filled = into.len();
    into.resize(filled + READ_BYTES, 0);
    let read = in_time(socket, end, |socket| socket.read(&mut into[filled..]));
    into.truncate(filled + read.as_ref().map_or(0, |len| *len));
    read
}

/// A read that is over by `end`, or fails.
fn in_time(
    socket: &mut Socket,
    end: Option<Instant>,
    mut read: impl FnMut(&mut Socket) -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        socket.set_read_timeout(left(end)?)?;
        match read(socket) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // It is over, or was cut short: the next look tells.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}
