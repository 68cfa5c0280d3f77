//! `Credentials`: as whom a client comes to a broker, and its `CONNECT`.

use std::fmt;

use serde_json::json;

use crate::connect::REDACTED;

/// What `CONNECT` presents. `Debug` shows no secret.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Credentials {
    /// User name.
    pub user: Option<String>,
    /// Password. Secret.
    pub password: Option<String>,
    /// A token that is the whole credentials. Secret.
    pub token: Option<String>,
}

impl Credentials {
    /// What `CONNECT` says, of a client with this name.
    pub fn introduction(&self, name: &str, echo: bool) -> String {
        let mut options = json!({
            "verbose": false, "pedantic": false, "protocol": 1, "headers": true,
            "no_responders": true, "echo": echo, "name": name, "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"),
        });
        let secrets = [
            ("user", &self.user),
            ("pass", &self.password),
            ("auth_token", &self.token),
        ];
        for (name, secret) in secrets {
            if let Some(secret) = secret {
                options[name] = json!(secret);
            }
        }
        options.to_string()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hide = |secret: &Option<String>| secret.as_ref().map(|_| REDACTED);
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("password", &hide(&self.password))
            .field("token", &hide(&self.token))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectOptions;

    #[test]
    fn a_broker_reads_what_is_presented_and_debug_shows_no_secret() {
        let credentials = Credentials {
            user: Some("ann".to_owned()),
            password: Some("s3cret \"1\"".to_owned()),
            token: Some("s3cret 2".to_owned()),
        };
        let mut options = ConnectOptions::default();
        let introduction = credentials.introduction("app", false);
        assert_eq!(options.merge(introduction.as_bytes()), Ok(()));
        assert_eq!((&*options.user, &*options.name), ("ann", "app"));
        assert_eq!(options.pass, "s3cret \"1\"");
        assert_eq!(options.auth_token, "s3cret 2");
        assert!(!options.echo && !options.verbose && options.headers && options.no_responders);
        let shown = format!("{credentials:?}");
        assert!(
            shown.contains("ann") && !shown.contains("s3cret"),
            "{shown}"
        );
        let none = Credentials::default().introduction("app", true);
        assert!(!none.contains("user") && !none.contains("pass"), "{none}");
    }
}
