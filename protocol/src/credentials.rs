//! `Credentials`: as whom a client comes to a broker, and its `CONNECT`.

use serde_json::json;

use crate::secret::Secret;

/// What `CONNECT` presents.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Credentials {
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// A token that is the whole credentials.
    pub token: Option<Secret>,
}

impl Credentials {
    /// What `CONNECT` says, of a client with this name.
    pub fn introduction(&self, name: &str, echo: bool) -> String {
        let mut options = json!({
            "verbose": false, "pedantic": false, "protocol": 1, "headers": true,
            "no_responders": true, "echo": echo, "name": name, "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"),
        });
        let presented = [
            ("user", self.user.as_deref()),
            ("pass", self.password.as_deref()),
            ("auth_token", self.token.as_deref()),
        ];
        for (name, text) in presented {
            if let Some(text) = text {
                options[name] = json!(text);
            }
        }
        options.to_string()
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
            password: Some("s3cret \"1\"".into()),
            token: Some("s3cret 2".into()),
        };
        let mut options = ConnectOptions::default();
        let introduction = credentials.introduction("app", false);
        assert_eq!(options.merge(introduction.as_bytes()), Ok(()));
        assert_eq!((&*options.user, &*options.name), ("ann", "app"));
        assert_eq!(&*options.pass, "s3cret \"1\"");
        assert_eq!(&*options.auth_token, "s3cret 2");
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
