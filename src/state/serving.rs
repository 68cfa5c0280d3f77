//! `Serving`: what answers requests to the broker itself.
//!
//! A client brings them, and monitoring knows the answers. Neither room enters the other, so the one leaves the other's
//! function here; and so does the server with what it alone can do.

use crate::state::State;
use crate::state::dropped::Dropped;
use midge_reactor::{Context, Key, Time, TimerId};
use std::fmt;
use std::rc::Rc;

/// Answers what waits in [`Requests`](crate::core::requests::Requests), and in
/// [`Asking`](crate::state::asking::Asking), and tells what waits in [`Events`](crate::state::events::Events).
type Serve = fn(&mut Context<'_, State>);

/// Told what has come of a reload: why nothing has changed, if nothing has.
pub(crate) type Told = Box<dyn FnOnce(&mut Context<'_, State>, Result<(), String>)>;

/// Has the configuration read again.
pub(crate) type ReadAgain = Rc<dyn Fn(&mut Context<'_, State>, Told)>;

/// What answers, and how far it is.
pub(crate) struct Serving {
    pub(crate) serve: Serve,
    /// Whether it goes on in the next turn.
    pub(crate) is_busy: bool,
    /// How much was said.
    pub(crate) said: u64,
    /// Wakes when a request that is measured was not answered in time.
    pub(crate) late: Option<(Time, TimerId)>,
    /// Messages about the latency of services that were not made.
    pub(crate) unmeasured: Dropped,
    /// Closes a connection without a word.
    pub(crate) kick: fn(&mut Context<'_, State>, Key),
    /// Sends a client `INFO` as it is in lame duck mode.
    pub(crate) send_away: fn(&mut Context<'_, State>, Key),
    /// `None` if there is no configuration that could be read again.
    pub(crate) read_again: Option<ReadAgain>,
}

impl Default for Serving {
    /// Nobody asks before there is a listener.
    fn default() -> Serving {
        Serving {
            serve: |_| {},
            is_busy: false,
            said: 0,
            late: None,
            unmeasured: Dropped::default(),
            kick: |_, _| {},
            send_away: |_, _| {},
            read_again: None,
        }
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Serving { is_busy, said, .. } = self;
        let mut shown = f.debug_struct("Serving");
        shown.field("is_busy", is_busy).field("said", said);
        shown.finish_non_exhaustive()
    }
}
