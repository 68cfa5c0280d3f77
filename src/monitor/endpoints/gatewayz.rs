//! `/gatewayz`: gateways to other clusters, of which there are none.

use super::Content;
use super::varz::Nothing;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Gatewayz<'a> {
    server_id: &'a str,
    now: Timestamp,
    outbound_gateways: Nothing,
    inbound_gateways: Nothing,
}

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Content, Mistake> {
    query.switch("accs")?;
    Ok(Content::json(&Gatewayz {
        server_id: view.server_id(),
        now: view.now(),
        outbound_gateways: Nothing {},
        inbound_gateways: Nothing {},
    }))
}
