//! Keys and tokens for tests.

use data_encoding::BASE64URL_NOPAD;
use midge_protocol::nkey::{Kind, text};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// A key that signs, made of one byte: each byte makes another.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    /// The public key.
    pub(crate) public: String,
}

impl Signer {
    pub(crate) fn new(kind: Kind, byte: u8) -> Signer {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[byte; 32]).expect("32 bytes are a seed");
        let key = pair.public_key().as_ref().try_into();
        let public = text(kind, key.expect("a public key has 32 bytes"));
        Signer { pair, public }
    }

    /// The token of version 2 of these claims, which need not name the issuer.
    pub(crate) fn token(&self, mut claims: Value) -> String {
        claims["iss"] = json!(self.public);
        self.signed(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#, &claims.to_string())
    }

    pub(crate) fn signed(&self, header: &str, claims: &str) -> String {
        let [header, claims] = [header, claims].map(|one| BASE64URL_NOPAD.encode(one.as_bytes()));
        let both = format!("{header}.{claims}");
        let signature = self.signature(both.as_bytes());
        format!("{both}.{signature}")
    }

    /// The signature, in base64url.
    pub(crate) fn signature(&self, signed: &[u8]) -> String {
        BASE64URL_NOPAD.encode(self.pair.sign(signed).as_ref())
    }
}

/// What the object `nats` of an account has that lets everything in.
pub(crate) fn account_body() -> Value {
    json!({
        "type": "account", "version": 2,
        "limits": {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1},
    })
}

/// What the object `nats` of a user has that lets everything be done.
pub(crate) fn user_body() -> Value {
    json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1})
}
