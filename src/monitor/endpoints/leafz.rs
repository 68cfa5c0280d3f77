//! `/leafz`: leaf nodes, of which there are none.

use super::Content;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Leafz<'a> {
    server_id: &'a str,
    now: Timestamp,
    leafnodes: usize,
    leafs: [(); 0],
}

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Content, Mistake> {
    query.switch("subs")?;
    Ok(Content::json(&Leafz {
        server_id: view.server_id(),
        now: view.now(),
        leafnodes: 0,
        leafs: [],
    }))
}
