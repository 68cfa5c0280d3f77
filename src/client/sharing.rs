//! What accounts are told of a client that they share it with: see `core/crossing/about.rs`.

use crate::core::crossing::About;
use crate::door::Transport;
use crate::link::Link;
use crate::records::presence::Identity;
use crate::state::State;
use jiff::Timestamp;
use midge_reactor::Context;
use serde_json::json;

/// What is told of a client that presents itself so. Its token is not: that of a bearer would let others in.
pub(super) fn about(cx: &Context<'_, State>, link: &Link, identity: &Identity) -> About {
    let label = &link.label;
    let start = Timestamp::now() - link.age(cx.now());
    let (host, server) = (label.peer.host(), &cx.state.info.server_name);
    let Identity {
        name,
        lang,
        version,
        user,
        token: _,
    } = identity;
    let texts = [
        ("user", user),
        ("name", name),
        ("lang", lang),
        ("ver", version),
    ];
    let texts = texts.iter().filter(|(_, text)| !text.is_empty());
    let texts: Vec<String> = texts
        .map(|(field, text)| format!(",{}:{}", json!(field), json!(text)))
        .collect();
    let cluster = cx.state.config.cluster_name.as_deref();
    let cluster = cluster.map_or(String::new(), |name| {
        format!(",\"cluster\":{}", json!(name))
    });
    let kind = match label.door.transport() {
        Transport::Plain => "nats",
        Transport::WebSocket => "websocket",
    };
    About {
        first: format!(
            "\"start\":{},\"host\":{},\"id\":{},",
            json!(start.to_string()),
            json!(host),
            label.cid
        )
        .into(),
        middle: texts.concat().into(),
        last: format!(
            ",\"server\":{}{cluster},\"kind\":\"Client\",\"client_type\":\"{kind}\"",
            json!(server)
        )
        .into(),
    }
}
