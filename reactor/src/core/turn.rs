//! `Turn`: what the present turn has left, and `Lane`: who comes first in it.
//!
//! A turn is for all connections together. Input ends when its time or [`OUTPUT_BYTES`] is spent, the
//! flush when its time is ([`Times`]), and the rest goes on in the next turn. Within each, connections that
//! have used little of the loop lately come before those that have used much, and one of these at
//! least comes too: a flood of any kind delays the others by a turn, and not by the flood.
//!
//! Time is read from the driver after each slice, so that it counts whatever a slice costs. A
//! simulated clock moves by what the seed says that calls cost, and so a run is repeated exactly.

use crate::{Key, Time};
use std::collections::VecDeque;
use std::ops::{Index, IndexMut};
use std::time::Duration;

/// Most bytes queued in a turn, over all connections, before they are written.
pub(crate) const OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// Most bytes read in one slice before the heavy lane. More of them make a connection a heavy one.
pub(crate) const LIGHT_READ_BYTES: usize = 16 * 1024;
/// Most bytes queued in one slice of each of the lanes before, if the handler asks.
const LIGHT_OUTPUT_BYTES: usize = 32 * 1024;
const MIDDLE_OUTPUT_BYTES: usize = 256 * 1024;
/// Most other connections whose output leaves with the lane of one slice before the heavy lane.
const LIGHT_MARKS: u32 = 16;
/// As many writes cost the flush as much as [`OUTPUT_BYTES`] do.
const OUTPUT_WRITES: u64 = 1024;

/// One part in this number of the time pays a debt back.
const PAYBACK: u64 = 32;

/// How long the parts of a turn may take, and what makes a connection heavy, in nanoseconds: shares of one
/// time, so that the loop does the same on a machine of another speed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// How long input is worked on in a turn.
    pub(crate) input: u64,
    /// How long sockets are written to in a turn.
    pub(crate) flush: u64,
    /// How long each other step of a turn may take: jobs, timers, deferred work, closing.
    pub(crate) step: u64,
    /// How long one slice of each of the lanes before the heavy one may take, if the handler asks. One that
    /// takes longer than a light one is a long one.
    pub(crate) light_slice: u64,
    middle_slice: u64,
    /// How long a listener or a socket for datagrams has in a turn: they are light for ever.
    pub(crate) socket_slice: u64,
    /// What each lane gets of input and of the flush where those before it have used it up.
    pub(crate) least: [u64; LANES.len()],
    /// How long heavy connections have input in a turn while there are light ones, and are written to, at least and at most.
    beside_light: [u64; 2],
    /// A connection that owes no more than this is light.
    light_debt: u32,
    /// The longest debt that is remembered: with 4 ms of input, for a tenth of a second.
    debt_max: u32,
}

impl Times {
    /// How long input is worked on if the program says nothing.
    pub(crate) const DEFAULT: Duration = Duration::from_millis(4);
    /// Shares of less would be no longer than a look at the clock.
    const LEAST: Duration = Duration::from_micros(100);
    /// Shares of more would not fit 32 bits of nanoseconds.
    const MOST: Duration = Duration::from_secs(1);

    /// The shares of so much time for input.
    pub(crate) fn of(input: Duration) -> Times {
        let input = short(nanos(input.clamp(Times::LEAST, Times::MOST)));
        Times {
            input: input.into(),
            flush: input.into(),
            step: (input / 2).into(),
            light_slice: (input / 80).into(),
            middle_slice: (input / 40).into(),
            socket_slice: (input / 8).into(),
            least: [0, input / 8, input / 8, input / 4, 0].map(u64::from),
            beside_light: [input / 32, input / 8].map(u64::from),
            light_debt: input / 40,
            debt_max: input / 5 * 4,
        }
    }

    /// What handshakes get of a turn in which all else has taken `others`: as much, up to an eighth of the time for
    /// input, and never less than a light slice. The step that is under way when that is over goes on, since nothing
    /// can cut a signature: so beside others that ask little a turn has one, and where others use the loop up,
    /// handshakes go on.
    pub(crate) fn handshakes(&self, others: u64) -> u64 {
        others.clamp(self.light_slice, self.socket_slice)
    }

    /// Whether light connections that had input at `before` are to be expected again: it is no longer ago than a debt is
    /// remembered.
    pub(crate) fn is_recent(&self, before: Time, now: Time) -> bool {
        now.nanos_since(before) < u64::from(self.debt_max) * PAYBACK
    }

    /// How long heavy connections have input in a turn while light ones come, which wait for all of it: as long as they are
    /// `owed`, within limits. So neither writing to many, nor handshakes, of which each turn has one step at least, take
    /// most of the loop from them.
    pub(crate) fn heavy_beside_light(&self, owed: u64) -> u64 {
        let [least, most] = self.beside_light;
        owed.clamp(least, most)
    }

    /// How long heavy connections are written to in a turn while light ones come, in which all before has taken `others`: an
    /// eighth of that, within the same limits.
    pub(crate) fn heavy_flush_beside_light(&self, others: u64) -> u64 {
        let [least, most] = self.beside_light;
        (others / 8).clamp(least, most)
    }

