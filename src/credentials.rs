//! `Credentials`: as whom the bench and the tools introduce themselves to a broker.

use serde_json::json;

/// What `CONNECT` presents.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) token: Option<String>,
}

impl Credentials {
    /// What `CONNECT` says, of a client with this name.
    pub(crate) fn introduction(&self, name: &str, echo: bool) -> String {
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
