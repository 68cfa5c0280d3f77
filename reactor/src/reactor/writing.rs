//! Output: each connection with something new is written once per turn.

use super::Reactor;
use crate::core::{Conn, LANES, Lane, OUTPUT_BYTES, Phase, Target};
use crate::handler::Close;
use crate::outbound::{Outbound, PIECES_MAX, Pool};
use crate::{Driver, Key, LINGER, Time};
use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

/// Most bytes written to one connection in a turn; the rest goes on in the next.
const WRITE_BYTES_MAX: usize = 1024 * 1024;

/// So few are written before the clock is looked at again.
const WRITES_BETWEEN_LOOKS: usize = 8;
/// The same while light ones wait: a write may cost as much as a look at the clock a hundred times over.
const WRITES_BETWEEN_LOOKS_BESIDE_LIGHT: usize = 2;

/// So little is written before the clock is looked at again.
const BYTES_BETWEEN_LOOKS: u64 = 256 * 1024;

/// How long to wait for the peer's end after ours, before closing regardless: as long as it takes a
/// peer that is near to see our end, and not so long that anyone could use it to go on.
const DRAIN: Duration = Duration::from_millis(25);

/// How long a connection rests for which the system had no memory. Its write deadline goes on.
const SHORTAGE_REST: Duration = Duration::from_millis(20);

impl<S> Reactor<S> {
    /// Writes each connection marked dirty, once, as far as the time for it goes: the light ones first.
    pub(super) fn flush(&mut self) {
        self.core.begin_call();
        let produced = std::mem::take(&mut self.core.turn.produced);
        if self.core.dirty.is_empty() && self.core.streams.is_empty() {
            return;
        }
        self.begin_step(self.core.times.flush);
        self.flush_lanes();
        if !self.core.streams.is_empty() {
            self.run_streams(OUTPUT_BYTES.saturating_sub(produced));
        }
    }

    /// What the light connections of this turn have brought about leaves before heavy ones have their slices, of which
    /// it would wait for all; answers when it has.
    pub(super) fn flush_light(&mut self) -> Time {
        for _ in 0..self.core.dirty[Lane::Light].len() {
            self.flush_next(Lane::Light);
            if self.step_is_over() {
                break;
            }
        }
        self.core.clock
    }

    fn flush_lanes(&mut self) {
        // Calls to `on_drain` may mark others, for the next turn.
        let counts = self.core.dirty.counts();
        let mut is_cut = false;
        for lane in LANES {
            let count = counts[lane as usize];
            if count == 0 {
                continue;
            }
            // As for input, each lane gets its least, and heavy ones no more than a part beside light ones.
            let (began, times) = (self.core.clock, &self.core.times);
            self.step_ends = self.step_ends.max(began.after(times.least[lane as usize]));
            let mut writes_max = WRITES_BETWEEN_LOOKS;
            if lane == Lane::Heavy && times.is_recent(self.light_at, began) {
                let others = began.nanos_since(self.core.now);
                let time = times.heavy_flush_beside_light(others);
                self.step_ends = self.step_ends.min(began.after(time));
                writes_max = WRITES_BETWEEN_LOOKS_BESIDE_LIGHT;
            }
            let mut left = count;
            while left > 0 {
                let (mut writes, written) = (0, self.core.stats.written_bytes);
                let is_little = |now: u64| now - written < BYTES_BETWEEN_LOOKS;
                while left > 0 && writes < writes_max && is_little(self.core.stats.written_bytes) {
                    left -= 1;
                    writes += usize::from(self.flush_next(lane));
                }
                if left > 0 && self.step_is_over() {
                    is_cut = true;
                    break;
                }
            }
            if lane == Lane::Heavy {
                self.owed += self.read_clock().nanos_since(began);
                let written = count - left;
                self.unwritten = match self.unwritten {
                    0 => left,
                    before => before.saturating_sub(written),
                };
            }
        }
        self.core.forget_windows(is_cut);
    }

    /// Writes the next one of a lane; answers whether there was anything to write.
    fn flush_next(&mut self, lane: Lane) -> bool {
        let Some(key) = self.core.dirty[lane].pop_front() else {
            return false;
        };
        if let Some(conn) = self.core.conn_mut(key) {
            conn.dirty_places &= !lane.bit();
            // One that was promoted has left its place here.
            if conn.in_dirty != Some(lane) {
                return false;
            }
            conn.in_dirty = None;
            conn.outbound.shut_window();
            self.flush_one(key);
            self.core.count_queue(key);
        } else if let Some(udp) = self.core.udp_mut(key) {
            udp.in_dirty = false;
            self.flush_udp(key);
        } else {
            return false;
        }
        self.after_callback();
        true
    }

