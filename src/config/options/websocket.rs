//! The block `websocket`: where clients may come by WebSocket, and on what terms.

use super::authorization::Secrets;
use super::reader::{Reader, go_type};
use crate::config::language::{Kind, Pair};
use crate::config::{Advertise, Auth, WebSocket};

const KEYS: [&str; 31] = [
    "listen",
    "port",
    "host",
    "net",
    "advertise",
    "no_tls",
    "tls",
    "same_origin",
    "allowed_origins",
    "allowed_origin",
    "allow_origins",
    "allow_origin",
    "origins",
    "origin",
    "handshake_timeout",
    "compression",
    "compress",
    "authorization",
    "authentication",
    "jwt_cookie",
    "user_cookie",
    "pass_cookie",
    "token_cookie",
    "no_auth_user",
    "headers",
    "ping_interval",
    "proxy_protocol",
    // Of its authorization:
    "user",
    "pass",
    "token",
    "timeout",
];

/// How many of [`KEYS`] the block itself may have.
const BLOCK_KEYS: usize = 27;

impl Reader<'_> {
    /// Reads the block.
    pub(super) fn websocket(&mut self, pair: &Pair) {
        let Kind::Map(map) = &pair.value.kind else {
            let text = format!(
                "Expected websocket to be a map, got {}",
                go_type(&pair.value.kind)
            );
            return self.report.error(&pair.at, text);
        };
        let (mut websocket, mut has_port) = (WebSocket::default(), false);
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "listen" => {
                    if let Some((host, port)) = self.address(pair) {
                        websocket.host = host.unwrap_or_else(|| WebSocket::default().host);
                        (websocket.port, has_port) = (port.unwrap_or(0), port.is_some());
                    }
                }
                "port" => {
                    if let Some(port) = self.port(pair) {
                        (websocket.port, has_port) = (port.unwrap_or(0), port.is_some());
                    }
                }
                "host" | "net" => {
                    let host = self.text(pair).filter(|host| !host.is_empty());
                    websocket.host = host.unwrap_or_else(|| WebSocket::default().host);
                }
                _ => self.websocket_term(pair, &mut websocket),
            }
        }
        // Without a port nothing listens, as in nats-server.
        self.options.config.websocket = has_port.then_some(websocket);
        if !has_port {
            self.ignore(
                pair,
                "there is no port in it, so nothing listens; add port: 8080",
            );
        }
    }

    /// One that is no part of the address.
    fn websocket_term(&mut self, pair: &Pair, websocket: &mut WebSocket) {
        match pair.key.to_ascii_lowercase().as_str() {
            "advertise" => match Advertise::parse(&self.text(pair).unwrap_or_default()) {
                Ok(advertise) => websocket.advertise = advertise,
                Err(wrong) => self.report.error(&pair.at, wrong),
            },
            "no_tls" => websocket.no_tls = self.switch(pair).unwrap_or_default(),
            "tls" => {
                websocket.tls = self.tls_block(pair);
                self.handshake_always_first(pair);
            }
            "same_origin" => websocket.same_origin = self.switch(pair).unwrap_or_default(),
            "allowed_origins" | "allowed_origin" | "allow_origins" | "allow_origin" | "origins"
            | "origin" => websocket.allowed_origins = self.texts(pair).unwrap_or_default(),
            "handshake_timeout" => {
                if let Some(time) = self.duration(pair).filter(|time| !time.is_zero()) {
                    websocket.handshake_timeout = time;
                }
            }
            "compression" | "compress" => {
                websocket.compression = self.switch(pair).unwrap_or_default();
            }
            "authorization" | "authentication" => self.websocket_authorization(pair, websocket),
            "jwt_cookie" => websocket.jwt_cookie = self.name(pair),
            "user_cookie" => websocket.user_cookie = self.name(pair),
            "pass_cookie" => websocket.pass_cookie = self.name(pair),
            "token_cookie" => websocket.token_cookie = self.name(pair),
            "no_auth_user" => websocket.no_auth_user = self.name(pair),
            "proxy_protocol" => websocket.proxy_protocol = self.proxy_protocol(pair),
            "headers" => self.refuse(
                pair,
                "fields of one's own in the answer are not implemented",
            ),
            "ping_interval" => {
                self.refuse(pair, "all clients have the ping_interval of the server");
            }
            _ if pair.used => {}
            _ => self.unknown(pair, "", KEYS[..BLOCK_KEYS].iter().copied()),
        }
    }

    /// Says of a `handshake_first` in the block for TLS that it decides nothing, unless it is as things are.
    fn handshake_always_first(&mut self, pair: &Pair) {
        let Kind::Map(map) = &pair.value.kind else {
            return;
        };
        let names = ["handshake_first", "first", "immediate"];
        let one = map
            .iter()
            .find(|pair| names.contains(&&*pair.key.to_ascii_lowercase()));
        if let Some(one) = one.filter(|one| one.value.kind != Kind::Bool(true)) {
            self.ignore(one, "the TLS of WebSocket begins with the first byte");
        }
    }

    /// A text, where an empty one is none.
    fn name(&mut self, pair: &Pair) -> Option<String> {
        self.text(pair).filter(|text| !text.is_empty())
    }

    /// What clients must present here, in place of what others must.
    fn websocket_authorization(&mut self, pair: &Pair, websocket: &mut WebSocket) {
        let Some(map) = self.map(pair) else { return };
        let mut secrets = Secrets::default();
        for pair in map.iter() {
            if secrets.read(self, pair) {
                continue;
            }
            match pair.key.to_ascii_lowercase().as_str() {
                "timeout" => websocket.auth_timeout = self.seconds(pair, "authorization"),
                "users" => {
                    self.refuse(pair, "users stand in the authorization block of the server");
                }
                _ if pair.used => {}
                _ => self.unknown(pair, "", KEYS[BLOCK_KEYS..].iter().copied()),
            }
        }
        let Secrets { user, pass, token } = secrets;
        websocket.auth = match (user, pass, token) {
            (None, None, None) => Auth::None,
            (None, None, Some(token)) => Auth::Token(token.into()),
            (Some(user), pass, None) => Auth::User {
                user,
                pass: pass.unwrap_or_default().into(),
            },
            (None, Some(_), _) => {
                let text = "the block has a password and no user; add user: NAME";
                return self.report.error(&pair.at, text);
            }
            (Some(_), _, Some(_)) => {
                return self
                    .report
                    .error(&pair.at, "Cannot have a user/pass and token");
            }
        };
    }
}
