//! `Faults`: what goes wrong in a simulation, and how often.

use super::rng::Rng;
use std::time::Duration;

/// The stream of random numbers that the profile of jobs and lookups is drawn from: one of its own,
/// so that it does not change what else a seed stands for.
const JOBS_STREAM: u64 = 0x6a6f_6273;

/// What goes wrong, and how often. Chances are from 0 (never) to 1 (always).
///
/// Nothing goes wrong in [`Faults::none`]; [`Faults::swarm`] draws a profile from a seed, with most
/// kinds of fault switched off in each, so that all that a kind brings to light is seen by itself
/// as well. Each kind draws from a stream of random numbers of its own: switching one off leaves
/// the others as they were.
///
/// ```
/// # use midge_reactor::sim::Faults;
/// let mut faults = Faults::swarm(7);
/// faults.reset = 0.0;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// A read gives less than there is, down to one byte.
    pub short_read: f64,
    /// A write takes less than there is room for, down to one byte.
    pub short_write: f64,
    /// A read that does not fill its buffer empties the socket, as on Linux, and the driver says so.
    /// There are no short reads then.
    pub short_read_drains: bool,
    /// A call is interrupted and has to be made again.
    pub interrupted: f64,
    /// A poll reports something of a socket of which nothing is new.
    pub spurious: f64,
    /// A poll reports an event twice.
    pub duplicate: f64,
    /// A poll reports its events in any order.
    pub shuffle: f64,
    /// A poll reports some events only; the rest comes with the next.
    pub partial_batch: f64,
    /// What arrives is reported although the last thing that came has not been read yet. Where
    /// this is 0, an event comes only after a call has answered that there is nothing.
    pub extra_edge: f64,
    /// The time from one host to another, at least.
    pub latency_min: Duration,
    /// The time from one host to another, at most.
    pub latency_max: Duration,
    /// Something that is sent, and all behind it, takes very much longer.
    pub stall: f64,
    /// How much longer, at most.
    pub stall_max: Duration,
    /// What is written arrives in several pieces.
    pub segments: f64,
    /// Bytes that may be on their way in one direction of a connection, at least.
    pub window_bytes_min: usize,
    /// Bytes that may be on their way in one direction of a connection, at most.
    pub window_bytes_max: usize,
    /// A connection is reset when bytes arrive.
    pub reset: f64,
    /// A reset overtakes what was sent before it, and loses what had arrived and was not read.
    /// Otherwise all of it can still be read, as on Linux.
    pub reset_discards: f64,
    /// An accept fails, and the connection is gone.
    pub accept_aborted: f64,
    /// An accept finds no file descriptor left, and so do all others of that host for up to half a
    /// second.
    pub accept_exhausted: f64,
    /// A connect is refused.
    pub connect_refused: f64,
    /// A connect is never answered.
    pub connect_lost: f64,
    /// A connect is answered after up to 30 seconds.
    pub connect_late: f64,
    /// How long a job on another thread takes, at most: see
    /// [`Context::offload`](crate::Context::offload).
    pub job_max: Duration,
    /// A lookup of a name fails, and so may the next.
    pub lookup_failed: f64,
    /// A lookup of a name takes up to 30 seconds.
    pub lookup_slow: f64,
    /// The program of a host is stopped for a while after a turn, in its next poll; its clock goes on,
    /// and so do its peers.
    pub pause: f64,
    /// For how long, at most.
    pub pause_max: Duration,
    /// A call of a handler takes time: the clock goes on while it runs. [`Faults::swarm`] leaves it out.
    pub call_cost: f64,
    /// How much, at most.
    pub call_cost_max: Duration,
    /// How far the clock of a host may be ahead when it starts.
    pub clock_offset_max: Duration,
    /// How much the clock of a host may be fast or slow, in millionths.
    pub clock_drift_ppm_max: u32,
    /// A link between two hosts is cut after a turn, in one direction or both, and heals by itself.
    /// What is sent meanwhile over a connection arrives afterwards; packets are lost. Between two
    /// breaks there is time for that.
    pub partition: f64,
    /// For how long, at most.
    pub partition_max: Duration,
    /// How likely it is that a site of [`Io::chance`](crate::Io::chance) is on in a run: one that is
    /// off always answers false.
    pub sites: f64,
    /// A packet is lost on its way, or the error of a port without a socket.
    pub packet_loss: f64,
    /// A packet arrives twice.
    pub packet_duplicate: f64,
    /// A packet takes longer, and those behind it overtake it.
    pub packet_reorder: f64,
    /// How much longer, at most.
    pub packet_late_max: Duration,
    /// Packets that wait in a socket to be received, at most; one more is lost, as in a kernel.
    pub packets_held_max: usize,
}

