//! `Meter`: which subjects carry the traffic.
//!
//! ```text
//!          run of messages             chosen
//! client ─────────────────▶ Sampler ───────────▶ current ──▶ last ──▶ all     Sketches of subjects
//!                                                10 seconds each      before
//! ```
//!
//! It is told of each run of publishes with one control line when the run has been delivered, and works
//! out from the tally what became of it: nothing is counted for a message of a run. Where a client's
//! messages do not repeat and come many at a time, `sampler.rs` looks at one of [`SAMPLE_EVERY`].
//! `sketch.rs` keeps the heaviest subjects of a stream; what it weighs by is in `counts.rs`.
//!
//! What is asked of it is who it was since the start, and who it is now. One sketch cannot answer both:
//! after a month its lightest entry weighs more than what a new subject brings in minutes. So a sketch is
//! filled for ten seconds and then merged into that of all time. *Now* is the present one and the last,
//! ten to thirty seconds; *since the start* is the present one and all before. A message is counted
//! once, in the present one.
//!
//! Accounts have subjects of their own, also where these have one name.
//!
//! A second sketch tells which clients have published, by the sums of each client's turns. What they
//! were since they came is in their counters.
//!
//! No socket and no clock: time comes in as an argument.

mod counts;
mod sampler;
mod sketch;

pub(crate) use counts::{Counts, MESSAGE_WEIGHT};
pub(crate) use sampler::SAMPLE_EVERY;
pub(crate) use sketch::{Entry, SUBJECTS_MAX, Sketch};

use crate::core::accounts::Born;
use crate::core::delivery::Tally;
use crate::core::receiver::Traffic;
use foldhash::SharedSeed;
use midge_reactor::Time;
use sampler::{Draw, Sampler};
use std::time::Duration;

/// How long a sketch is filled before it is the last.
const WINDOW: Duration = Duration::from_secs(10);

/// What was published in a time.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// When it began.
    pub(crate) since: Time,
    /// All of it, counted and not estimated.
    pub(crate) received: Traffic,
    /// Messages of it without a receiver, and how many are estimates.
    pub(crate) seen: Counts,
    pub(crate) subjects: Sketch,
    /// Who has published it, by cid.
    pub(crate) publishers: Sketch,
}

impl Window {
    fn new(since: Time, seed: &SharedSeed) -> Window {
        Window {
            since,
            received: Traffic::default(),
            seen: Counts::default(),
            subjects: Sketch::new(seed),
            publishers: Sketch::new(seed),
        }
    }

    /// Adds one that came right behind it.
    fn merge(&mut self, later: &Window) {
        self.received.add(later.received);
        self.seen.add(&later.seen);
        self.subjects.merge(&later.subjects);
        self.publishers.merge(&later.publishers);
    }

    fn begin(&mut self, since: Time) {
        self.since = since;
        self.received = Traffic::default();
        self.seen = Counts::default();
        self.subjects.clear();
        self.publishers.clear();
    }
}

/// Which subjects carry the traffic, at present and since the start. Less than 1 MiB.
#[derive(Debug)]
pub(crate) struct Meter {
    sampler: Sampler,
    current: Window,
    last: Window,
    /// All before the current one.
    all: Window,
    /// Whose subjects the present client publishes to.
    account: Option<Born>,
}

impl Meter {
    /// One that begins now. The same number makes the same choices.
    pub(crate) fn new(now: Time, random: u64) -> Meter {
        let seed = SharedSeed::from_u64(random);
        let window = Window::new(now, &seed);
        Meter {
            sampler: Sampler::new(random),
            current: window.clone(),
            last: window.clone(),
            all: window,
            account: None,
        }
    }

    /// The turn of a client of this account begins.
    pub(crate) fn begin_turn(&mut self, now: Time, account: Option<Born>) {
        self.account = account;
        self.sampler.begin_turn();
        if now - self.current.since >= WINDOW {
            self.end_window(now);
        }
    }

    /// In the midst of its turn the client has logged in, to this account.
    pub(crate) fn logged_in(&mut self, account: Born) {
        self.account = Some(account);
    }

    /// The turn of the client `cid` is over, in which it has published so much.
    pub(crate) fn end_turn(&mut self, cid: u64, received: Traffic) {
        self.current.received.add(received);
        let counts = Counts {
            messages: received.messages,
            bytes: received.bytes,
            ..Counts::default()
        };
        let publishers = &mut self.current.publishers;
        publishers.add(None, &cid.to_be_bytes(), &counts);
    }

    /// What was published since the start. Costs a look at each subject that is kept.
    pub(crate) fn since_start(&self) -> Window {
        let mut window = self.all.clone();
        window.merge(&self.current);
        window
    }

    /// What was published lately: in the last ten to thirty seconds, or since the start if that was later.
    /// Costs a look at each subject that is kept.
    pub(crate) fn lately(&self, now: Time) -> Window {
        let age = now - self.current.since;
        let mut window = if age < WINDOW {
            self.last.clone()
        } else {
            // No client has sent anything since, or it would have ended.
            let mut empty = self.current.clone();
            empty.begin(one_window_before(now));
            empty
        };
        if age < 2 * WINDOW {
            window.since = window.since.min(self.current.since);
            window.merge(&self.current);
        }
        window
    }

    /// Bytes that are reserved.
    pub(crate) fn bytes(&self) -> usize {
        let windows = [&self.current, &self.last, &self.all];
        let bytes = |window: &&Window| window.subjects.bytes() + window.publishers.bytes();
        windows.iter().map(bytes).sum()
    }

    /// Counts the messages of a run to `subject`: those of a turn that were not measured yet.
    ///
    /// Not inlined: the publishing code has better use for the registers.
    #[inline(never)]
    pub(crate) fn count(&mut self, subject: &[u8], tally: &mut Tally) {
        let (received, copies) = tally.measure();
        let messages = received.messages;
        let draw = self.sampler.draw(messages);
        // Nothing was published if it was refused, or is to wait.
        if draw == Draw::For(0) || messages == 0 {
            return;
        }
        // Those of a run are taken alike: all of them, or none. Only where a publisher that wants no
        // echo, a subscription that ends by its count, or someone whose connection ends shares a subject
        // with others may some be missed.
        let unrouted = messages.saturating_sub(copies);
        let counts = match draw {
            Draw::InFull => Counts {
                messages,
                bytes: received.bytes,
                unrouted,
                estimated: 0,
            },
            Draw::For(count) => Counts {
                messages: count,
                bytes: received.bytes * count / messages,
                unrouted: unrouted * count / messages,
                estimated: count,
            },
        };
        self.current.seen.add(&counts);
        self.current.subjects.add(self.account, subject, &counts);
    }

    #[cold]
    fn end_window(&mut self, now: Time) {
        self.all.merge(&self.current);
        std::mem::swap(&mut self.last, &mut self.current);
        if now - self.last.since >= 2 * WINDOW {
            // Its messages are older than what is called lately.
            self.last.begin(one_window_before(now));
        }
        self.current.begin(now);
    }
}

fn one_window_before(now: Time) -> Time {
    let window = Time::ZERO + WINDOW;
    Time::from_nanos(now.as_nanos().saturating_sub(window.as_nanos()))
}

#[cfg(test)]
mod tests;
