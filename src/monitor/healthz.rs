//! `/healthz`: whether clients may come.

use super::endpoint::Made;
use super::query::{Mistake, Query};
use super::response::INTERNAL_ERROR;
use super::view::View;
use crate::state::Phase;
use serde::Serialize;

/// What is said of a broker that takes no more clients, in nats-server's words.
pub(super) const NOT_READY: &str = "failed to be ready for connections after 1ms: server";

#[derive(Serialize)]
struct Healthz {
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'static str,
}

impl Healthz {
    /// In one line, as nothing else here.
    fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts are JSON")
    }
}

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Made, Mistake> {
    for name in ["js-server-only", "js-enabled-only", "js-enabled"] {
        query.switch(name)?;
    }
    if view.state.phase == Phase::Serving {
        let healthy = Healthz {
            status: "ok",
            error: "",
        };
        return Ok(Made::Json(healthy.body()));
    }
    log::warn!(target: "midge", "Healthcheck failed: {NOT_READY:?}");
    let failed = Healthz {
        status: "error",
        error: NOT_READY,
    };
    Ok(Made::Failure(INTERNAL_ERROR, failed.body()))
}
