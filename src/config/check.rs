//! What is wrong with settings that are each possible: those with which no client could be served, or all the
//! world could.

mod callout;
mod listeners;
mod operators;

use super::duration::show;
use super::sharing;
use super::{Auth, Config, GLOBAL, Origin, SYSTEM, WebSocket};
use crate::door::Door;
use crate::tls::Tls;

/// What is wrong with settings that are each possible.
pub(crate) struct Fault {
    /// The setting to look at first, by its name.
    #[cfg_attr(not(feature = "command"), expect(dead_code))]
    pub(crate) setting: &'static str,
    /// What is wrong, as one line.
    pub(crate) text: String,
}

/// All that is wrong with settings that are each possible.
pub(crate) fn faults(config: &Config) -> Vec<Fault> {
    let mut faults = Faults::default();
    faults.of_monitoring(config);
    faults.of_authorization(config);
    faults.of_accounts(config);
    faults.of_exports_and_imports(config);
    faults.of_operators(config);
    faults.of_callout(config);
    faults.of_tls(config);
    faults.of_websocket(config);
    faults.of_listeners(config);
    faults.of_queues(config);
    faults.of_limits(config);
    faults.of_lame_duck(config);
    faults.of_zeros(config);
    faults.0
}

/// What was found so far.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, setting: &'static str, text: &str) {
        let text = text.to_owned();
        self.0.push(Fault { setting, text });
    }

    /// What monitoring asks for before it answers.
    fn of_monitoring(&mut self, config: &Config) {
        if config.tls.is_none() && config.monitor.as_ref().is_some_and(|monitor| monitor.tls) {
            self.add(
                "https_port",
                "Can't start monitoring: TLS cert and key required for HTTPS; add a tls block, or use http_port",
            );
        }
        let asked_by_monitor = config.monitor.as_ref().map(|monitor| &monitor.auth);
        let has_empty_name = match asked_by_monitor {
            None | Some(Auth::None) => false,
            Some(Auth::Token(token)) => token.is_empty(),
            Some(Auth::User { user, .. }) => user.is_empty(),
            Some(Auth::Users { users, .. }) => users.kinds().nameless,
            // Monitoring can ask for no token of a user.
            Some(Auth::Operators(_)) => true,
        };
        if has_empty_name {
            self.add(
                "http_authorization",
                "the token, or the user name, that monitoring asks for is empty, so every client \
                 would be accepted; set it, or ask for none",
            );
        }
        let has_hash = match asked_by_monitor {
            None => false,
            Some(Auth::Users { token: Some(_), .. }) => true,
            Some(auth) => auth.has_hash() || auth.has_key(),
        };
        if has_hash {
            self.add(
                "http_authorization",
                "monitoring compares passwords as they stand, so a hash would be the password; \
                 give the password itself, no key, and no token beside users",
            );
        }
    }

    /// What clients must present.
    fn of_authorization(&mut self, config: &Config) {
        let (users, has_empty_secret) = match &config.auth {
            Auth::None | Auth::Operators(_) => (None, false),
            Auth::Token(token) => (None, token.is_empty()),
            Auth::User { user, .. } => (None, user.is_empty()),
            Auth::Users { users, token } => {
                let nameless = users.kinds().nameless;
                let token = token.as_ref().is_some_and(|token| token.is_empty());
                (Some(users), nameless || token)
            }
        };
        if has_empty_secret {
            self.add(
                "authorization",
                "the token, or the user name, that clients must present is empty, so every client \
                 would be accepted; set it, or ask for none",
            );
        }
        if cfg!(not(feature = "bcrypt")) && config.auth.has_hash() {
            self.add(
                "authorization",
                "a password or token is a bcrypt hash, which this build cannot check; \
                 build midge with its feature \"bcrypt\", or give the password itself",
            );
        }
        let is_operated = config.operators().is_some();
        if cfg!(not(feature = "nkeys")) && config.auth.has_key() && !is_operated {
            self.add(
                "authorization",
                "a user has an nkey, whose signatures this build cannot check; \
                 build midge with its feature \"nkeys\", or give the user a password",
            );
        }
        if let Some(name) = &config.no_auth_user
            && !is_operated
        {
            let known = users.map(|users| users.named(name).is_some());
            match known {
                Some(true) => {}
                Some(false) => self.add(
                    "no_auth_user",
                    &format!(
                        "no_auth_user: {name:?} not present as user or nkey in \
                         authorization block or account configuration"
                    ),
                ),
                None => self.add(
                    "no_auth_user",
                    &format!("no_auth_user: {name:?} present, but users/nkeys are not defined"),
                ),
            }
        }
    }

    /// Accounts, and who is in which.
    fn of_accounts(&mut self, config: &Config) {
        for name in config.accounts.keys() {
            let is_plain = |byte: u8| byte > b' ' && byte != 0x7f;
            if name == GLOBAL {
                let text =
                    format!("{name:?} is a Reserved Account: users without an account are in it");
                self.add("accounts", &text);
            } else if name.is_empty() || !name.bytes().all(is_plain) {
                let text = format!(
                    "account {name:?}: a name has a letter at least, and no blanks; choose another"
                );
                self.add("accounts", &text);
            }
        }
        for user in config.auth.users() {
            let name = user.account_name();
            if !config.has_account(name) {
                let text = format!(
                    "user {:?} is in the account {name:?}, which is not there; add it to accounts",
                    user.name
                );
                self.add("accounts", &text);
            }
        }
        if let Some(name) = &config.system_account
            && config.operators().is_none()
            && name != SYSTEM
            && !config.accounts.contains_key(name)
        {
            let text = format!(
                "error resolving system account: account missing; add {name:?} to accounts, or name one that is there"
            );
            self.add("system_account", &text);
        }
    }

    /// What accounts let each other have. A file has told of it already, with its place.
    fn of_exports_and_imports(&mut self, config: &Config) {
        for fault in sharing::faults(&config.accounts) {
            let text = format!("account {:?}: {}", fault.account, fault.text);
            self.add("exports and imports", &text);
        }
    }

    /// TLS, as far as it can be told without the files.
    fn of_tls(&mut self, config: &Config) {
        if let Some(tls) = &config.tls {
            self.of_tls_block("tls", tls);
        }
        for door in config.doors() {
            let terms = config.terms(door);
            let has_users = matches!(terms.auth, Auth::Users { .. });
            if terms.map_certificates() && !has_users {
                let setting = match door {
                    Door::Main => "tls",
                    Door::WebSocket => "websocket",
                    Door::Further(_) => "listeners tls",
                };
                self.add(
                    setting,
                    "verify_and_map needs users in authorization: one for each certificate, called as that tells",
                );
            }
        }
    }

    fn of_tls_block(&mut self, setting: &'static str, tls: &Tls) {
        if tls.certs.is_empty() {
            self.add(
                setting,
                "TLS Server certificate must be present and valid; name cert_file and key_file",
            );
        }
        if tls.timeout.is_zero() {
            self.add(
                setting,
                "the TLS timeout is 0, so no handshake could end in time; it must be longer",
            );
        }
        if tls.verify && tls.ca_file.is_none() {
            self.add(
                setting,
                "verify needs ca_file: a file with the authorities that vouch for clients",
            );
        }
        if !tls.verify && !tls.pinned_certs.is_empty() {
            self.add(
                setting,
                "pinned_certs without verify asks no client for a certificate, so none could connect; \
                 set verify: true",
            );
        }
    }

    /// The terms on which clients come by WebSocket.
    fn of_websocket(&mut self, config: &Config) {
        let Some(websocket) = &config.websocket else {
            return;
        };
        let WebSocket {
            tls,
            no_tls,
            auth,
            no_auth_user,
            jwt_cookie,
            allowed_origins,
            ..
        } = websocket;
        if tls.is_none() && !no_tls {
            self.add(
                "websocket",
                "websocket requires TLS configuration; name a certificate in a tls block, or set \
                 no_tls: true where a proxy has TLS",
            );
        }
        if let Some(tls) = tls {
            self.of_tls_block("websocket", tls);
        }
        if let Some(wrong) = allowed_origins.iter().find(|text| !is_origin(text)) {
            let text = format!(
                "websocket: allowed origin {wrong:?} is none; write it as \"https://example.org:8443\""
            );
            self.add("websocket origins", &text);
        }
        if let Some(cookie) = jwt_cookie
            && config.operators().is_none()
        {
            let text = format!(
                "trusted operators or trusted keys configuration is required for JWT authentication \
                 via cookie {cookie:?}; name the operator, or remove jwt_cookie"
            );
            self.add("websocket cookies", &text);
        }
        let is_empty = match auth {
            Auth::Token(token) => token.is_empty(),
            Auth::User { user, .. } => user.is_empty(),
            _ => false,
        };
        if is_empty {
            self.add(
                "websocket authorization",
                "the token, or the user name, of the websocket block is empty, so every client \
                 would be accepted; set it, or leave the block out",
            );
        }
        let users = match &config.auth {
            Auth::Users { users, .. } => Some(users),
            _ => None,
        };
        if users.is_some() && matches!(auth, Auth::User { .. }) {
            self.add(
                "websocket authorization",
                "websocket authentication username not compatible with presence of users/nkeys; \
                 add the user to the users of the authorization block",
            );
        } else if users.is_some() && matches!(auth, Auth::Token(_)) {
            self.add(
                "websocket authorization",
                "websocket authentication token not compatible with presence of users/nkeys; \
                 add a user to the users of the authorization block",
            );
        }
        if let Some(name) = no_auth_user {
            let known = users.is_some_and(|users| users.named(name).is_some());
            if !known {
                let text = format!(
                    "websocket no_auth_user: {name:?} not present as user or nkey in \
                     authorization block or account configuration"
                );
                self.add("websocket authorization", &text);
            }
        }
    }

    /// Limits of which one bounds the other.
    fn of_queues(&mut self, config: &Config) {
        let Config {
            payload_bytes_max,
            pending_bytes_max,
            ..
        } = *config;
        if payload_bytes_max > pending_bytes_max {
            self.add(
                "max_payload",
                &format!(
                    "max_payload ({payload_bytes_max}) cannot be higher than \
                     max_pending ({pending_bytes_max})"
                ),
            );
        }
        if let Some(total) = config.pending_total_bytes_max
            && pending_bytes_max > total
        {
            self.add(
                "max_pending_total",
                &format!(
                    "max_pending ({pending_bytes_max}) cannot be higher than \
                     max_pending_total ({total})"
                ),
            );
        }
    }

    /// Limits of addresses and users.
    fn of_limits(&mut self, config: &Config) {
        let users = config.auth.users().iter();
        let of_users = users.filter_map(|user| Some(("authorization", user.limits?)));
        let blocks = of_users.chain([
            ("limits per_address", config.address_limits.limits),
            ("limits per_user", config.user_limits),
        ]);
        for (setting, limits) in blocks {
            if let Some(name) = limits.zero() {
                let text = format!(
                    "{name} is 0 in limits, so nothing could be done; it must be 1 or more"
                );
                self.add(setting, &text);
            }
        }
        let has_users = config
            .doors()
            .any(|door| *config.terms(door).auth != Auth::None);
        if config.user_limits.is_any() && !has_users {
            self.add(
                "limits per_user",
                "limits per_user would limit nobody: no client has to say who it is; \
                 add an authorization block, or use per_address",
            );
        }
    }

    fn of_lame_duck(&mut self, config: &Config) {
        let (duration, grace) = (config.lame_duck_duration, config.lame_duck_grace_period);
        if grace >= duration {
            self.add(
                "lame_duck_grace_period",
                &format!(
                    "lame duck grace period ({}) should be strictly lower than \
                     lame duck duration ({})",
                    show(grace),
                    show(duration)
                ),
            );
        }
    }

    /// Limits with which no client could be served, or none for long.
    fn of_zeros(&mut self, config: &Config) {
        if config.connections_max == 0 {
            self.add(
                "max_connections",
                "max_connections is 0, so no client could connect; it must be 1 or more",
            );
        }
        if config.control_line_bytes_max == 0 {
            self.add(
                "max_control_line",
                "max_control_line is 0, so every operation would be refused; it must be 1 or more",
            );
        }
        if config.ping_interval.is_zero() {
            self.add(
                "ping_interval",
                "ping_interval is 0, so every client would be stale at once; it must be longer",
            );
        }
        if config.pings_out_max == 0 {
            self.add(
                "ping_max",
                "ping_max is 0, so every client would be stale at its first PING; \
                 it must be 1 or more",
            );
        }
        if config.terms(Door::Main).login_time.is_zero() {
            self.add(
                "authorization timeout",
                "the authorization timeout is 0, so no client could log in; it must be longer",
            );
        }
    }
}

