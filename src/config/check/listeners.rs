//! What is wrong with the places where clients come in.

use super::Faults;
use crate::config::{Config, LISTENERS_MAX, UNIX_PATH_BYTES_MAX, UnixSocket};
use crate::door::Door;

/// What the ports file, metrics and the log call something else.
const RESERVED: [&str; 4] = ["client", "monitoring", "nats", "websocket"];

impl Faults {
    /// Further places where clients come in, and Unix sockets.
    pub(super) fn of_listeners(&mut self, config: &Config) {
        for door in config.doors() {
            let setting = match door {
                Door::Main => "proxy_protocol",
                Door::WebSocket => "websocket proxy_protocol",
                Door::Further(_) => "listeners proxy_protocol",
            };
            let terms = config.terms(door);
            let Some(proxies) = terms.proxy_protocol else {
                continue;
            };
            if proxies.trusted.is_empty() {
                let text = format!(
                    "{}: proxy_protocol trusts nobody, so it has no effect but to refuse everybody; name the \
                     addresses of proxies in trusted",
                    config.called(door)
                );
                self.add(setting, &text);
            }
            if terms.unix.is_some() {
                let text = format!(
                    "{}: proxy_protocol goes by addresses, and a Unix socket has none; remove it",
                    config.called(door)
                );
                self.add(setting, &text);
            }
        }
        if let Some(unix) = &config.unix {
            self.of_unix("unix", "unix", unix, config);
        }
        let listeners = &config.listeners;
        if listeners.len() > LISTENERS_MAX {
            let text = format!(
                "listeners: there are {}, and may be {LISTENERS_MAX}",
                listeners.len()
            );
            self.add("listeners", &text);
        }
        for (number, one) in listeners.iter().enumerate() {
            let name = &one.name;
            let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_good) {
                let text = format!(
                    "listener {name:?}: a name has letters, digits, - and _, at most 64 of them"
                );
                self.add("listeners", &text);
            } else if RESERVED.contains(&name.as_str()) {
                let text =
                    format!("listener {name:?}: this name has another meaning; choose another");
                self.add("listeners", &text);
            } else if listeners[..number].iter().any(|other| other.name == *name) {
                let text = format!("listener {name:?}: there are two of this name; choose another");
                self.add("listeners", &text);
            }
            if let Some(tls) = &one.tls {
                self.of_tls_block("listeners tls", tls);
            } else if one.allow_non_tls {
                let text = format!(
                    "listener {name}: allow_non_tls without tls has no effect, and nothing would be \
                     encrypted; add a tls block, or remove it"
                );
                self.add("listeners authorization", &text);
            }
            if let Some(unix) = &one.unix {
                self.of_unix("listeners", &format!("listener {name}"), unix, config);
            }
            if let Some(user) = &one.no_auth_user {
                self.of_user(
                    "listeners authorization",
                    &format!("listener {name}: no_auth_user"),
                    user,
                    config,
                );
            }
            if one.connections_max == Some(0) {
                let text =
                    format!("listener {name}: max_connections is 0, so no client could connect");
                self.add("listeners max_connections", &text);
            }
            if one.auth_timeout.is_some_and(|time| time.is_zero()) {
                let text = format!("listener {name}: the timeout is 0, so no client could log in");
                self.add("listeners authorization", &text);
            }
        }
    }

    fn of_unix(&mut self, setting: &'static str, what: &str, unix: &UnixSocket, config: &Config) {
        let len = unix.path.as_os_str().len();
        if len == 0 {
            let text = format!("{what}: there is no path; write listen: \"unix:/run/midge.sock\"");
            self.add(setting, &text);
        } else if len > UNIX_PATH_BYTES_MAX {
            let text = format!(
                "{what}: the path has {len} bytes, and that of a Unix socket may have {UNIX_PATH_BYTES_MAX}; \
                 choose a shorter one"
            );
            self.add(setting, &text);
        }
        for user in unix.users() {
            self.of_user(
                setting,
                &format!("{what}: users_by_uid or users_by_gid"),
                user,
                config,
            );
        }
        if unix.refuse_others && unix.users().next().is_none() {
            let text = format!(
                "{what}: other_peers: refuse without users_by_uid or users_by_gid refuses everybody; \
                 say who may come in"
            );
            self.add(setting, &text);
        }
    }

    /// A client is taken for this user, who must be there.
    fn of_user(&mut self, setting: &'static str, what: &str, user: &str, config: &Config) {
        let is_known = config.auth.user_named(user).is_some();
        if !is_known {
            let text = format!(
                "{what}: there is no user {user:?} in the authorization block; add it to users"
            );
            self.add(setting, &text);
        }
    }
}
