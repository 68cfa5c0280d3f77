//! Public NKeys: their form, and the key in it.
//!
//! ```text
//! base32, without padding, of   kind: 1 byte | key: 32 bytes | CRC-16/XMODEM of both, little-endian
//!                               = 35 bytes, 56 letters, of which the first tells the kind
//! ```
//!
//! The key in a server's id signs nothing, so it is random bytes. What a user has signed is checked in
//! `auth/signature.rs`. Source: nats-io/nkeys v0.4, `strkey.go`.

use crc::{CRC_16_XMODEM, Crc};
use data_encoding::BASE32_NOPAD;

const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// Of what a key is the name. The letter is the first of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// `N`
    Server = 13 << 3,
    /// `U`
    #[cfg_attr(
        not(any(feature = "command", feature = "nkeys", test)),
        expect(dead_code)
    )]
    User = 20 << 3,
}

/// A server's id, made of these bytes.
pub(crate) fn server_id(random: [u8; 32]) -> String {
    text(Kind::Server, random)
}

fn text(kind: Kind, key: [u8; 32]) -> String {
    let mut bytes = vec![kind as u8];
    bytes.extend(key);
    let checksum = CHECKSUM.checksum(&bytes);
    bytes.extend(checksum.to_le_bytes());
    BASE32_NOPAD.encode(&bytes)
}

/// The key of which `text` is the public one of this kind, with a checksum that is right.
#[cfg(any(feature = "command", feature = "nkeys", test))]
pub(crate) fn public_key(kind: Kind, text: &str) -> Option<[u8; 32]> {
    let bytes = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
    let (body, checksum) = bytes.split_last_chunk::<2>()?;
    let (letter, key) = body.split_first()?;
    let is_good = CHECKSUM.checksum(body) == u16::from_le_bytes(*checksum);
    let key = key.try_into().ok()?;
    (*letter == kind as u8 && is_good).then_some(key)
}

/// Whether `text` is a public key of this kind.
#[cfg(any(feature = "command", test))]
pub(crate) fn is_public(kind: Kind, text: &str) -> bool {
    public_key(kind, text).is_some()
}

#[cfg(test)]
mod tests {
    use super::{BASE32_NOPAD, Kind, is_public, public_key, server_id, text};

    /// A server's and a user's, made by nats-io/nkeys.
    const SERVER: &str = "NAK74WTCJ7SGDPNO3EHIPOK27TWQHF523OGMWJ5E4AGGFFYOHC76PC5Z";
    const USER: &str = "UBCXCMGAZQZN55X5TTTWMB5CZNZIKJHEDZJOJ3TV63NKPJ6FRXSR2ZO4";

    #[test]
    fn a_server_id_is_a_public_key_in_form() {
        for byte in [0, 1, 127, 255] {
            let id = server_id([byte; 32]);
            assert_eq!((id.len(), id.as_bytes()[0]), (56, b'N'), "{id}");
            assert!(is_public(Kind::Server, &id), "{id}");
            assert!(!is_public(Kind::User, &id), "{id}");
        }
    }

    #[test]
    fn keys_made_elsewhere_are_public_keys_of_their_kind_alone() {
        for (kind, other, key) in [
            (Kind::Server, Kind::User, SERVER),
            (Kind::User, Kind::Server, USER),
        ] {
            assert!(is_public(kind, key) && !is_public(other, key), "{key}");
            let bytes = BASE32_NOPAD.decode(key.as_bytes()).expect("base32");
            let inner = bytes[1..33].try_into().expect("32 bytes");
            assert_eq!(text(kind, inner), key);
            assert_eq!(public_key(kind, key), Some(inner));
        }
    }

    #[test]
    fn a_key_with_any_letter_changed_missing_or_added_is_none() {
        let wrong = |text: &str| assert!(!is_public(Kind::User, text), "{text:?}");
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
}
