//! `/jsz`: JetStream, which is off. Exporters insist on an answer.

use super::Content;
use crate::monitor::view::View;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Jsz<'a> {
    server_id: &'a str,
    now: Timestamp,
    disabled: bool,
    config: Limits,
    #[serde(flatten)]
    usage: Usage,
    api: Api,
    #[serde(flatten)]
    stored: Stored,
}

#[derive(Default, Serialize)]
struct Limits {
    max_memory: u64,
    max_storage: u64,
}

#[derive(Default, Serialize)]
struct Usage {
    memory: u64,
    storage: u64,
    reserved_memory: u64,
    reserved_storage: u64,
    accounts: u64,
    ha_assets: u64,
}

#[derive(Default, Serialize)]
struct Api {
    total: u64,
    errors: u64,
}

#[derive(Default, Serialize)]
struct Stored {
    streams: u64,
    consumers: u64,
    messages: u64,
    bytes: u64,
    total: u64,
}

pub(super) fn answer(view: &View<'_>) -> Content {
    Content::json(&Jsz {
        server_id: view.server_id(),
        now: view.now(),
        disabled: true,
        config: Limits::default(),
        usage: Usage::default(),
        api: Api::default(),
        stored: Stored::default(),
    })
}
