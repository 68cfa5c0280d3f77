//! Settings that never apply, since another one goes before them. That is no error: the broker does as the other one
//! says. But who wrote both may have meant something else.
//!
//! Where `verify_and_map` is set, the certificate of a client tells which user it is, and every client has one. So who a
//! client is that presents nothing is never asked, unless clients may come in clear (`allow_non_tls`).

use super::Config;
use crate::door::Door;

impl Config {
    /// A line for each setting that never applies.
    pub(crate) fn unused(&self) -> Vec<String> {
        self.doors().flat_map(|door| self.unused_at(door)).collect()
    }

    fn unused_at(&self, door: Door) -> Vec<String> {
        let terms = self.terms(door);
        if !terms.map_certificates() || terms.allow_non_tls {
            return Vec::new();
        }
        let (place, default) = match door {
            Door::Main => ("", self.main_default()),
            Door::WebSocket => {
                let own = self.websocket.as_ref();
                let own = own.and_then(|own| own.no_auth_user.as_deref());
                ("in websocket, ", own)
            }
            Door::Further(_) => ("in listener ", terms.no_auth_user),
        };
        let place = match door {
            Door::Further(_) => format!("{place}{}, ", terms.name),
            _ => place.to_owned(),
        };
        let default = default.map(|user| format!("no_auth_user {user:?} never applies"));
        let maps = |is_there: bool, name: &str| is_there.then(|| format!("{name} never applies"));
        let of_unix = terms.unix.map(|unix| {
            [
                maps(!unix.users_by_uid.is_empty(), "users_by_uid"),
                maps(!unix.users_by_gid.is_empty(), "users_by_gid"),
            ]
        });
        let all = std::iter::once(default).chain(of_unix.into_iter().flatten());
        all.flatten()
            .map(|setting| {
                format!(
                    "{place}{setting}: verify_and_map goes first, and each client is the user that its certificate \
                     names; remove one of the two"
                )
            })
            .collect()
    }

    /// The default user of the server's own place, unless it is that of WebSocket as well and applies there.
    fn main_default(&self) -> Option<&str> {
        let websocket = self.websocket.as_ref();
        let is_used = websocket.is_some_and(|own| {
            own.no_auth_user.is_none() && !self.terms(Door::WebSocket).map_certificates()
        });
        self.no_auth_user.as_deref().filter(|_| !is_used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Listener, UnixSocket, WebSocket};
    use crate::tls::Tls;
    use std::collections::BTreeMap;

    fn mapping() -> Option<Tls> {
        Some(Tls {
            verify_and_map: true,
            ..Tls::default()
        })
    }

    fn ann() -> Option<String> {
        Some("ann".to_owned())
    }

    #[track_caller]
    fn is_told(config: &Config, settings: &[&str]) {
        let expected = settings.iter().map(|setting| {
            format!(
                "{setting} never applies: verify_and_map goes first, and each client is the user that its \
                 certificate names; remove one of the two"
            )
        });
        assert_eq!(config.unused(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_default_user_never_applies_where_each_client_has_a_certificate_that_tells_who_it_is() {
        let config = Config {
            tls: mapping(),
            no_auth_user: ann(),
            ..Config::default()
        };
        is_told(&config, &["no_auth_user \"ann\""]);
        let in_clear = Config {
            allow_non_tls: true,
            ..config.clone()
        };
        is_told(&in_clear, &[]);
        let unmapped = Config {
            tls: Some(Tls::default()),
            ..config.clone()
        };
        is_told(&unmapped, &[]);
        // By WebSocket it applies.
        let with = |websocket| Config {
            websocket: Some(websocket),
            ..config.clone()
        };
        is_told(&with(WebSocket::default()), &[]);
        let mapped = WebSocket {
            tls: mapping(),
            ..WebSocket::default()
        };
        is_told(&with(mapped.clone()), &["no_auth_user \"ann\""]);
        let own = WebSocket {
            no_auth_user: ann(),
            ..mapped
        };
        is_told(
            &with(own),
            &["no_auth_user \"ann\"", "in websocket, no_auth_user \"ann\""],
        );
    }

    #[test]
    fn what_a_process_is_never_applies_where_its_certificate_tells() {
        let local = Listener {
            name: "local".to_owned(),
            unix: Some(UnixSocket {
                users_by_uid: BTreeMap::from([(1000, "ann".to_owned())]),
                ..UnixSocket::at("/run/m")
            }),
            tls: mapping(),
            ..Listener::default()
        };
        let with = |listener| Config {
            listeners: vec![listener],
            ..Config::default()
        };
        is_told(&with(local.clone()), &["in listener local, users_by_uid"]);
        let plain = Listener { tls: None, ..local };
        is_told(&with(plain), &[]);
    }
}
