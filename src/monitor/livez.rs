//! `/livez` and `/readyz`: whether to leave the process alone, and whether to send it clients. A lame
//! duck is alive and not ready.

use super::endpoint::Made;
use super::healthz::{Healthz, NOT_READY};
use super::response::UNAVAILABLE;
use super::view::View;

/// Whoever gets an answer knows: the loop turns.
pub(super) fn live() -> Made {
    Made::Json(Healthz::good().body())
}

pub(super) fn ready(view: &View<'_>) -> Made {
    if view.state.lame_duck {
        Made::Failure(UNAVAILABLE, Healthz::bad(NOT_READY).body())
    } else {
        Made::Json(Healthz::good().body())
    }
}
