//! `INFO` between brokers: what one is, first of all and again when it changes, and on a route what it has heard of
//! another one.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::json;
use super::violation::PeerViolation;
use crate::encode::Sink;
use crate::info::{Writer, is_off, is_zero};

/// The object of an `INFO` of a route or a leaf, its keys in the order in which nats-server writes them.
///
/// Flags that are off and texts and lists that are empty are left out, except for those marked *always*. What is
/// marked *heard* is never written: to say it would promise what midge does not do, a pool of connections,
/// compression, tracing.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct PeerInfo {
    /// Unique per run of the server, and what tells two servers apart. Always.
    pub server_id: String,
    /// Its name, which no other member of the cluster has. Always.
    pub server_name: String,
    /// Its version. Always.
    pub version: String,
    /// 1: nothing beyond the protocol of this module. Always.
    pub proto: i64,
    /// Short hash of the commit that it was built from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub git_commit: String,
    /// Its compiler. Always.
    pub go: String,
    /// Where others dial it: host, or address. Always.
    pub host: String,
    /// Where others dial it: the port. Always.
    pub port: u16,
    /// It takes `HMSG`; if not, headers are cut off for it. Always.
    pub headers: bool,
    /// Credentials are wanted.
    #[serde(skip_serializing_if = "is_off")]
    pub auth_required: bool,
    /// A TLS handshake must follow.
    #[serde(skip_serializing_if = "is_off")]
    pub tls_required: bool,
    /// A certificate of who dials is demanded in a handshake.
    #[serde(skip_serializing_if = "is_off")]
    pub tls_verify: bool,
    /// Most bytes of header and payload together, for clients and leaf nodes; below 0 without a bound. Always.
    pub max_payload: i64,
    /// It has JetStream.
    #[serde(skip_serializing_if = "is_off")]
    pub jetstream: bool,
    /// Of a route the URL to dial, `nats-route://host:port/`, if it is told; of a leaf `host:port`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// A leaf's number at its hub. Left out when 0, which no connection has.
    #[serde(skip_serializing_if = "is_zero")]
    pub client_id: u64,
    /// What a leaf node that logs in with a key has to sign.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nonce: String,
    /// The name of its cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The cluster's name was made up.
    #[serde(skip_serializing_if = "is_off")]
    pub cluster_dynamic: bool,
    /// The domain of its JetStream.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// `host:port` where clients find it.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::list")]
    pub connect_urls: Vec<String>,
    /// `host:port` where clients find it by WebSocket.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::list")]
    pub ws_connect_urls: Vec<String>,
    /// Lame duck: clients are to leave it.
    #[serde(skip_serializing_if = "is_off")]
    pub ldm: bool,
    /// What may be told to it: of a route the interest it takes, of a hub what a leaf node may subscribe to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<PeerPermissions>,
    /// What it tells: of a route the interest it heeds, of a hub what a leaf node may publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<PeerPermissions>,
    /// It understands `LS+`, `LS-` and `LMSG` on a route.
    #[serde(skip_serializing_if = "is_off")]
    pub lnoc: bool,
    /// And `LS-` that names the origin.
    #[serde(skip_serializing_if = "is_off")]
    pub lnocu: bool,
    /// A hub that will answer `CONNECT` with another `INFO`.
    #[serde(skip_serializing_if = "is_off")]
    pub info_on_connect: bool,
    /// This is that `INFO`.
    #[serde(skip_serializing_if = "is_off")]
    pub connect_info: bool,
    /// `host:port` where leaf nodes find it. A leaf node takes a hub for none without it; it may be empty.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::some_list"
    )]
    pub leafnode_urls: Option<Vec<String>>,
    /// The account at the hub that a leaf is bound to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remote_account: String,
    /// Not empty: this tells of a gateway and is to be ignored. Heard.
    #[serde(skip_serializing)]
    pub gateway: String,
    /// How it would compress. Heard.
    #[serde(skip_serializing)]
    pub compression: String,
    /// Connections that it would have for its accounts. Heard.
    #[serde(skip_serializing)]
    pub route_pool_size: i64,
    /// Which of them this is. Heard.
    #[serde(skip_serializing)]
    pub route_pool_idx: i64,
    /// Not empty: this connection is for one account, and no route to a peer without a pool. Heard.
    #[serde(skip_serializing)]
    pub route_account: String,
    /// How it would have this one told to others. Heard.
    #[serde(skip_serializing)]
    pub gossip_mode: i64,
    /// It tells of interest of leaf nodes without a cluster as that of the origin `_`. Heard.
    #[serde(skip_serializing)]
    pub ln: bool,
}

/// Subjects that are let through: all that are in `allow`, or all if that is empty, but for those in `deny`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct PeerPermissions {
    /// What is let through.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::list")]
    pub allow: Vec<String>,
    /// What is not.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::list")]
    pub deny: Vec<String>,
}

