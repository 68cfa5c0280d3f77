//! NKeys: public keys and seeds as text.
//!
//! ```text
//! base32, without padding, of   kind: 1 byte | key: 32 bytes | CRC-16/XMODEM of both, little-endian
//!                               = 35 bytes, 56 letters, of which the first tells the kind
//! a seed                        S and kind: 2 bytes | seed: 32 bytes | CRC-16/XMODEM of both
//!                               = 36 bytes, 58 letters
//! ```
//!
//! A key signs with ed25519, but for one of a curve, which seals. Source: nats-io/nkeys v0.4, `strkey.go`.

use crc::{CRC_16_XMODEM, Crc};
use data_encoding::{BASE32_NOPAD, BASE64_NOPAD};
use zeroize::Zeroizing;

#[cfg(feature = "nkeys")]
pub use seed::Seed;

const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// Of what a key is the name. The letter is the first of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Kind {
    /// `O`
    Operator = 14 << 3,
    /// `N`
    Server = 13 << 3,
    /// `A`
    Account = 0,
    /// `U`
    User = 20 << 3,
    /// `X`, of Curve25519: it seals, and signs nothing
    Curve = 23 << 3,
}

/// A public key of this kind as text.
pub fn text(kind: Kind, key: [u8; 32]) -> String {
    encode(&[kind as u8], &key)
}

/// The key of which `text` is the public one of this kind, with a checksum that is right.
pub fn public_key(kind: Kind, text: &str) -> Option<[u8; 32]> {
    let bytes = decode(text)?;
    let (letter, key) = bytes.split_first()?;
    let key = key.try_into().ok()?;
    (*letter == kind as u8).then_some(key)
}

/// The bytes of a signature as `sig` in `CONNECT` has them; `None` if these are no letters of base64.
///
/// nats-server takes base64url without padding and base64 with it. Here each may have padding or none. Line ends
/// in it are left out, as Go's decoder has it. Source: nats-server 2.10, `server/auth.go`.
pub fn signature(text: &str) -> Option<Vec<u8>> {
    let letters = text.trim_end_matches(['\r', '\n', '=']).bytes();
    let letters = letters.filter(|letter| !matches!(letter, b'\r' | b'\n'));
    let letters = letters.map(|letter| match letter {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    });
    BASE64_NOPAD.decode(&letters.collect::<Vec<u8>>()).ok()
}

/// The JWT of a user in the text of a file as `nsc` writes them: the line behind the one that announces it.
pub fn jwt_in(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.contains("BEGIN NATS USER JWT"))?;
    lines.find(|line| !line.is_empty() && !line.starts_with('-'))
}

fn encode(kind: &[u8], key: &[u8]) -> String {
    // It may be a seed. All in one place, so that no copy stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(kind.len() + key.len() + 2));
    bytes.extend([kind, key].into_iter().flatten());
    let checksum = CHECKSUM.checksum(&bytes);
    bytes.extend(checksum.to_le_bytes());
    BASE32_NOPAD.encode(&bytes)
}

/// What stands before the checksum, if that is right.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
    let (body, checksum) = bytes.split_last_chunk::<2>()?;
    let (len, is_good) = (
        body.len(),
        CHECKSUM.checksum(body) == u16::from_le_bytes(*checksum),
    );
    bytes.truncate(len);
    is_good.then_some(bytes)
}

#[cfg(feature = "nkeys")]
mod seed {
    use super::{Kind, decode, encode, text};
    use data_encoding::BASE64URL_NOPAD;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use std::fmt;
    use zeroize::{Zeroize, Zeroizing};

    /// What the first bits of a seed say.
    const SEED: u8 = 18 << 3;

    /// The secret half of a user's key. `Debug` shows nothing of it, and it is overwritten when it is dropped.
    #[derive(Clone)]
    pub struct Seed(Zeroizing<[u8; 32]>);

    impl Seed {
        /// Reads a user's seed (`SU...`); `None` if it is none.
        pub fn parse(text: &str) -> Option<Seed> {
            let mut bytes = decode(text)?;
            let kind = Kind::User as u8;
            let seed = match bytes.split_first_chunk() {
                Some(([first, second], seed))
                    if *first == SEED | kind >> 5 && *second == kind << 3 =>
                {
                    seed.try_into().ok().map(Seed::of)
                }
                _ => None,
            };
            bytes.zeroize();
            seed
        }

