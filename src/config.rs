//! Every limit and setting of the broker, each with its unit, its default and the default's reason.

use std::path::PathBuf;
use std::time::Duration;

/// What a client must present in `CONNECT` before it may do anything else.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Auth {
    /// Nothing: every client is welcome, and `CONNECT` itself is optional.
    #[default]
    None,
    /// The field `auth_token`.
    Token(String),
    /// The fields `user` and `pass`.
    User {
        /// Compared with `user`, byte for byte.
        user: String,
        /// Compared with `pass`, byte for byte.
        pass: String,
    },
}

impl std::fmt::Debug for Auth {
    /// Names the method and never the secret: a configuration may end up in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Auth::None => "None",
            Auth::Token(_) => "Token([REDACTED])",
            Auth::User { .. } => "User([REDACTED])",
        })
    }
}

/// Where monitoring over HTTP is served, and for whom.
///
/// ```
/// let monitor = midge::Monitor { port: 8222, ..midge::Monitor::default() };
/// let config = midge::Config { monitor: Some(monitor), ..midge::Config::default() };
/// ```
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    /// Host name or address to listen on. Default: the one for clients.
    pub host: Option<String>,
    /// TCP port to listen on (`http_port`); 0, the default, lets the system pick a free one.
    pub port: u16,
    /// What stands before every path (`http_base_path`), as `/nats` in `/nats/varz`. Default: nothing.
    pub base_path: String,
    /// What a request must present: a user and password as HTTP's `Basic`, a token as its `Bearer`.
    /// Probes of health need not. Default: nothing, as in nats-server, which cannot ask.
    pub auth: Auth,
}

/// How a broker is to run. The defaults are nats-server's.
///
/// ```
/// let config = midge::Config { port: 0, host: "127.0.0.1".into(), ..midge::Config::default() };
/// assert_eq!(config.payload_bytes_max, 1024 * 1024);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Host name or address to listen on. Default `0.0.0.0`: every IPv4 interface.
    pub host: String,
    /// TCP port to listen on; 0 lets the system pick a free one. Default 4222.
    pub port: u16,
    /// Name of this server, announced in `INFO`. Default: the server id.
    pub server_name: Option<String>,
    /// What clients must present. Default: nothing.
    pub auth: Auth,
    /// Most client connections at once (`max_connections`). Default 65536. One more is told so and
    /// closed.
    pub connections_max: usize,
    /// Most bytes of headers and payload in one message (`max_payload`). Default 1 MiB; announced
    /// in `INFO`, where clients check it before they send.
    pub payload_bytes_max: usize,
    /// Most bytes of arguments in one control line (`max_control_line`). Default 4096.
    pub control_line_bytes_max: usize,
    /// Most bytes that may wait for one client before it is a slow consumer (`max_pending`).
    /// Default 64 MiB: about half a second of a full 1 Gbit/s link.
    pub pending_bytes_max: usize,
    /// Most subscriptions of one client (`max_subscriptions`). Default: no limit.
    pub subscriptions_max: Option<usize>,
    /// Most tokens in the subject of a subscription (`max_sub_tokens`). Default: no limit.
    pub subscription_tokens_max: Option<usize>,
    /// Time between the server's `PING`s (`ping_interval`). Default 2 minutes.
    pub ping_interval: Duration,
    /// Unanswered `PING`s after which a client is stale (`ping_max`). Default 2.
    pub pings_out_max: u32,
    /// How long to poll for more before going to sleep, while that pays: while the next bytes mostly
    /// come so soon. Saves the system's waking of a thread, which takes longer than the work. Default
    /// 50 microseconds; zero sleeps at once, as a machine with one processor always does.
    pub busy_poll: Duration,
    /// Longest time that queued output may take to leave (`write_deadline`). Default 10 seconds.
    /// A client that takes longer is a slow consumer.
    pub write_deadline: Duration,
    /// Time in which `CONNECT` must come when `auth` asks for it (`timeout` in `authorization`).
    /// Default 2 seconds.
    pub auth_timeout: Duration,
    /// Whether clients may use headers (`no_header_support` turned round). Default true.
    pub headers: bool,
    /// Monitoring over HTTP. Default: none.
    pub monitor: Option<Monitor>,
    /// Longest traced text of one message, in bytes (`max_traced_msg_len`). 0, the default: all.
    pub traced_bytes_max: usize,
    /// File that receives the process id, digits only. Default: none.
    pub pid_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            host: "0.0.0.0".to_owned(),
            port: 4222,
            server_name: None,
            auth: Auth::None,
            connections_max: 64 * 1024,
            payload_bytes_max: 1024 * 1024,
            control_line_bytes_max: 4096,
            pending_bytes_max: 64 * 1024 * 1024,
            subscriptions_max: None,
            subscription_tokens_max: None,
            ping_interval: Duration::from_secs(120),
            pings_out_max: 2,
            busy_poll: Duration::from_micros(50),
            write_deadline: Duration::from_secs(10),
            auth_timeout: Duration::from_secs(2),
            headers: true,
            monitor: None,
            traced_bytes_max: 0,
            pid_file: None,
        }
    }
}