impl Faults {
    /// Nothing goes wrong: a fast and even network.
    #[must_use]
    pub fn none() -> Faults {
        Faults {
            short_read: 0.0,
            short_write: 0.0,
            short_read_drains: false,
            interrupted: 0.0,
            spurious: 0.0,
            duplicate: 0.0,
            shuffle: 0.0,
            partial_batch: 0.0,
            extra_edge: 0.0,
            latency_min: Duration::from_micros(100),
            latency_max: Duration::from_micros(200),
            stall: 0.0,
            stall_max: Duration::ZERO,
            segments: 0.0,
            window_bytes_min: 64 * 1024,
            window_bytes_max: 64 * 1024,
            reset: 0.0,
            reset_discards: 0.0,
            accept_aborted: 0.0,
            accept_exhausted: 0.0,
            connect_refused: 0.0,
            connect_lost: 0.0,
            connect_late: 0.0,
            job_max: Duration::from_millis(1),
            lookup_failed: 0.0,
            lookup_slow: 0.0,
            pause: 0.0,
            pause_max: Duration::ZERO,
            call_cost: 0.0,
            call_cost_max: Duration::ZERO,
            clock_offset_max: Duration::ZERO,
            clock_drift_ppm_max: 0,
            partition: 0.0,
            partition_max: Duration::ZERO,
            sites: 0.0,
            packet_loss: 0.0,
            packet_duplicate: 0.0,
            packet_reorder: 0.0,
            packet_late_max: Duration::ZERO,
            packets_held_max: usize::MAX,
        }
    }

    /// What differs from [`Faults::none`], a line each; nothing if nothing does.
    #[must_use]
    pub fn differences(&self) -> String {
        let (all, none) = (format!("{self:#?}"), format!("{:#?}", Faults::none()));
        let lines = all.lines().zip(none.lines());
        let differing = lines.filter(|(one, other)| one != other);
        differing.map(|(line, _)| format!("{line}\n")).collect()
    }

    /// Whether every connect to a host that listens succeeds in good time.
    #[must_use]
    pub fn all_connect(&self) -> bool {
        self.connect_refused == 0.0 && self.connect_lost == 0.0 && self.connect_late == 0.0
    }

    /// Whether every lookup of a name that is known succeeds in good time.
    #[must_use]
    pub fn all_resolve(&self) -> bool {
        self.lookup_failed == 0.0 && self.lookup_slow == 0.0
    }

    /// This profile with one kind of fault switched off, for each kind that is on.
    pub(super) fn each_without_one(&self) -> Vec<Faults> {
        let quiet = &Faults::none();
        let switches: &[fn(&mut Faults, &Faults)] = &[
            |on, off| on.short_read = off.short_read,
            |on, off| on.short_write = off.short_write,
            |on, off| on.short_read_drains = off.short_read_drains,
            |on, off| on.interrupted = off.interrupted,
            |on, off| on.spurious = off.spurious,
            |on, off| on.duplicate = off.duplicate,
            |on, off| on.shuffle = off.shuffle,
            |on, off| on.partial_batch = off.partial_batch,
            |on, off| on.extra_edge = off.extra_edge,
            |on, off| on.latency_max = off.latency_max,
            |on, off| on.stall = off.stall,
            |on, off| on.segments = off.segments,
            |on, off| on.reset = off.reset,
            |on, off| on.reset_discards = off.reset_discards,
            |on, off| on.accept_aborted = off.accept_aborted,
            |on, off| on.accept_exhausted = off.accept_exhausted,
            |on, off| {
                on.connect_refused = off.connect_refused;
                on.connect_lost = off.connect_lost;
                on.connect_late = off.connect_late;
            },
            |on, off| on.job_max = off.job_max,
            |on, off| {
                on.lookup_failed = off.lookup_failed;
                on.lookup_slow = off.lookup_slow;
            },
            |on, off| on.pause = off.pause,
            |on, off| {
                on.call_cost = off.call_cost;
                on.call_cost_max = off.call_cost_max;
            },
            |on, off| {
                on.clock_offset_max = off.clock_offset_max;
                on.clock_drift_ppm_max = off.clock_drift_ppm_max;
            },
            |on, off| {
                on.window_bytes_min = off.window_bytes_min;
                on.window_bytes_max = off.window_bytes_max;
            },
            |on, off| {
                on.partition = off.partition;
                on.partition_max = off.partition_max;
            },
            |on, off| on.sites = off.sites,
            |on, off| on.packet_loss = off.packet_loss,
            |on, off| on.packet_duplicate = off.packet_duplicate,
            |on, off| {
                on.packet_reorder = off.packet_reorder;
                on.packet_late_max = off.packet_late_max;
            },
            |on, off| on.packets_held_max = off.packets_held_max,
        ];
        let without = |switch: &fn(&mut Faults, &Faults)| {
            let mut faults = self.clone();
            switch(&mut faults, quiet);
            faults
        };
        let each = switches.iter().map(without);
        each.filter(|faults| faults != self).collect()
    }

