//! `Furnishing`: what an account has that concerns its messages, whether settings say so or its token.

use super::{Export, Import};
use crate::config::{Config, GLOBAL};
use crate::jwt::SigningKey;
use crate::mapping::Mapping;

/// What an account has: what it offers, what it takes, and where what is published in it goes instead.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Furnishing<'a> {
    pub(crate) exports: &'a [Export],
    pub(crate) imports: &'a [Import],
    pub(crate) mappings: &'a [Mapping],
    /// Keys that sign activations as its own does.
    pub(crate) signing_keys: &'a [SigningKey],
    /// What its token has that is no good, a line for each.
    pub(crate) left_out: &'a [String],
}

impl Config {
    /// What an account of the settings has; `None` if there is none of this name.
    pub(crate) fn furnishing(&self, name: &str) -> Option<Furnishing<'_>> {
        if name == GLOBAL {
            return Some(Furnishing {
                mappings: &self.mappings,
                ..Furnishing::default()
            });
        }
        match self.accounts.get(name) {
            Some(account) => Some(Furnishing {
                exports: &account.exports,
                imports: &account.imports,
                mappings: &account.mappings,
                ..Furnishing::default()
            }),
            None => self.has_account(name).then(Furnishing::default),
        }
    }
}
