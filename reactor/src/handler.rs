//! `Handler`: all that an embedder implements.

use crate::{Context, Input, ListenerAddr, ProxyEnd, StreamEnd};
use std::any::{Any, TypeId};
use std::error::Error;
use std::fmt;
use std::io;

/// One connection's side of a conversation. The reactor calls; you answer by recording intent.
///
/// The reactor owns its handlers and calls one at a time from one thread, never from inside
/// another. `S` is the state they share, lent for each call as [`Context::state`], so it needs
/// neither lock nor `RefCell`.
///
/// # Contract
///
/// * The order of calls is
///   `on_open? (on_input | on_drain | on_timer)* on_eof? (on_drain | on_timer)* on_close`,
///   with `on_proxy` and `on_stream` wherever what they end was begun.
///   `on_open` is left out for a connect that fails; `on_close` comes exactly once and last.
/// * What you leave unread in `input` is kept and comes again with the new bytes behind it.
/// * `send`, `close` and the rest return at once; the loop does the system calls after you return.
///   All output of one turn leaves together.
/// * After `close` or `pause` no further input comes, not even in the same turn.
/// * Never block: every other connection waits while you run.
/// * `cx.now()` is the instant this turn began. Do not read the clock.
#[doc(alias = "Connection")]
pub trait Handler<S = ()>: AsAny {
    /// The connection is usable: accepted, and not closed in [`Accept::accept`], or a connect has
    /// succeeded.
    #[doc(alias = "post_init")]
    #[doc(alias = "connection_completed")]
    fn on_open(&mut self, cx: &mut Context<'_, S>) {
        let _ = cx;
    }

    /// The handshake of this connection's [layer](crate::layer) is over. Comes once, before the first
    /// opened bytes; not for a layer without a handshake. By default this is where
    /// `on_tls` is called, with the feature `tls`.
    fn on_handshake(&mut self, cx: &mut Context<'_, S>) {
        #[cfg(feature = "tls")]
        if let Some(info) = cx.io.tls_settled(cx.key()) {
            self.on_tls(cx, &info);
        }
        let _ = cx;
    }

    /// The TLS handshake is over; `info` is what it has settled, and stays to be had from
    /// [`Context::tls`]. Comes once, before the first decrypted bytes.
    #[cfg(feature = "tls")]
    #[doc(alias = "ssl_handshake_completed")]
    fn on_tls(&mut self, cx: &mut Context<'_, S>, info: &crate::tls::TlsInfo) {
        let _ = (cx, info);
    }

    /// Bytes have come. They may be cut anywhere. What you leave is kept up to a bound:
    /// [`Io::input_max`](crate::Io::input_max).
    #[doc(alias = "receive_data")]
    fn on_input(&mut self, cx: &mut Context<'_, S>, input: &mut Input<'_>);

    /// The queue had reached the high mark and is down to the low one
    /// (see [`Io::watermarks`](crate::Io::watermarks)).
    fn on_drain(&mut self, cx: &mut Context<'_, S>) {
        let _ = cx;
    }

    /// The relay of this connection's input, begun with [`Io::proxy`](crate::Io::proxy), has ended by
    /// itself. Further input comes to [`on_input`](Handler::on_input) again.
    #[doc(alias = "proxy_completed")]
    #[doc(alias = "proxy_target_unbound")]
    fn on_proxy(&mut self, cx: &mut Context<'_, S>, end: ProxyEnd) {
        let _ = (cx, end);
    }

    /// The reader given to [`Io::stream`](crate::Io::stream) has come to its end, or failed; what it
    /// gave is queued, if it has not left yet.
    fn on_stream(&mut self, cx: &mut Context<'_, S>, end: StreamEnd) {
        let _ = (cx, end);
    }

    /// A timer set with [`Context::set_timer`], [`Context::set_deadline`] or
    /// [`Context::set_interval`] is due; `timer` is the number given there. What had come for this
    /// connection has been given to it.
    fn on_timer(&mut self, cx: &mut Context<'_, S>, timer: u64) {
        let _ = (cx, timer);
    }

    /// The peer will send nothing more; it may still be reading. [`Context::unread`] is what was left
    /// of its last message. By default, what is queued is sent and the connection closed: so a handler that
    /// forgets the case leaks nothing.
    fn on_eof(&mut self, cx: &mut Context<'_, S>) -> Eof {
        let _ = cx;
        Eof::Close
    }

