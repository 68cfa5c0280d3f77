//! Tokens as text: nothing panics, whatever the header, the claims, the templates or the file around them.
//!
//! The data is a token, or claims that a key of the target's own has signed: otherwise nothing would come past the
//! signature. The first byte tells which.

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge::jwt::{self, Body, Names};
use midge_protocol::nkey::{self, Kind};

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    match first % 4 {
        0 => reads(&text),
        1 => files(&text),
        _ => signed(&text, first % 4 == 2),
    }
});

/// What a client may send.
fn reads(text: &str) {
    if let Ok(claims) = jwt::read(text) {
        uses(&claims);
    }
}

/// What a file may hold.
fn files(text: &str) {
    if let Some(token) = jwt::find(text) {
        assert!(text.contains(token) && !token.contains(char::is_whitespace));
        reads(token);
    }
}

/// What a key vouches for.
fn signed(claims: &str, is_account: bool) {
    use data_encoding::BASE64URL_NOPAD;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).expect("32 bytes are a seed");
    let public = pair.public_key().as_ref().try_into().expect("a key has 32 bytes");
    let kind = if is_account { Kind::Account } else { Kind::Operator };
    let claims = claims.replacen("ISS", &nkey::text(kind, public), 1);
    let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let both = format!("{header}.{}", BASE64URL_NOPAD.encode(claims.as_bytes()));
    let signature = BASE64URL_NOPAD.encode(pair.sign(both.as_bytes()).as_ref());
    if let Ok(claims) = jwt::read(&format!("{both}.{signature}")) {
        uses(&claims);
    }
}

fn uses(claims: &jwt::Claims<Body>) {
    let _ = claims.is_timely(claims.expires);
    let names = Names {
        name: &claims.name,
        subject: &claims.subject,
        tags: &claims.tags,
        account_name: &claims.name,
        account_subject: &claims.issuer,
        account_tags: &claims.tags,
    };
    let user = match &claims.body {
        // As the broker does with the answer to a callout.
        Body::Response(answer) => {
            if let Ok(user) = jwt::user(&answer.jwt) {
                let _ = user.issues();
            }
            None
        }
        Body::User(user) => Some(&**user),
        Body::Account(account) => {
            let mut scopes = account.signing_keys.iter().filter_map(|key| key.scope.as_ref());
            scopes.next().map(|scope| &scope.template)
        }
        _ => None,
    };
    if let Some(user) = user {
        for range in &user.times {
            assert!(range.starts().is_none_or(|second| second < 24 * 60 * 60));
        }
        if let Some(filled) = jwt::expand(&user.permissions, &names) {
            let had_some = !user.permissions.publish.allow.is_empty();
            let denies_all = filled.publish.deny.iter().any(|subject| subject == ">");
            assert!(!had_some || !filled.publish.allow.is_empty() || denies_all);
        }
    }
}