/// Whether a text names where a page comes from: a scheme, a host and perhaps a port.
fn is_origin(text: &str) -> bool {
    Origin::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Account, Export, Import, User};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn exports_and_imports_of_a_program_are_held_against_each_other_as_those_of_a_file() {
        let mut config = Config::default();
        let import = Import::service("A", "s").expect("it is right");
        let importer = Account {
            imports: vec![import],
            ..Account::default()
        };
        let accounts = [
            ("A".to_owned(), Account::default()),
            ("B".to_owned(), importer),
        ];
        config.accounts = Arc::new(accounts.into());
        let of_sharing = |config: &Config| -> Vec<String> {
            let all = faults(config).into_iter();
            let those = all.filter(|fault| fault.setting == "exports and imports");
            those.map(|fault| fault.text).collect()
        };
        let told = of_sharing(&config);
        let begin =
            "account \"B\": Error adding service import \"s\": service import not authorized";
        assert!(told.len() == 1 && told[0].starts_with(begin), "{told:?}");
        let export = Export::service("s").expect("it is right");
        let accounts = Arc::make_mut(&mut config.accounts);
        accounts
            .entry("A".to_owned())
            .or_default()
            .exports
            .push(export);
        assert!(of_sharing(&config).is_empty());
    }

    #[test]
    fn settings_that_would_serve_nobody_or_everybody_are_refused_by_name() {
        type Case = (fn(&mut Config), &'static str);
        let cases: [Case; 11] = [
            (|c| c.auth = Auth::Token("".into()), "token"),
            (
                |c| {
                    c.auth = Auth::User {
                        user: String::new(),
                        pass: "secret".into(),
                    }
                },
                "user name",
            ),
            (|c| c.connections_max = 0, "max_connections"),
            (|c| c.control_line_bytes_max = 0, "max_control_line"),
            (|c| c.ping_interval = Duration::ZERO, "ping_interval"),
            (|c| c.pings_out_max = 0, "ping_max"),
            (|c| c.auth_timeout = Some(Duration::ZERO), "timeout"),
            (
                |c| {
                    let user = User {
                        name: "ann".to_owned(),
                        ..User::default()
                    };
                    c.auth = Auth::Users {
                        users: vec![user].into(),
                        token: None,
                    };
                    c.no_auth_user = Some("bob".to_owned());
                },
                "no_auth_user: \"bob\" not present",
            ),
            (
                |c| c.no_auth_user = Some("bob".to_owned()),
                "users/nkeys are not defined",
            ),
            (
                |c| c.lame_duck_grace_period = Duration::from_secs(120),
                "lame duck grace period (2m0s) should",
            ),
            (|c| c.pending_bytes_max = 1, "max_pending"),
        ];
        for (set, word) in cases {
            let mut config = Config::default();
            set(&mut config);
            let texts = faults(&config).into_iter().map(|fault| fault.text);
            let texts: Vec<String> = texts.collect();
            assert!(
                texts.iter().any(|text| text.contains(word)),
                "{word}: {texts:?}"
            );
        }
        assert!(faults(&Config::default()).is_empty());
    }
}
