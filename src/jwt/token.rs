//! From the text of a token to its claims.
//!
//! The order in which it is looked at is nats-server's, and so is what is told first: the chunks, the header, the
//! claims, their version, their kind, the signature, and whether a key of the issuer's kind may sign such claims.
//!
//! | | version 2 | version 1 |
//! |---|---|---|
//! | told by | `nats.version` | a `type` beside `nats` |
//! | signed | both chunks, with the dot | the second chunk |
//! | tags, account of the signing key | in `nats` | beside it |
//!
//! The header's `alg` may be either's, and decides nothing.

use super::claims::{is_account, is_operator};
use super::{Account, Activation, Body, Claims, Fault, Operator, Response, User, is_signed};
use data_encoding::{BASE64URL_NOPAD, DecodeError};
use midge_protocol::nkey::{Kind, public_key};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest text that is read.
pub const TOKEN_BYTES_MAX: usize = 1024 * 1024;

/// Reads a token of whatever kind.
///
/// Costs a check of a signature, and some allocations for each claim.
///
/// # Errors
/// Why it is none.
pub fn read(text: &str) -> Result<Claims<Body>, Fault> {
    // Go's decoder of base64 leaves line ends out; within the text they would be signed as well.
    let text = text.trim_end_matches(['\r', '\n']);
    if text.len() > TOKEN_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    let mut chunks = text.split('.');
    let (Some(header), Some(body), Some(signature), None) =
        (chunks.next(), chunks.next(), chunks.next(), chunks.next())
    else {
        return Err(Fault::Chunks);
    };
    check_header(&decode(header)?)?;
    let written: Written = json(&decode(body)?)?;
    let (version, claims) = written.claims()?;
    let signature = decode(signature)?;
    let both = &text[..header.len() + 1 + body.len()];
    let key = public(&claims.issuer);
    let is_by_issuer =
        |signed: &str| key.is_some_and(|key| is_signed(&key, signed.as_bytes(), &signature));
    let is_good = match version {
        Version::One => is_by_issuer(body),
        Version::Two => is_by_issuer(both),
        // Such a token tells no version, and its writers differ.
        Version::Untold => is_by_issuer(both) || is_by_issuer(body),
    };
    if !is_good {
        return Err(Fault::Signature(match version {
            Version::Two => 2,
            Version::One | Version::Untold => 1,
        }));
    }
    let (is_operator, is_account) = (is_operator(&claims.issuer), is_account(&claims.issuer));
    let may_sign = match &claims.body {
        Body::Operator(_) => is_operator,
        Body::Account(_) | Body::Activation(_) => is_operator || is_account,
        Body::User(_) | Body::Response(_) => is_account,
        Body::Generic(_) => true,
    };
    may_sign.then_some(claims).ok_or(Fault::Issuer)
}

/// Reads an operator's token.
///
/// # Errors
/// As [`read`]; [`Fault::NotA`].
pub fn operator(text: &str) -> Result<Claims<Operator>, Fault> {
    read(text)?.map(|body| match body {
        Body::Operator(body) => Ok(body),
        _ => Err(Fault::NotA("operator")),
    })
}

/// Reads an account's token.
///
/// # Errors
/// As [`read`]; [`Fault::NotA`].
pub fn account(text: &str) -> Result<Claims<Account>, Fault> {
    read(text)?.map(|body| match body {
        Body::Account(body) => Ok(*body),
        _ => Err(Fault::NotA("account")),
    })
}

/// Reads a user's token.
///
/// # Errors
/// As [`read`]; [`Fault::NotA`].
pub fn user(text: &str) -> Result<Claims<User>, Fault> {
    read(text)?.map(|body| match body {
        Body::User(body) => Ok(*body),
        _ => Err(Fault::NotA("user")),
    })
}

/// Reads an activation.
///
/// # Errors
/// As [`read`]; [`Fault::NotA`].
pub fn activation(text: &str) -> Result<Claims<Activation>, Fault> {
    read(text)?.map(|body| match body {
        Body::Activation(body) => Ok(body),
        _ => Err(Fault::NotA("activation")),
    })
}

/// Reads the answer to an authorization callout.
///
/// # Errors
/// As [`read`]; [`Fault::NotA`].
pub fn response(text: &str) -> Result<Claims<Response>, Fault> {
    read(text)?.map(|body| match body {
        Body::Response(body) => Ok(*body),
        _ => Err(Fault::NotA("authorization response")),
    })
}

/// Reads a token of no kind of its own, as requests have them.
///
/// # Errors
/// As [`read`]; [`Fault::NotA`].
pub fn generic(text: &str) -> Result<Claims<Value>, Fault> {
    read(text)?.map(|body| match body {
        Body::Generic(body) => Ok(body),
        _ => Err(Fault::NotA("generic")),
    })
}

/// The claims of a token as they stand in it, to be shown. Nothing is checked.
pub fn written(text: &str) -> Option<Value> {
    let claims = text.split('.').nth(1)?;
    json(&decode(claims).ok()?).ok()
}

