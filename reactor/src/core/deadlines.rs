//! Timers, and the deadlines of connections.

use super::{Core, Entry, Phase, Target, is_of};
use crate::timers::Popped;
use crate::{Close, Key, TimerId};
use slab::Slab;
use std::time::Duration;

/// So few timers are not worth looking through for those whose connections have gone.
pub(super) const TIMERS_SWEPT_MIN: usize = 64;

impl Core {
    /// Arms a timer for a handler or a closure, `delay` from when the clock was last read.
    ///
    /// # Panics
    /// If there are `timers_max` already.
    pub(crate) fn arm(
        &mut self,
        delay: Duration,
        period: Option<Duration>,
        target: Target,
    ) -> TimerId {
        self.make_room_for_a_timer();
        self.timers.arm(self.clock + delay, period, target)
    }

    /// Arms a timer for a handler, for what its peer has to do within `timeout`.
    ///
    /// # Panics
    /// As [`arm`](Core::arm).
    pub(crate) fn arm_deadline(&mut self, timeout: Duration, target: Target) -> TimerId {
        self.make_room_for_a_timer();
        self.timers.arm_deadline(self.clock, timeout, target)
    }

    /// # Panics
    /// If there are `timers_max` already.
    fn make_room_for_a_timer(&mut self) {
        let max = self.timers_max;
        if self.timers.len() >= max.min(self.timers_swept_at) {
            self.sweep_timers();
        }
        assert!(
            self.timers.len() < max,
            "{max} timers are armed, the most this reactor allows (Builder::max_timers)"
        );
    }

    /// Forgets the timers of handlers that have gone. Done when there are twice as many as the last
    /// time left over, so that its cost is shared by as many armings as it looks at timers.
    fn sweep_timers(&mut self) {
        let entries = &self.entries;
        self.timers.retain(|target| match target {
            Target::Handler(key, _) => is_of(entries, key),
            _ => true,
        });
        self.timers_swept_at = TIMERS_SWEPT_MIN.max(2 * self.timers.len());
    }

    /// Arms the timer that bounds the present phase, in place of the one before.
    pub(crate) fn arm_phase_timer(&mut self, key: Key, timeout: Duration, target: Target) {
        let timer = self.timers.arm_deadline(self.clock, timeout, target);
        self.set_phase_timer(key, timer);
    }

    /// As [`arm_phase_timer`](Core::arm_phase_timer), for a time that is not its peer's, and is not given
    /// twice.
    pub(crate) fn arm_plain_phase_timer(&mut self, key: Key, time: Duration, target: Target) {
        let timer = self.timers.arm(self.clock + time, None, target);
        self.set_phase_timer(key, timer);
    }

    fn set_phase_timer(&mut self, key: Key, timer: TimerId) {
        let before = self
            .conn_mut(key)
            .and_then(|conn| conn.phase_timer.replace(timer));
        if let Some(before) = before {
            self.timers.cancel(before);
        }
    }

    /// Arms the write timer unless it is armed: what waits now must have left when it fires.
    pub(crate) fn arm_write_timer(&mut self, key: Key) {
        let Some(Entry::Conn(conn)) = self.entries.get_mut(key.index()) else {
            return;
        };
        if let (Some(timeout), None) = (conn.write_timeout, conn.write_timer) {
            let target = Target::WriteDeadline(key);
            conn.write_target = conn.written + conn.queued() as u64;
            conn.write_timer = Some(self.timers.arm_deadline(self.clock, timeout, target));
        }
    }

    /// Arms the idle timer unless it is armed, for when the timeout ends if no byte moves until then.
    /// Not while connecting or paused: the opening and `resume` do it.
    pub(crate) fn arm_idle_timer(&mut self, key: Key) {
        let Some(Entry::Conn(conn)) = self.entries.get_mut(key.index()) else {
            return;
        };
        let waits = conn.key == key && conn.takes_input();
        if let (true, Some(timeout), None) = (waits, conn.idle_timeout, conn.idle_timer) {
            let target = Target::IdleDeadline(key);
            let left = (conn.last_activity + timeout).since(self.clock);
            conn.idle_timer = Some(self.timers.arm_deadline(self.clock, left, target));
        }
    }

    /// The idle timer has fired: closes the connection, or arms it with what remains.
    pub(crate) fn check_idle_deadline(&mut self, key: Key) {
        let now = self.now;
        let Some(conn) = self.conn_mut(key) else {
            return;
        };
        conn.idle_timer = None;
        let Some(timeout) = conn.idle_timeout else {
            return;
        };
        // Output of this turn leaves at its end, and input that the handler has put off waits here.
        let written = conn.in_dirty.is_some() && !conn.outbound.is_empty();
        let streamed = conn.stream.is_some() && conn.in_line;
        let moves = conn.rescan || (conn.writable && (written || streamed));
        if moves {
            conn.last_activity = now;
        }
        let waits = conn.takes_input();
        if waits && conn.last_activity + timeout <= now {
            self.close(key, Close::IdleTimeout);
        } else {
            self.arm_idle_timer(key);
        }
    }

    /// Takes the earliest timer that is due and was armed before the mark `pass`.
    pub(crate) fn pop_timer(&mut self, pass: u64) -> Popped<Target> {
        let entries = &self.entries;
        let behind = |target| behind(entries, target);
        self.timers.pop(self.now, pass, self.resumed, behind)
    }
}

/// Whether the judgement of `target` has to wait: what is known to have come for it was not given to
/// it, or what is queued for its peer was not offered, although there is room. Then the turn is told that
/// it had last, of those for which it stands in line: there is another to come.
fn behind(entries: &Slab<Entry>, target: Target) -> Option<u16> {
    let (key, writes) = match target {
        Target::Handler(key, _)
        | Target::ConnectDeadline(key)
        | Target::HandshakeDeadline(key)
        | Target::IdleDeadline(key) => (key, false),
        Target::WriteDeadline(key) | Target::Linger(key) => (key, true),
        _ => return None,
    };
    match entries.get(key.index())? {
        Entry::Conn(conn) if conn.key == key && writes => {
            let is_behind = conn.is_owed() && conn.is_written() && conn.in_dirty.is_some();
            is_behind.then_some(conn.offers)
        }
        Entry::Conn(conn) if conn.key == key => {
            let reads = match conn.phase {
                Phase::Open => conn.takes_input() || conn.is_handshaking(),
                Phase::Connecting => conn.writable,
                Phase::Ending | Phase::Draining | Phase::Closing => false,
            };
            (reads && conn.in_ready.is_some()).then_some(conn.slices)
        }
        Entry::Udp(udp) if udp.key == key => {
            (udp.in_ready && udp.takes_packets()).then_some(udp.slices)
        }
        Entry::Watching(watching) if watching.key == key => {
            (watching.in_ready && !watching.closing).then_some(watching.slices)
        }
        _ => None,
    }
}
