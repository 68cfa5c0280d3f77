//! Waits for what the load tells, and sees to it that something moves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use midge_protocol::Info;

use super::{Progress, Target};
use crate::check::Fault;
use crate::load::shared::{Checked, Event, Shared};
use midge_text::quantity::plural;

/// How often the measuring thread looks at counters.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often it looks whether the last message has come.
const GLANCE_EVERY: Duration = Duration::from_millis(1);

/// Without a message for so long, the rest will not come by itself.
const STANDSTILL: Duration = Duration::from_secs(1);

/// The measuring thread's side of a load.
pub(super) struct Watch<'a> {
    shared: Arc<Shared>,
    events: Receiver<Event>,
    target: &'a Target,
    progress: &'a mut dyn FnMut(Progress),
    info: Option<Info>,
    /// The counters when they last moved, and when that was.
    moved: (u64, Instant),
    /// Stalled subscribers that were cut off.
    pub(super) cut_off: usize,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        shared: Arc<Shared>,
        events: Receiver<Event>,
        target: &'a Target,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Watch<'a> {
        Watch {
            shared,
            events,
            target,
            progress,
            info: None,
            moved: (0, Instant::now()),
            cut_off: 0,
        }
    }

    /// Name and version of the broker, by its own words.
    pub(super) fn broker(&self) -> String {
        match &self.info {
            None => String::new(),
            Some(info) if info.midge.is_empty() => format!("nats-server {}", info.version),
            Some(info) => format!("midge {}", info.midge),
        }
    }

    /// The next event.
    fn next(&mut self, missing: impl Fn() -> String) -> Result<Event, Fault> {
        loop {
            if self.target.interrupted.load(Ordering::Relaxed) {
                self.shared.stop.store(true, Ordering::Relaxed);
            }
            match self.events.recv_timeout(LOOK_EVERY) {
                Ok(Event::Failed(fault)) => return Err(fault),
                Ok(Event::Info(json)) => {
                    if self.info.is_none() {
                        self.info = serde_json::from_slice(&json).ok();
                    }
                }
                Ok(event) => {
                    self.moved.1 = Instant::now();
                    return Ok(event);
                }
                Err(RecvTimeoutError::Timeout) => self.look(&missing)?,
                // `Shared` keeps a sender.
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Fault::Silent {
                        seconds: 0,
                        missing: missing(),
                    });
                }
            }
        }
    }

    fn look(&mut self, missing: &impl Fn() -> String) -> Result<(), Fault> {
        let (published, delivered) = (self.shared.published_total(), self.shared.received_total());
        if published + delivered != self.moved.0 {
            self.moved = (published + delivered, Instant::now());
        } else if self.moved.1.elapsed() >= self.target.patience {
            return Err(Fault::Silent {
                seconds: self.target.patience.as_secs(),
                missing: missing(),
            });
        }
        if let Some(began) = self.shared.began.get() {
            (self.progress)(Progress {
                elapsed: began.elapsed(),
                published,
                delivered,
            });
        }
        Ok(())
    }

    /// Waits until this number of connections has joined.
    pub(super) fn ready(&mut self, connections: usize) -> Result<(), Fault> {
        let mut left = connections;
        while left > 0 {
            let missing = || {
                format!(
                    "the answer of {left} of {} to PING",
                    plural(connections as u64, "connection")
                )
            };
            if let Event::Ready = self.next(missing)? {
                left -= 1;
            }
        }
        Ok(())
    }

    /// By publisher, how many messages it has published.
    pub(super) fn published(&mut self, publishers: usize) -> Result<Vec<u64>, Fault> {
        let mut counts = vec![None; publishers];
        let shared = Arc::clone(&self.shared);
        while counts.contains(&None) {
            let missing = || {
                let waiting = counts.iter().filter(|count| count.is_none()).count();
                let (published, received) = (shared.published_total(), shared.received_total());
                format!(
                    "the end of {waiting} of {}; {published} published, {received} received",
                    plural(publishers as u64, "publisher")
                )
            };
            if let Event::Published { publisher, count } = self.next_or_cut(missing)? {
                counts[publisher] = Some(count);
            }
        }
        Ok(counts.into_iter().flatten().collect())
    }

    /// Waits until this number of messages has come, or none for a while: then the broker's answers to
    /// `PING` will tell what is missing.
    pub(super) fn until_received(&mut self, count: u64) -> Result<(), Fault> {
        let mut moved = (0, Instant::now());
        while moved.0 < count && moved.1.elapsed() < STANDSTILL {
            if let Ok(Event::Failed(fault)) = self.events.recv_timeout(GLANCE_EVERY) {
                return Err(fault);
            }
            let received = self.shared.received_total();
            if received != moved.0 {
                moved = (received, Instant::now());
            }
        }
        Ok(())
    }

    /// What all of these subscribers have got.
    pub(super) fn checked(&mut self, subscribers: usize) -> Result<Vec<Checked>, Fault> {
        let mut all = Vec::new();
        while all.len() < subscribers {
            if let Event::Checked(checked) = self.next_checked(subscribers - all.len())? {
                all.push(checked);
            }
        }
        Ok(all)
    }

    /// The same of stalled subscribers, each of which may be cut off.
    pub(super) fn checked_or_cut(&mut self, stalled: usize) -> Result<Vec<Checked>, Fault> {
        let mut all = Vec::new();
        while all.len() + self.cut_off < stalled {
            if let Event::Checked(checked) = self.next_checked(stalled - all.len())? {
                all.push(checked);
            }
        }
        Ok(all)
    }

    fn next_checked(&mut self, left: usize) -> Result<Event, Fault> {
        let shared = Arc::clone(&self.shared);
        self.next_or_cut(|| {
            let (published, received) = (shared.published_total(), shared.received_total());
            let left = plural(left as u64, "subscriber");
            format!("the end of {left}; {published} published, {received} received")
        })
    }

    /// Waits until `count` steps are done.
    pub(super) fn done(&mut self, count: usize, what: &str) -> Result<(), Fault> {
        let mut left = count;
        while left > 0 {
            if let Event::Done = self.next(|| format!("{what} ({left} of {count})"))? {
                left -= 1;
            }
        }
        Ok(())
    }

    fn next_or_cut(&mut self, missing: impl Fn() -> String) -> Result<Event, Fault> {
        let event = self.next(missing)?;
        self.cut_off += usize::from(matches!(event, Event::Cut));
        Ok(event)
    }

    /// Waits, unless the user wants to end.
    pub(super) fn hold(&mut self, time: Duration) -> Result<(), Fault> {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.target.interrupted.load(Ordering::Relaxed) {
            let left = end.saturating_duration_since(Instant::now());
            if let Ok(Event::Failed(fault)) = self.events.recv_timeout(left.min(LOOK_EVERY)) {
                return Err(fault);
            }
        }
        Ok(())
    }
}
