//! `host:port`, as flags and files write it and messages tell it.
//!
//! ```text
//! text        host   port
//! h:1         h      1
//! h           h      none
//! [::1]:1     ::1    1
//! [::1]       ::1    none
//! ::1         ::1    none
//! :4222       empty  4222
//! ```

use std::fmt::Display;

/// Host and port of an address. Neither is looked at: both may be empty, or not exist.
///
/// `None` where a bracket is not closed, or something else than a port stands behind it.
pub fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        // The colons of an IPv6 address: no port can be told from it.
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

/// `host:port`, with brackets round an IPv6 address.
pub fn join(host: &str, port: impl Display) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The address `text` of a server, with `default_port` where it names none.
///
/// # Errors
/// What is wrong with it, and how to write one.
pub fn server(text: &str, default_port: u16) -> Result<String, String> {
    let split = split(text).ok_or_else(|| {
        format!("could not parse address string {text:?}; write host:port, or [::1]:port for IPv6")
    });
    let (host, port) = split?;
    if host.is_empty() {
        return Err("no host; write host:port".to_owned());
    }
    match port.map_or(Ok(default_port), str::parse) {
        Ok(port @ 1..) => Ok(join(host, port)),
        _ => {
            let port = port.unwrap_or_default();
            Err(format!("invalid port {port:?}; use 1 to 65535"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_perhaps_a_port() {
        for (text, expected, address) in [
            ("h:1", Some(("h", Some("1"))), Ok("h:1")),
            ("h", Some(("h", None)), Ok("h:4222")),
            ("h:65535", Some(("h", Some("65535"))), Ok("h:65535")),
            ("[::1]:1", Some(("::1", Some("1"))), Ok("[::1]:1")),
            ("[::1]", Some(("::1", None)), Ok("[::1]:4222")),
            ("::1", Some(("::1", None)), Ok("[::1]:4222")),
            ("::1:4222", Some(("::1:4222", None)), Ok("[::1:4222]:4222")),
            ("[h]:1", Some(("h", Some("1"))), Ok("h:1")),
            ("h:0", Some(("h", Some("0"))), Err("invalid port \"0\"")),
            (
                "h:65536",
                Some(("h", Some("65536"))),
                Err("invalid port \"65536\""),
            ),
            ("h:-1", Some(("h", Some("-1"))), Err("invalid port \"-1\"")),
            ("h:", Some(("h", Some(""))), Err("invalid port \"\"")),
            ("h:x", Some(("h", Some("x"))), Err("invalid port \"x\"")),
            (":4222", Some(("", Some("4222"))), Err("no host")),
            ("[]:4222", Some(("", Some("4222"))), Err("no host")),
            (":", Some(("", Some(""))), Err("no host")),
            ("", Some(("", None)), Err("no host")),
            ("[::1", None, Err("could not parse address string")),
            ("[::1]1", None, Err("could not parse address string")),
            ("[::1]]:1", None, Err("could not parse address string")),
        ] {
            assert_eq!(split(text), expected, "{text:?}");
            match (server(text, 4222), address) {
                (Ok(found), Ok(address)) => assert_eq!(found, address, "{text:?}"),
                (Err(error), Err(words)) => assert!(error.starts_with(words), "{text:?}: {error}"),
                (found, _) => panic!("{text:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_is_joined_can_be_split() {
        for host in ["h", "127.0.0.1", "::1", ""] {
            let text = join(host, 4222);
            assert_eq!(split(&text), Some((host, Some("4222"))), "{text}");
        }
    }
}