    pub(super) fn flush_one(&mut self, key: Key) {
        let now = self.moment(key);
        self.line_up(key);
        let Some((conn, pools)) = self.core.conn_and_pools(key) else {
            return;
        };
        if !conn.is_written() {
            return;
        }
        conn.outbound.shut_window();
        conn.offers = conn.offers.wrapping_add(1);
        let before = conn.written;
        let written = write_out(&mut *self.driver, conn, &mut pools.outbound, now);
        let taken = conn.written - before;
        let is_flushed = conn.is_flushed();
        // Before the handshake is over nothing goes on, writable or not.
        let goes_on =
            !is_flushed && conn.writable && (!conn.wire().is_empty() || conn.is_sealing_cut());
        if !is_flushed && !goes_on {
            conn.wire_mut().trim();
            conn.queued_peak = conn.queued_peak.max(conn.queued());
        }
        self.core.stats.writes += written.calls;
        self.core.stats.written_bytes += taken;
        if let Some(error) = written.error {
            return self.write_failed(key, error);
        }
        if written.is_short {
            self.try_again(key);
        }
        if is_flushed {
            self.flushed(key);
        } else if goes_on {
            self.core.mark_dirty(key);
        } else {
            self.arm_write_timer(key);
        }
        self.queue_is_shorter(key);
    }

    /// What fills the queue, and its handler, go on if it is short enough.
    fn queue_is_shorter(&mut self, key: Key) {
        let waits = |conn: &Conn| conn.stream.is_some() || conn.fed_by.is_some() || conn.congested;
        if !self.core.conn(key).is_some_and(waits) {
            return;
        }
        self.line_up(key);
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        if conn.fed_by.is_some() {
            self.core.feed_again(key);
        }
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        if conn.congested && conn.queued() <= conn.low {
            conn.congested = false;
            let open = conn.phase == Phase::Open;
            self.core.total.relieve();
            if open {
                self.call(key, "on_drain", |handler, cx| handler.on_drain(cx));
            }
        }
    }

    /// Arms the write timer, if there is to be one and it is not armed yet.
    fn arm_write_timer(&mut self, key: Key) {
        let wants = |conn: &Conn| conn.write_timeout.is_some() && conn.write_timer.is_none();
        if self.core.conn(key).is_some_and(wants) {
            self.read_clock();
            self.core.arm_write_timer(key);
        }
    }

    /// Reads and writes this socket after a while: no edge tells that the system has memory again.
    pub(super) fn try_again(&mut self, key: Key) {
        let again = self.read_clock() + SHORTAGE_REST;
        self.core.rest_until(key, again);
    }

