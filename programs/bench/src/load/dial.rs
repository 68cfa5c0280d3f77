//! How the connections of a load come to the broker: in clear or by TLS, as WebSockets or not, and as whom.
//!
//! ```text
//!                     ┌─ the broker wants nothing signed ──────────────▶ CONNECT, and on
//! connect, [TLS], [WebSocket] ─┤
//!                     └─ it does, or TLS begins behind INFO ─▶ INFO ─▶ [TLS] ─▶ CONNECT, and on
//! ```
//!
//! Of what a role sends first, `CONNECT` is no part: it is sent here, together with that.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use midge_dial::{Address, Greeted, Server, websocket};
use midge_protocol::{Credentials, Info, ServerOp, ServerParser, ServerStep};
use midge_reactor::layer::{Arrived, Heard, Layer, Queue, Wire};
use midge_reactor::tls::rustls::client::Resumption;
use midge_reactor::tls::rustls::pki_types::ServerName;
use midge_reactor::tls::{Tls, TlsInfo};
use midge_reactor::{Close, ConnectOptions, Context, Eof, Handler, Input, Key};

use super::hello;
use super::shared::Event;
use super::thread::Shard;
use crate::check::{Fault, shown};

/// Connections from one address. The system has ports for seven times as many, and takes ever longer
/// to find one that is free.
const PORTS: usize = 4000;

/// Connections that this process has opened.
static OPENED: AtomicUsize = AtomicUsize::new(0);

/// The way to the broker, which all connections of a measurement take.
#[derive(Debug)]
pub(crate) struct Dial {
    addr: Address,
    server: Server,
    tls: Option<Tls>,
    /// Whether TLS comes before all else.
    is_tls_first: bool,
    /// Whether `CONNECT` has to wait for what the broker gives to sign.
    signs: bool,
    /// How long a handshake may take.
    patience: Duration,
}

impl Dial {
    /// To the broker that has said its first words. With `resumes`, sessions of TLS are taken up again.
    ///
    /// # Errors
    /// What is wrong with the files of certificates.
    pub(crate) fn new(
        server: &Server,
        greeted: &Greeted,
        addr: Address,
        resumes: bool,
        patience: Duration,
    ) -> Result<Dial, String> {
        let tls = greeted.stream.is_tls().then(|| {
            let mut config = (*server.certificates.config()?).clone();
            config.resumption = match resumes {
                // A broker may give one ticket a connection, and many connections come at a time.
                true => Resumption::in_memory_sessions(256),
                false => Resumption::disabled(),
            };
            let name = ServerName::try_from(server.host().to_owned());
            let name = name.map_err(|_| format!("{:?} is no name", server.host()))?;
            Ok::<Tls, String>(Tls::client(Arc::new(config), name).handshake_timeout(patience))
        });
        Ok(Dial {
            addr,
            tls: tls.transpose()?,
            is_tls_first: server.is_tls_first(),
            signs: server.credentials.seed.is_some(),
            server: server.clone(),
            patience,
        })
    }

    /// The same way, as another user.
    pub(crate) fn as_user(&self, credentials: &Credentials) -> Dial {
        let server = Server {
            credentials: credentials.clone(),
            ..self.server.clone()
        };
        Dial {
            addr: self.addr.clone(),
            tls: self.tls.clone(),
            signs: credentials.seed.is_some(),
            server,
            ..*self
        }
    }

    /// Whether `INFO` has to be heard before anything is said.
    fn hears_first(&self) -> bool {
        self.signs || (self.tls.is_some() && !self.is_tls_first)
    }

    /// `CONNECT {...}` CR LF.
    fn connect_line(&self, nonce: Option<&str>) -> String {
        let introduction = self
            .server
            .credentials
            .introduction("midge bench", true, nonce);
        format!("CONNECT {introduction}\r\n")
    }

    /// What comes before the first byte of the protocol.
    fn begin(&self, cx: &mut Context<'_, Shard>, key: Key) -> Result<(), Close> {
        if let Some(tls) = self.tls.as_ref().filter(|_| self.is_tls_first) {
            cx.io.start_tls(key, tls.clone()).map_err(Close::Tls)?;
        }
        if let Some(asked) = &self.server.websocket {
            let client = websocket::Client::new(self.server.authority(), asked);
            let client = client.map_err(|error| Close::Failed(error.into()))?;
            let framing = Framing {
                client,
                frame: Vec::new(),
            };
            let started = cx.io.start_layer(key, framing, self.patience);
            started.map_err(|error| Close::Failed(error.into()))?;
        }
        Ok(())
    }
}

