//! A relay: the input of one connection becomes the output of another, inside the loop.
//!
//! ```text
//! source socket ─▶ read ─▶ target's queue ─▶ write ─▶ target socket
//!                   ▲                  │
//!                   └── paused from the high mark on, until the queue is down at the low one
//! ```
//!
//! Where much is to be read, nothing is queued, and both are plain sockets, the system moves the bytes from
//! one to the other. What the target has no room for is queued as above, and the source is paused until
//! that has left. If others have queued more behind it meanwhile, the next bytes are copied again.
//!
//! The source has a `Relay` that names its target, and the target's `fed_by` names the source:
//! `conns[source].relay.to == target` exactly when `conns[target].fed_by == source`.

use crate::Key;
use crate::core::{Conn, Core};
use crate::pause::Pause;
use std::error::Error;
use std::fmt;

/// How to relay: see [`Io::proxy`](crate::Io::proxy).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProxyOptions {
    /// End after this number of bytes; what the source sends behind them goes to its own handler. Default
    /// none.
    pub limit: Option<u64>,
    /// The source is not read from the moment at which the target's queue holds this number of bytes until
    /// it is down at half of that. Default none: the [marks](crate::Io::watermarks) of the target.
    /// Where the system moves the bytes by itself, the source is paused as soon as the target's socket
    /// is full, until all that was queued by then has left.
    pub high: Option<usize>,
    /// When the source's peer has ended its direction, end that of the target as well, once its
    /// queue has left. Default true.
    pub half_close: bool,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        ProxyOptions {
            limit: None,
            high: None,
            half_close: true,
        }
    }
}

/// Why a relay has ended: see [`Handler::on_proxy`](crate::Handler::on_proxy).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyEnd {
    /// As many bytes as the limit allows were handed over.
    #[doc(alias = "proxy_completed")]
    Complete,
    /// The target takes nothing any more: it has closed, or is about to. What the source sends from
    /// now on goes to its own handler.
    #[doc(alias = "proxy_target_unbound")]
    TargetClosed,
    /// The source's peer has ended its direction; all it sent was handed over.
    SourceEof,
}

/// Why a relay was not begun. Nothing has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyError {
    /// The source has gone or is closing.
    NoSource,
    /// The target has gone, is closing, or its outgoing direction has ended.
    NoTarget,
    /// The source is being relayed already: [`Io::unproxy`](crate::Io::unproxy) it first.
    SourceBusy,
    /// Another source is being relayed to the target: the bytes of two would be mixed up.
    TargetBusy,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyError::NoSource => "the source of the relay is not open",
            ProxyError::NoTarget => "the target of the relay is not open for output",
            ProxyError::SourceBusy => "the source is being relayed already",
            ProxyError::TargetBusy => "the target is being fed by another source",
        })
    }
}

impl Error for ProxyError {}

/// Where the input of a connection goes.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) to: Key,
    /// Bytes that may still be handed over.
    pub(crate) left: Option<u64>,
    high: Option<usize>,
    pub(crate) half_close: bool,
    /// The system may be able to move its bytes by itself.
    pub(crate) may_splice: bool,
    /// It has, and goes on so when all that is queued has left.
    pub(crate) splices: bool,
    /// How much the target has written when all has left that was queued as the source was paused.
    paused_until: u64,
}

impl Relay {
    pub(crate) fn new(to: Key, options: &ProxyOptions) -> Relay {
        Relay {
            to,
            left: options.limit,
            high: options.high,
            half_close: options.half_close,
            may_splice: true,
            splices: false,
            paused_until: 0,
        }
    }

    /// Whether the source is better not read now: what it has would be copied, and to no avail.
    pub(crate) fn waits_for(&self, target: &Conn) -> bool {
        self.splices && !target.writable && target.queued() > 0
    }

    /// `len` bytes were handed over.
    pub(crate) fn count(&mut self, len: usize) {
        if let Some(left) = &mut self.left {
            *left -= len as u64;
        }
    }

    /// From how many queued bytes on the source is paused. Never above the target's bound: a relay
    /// must not be what makes its target a slow consumer.
    fn high(&self, target: &Conn) -> usize {
        self.high.unwrap_or(target.high).min(target.max).max(1)
    }

    /// At how many queued bytes the source is read again.
    fn low(&self, target: &Conn) -> usize {
        self.high.map_or(target.low, |high| high / 2)
    }

    /// Whether what was queued as the source was paused has still to leave. What others queue behind it
    /// does not count, or they could keep the source paused for ever.
    fn awaits_rest(&self, target: &Conn) -> bool {
        self.splices && target.queued() > 0 && target.written < self.paused_until
    }

    /// How many bytes may be handed over now.
    pub(crate) fn room(&self, target: &Conn) -> usize {
        let room = self.high(target).saturating_sub(target.queued());
        self.left.map_or(room, |left| {
            usize::try_from(left).map_or(room, |left| room.min(left))
        })
    }
}

impl Core {
    /// Ends the relay of `source`, if there is one: its input is its handler's again.
    pub(crate) fn end_relay(&mut self, source: Key) -> Option<Box<Relay>> {
        let conn = self.conn_mut(source)?;
        let relay = conn.relay.take()?;
        // What the handler said it needs was about bytes that have gone another way.
        conn.need = 0;
        conn.rescan = true;
        if let Some(target) = self.conn_mut(relay.to) {
            target.fed_by = None;
        }
        self.unpause(source, Pause::Relay);
        self.enqueue(source);
        Some(relay)
    }

    /// The target's queue has become shorter: lets its source go on if it is short enough.
    pub(crate) fn feed_again(&mut self, target: Key) {
        let Some(conn) = self.conn(target) else {
            return;
        };
        let Some(source) = conn.fed_by else {
            return;
        };
        let paused = self
            .conn(source)
            .filter(|conn| conn.pauses.has(Pause::Relay));
        let Some(relay) = paused.and_then(|conn| conn.relay.as_ref()) else {
            return;
        };
        if relay.awaits_rest(conn) || conn.queued() > relay.low(conn) {
            return;
        }
        let is_empty = conn.queued() == 0;
        if let Some(relay) = self.conn_mut(source).and_then(|conn| conn.relay.as_mut()) {
            // To a queue that does not become empty the bytes are copied.
            relay.splices &= is_empty;
        }
        self.unpause(source, Pause::Relay);
    }

    /// Pauses the source of a relay, as its target has no room for what would be read.
    pub(crate) fn pause_for(&mut self, source: Key, target: Key) {
        let Some(target) = self.conn(target) else {
            return;
        };
        let paused_until = target.written + target.queued() as u64;
        if let Some(relay) = self.conn_mut(source).and_then(|conn| conn.relay.as_mut()) {
            relay.paused_until = paused_until;
        }
        self.pause(source, Pause::Relay);
    }

    /// A connection is being released: no relay may name it afterwards.
    pub(crate) fn unlink_relay(&mut self, gone: &mut Conn) {
        if let Some(relay) = gone.relay.take()
            && let Some(target) = self.conn_mut(relay.to)
        {
            target.fed_by = None;
        }
    }
}
