//! `/routez`: routes to other servers, of which there are none.

use super::Content;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use jiff::Timestamp;
use serde::Serialize;

/// The answer.
#[derive(Serialize)]
pub(super) struct Routez<'a> {
    server_id: &'a str,
    server_name: &'a str,
    now: Timestamp,
    num_routes: usize,
    routes: [(); 0],
}

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Content, Mistake> {
    query.subscriptions()?;
    Ok(Content::json(&routez(view)))
}

pub(super) fn routez<'a>(view: &View<'a>) -> Routez<'a> {
    Routez {
        server_id: view.server_id(),
        server_name: view.server_name(),
        now: view.now(),
        num_routes: 0,
        routes: [],
    }
}
