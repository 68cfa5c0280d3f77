//! Who turns next, and when time moves on.

use super::Sim;
use super::net::nanos;
use crate::{Key, Time};
use std::time::Duration;

/// How long it may take until a host that has something to do turns, at most.
const TURN_DELAY: Duration = Duration::from_micros(20);

/// How much a turn with a cause makes up for turns without.
const CAUSE_WORTH: usize = 8;

/// Turns in which nothing happens that a host may take, one after the other.
const IDLE_TURNS_MAX: usize = 20_000;

impl Sim {
    /// Lets one host turn that has something to do; if none has, moves the time on to whatever
    /// comes next. Answers `false` if nothing will ever happen.
    pub fn step(&mut self) -> bool {
        self.step_until(u64::MAX, true)
    }

    /// Runs until the clock shows `time`.
    pub fn run_until(&mut self, time: Time) {
        while self.now() < time && self.step_until(time.as_nanos(), true) {}
        let mut net = self.net.borrow_mut();
        net.clock = net.clock.max(time.as_nanos());
    }

    /// Runs for so long, as the simulation's clock goes.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now() + time);
    }

    /// Runs until no host has anything to do and nothing is on its way. Timers that lie ahead are
    /// left there.
    pub fn run_until_idle(&mut self) {
        while self.step_until(u64::MAX, false) {}
    }

    /// Runs until `wanted` answers true, which is asked before each step.
    ///
    /// # Panics
    /// If it is not true within `limit`.
    pub fn eventually(&mut self, limit: Duration, mut wanted: impl FnMut(&mut Sim) -> bool) {
        let end = self.now() + limit;
        while !wanted(self) {
            let goes_on = self.now() < end && self.step_until(end.as_nanos(), true);
            assert!(goes_on, "what was to be did not come true within {limit:?}");
        }
    }

    fn step_until(&mut self, limit: u64, timers: bool) -> bool {
        self.net.borrow_mut().happen();
        let able: Vec<usize> = (0..self.nodes.len())
            .filter(|index| self.wakes_at(*index, true).is_some_and(|at| at == 0))
            .collect();
        if able.is_empty() {
            let hosts = (0..self.nodes.len()).filter_map(|index| self.wakes_at(index, timers));
            let next = hosts
                .min()
                .into_iter()
                .chain(self.net.borrow().next())
                .min();
            let Some(next) = next.filter(|next| *next <= limit) else {
                return false;
            };
            let mut net = self.net.borrow_mut();
            net.clock = net.clock.max(next);
            net.happen();
            return true;
        }
        let pick = {
            let mut net = self.net.borrow_mut();
            let pick = net.rng.schedule.length(0, able.len() - 1);
            net.creep(TURN_DELAY);
            pick
        };
        self.turn(able[pick]);
        true
    }

    /// When a host will have something to do: zero for now, `None` if only others can tell.
    fn wakes_at(&mut self, index: usize, timers: bool) -> Option<u64> {
        let net = self.net.borrow();
        let (node, host) = (&mut self.nodes[index], &net.hosts[index]);
        let machine = node.machine.as_mut().filter(|_| !node.ended)?;
        let has_work =
            !host.ready.is_empty() || !host.signals.is_empty() || host.bell.is_rung() || node.awake;
        let wakes_at = if has_work {
            0
        } else {
            let deadline = machine.deadline().filter(|_| timers)?;
            host.clock.instant(deadline.as_nanos())
        };
        let wakes_at = wakes_at.max(node.paused_until);
        Some(if wakes_at <= net.clock { 0 } else { wakes_at })
    }

    fn turn(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(machine) = &mut node.machine else {
            return;
        };
        {
            let net = &mut *self.net.borrow_mut();
            let now = net.now_of(index);
            net.hosts[index].has_cause = machine.deadline().is_some_and(|due| due <= now);
            net.note(index, Key::NONE, "turn", None);
        }
        machine.turn();
        if machine.is_stopping() {
            machine.end();
            node.ended = true;
        }
        // What comes from outside after this has to wake it.
        node.awake = machine.has_work();
        let net = &mut *self.net.borrow_mut();
        if net.hosts[index].has_cause {
            node.idle_turns = node.idle_turns.saturating_sub(CAUSE_WORTH);
        } else {
            node.idle_turns += 1;
            assert!(
                node.idle_turns < IDLE_TURNS_MAX,
                "{} turns and turns without a cause",
                node.name
            );
        }
        net.break_links();
        if net.rng.pause.chance(net.faults.pause) {
            let time = net.rng.pause.up_to(nanos(net.faults.pause_max));
            node.paused_until = net.clock + time;
            net.hosts[index].cut_short = true;
        }
    }
}
