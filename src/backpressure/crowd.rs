//! A bound on all queues together, `max_pending_total`.
//!
//! ```text
//! 0 ............ 1/2 ............ 3/4 ............ max_pending_total
//!                 |                |                |
//!                 again as ever    a crowd          the longest queues go
//! ```
//!
//! In a crowd every receiver with more than [`SHORT_BYTES`] queued counts as congested for those who feed
//! it, also one that reads nothing, and a client with so much queued is not read itself. Each publisher
//! goes on with its share of what all queues together have lost. If they have not lost an eighth of the
//! bound in [`PATIENCE`], or reach it, the longest are closed as slow consumers until half is left.

use super::{CATCH_UP, PATIENCE, Progress};
use crate::state::State;
use midge_reactor::{Io, Key, Time};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A queue that counts as short in a crowd, in bytes: a few messages, or the answers to many `PING`s.
pub(super) const SHORT_BYTES: usize = 64 * 1024;

/// The longest are closed no more often than this: to find them takes a look at each client.
const CLOSED_EVERY: Duration = Duration::from_millis(50);

/// Where a crowd ends and begins, below a bound of `total_bytes_max`.
pub(crate) fn marks(total_bytes_max: usize) -> (usize, usize) {
    (total_bytes_max / 2, total_bytes_max / 4 * 3)
}

/// How far all are together.
pub(super) fn progress(io: &Io<'_>) -> Progress {
    let (low, high) = io.total_marks();
    Progress {
        of: Key::NONE,
        taken: io.stats().written_bytes,
        rate: (high - low) as u64 / CATCH_UP.as_secs(),
        is_full: true,
    }
}

/// The present crowd.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// When it was last judged, and how many bytes all had taken by then.
    judged: Option<(Time, u64)>,
    /// When the longest were closed last.
    closed: Option<Time>,
}

/// Why a client was closed whose queue was among the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowded;

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all queues together were too long, and this was one of the longest")
    }
}

impl Error for Crowded {}

/// In a crowd: closes the longest queues if it is time to.
#[cold]
pub(crate) fn look(state: &mut State, io: &mut Io<'_>) {
    let (now, total, max) = (io.now(), io.total_queued(), state.total_bytes_max);
    let taken = io.stats().written_bytes;
    let crowd = &mut state.backpressure.crowd;
    let (since, before) = *crowd.judged.get_or_insert((now, taken));
    let is_old = now - since > 2 * PATIENCE;
    if total < max {
        if now - since < PATIENCE {
            return;
        }
        crowd.judged = Some((now, taken));
        // Nobody has looked for long: this is another crowd. Or it dissolves.
        if is_old || taken.saturating_sub(before) >= max as u64 / 8 {
            return;
        }
    }
    // Where that was of no use, as what is queued is others' than clients', it is not done all the time.
    if crowd.closed.is_some_and(|last| now - last < CLOSED_EVERY) {
        return;
    }
    crowd.closed = Some(now);
    crowd.judged = Some((now, taken));
    let (low, _) = marks(max);
    let queue = |(_, one): (usize, &crate::receiver::Receiver)| (io.queued(one.key), one.key);
    let mut queues: Vec<(usize, Key)> = state.receivers.iter().map(queue).collect();
    queues.sort_unstable_by(|one, other| other.cmp(one));
    let mut left: usize = queues.iter().map(|(queued, _)| queued).sum();
    for (queued, key) in queues {
        // Short ones are spared below the bound, and where the sum is others'.
        let is_spared = queued <= SHORT_BYTES && (total < max || left < low);
        if queued == 0 || is_spared || io.total_queued() <= low {
            break;
        }
        left -= queued;
        io.fail(key, Crowded);
    }
}
