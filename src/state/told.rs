//! What may come by the thousand is told of in a bounded number of lines a second: see `auth/failures.rs`.

use crate::auth::failures::{Kind, TOLD_MAX, Told};
use crate::state::State;
use midge_reactor::Time;

/// Whether to tell of one more of this kind; tells how many were left out before it.
pub(crate) fn is_told(state: &mut State, kind: Kind, now: Time) -> bool {
    let Told { this, untold } = state.failures.tell(kind, now);
    if untold > 0 {
        let name = kind.name();
        // No louder than a line about one of them.
        let level = match kind {
            Kind::SlowConsumer => log::Level::Info,
            _ => log::Level::Error,
        };
        log::log!(target: "midge", level, "{untold} more {name} were not told of, at most {TOLD_MAX} a second are");
    }
    this
}

/// Whether to tell of one more slow consumer.
pub(crate) fn is_slow_told(state: &mut State, now: Time) -> bool {
    is_told(state, Kind::SlowConsumer, now)
}
