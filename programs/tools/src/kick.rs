//! `midge kick`: closes connections of a broker through its monitoring port. Without `--yes` it only shows them.

use std::io::{self, Write};

use form_urlencoded::Serializer;
use serde_json::Value;

use super::cli::KickArgs;
use super::connection::Error;
use super::monitor::Method;
use super::{peer, plain};

/// More connections than any broker has: the list is complete.
const LIMIT: &str = "100000000";

/// Shows whom the filter finds, and closes them if that is meant.
pub(super) fn run(args: &KickArgs) -> Result<(), Error> {
    let method = if args.yes { Method::Post } else { Method::Get };
    let answer = args.monitoring.monitor().ask_json(method, &target(args))?;
    let connections = answer["connections"].as_array();
    let connections = connections.map_or(&[][..], Vec::as_slice);
    let mut out = io::stdout().lock();
    for connection in connections {
        writeln!(out, "{}", line(connection))?;
    }
    let count = match connections.len() {
        1 => "1 connection".to_owned(),
        count => format!("{count} connections"),
    };
    match (args.yes, connections.is_empty()) {
        (_, true) => writeln!(out, "no connection matches")?,
        (true, false) => writeln!(out, "{count} closed")?,
        (false, false) => writeln!(out, "{count} would be closed; add --yes to close")?,
    }
    Ok(out.flush()?)
}

/// The path and query of the request.
fn target(args: &KickArgs) -> String {
    let mut query = Serializer::new(String::new());
    let filters = [
        ("cid", args.cid.map(|cid| cid.to_string())),
        ("user", args.user.clone()),
        ("acc", args.account.clone()),
        ("find", args.find.clone()),
        ("all", args.all.then(|| "true".to_owned())),
        ("reason", args.reason.clone()),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    query
        .append_pair("auth", "true")
        .append_pair("limit", LIMIT);
    format!("/kick?{}", query.finish())
}

/// What is known of one: cid, address, user and name.
fn line(connection: &Value) -> String {
    let text = |name: &str| plain::line(connection[name].as_str().unwrap_or_default());
    let user = match connection["authorized_user"].as_str() {
        None | Some("") => String::new(),
        Some(user) => format!(" user {}", plain::line(user)),
    };
    let name = match &*text("name") {
        "" => String::new(),
        name => format!(" name {name}"),
    };
    let cid = &connection["cid"];
    format!("cid {cid} {}{user}{name}", peer::of(connection))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_names_the_connection_and_moves_no_cursor() {
        for (connection, expected) in [
            (
                json!({"cid": 5, "ip": "10.0.0.1", "port": 1, "authorized_user": "ann", "name": "a\u{1b}b"}),
                "cid 5 10.0.0.1:1 user ann name a?b",
            ),
            (json!({"cid": 5, "ip": "::1", "port": 1}), "cid 5 [::1]:1"),
        ] {
            assert_eq!(line(&connection), expected);
        }
    }
}