    /// The connection is gone. [`Context::queued`] still tells how many bytes were queued and not
    /// sent; sending does nothing. The handler is dropped after this call.
    #[doc(alias = "unbind")]
    fn on_close(&mut self, cx: &mut Context<'_, S>, why: &Close) {
        let _ = (cx, why);
    }
}

/// What to do when the peer has ended its direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Eof {
    /// Send what is queued, then close.
    Close,
    /// Stay open for writing, until [`Context::close`], [`Context::close_after_write`] or
    /// [`Io::shutdown_write`](crate::Io::shutdown_write).
    KeepOpen,
}

/// Makes handlers for the connections that a listener accepts.
///
/// Every closure `FnMut(&mut Context<S>) -> impl Handler<S>` is one. While it runs,
/// [`Context::key`] and [`Context::peer_addr`] are those of the new connection.
pub trait Accept<S = ()> {
    /// A connection was accepted: who handles it?
    fn accept(&mut self, cx: &mut Context<'_, S>) -> Box<dyn Handler<S>>;

    /// Accepting failed, most often for want of file descriptors. The reactor tries again a little
    /// later; meanwhile connections wait in the kernel's backlog. Logs a warning by default.
    fn on_error(&mut self, cx: &mut Context<'_, S>, listener: &ListenerAddr, error: &io::Error) {
        let _ = cx;
        log::warn!("listener {listener}: accept: {error}, trying again in 100 ms");
    }
}

impl<S, H, F> Accept<S> for F
where
    F: FnMut(&mut Context<'_, S>) -> H,
    H: Handler<S> + 'static,
{
    fn accept(&mut self, cx: &mut Context<'_, S>) -> Box<dyn Handler<S>> {
        Box::new(self(cx))
    }
}

/// Why a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Close {
    /// This program closed it.
    Local,
    /// The peer closed it.
    Peer,
    /// A read or a write failed.
    Error(io::Error),
    /// A connect failed.
    ConnectFailed(io::Error),
    /// A connect was not over in time.
    ConnectTimeout,
    /// Queued bytes did not leave within the write timeout.
    WriteTimeout,
    /// No byte moved in either direction within the idle timeout.
    IdleTimeout,
    /// More bytes would have been queued than the bound allows.
    SlowConsumer,
    /// The handler has left more input unread than the bound allows: see
    /// [`Io::input_max`](crate::Io::input_max).
    InputFull,
    /// TLS could not begin or go on.
    #[cfg(feature = "tls")]
    Tls(crate::tls::TlsError),
    /// The handler could not go on: [`Context::fail`].
    Failed(Box<dyn Error + Send + Sync>),
    /// Its stream was handed over: [`Io::detach`](crate::Io::detach).
    Detached,
    /// The handler has panicked, with this message, which is empty where the panic goes on in the
    /// caller. No handler is told: the one that has panicked is dropped instead. See [`PanicPolicy`](crate::PanicPolicy).
    Panicked(String),
    /// The reactor has stopped.
    Shutdown,
}

impl Close {
    /// The end that a failed read or write is.
    pub(crate) fn of_error(error: io::Error) -> Close {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Close::Peer,
            _ => Close::Error(error),
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Close::Local => f.write_str("closed"),
            Close::Peer => f.write_str("closed by the peer"),
            Close::Error(error) => write!(f, "{error}"),
            Close::ConnectFailed(error) => write!(f, "connect failed: {error}"),
            Close::ConnectTimeout => f.write_str("connect timed out"),
            Close::WriteTimeout => f.write_str("write timed out"),
            Close::IdleTimeout => f.write_str("idle for too long"),
            Close::SlowConsumer => f.write_str("too many bytes queued"),
            Close::InputFull => f.write_str("too many bytes left unread"),
            #[cfg(feature = "tls")]
            Close::Tls(error) => write!(f, "TLS: {error}"),
            Close::Failed(error) => write!(f, "{error}"),
            Close::Detached => f.write_str("handed over"),
            Close::Panicked(message) => write!(f, "handler panicked: {message}"),
            Close::Shutdown => f.write_str("reactor stopped"),
        }
    }
}

/// Any type without borrows: what every [`Handler`](crate::Handler) must be. It is never implemented by hand.
///
/// Not [`Any`] itself, which would demand the same of the shared state.
pub trait AsAny {
    #[doc(hidden)]
    fn as_any(&mut self) -> &mut dyn Any;

    #[doc(hidden)]
    fn own_type(&self) -> TypeId;
}

impl<T: 'static> AsAny for T {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn own_type(&self) -> TypeId {
        TypeId::of::<T>()
    }
}
