//! `Shared`: counters, flags and events between the threads of one measurement.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::check::{Bits, Fault, Share};
use crate::frame::Stamp;

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

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// What happens on a load thread that the measuring thread has to know.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection has subscribed and the broker has answered.
    Ready,
    /// What the broker says of itself.
    Info(Vec<u8>),
    /// A publisher has published this number, and the broker has answered its last `PING`.
    Published { publisher: usize, count: u64 },
    /// A subscriber has got all that there was, by the broker's answer to its last `PING`.
    Checked(Checked),
    /// A stalled subscriber was cut off.
    Cut,
    /// A step of some other kind of load is done.
    Done,
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

/// When messages are due: one after the other at a rate, publishers taking turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    nanos: f64,
    publishers: u64,
}

impl Schedule {
    /// `rate` messages a second, over all publishers.
    pub(crate) fn new(rate: f64, publishers: usize) -> Schedule {
        Schedule {
            nanos: 1e9 / rate,
            publishers: publishers as u64,
        }
    }

    /// When a message is due, from the beginning.
    #[inline]
    pub(crate) fn due(&self, stamp: Stamp) -> Duration {
        let place = stamp.sequence() * self.publishers + stamp.publisher() as u64;
        Duration::from_nanos((place as f64 * self.nanos) as u64)
    }

    /// How many messages of all publishers together are due by now.
    pub(crate) fn due_by(&self, elapsed: Duration) -> u64 {
        (elapsed.as_nanos() as f64 / self.nanos) as u64 + 1
    }

    /// How many messages of this publisher are due by now.
    pub(crate) fn due_of(&self, publisher: usize, elapsed: Duration) -> u64 {
        let all = self.due_by(elapsed);
        (all + self.publishers - 1).saturating_sub(publisher as u64) / self.publishers
    }

    /// How long to sleep between looks at the clock: short enough to be on time, and no shorter.
    pub(crate) fn tick(&self) -> Duration {
        Duration::from_nanos(self.nanos as u64)
            .clamp(Duration::from_micros(20), Duration::from_millis(1))
    }
}

/// Shared by all threads of one measurement.
#[derive(Debug)]
pub(crate) struct Shared {
    /// When publishing began.
    pub(crate) began: OnceLock<Instant>,
    /// Publishers are to end.
    pub(crate) stop: AtomicBool,
    /// By publisher, messages handed to the socket.
    pub(crate) published: Box<[Counter]>,
    /// Only the first subscribers, this number, read; the others are not waited for, nor counted.
    pub(crate) readers: usize,
    /// By subscriber, messages checked.
    pub(crate) received: Box<[Counter]>,
    /// How messages are spread over subscribers.
    pub(crate) share: Share,
    /// Messages that publishers may be ahead.
    pub(crate) window: u64,
    /// When messages are due, if they are.
    pub(crate) schedule: Option<Schedule>,
    /// Handshakes of TLS that have taken up a session again.
    pub(crate) resumed: Counter,
    events: Sender<Event>,
}

impl Shared {
    pub(crate) fn new(publishers: usize, subscribers: usize, events: Sender<Event>) -> Shared {
        let counters = |count| (0..count).map(|_| Counter::default()).collect();
        Shared {
            began: OnceLock::new(),
            stop: AtomicBool::new(false),
            published: counters(publishers),
            readers: subscribers,
            received: counters(subscribers),
            share: Share::Each,
            window: u64::MAX,
            schedule: None,
            resumed: Counter::default(),
            events,
        }
    }

    /// Sends an event to the measuring thread. Nothing receives it once the measurement is over.
    pub(crate) fn report(&self, event: Event) {
        let _ = self.events.send(event);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Time since publishing began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// Whether the publishers are no more than the window ahead of the slowest subscriber.
    pub(crate) fn may_publish(&self) -> bool {
        if self.readers == 0 || self.window == u64::MAX {
            return true;
        }
        let received = self.received[..self.readers].iter().map(Counter::get);
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
        let readers = &self.received[..self.readers];
        readers.iter().map(Counter::get).sum()
    }
}
