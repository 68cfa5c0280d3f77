//! `/healthz`: whether clients may come.

use super::Content;
use crate::monitor::http::response::INTERNAL_ERROR;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use serde::Serialize;

/// What is said of a broker that takes no more clients, in nats-server's words.
pub(super) const NOT_READY: &str = "failed to be ready for connections after 1ms: server";

/// A word on how it goes.
#[derive(Serialize)]
pub(super) struct Healthz {
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'static str,
}

impl Healthz {
    /// All is well.
    pub(super) fn good() -> Healthz {
        Healthz {
            status: "ok",
            error: "",
        }
    }

    /// Something is not.
    pub(super) fn bad(error: &'static str) -> Healthz {
        Healthz {
            status: "error",
            error,
        }
    }

    /// In one line, as nothing else here.
    pub(super) fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts are JSON")
    }
}

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Content, Mistake> {
    for name in ["js-server-only", "js-enabled-only", "js-enabled"] {
        query.switch(name)?;
    }
    if !view.state.lame_duck {
        return Ok(Content::Json(Healthz::good().body()));
    }
    log::warn!(target: "midge", "Healthcheck failed: {NOT_READY:?}");
    Ok(Content::Failure(
        INTERNAL_ERROR,
        Healthz::bad(NOT_READY).body(),
    ))
}
