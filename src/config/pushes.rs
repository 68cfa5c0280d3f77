//! What is asked of an account's token that is pushed to a broker that runs, and of a request to delete accounts.
//!
//! nats-server stores whatever can be read, also a stranger's token, one that is over, and one that is older than what it
//! has. Here these are refused: what is stored counts after the next start.

use super::{AccountToken, Operators, TokenFault};
use crate::jwt::{self, Claims, Issue};
use std::borrow::Cow;
use std::fmt;

/// Why a token that is pushed is not taken. Prints as nats-server tells it, where it does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PushFault {
    /// It is no token of an account.
    Token(TokenFault),
    /// It is of another account than the subject of the request.
    Subject,
    /// A strict operator has signed it by its own key.
    Strict,
    /// No key of an operator has signed it.
    Stranger,
    /// It is over, or its time has not come.
    Untimely(Issue),
    /// One that was made later is here.
    Older,
    /// It contradicts itself.
    Invalid(Vec<Issue>),
    /// There are as many accounts as may be.
    Full,
    /// It could not be written.
    Store(String),
}

impl PushFault {
    /// How it is told; nats-server's caches have words of their own.
    pub(crate) fn told(&self, is_cache: bool) -> String {
        let (failed, invalid) = match is_cache {
            true => (
                "jwt update cache resulted in error",
                "jwt update cache validation failed",
            ),
            false => ("jwt update resulted in error", "jwt validation failed"),
        };
        let begin = match self {
            PushFault::Invalid(_) => invalid,
            _ => failed,
        };
        format!("{begin} - {}", self.cause())
    }

    /// What is wrong.
    pub(crate) fn cause(&self) -> Cow<'_, str> {
        let text = match self {
            PushFault::Token(fault) => return fault.to_string().into(),
            PushFault::Untimely(issue) => return issue.to_string().into(),
            PushFault::Store(text) => text,
            PushFault::Subject => "subject does not match jwt content",
            PushFault::Strict => "operator requires issuer to be a signing key",
            PushFault::Stranger => "no key of the operator has signed it",
            PushFault::Older => "a jwt that was issued later is stored",
            PushFault::Invalid(issues) => {
                let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
                return format!("validation errors: [{}]", issues.join(" ")).into();
            }
            PushFault::Full => "jwt store is full",
        };
        text.into()
    }
}

impl fmt::Display for PushFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(false))
    }
}

impl Operators {
    /// Whether a token that is pushed may take the place of the one that is here, at this second.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn admit_push(
        &self,
        token: &AccountToken,
        stored: Option<&AccountToken>,
        second: i64,
    ) -> Result<(), PushFault> {
        let claims = token.claims();
        if self.trust(&claims.issuer).is_none() {
            let is_own = |claims: &Claims<jwt::Operator>| claims.subject == token.claims().issuer;
            return Err(match self.tokens.iter().any(|one| is_own(&one.claims)) {
                true => PushFault::Strict,
                false => PushFault::Stranger,
            });
        }
        claims.is_timely(second).map_err(PushFault::Untimely)?;
        if !token.issues().is_empty() {
            return Err(PushFault::Invalid(token.issues().to_vec()));
        }
        match stored.is_some_and(|stored| stored.claims().issued_at > claims.issued_at) {
            true => Err(PushFault::Older),
            false => Ok(()),
        }
    }

    /// The accounts that a request wants deleted.
    ///
    /// # Errors
    /// Who asks, and why it is not done.
    pub(crate) fn deletion(
        &self,
        text: &str,
        system: Option<&str>,
        may_delete: bool,
    ) -> Result<Vec<String>, Refused> {
        let claims = jwt::generic(text).map_err(|fault| Refused {
            by: String::new(),
            why: fault.to_string(),
        })?;
        let refused = |why: &str| Refused {
            by: claims.subject.clone(),
            why: why.to_owned(),
        };
        if !may_delete {
            return Err(refused("delete must be enabled in server config"));
        }
        if claims.issuer != claims.subject {
            return Err(refused("not self signed"));
        }
        if self.trust(&claims.issuer).is_none() {
            return Err(refused("not trusted"));
        }
        let list = claims.body.get("accounts").and_then(|list| list.as_array());
        let keys = list.and_then(|list| {
            let texts = list
                .iter()
                .map(|one| one.as_str().filter(|text| !text.is_empty()));
            texts
                .map(|text| text.map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        });
        let keys = keys.ok_or_else(|| refused("malformed request"))?;
        match keys.iter().any(|key| Some(key.as_str()) == system) {
            true => Err(refused("not allowed to delete system account")),
            false => Ok(keys),
        }
    }
}

/// Why accounts are not deleted. Prints as nats-server tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    by: String,
    why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { by, why } = self;
        write!(f, "delete accounts request by {by} failed - {why}")
    }
}

