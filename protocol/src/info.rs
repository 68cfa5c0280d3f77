//! `INFO`: what a server says about itself, first of all and again when it changes.

use std::io;

use serde::{Deserialize, Serialize};

use crate::encode::Sink;

/// The object of an `INFO`, its keys in the order nats-server writes them.
///
/// Flags that are off and texts and lists that are empty are left out, except for those marked
/// *always*. Reading is lenient: what is missing is the default, unknown keys are ignored.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Info {
    /// Unique per run of the server. Always.
    pub server_id: String,
    /// Configured name, else the same as `server_id`. Always.
    pub server_name: String,
    /// The version of nats-server whose manners are kept: clients switch features on by it.
    /// Always.
    pub version: String,
    /// 1: the echo option and asynchronous `INFO` are understood. Always.
    pub proto: u32,
    /// Short hash of the commit the server was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// Compiler of the server, by the name of the reference's. Always.
    pub go: String,
    /// Bind address, or the one advertised. Always.
    pub host: String,
    /// Bound port, or the one advertised. Always.
    pub port: u16,
    /// `HPUB` and `HMSG` are supported. Always.
    pub headers: bool,
    /// Credentials are wanted.
    #[serde(skip_serializing_if = "is_off")]
    pub auth_required: bool,
    /// A TLS handshake must follow.
    #[serde(skip_serializing_if = "is_off")]
    pub tls_required: bool,
    /// A client certificate is demanded in a handshake.
    #[serde(skip_serializing_if = "is_off")]
    pub tls_verify: bool,
    /// TLS and plain text are both welcome.
    #[serde(skip_serializing_if = "is_off")]
    pub tls_available: bool,
    /// Most bytes of header and payload together. Always.
    pub max_payload: u64,
    /// The number of this connection. Left out when 0, which no connection has.
    #[serde(skip_serializing_if = "is_zero")]
    pub client_id: u64,
    /// The peer's address as the server sees it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_ip: String,
    /// What a client that logs in with a key has to sign. First `INFO` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Name of the cluster, if the server is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The cluster's name was made up.
    #[serde(skip_serializing_if = "is_off")]
    pub cluster_dynamic: bool,
    /// `host:port` of every known server, own address first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect_urls: Vec<String>,
    /// Lame duck: leave this server.
    #[serde(skip_serializing_if = "is_off")]
    pub ldm: bool,
    /// The public key from which the server seals what it asks of authorization callouts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xkey: Option<String>,
    /// midge's own version. No other server says this.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub midge: String,
}

impl Info {
    /// Appends `INFO {json} ` CR LF. The blank before the line end is what every nats-server
    /// writes.
    pub fn put(&self, out: &mut impl Sink) {
        out.put(b"INFO ");
        let written = serde_json::to_writer(Writer(out), self);
        debug_assert!(written.is_ok(), "texts, numbers and flags always make JSON");
        out.put(b" \r\n");
    }
}

pub(crate) fn is_off(flag: &bool) -> bool {
    !flag
}

pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A sink as a writer that never fails.
pub(crate) struct Writer<'a, S>(pub(crate) &'a mut S);

impl<S: Sink> io::Write for Writer<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Info {
        Info {
            server_id: "NA".into(),
            server_name: "n1".into(),
            version: "2.10.27".into(),
            proto: 1,
            go: "rust".into(),
            host: "127.0.0.1".into(),
            port: 4222,
            headers: true,
            max_payload: 1_048_576,
            client_id: 5,
            client_ip: "127.0.0.1".into(),
            ..Info::default()
        }
    }

    #[track_caller]
    fn check(info: &Info, line: &str) {
        let mut out = Vec::new();
        info.put(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), line);
        let json = line.trim_start_matches("INFO ");
        assert_eq!(&serde_json::from_str::<Info>(json).expect(json), info);
    }

    #[test]
    fn keys_come_in_order_and_what_is_off_is_left_out() {
        check(
            &small(),
            "INFO {\"server_id\":\"NA\",\"server_name\":\"n1\",\"version\":\"2.10.27\",\"proto\":1,\
             \"go\":\"rust\",\"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,\
             \"max_payload\":1048576,\"client_id\":5,\"client_ip\":\"127.0.0.1\"} \r\n",
        );
        check(
            &Info {
                git_commit: Some("abc1234".into()),
                headers: false,
                auth_required: true,
                tls_required: true,
                tls_verify: true,
                tls_available: true,
                nonce: Some("0123456789abcde".into()),
                cluster: Some("c".into()),
                cluster_dynamic: true,
                connect_urls: vec!["a:1".into(), "[::1]:2".into()],
                ldm: true,
                xkey: Some("XA".into()),
                midge: "0.1.0".into(),
                ..small()
            },
            "INFO {\"server_id\":\"NA\",\"server_name\":\"n1\",\"version\":\"2.10.27\",\"proto\":1,\
             \"git_commit\":\"abc1234\",\"go\":\"rust\",\"host\":\"127.0.0.1\",\"port\":4222,\
             \"headers\":false,\"auth_required\":true,\"tls_required\":true,\"tls_verify\":true,\
             \"tls_available\":true,\"max_payload\":1048576,\"client_id\":5,\
             \"client_ip\":\"127.0.0.1\",\"nonce\":\"0123456789abcde\",\"cluster\":\"c\",\
             \"cluster_dynamic\":true,\"connect_urls\":[\"a:1\",\"[::1]:2\"],\"ldm\":true,\
             \"xkey\":\"XA\",\"midge\":\"0.1.0\"} \r\n",
        );
    }

    #[test]
    fn other_servers_are_understood() {
        let old = r#"{"server_id":"0QQEWC21j9Q4w3uDbqmTAH","version":"0.9.6","go":"go1.19.8",
            "host":"127.0.0.1","port":4222,"auth_required":false,"ssl_required":false,
            "tls_required":false,"tls_verify":false,"max_payload":1048576}"#;
        let info: Info = serde_json::from_str(old).expect("an INFO of 0.9.6");
        assert_eq!(
            (info.version.as_str(), info.proto, info.headers),
            ("0.9.6", 0, false)
        );
    }
}
