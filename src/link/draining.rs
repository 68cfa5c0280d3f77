//! A connection that is sent away: it gets what is queued for it, and then the end of the stream. What it says
//! before it ends its own side is still carried out.

use super::{DRAIN, Link};
use crate::core::close::CloseReason;
use crate::state::State;
use midge_reactor::{Context, Time};
use std::time::Duration;

/// How long one that is sent away may be silent before it has nothing more to say: longer than
/// what it sent before it saw the end is on its way.
const DRAIN_SILENCE_MAX: Duration = Duration::from_secs(1);

/// The same for one in the middle of an op, and how long it may go on although it was caught up with.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How much one that is sent away may still say, in bytes: several times what the kernels on both
/// sides hold of what it sent before it saw the end. It counts where midge does not catch up with it.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What one has done since it was sent away.
#[derive(Debug, Default)]
pub(super) struct Drain {
    /// What it has said, in bytes.
    said: usize,
    /// When it had got all that was queued for it, and nothing was left of what it had said.
    caught_up: Option<Time>,
}

impl Link {
    /// Sends it away, unless it is ending already; answers whether it does. The owner of the link sees to it that
    /// nothing more is delivered on it.
    pub(crate) fn begin_drain(&mut self, cx: &mut Context<'_, State>) -> bool {
        if self.reason.replace(CloseReason::ServerShutdown).is_some() {
            return false;
        }
        self.tell_end(cx);
        self.liveness.end(cx);
        cx.io.shutdown_write(cx.key());
        self.drain = Some(Drain::default());
        cx.set_deadline(DRAIN_SILENCE_MAX, DRAIN);
        true
    }

    /// It has said this number of bytes in this turn.
    pub(crate) fn said(&mut self, cx: &mut Context<'_, State>, bytes: usize) {
        if let Some(drain) = &mut self.drain {
            drain.said += bytes;
            if drain.said > DRAIN_BYTES_MAX {
                cx.close();
            }
        }
    }

    /// Looks whether one that was sent away may still have something to say that it sent before
    /// it saw the end.
    pub(super) fn check_drain(&mut self, cx: &mut Context<'_, State>) {
        let Some(drain) = &mut self.drain else {
            return;
        };
        let (key, now) = (cx.key(), cx.now());
        // It takes what is queued, which leaves within the write deadline or never; or it is held for
        // another, with input that was accepted; or there was no time yet to read it.
        if cx.queued() > 0 || cx.io.is_paused(key) || cx.io.has_unread(key) {
            cx.set_deadline(DRAIN_SILENCE_MAX, DRAIN);
            return;
        }
        let silence_max = match cx.io.unread(key) {
            0 => DRAIN_SILENCE_MAX,
            _ => DRAIN_MAX,
        };
        let caught_up = *drain.caught_up.get_or_insert(now);
        let silence = cx.idle_for().min(now - cx.io.resumed());
        let left = silence_max.saturating_sub(silence);
        if left.is_zero() || now - caught_up >= DRAIN_MAX {
            return cx.close();
        }
        cx.set_deadline(left, DRAIN);
    }
}