    /// A profile drawn from `seed`. All of it is what a good program has to live with.
    #[must_use]
    pub fn swarm(seed: u64) -> Faults {
        let rng = &mut Rng::new(seed, 0);
        let quiet = Faults::none();
        let mut faults = Faults {
            short_read: often(rng),
            short_write: often(rng),
            interrupted: seldom(rng, 0.2),
            spurious: often(rng),
            duplicate: often(rng),
            shuffle: often(rng),
            partial_batch: often(rng),
            extra_edge: often(rng),
            segments: often(rng),
            reset: seldom(rng, 0.02),
            reset_discards: often(rng),
            accept_aborted: seldom(rng, 0.2),
            accept_exhausted: seldom(rng, 0.2),
            connect_refused: seldom(rng, 0.2),
            connect_lost: seldom(rng, 0.1),
            connect_late: seldom(rng, 0.1),
            stall: seldom(rng, 0.01),
            stall_max: Duration::from_millis(rng.between(1, 2_000)),
            pause: seldom(rng, 0.005),
            pause_max: Duration::from_millis(rng.between(1, 3_000)),
            clock_offset_max: Duration::from_secs(rng.up_to(3_600)),
            clock_drift_ppm_max: if rng.chance(0.3) { 500 } else { 0 },
            ..quiet
        };
        faults.short_read_drains = faults.short_read == 0.0 && rng.chance(0.7);
        if rng.chance(0.6) {
            let shift = rng.up_to(8);
            faults.latency_max += Duration::from_micros(rng.up_to(100_000) >> shift);
        }
        if rng.chance(0.5) {
            let shift = rng.up_to(12);
            faults.window_bytes_max = 1 + (rng.length(0, 65_535) >> shift);
            faults.window_bytes_min = rng.length(1, faults.window_bytes_max);
        }
        faults.draw_jobs(&mut Rng::new(seed, JOBS_STREAM));
        faults.packet_loss = seldom(rng, 0.3);
        faults.packet_duplicate = seldom(rng, 0.3);
        faults.packet_reorder = often(rng);
        faults.packet_late_max = Duration::from_micros(rng.up_to(500_000));
        if rng.chance(0.3) {
            faults.packets_held_max = rng.length(1, 64);
        }
        faults.partition = seldom(rng, 0.002);
        faults.partition_max = Duration::from_millis(rng.between(1, 3_000));
        faults.sites = if rng.chance(0.5) { 0.5 } else { 0.0 };
        faults
    }
}

impl Faults {
    fn draw_jobs(&mut self, rng: &mut Rng) {
        if rng.chance(0.5) {
            let shift = rng.up_to(12);
            self.job_max += Duration::from_micros(rng.up_to(5_000_000) >> shift);
        }
        self.lookup_failed = seldom(rng, 0.3);
        self.lookup_slow = seldom(rng, 0.2);
    }
}

/// Off in half of the profiles, anything in the other half.
fn often(rng: &mut Rng) -> f64 {
    seldom(rng, 1.0) * 0.95
}

/// Off in half of the profiles, up to `max` in the other half.
fn seldom(rng: &mut Rng, max: f64) -> f64 {
    let (on, chance) = (rng.chance(0.5), rng.unit());
    if on { chance * max } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_depends_on_nothing_but_its_seed() {
        assert_eq!(Faults::swarm(3), Faults::swarm(3));
        assert_ne!(Faults::swarm(3), Faults::swarm(4));
    }

    #[test]
    fn only_what_differs_from_no_faults_is_told() {
        let mut faults = Faults::none();
        assert_eq!(faults.differences(), "");
        faults.pause = 0.25;
        faults.pause_max = Duration::from_millis(7);
        assert_eq!(
            faults.differences(),
            "    pause: 0.25,\n    pause_max: 7ms,\n"
        );
    }

    #[test]
    fn every_kind_of_fault_is_on_in_some_profiles_and_off_in_others() {
        let kinds = |faults: &Faults| {
            [
                faults.short_read > 0.0,
                faults.short_read_drains,
                faults.spurious > 0.0,
                faults.reset > 0.0,
                faults.connect_lost > 0.0,
                faults.window_bytes_max < 100,
            ]
        };
        for kind in 0..6 {
            let on = (0..100)
                .filter(|seed| kinds(&Faults::swarm(*seed))[kind])
                .count();
            assert!((1..100).contains(&on), "kind {kind} is on in {on} of 100");
        }
    }
}
