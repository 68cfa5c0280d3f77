//! `/`: a page with a link to each endpoint.

use super::endpoint::{Endpoint, Made, base_path};
use super::view::View;

pub(super) fn answer(view: &View<'_>) -> Made {
    // Relative, so that they hold behind a proxy: beside this page, whose path ends with the base path.
    let base = base_path(view.state)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&#34;");
    let links: String = Endpoint::all()
        .map(|endpoint| {
            let name = endpoint.name();
            format!("<li><a href=\".{base}{name}\">{}</a></li>\n", &name[1..])
        })
        .collect();
    Made::Page(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>midge</title></head>\n\
         <body>\n<h1>midge {}</h1>\n<ul>\n{links}</ul>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    ))
}
