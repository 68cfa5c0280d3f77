//! `/`: the dashboard, and a link to each endpoint for whoever looks for them there.
//!
//! One page that asks for nothing from elsewhere. Its parts lie in `dashboard/`, one idea a file; its
//! scripts are one script, in the order in which they stand here, and ask the endpoints beside it.

use super::endpoint::{Endpoint, Made, base_path};
use super::view::View;

const HEAD: &str = concat!(
    include_str!("dashboard/head.html"),
    "<style>\n",
    include_str!("dashboard/look.css"),
    "</style>\n</head>\n"
);
/// With `{base}`, `{version}` and `{links}` to be filled in.
const BODY: &str = include_str!("dashboard/page.html");
const SCRIPT: &str = concat!(
    "<script type=\"module\">\n",
    include_str!("dashboard/text.js"),
    include_str!("dashboard/ask.js"),
    include_str!("dashboard/charts.js"),
    include_str!("dashboard/overview.js"),
    include_str!("dashboard/connections.js"),
    include_str!("dashboard/subscriptions.js"),
    include_str!("dashboard/traffic.js"),
    include_str!("dashboard/rounds.js"),
    "</script>\n</body>\n</html>\n"
);

pub(super) fn answer(view: &View<'_>) -> Made {
    // Relative, so that they hold behind a proxy: beside this page, whose path ends with the base path.
    let base = base_path(view.state)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&#34;");
    let base = format!(".{base}");
    let links: String = Endpoint::all()
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
    Made::Page([HEAD, &body, SCRIPT].concat())
}