#[cfg(all(test, feature = "nkeys"))]
mod tests {
    use super::*;
    use crate::config::OperatorToken;
    use crate::jwt::fixtures::{Signer, account_body};
    use midge_protocol::nkey::Kind;
    use serde_json::{Value, json};

    fn operator() -> Signer {
        Signer::new(Kind::Operator, 1)
    }

    fn operators(strict: bool) -> Operators {
        let key = operator();
        let signing = Signer::new(Kind::Operator, 2).public;
        let nats = json!({"type": "operator", "version": 2,
            "strict_signing_key_usage": strict, "signing_keys": [signing]});
        let token = key.token(json!({"sub": key.public, "nats": nats}));
        Operators {
            tokens: vec![OperatorToken::parse(&token).expect("it is good")],
            ..Operators::default()
        }
    }

    fn account(by: &Signer, change: impl Fn(&mut Value)) -> AccountToken {
        let key = Signer::new(Kind::Account, 3);
        let mut claims = json!({"sub": key.public, "iat": 500, "nats": account_body()});
        change(&mut claims);
        AccountToken::parse(&by.token(claims)).expect("it is good")
    }

    #[test]
    fn a_token_is_taken_from_its_operator_in_its_time_and_not_for_a_later_one() {
        let (operators, key) = (operators(false), operator());
        let plain = account(&key, |_| {});
        let admit = |token: &AccountToken, stored: Option<&AccountToken>| {
            let told = operators.admit_push(token, stored, 1000);
            told.err()
                .map(|fault| fault.to_string())
                .unwrap_or_default()
        };
        let later = account(&key, |claims| claims["iat"] = json!(501));
        assert_eq!(admit(&plain, None), "");
        assert_eq!(admit(&plain, Some(&plain)), "");
        assert_eq!(admit(&later, Some(&plain)), "");
        let begin = "jwt update resulted in error - ";
        let told = admit(&plain, Some(&later));
        assert_eq!(
            told,
            format!("{begin}a jwt that was issued later is stored")
        );
        let stranger = account(&Signer::new(Kind::Operator, 9), |_| {});
        let told = admit(&stranger, None);
        assert_eq!(told, format!("{begin}no key of the operator has signed it"));
        let over = account(&key, |claims| claims["exp"] = json!(999));
        assert_eq!(admit(&over, None), format!("{begin}claim is expired"));
        let wrong = account(&key, |claims| claims["nats"]["signing_keys"] = json!(["x"]));
        assert_eq!(
            admit(&wrong, None),
            "jwt validation failed - validation errors: [x is not an account public key]"
        );
    }

    #[test]
    fn a_strict_operators_own_key_pushes_nothing() {
        let operators = operators(true);
        let by_own = account(&operator(), |_| {});
        assert_eq!(
            operators.admit_push(&by_own, None, 1000),
            Err(PushFault::Strict)
        );
        let by_signing = account(&Signer::new(Kind::Operator, 2), |_| {});
        assert_eq!(operators.admit_push(&by_signing, None, 1000), Ok(()));
    }

    #[test]
    fn accounts_are_deleted_for_a_key_of_the_operator_that_signs_for_itself() {
        let operators = operators(false);
        let request = |by: &Signer, subject: &str, accounts: Value| {
            by.token(json!({"sub": subject, "nats": {"accounts": accounts, "version": 2}}))
        };
        let told = |text: &str, may_delete: bool| {
            let told = operators.deletion(text, Some("ASYS"), may_delete);
            told.map_err(|refused| refused.to_string())
        };
        let key = operator();
        let good = request(&key, &key.public, json!(["A1", "A2"]));
        assert_eq!(
            told(&good, true),
            Ok(vec!["A1".to_owned(), "A2".to_owned()])
        );
        let failed =
            |by: &str, why: &str| Err(format!("delete accounts request by {by} failed - {why}"));
        let own = key.public.as_str();
        assert_eq!(
            told(&good, false),
            failed(own, "delete must be enabled in server config")
        );
        assert_eq!(told("a.b", true), failed("", "expected 3 chunks"));
        let other = Signer::new(Kind::Operator, 9);
        let by_other = request(&other, &other.public, json!(["A1"]));
        assert_eq!(told(&by_other, true), failed(&other.public, "not trusted"));
        let for_other = request(&key, &other.public, json!(["A1"]));
        assert_eq!(
            told(&for_other, true),
            failed(&other.public, "not self signed")
        );
        for accounts in [json!("A1"), json!([1]), json!([""]), Value::Null] {
            let text = request(&key, own, accounts);
            assert_eq!(told(&text, true), failed(own, "malformed request"));
        }
        let system = request(&key, own, json!(["A1", "ASYS"]));
        assert_eq!(
            told(&system, true),
            failed(own, "not allowed to delete system account")
        );
    }
}
