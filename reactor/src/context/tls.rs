//! TLS, as a handler asks for it.

use super::Context;
use crate::handler::{Accept, Handler};
use crate::io::Io;
use crate::tls::layer::TlsLayer;
use crate::tls::rustls::pki_types::ServerName;
use crate::tls::rustls::{ClientConfig, ServerConfig};
use crate::tls::{Tls, TlsError, TlsInfo};
use crate::{Close, Endpoint, Key, ListenOptions, ListenerAddr};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

impl Io<'_> {
    /// Begins TLS on a connection that is open or connecting, at any point of its conversation.
    ///
    /// What was queued before leaves as it is, what is queued from now on leaves encrypted behind
    /// it, once the handshake is over. What has come and is left unread by the present `on_input`
    /// is the beginning of the handshake.
    ///
    /// A connection with TLS cannot be [detached](Io::detach). It can be relayed, from and to: its
    /// plaintext is.
    ///
    /// # Errors
    /// [`TlsError::NotOpen`], also for two pipes; [`TlsError::AlreadyStarted`]; or what rustls finds wrong with the
    /// configuration; the connection is as it was.
    pub fn start_tls(&mut self, key: Key, tls: Tls) -> Result<(), TlsError> {
        if self.is_tls(key) {
            return Err(TlsError::AlreadyStarted);
        }
        let layer = TlsLayer::new(tls.side)?;
        self.start_layer(key, layer, tls.timeout)?;
        Ok(())
    }

    /// What the connection's handshake has settled; `None` before it is over, or without TLS.
    #[must_use]
    pub fn tls(&self, key: Key) -> Option<&TlsInfo> {
        self.layer::<TlsLayer>(key)?.info().map(|info| &**info)
    }

    /// As [`tls`](Io::tls), to keep.
    pub(crate) fn tls_settled(&self, key: Key) -> Option<Arc<TlsInfo>> {
        self.layer::<TlsLayer>(key)?.info().map(Arc::clone)
    }

    /// Whether TLS was started on the connection.
    #[must_use]
    pub fn is_tls(&self, key: Key) -> bool {
        self.layer::<TlsLayer>(key).is_some()
    }
}

impl<S> Context<'_, S> {
    /// Begins TLS on this connection: see [`Io::start_tls`].
    ///
    /// # Errors
    /// As [`Io::start_tls`].
    pub fn start_tls(&mut self, tls: Tls) -> Result<(), TlsError> {
        self.io.start_tls(self.key, tls)
    }

    /// What this connection's handshake has settled; `None` before it is over, or without TLS.
    #[doc(alias = "get_peer_cert")]
    #[doc(alias = "get_sni_hostname")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.io.tls(self.key)
    }

    /// As [`listen`](Context::listen), with TLS from the first byte of each connection.
    ///
    /// # Errors
    /// As [`listen`](Context::listen).
    pub fn listen_tls<H: Handler<S> + 'static>(
        &mut self,
        addr: impl Endpoint,
        config: Arc<ServerConfig>,
        accept: impl FnMut(&mut Context<'_, S>) -> H + 'static,
    ) -> io::Result<Key>
    where
        S: 'static,
    {
        self.listen_tls_with(addr, &ListenOptions::default(), Tls::server(config), accept)
    }

    /// As [`listen_with`](Context::listen_with), with TLS from the first byte of each connection.
    ///
    /// # Errors
    /// As [`listen_with`](Context::listen_with).
    pub fn listen_tls_with(
        &mut self,
        addr: impl Endpoint,
        options: &ListenOptions,
        tls: Tls,
        accept: impl Accept<S> + 'static,
    ) -> io::Result<Key>
    where
        S: 'static,
    {
        self.listen_with(addr, options, AcceptTls { tls, accept })
    }

    /// As [`connect`](Context::connect), with TLS from the first byte.
    pub fn connect_tls(
        &mut self,
        addr: SocketAddr,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        handler: impl Handler<S> + 'static,
    ) -> Key {
        let key = self.connect(addr, handler);
        start(&mut self.io, key, Tls::client(config, name));
        key
    }
}

/// Starts TLS on each connection before its handler is told of it.
struct AcceptTls<A> {
    tls: Tls,
    accept: A,
}

impl<S, A: Accept<S>> Accept<S> for AcceptTls<A> {
    fn accept(&mut self, cx: &mut Context<'_, S>) -> Box<dyn Handler<S>> {
        // Before the acceptor: what it sends is to be encrypted too.
        start(&mut cx.io, cx.key, self.tls.clone());
        self.accept.accept(cx)
    }

    fn on_error(&mut self, cx: &mut Context<'_, S>, listener: &ListenerAddr, error: &io::Error) {
        self.accept.on_error(cx, listener, error);
    }
}

/// Starts TLS on a new connection, or closes it for the reason why not.
fn start(io: &mut Io<'_>, key: Key, tls: Tls) {
    if let Err(error) = io.start_tls(key, tls) {
        io.core.close(key, Close::Tls(error));
    }
}
