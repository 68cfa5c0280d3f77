//! `Operators`: who is trusted to vouch for accounts, and where an account's token comes from.
//!
//! ```text
//! operator: FILE or token ──▶ keys that vouch ──▶ account's token, from `resolver_preload` ──▶ user's token
//! ```
//!
//! Tokens are read when the settings are, so that what is wrong with one is told with its place, and a reload reads
//! them on another thread. Copies of the settings share them: there may be ten thousand.

use super::sharing::Shared;
use super::{
    Config, Furnishing, Grant, Permission, Permissions, Resolver, Responses, Subscriptions,
};
use crate::jwt::{self, Claims, Fault, Issue};
use crate::tls::Tls;
use jiff::Timestamp;
use midge_protocol::Subjects;
use midge_protocol::nkey::{Kind, public_key};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Who is trusted to vouch for accounts, and where those are found: every client has to present a user's token (JWT).
///
/// ```
/// use midge::{AccountToken, Auth, Config, Operators, OperatorToken};
/// use std::sync::Arc;
///
/// fn settings(operator: &str, account: &str) -> Result<Config, midge::TokenFault> {
///     let operators = Operators {
///         tokens: vec![OperatorToken::parse(operator)?],
///         preload: [AccountToken::parse(account)?].into_iter().collect(),
///         ..Operators::default()
///     };
///     Ok(Config { auth: Auth::Operators(Arc::new(operators)), ..Config::default() })
/// }
/// assert_eq!(settings("a.b", "").unwrap_err().to_string(), "expected 3 chunks");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Operators {
    /// Tokens of operators (`operator`).
    pub tokens: Vec<OperatorToken>,
    /// Public keys of operators (`trusted_keys`), in place of tokens.
    pub keys: Vec<String>,
    /// Where tokens of accounts are kept that come while the broker runs (`resolver`). Default: in memory.
    pub resolver: Resolver,
    /// What is trusted, and shown, where the resolver is asked by HTTPS (`resolver_tls`): of this count the first of `certs`,
    /// `ca_file`, `min_version`, `cipher_suites` and `curve_preferences`. Default: what the system trusts, and nothing.
    pub resolver_tls: Option<Tls>,
    /// Accounts that are known from the start (`resolver_preload`), by the keys that they are looked up by.
    pub preload: Preload,
    /// The only accounts that may log in, but for the system account (`resolver_pinned_accounts`), by key. None: all.
    pub pinned: Vec<String>,
}

/// An operator's token: it is signed by the key that it names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperatorToken {
    pub(crate) claims: Claims<jwt::Operator>,
}

/// Why a text is no token. Prints as nats-server tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenFault(Fault);

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for TokenFault {}

impl OperatorToken {
    /// Reads one. Costs a check of a signature.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<OperatorToken, TokenFault> {
        let claims = jwt::operator(text).map_err(TokenFault)?;
        Ok(OperatorToken { claims })
    }
}

/// An account's token, signed by the key that it names. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccountToken(Arc<Read>);

#[derive(Debug)]
struct Read {
    text: String,
    claims: Claims<jwt::Account>,
    /// What is wrong with the claims at any time.
    issues: Vec<Issue>,
    /// What users may do that have no permissions at all.
    default_permissions: Option<Grant>,
    shared: Shared,
}

impl AccountToken {
    /// Longest text of one.
    pub(crate) const BYTES_MAX: usize = jwt::TOKEN_BYTES_MAX;

    /// Reads one. Costs a check of a signature, and of two more for each activation in it.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<AccountToken, TokenFault> {
        let claims = jwt::account(text).map_err(TokenFault)?;
        let issues = claims.issues();
        let (default_permissions, shared) = match issues.is_empty() {
            true => (
                grant(&claims.body.default_permissions),
                Shared::of(&claims.body),
            ),
            // It is never put to use.
            false => (None, Shared::default()),
        };
        Ok(AccountToken(Arc::new(Read {
            text: text.trim_end().to_owned(),
            claims,
            issues,
            default_permissions,
            shared,
        })))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The account's public key.
    pub fn key(&self) -> &str {
        &self.0.claims.subject
    }

