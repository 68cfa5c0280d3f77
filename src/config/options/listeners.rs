//! Where clients come in besides `host` and `port`: the block `listeners`, and the addresses of Unix sockets. midge's
//! own.

use super::reader::Reader;
use crate::config::language::{Kind, Pair};
use crate::config::{Advertise, Listener, ProxyProtocol, UnixSocket};

const KEYS: [&str; 14] = [
    "listen",
    "host",
    "net",
    "port",
    "unix",
    "tls",
    "allow_non_tls",
    "no_auth_user",
    "timeout",
    "max_connections",
    "max_conn",
    "advertise",
    "client_advertise",
    "proxy_protocol",
];

/// What an address begins with that is the path of a Unix socket.
const UNIX: &str = "unix:";

/// Why a Unix socket and a port are not one place.
pub(super) const TWO_PLACES: &str = "one place cannot be both a port and a Unix socket; remove one of them, or add a listener to listeners";

/// Whether it says that there is a port to listen on.
pub(super) fn is_port(pair: &Pair) -> bool {
    pair.key.eq_ignore_ascii_case("port")
        || pair.key.eq_ignore_ascii_case("listen") && unix_path(pair).is_none()
}

/// The path in `unix:PATH`.
pub(super) fn unix_path(pair: &Pair) -> Option<&str> {
    let path = pair.value.as_text()?.strip_prefix(UNIX)?;
    // As a URL has it.
    Some(path.strip_prefix("//").unwrap_or(path))
}

impl Reader<'_> {
    /// Reads `listeners`: a block for each, by its name.
    pub(super) fn listeners(&mut self, pair: &Pair) {
        self.options.config.listeners = Vec::new();
        let Some(map) = self.map(pair) else { return };
        for pair in map.iter() {
            if let Some(listener) = self.listener(pair) {
                self.options.config.listeners.push(listener);
            }
        }
    }

    fn listener(&mut self, pair: &Pair) -> Option<Listener> {
        let Kind::Map(map) = &pair.value.kind else {
            let text = format!(
                "a listener is a block, as {} {{ listen: \"127.0.0.1:4223\" }}",
                pair.key
            );
            return self.wrong(pair, text);
        };
        let mut own = Listener {
            name: pair.key.clone(),
            ..Listener::default()
        };
        let mut has_address = false;
        for pair in map.iter() {
            has_address |= ["listen", "port"].contains(&&*pair.key.to_ascii_lowercase());
            self.listener_option(pair, &mut own);
        }
        if own
            .unix
            .as_ref()
            .is_some_and(|unix| !unix.path.as_os_str().is_empty())
            && let Some(port) = map.iter().find(|pair| is_port(pair))
        {
            return self.wrong(port, TWO_PLACES.to_owned());
        }
        if !has_address && own.unix.is_none() {
            let text = format!(
                "listener {} has no address; write listen: \"127.0.0.1:4223\", or listen: \"unix:/run/midge.sock\"",
                pair.key
            );
            return self.wrong(pair, text);
        }
        Some(own)
    }

    fn listener_option(&mut self, pair: &Pair, own: &mut Listener) {
        match pair.key.to_ascii_lowercase().as_str() {
            "listen" => match unix_path(pair) {
                Some(path) => own.unix.get_or_insert_with(|| UnixSocket::at("")).path = path.into(),
                None => {
                    if let Some((host, port)) = self.address(pair) {
                        own.host = host.unwrap_or_else(|| Listener::default().host);
                        own.port = port.unwrap_or(0);
                    }
                }
            },
            "port" => own.port = self.port(pair).flatten().unwrap_or(0),
            "host" | "net" => {
                let host = self.text(pair).filter(|host| !host.is_empty());
                own.host = host.unwrap_or_else(|| Listener::default().host);
            }
            "unix" => {
                let mut unix = own.unix.take();
                self.unix_block(pair, &mut unix);
                own.unix = unix;
            }
            "tls" => own.tls = self.tls_block(pair),
            "allow_non_tls" => own.allow_non_tls = self.switch(pair).unwrap_or_default(),
            "no_auth_user" => {
                own.no_auth_user = self.text(pair).filter(|user| !user.is_empty());
            }
            "timeout" => own.auth_timeout = self.seconds(pair, "listener"),
            "max_connections" | "max_conn" => own.connections_max = self.limit(pair).flatten(),
            "advertise" | "client_advertise" => {
                match Advertise::parse(&self.text(pair).unwrap_or_default()) {
                    Ok(advertise) => own.advertise = advertise,
                    Err(wrong) => self.report.error(&pair.at, wrong),
                }
            }
            "proxy_protocol" => own.proxy_protocol = self.proxy_protocol(pair),
            _ if pair.used => {}
            _ => self.unknown(pair, "", KEYS.iter().copied()),
        }
    }

    /// Reads `proxy_protocol`: which proxies are believed.
    pub(super) fn proxy_protocol(&mut self, pair: &Pair) -> Option<ProxyProtocol> {
        let map = match &pair.value.kind {
            Kind::Map(map) => map,
            Kind::Bool(false) => return None,
            _ => {
                let text = "proxy_protocol needs to know which proxies to believe; write proxy_protocol { \
                            trusted: [\"10.0.0.0/8\"] }";
                return self.wrong(pair, text);
            }
        };
        let mut own = ProxyProtocol::default();
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "trusted" => own.trusted = self.networks(pair),
                "others" => match self.text(pair).unwrap_or_default().as_str() {
                    "refuse" => own.others_may_come = false,
                    "direct" => own.others_may_come = true,
                    _ => {
                        let text = "others takes refuse, or direct, so that who is no proxy comes without a header";
                        self.report.error(&pair.at, text);
                    }
                },
                _ if pair.used => {}
                _ => self.unknown(pair, "", ["trusted", "others"].into_iter()),
            }
        }
        Some(own)
    }
}
