//! What a token says of an operator: which keys speak for it.

use serde::Deserialize;

/// An operator, who vouches for accounts.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Operator {
    /// Keys that vouch for accounts as its own does.
    pub signing_keys: Vec<String>,
    /// The account for those who run the server.
    pub system_account: String,
    /// Whether its own key vouches for nothing, and accounts likewise let in users by their signing keys alone.
    pub strict_signing_key_usage: bool,
    /// The least version of the server, as `2.10.1`.
    pub assert_server_version: String,
    /// Where accounts are looked up when the settings do not tell.
    pub account_server_url: String,
}