/// The key of a text, of whatever kind it is that may sign.
fn public(text: &str) -> Option<[u8; 32]> {
    let kinds = [Kind::Account, Kind::Operator, Kind::User, Kind::Server];
    kinds.into_iter().find_map(|kind| public_key(kind, text))
}

fn decode(chunk: &str) -> Result<Vec<u8>, Fault> {
    let wrong = |error: DecodeError| Fault::Base64(error.position);
    BASE64URL_NOPAD.decode(chunk.as_bytes()).map_err(wrong)
}

/// Reads JSON in which `null` stands for nothing, as Go has it.
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let wrong = |error: serde_json::Error| Fault::Json(error.to_string());
    let mut value: Value = serde_json::from_slice(bytes).map_err(wrong)?;
    drop_nulls(&mut value);
    T::deserialize(value).map_err(wrong)
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn check_header(header: &[u8]) -> Result<(), Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Header {
        typ: String,
        alg: String,
    }
    let Header { typ, alg } = json(header)?;
    if !typ.eq_ignore_ascii_case("JWT") {
        return Err(Fault::Type(typ));
    }
    let known = ["ed25519-nkey", "ed25519"];
    match known.iter().any(|known| alg.eq_ignore_ascii_case(known)) {
        true => Ok(()),
        false => Err(Fault::Algorithm(alg)),
    }
}

/// By which version claims are signed.
enum Version {
    One,
    Two,
    Untold,
}

/// The claims as they are written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    iss: String,
    sub: String,
    aud: String,
    name: String,
    jti: String,
    iat: i64,
    exp: i64,
    nbf: i64,
    /// Of version 1.
    #[serde(rename = "type")]
    kind: String,
    /// Of version 1.
    tags: Vec<String>,
    /// Of version 1.
    issuer_account: String,
    nats: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    version: i64,
    tags: Vec<String>,
}

impl Written {
    fn claims(mut self) -> Result<(Version, Claims<Body>), Fault> {
        let wrong = |error: serde_json::Error| Fault::Json(error.to_string());
        if self.nats.is_null() {
            self.nats = Value::Object(serde_json::Map::new());
        }
        let told = Told::deserialize(&self.nats).map_err(wrong)?;
        let (kind, number) = match self.kind.is_empty() {
            true => (told.kind, told.version),
            false => (std::mem::take(&mut self.kind), 1),
        };
        if number > 2 {
            return Err(Fault::Newer);
        }
        let is_first = number == 1;
        let version = match (kind.as_str(), number) {
            ("operator" | "account" | "user" | "activation", 1) => Version::One,
            ("operator" | "account" | "user" | "activation", 2) => Version::Two,
            ("operator" | "account" | "user" | "activation", other) => {
                return Err(Fault::Version(other));
            }
            ("authorization_response", 2) => Version::Two,
            ("authorization_response", other) => return Err(Fault::Version(other)),
            ("cluster", _) => return Err(Fault::Obsolete("Cluster")),
            ("server", _) => return Err(Fault::Obsolete("Server")),
            _ => Version::Untold,
        };
        if is_first {
            self.fill_first(&kind)?;
        }
        let Written {
            iss,
            sub,
            aud,
            name,
            jti,
            iat,
            exp,
            nbf,
            tags,
            nats,
            ..
        } = self;
        let body = match kind.as_str() {
            "operator" => Body::Operator(Operator::deserialize(nats).map_err(wrong)?),
            "account" => Body::Account(Account::deserialize(nats).map_err(wrong)?.into()),
            "user" => Body::User(User::deserialize(nats).map_err(wrong)?.into()),
            "activation" => Body::Activation(Activation::deserialize(nats).map_err(wrong)?),
            "authorization_response" => {
                Body::Response(Response::deserialize(nats).map_err(wrong)?.into())
            }
            _ => Body::Generic(nats),
        };
        let claims = Claims {
            issuer: iss,
            subject: sub,
            audience: aud,
            name,
            id: jti,
            issued_at: iat,
            expires: exp,
            not_before: nbf,
            tags: if is_first { tags } else { told.tags },
            body,
        };
        Ok((version, claims))
    }

    /// Puts what version 1 says elsewhere, or does not say, where version 2 has it.
    fn fill_first(&mut self, kind: &str) -> Result<(), Fault> {
        let Value::Object(nats) = &mut self.nats else {
            return Ok(());
        };
        if !self.issuer_account.is_empty() {
            let account = std::mem::take(&mut self.issuer_account);
            nats.insert("issuer_account".to_owned(), account.into());
        }
        if kind == "user" {
            // A limit of another meaning, which cannot be carried over.
            if nats.get("max").is_some_and(|max| max.as_i64() != Some(-1)) {
                return Err(Fault::DeprecatedLimits);
            }
            for limit in ["subs", "payload", "data"] {
                nats.entry(limit).or_insert_with(|| (-1).into());
            }
        }
        Ok(())
    }
}
