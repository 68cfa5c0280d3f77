//! The end of the broker, asked for from outside: those who listen to the server's events hear of it before.

use crate::link::shutdown;
use crate::monitor::messages;
use crate::state::State;
use midge_reactor::Context;

/// Ends the broker in good order.
pub(super) fn shut_down(cx: &mut Context<'_, State>) {
    if !cx.io.is_shutting_down() {
        messages::tell_shutdown(cx);
    }
    shutdown::shut_down(&mut cx.io);
}
