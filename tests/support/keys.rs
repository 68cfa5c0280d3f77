//! NKeys of clients: key `n` is the one whose seed is 32 bytes `n`.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, Encoding};
use midge_protocol::nkey::Seed;

fn seed(number: &str) -> Seed {
    Seed::of([number.parse().expect("a key is a number"); 32])
}

/// A signature of `nonce`, in one form of base64: `url`, `url=`, `std` or `std=`.
fn sign(number: &str, nonce: &str, form: &str) -> String {
    let encoding: Encoding = match form {
        "url" => BASE64URL_NOPAD,
        "url=" => BASE64URL,
        "std" => BASE64_NOPAD,
        "std=" => BASE64,
        _ => panic!("no form of base64: {form}"),
    };
    let signature = seed(number).sign(nonce);
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes());
    encoding.encode(&signature.expect("it is of this form"))
}

/// `text` with `{key 1}` as the public key 1, `{sig 1}` as its signature of `nonce`, and `{sig 1 std=}` as that in
/// another form of base64.
pub(crate) fn filled_in(text: &str, nonce: &str) -> String {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once('}').unwrap_or((part, ""));
        let words: Vec<&str> = inner.split(' ').collect();
        let word = match words[..] {
            ["key", key] => seed(key).public(),
            ["sig", key] => sign(key, nonce, "url"),
            ["sig", key, form] => sign(key, nonce, form),
            _ => {
                filled.extend(["{", part]);
                continue;
            }
        };
        filled.extend([&word, rest]);
    }
    filled
}