    /// Its claims as they stand in its text, to be shown.
    pub(crate) fn written(&self) -> Option<serde_json::Value> {
        jwt::written(self.text())
    }

    pub(crate) fn claims(&self) -> &Claims<jwt::Account> {
        &self.0.claims
    }

    /// What is wrong with the claims at any time.
    pub(crate) fn issues(&self) -> &[Issue] {
        &self.0.issues
    }

    /// What the account has that concerns its messages.
    pub(crate) fn furnishing(&self) -> Furnishing<'_> {
        let shared = &self.0.shared;
        Furnishing {
            exports: &shared.exports,
            imports: &shared.imports,
            mappings: &shared.mappings,
            signing_keys: &self.0.claims.body.signing_keys,
            left_out: &shared.left_out,
        }
    }

    pub(crate) fn default_permissions(&self) -> Option<&Grant> {
        self.0.default_permissions.as_ref()
    }
}

impl PartialEq for AccountToken {
    fn eq(&self, other: &AccountToken) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.text() == other.text()
    }
}

impl Eq for AccountToken {}

/// Accounts that are known from the start, by the keys that they are looked up by. Cheap to clone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Preload(Arc<BTreeMap<String, AccountToken>>);

impl Preload {
    /// The account of this key. One that stands under the key of another is not found.
    pub fn get(&self, key: &str) -> Option<&AccountToken> {
        self.0.get(key).filter(|token| token.key() == key)
    }

    /// All of them, each with the key that it stands under.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AccountToken)> {
        self.0.iter().map(|(key, token)| (key.as_str(), token))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<AccountToken> for Preload {
    fn from_iter<I: IntoIterator<Item = AccountToken>>(tokens: I) -> Preload {
        let pairs = tokens
            .into_iter()
            .map(|token| (token.key().to_owned(), token));
        pairs.collect()
    }
}

impl FromIterator<(String, AccountToken)> for Preload {
    fn from_iter<I: IntoIterator<Item = (String, AccountToken)>>(tokens: I) -> Preload {
        Preload(Arc::new(tokens.into_iter().collect()))
    }
}

/// How a key vouches for an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Trust {
    /// The account's own key lets nobody in: only its signing keys do.
    pub(crate) is_strict: bool,
}

impl Operators {
    /// How a key vouches for accounts; `None` if it does not.
    pub(crate) fn trust(&self, key: &str) -> Option<Trust> {
        let of_token = |token: &OperatorToken| {
            let Claims { subject, body, .. } = &token.claims;
            let is_strict = body.strict_signing_key_usage;
            let is_own = !is_strict && subject == key;
            let vouches = is_own || body.signing_keys.iter().any(|one| one == key);
            vouches.then_some(Trust { is_strict })
        };
        let is_listed = self.keys.iter().any(|one| one == key);
        let listed = is_listed.then_some(Trust { is_strict: false });
        self.tokens.iter().find_map(of_token).or(listed)
    }

    /// Whether any key vouches for accounts.
    pub(crate) fn trust_anybody(&self) -> bool {
        let vouches = |token: &OperatorToken| {
            let body = &token.claims.body;
            !body.strict_signing_key_usage || !body.signing_keys.is_empty()
        };
        !self.keys.is_empty() || self.tokens.iter().any(vouches)
    }

    /// The system account of the first operator that has one.
    pub(crate) fn system_account(&self) -> Option<&str> {
        let accounts = self
            .tokens
            .iter()
            .map(|token| &token.claims.body.system_account);
        accounts.map(String::as_str).find(|key| !key.is_empty())
    }

    /// Whether an account may log in, as far as it is a matter of which one it is.
    pub(crate) fn admit(&self, account: &str, system: Option<&str>) -> bool {
        let is_pinned = || self.pinned.iter().any(|key| key == account);
        self.pinned.is_empty() || system == Some(account) || is_pinned()
    }

    /// Whether both are known to be equal: very many accounts are so only if one is a copy of the other.
    pub(super) fn are_known_to_be(&self, other: &Operators) -> bool {
        let is_shared = Arc::ptr_eq(&self.preload.0, &other.preload.0);
        (is_shared || self.preload.len() <= super::COMPARED_MAX) && self == other
    }
}

