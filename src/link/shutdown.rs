//! The end of the whole broker, in good order.

use crate::state::{State, Stop};
use midge_reactor::{Context, Io};
use std::time::Duration;

/// How long a stopping broker waits for its connections to take what is queued for them.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Ends the broker in good order.
pub(crate) fn shut_down(io: &mut Io<'_>) {
    log::info!(target: "midge", "Initiating Shutdown...");
    io.shutdown(SHUTDOWN_GRACE);
}

/// Ends the broker in lame duck mode if no client is left; answers whether it does.
pub(crate) fn end_if_alone(cx: &mut Context<'_, State>) -> bool {
    let alone = cx.state.lame_duck && cx.state.core.client_count() == 0;
    if alone && !cx.io.is_shutting_down() {
        cx.state.stop = Stop::LameDuck;
        shut_down(&mut cx.io);
    }
    alone
}
