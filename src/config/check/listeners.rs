//! What is wrong with the places where clients come in.

use super::Faults;
use crate::config::{Config, LISTENERS_MAX, UNIX_PATH_BYTES_MAX, UnixSocket};
use crate::door::Door;
use midge_text::host_port;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// What the ports file, metrics and the log call something else.
const RESERVED: [&str; 4] = ["client", "monitoring", "nats", "websocket"];

/// The setting by which a door is there.
fn setting_of(door: Door) -> &'static str {
    match door {
        Door::Main => "listen",
        Door::WebSocket => "websocket",
        Door::Further(_) => "listeners",
    }
}

/// Where somebody is listened for, as far as it is said.
#[derive(Clone, Copy)]
enum Place<'a> {
    Port(&'a str, u16),
    Unix(&'a Path),
}

impl Place<'_> {
    /// Whether not both can be listened on. Two names of one host pass, but for `localhost`: that is found out when they are.
    fn excludes(self, other: Place<'_>) -> bool {
        match (self, other) {
            (Place::Port(_, 0), _) | (_, Place::Port(_, 0)) => false,
            (Place::Port(host, port), Place::Port(other, of)) => {
                port == of && Host::of(host).excludes(&Host::of(other))
            }
            (Place::Unix(path), Place::Unix(other)) => absolute(path) == absolute(other),
            _ => false,
        }
    }
}

/// A path as it is from the root on, where the system tells in which directory it is.
fn absolute(path: &Path) -> Cow<'_, Path> {
    match std::path::absolute(path) {
        Ok(path) => Cow::Owned(path),
        Err(_) => Cow::Borrowed(path),
    }
}

/// A host, however it is written.
#[derive(Debug, Eq, PartialEq)]
enum Host {
    /// Each address of the machine.
    Any,
    /// `127.0.0.1` and `::1`.
    Local,
    Address(IpAddr),
    Name(String),
}

impl Host {
    fn of(text: &str) -> Host {
        let inner = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match inner.unwrap_or(text).parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => Host::Any,
            Ok(ip) => Host::Address(ip.to_canonical()),
            Err(_) if text.is_empty() => Host::Any,
            Err(_) if text.eq_ignore_ascii_case("localhost") => Host::Local,
            Err(_) => Host::Name(text.to_ascii_lowercase()),
        }
    }

    fn excludes(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Any, _) | (_, Host::Any) => true,
            (Host::Local, Host::Address(ip)) | (Host::Address(ip), Host::Local) => [
                Ipv4Addr::LOCALHOST.into(),
                IpAddr::from(Ipv6Addr::LOCALHOST),
            ]
            .contains(ip),
            _ => self == other,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Port(host, port) => f.write_str(&host_port::join(host, *port)),
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Faults {
    /// No two can be listened on at one place.
    fn of_places(&mut self, config: &Config) {
        let doors = config.doors().map(|door| {
            let (setting, terms) = (setting_of(door), config.terms(door));
            let place = match terms.unix {
                Some(unix) => Place::Unix(&unix.path),
                None => Place::Port(terms.host, terms.port),
            };
            (setting, config.called(door), place)
        });
        let monitor = config.monitor.as_ref().map(|monitor| {
            let setting = if monitor.tls {
                "https_port"
            } else {
                "http_port"
            };
            let host = monitor.host.as_deref().unwrap_or(&config.host);
            (setting, "monitoring", Place::Port(host, monitor.port))
        });
        let mut taken: Vec<(&str, Place<'_>)> = Vec::new();
        for (setting, called, place) in doors.chain(monitor) {
            if let Some((other, there)) = taken.iter().find(|(_, one)| one.excludes(place)) {
                let text = format!(
                    "{called} is to listen on {place}, and {other} on {there}: one of them needs another \
                     port, address or path"
                );
                self.add(setting, &text);
            }
            taken.push((called, place));
        }
    }

    /// Places where clients come in, and that of monitoring.
    pub(super) fn of_listeners(&mut self, config: &Config) {
        self.of_places(config);
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

#[cfg(test)]
mod tests {
    use crate::config::check::faults;
    use crate::config::{Config, Listener, Monitor, UnixSocket};
    use std::path::Path;

    fn told(config: &Config) -> Vec<String> {
        faults(config).into_iter().map(|fault| fault.text).collect()
    }

    #[test]
    fn two_listeners_at_one_place_are_refused_and_any_free_port_is_no_place() {
        let monitor = |host: Option<&str>, port| Monitor {
            host: host.map(str::to_owned),
            port,
            ..Monitor::default()
        };
        let mut config = Config {
            host: "127.0.0.1".to_owned(),
            port: 4222,
            ..Config::default()
        };
        for (host, port, is_refused) in [
            (None, 4222, true),
            (Some("0.0.0.0"), 4222, true),
            (Some("127.0.0.2"), 4222, false),
            (None, 8222, false),
        ] {
            config.monitor = Some(monitor(host, port));
            let texts = told(&config);
            assert_eq!(texts.len(), usize::from(is_refused), "{host:?}: {texts:?}");
            assert!(
                texts
                    .iter()
                    .all(|text| text.contains("monitoring is to listen on"))
            );
        }
        for (one, other, is_refused) in [
            ("127.0.0.1", "localhost", true),
            ("LOCALHOST", "[::1]", true),
            ("localhost", "127.0.0.2", false),
            ("localhost", "example.org", false),
            ("Example.org", "example.ORG", true),
            ("::1", "[0:0::1]", true),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
            ("::1", "127.0.0.1", false),
            ("0::0", "127.0.0.1", true),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                config.host = one.to_owned();
                config.monitor = Some(monitor(Some(other), 4222));
                let texts = told(&config);
                assert_eq!(
                    texts.len(),
                    usize::from(is_refused),
                    "{one} {other}: {texts:?}"
                );
            }
        }
        (config.port, config.monitor) = (0, Some(monitor(None, 0)));
        assert!(told(&config).is_empty());
        let listener = |name: &str| Listener {
            name: name.to_owned(),
            unix: Some(UnixSocket::at("/run/one.sock")),
            ..Listener::default()
        };
        config.listeners = vec![listener("one"), listener("two")];
        let texts = told(&config);
        let begin = "two is to listen on unix:/run/one.sock, and one on unix:/run/one.sock";
        assert!(texts.len() == 1 && texts[0].starts_with(begin), "{texts:?}");
        // Of this directory.
        let here = std::env::current_dir().expect("it is there");
        for (path, of, is_refused) in [
            ("one.sock", "one.sock", true),
            ("two.sock", "one.sock", false),
        ] {
            let paths = [Path::new(path).to_owned(), here.join(of)];
            for (one, path) in config.listeners.iter_mut().zip(paths) {
                one.unix = Some(UnixSocket::at(path));
            }
            assert_eq!(told(&config).len(), usize::from(is_refused), "{path}");
        }
    }
}
