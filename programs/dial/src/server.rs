//! Where the broker is, as whom to connect to it, and by what way.

use midge_protocol::Credentials;
use midge_text::host_port;

use crate::tls::{Certificates, Encryption};

/// The port of a broker that is not told another.
const PORT: u16 = 4222;

/// A broker, and how to connect and to introduce oneself to it.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// `host:port`.
    pub address: String,
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
    /// The host alone, without the brackets of an IPv6 address: the name that its certificate must have.
    #[must_use]
    pub fn host(&self) -> &str {
        host_port::split(&self.address).map_or(&self.address, |(host, _)| host)
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
    /// `host:port`.
    pub(crate) address: String,
    /// Path and query, of a WebSocket.
    pub(crate) target: String,
    pub(crate) credentials: Credentials,
}

impl Location {
    /// Reads `host`, `host:port`, `nats://host:port`, `nats://user:password@host` or `nats://token@host`; the same with
    /// `tls://`, `ws://` and `wss://`, of which the last two may have a path.
    pub(crate) fn parse(text: &str) -> Result<Location, String> {
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
            target: target.to_owned(),
            credentials,
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
            "{word}:// is not spoken here; write nats://, tls://, ws:// or wss://host:port"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for text in [
            "",
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
    }
}