    /// What the flush will take for `bytes` of output in `writes` writes: it is as long as [`OUTPUT_BYTES`] take,
    /// or [`OUTPUT_WRITES`] writes.
    fn output_nanos(&self, bytes: usize, writes: u32) -> u64 {
        let bytes = self.flush * bytes.min(OUTPUT_BYTES) as u64 / OUTPUT_BYTES as u64;
        bytes + self.flush * u64::from(writes) / OUTPUT_WRITES
    }
}

/// Which connections come first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Lane {
    /// Those that have used little of the loop lately.
    Light,
    /// Those that have come lately: many that come at once, each with much to do, do not delay those who have
    /// shown that they ask little. And those whose peer is gone, if they leave much or have used much.
    New,
    /// Those of the lanes before whose last slice has left much to do.
    Middle,
    /// Those that have used much.
    Heavy,
    /// Those whose layer is in its handshake, of which each step may be a signature: see [`Times::handshakes`].
    Handshake,
}

impl Lane {
    pub(crate) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The lanes of the run queue and of the flush, in order. The flush has none for handshakes.
pub(crate) const LANES: [Lane; 5] = [
    Lane::Light,
    Lane::New,
    Lane::Middle,
    Lane::Heavy,
    Lane::Handshake,
];

/// Those of the step of input.
pub(crate) const INPUT_LANES: [Lane; 4] = [Lane::Light, Lane::New, Lane::Middle, Lane::Heavy];

/// Keys that wait, in lanes, each in the order of coming.
#[derive(Debug, Default)]
pub(crate) struct Lanes([VecDeque<Key>; LANES.len()]);

impl Lanes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    /// Appends a key to a lane, unless it has a place there already: `places` has a bit for each lane.
    pub(crate) fn push(&mut self, lane: Lane, key: Key, places: &mut u8) {
        if *places & lane.bit() == 0 {
            *places |= lane.bit();
            self[lane].push_back(key);
        }
    }

    /// How many wait in each.
    pub(crate) fn counts(&self) -> [usize; LANES.len()] {
        LANES.map(|lane| self[lane].len())
    }
}

impl Index<Lane> for Lanes {
    type Output = VecDeque<Key>;

    fn index(&self, lane: Lane) -> &VecDeque<Key> {
        &self.0[lane as usize]
    }
}

impl IndexMut<Lane> for Lanes {
    fn index_mut(&mut self, lane: Lane) -> &mut VecDeque<Key> {
        &mut self.0[lane as usize]
    }
}

/// What one connection has used of the loop lately.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Nanoseconds that were used and are not paid back.
    debt: u32,
    /// What the last slice has cost, or half of what stood here before it, if that is more.
    last: u32,
    /// When that was so.
    at: Time,
}

impl Load {
    fn debt(&self, now: Time) -> u32 {
        let paid = now.nanos_since(self.at) / PAYBACK;
        self.debt.saturating_sub(short(paid))
    }

    pub(crate) fn is_light(&self, times: &Times, now: Time) -> bool {
        self.debt == 0 || self.debt(now) <= times.light_debt
    }

    /// A slice that ended at `now` has cost `cost` nanoseconds.
    pub(crate) fn charge(&mut self, cost: u64, times: &Times, now: Time) {
        let cost = short(cost);
        // A single long one among short ones was long because the whole process did not run. The first of
        // all counts as it is: many that come and go would never pay otherwise.
        let counted = match self.last {
            0 => cost,
            last => cost.min(last.saturating_mul(4).saturating_add(times.light_debt / 2)),
        };
        let debt = self.debt(now).saturating_add(counted);
        *self = Load {
            debt: debt.min(times.debt_max),
            // Halved, and not forgotten: a cheap slice between each two dear ones excuses nothing.
            last: cost.max(self.last / 2).max(1),
            at: now,
        };
    }
}

/// As many as 32 bits hold.
fn short(nanos: u64) -> u32 {
    u32::try_from(nanos).unwrap_or(u32::MAX)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The present turn.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The connection that has its slice, and whether it is to have another.
    pub(crate) serving: Key,
    pub(crate) again: bool,
    /// A read has got as much as was asked for.
    pub(crate) is_filled: bool,
    /// Where the output of the present callback goes, and how many connections it has marked there.
    pub(crate) lane: Lane,
    pub(super) marks: u32,
    /// Bytes queued by the callbacks before, since the flush began, and by those before this slice; and how
    /// many connections the callbacks of this slice have marked.
    pub(crate) produced: usize,
    before: usize,
    writes: u32,
    /// Most that the present callback should queue.
    pub(crate) output_max: usize,
    /// When it should end.
    pub(crate) until: Time,
    /// Most that is read at once.
    pub(crate) read_max: usize,
}

impl Turn {
    pub(crate) fn new() -> Turn {
        Turn {
            serving: Key::NONE,
            again: false,
            is_filled: false,
            lane: Lane::Light,
            marks: 0,
            produced: 0,
            before: 0,
            writes: 0,
            output_max: OUTPUT_BYTES,
            until: Time::ZERO,
            read_max: usize::MAX,
        }
    }