impl PeerInfo {
    /// Reads the object of an `INFO`. What is missing or `null` is at its default, unknown keys are ignored, letter
    /// case of keys does not matter. Allocates.
    ///
    /// # Errors
    ///
    /// [`PeerViolation::Parse`] for what is no JSON object, a field of the wrong type, or a list of more than
    /// [`LIST_LEN_MAX`](super::LIST_LEN_MAX) entries.
    ///
    /// ```
    /// use midge_protocol::peer::PeerInfo;
    ///
    /// let info = PeerInfo::read(br#"{"server_id":"NA","import":{"deny":["secret.\u003e"]},"new":1} "#)?;
    /// assert_eq!((info.server_id.as_str(), info.headers), ("NA", false));
    /// assert_eq!(info.import.unwrap().deny, ["secret.>"]);
    /// # Ok::<(), midge_protocol::peer::PeerViolation<'static>>(())
    /// ```
    pub fn read(json: &[u8]) -> Result<PeerInfo, PeerViolation<'static>> {
        json::read(json)
    }

    /// Appends `INFO {json} ` CR LF, with the blank before the line end that nats-server writes.
    pub fn put(&self, out: &mut impl Sink) {
        out.put(b"INFO ");
        let written = serde_json::to_writer(Writer(out), self);
        debug_assert!(written.is_ok(), "texts, numbers and flags always make JSON");
        out.put(b" \r\n");
    }

    /// What other members of the cluster are told of a peer that has come from the address `from`: its own words, what
    /// is only heard left out, the nonce too, and the URL to dial it unless it has told one.
    pub fn forwarded(&self, from: IpAddr) -> PeerInfo {
        let mut info = self.clone();
        info.nonce.clear();
        if info.ip.is_empty() {
            let port = info.port;
            info.ip = match from.to_canonical() {
                IpAddr::V4(ip) => format!("nats-route://{ip}:{port}/"),
                IpAddr::V6(ip) => format!("nats-route://[{ip}]:{port}/"),
            };
        }
        info
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::LIST_LEN_MAX;

    /// What comes of a line that was read and is written again.
    #[track_caller]
    fn again(line: &str) -> String {
        let json = line.strip_prefix("INFO ").expect("an INFO");
        let mut out = Vec::new();
        let info = PeerInfo::read(json.as_bytes()).expect(line);
        info.put(&mut out);
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn what_real_brokers_say_is_written_as_they_write_it() {
        for line in [
            r#"INFO {"server_id":"NBT4NBJ3JEC7VJ3NYWCYGY5M7D45GYJLSVG2I4ESIO2ZGZPABEXWPIP5","server_name":"A","version":"2.9.10","proto":2,"go":"go1.19.8","host":"127.0.0.1","port":14101,"headers":true,"max_payload":1048576,"nonce":"L1PIRT-6jN5x6rk","cluster":"C1","connect_urls":["127.0.0.1:14100"],"lnoc":true,"leafnode_urls":["127.0.0.1:14105"]} "#,
            r#"INFO {"server_id":"PEERID","server_name":"peer","version":"0.1.0","proto":1,"go":"","host":"127.0.0.1","port":14190,"headers":true,"max_payload":1048576,"cluster":"C1"} "#,
            r#"INFO {"server_id":"NBT4NBJ3JEC7VJ3NYWCYGY5M7D45GYJLSVG2I4ESIO2ZGZPABEXWPIP5","server_name":"A","version":"2.9.10","proto":1,"go":"go1.19.8","host":"127.0.0.1","port":14105,"headers":true,"auth_required":true,"max_payload":1048576,"ip":"127.0.0.1:14105","client_id":9,"nonce":"Fg7k1ddJNVcSHHQ","cluster":"C1","info_on_connect":true,"leafnode_urls":["127.0.0.1:14105"]} "#,
            r#"INFO {"server_id":"NBT4NBJ3JEC7VJ3NYWCYGY5M7D45GYJLSVG2I4ESIO2ZGZPABEXWPIP5","server_name":"A","version":"2.9.10","proto":1,"go":"go1.19.8","host":"127.0.0.1","port":14105,"headers":true,"auth_required":true,"max_payload":1048576,"ip":"127.0.0.1:14105","client_id":9,"cluster":"C1","info_on_connect":true,"connect_info":true,"leafnode_urls":["127.0.0.1:14105"],"remote_account":"$G"} "#,
        ] {
            assert_eq!(again(line), format!("{line}\r\n"));
        }
    }

    #[test]
    fn what_would_promise_too_much_is_heard_and_never_said() {
        let pooled = r#"INFO {"server_id":"NDKH","server_name":"A","version":"2.15.1","proto":3,"go":"go1.27.2","host":"127.0.0.1","port":14101,"headers":true,"max_payload":1048576,"nonce":"B0gqq_sJeqh_lGg","cluster":"C1","connect_urls":["127.0.0.1:14100"],"compression":"accept","lnoc":true,"lnocu":true,"ln":true,"route_pool_size":3,"route_pool_idx":1,"route_account":"$SYS","gossip_mode":1,"gateway":"G"} "#;
        let info = PeerInfo::read(&pooled.as_bytes()[5..]).expect("an INFO");
        assert_eq!(
            (info.compression.as_str(), info.route_pool_size),
            ("accept", 3)
        );
        assert_eq!(
            (info.route_account.as_str(), info.route_pool_idx),
            ("$SYS", 1)
        );
        assert_eq!(
            (info.gateway.as_str(), info.gossip_mode, info.ln),
            ("G", 1, true)
        );
        assert_eq!(
            again(pooled),
            concat!(
                r#"INFO {"server_id":"NDKH","server_name":"A","version":"2.15.1","proto":3,"go":"go1.27.2","host":"127.0.0.1","port":14101,"headers":true,"max_payload":1048576,"nonce":"B0gqq_sJeqh_lGg","cluster":"C1","connect_urls":["127.0.0.1:14100"],"lnoc":true,"lnocu":true} "#,
                "\r\n"
            )
        );
    }

    #[test]
    fn a_newcomer_is_told_to_others_with_the_url_to_dial_it() {
        let own = r#"{"server_id":"P2","server_name":"P2","version":"0.1.0","proto":1,"go":"rust","host":"127.0.0.1","port":14192,"headers":true,"max_payload":1048576,"nonce":"x","cluster":"C1","gossip_mode":1}"#;
        let info = PeerInfo::read(own.as_bytes()).expect("an INFO");
        let mut out = Vec::new();
        info.forwarded([127, 0, 0, 1].into()).put(&mut out);
        let told = concat!(
            r#"INFO {"server_id":"P2","server_name":"P2","version":"0.1.0","proto":1,"go":"rust","host":"127.0.0.1","port":14192,"headers":true,"max_payload":1048576,"ip":"nats-route://127.0.0.1:14192/","cluster":"C1"} "#,
            "\r\n"
        );
        assert_eq!(String::from_utf8_lossy(&out), told);
        let from: IpAddr = "fe80::1".parse().expect("an address");
        assert_eq!(info.forwarded(from).ip, "nats-route://[fe80::1]:14192/");
        let from: IpAddr = "::ffff:10.0.0.1".parse().expect("an address");
        assert_eq!(info.forwarded(from).ip, "nats-route://10.0.0.1:14192/");
        let ip = "nats-route://other:1/".to_owned();
        let told = PeerInfo { ip, ..info };
        assert_eq!(told.forwarded(from).ip, told.ip);
    }

    #[test]
    fn whatever_is_missing_null_or_unknown_does_no_harm() {
        let odd = br#" {"server_id":null,"Port":7,"connect_urls":null,"import":{"allow":null},"x":{"port":[]},"y":1e999e} "#;
        assert_eq!(PeerInfo::read(odd), Err(PeerViolation::Parse));
        let odd = br#" {"server_id":null,"Port":7,"connect_urls":null,"import":{"allow":null},"x":{"port":[]}} "#;
        let expected = PeerInfo {
            port: 7,
            import: Some(PeerPermissions::default()),
            ..PeerInfo::default()
        };
        assert_eq!(PeerInfo::read(odd), Ok(expected));
        assert_eq!(PeerInfo::read(b"{}"), Ok(PeerInfo::default()));
        let text = PeerInfo::read(b"{\"server_id\":\"a\xffb\",\"SERVER_ID\":\"c\"}");
        assert_eq!(text.expect("an INFO").server_id, "a\u{fffd}b");
        // No hub without the list, and one with an empty one.
        let hub = PeerInfo::read(br#"{"leafnode_urls":[]}"#).expect("an INFO");
        assert_eq!(hub.leafnode_urls, Some(Vec::new()));
        let nearly_nothing = br#"{"server_id":"","server_name":"","version":"","proto":0,"go":"","host":"","port":0,"headers":false,"max_payload":0,"client_id":5,"compression":"s2_auto"} "#;
        assert_eq!(
            PeerInfo::read(nearly_nothing).map(|info| info.client_id),
            Ok(5)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let deep = "[".repeat(10_000);
        for json in [
            "",
            "null",
            "[]",
            "5",
            "{",
            "{} x",
            r#"{"port":"6222"}"#,
            r#"{"port":70000}"#,
            &deep,
        ] {
            assert_eq!(
                PeerInfo::read(json.as_bytes()),
                Err(PeerViolation::Parse),
                "{json:.20}"
            );
        }
    }

    #[test]
    fn lists_are_bounded() {
        for key in ["connect_urls", "ws_connect_urls", "leafnode_urls", "import"] {
            let read = |len: usize| {
                let list = vec!["\"u\""; len].join(",");
                let json = match key {
                    "import" => format!("{{\"import\":{{\"deny\":[{list}]}}}}"),
                    _ => format!("{{\"{key}\":[{list}]}}"),
                };
                PeerInfo::read(json.as_bytes())
            };
            assert!(read(LIST_LEN_MAX).is_ok(), "{key}");
            assert_eq!(read(LIST_LEN_MAX + 1), Err(PeerViolation::Parse), "{key}");
        }
    }
}
