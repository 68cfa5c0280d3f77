//! What a token says in answer to an authorization callout: who a client is, or why it may not come in.

use serde::Deserialize;

/// The answer of one who decides about the clients of a server.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Response {
    /// The token of the user that the client is.
    pub jwt: String,
    /// Why it may not come in.
    pub error: String,
    /// The account, if it is a signing key of that which has signed.
    pub issuer_account: String,
}
