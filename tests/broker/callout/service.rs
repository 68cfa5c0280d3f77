//! A service that decides about clients: it is asked, and says what the test wants.

use crate::raw::Raw;
use crate::tokens::{Signer, user_body};
use crypto_box::aead::Aead;
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use data_encoding::BASE64URL_NOPAD;
use midge::Running;
use midge_protocol::nkey::{self, Kind};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The key that signs answers.
pub(super) fn issuer() -> Signer {
    Signer::new(Kind::Account, 7)
}

/// The xkey of the service.
pub(super) fn xkey() -> SecretKey {
    SecretKey::from([8; 32])
}

pub(super) fn xkey_text() -> String {
    nkey::text(Kind::Curve, *xkey().public_key().as_bytes())
}

pub(super) struct Service(pub(super) Raw);

/// What the service is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) reply: String,
    /// The claims of the request, whose signature is good.
    pub(super) claims: Value,
    /// From which key it is sealed.
    pub(super) sealed_from: Option<[u8; 32]>,
}

impl Service {
    /// Comes in with this `CONNECT`.
    pub(super) fn join(broker: &Running, connect: &str) -> Service {
        Service::of(Raw::join_with(broker.addr(), connect))
    }

    /// A client that is in already.
    pub(super) fn of(mut client: Raw) -> Service {
        client.sub("$SYS.REQ.USER.AUTH", None, "1");
        client.sync();
        Service(client)
    }

    /// The next question.
    #[track_caller]
    pub(super) fn asked(&mut self) -> Asked {
        let seen = self.0.message(|message| {
            let reply = message.reply.map(text).expect("an answer is wanted");
            let header = text(message.header);
            (reply, header, message.payload.to_vec())
        });
        let (reply, header, payload) = seen.expect("the broker is there");
        assert!(reply.starts_with("$SYS._INBOX."), "{reply}");
        let from = header
            .lines()
            .find_map(|line| line.strip_prefix("Nats-Server-Xkey: "));
        let sealed_from = from.map(|from| nkey::public_key(Kind::Curve, from).expect("it is one"));
        let token = match sealed_from {
            None => payload,
            Some(from) => {
                assert_eq!(&payload[..4], b"xkv1");
                let nonce = <[u8; 24]>::try_from(&payload[4..28]).expect("it is long enough");
                let opened = SalsaBox::new(&PublicKey::from(from), &xkey());
                opened
                    .decrypt(&nonce.into(), &payload[28..])
                    .expect("it is for the service")
            }
        };
        let token = String::from_utf8(token).expect("it is a token");
        Asked {
            reply,
            claims: claims(&token),
            sealed_from,
        }
    }

    pub(super) fn answer(&mut self, asked: &Asked, payload: &[u8]) {
        self.0.publish(&asked.reply, payload);
    }

    /// Answers with the JWT of a user in `account`, of whom this is changed.
    pub(super) fn let_in(&mut self, asked: &Asked, account: &str, change: impl Fn(&mut Value)) {
        let user = asked.user(account, change);
        self.answer(
            asked,
            asked.response(&issuer(), json!({"jwt": user})).as_bytes(),
        );
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The claims of a request. The signature is checked by the key that it names.
fn claims(token: &str) -> Value {
    let chunks: Vec<&str> = token.split('.').collect();
    let decode = |chunk: &str| {
        BASE64URL_NOPAD
            .decode(chunk.as_bytes())
            .expect("it is base64")
    };
    let header: Value = serde_json::from_slice(&decode(chunks[0])).expect("it is JSON");
    assert_eq!(header, json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let claims: Value = serde_json::from_slice(&decode(chunks[1])).expect("it is JSON");
    let issuer = claims["iss"].as_str().expect("there is one");
    let key = nkey::public_key(Kind::Server, issuer).expect("it is a server's");
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
    let signed = format!("{}.{}", chunks[0], chunks[1]);
    key.verify(signed.as_bytes(), &decode(chunks[2]))
        .expect("it is signed");
    claims
}

impl Asked {
    pub(super) fn told(&self) -> &Value {
        &self.claims["nats"]
    }

    pub(super) fn user_key(&self) -> &str {
        self.told()["user_nkey"].as_str().expect("there is one")
    }

    /// The JWT of the user that the client is.
    pub(super) fn user(&self, account: &str, change: impl Fn(&mut Value)) -> String {
        self.user_by(&issuer(), account, change)
    }

    pub(super) fn user_by(
        &self,
        issuer: &Signer,
        account: &str,
        change: impl Fn(&mut Value),
    ) -> String {
        let mut claims =
            json!({"sub": self.user_key(), "name": "joe", "iat": 5, "nats": user_body()});
        if !account.is_empty() {
            claims["aud"] = json!(account);
        }
        change(&mut claims);
        issuer.token(claims)
    }

    /// The token of an answer that says this.
    pub(super) fn response(&self, issuer: &Signer, said: Value) -> String {
        self.response_with(issuer, said, |_| {})
    }

    pub(super) fn response_with(
        &self,
        issuer: &Signer,
        mut said: Value,
        change: impl Fn(&mut Value),
    ) -> String {
        said["type"] = json!("authorization_response");
        said["version"] = json!(2);
        let server = &self.told()["server_id"]["id"];
        let mut claims = json!({"sub": self.user_key(), "aud": server, "iat": 5, "nats": said});
        change(&mut claims);
        issuer.token(claims)
    }

    /// A text sealed to the server.
    pub(super) fn sealed(&self, text: &str) -> Vec<u8> {
        let to = self.sealed_from.expect("the request was sealed");
        let nonce = [9; 24];
        let sealed = SalsaBox::new(&PublicKey::from(to), &xkey());
        let sealed = sealed
            .encrypt(&nonce.into(), text.as_bytes())
            .expect("it is short");
        [b"xkv1", &nonce[..], &sealed].concat()
    }
}

/// A client that has sent this `CONNECT` and a `PING`.
pub(super) fn come(broker: &Running, connect: &Value) -> Raw {
    come_to(broker.addr(), connect)
}

/// The same, of any broker.
pub(super) fn come_to(addr: SocketAddr, connect: &Value) -> Raw {
    let mut client = Raw::connect(addr);
    client.send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes());
    client
}

#[track_caller]
pub(super) fn is_in(client: &mut Raw) {
    assert_eq!(client.line().as_deref(), Some("PONG"));
}

#[track_caller]
pub(super) fn is_refused(client: &mut Raw) {
    is_told_and_closed(client, "Authorization Violation");
}

#[track_caller]
pub(super) fn is_told_and_closed(client: &mut Raw, text: &str) {
    assert_eq!(client.line(), Some(format!("-ERR '{text}'")));
    assert_eq!(client.line(), None);
}