    /// A callback begins; the one before has queued so much.
    pub(crate) fn begin_call(&mut self, produced: usize) {
        self.produced += produced;
        // No slice sets it back in turns without input.
        self.writes = self.writes.saturating_add(std::mem::take(&mut self.marks));
    }

    /// A slice has moved `bytes` from one socket to another: written already, and no cost of the flush.
    pub(crate) fn count_spliced(&mut self, bytes: usize) {
        self.produced += bytes;
        self.before += bytes;
    }

    /// A connection of this lane begins its slice at `now`; the time of its lane ends at `ends`.
    pub(crate) fn begin_slice(
        &mut self,
        key: Key,
        lane: Lane,
        times: &Times,
        now: Time,
        ends: Time,
    ) {
        let left = OUTPUT_BYTES.saturating_sub(self.produced);
        self.serving = key;
        (self.before, self.writes) = (self.produced, 0);
        (self.again, self.is_filled) = (false, false);
        // What a handshake says leaves with what new ones are told.
        self.lane = match lane {
            Lane::Handshake => Lane::New,
            lane => lane,
        };
        (self.output_max, self.until, self.read_max) = match lane {
            Lane::Light => (
                LIGHT_OUTPUT_BYTES,
                now.after(times.light_slice),
                LIGHT_READ_BYTES,
            ),
            Lane::New | Lane::Middle | Lane::Handshake => (
                MIDDLE_OUTPUT_BYTES,
                now.after(times.middle_slice),
                LIGHT_READ_BYTES,
            ),
            Lane::Heavy => (
                left.max(MIDDLE_OUTPUT_BYTES),
                ends.max(now.after(times.middle_slice)),
                usize::MAX,
            ),
        };
    }

    /// What the flush will take for the output of the present slice; its present callback has queued `produced` bytes.
    pub(crate) fn output_cost(&self, produced: usize, times: &Times) -> u64 {
        let bytes = (self.produced + produced).saturating_sub(self.before);
        times.output_nanos(bytes, self.writes + self.marks)
    }

    /// No connection has its slice.
    pub(crate) fn end_slices(&mut self, ends: Time) {
        let produced = self.produced;
        *self = Turn {
            produced,
            until: ends,
            ..Turn::new()
        };
    }

    /// Where a connection is marked for the flush: in the lane of the slice, and others than the slice's own
    /// with the heavy ones when they become many.
    pub(crate) fn lane_of_mark(&self, key: Key) -> Lane {
        if key == self.serving || self.marks < LIGHT_MARKS {
            self.lane
        } else {
            Lane::Heavy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn charge(load: &mut Load, cost: Duration, times: &Times, now: Time) {
        load.charge(nanos(cost), times, now);
    }

    #[test]
    fn one_that_comes_with_much_is_light_for_one_slice_only() {
        let (mut load, times) = (Load::default(), Times::of(Times::DEFAULT));
        let slice = Duration::from_nanos(times.middle_slice) + MILLI / 1000;
        assert!(load.is_light(&times, Time::ZERO));
        charge(&mut load, slice, &times, Time::ZERO + slice);
        assert!(!load.is_light(&times, Time::ZERO + slice));
        // Later a slice may be longer than was meant.
        let mut load = Load::default();
        charge(&mut load, slice / 50, &times, Time::ZERO);
        charge(&mut load, slice, &times, Time::ZERO + slice);
        assert!(load.is_light(&times, Time::ZERO + slice));
    }

    #[test]
    fn who_has_used_much_is_light_again_after_a_tenth_of_a_second() {
        let (mut load, mut now) = (Load::default(), Time::ZERO);
        let times = Times::of(Times::DEFAULT);
        assert!(load.is_light(&times, now));
        for _ in 0..100 {
            now = now + 5 * MILLI;
            charge(&mut load, 5 * MILLI, &times, now);
        }
        assert!(!load.is_light(&times, now + 90 * MILLI));
        assert!(load.is_light(&times, now + 101 * MILLI));
    }

    #[test]
    fn who_asks_little_and_often_stays_light_also_when_one_slice_was_interrupted() {
        let (mut load, mut now) = (Load::default(), Time::ZERO);
        let times = Times::of(Times::DEFAULT);
        for number in 0..1000 {
            now = now + 5 * MILLI;
            assert!(load.is_light(&times, now), "slice {number}");
            let interrupted = number % 100 == 50;
            let cost = if interrupted { 4 * MILLI } else { MILLI / 100 };
            charge(&mut load, cost, &times, now);
        }
    }

    #[test]
    fn who_asks_much_and_little_in_turns_is_not_light() {
        let (mut load, mut now) = (Load::default(), Time::ZERO);
        let times = Times::of(Times::DEFAULT);
        let mut light = 0;
        for number in 0..1000 {
            now = now + MILLI;
            light += u32::from(load.is_light(&times, now));
            let cost = if number % 2 == 0 {
                MILLI / 2
            } else {
                MILLI / 1000
            };
            charge(&mut load, cost, &times, now);
        }
        assert!(light < 10, "it was light {light} times of 1000");
    }
}
