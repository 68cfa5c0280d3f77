//! NKeys of clients: key `n` is the one whose seed is 32 bytes `n`.

use crc::{CRC_16_XMODEM, Crc};
use data_encoding::{BASE32_NOPAD, BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, Encoding};
use ring::signature::{Ed25519KeyPair, KeyPair};

fn pair(number: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[number; 32]).expect("32 bytes are a seed")
}

/// The public key, as a user's.
pub(crate) fn public(number: u8) -> String {
    encoded(&[20 << 3], pair(number).public_key().as_ref())
}

/// The seed, as a user's.
#[allow(dead_code, reason = "not all who have keys need it")]
pub(crate) fn seed(number: u8) -> String {
    encoded(&[0x95, 0], &[number; 32])
}

fn encoded(kind: &[u8], key: &[u8]) -> String {
    let bytes = [kind, key].concat();
    let checksum = Crc::<u16>::new(&CRC_16_XMODEM).checksum(&bytes);
    BASE32_NOPAD.encode(&[bytes, checksum.to_le_bytes().to_vec()].concat())
}

/// A signature of `nonce`, in one form of base64: `url`, `url=`, `std` or `std=`.
pub(crate) fn sign(number: u8, nonce: &str, form: &str) -> String {
    let encoding: Encoding = match form {
        "url" => BASE64URL_NOPAD,
        "url=" => BASE64URL,
        "std" => BASE64_NOPAD,
        "std=" => BASE64,
        _ => panic!("no form of base64: {form}"),
    };
    encoding.encode(pair(number).sign(nonce.as_bytes()).as_ref())
}

/// `text` with `{key 1}` as the public key 1, `{sig 1}` as its signature of `nonce`, and `{sig 1 std=}` as that in
/// another form of base64.
pub(crate) fn filled_in(text: &str, nonce: &str) -> String {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let words = part.split_once('}').map(|(inner, rest)| {
            let words: Vec<&str> = inner.split(' ').collect();
            (words, rest)
        });
        let number = |text: &str| text.parse().expect("a key is a number");
        match words.as_ref().map(|(words, rest)| (words.as_slice(), rest)) {
            Some((["key", key], rest)) => filled += &(public(number(key)) + rest),
            Some((["sig", key], rest)) => filled += &(sign(number(key), nonce, "url") + rest),
            Some((["sig", key, form], rest)) => filled += &(sign(number(key), nonce, form) + rest),
            _ => filled.extend(["{", part]),
        }
    }
    filled
}
