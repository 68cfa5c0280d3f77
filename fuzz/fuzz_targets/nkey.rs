//! Keys, seeds and signatures as text: nothing panics, and what is read is written as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge_protocol::nkey::{self, Kind, Seed};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        reads(text);
    }
    if let Some((bytes, nonce)) = data.split_first_chunk::<32>() {
        writes(*bytes, &String::from_utf8_lossy(nonce));
    }
});

/// What a peer or a file may say.
fn reads(text: &str) {
    for kind in [Kind::User, Kind::Server] {
        if let Some(key) = nkey::public_key(kind, text) {
            assert_eq!(nkey::text(kind, key), text);
        }
    }
    if let Some(seed) = Seed::parse(text) {
        assert_eq!(*seed.text(), text);
        assert_eq!(Seed::find(text), Some(seed));
    }
    if let Some(seed) = Seed::find(text) {
        assert!(text.contains(&**seed.text()));
    }
    if let Some(jwt) = nkey::jwt_in(text) {
        assert!(!jwt.contains('\n') && !jwt.starts_with('-'));
    }
    if let Some(bytes) = nkey::signature(text) {
        // Three bytes for four letters.
        assert!(bytes.len() <= text.len() * 3 / 4);
        assert_eq!(nkey::signature(&format!("{text}==\r\n")), Some(bytes));
    }
}

/// What the owner of a seed says.
fn writes(bytes: [u8; 32], nonce: &str) {
    let seed = Seed::of(bytes);
    assert_eq!(Seed::parse(&seed.text()).as_ref(), Some(&seed));
    let public = seed.public();
    let key = nkey::public_key(Kind::User, &public).expect("it is a user's");
    assert_eq!(nkey::text(Kind::User, key), public);
    assert_eq!(nkey::public_key(Kind::Server, &public), None);
    let signature = nkey::signature(&seed.sign(nonce));
    assert_eq!(signature.map(|bytes| bytes.len()), Some(64));
}
