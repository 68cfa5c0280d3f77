//! One connection: two ends and, between them, two wires.
//!
//! ```text
//! end 0 (connected) ── wire to 1 ──▶ inbox of end 1 (accepted)
//!        inbox of 0 ◀── wire to 0 ──
//!
//! window of an end == its room + bytes on the wire to its peer + bytes in the peer's inbox
//!                     + room that is on its way back to it
//! ```
//!
//! What is on a wire arrives in order; between wires there is none. Readiness is told by edges: an
//! end that has seen a call answered with `WouldBlock` is armed, and the next change is told, once.

use crate::Key;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Something on its way to the other end.
#[derive(Debug)]
pub(super) enum Packet {
    /// Asks for a connection.
    Open,
    /// The connection stands.
    Opened,
    /// There is no listener.
    Refused,
    Data(Vec<u8>),
    /// Nothing will follow.
    End,
    Reset,
    /// As many bytes have been read.
    Room(usize),
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) packets: VecDeque<(u64, Packet)>,
    /// When the last of the packets is to arrive: no other arrives before.
    pub(super) last_at: u64,
}

/// How far a connect is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dial {
    Pending,
    Opened,
    Refused,
    /// Over, and told.
    Done,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) host: usize,
    /// `None` before it is accepted and after it is closed.
    pub(super) key: Option<Key>,
    pub(super) addr: SocketAddr,
    pub(super) dial: Dial,
    pub(super) inbox: VecDeque<u8>,
    /// The peer's end has arrived.
    pub(super) peer_ended: bool,
    pub(super) reset: bool,
    /// A call has answered with the reset.
    pub(super) reset_told: bool,
    /// Our end has been sent.
    pub(super) ended: bool,
    pub(super) closed: bool,
    /// Bytes that may be written now.
    pub(super) room: usize,
    /// Room that must be there for a writer to be told of it.
    pub(super) wake_room: usize,
    pub(super) read_armed: bool,
    pub(super) write_armed: bool,
    pub(super) news: News,
}

/// What the next poll will report.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct News {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) hangup: bool,
}

impl News {
    pub(super) const READABLE: News = News {
        readable: true,
        writable: false,
        hangup: false,
    };
    pub(super) const WRITABLE: News = News {
        readable: false,
        writable: true,
        hangup: false,
    };
    /// The peer has ended its direction.
    pub(super) const ENDED: News = News {
        readable: true,
        writable: false,
        hangup: true,
    };
    /// Both directions are gone.
    pub(super) const GONE: News = News {
        readable: true,
        writable: true,
        hangup: true,
    };

    pub(super) fn is_none(self) -> bool {
        self == News::default()
    }

    pub(super) fn add(&mut self, other: News) {
        self.readable |= other.readable;
        self.writable |= other.writable;
        self.hangup |= other.hangup;
    }
}

impl End {
    pub(super) fn new(host: usize, addr: SocketAddr, dial: Dial, window: usize) -> End {
        End {
            host,
            key: None,
            addr,
            dial,
            inbox: VecDeque::new(),
            peer_ended: false,
            reset: false,
            reset_told: false,
            ended: false,
            closed: false,
            room: window,
            wake_room: 1,
            read_armed: true,
            write_armed: false,
            news: News::default(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) ends: [End; 2],
    /// By the end at which they arrive.
    pub(super) wires: [Wire; 2],
}

impl Conn {
    /// Nothing can happen here any more.
    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.closed)
            && self.wires.iter().all(|wire| wire.packets.is_empty())
    }
}