impl Config {
    /// Lines about accounts of `resolver_preload` that nobody could log in to. A broker says so when it starts.
    pub(crate) fn unusable_accounts(&self, now: Timestamp) -> Vec<String> {
        let issues = |operators: &Operators| {
            let mut lines = Vec::new();
            for (key, token) in operators.preload.iter() {
                let timely = token.claims().is_timely(now.as_second());
                let mut issues: Vec<String> =
                    timely.err().iter().map(ToString::to_string).collect();
                issues.extend(token.issues().iter().map(ToString::to_string));
                if operators.trust(&token.claims().issuer).is_none() {
                    issues.push("no key of the operator has signed it".to_owned());
                }
                if token.key() != key {
                    issues.push(format!(
                        "it is of the account {}, so it is never found",
                        token.key()
                    ));
                }
                if !issues.is_empty() {
                    lines.push(format!("Account [{key}] has validation issues:"));
                    lines.extend(issues.iter().map(|issue| format!("  - {issue}")));
                }
            }
            lines
        };
        self.operators().map(issues).unwrap_or_default()
    }

    /// The operators that vouch for accounts, if clients have to present tokens.
    pub(crate) fn operators(&self) -> Option<&Operators> {
        self.auth.operators()
    }
}

/// Whether a text is the public key of an account.
pub(crate) fn is_account_key(text: &str) -> bool {
    public_key(Kind::Account, text).is_some()
}

/// Permissions as claims have them, whose subjects are valid; `None` if they say nothing at all.
pub(crate) fn grant(claims: &jwt::Permissions) -> Option<Grant> {
    if *claims == jwt::Permissions::default() {
        return None;
    }
    let jwt::Permissions {
        publish,
        subscribe,
        responses,
    } = claims;
    let some = |list: &[String]| !list.is_empty();
    // What cannot be read is not allowed, and was told before: the claims have issues then.
    let subscriptions =
        |list: &[String]| Subscriptions::parse(list.iter().map(String::as_str)).unwrap_or_default();
    let permissions = Permissions {
        publish: Permission {
            allow: some(&publish.allow).then(|| Subjects::new(&publish.allow)),
            deny: Subjects::new(&publish.deny),
        },
        subscribe: Permission {
            allow: some(&subscribe.allow).then(|| subscriptions(&subscribe.allow)),
            deny: subscriptions(&subscribe.deny),
        },
        responses: responses.map(|responses| {
            let default = Responses::default();
            Responses {
                max: match responses.max {
                    0 => default.max,
                    max => u32::try_from(max).ok(),
                },
                expires: match responses.ttl {
                    0 => default.expires,
                    ttl => u64::try_from(ttl).ok().map(Duration::from_nanos),
                },
            }
        }),
    };
    Some(permissions.into())
}

/// The token of an account for tests: byte 2 makes another account than byte 3.
#[cfg(all(test, feature = "nkeys"))]
pub(crate) fn made_for_tests(byte: u8, issued_at: i64) -> AccountToken {
    use crate::jwt::fixtures::{Signer, account_body};

    let key = Signer::new(Kind::Account, byte);
    let claims = serde_json::json!({"sub": key.public, "iat": issued_at, "nats": account_body()});
    let token = Signer::new(Kind::Operator, 1).token(claims);
    AccountToken::parse(&token).expect("it is good")
}

#[cfg(all(test, feature = "nkeys"))]
mod tests {
    use super::*;
    use crate::jwt::fixtures::{Signer, account_body};
    use serde_json::{Value, json};

    fn operator(strict: bool, signing_keys: &[&str]) -> (Signer, OperatorToken) {
        let key = Signer::new(Kind::Operator, 1);
        let nats = json!({"type": "operator", "version": 2,
            "strict_signing_key_usage": strict, "signing_keys": signing_keys});
        let token = key.token(json!({"sub": key.public, "nats": nats}));
        let token = OperatorToken::parse(&token).expect("it is good");
        (key, token)
    }

