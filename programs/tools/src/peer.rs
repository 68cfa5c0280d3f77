//! The far end of a connection, as `midge kick` and `midge top` show it.

use crate::plain;
use midge_text::host_port;
use serde_json::Value;

/// Address and port; of a process at a Unix socket, which has neither, what `/connz` tells in their place.
pub(crate) fn of(connection: &Value) -> String {
    let ip = plain::line(connection["ip"].as_str().unwrap_or_default());
    match connection["port"].as_u64() {
        None | Some(0) => ip.to_string(),
        Some(port) => host_port::join(&ip, port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_process_at_a_unix_socket_has_no_port() {
        for (connection, expected) in [
            (json!({"ip": "10.0.0.1", "port": 1}), "10.0.0.1:1"),
            (json!({"ip": "::1", "port": 1}), "[::1]:1"),
            (json!({"ip": "pid:6408/uid:0", "port": 0}), "pid:6408/uid:0"),
            (json!({"ip": "pid:6408/uid:0"}), "pid:6408/uid:0"),
        ] {
            assert_eq!(of(&connection), expected);
        }
    }
}
