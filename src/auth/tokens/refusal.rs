//! `Refusal`: why a client with a token may not come in. The client is told nothing of it; the log tells it in
//! nats-server's words.

use crate::core::trace::Text;
use crate::jwt::{Fault, Issue};
use std::fmt;
use std::net::IpAddr;

/// Why a client with a token may not come in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// It has none.
    NoToken,
    /// It is no token of a user.
    Invalid(Fault),
    /// It is not good, or not at this time.
    NotGood(Vec<Issue>),
    /// Its time zone is unknown.
    Zone(Box<str>),
    /// Its account is not one of those that may log in.
    NotPinned(Box<str>),
    /// Its account is not known.
    AccountMissing(Box<str>),
    /// No operator vouches for its account, or the account's token is not good.
    AccountInvalid,
    /// Its account is over.
    AccountExpired(Box<str>),
    /// Its account was asked for elsewhere, and is not there.
    Fetch(Box<str>),
    /// Its issuer is no key of the account's.
    IssuerUnknown,
    /// A scope says what it may do, and so does its token.
    ScopedWithTerms,
    /// The scope has subjects that cannot be filled in for it.
    InvalidPermissions,
    /// The account wants a signature.
    NoBearer,
    /// It may be connected in other ways.
    Connection,
    /// It may be connected in ways of which none is known.
    ConnectionTypes(Vec<String>),
    /// It has signed nothing.
    NoSignature,
    /// What should be its signature is not base64.
    SignatureForm,
    /// It has not the user's key.
    Signature,
    /// The account has revoked it.
    Revoked,
    /// It may come from elsewhere.
    Address(Option<IpAddr>),
    /// It may come at another time of the day.
    Times,
    /// It has to come through a trusted proxy.
    Proxy,
}

impl Refusal {
    /// The account that may be another by now, and is to be asked for where accounts are kept elsewhere.
    pub(crate) fn unknown_account(&self) -> Option<&str> {
        match self {
            Refusal::AccountMissing(key) | Refusal::AccountExpired(key) => Some(key),
            _ => None,
        }
    }

    /// Whether an operator is to hear of it in any case, and not only who looks for the cause.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Refusal::Address(_) | Refusal::Times)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoToken => f.write_str("Authentication requires a user JWT"),
            Refusal::Invalid(fault) => {
                write!(f, "User JWT not valid: {}", Text(&fault.to_string()))
            }
            Refusal::NotGood(issues) => {
                let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
                write!(f, "User JWT no longer valid: &{{Issues:[{}]}}", issues.join(" "))
            }
            Refusal::Zone(name) => write!(
                f,
                "User JWT no longer valid: &{{Issues:[could not parse iana time zone by name: \
                 unknown time zone {}]}}",
                Text(name)
            ),
            Refusal::NotPinned(key) => {
                write!(f, "Account {key} not listed as operator pinned account")
            }
            Refusal::AccountMissing(key) => {
                write!(f, "Account JWT lookup error: account missing: {key}")
            }
            Refusal::AccountInvalid => {
                f.write_str("Account JWT lookup error: account validation failed")
            }
            Refusal::AccountExpired(_) => f.write_str("Account JWT has expired"),
            Refusal::Fetch(told) => write!(f, "Account JWT lookup error: {told}"),
            Refusal::IssuerUnknown => f.write_str("User JWT issuer is not known"),
            Refusal::ScopedWithTerms => f.write_str(
                "User JWT is not valid: scoped users require no permissions or limits set",
            ),
            Refusal::InvalidPermissions => {
                f.write_str("User JWT generated invalid permissions")
            }
            Refusal::NoBearer => f.write_str("Account does not allow bearer tokens"),
            Refusal::Connection => f.write_str("Connection type not allowed"),
            Refusal::ConnectionTypes(names) => write!(f, "invalid connection types {names:?}"),
            Refusal::NoSignature => f.write_str("Signature missing"),
            Refusal::SignatureForm => f.write_str("Signature not valid base64"),
            Refusal::Signature => f.write_str("Signature not verified"),
            Refusal::Revoked => f.write_str("User authentication revoked"),
            Refusal::Address(Some(address)) => write!(f, "Bad src Ip {address}"),
            Refusal::Address(None) => f.write_str("Bad src Ip: it comes from no address"),
            Refusal::Times => f.write_str("Outside connect times"),
            Refusal::Proxy => f.write_str(
                "the user has to come through a trusted proxy, and trusted proxies are not supported yet",
            ),
        }
    }
}
