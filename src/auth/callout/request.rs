//! What a service is asked: a token that the server signs, with all that is known of the client.
//!
//! A reader of it may come in as the client, whose password stands in it. So it may be sealed.

use super::Decider;
use super::keys::Keys;
use crate::auth::CallOut;
use crate::auth::signature::Nonce;
use crate::config::Config;
use crate::jwt::Statement;
use midge_protocol::nkey::{Kind, text};
use midge_protocol::{ConnectOptions, Info};
use serde::Serialize;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// The audience of a request.
const AUDIENCE: &str = "nats-authorization-request";

/// The header that tells from which key a request is sealed.
const XKEY_HEADER: &str = "Nats-Server-Xkey";

/// A request, and by what its answer is known. `Debug` does not show what is asked, in which the client's password stands.
pub(crate) struct Request {
    pub(crate) payload: Zeroizing<Vec<u8>>,
    /// A header block, or nothing.
    pub(crate) header: Vec<u8>,
    /// The public key that was made for the client, and that no one has the other half of.
    pub(crate) user_key: String,
    /// Eight letters, by which the answer finds back.
    pub(crate) token: [u8; 8],
}

/// What is told of a client.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) host: String,
    pub(crate) cid: u64,
    /// How it is connected: `nats` or `websocket`.
    pub(crate) kind: &'static str,
    pub(crate) options: &'a ConnectOptions,
    /// What is known of it by a token of its own.
    pub(crate) known: &'a CallOut,
    pub(crate) nonce: Option<&'a Nonce>,
    pub(crate) tls: Option<ToldTls>,
}

/// What is told of its TLS.
#[derive(Debug, Serialize)]
pub(crate) struct ToldTls {
    pub(crate) version: &'static str,
    pub(crate) cipher: String,
    /// Certificates that it has shown and that were not verified, as PEM.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) certs: Vec<String>,
    /// What it has shown, and an authority vouches for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) verified_chains: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct Body<'a> {
    server_id: Server<'a>,
    user_nkey: &'a str,
    client_info: Client<'a>,
    connect_opts: Options<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_tls: Option<&'a ToldTls>,
    #[serde(rename = "type")]
    kind: &'a str,
    version: u8,
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    host: &'a str,
    id: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    xkey: Option<&'a str>,
}

#[derive(Serialize)]
struct Client<'a> {
    host: &'a str,
    id: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    name_tag: &'a str,
    kind: &'a str,
    #[serde(rename = "type")]
    transport: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

#[derive(Serialize)]
struct Options<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    jwt: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    nkey: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    sig: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    auth_token: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pass: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    lang: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    protocol: i64,
}

impl Request {
    /// Asks about a client, at a second since 1970; the answer is to come within a time. Costs a signature, and the box where
    /// it is sealed: 20 and 100 microseconds on an Intel Xeon.
    ///
    /// `None`: the system has no random bytes.
    pub(crate) fn new(
        keys: &Keys,
        config: &Config,
        info: &Info,
        decider: &Decider<'_>,
        told: &Told<'_>,
        (second, timeout): (i64, Duration),
    ) -> Option<Request> {
        let mut random = [0; 40];
        getrandom::fill(&mut random).ok()?;
        let (user_key, token) = (random.first_chunk()?, random.last_chunk()?);
        let user_key = text(Kind::User, *user_key);
        let options = told.options;
        let body = Body {
            server_id: Server {
                name: &info.server_name,
                host: &info.host,
                id: &info.server_id,
                version: &info.version,
                cluster: config.cluster_name.as_deref(),
                tags: &config.server_tags,
                xkey: decider.xkey.and_then(|_| keys.xkey()),
            },
            user_nkey: &user_key,
            client_info: Client {
                host: &told.host,
                id: told.cid,
                user: match &*told.known.user {
                    "" => presented_user(options),
                    user => user,
                },
                name: &options.name,
                tags: &told.known.tags,
                name_tag: &told.known.name,
                kind: "Client",
                transport: told.kind,
                nonce: (told.nonce)
                    .filter(|_| !options.sig.is_empty())
                    .map(Nonce::text),
            },
            connect_opts: Options {
                jwt: &options.jwt,
                nkey: &options.nkey,
                sig: &options.sig,
                auth_token: &options.auth_token,
                user: &options.user,
                pass: &options.pass,
                name: &options.name,
                lang: &options.lang,
                version: &options.version,
                protocol: options.protocol,
            },
            client_tls: told.tls.as_ref(),
            kind: "authorization_request",
            version: 2,
        };
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        let payload = keys.signer.token(&Statement {
            audience: AUDIENCE,
            subject: decider.subject,
            issued_at: second,
            // A part of a second is one more: until then it is waited for.
            expires: second
                .saturating_add(seconds)
                .saturating_add(i64::from(timeout.subsec_nanos() > 0)),
            body: &body,
        });
        let (payload, header) = sealed(keys, decider, payload)?;
        Some(Request {
            payload,
            header,
            user_key,
            token: token.map(letter),
        })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("user_key", &self.user_key)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish_non_exhaustive()
    }
}

