//! `Claims`: what every token says, whatever it is about.

use super::{Account, Activation, Operator, Response, User};
use midge_protocol::nkey::{Kind, public_key};

/// What a token says, signed by `issuer`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Claims<T> {
    /// The public key that has signed it. To be looked up among those that are trusted.
    pub issuer: String,
    /// Whom it is about: a public key.
    pub subject: String,
    /// For whom it is (`aud`), if that is told.
    pub audience: String,
    /// What people call the subject.
    pub name: String,
    /// Its own name (`jti`), by which two copies are told apart. Nobody vouches for it.
    pub id: String,
    /// When it was made, in seconds since 1970; 0 if that is not told.
    pub issued_at: i64,
    /// Until when it is good, in seconds since 1970; 0 is for ever.
    pub expires: i64,
    /// From when on it is good, in seconds since 1970; 0 is from the beginning.
    pub not_before: i64,
    /// Texts `key:value`, for templates.
    pub tags: Vec<String>,
    /// What it says of its kind of subject.
    pub body: T,
}

/// What a token says of its kind of subject.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// Of an operator.
    Operator(Operator),
    /// Of an account.
    Account(Box<Account>),
    /// Of a user.
    User(Box<User>),
    /// What an account may import.
    Activation(Activation),
    /// The answer to an authorization callout.
    Response(Box<Response>),
    /// Of no kind that is known: the object `nats` as it stands.
    Generic(serde_json::Value),
}

impl<T> Claims<T> {
    /// The same with something else in its body.
    pub(super) fn map<U, E>(self, body: impl FnOnce(T) -> Result<U, E>) -> Result<Claims<U>, E> {
        Ok(Claims {
            issuer: self.issuer,
            subject: self.subject,
            audience: self.audience,
            name: self.name,
            id: self.id,
            issued_at: self.issued_at,
            expires: self.expires,
            not_before: self.not_before,
            tags: self.tags,
            body: body(self.body)?,
        })
    }

    /// Whether it is over at this second. There is no tolerance: in the second itself it is still good.
    pub fn is_expired(&self, now: i64) -> bool {
        self.expires > 0 && now > self.expires
    }

    /// Whether its time has not come at this second. There is no tolerance.
    pub fn is_early(&self, now: i64) -> bool {
        self.not_before > 0 && self.not_before > now
    }

    /// The values of its tags `key:value`, in their order. The key in any letter case.
    pub fn tagged<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.tags.iter().filter_map(move |tag| {
            let (name, value) = tag.split_once(':')?;
            name.eq_ignore_ascii_case(key).then_some(value)
        })
    }
}

/// Whether this is the public key of an account.
pub(super) fn is_account(text: &str) -> bool {
    public_key(Kind::Account, text).is_some()
}

/// Whether this is the public key of an operator.
pub(super) fn is_operator(text: &str) -> bool {
    public_key(Kind::Operator, text).is_some()
}