/// Connects.
pub(crate) fn connect(
    cx: &mut Context<'_, Shard>,
    dial: &Arc<Dial>,
    handler: impl Handler<Shard> + 'static,
) -> Key {
    let dialed = Dialed {
        dial: Arc::clone(dial),
        is_waiting: false,
        inner: handler,
    };
    let key = match &dial.addr {
        Address::Unix(path) => cx.connect_unix(path, dialed),
        Address::Internet(addr) => cx.connect_with(*addr, &options(addr.ip()), dialed),
    };
    if let Err(why) = dial.begin(cx, key) {
        cx.io.fail(key, why.to_string());
    }
    key
}

/// From where one more connection goes to this address. On Linux all of 127.0.0.0/8 is this machine, so that there are
/// more of them than ports: ports of connections that have ended a short time ago are not in the way.
fn options(to: IpAddr) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    let part = OPENED.fetch_add(1, Ordering::Relaxed) / PORTS;
    if part > 0 && cfg!(target_os = "linux") && to == Ipv4Addr::LOCALHOST {
        // Not those that another process takes, as far as can be: each has some thousand.
        let place = (std::process::id() as usize * 251 + part) % ((1 << 23) - 1);
        let source = Ipv4Addr::from_bits(Ipv4Addr::new(127, 128, 0, 0).to_bits() | place as u32);
        options.local_addr = Some((source, 0).into());
    }
    options
}

/// A role, and what comes before it.
#[derive(Debug)]
struct Dialed<H> {
    dial: Arc<Dial>,
    /// `INFO` is to come before anything is said.
    is_waiting: bool,
    inner: H,
}

impl<H: Handler<Shard>> Dialed<H> {
    fn introduce(&mut self, cx: &mut Context<'_, Shard>, nonce: Option<&str>) {
        cx.send(self.dial.connect_line(nonce));
        self.inner.on_open(cx);
    }

    #[cold]
    fn hear_info(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        let data = input.peek();
        match ServerParser::default().next(data) {
            Ok(ServerStep::Partial { need }) => input.need(need),
            Ok(ServerStep::Op {
                op: ServerOp::Info { json },
                len,
            }) => {
                self.is_waiting = false;
                let info: Info = serde_json::from_slice(json).unwrap_or_default();
                cx.state.shared.report(Event::Info(json.to_vec()));
                input.consume(len);
                if let Some(tls) = self.dial.tls.as_ref().filter(|_| !self.dial.is_tls_first)
                    && let Err(error) = cx.start_tls(tls.clone())
                {
                    return cx.fail(error);
                }
                self.introduce(cx, info.nonce.as_deref());
            }
            _ => {
                let shown = shown(data);
                hello::fail(cx, Fault::Nonsense { shown });
            }
        }
    }
}

impl<H: Handler<Shard> + 'static> Handler<Shard> for Dialed<H> {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        self.is_waiting = self.dial.hears_first();
        if !self.is_waiting {
            self.introduce(cx, None);
        }
    }

    fn on_tls(&mut self, cx: &mut Context<'_, Shard>, info: &TlsInfo) {
        cx.state.shared.resumed.add(u64::from(info.resumed));
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        if self.is_waiting {
            return self.hear_info(cx, input);
        }
        self.inner.on_input(cx, input);
    }

    fn on_drain(&mut self, cx: &mut Context<'_, Shard>) {
        self.inner.on_drain(cx);
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Shard>, timer: u64) {
        self.inner.on_timer(cx, timer);
    }

    fn on_eof(&mut self, cx: &mut Context<'_, Shard>) -> Eof {
        self.inner.on_eof(cx)
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        self.inner.on_close(cx, why);
    }
}

/// A client's WebSocket, as a layer of the reactor.
#[derive(Debug)]
struct Framing {
    client: websocket::Client,
    /// A frame that is being made.
    frame: Vec<u8>,
}

impl Layer for Framing {
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        match self.client.open(wire.bytes(), plain) {
            Ok(true) => Ok(Heard::More),
            Ok(false) => Ok(Heard::End),
            Err(fault) => Err(Close::Failed(fault.into())),
        }
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        Ok(())
    }

    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        let len = queue.len().min(websocket::FRAME_BYTES);
        self.frame.clear();
        self.client.frame(len, queue.pieces(len), &mut self.frame);
        wire.put(&self.frame);
        len
    }

    fn write(&mut self, wire: &mut Wire<'_>) {
        if self.client.wants_write() {
            wire.put(&self.client.take_first());
        }
    }

    fn wants_write(&self) -> bool {
        self.client.wants_write()
    }

    fn is_handshaking(&self) -> bool {
        self.client.is_asking()
    }
}
