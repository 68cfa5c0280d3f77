//! Signatures: a client proves that a key is its own by what it makes of the nonce in its `INFO`.
//!
//! ```text
//! nonce   11 random bytes, as 15 letters of base64url
//! sig     the ed25519 signature of these 15 bytes, 64 bytes in base64
//! ```
//!
//! They are checked in the loop: one takes ring 45 microseconds on an Intel Xeon, which holds the others up less than
//! a large message does.

use crate::jwt::is_signed;
use data_encoding::BASE64URL_NOPAD;
use midge_protocol::Secret;
use midge_protocol::nkey::{self, Kind, public_key};

/// What a client has to sign: another for each connection.
#[derive(Debug)]
pub(crate) struct Nonce(Box<str>);

impl Nonce {
    /// A new one; `None` if the system has no random bytes: then no client can sign.
    ///
    /// Not from the reactor's numbers, of which a client might tell the next from those it was given.
    pub(crate) fn new() -> Option<Nonce> {
        let mut random = [0; 11];
        getrandom::fill(&mut random).ok()?;
        Some(Nonce(BASE64URL_NOPAD.encode(&random).into()))
    }

    /// The letters, which are what is signed.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// Whether `sig` is what the owner of a public key makes of the nonce.
pub(crate) fn is_good(key: &str, nonce: &Nonce, sig: &Secret) -> bool {
    let sig = nkey::signature(sig);
    let key = public_key(Kind::User, key);
    let good = |(key, sig): ([u8; 32], Vec<u8>)| is_signed(&key, nonce.text().as_bytes(), &sig);
    key.zip(sig).is_some_and(good)
}

#[cfg(all(test, feature = "nkeys"))]
mod tests {
    use super::*;
    use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL};
    use ring::signature::{Ed25519KeyPair, KeyPair};

    /// Of the key made of 32 bytes 1, by nats-io/nkeys.
    const KEY: &str = "UCFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVZ45L";

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[1; 32]).expect("32 bytes are a seed")
    }

    fn nonce() -> Nonce {
        Nonce::new().expect("there are random bytes")
    }

    #[test]
    fn each_nonce_is_another_and_has_fifteen_letters() {
        let (one, other) = (nonce(), nonce());
        assert_eq!(one.text().len(), 15);
        assert_ne!(one.text(), other.text());
    }

    #[test]
    fn a_signature_is_good_in_every_base64_and_for_its_nonce_and_key_alone() {
        let inner = public_key(Kind::User, KEY);
        assert_eq!(pair().public_key().as_ref(), inner.expect("it is one"));
        let other = "UCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPJO";
        // Many, so that both letters that differ are among them.
        for _ in 0..50 {
            let (nonce, wrong) = (nonce(), nonce());
            let sig = pair().sign(nonce.text().as_bytes());
            for base64 in [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD] {
                let text = base64.encode(sig.as_ref());
                let is_good = |key, nonce: &Nonce, text: &str| is_good(key, nonce, &text.into());
                assert!(is_good(KEY, &nonce, &text), "{text}");
                assert!(is_good(KEY, &nonce, &format!("{text}\r\n")), "{text}");
                let (first, rest) = text.split_at(10);
                assert!(is_good(KEY, &nonce, &format!("{first}\n{rest}")), "{text}");
                assert!(!is_good(KEY, &nonce, &format!("{first} {rest}")), "{text}");
                assert!(!is_good(KEY, &nonce, first), "{text}");
                assert!(!is_good(KEY, &wrong, &text), "{text}");
                assert!(!is_good(other, &nonce, &text), "{text}");
            }
        }
        assert!(!is_good(KEY, &nonce(), &Secret::default()));
        assert!(!is_good("", &nonce(), &"A".repeat(86).as_str().into()));
    }
}
