//! `CONNECT` between brokers: what who dials says about itself, once.

use serde::{Deserialize, Serialize};

use super::json;
use super::parser::Kind;
use super::violation::PeerViolation;
use crate::encode::Sink;
use crate::info::{Writer, is_off};
use crate::secret::Secret;

/// The object of the `CONNECT` of a route or a leaf. `Debug` shows no secret.
///
/// What is marked *heard* is never written.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct PeerConnect {
    /// Of a route the `server_id`; of a leaf the name of the server.
    pub name: String,
    /// The cluster. A leaf node without one gives the name of its server, by which its own messages are kept from it.
    pub cluster: String,
    /// The cluster's name was made up.
    pub cluster_dynamic: bool,
    /// The server takes `HMSG`; if not, headers are cut off for it.
    pub headers: bool,
    /// The connection is one of TLS. A route tells.
    pub tls_required: bool,
    /// It understands `LS+`, `LS-` and `LMSG` on a route; its `INFO` counts.
    pub lnoc: bool,
    /// And `LS-` that names the origin; its `INFO` counts.
    pub lnocu: bool,
    /// User name.
    pub user: String,
    /// Password.
    #[serde(deserialize_with = "json::secret")]
    pub pass: Secret,
    /// A token that is the whole credentials of a leaf.
    #[serde(deserialize_with = "json::secret")]
    pub auth_token: Secret,
    /// User JWT of a leaf.
    #[serde(deserialize_with = "json::secret")]
    pub jwt: Secret,
    /// Public user nkey of a leaf.
    pub nkey: String,
    /// Signature of the hub's nonce: base64url without padding.
    #[serde(deserialize_with = "json::secret")]
    pub sig: Secret,
    /// A leaf node's `server_id`.
    pub server_id: String,
    /// A leaf node's version of nats-server, which a hub may hold against a least one.
    pub version: String,
    /// A leaf node has JetStream.
    pub jetstream: bool,
    /// The domain of its JetStream.
    pub domain: String,
    /// Who dials is the hub.
    pub is_hub: bool,
    /// Subjects that the hub is not to send.
    #[serde(deserialize_with = "json::list")]
    pub deny_pub: Vec<String>,
    /// The account at who dials, which is remote for the hub.
    pub remote_account: String,
    /// No interest of other leaf nodes is to be told to it. Heard.
    pub isolate: bool,
    /// Every op is to be answered by `+OK`. Heard.
    pub verbose: bool,
    /// How it would compress. Heard.
    pub compress_mode: String,
    /// What it understands beyond this module. Heard.
    pub protocol: i64,
    /// Not empty: it is a client. Heard.
    pub lang: String,
    /// Not empty: it is a gateway. Heard.
    pub gateway: String,
}

/// What a route says.
#[derive(Serialize)]
struct Route<'a> {
    echo: bool,
    verbose: bool,
    pedantic: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pass: &'a str,
    tls_required: bool,
    headers: bool,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cluster: &'a str,
    #[serde(skip_serializing_if = "is_off")]
    cluster_dynamic: bool,
    #[serde(skip_serializing_if = "is_off")]
    lnoc: bool,
    #[serde(skip_serializing_if = "is_off")]
    lnocu: bool,
}

/// What a leaf says.
#[derive(Serialize)]
struct Leaf<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    nkey: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    jwt: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    sig: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pass: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    auth_token: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    server_id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "is_off")]
    is_hub: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    cluster: &'a str,
    #[serde(skip_serializing_if = "is_off")]
    headers: bool,
    #[serde(skip_serializing_if = "is_off")]
    jetstream: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    domain: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    deny_pub: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    remote_account: &'a str,
}

