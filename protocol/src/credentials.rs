//! `Credentials`: as whom a client comes to a broker, and its `CONNECT`.

use serde_json::json;

#[cfg(feature = "nkeys")]
use crate::nkey::Seed;
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
    /// The secret half of a key, which signs.
    #[cfg(feature = "nkeys")]
    pub seed: Option<Seed>,
    /// A user's JWT, which names the key that signs.
    pub jwt: Option<Secret>,
}

impl Credentials {
    /// A user, or `user:password` where there is no password beside it.
    pub fn of_user(user: &str, password: Option<&str>) -> Credentials {
        let (user, password) = match (password, user.split_once(':')) {
            (None, Some((user, password))) => (user, Some(password)),
            (password, _) => (user, password),
        };
        Credentials {
            user: Some(user.to_owned()),
            password: password.map(Secret::from),
            ..Credentials::default()
        }
    }

    /// Takes `user:password@host:port` apart, or `token@host`; answers what is left: `host:port`.
    pub fn of_authority(text: &str) -> (Credentials, &str) {
        let mut credentials = Credentials::default();
        let Some((secrets, host)) = text.rsplit_once('@') else {
            return (credentials, text);
        };
        match secrets.split_once(':') {
            Some((user, password)) => {
                credentials.user = Some(user.to_owned());
                credentials.password = Some(password.into());
            }
            None => credentials.token = Some(secrets.into()),
        }
        (credentials, host)
    }

    /// What `CONNECT` says, of a client with this name, to a broker that has given it this to sign.
    pub fn introduction(&self, name: &str, echo: bool, nonce: Option<&str>) -> String {
        let mut options = json!({
            "verbose": false, "pedantic": false, "protocol": 1, "headers": true,
            "no_responders": true, "echo": echo, "name": name, "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"),
        });
        let presented = [
            ("user", self.user.as_deref()),
            ("pass", self.password.as_deref()),
            ("auth_token", self.token.as_deref()),
            ("jwt", self.jwt.as_deref()),
        ];
        for (name, text) in presented {
            if let Some(text) = text {
                options[name] = json!(text);
            }
        }
        #[cfg(feature = "nkeys")]
        if let (Some(seed), Some(nonce)) = (&self.seed, nonce) {
            options["sig"] = json!(seed.sign(nonce));
            if self.jwt.is_none() {
                options["nkey"] = json!(seed.public());
            }
        }
        #[cfg(not(feature = "nkeys"))]
        let _ = nonce;
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
            ..Credentials::default()
        };
        let mut options = ConnectOptions::default();
        let introduction = credentials.introduction("app", false, None);
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
        let none = Credentials::default().introduction("app", true, Some("nonce"));
        assert!(!none.contains("user") && !none.contains("pass"), "{none}");
    }

    #[test]
    fn a_user_may_come_with_the_password_behind_it() {
        for (user, password, expected) in [
            ("ann", None, ("ann", None)),
            ("ann", Some("p"), ("ann", Some("p"))),
            ("ann:p:q", None, ("ann", Some("p:q"))),
            ("a:n:n", Some("p"), ("a:n:n", Some("p"))),
        ] {
            let found = Credentials::of_user(user, password);
            let found = (found.user.as_deref(), found.password.as_deref());
            assert_eq!(found, (Some(expected.0), expected.1), "{user}");
        }
    }

    #[test]
    fn an_authority_has_credentials_and_a_place() {
        for (text, user, password, token, place) in [
            ("h", None, None, None, "h"),
            ("h:1", None, None, None, "h:1"),
            ("ann:p@ss@h:1", Some("ann"), Some("p@ss"), None, "h:1"),
            ("ann:@[::1]:1", Some("ann"), Some(""), None, "[::1]:1"),
            ("t0k@h", None, None, Some("t0k"), "h"),
        ] {
            let (found, rest) = Credentials::of_authority(text);
            let Credentials {
                user: name,
                password: secret,
                token: known,
                ..
            } = &found;
            assert_eq!(
                (name.as_deref(), secret.as_deref(), known.as_deref(), rest),
                (user, password, token, place),
                "{text}"
            );
        }
    }

    #[cfg(feature = "nkeys")]
    #[test]
    fn a_seed_signs_what_the_broker_has_given_to_sign() {
        let seed = Seed::of([1; 32]);
        let mut credentials = Credentials {
            seed: Some(seed.clone()),
            ..Credentials::default()
        };
        let says = |credentials: &Credentials, nonce| {
            let mut options = ConnectOptions::default();
            let introduction = credentials.introduction("app", true, nonce);
            assert_eq!(options.merge(introduction.as_bytes()), Ok(()));
            options
        };
        let options = says(&credentials, Some("n"));
        assert_eq!(
            (options.nkey, &*options.sig),
            (seed.public(), &*seed.sign("n"))
        );
        assert!(says(&credentials, None).nkey.is_empty());
        credentials.jwt = Some("j".into());
        let options = says(&credentials, Some("n"));
        assert!(options.nkey.is_empty() && options.jwt.is("j") && !options.sig.is_empty());
    }
}
