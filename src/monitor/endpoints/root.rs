//! `/`: the dashboard, and a link to each endpoint that shows something.
//!
//! One page that asks for nothing from elsewhere. Its parts lie in `dashboard/`, one idea a file; its
//! scripts are one script, in the order in which they stand here, and ask the endpoints beside it. What
//! they would ask first is in the page already, with the traffic of the last minutes, so that it has
//! something to show when it is painted first.

use super::{Content, Endpoint, base_path};
use super::{slowz, varz};
use crate::door::Door;
use crate::monitor::view::View;
use serde_json::{Value, json};

const HEAD: &str = concat!(
    include_str!("../dashboard/head.html"),
    "<style>\n",
    include_str!("../dashboard/look.css"),
    "</style>\n</head>\n"
);
/// With `{base}`, `{version}` and `{links}` to be filled in.
const BODY: &str = include_str!("../dashboard/page.html");
const SCRIPT: &str = concat!(
    "<script type=\"module\">\n",
    include_str!("../dashboard/text.js"),
    include_str!("../dashboard/ask.js"),
    include_str!("../dashboard/charts.js"),
    include_str!("../dashboard/overview.js"),
    include_str!("../dashboard/connections.js"),
    include_str!("../dashboard/subscriptions.js"),
    include_str!("../dashboard/accounts.js"),
    include_str!("../dashboard/traffic.js"),
    include_str!("../dashboard/watch.js"),
    include_str!("../dashboard/rounds.js"),
    "</script>\n</body>\n</html>\n"
);

pub(super) fn answer(view: &View<'_>) -> Content {
    // Relative, so that they hold behind a proxy: beside this page, whose path ends with the base path.
    let base = base_path(view.state)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&#34;");
    let base = format!(".{base}");
    let links: String = Endpoint::all()
        .filter(|endpoint| *endpoint != Endpoint::Kick)
        .map(|endpoint| {
            let name = endpoint.name();
            format!("<li><a href=\"{base}{name}\">{}</a></li>\n", &name[1..])
        })
        .collect();
    let body = BODY
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{links}", &links)
        // Last: it is the operator's text.
        .replace("{base}", &base);
    Content::Page {
        text: [HEAD, &body, &first(view), SCRIPT].concat(),
        may_ask: websocket(view),
    }
}

/// Where the page may open a WebSocket besides the server that it came from, as its policy says it: the listener for clients,
/// if there is one, by the name that is advertised or else by any, since the broker does not know by which it is reached.
fn websocket(view: &View<'_>) -> String {
    let state = view.state;
    let (Some(config), Some(door)) = (&state.config.websocket, state.door(Door::WebSocket)) else {
        return String::new();
    };
    let advertised = config.advertise.as_ref();
    let port = advertised.and_then(|to| to.port).unwrap_or(door.port);
    let is_name = |host: &&str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        host.chars().all(is_part)
    };
    let host = advertised.map(|to| &*to.host).filter(is_name);
    let host = host.unwrap_or("*");
    format!("ws://{host}:{port} wss://{host}:{port}")
}

/// What is known when the page is asked for, as JSON that a page may contain.
fn first(view: &View<'_>) -> String {
    let told = |made: Content| match made {
        Content::Json(text) => serde_json::from_slice(&text).unwrap_or_default(),
        _ => Value::Null,
    };
    let moments = view.records.history.moments();
    let history: Vec<Value> = moments
        .map(|one| {
            json!({
                "now": view.wall_of(one.time),
                "in_msgs": one.stats.received.messages,
                "out_msgs": one.stats.sent.messages,
                "in_bytes": one.stats.received.bytes,
                "out_bytes": one.stats.sent.bytes,
            })
        })
        .collect();
    let first = json!({
        "varz": told(varz::answer(view)),
        "slowz": told(slowz::answer(view)),
        "history": history,
    });
    // What clients call themselves stands in it: no text may end the element.
    let text = first.to_string().replace('<', "\\u003c");
    format!("<script type=\"application/json\" id=\"first\">{text}</script>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::view::fake;
    use crate::records::Stats;
    use midge_reactor::Time;

    #[test]
    fn what_is_known_at_first_is_json_that_cannot_end_its_element() {
        let (mut state, mut records) = fake::broker();
        state.info.server_name = "</script><b>".to_owned();
        records.history.note(Time::ZERO, Stats::default());
        let text = first(&fake::view(&state, &records));
        let (head, rest) = text.split_once('>').expect("an element");
        let json = rest.strip_suffix("</script>\n").expect("it ends");
        assert!(
            head.contains("id=\"first\"") && !json.contains('<'),
            "{text}"
        );
        let first: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(first["varz"]["server_name"], "</script><b>");
        assert_eq!(first["history"][0]["in_msgs"], 0);
        assert!(first["slowz"]["slow"].is_array());
    }
}