        /// The seed of a user in the text of a file: the first line that begins like one.
        pub fn find(text: &str) -> Option<Seed> {
            let mut lines = text.lines().map(str::trim);
            let line = lines.find(|line| line.starts_with("SU"))?;
            Seed::parse(line)
        }

        /// The one of these bytes.
        pub fn of(bytes: [u8; 32]) -> Seed {
            Seed(Zeroizing::new(bytes))
        }

        /// Its text.
        pub fn text(&self) -> Zeroizing<String> {
            let kind = Kind::User as u8;
            Zeroizing::new(encode(&[SEED | kind >> 5, kind << 3], &*self.0))
        }

        /// The public half, as text.
        pub fn public(&self) -> String {
            let key = self.pair().public_key().as_ref().try_into();
            text(Kind::User, key.expect("a public key has 32 bytes"))
        }

        /// The signature of a nonce, as `CONNECT` has it: base64url without padding.
        pub fn sign(&self, nonce: &str) -> String {
            BASE64URL_NOPAD.encode(self.pair().sign(nonce.as_bytes()).as_ref())
        }

        fn pair(&self) -> Ed25519KeyPair {
            Ed25519KeyPair::from_seed_unchecked(&*self.0).expect("a seed has 32 bytes")
        }
    }

    impl fmt::Debug for Seed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(crate::secret::REDACTED)
        }
    }

    impl PartialEq for Seed {
        fn eq(&self, other: &Seed) -> bool {
            subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]).into()
        }
    }

    impl Eq for Seed {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's and a user's, made by nats-io/nkeys.
    const SERVER: &str = "NAK74WTCJ7SGDPNO3EHIPOK27TWQHF523OGMWJ5E4AGGFFYOHC76PC5Z";
    const USER: &str = "UBCXCMGAZQZN55X5TTTWMB5CZNZIKJHEDZJOJ3TV63NKPJ6FRXSR2ZO4";

    #[test]
    fn a_text_is_a_public_key_of_its_kind_alone() {
        for byte in [0, 1, 127, 255] {
            let id = text(Kind::Server, [byte; 32]);
            assert_eq!((id.len(), id.as_bytes()[0]), (56, b'N'), "{id}");
            assert_eq!(public_key(Kind::Server, &id), Some([byte; 32]), "{id}");
            assert_eq!(public_key(Kind::User, &id), None, "{id}");
        }
        for (kind, other, key) in [
            (Kind::Server, Kind::User, SERVER),
            (Kind::User, Kind::Server, USER),
        ] {
            assert_eq!(public_key(other, key), None, "{key}");
            let inner = public_key(kind, key).expect("it is one");
            assert_eq!(text(kind, inner), key);
        }
    }

    #[test]
    fn a_key_with_any_letter_changed_missing_or_added_is_none() {
        let wrong = |text: &str| assert_eq!(public_key(Kind::User, text), None, "{text:?}");
        for place in 0..USER.len() {
            for letter in ["A", "7", "a", "1", "=", " ", "é", ""] {
                let changed = format!("{}{letter}{}", &USER[..place], &USER[place + 1..]);
                if changed != USER {
                    wrong(&changed);
                }
            }
        }
        for text in ["", "U", "foo", &USER.to_lowercase(), &format!("{USER}A")] {
            wrong(text);
        }
        wrong(&USER.repeat(8));
    }

    #[cfg(feature = "nkeys")]
    #[test]
    fn a_seed_is_read_and_tells_nothing_but_its_public_half() {
        // Made by nats-io/nkeys, of the bytes 0 to 31.
        let text = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
        let seed = Seed::parse(text).expect("it is one");
        assert_eq!(seed, Seed::of(std::array::from_fn(|place| place as u8)));
        assert_eq!(&*seed.text(), text);
        let public = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";
        assert_eq!(seed.public(), public);
        assert_eq!(format!("{seed:?}"), "[REDACTED]");
        for wrong in ["", "SU", USER, &text.to_lowercase(), &text[1..]] {
            assert_eq!(Seed::parse(wrong), None, "{wrong}");
        }
    }
}
