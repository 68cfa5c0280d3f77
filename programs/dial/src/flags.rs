//! The flags that say where a broker is, as whom to connect, and by what way.

use clap::Args;
use midge_protocol::Credentials;
use midge_protocol::nkey::Seed;

use crate::keys::{Creds, creds_file, nkey_file};
use crate::server::{Location, Server, WebSocket};
use crate::tls::{CertificateFlags, Encryption};

/// Where the broker is, and how to come to it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Broker")]
pub struct BrokerFlags {
    /// Address of the broker: host, host:port or nats://user:password@host:port; also tls://, ws:// and wss://, or
    /// unix:PATH
    #[arg(
        short,
        long,
        env = "NATS_URL",
        hide_env_values = true,
        default_value = "127.0.0.1:4222"
    )]
    #[arg(value_name = "SERVER", value_parser = Location::parse)]
    server: Location,
    /// User name, or name:password
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Password of that user
    #[arg(long, requires = "user")]
    password: Option<String>,
    /// Token, instead of a user name
    #[arg(long, conflicts_with = "user")]
    token: Option<String>,
    /// File with the seed of an NKey, instead of a user name
    #[arg(long, value_name = "FILE", value_parser = nkey_file, conflicts_with_all = ["user", "token"])]
    nkey: Option<Seed>,
    /// File with a user's JWT and seed, instead of a user name
    #[arg(long, value_name = "FILE", value_parser = creds_file, conflicts_with_all = ["user", "token", "nkey"])]
    creds: Option<Creds>,
    /// Encrypt the connection, as tls:// does; without it, a connection is encrypted if the broker requires it
    #[arg(long)]
    tls: bool,
    /// Begin TLS before the broker's first word, as handshake_first of the broker wants it
    #[arg(long)]
    tlsfirst: bool,
    #[command(flatten)]
    certificates: CertificateFlags,
    /// Connect by WebSocket, as ws:// does
    #[arg(long)]
    ws: bool,
    /// Connect by WebSocket, and compress messages (permessage-deflate); the broker must agree
    #[arg(long)]
    ws_compression: bool,
}

impl BrokerFlags {
    /// What a flag says counts before what stands in the URL.
    #[must_use]
    pub fn server(&self) -> Server {
        let scheme = self.server.scheme;
        let encryption = match (self.tlsfirst, self.tls || scheme.is_tls()) {
            (true, _) => Encryption::First,
            (false, true) => Encryption::Required,
            // Who says whom to trust does not mean to speak in clear.
            (false, false) if self.certificates.are_given() => Encryption::Required,
            (false, false) => Encryption::AsBroker,
        };
        let is_websocket = self.ws || self.ws_compression || scheme.is_websocket();
        Server {
            address: self.server.address.clone(),
            unix: self.server.unix.clone(),
            credentials: self.credentials(),
            encryption,
            certificates: self.certificates.certificates(),
            websocket: is_websocket.then(|| WebSocket {
                target: self.server.target.clone(),
                compression: self.ws_compression,
            }),
        }
    }

    fn credentials(&self) -> Credentials {
        if let Some(user) = &self.user {
            Credentials::of_user(user, self.password.as_deref())
        } else if let Some(token) = &self.token {
            Credentials {
                token: Some(token.as_str().into()),
                ..Credentials::default()
            }
        } else if let Some(Creds { jwt, seed }) = &self.creds {
            Credentials {
                jwt: Some(jwt.clone()),
                seed: Some(seed.clone()),
                ..Credentials::default()
            }
        } else if self.nkey.is_some() {
            Credentials {
                seed: self.nkey.clone(),
                ..Credentials::default()
            }
        } else {
            self.server.credentials.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        broker: BrokerFlags,
    }

    fn server(line: &str) -> Result<Server, String> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(cli.broker.server())
    }

    #[test]
    fn the_way_is_what_the_scheme_or_a_flag_says() {
        use Encryption::{AsBroker, First, Required};
        for (line, encryption, is_websocket, is_tls_first) in [
            ("-s h", AsBroker, false, false),
            ("-s tls://h", Required, false, false),
            ("-s h --tls", Required, false, false),
            ("-s h --tlsca ca.pem", Required, false, false),
            ("-s h --tlsinsecure", Required, false, false),
            ("-s h --tlsfirst", First, false, true),
            ("-s ws://h", AsBroker, true, false),
            ("-s h --ws", AsBroker, true, false),
            ("-s h --ws-compression", AsBroker, true, false),
            ("-s wss://h", Required, true, true),
            ("-s h --ws --tls", Required, true, true),
            ("-s tls://h --ws", Required, true, true),
        ] {
            let server = server(line).expect(line);
            let way = (server.encryption, server.websocket.is_some());
            assert_eq!(way, (encryption, is_websocket), "{line}");
            assert_eq!(server.is_tls_first(), is_tls_first, "{line}");
        }
        for (line, expected) in [
            ("-s http://h", "write nats://, tls://, ws:// or wss://"),
            ("-s unix:", "write unix:/run/midge.sock"),
            ("-s h --tlscert c.pem", "--tlskey"),
            ("-s h --tlskey k.pem", "--tlscert"),
            ("-s h --tlsca a.pem --tlsinsecure", "cannot be used with"),
        ] {
            let error = server(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn a_flag_counts_before_the_url() {
        let server = server("-s nats://ann:p@h --user bob:q").expect("good");
        assert_eq!(server.credentials.user.as_deref(), Some("bob"));
        assert_eq!(server.credentials.password.as_deref(), Some("q"));
    }
}