    /// Nothing can be sent any more. A peer that sends its last and hangs up without reading is
    /// first noticed here: what it has sent is still to be read, so reading decides about the end;
    /// while it is paused, that waits.
    fn write_failed(&mut self, key: Key, error: io::Error) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let why = Close::of_error(error);
        if conn.apart && conn.phase == Phase::Open && !conn.eof {
            return self.pipe_broken(key);
        }
        if conn.phase != Phase::Open || conn.eof {
            self.core.close(key, why);
            return;
        }
        conn.broken = Some(why);
        conn.outbound.shut_window();
        conn.writable = false;
        conn.readable = true;
        conn.hangup = true;
        let timer = conn.write_timer.take();
        conn.write_timeout = None;
        if let Some(timer) = timer {
            self.core.timers.cancel(timer);
        }
        self.core.enqueue(key);
        self.tell_feeder(key);
        self.end_broken_stream(key);
    }

    /// Our pipe has no reader any more. The other one has its own end, and may have much to say
    /// before: a program that wants no more input is often about to answer.
    fn pipe_broken(&mut self, key: Key) {
        let Some((conn, pools)) = self.core.conn_and_pools(key) else {
            return;
        };
        conn.outbound.clear(&mut pools.outbound);
        conn.wants_write_end = true;
        conn.outbound.shut_window();
        self.flushed(key);
        self.core.mark_dirty(key);
    }

    /// The queue is empty: what was to happen then?
    fn flushed(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let is_open = conn.phase == Phase::Open && !conn.wants_write_end && !conn.apart;
        if is_open && conn.write_timer.is_none() {
            return;
        }
        if let Some(timer) = conn.write_timer.take() {
            self.core.timers.cancel(timer);
        }
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        let ending = conn.phase == Phase::Ending;
        if (ending || conn.wants_write_end) && !conn.sent_write_end {
            conn.sent_write_end = true;
            // It fails only on a connection that is broken, which reading will tell.
            let _ = self.driver.shutdown_write(key);
            // If that pipe was all there was, a read tells and no event does.
            conn.readable |= conn.apart;
            if conn.eof && !ending {
                // Both directions have ended: nothing can happen here any more.
                self.core.close(key, Close::Peer);
                return;
            }
        }
        if ending {
            conn.phase = Phase::Draining;
            conn.dropped = 0;
            if conn.eof {
                self.core.close(key, Close::Local);
            } else {
                self.read_clock();
                let target = Target::Linger(key);
                self.core.arm_plain_phase_timer(key, DRAIN, target);
                self.core.enqueue(key);
            }
        } else if conn.apart && conn.readable {
            self.core.enqueue(key);
        }
    }

    /// The time of a connection that is ending is over, unless its queue has moved meanwhile:
    /// a peer that keeps reading gets all that was sent before the close.
    pub(super) fn check_linger(&mut self, key: Key) {
        let now = self.core.now;
        let Some(conn) = self.core.conn(key) else {
            // Packets that the kernel does not take for so long are of no use to anyone.
            self.core.close(key, Close::Local);
            return;
        };
        let left = (conn.last_progress + LINGER).since(now);
        if conn.phase == Phase::Ending && !left.is_zero() && conn.queued() > 0 {
            self.read_clock();
            self.core.arm_phase_timer(key, left, Target::Linger(key));
        } else {
            self.core.close(key, Close::Local);
        }
    }

    pub(super) fn check_write_deadline(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        conn.write_timer = None;
        if conn.queued() == 0 {
            return;
        }
        if conn.written < conn.write_target {
            self.core.close(key, Close::WriteTimeout);
        } else {
            // All that waited when the timer was armed has left; the rest has its own deadline.
            self.core.mark_dirty(key);
        }
    }
}

/// Whether a call has failed for want of the system's memory, of which there may be some again soon.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let shortages = [rustix::io::Errno::NOBUFS, rustix::io::Errno::NOMEM];
    let errno = rustix::io::Errno::from_io_error(error);
    errno.is_some_and(|errno| shortages.contains(&errno))
}

/// What became of a connection's share of the flush.
struct Written {
    calls: u64,
    error: Option<io::Error>,
    /// The system had no memory.
    is_short: bool,
}

/// Writes what waits for the socket, until that is full or enough was written.
fn write_out(driver: &mut dyn Driver, conn: &mut Conn, pool: &mut Pool, now: Time) -> Written {
    let mut budget = WRITE_BYTES_MAX;
    let mut written = Written {
        calls: 0,
        error: None,
        is_short: false,
    };
    conn.begin_sealing(pool);
    while conn.writable && budget > 0 {
        let wire = conn.wire();
        if wire.is_empty() {
            break;
        }
        let (offered, result) = offer(driver, conn.key, wire, budget);
        written.calls += 1;
        match result {
            Ok(taken) => {
                // Part of it means that the kernel is full; an edge will tell when it is not.
                conn.writable = taken == offered;
                conn.wire_mut().advance(taken, pool);
                conn.written += taken as u64;
                conn.last_progress = now;
                conn.last_activity = now;
                budget -= taken;
                conn.seal(pool);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => conn.writable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_shortage(&error) => {
                (conn.writable, written.is_short) = (false, true);
            }
            Err(error) => {
                written.error = Some(error);
                break;
            }
        }
    }
    written
}

/// One write, `budget` bytes at most: how much was offered, and what became of it.
fn offer(
    driver: &mut dyn Driver,
    key: Key,
    wire: &Outbound,
    budget: usize,
) -> (usize, io::Result<usize>) {
    if let Some(piece) = wire.only_piece(budget) {
        return (piece.len(), driver.write(key, &[IoSlice::new(piece)]));
    }
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    let count = wire.pieces(&mut pieces, budget);
    let offered = pieces[..count].iter().map(|piece| piece.len()).sum();
    (offered, driver.write(key, &pieces[..count]))
}
