//! JWTs of NATS: what operators, accounts and users say of themselves, signed by the key that vouches for them.
//!
//! ```text
//! base64url(header) . base64url(claims) . base64url(signature)
//!
//! operator ──signs──▶ account ──signs──▶ user           each also by its signing keys
//!                     account ──signs──▶ activation     what another account may import
//! ```
//!
//! A text that is read here is whole, of a version that is known, and signed by the key that it names as its issuer.
//! Whether that issuer is to be believed, and whether the claims are good at this time, is asked by those who use
//! them. Pure: no clock, no file, no settings.
//!
//! * `token`: from the text to claims; `fault`: what is wrong with one
//! * `claims`: what claims say; `account`, `user`, `operator`: what those of one kind say; `lists`: what several do
//! * `crossing`: exports, imports and activations
//! * `response`: what answers an authorization callout; `signer`: a key that signs what is asked in one
//! * `check`: what is wrong with claims that can be read
//! * `template`: the subjects of a scoped signing key, for one user
//! * `file`: a token among the lines of a file
//!
//! Source: nats-io/jwt v2 and nats-server 2.10.

mod account;
mod check;
mod claims;
mod crossing;
mod fault;
mod file;
mod lists;
mod operator;
mod response;
mod signature;
mod signer;
mod template;
mod token;
mod user;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

pub use account::{Account, AccountLimits, Authorization, MappingTo, Scope, SigningKey};
pub use check::Issue;
pub use claims::{Body, Claims};
pub use crossing::{Activation, Export, Import, Latency};
pub use fault::Fault;
pub use file::find;
pub use lists::{Lists, Permissions, Responses};
pub use operator::Operator;
pub use response::Response;
pub use signature::is_signed;
pub use signer::{Signer, Statement};
pub use template::{Names, expand};
pub use token::{
    TOKEN_BYTES_MAX, account, activation, generic, operator, read, response, user, written,
};
pub use user::{TimeRange, User};
