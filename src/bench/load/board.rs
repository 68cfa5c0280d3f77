//! What the threads of a load tell each other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use crate::bench::check::{Bits, Fault, Share};

/// A counter with cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }
}

/// What happens on a load thread that the measuring thread has to know.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection has subscribed and the broker has answered.
    Ready,
    /// What the broker says of itself.
    Info(Vec<u8>),
    /// A publisher has published so many, and the broker has answered its last `PING`.
    Published { publisher: usize, count: u64 },
    /// A subscriber has got all that there was, by the broker's answer to its last `PING`.
    Checked(Checked),
    /// Something is wrong.
    Failed(Fault),
}

/// What one subscriber got.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) subscriber: usize,
    pub(crate) received: u64,
    /// By publisher, the sequence number behind the last.
    pub(crate) next: Vec<u64>,
    /// By publisher, which messages; only where each goes to one of several subscribers.
    pub(crate) seen: Vec<Bits>,
}

/// Shared by all threads of one measurement.
#[derive(Debug)]
pub(crate) struct Board {
    /// When publishing began.
    pub(crate) began: OnceLock<Instant>,
    /// Publishers are to end.
    pub(crate) stop: AtomicBool,
    /// By publisher, messages handed to the socket.
    pub(crate) published: Box<[Counter]>,
    /// By subscriber, messages checked.
    pub(crate) received: Box<[Counter]>,
    /// How messages are spread over subscribers.
    pub(crate) share: Share,
    /// Messages that publishers may be ahead.
    pub(crate) window: u64,
    events: Sender<Event>,
}

impl Board {
    pub(crate) fn new(
        publishers: usize,
        subscribers: usize,
        share: Share,
        window: u64,
        events: Sender<Event>,
    ) -> Board {
        let counters = |count| (0..count).map(|_| Counter::default()).collect();
        Board {
            began: OnceLock::new(),
            stop: AtomicBool::new(false),
            published: counters(publishers),
            received: counters(subscribers),
            share,
            window,
            events,
        }
    }

    /// Nobody listens only when the measurement is over.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the publishers are no more than the window ahead of the slowest subscriber.
    pub(crate) fn may_publish(&self) -> bool {
        if self.received.is_empty() || self.window == u64::MAX {
            return true;
        }
        let received = self.received.iter().map(Counter::get);
        let received = match self.share {
            Share::Each => received.min().unwrap_or(0),
            Share::Once => received.sum(),
        };
        self.published_total() < received.saturating_add(self.window)
    }

    pub(crate) fn published_total(&self) -> u64 {
        self.published.iter().map(Counter::get).sum()
    }

    pub(crate) fn received_total(&self) -> u64 {
        self.received.iter().map(Counter::get).sum()
    }
}