impl PeerConnect {
    /// Reads the object of a `CONNECT`. What is missing or `null` is at its default, unknown keys are ignored, letter
    /// case of keys does not matter. Allocates.
    ///
    /// # Errors
    ///
    /// [`PeerViolation::Parse`] for what is no JSON object, a field of the wrong type, or a list of more than
    /// [`LIST_LEN_MAX`](super::LIST_LEN_MAX) entries.
    ///
    /// ```
    /// use midge_protocol::peer::PeerConnect;
    ///
    /// let connect = PeerConnect::read(br#"{"name":"NA","cluster":"C1","pass":"hunter2"}"#)?;
    /// assert!(connect.name == "NA" && connect.pass.is("hunter2"));
    /// assert!(!format!("{connect:?}").contains("hunter2"));
    /// # Ok::<(), midge_protocol::peer::PeerViolation<'static>>(())
    /// ```
    pub fn read(json: &[u8]) -> Result<PeerConnect, PeerViolation<'static>> {
        json::read(json)
    }

    /// Whether it comes from a broker that has dialled the right port.
    ///
    /// # Errors
    ///
    /// [`ClientPort`](PeerViolation::ClientPort), [`GatewayPort`](PeerViolation::GatewayPort), and of a leaf
    /// [`ClusterBlank`](PeerViolation::ClusterBlank).
    pub fn check(&self, kind: Kind) -> Result<(), PeerViolation<'_>> {
        if !self.lang.is_empty() {
            return Err(PeerViolation::ClientPort(kind));
        }
        if !self.gateway.is_empty() {
            let name = &self.gateway;
            return Err(PeerViolation::GatewayPort { kind, name });
        }
        if kind == Kind::Leaf && self.cluster.contains(' ') {
            return Err(PeerViolation::ClusterBlank);
        }
        Ok(())
    }

    /// Appends `CONNECT {json}` CR LF, with the fields of a route or of a leaf; what is off or empty is left out. A
    /// route says besides that no op is to be answered by `+OK`.
    pub fn put(&self, kind: Kind, out: &mut impl Sink) {
        out.put(b"CONNECT ");
        let written = match kind {
            Kind::Route => serde_json::to_writer(Writer(out), &self.route()),
            Kind::Leaf => serde_json::to_writer(Writer(out), &self.leaf()),
        };
        debug_assert!(written.is_ok(), "texts and flags always make JSON");
        out.put(b"\r\n");
    }

    fn route(&self) -> Route<'_> {
        Route {
            echo: true,
            verbose: false,
            pedantic: false,
            user: &self.user,
            pass: &self.pass,
            tls_required: self.tls_required,
            headers: self.headers,
            name: &self.name,
            cluster: &self.cluster,
            cluster_dynamic: self.cluster_dynamic,
            lnoc: self.lnoc,
            lnocu: self.lnocu,
        }
    }

    fn leaf(&self) -> Leaf<'_> {
        Leaf {
            version: &self.version,
            nkey: &self.nkey,
            jwt: &self.jwt,
            sig: &self.sig,
            user: &self.user,
            pass: &self.pass,
            auth_token: &self.auth_token,
            server_id: &self.server_id,
            name: &self.name,
            is_hub: self.is_hub,
            cluster: &self.cluster,
            headers: self.headers,
            jetstream: self.jetstream,
            domain: &self.domain,
            deny_pub: &self.deny_pub,
            remote_account: &self.remote_account,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::LIST_LEN_MAX;

    /// What comes of a `CONNECT` that was read and is written again.
    #[track_caller]
    fn again(kind: Kind, json: &str) -> String {
        let mut out = Vec::new();
        let connect = PeerConnect::read(json.as_bytes()).expect(json);
        connect.put(kind, &mut out);
        let line = String::from_utf8(out).expect("JSON is text");
        let json = line.strip_prefix("CONNECT ").expect("its name");
        json.strip_suffix("\r\n").expect("a line end").to_owned()
    }

    #[test]
    fn what_real_brokers_say_is_written_as_they_write_it() {
        let route = r#"{"echo":true,"verbose":false,"pedantic":false,"tls_required":false,"headers":true,"name":"NCSCL6KK","cluster":"C1","lnoc":true}"#;
        assert_eq!(again(Kind::Route, route), route);
        let route = r#"{"echo":true,"verbose":false,"pedantic":false,"user":"u","pass":"p","tls_required":true,"headers":true,"name":"N","cluster":"C1","cluster_dynamic":true,"lnoc":true,"lnocu":true}"#;
        assert_eq!(again(Kind::Route, route), route);
        let leaf = r#"{"version":"0.1.0","server_id":"LEAFID","name":"leaf1","cluster":"leaf1","headers":true}"#;
        assert_eq!(again(Kind::Leaf, leaf), leaf);
        // A newer one, but for what is only heard.
        let said = r#"{"version":"2.15.1","server_id":"NC6A","name":"L","cluster":"L","headers":true,"compress_mode":"not supported","remote_account":"$G","protocol":3}"#;
        let kept = r#"{"version":"2.15.1","server_id":"NC6A","name":"L","cluster":"L","headers":true,"remote_account":"$G"}"#;
        assert_eq!(again(Kind::Leaf, said), kept);
        let all = r#"{"version":"v","nkey":"k","jwt":"j","sig":"s","user":"u","pass":"p","auth_token":"t","server_id":"i","name":"n","is_hub":true,"cluster":"c","headers":true,"jetstream":true,"domain":"d","deny_pub":["a.>"],"remote_account":"A"}"#;
        assert_eq!(again(Kind::Leaf, all), all);
        assert_eq!(again(Kind::Leaf, &all.replace("a.>", "a.\\u003e")), all);
        assert_eq!(again(Kind::Leaf, "{}"), r#"{"name":""}"#);
    }

    #[test]
    fn no_secret_is_shown() {
        let json = br#"{"pass":"zzz1","auth_token":"zzz2","jwt":"zzz3","sig":"zzz4","user":"joe"}"#;
        let connect = PeerConnect::read(json).expect("a CONNECT");
        let secrets = [
            &connect.pass,
            &connect.auth_token,
            &connect.jwt,
            &connect.sig,
        ];
        assert!(secrets.iter().all(|secret| secret.starts_with("zzz")));
        let shown = format!("{connect:?}");
        assert!(shown.contains("joe") && !shown.contains("zzz"), "{shown}");
    }

    #[test]
    fn who_has_come_to_the_wrong_port_is_told() {
        let (route, leaf) = (Kind::Route, Kind::Leaf);
        let name = "G";
        for (json, of_route, of_leaf) in [
            ("{}", Ok(()), Ok(())),
            (
                r#"{"lang":"rust","gateway":"G"}"#,
                Err(PeerViolation::ClientPort(route)),
                Err(PeerViolation::ClientPort(leaf)),
            ),
            (
                r#"{"gateway":"G"}"#,
                Err(PeerViolation::GatewayPort { kind: route, name }),
                Err(PeerViolation::GatewayPort { kind: leaf, name }),
            ),
            (
                r#"{"cluster":"a b"}"#,
                Ok(()),
                Err(PeerViolation::ClusterBlank),
            ),
        ] {
            let connect = PeerConnect::read(json.as_bytes()).expect(json);
            assert_eq!(connect.check(route), of_route, "{json}");
            assert_eq!(connect.check(leaf), of_leaf, "{json}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let many = format!(
            "{{\"deny_pub\":[{}]}}",
            vec!["\"a\""; LIST_LEN_MAX + 1].join(",")
        );
        for json in [
            "",
            "x",
            "null",
            "[]",
            "{",
            r#"{"user":5}"#,
            r#"{"deny_pub":"a"}"#,
            &many,
        ] {
            let read = PeerConnect::read(json.as_bytes());
            assert_eq!(read, Err(PeerViolation::Parse), "{json:.20}");
        }
    }
}
