//! Where clients may come by WebSocket, and on what terms.

use super::{Advertise, Auth, ProxyProtocol};
use crate::tls::Tls;
use std::time::Duration;

/// Where clients may come by WebSocket (`websocket`), and on what terms.
///
/// ```
/// let websocket = midge::WebSocket { port: 8080, no_tls: true, ..midge::WebSocket::default() };
/// let config = midge::Config { websocket: Some(websocket), ..midge::Config::default() };
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebSocket {
    /// Host name or address to listen on. Default: `0.0.0.0`, as for clients over TCP.
    pub host: String,
    /// TCP port to listen on; 0, the default, lets the system pick a free one.
    pub port: u16,
    /// What `INFO` tells of where this listener is. Default: where it listens.
    pub advertise: Option<Advertise>,
    /// TLS, which begins with the first byte here. Default: none.
    pub tls: Option<Tls>,
    /// Whether it is to do without, as behind a proxy that has it; must be said where there is no `tls`.
    pub no_tls: bool,
    /// Whether a browser's page must come from the host and port that it connects to. Default false.
    pub same_origin: bool,
    /// Where a browser's page may come from, as `https://example.org`. Default: from anywhere.
    pub allowed_origins: Vec<String>,
    /// How long the request that begins a WebSocket may take to come. Default 2 seconds.
    pub handshake_timeout: Duration,
    /// Whether messages are compressed for clients that offer it. Default false.
    pub compression: bool,
    /// Proxies that tell for whom a connection is (`proxy_protocol`). Default: none.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// What clients must present here, in place of what others must. Default: the same.
    pub auth: Auth,
    /// Time in which they must. Default: the same.
    pub auth_timeout: Option<Duration>,
    /// The user that a client is here who presents nothing. Default: the same.
    pub no_auth_user: Option<String>,
    /// The cookie that stands for `jwt` in `CONNECT`. Default: none.
    pub jwt_cookie: Option<String>,
    /// The cookie that stands for `user`. Default: none.
    pub user_cookie: Option<String>,
    /// The cookie that stands for `pass`. Default: none.
    pub pass_cookie: Option<String>,
    /// The cookie that stands for `auth_token`. Default: none.
    pub token_cookie: Option<String>,
}

impl Default for WebSocket {
    fn default() -> Self {
        WebSocket {
            host: "0.0.0.0".to_owned(),
            port: 0,
            advertise: None,
            tls: None,
            no_tls: false,
            same_origin: false,
            allowed_origins: Vec::new(),
            handshake_timeout: Duration::from_secs(2),
            compression: false,
            proxy_protocol: None,
            auth: Auth::None,
            auth_timeout: None,
            no_auth_user: None,
            jwt_cookie: None,
            user_cookie: None,
            pass_cookie: None,
            token_cookie: None,
        }
    }
}