    #[test]
    fn a_strict_operator_vouches_by_its_signing_keys_alone() {
        for strict in [false, true] {
            let (key, token) = operator(strict, &["OSIGNING"]);
            let operators = Operators {
                tokens: vec![token],
                ..Operators::default()
            };
            let trust = |key: &str| operators.trust(key).map(|trust| trust.is_strict);
            assert_eq!(trust(&key.public), (!strict).then_some(false));
            assert_eq!((trust("OSIGNING"), trust("OTHER")), (Some(strict), None));
            assert!(operators.trust_anybody());
        }
        let (_, token) = operator(true, &[]);
        let mut operators = Operators {
            tokens: vec![token],
            ..Operators::default()
        };
        assert!(!operators.trust_anybody());
        operators.keys = vec!["OLISTED".to_owned()];
        assert!(operators.trust_anybody() && operators.trust("OLISTED").is_some());
    }

    fn token(byte: u8, change: impl Fn(&mut Value)) -> AccountToken {
        let (key, operator) = (
            Signer::new(Kind::Account, byte),
            Signer::new(Kind::Operator, 1),
        );
        let mut nats = account_body();
        change(&mut nats);
        let text = operator.token(json!({"sub": key.public, "nats": nats}));
        AccountToken::parse(&text).expect("it is good")
    }

    #[test]
    fn a_preload_under_the_key_of_another_account_is_not_found() {
        let (one, other) = (token(2, |_| {}), token(3, |_| {}));
        let pairs = [
            (one.key().to_owned(), other.clone()),
            (other.key().to_owned(), other.clone()),
        ];
        let preload: Preload = pairs.into_iter().collect();
        assert_eq!(preload.get(one.key()), None);
        assert_eq!(preload.get(other.key()), Some(&other));
        assert_eq!(preload.len(), 2);
    }

    #[test]
    fn accounts_that_nobody_could_log_in_to_are_told() {
        let (_, vouching) = operator(false, &[]);
        let (good, other) = (token(2, |_| {}), token(3, |_| {}));
        let told = |key: &str, token: &AccountToken, tokens: Vec<OperatorToken>| {
            let config = Config {
                auth: crate::config::Auth::Operators(Arc::new(Operators {
                    tokens,
                    preload: [(key.to_owned(), token.clone())].into_iter().collect(),
                    ..Operators::default()
                })),
                ..Config::default()
            };
            config.unusable_accounts(Timestamp::UNIX_EPOCH)
        };
        let own = vec![vouching];
        assert_eq!(told(good.key(), &good, own.clone()), [""; 0]);
        let head = format!("Account [{}] has validation issues:", good.key());
        let misplaced = format!(
            "  - it is of the account {}, so it is never found",
            other.key()
        );
        assert_eq!(told(good.key(), &other, own), [head.clone(), misplaced]);
        let unsigned = "  - no key of the operator has signed it".to_owned();
        assert_eq!(told(good.key(), &good, Vec::new()), [head, unsigned]);
    }

    #[test]
    fn only_pinned_accounts_and_the_system_account_may_log_in() {
        let mut operators = Operators::default();
        assert!(operators.admit("A", None));
        operators.pinned = vec!["B".to_owned()];
        let admitted = ["A", "B", "S"].map(|key| operators.admit(key, Some("S")));
        assert_eq!(admitted, [false, true, true]);
    }

    #[test]
    fn permissions_are_as_the_claims_have_them_and_no_list_is_everything() {
        let none = token(2, |nats| {
            nats["default_permissions"] = json!({"pub": {}, "sub": {}});
        });
        assert_eq!(none.default_permissions(), None);
        let some = token(2, |nats| {
            nats["default_permissions"] = json!({
                "pub": {"allow": ["a"], "deny": ["b"]}, "sub": {"allow": ["c q", "d"]}, "resp": {"max": 0, "ttl": -1},
            });
        });
        let grant = some.default_permissions().expect("there are some");
        assert_eq!(
            grant.to_string(),
            "{publish: {allow: [a], deny: [b]}, subscribe: {allow: [d, c q]}, \
             allow_responses: {max: 1, expires: -1s}}"
        );
        let wrong = token(2, |nats| {
            nats["default_permissions"] = json!({"pub": {"deny": ["a b"]}});
        });
        assert_eq!(
            (wrong.issues().len(), wrong.default_permissions()),
            (1, None)
        );
    }
}
