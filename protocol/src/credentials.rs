//! `Credentials`: as whom a client comes to a broker, and its `CONNECT`.

use serde_json::json;

/// What `CONNECT` presents.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
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
