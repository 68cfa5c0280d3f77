//! `Watch`: descriptors that the reactor watches and other code reads and writes.

use crate::{Close, Context};
use std::ops::{BitAnd, BitOr, Sub};

/// What a descriptor is watched for, and what it has become.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Readiness {
    /// It may have something to read, an end, or an error.
    pub readable: bool,
    /// It may take something, or is broken.
    pub writable: bool,
}

impl Readiness {
    /// Neither.
    pub const NONE: Readiness = Readiness {
        readable: false,
        writable: false,
    };
    /// Readable.
    pub const READABLE: Readiness = Readiness {
        readable: true,
        writable: false,
    };
    /// Writable.
    pub const WRITABLE: Readiness = Readiness {
        readable: false,
        writable: true,
    };
    /// Both.
    pub const BOTH: Readiness = Readiness {
        readable: true,
        writable: true,
    };

    /// Whether it is neither.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Readiness::NONE
    }
}

impl BitOr for Readiness {
    type Output = Readiness;

    fn bitor(self, other: Readiness) -> Readiness {
        Readiness {
            readable: self.readable || other.readable,
            writable: self.writable || other.writable,
        }
    }
}

impl BitAnd for Readiness {
    type Output = Readiness;

    fn bitand(self, other: Readiness) -> Readiness {
        Readiness {
            readable: self.readable && other.readable,
            writable: self.writable && other.writable,
        }
    }
}

impl Sub for Readiness {
    type Output = Readiness;

    fn sub(self, other: Readiness) -> Readiness {
        Readiness {
            readable: self.readable && !other.readable,
            writable: self.writable && !other.writable,
        }
    }
}

/// Whether a watched descriptor has more to give than was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    /// It may have: call again next turn, after all others have had theirs, even if nothing
    /// new happens. A handler that always answers so keeps the loop from sleeping.
    Yes,
    /// The last call answered `WouldBlock`: call again when that changes.
    No,
}

/// A foreign descriptor: a database client's socket, a device, an `inotify` queue. The
/// reactor tells when it is ready; you do the reading and writing, and own it.
///
/// Made with [`Context::watch`]. The descriptor should be non-blocking: a call that waits stops
/// every connection.
///
/// # Contract
///
/// * `on_ready` and `on_timer` any number of times, then `on_close` exactly once and last.
/// * Readiness is a hint: the call that follows tells the truth.
/// * [`Again::No`] promises that for all that `ready` named the last call answered `WouldBlock`. What
///   is left over without that promise brings no new event.
/// * `cx.key()` is the watch's own; [`cx.close()`](Context::close) ends it.
#[doc(alias = "notify_readable")]
#[doc(alias = "notify_writable")]
pub trait Watch<S = ()> {
    /// The descriptor has become ready; `ready` is what of it was asked for.
    fn on_ready(&mut self, cx: &mut Context<'_, S>, ready: Readiness) -> Again;

    /// A timer set with [`Context::set_timer`] or [`Context::set_interval`] is due.
    fn on_timer(&mut self, cx: &mut Context<'_, S>, timer: u64) {
        let _ = (cx, timer);
    }

    /// The watch has ended: it was closed, or the reactor has stopped. Your descriptor is as open
    /// as it was. The handler is dropped after this call.
    #[doc(alias = "unbind")]
    fn on_close(&mut self, cx: &mut Context<'_, S>, why: &Close) {
        let _ = (cx, why);
    }
}
