//! What the end of one connection leaves to do for the others.

use crate::core::backpressure;
use crate::state::State;
use midge_reactor::Context;

/// Those who wait for room look again, if there is some.
#[inline]
pub(crate) fn wake_if_room_is_free(cx: &mut Context<'_, State>) {
    if cx.state.core.scratch.has_freed_room() {
        wake(cx);
    }
}

#[cold]
fn wake(cx: &mut Context<'_, State>) {
    let Context { state, io, .. } = cx;
    state.core.backpressure.caught_up(backpressure::room(), io);
}

/// Has what was noted of connections told, if anything was.
#[inline]
pub(crate) fn tell_later(cx: &mut Context<'_, State>) {
    if cx.state.events.is_to_be_scheduled() {
        cx.defer(cx.state.serving.serve);
    }
}

/// Removes the subscriptions that connections have left behind, a piece in each turn.
pub(crate) fn clear_later(cx: &mut Context<'_, State>) {
    if cx.state.core.leaving.is_to_be_scheduled() {
        cx.defer(clear);
    }
}

fn clear(cx: &mut Context<'_, State>) {
    if cx.state.core.clear_a_piece() {
        cx.defer(clear);
    }
}
