//! Where the broker is, and as whom to connect to it.

use midge_protocol::Credentials;
use midge_text::host_port;

/// The port of a broker that is not told another.
const PORT: u16 = 4222;

/// A broker, and how to introduce oneself to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Server {
    /// `host:port`.
    pub(super) address: String,
    pub(super) credentials: Credentials,
}

impl Server {
    /// Reads `host`, `host:port`, `nats://host:port`, `nats://user:password@host` or
    /// `nats://token@host`.
    pub(super) fn parse(text: &str) -> Result<Server, String> {
        let (credentials, host) = Credentials::of_url(text)?;
        if host.contains(',') {
            return Err("more than one; name one broker, host:port".to_owned());
        }
        Ok(Server {
            address: host_port::server(host, PORT)?,
            credentials,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_or_an_address_with_what_belongs_to_it() {
        for (text, address) in [
            ("h", "h:4222"),
            ("h:1", "h:1"),
            ("nats://h", "h:4222"),
            ("nats://h:1/", "h:1"),
            ("::1", "[::1]:4222"),
            ("[::1]", "[::1]:4222"),
            ("nats://[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(Server::parse(text).expect(text).address, address);
        }
        let server = Server::parse("nats://ann:p@ss@h:1").expect("user and password");
        let expected = (Some("ann".to_owned()), Some("p@ss".into()), "h:1");
        assert_eq!(
            (
                server.credentials.user,
                server.credentials.password,
                server.address.as_str()
            ),
            expected
        );
        let server = Server::parse("nats://t0k@h").expect("a token");
        assert_eq!(server.credentials.token.as_deref(), Some("t0k"));
        for text in [
            "", "nats://", "tls://h", "http://h", "h:0", "h:65536", ":4222",
        ] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }
}