/// A letter, or what base64url has beside letters, for a random byte.
fn letter(byte: u8) -> u8 {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    LETTERS[usize::from(byte % 64)]
}

/// Letters of which the server's own part of a subject for answers is made; `None` if the system has no random bytes.
pub(crate) fn letters() -> Option<[u8; 8]> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    Some(random.map(letter))
}

/// Who the client says to be, as nats-server tells it: a token too, which stands in the request anyway.
fn presented_user(options: &ConnectOptions) -> &str {
    let told = [&*options.nkey, &options.user, &options.auth_token];
    told.into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

/// A payload, and the header that tells by which key it is sealed, if it is.
type Sealed = (Zeroizing<Vec<u8>>, Vec<u8>);

#[cfg(feature = "nkeys")]
fn sealed(keys: &Keys, decider: &Decider<'_>, mut token: Zeroizing<String>) -> Option<Sealed> {
    let Some(to) = &decider.xkey else {
        let payload = std::mem::take(&mut *token).into_bytes();
        return Some((payload.into(), Vec::new()));
    };
    let payload = keys.sealing.seal(token.as_bytes(), to)?;
    let header = format!(
        "NATS/1.0\r\n{XKEY_HEADER}: {}\r\n\r\n",
        keys.sealing.public()
    );
    Some((payload.into(), header.into_bytes()))
}

#[cfg(not(feature = "nkeys"))]
fn sealed(_: &Keys, _: &Decider<'_>, _: Zeroizing<String>) -> Option<Sealed> {
    let _ = XKEY_HEADER;
    None
}

#[cfg(all(test, feature = "nkeys"))]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_nothing_of_what_it_asks() {
        let keys = Keys::new().expect("there are random bytes");
        let mut options = ConnectOptions::default();
        let connect = br#"{"user":"joe","pass":"hunter2","auth_token":"hunter3"}"#;
        options.merge(connect).expect("it is good");
        let decider = Decider {
            account: "AUTH",
            subject: "AKEY",
            xkey: None,
        };
        let told = Told {
            host: "127.0.0.1".to_owned(),
            cid: 7,
            kind: "nats",
            options: &options,
            known: &CallOut::default(),
            nonce: None,
            tls: None,
        };
        let (config, info) = (Config::default(), Info::default());
        let until = (5, Duration::from_secs(2));
        let request = Request::new(&keys, &config, &info, &decider, &told, until);
        let request = request.expect("there are random bytes");
        let (user, len) = (&request.user_key, request.payload.len());
        let shown = format!("Request {{ user_key: {user:?}, payload: {len} bytes, .. }}");
        assert_eq!(format!("{request:?}"), shown);
        let shown = format!("{told:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
