//! Where the broker is, as whom to connect to it, and by what way.

use std::path::PathBuf;

use midge_protocol::Credentials;
use midge_text::host_port;

use crate::tls::{Certificates, Encryption};

/// What a URL begins with that is the path of a Unix socket.
const UNIX: &str = "unix:";

/// The port of a broker that is not told another.
const PORT: u16 = 4222;

/// A broker, and how to connect and to introduce oneself to it.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// `host:port`, or `unix:PATH`.
    pub address: String,
    /// The path of a Unix socket, in place of host and port.
    pub unix: Option<PathBuf>,
    /// As whom.
    pub credentials: Credentials,
    /// Whether the connection is encrypted. Without a word it is if the broker requires it.
    pub encryption: Encryption,
    /// Whom to trust, and what to show.
    pub certificates: Certificates,
    /// By WebSocket.
    pub websocket: Option<WebSocket>,
}

impl Server {
    /// The host alone, without the brackets of an IPv6 address: the name that its certificate must have. At a Unix
    /// socket that is this machine.
    #[must_use]
    pub fn host(&self) -> &str {
        let address = self.authority();
        host_port::split(address).map_or(address, |(host, _)| host)
    }

    /// Host and port, as a request of HTTP names them.
    #[must_use]
    pub fn authority(&self) -> &str {
        match self.unix {
            None => &self.address,
            Some(_) => "localhost",
        }
    }

    /// Whether TLS comes before all else.
    #[must_use]
    pub fn is_tls_first(&self) -> bool {
        match (&self.websocket, self.encryption) {
            (_, Encryption::First) => true,
            (Some(_), encryption) => encryption == Encryption::Required,
            (None, _) => false,
        }
    }
}

/// What is asked for when the connection is to become a WebSocket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebSocket {
    /// Path and query: `/`.
    pub target: String,
    /// Whether messages are to be compressed.
    pub compression: bool,
}

/// By what a URL begins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Scheme {
    /// `nats://`, or nothing.
    #[default]
    Nats,
    /// `tls://`
    Tls,
    /// `ws://`
    Ws,
    /// `wss://`
    Wss,
}

impl Scheme {
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Scheme::Tls | Scheme::Wss)
    }

    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Scheme::Ws | Scheme::Wss)
    }

    /// The port where the URL has none.
    fn port(self) -> u16 {
        match self {
            Scheme::Nats | Scheme::Tls => PORT,
            Scheme::Ws => 80,
            Scheme::Wss => 443,
        }
    }
}

/// What a URL says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Location {
    pub(crate) scheme: Scheme,
    /// `host:port`, or `unix:PATH`.
    pub(crate) address: String,
    /// The path of a Unix socket.
    pub(crate) unix: Option<PathBuf>,
    /// Path and query, of a WebSocket.
    pub(crate) target: String,
    pub(crate) credentials: Credentials,
}

impl Location {
    /// Reads `host`, `host:port`, `nats://host:port`, `nats://user:password@host` or `nats://token@host`; the same with
    /// `tls://`, `ws://` and `wss://`, of which the last two may have a path. `unix:PATH` and `unix://PATH` are a Unix
    /// socket.
    pub(crate) fn parse(text: &str) -> Result<Location, String> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return Location::at_path(path.strip_prefix("//").unwrap_or(path));
        }
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Nats, text),
            Some((word, rest)) => (scheme(word)?, rest),
        };
        let (authority, target) = match rest.find('/') {
            Some(at) if scheme.is_websocket() => rest.split_at(at),
            _ => (rest.trim_end_matches('/'), "/"),
        };
        let (credentials, host) = Credentials::of_authority(authority);
        if host.contains(',') {
            return Err("more than one; name one broker, host:port".to_owned());
        }
        if host.contains('/') {
            return Err("a path; only ws:// and wss:// have one".to_owned());
        }
        Ok(Location {
            scheme,
            address: host_port::server(host, scheme.port())?,
            unix: None,
            target: target.to_owned(),
            credentials,
        })
    }

    fn at_path(path: &str) -> Result<Location, String> {
        if path.is_empty() {
            return Err("no path; write unix:/run/midge.sock".to_owned());
        }
        Ok(Location {
            address: format!("{UNIX}{path}"),
            unix: Some(path.into()),
            target: "/".to_owned(),
            ..Location::default()
        })
    }
}

fn scheme(word: &str) -> Result<Scheme, String> {
    match word {
        "nats" => Ok(Scheme::Nats),
        "tls" => Ok(Scheme::Tls),
        "ws" => Ok(Scheme::Ws),
        "wss" => Ok(Scheme::Wss),
        _ => Err(format!(
            "{word}:// is not spoken here; write nats://, tls://, ws:// or wss://host:port, or unix:PATH"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_broker_is_a_host_or_an_address_with_what_belongs_to_it() {
        for (text, scheme, address, target) in [
            ("h", Scheme::Nats, "h:4222", "/"),
            ("h:1", Scheme::Nats, "h:1", "/"),
            ("nats://h", Scheme::Nats, "h:4222", "/"),
            ("nats://h:1/", Scheme::Nats, "h:1", "/"),
            ("::1", Scheme::Nats, "[::1]:4222", "/"),
            ("[::1]", Scheme::Nats, "[::1]:4222", "/"),
            ("nats://[::1]:1", Scheme::Nats, "[::1]:1", "/"),
            ("tls://h", Scheme::Tls, "h:4222", "/"),
            ("ws://h", Scheme::Ws, "h:80", "/"),
            ("wss://[::1]:1/a?b", Scheme::Wss, "[::1]:1", "/a?b"),
            ("wss://h/", Scheme::Wss, "h:443", "/"),
        ] {
            let found = Location::parse(text).expect(text);
            let expected = (scheme, address, target);
            assert_eq!((found.scheme, &*found.address, &*found.target), expected);
        }
        for url in ["nats://ann:p@ss@h:1", "wss://ann:p@ss@h:1/x"] {
            let found = Location::parse(url).expect("user and password");
            let Credentials { user, password, .. } = found.credentials;
            let expected = (Some("ann".to_owned()), Some("p@ss".into()), "h:1");
            assert_eq!((user, password, found.address.as_str()), expected);
        }
        let found = Location::parse("tls://t0k@h").expect("a token");
        assert_eq!(found.credentials.token.as_deref(), Some("t0k"));
        for text in ["unix:/run/m.sock", "unix:///run/m.sock"] {
            let found = Location::parse(text).expect("a path");
            assert_eq!(found.unix.as_deref(), Some(Path::new("/run/m.sock")));
            assert_eq!(
                (found.address.as_str(), found.scheme),
                ("unix:/run/m.sock", Scheme::Nats)
            );
        }
        let found = Location::parse("unix:m.sock").expect("a path from here");
        assert_eq!(found.unix.as_deref(), Some(Path::new("m.sock")));
        for text in [
            "",
            "unix:",
            "unix://",
            "nats://",
            "http://h",
            "h:0",
            "h:65536",
            ":4222",
            "h,i",
            "nats://h/x",
        ] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_name_of_a_certificate_is_the_host_without_its_port() {
        for (address, host) in [("h:1", "h"), ("[::1]:1", "::1")] {
            let server = Server {
                address: address.to_owned(),
                ..Server::default()
            };
            assert_eq!(server.host(), host);
        }
        let server = Server {
            address: "unix:/run/m.sock".to_owned(),
            unix: Some("/run/m.sock".into()),
            ..Server::default()
        };
        assert_eq!(
            (server.host(), server.authority()),
            ("localhost", "localhost")
        );
    }
}
