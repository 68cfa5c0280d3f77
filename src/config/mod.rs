//! Every limit and setting of the broker, each with its unit, its default and the default's reason.

mod accounts;
pub(crate) mod callout;
mod certificates;
pub(crate) mod check;
mod connections;
pub(crate) mod duration;
mod limits;
mod listeners;
pub(crate) mod operators;
mod secrets;
mod terms;
mod unused;
mod users;
mod websocket;

#[cfg(feature = "command")]
pub mod language;
mod memory;
pub(crate) mod network;
#[cfg(feature = "command")]
pub mod options;
mod origin;
mod permissions;
mod program;
mod proxy;
mod pushes;
mod resolver;
#[cfg(feature = "command")]
mod run;
#[cfg(feature = "command")]
pub mod settings;
mod sharing;

pub use accounts::{Account, AccountLimits};
pub(crate) use accounts::{GLOBAL, SYSTEM};
pub use callout::AuthCallout;
pub use connections::ConnectionType;
pub use limits::{AddressLimits, Exceeded, Limits};
pub(crate) use listeners::{LISTENERS_MAX, UNIX_PATH_BYTES_MAX};
pub use listeners::{Listener, UnixGroup, UnixSocket};
pub use midge_protocol::Secret;
pub use network::Network;
pub use operators::{AccountToken, OperatorToken, Operators, Preload, TokenFault};
pub(crate) use operators::{Trust, grant};
pub(crate) use origin::Origin;
pub(crate) use permissions::texts;
pub use permissions::{Grant, InvalidSubject, Permission, Permissions, Responses, Subscriptions};
pub(crate) use program::program;
pub use proxy::ProxyProtocol;
pub(crate) use pushes::PushFault;
pub(crate) use resolver::Source;
pub use resolver::{Cache, Deletes, Directory, Resolver};
#[cfg(feature = "command")]
pub use run::{LogFormat, LogOptions, Options};
pub(crate) use secrets::is_hash;
pub(crate) use sharing::{CHAIN_ACCOUNTS_MAX, Furnishing, Offers};
pub use sharing::{
    Export, ExportKind, Import, ImportKind, InvalidExport, InvalidImport, Latency, Response,
    Sampling, Service,
};
pub(crate) use terms::Terms;
pub(crate) use users::COMPARED_MAX;
pub use users::Users;
pub use websocket::WebSocket;

use crate::mapping::Mapping;
use crate::tls::Tls;
use midge_text::host_port;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Most that may wait for all clients together, unless it is set: sixteen clients at their limit.
const TOTAL_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Time in which `CONNECT` must come, unless it is set.
const AUTH_TIMEOUT: Duration = Duration::from_secs(2);

/// What a client must present in `CONNECT` before it may do anything else.
///
/// `Debug` shows no secret: a configuration may end up in a log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Auth {
    /// Nothing: every client is welcome, and `CONNECT` itself is optional.
    #[default]
    None,
    /// The field `auth_token`, or a bcrypt hash of what it must be.
    Token(Secret),
    /// The fields `user` and `pass`.
    User {
        /// Compared with `user`, byte for byte.
        user: String,
        /// Compared with `pass`, byte for byte; or a bcrypt hash of what it must be (`$2a$...`).
        pass: Secret,
    },
    /// What proves that it is one of several.
    Users {
        /// Each under a name of its own.
        users: Users,
        /// The field `auth_token` instead.
        token: Option<Secret>,
    },
    /// The field `jwt`: the token of a user, for whom an account vouches, for which one of these does. And `sig`: the
    /// nonce of `INFO`, signed with the user's key.
    Operators(Arc<Operators>),
}

/// One of several who may connect.
///
/// ```
/// use midge::{Auth, Config, User};
///
/// let ann = User { name: "ann".into(), proof: "her password".into(), ..User::default() };
/// let auth = Auth::Users { users: vec![ann].into(), token: None };
/// let config = Config { auth, ..Config::default() };
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct User {
    /// Compared with `user`, byte for byte; or with `nkey`, if the proof is a signature.
    pub name: String,
    /// What proves that a client is this user.
    pub proof: Proof,
    /// The account whose subjects it sees: one of [`Config::accounts`]. Default: the global one, `$G`.
    pub account: Option<String>,
    /// How it may be connected (`allowed_connection_types`). Empty, the default: in any way.
    pub connections: Vec<ConnectionType>,
    /// What it may publish, and subscribe to. Default: those of its [account](Account::default_permissions), or
    /// without one [`default_permissions`](Config::default_permissions).
    pub permissions: Option<Grant>,
    /// What its clients may have together. Default: [`user_limits`](Config::user_limits).
    pub limits: Option<Limits>,
}

/// What proves that a client is the user that it says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Proof {
    /// The field `pass`, byte for byte; or this is a bcrypt hash of what it must be (`$2a$...`). An empty one
    /// is matched by an empty one only.
    Password(Secret),
    /// The field `sig`: the nonce of `INFO`, signed with the key of which the user's name is the public half.
    Signature,
}

impl Default for Proof {
    fn default() -> Self {
        Proof::Password(Secret::default())
    }
}

impl From<&str> for Proof {
    fn from(password: &str) -> Self {
        Proof::Password(password.into())
    }
}

/// Where monitoring over HTTP is served, and for whom.
///
/// ```
/// let monitor = midge::Monitor { port: 8222, ..midge::Monitor::default() };
/// let config = midge::Config { monitor: Some(monitor), ..midge::Config::default() };
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Monitor {
    /// Host name or address to listen on. Default: the one for clients.
    pub host: Option<String>,
    /// TCP port to listen on (`http_port`); 0, the default, lets the system pick a free one.
    pub port: u16,
    /// Whether it is served over HTTPS (`https_port`), with the certificates of [`Config::tls`]. Default false.
    pub tls: bool,
    /// What stands before every path (`http_base_path`), as `/nats` in `/nats/varz`. Default: nothing.
    pub base_path: String,
    /// What a request must present: a user and password as HTTP's `Basic`, a token as its `Bearer`.
    /// Probes of health need not. Default: nothing, as in nats-server, which cannot ask.
    pub auth: Auth,
}

/// What `INFO` tells clients of where this server is, in place of where it listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advertise {
    /// Host name or address.
    pub host: String,
    /// Port; `None` is the one that is listened on.
    pub port: Option<u16>,
}

impl std::fmt::Display for Advertise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            None => f.write_str(&self.host),
            Some(port) => f.write_str(&host_port::join(&self.host, port)),
        }
    }
}

impl Advertise {
    /// Reads `host:port` or `host`; `None` for an empty text. Port 0 or -1 is the one listened on.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Option<Advertise>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let (host, port) = match host_port::split(text) {
            Some((host, Some(port))) => match port.parse::<i64>() {
                Ok(-1 | 0) => (host, None),
                Ok(number) => match u16::try_from(number) {
                    Ok(port) => (host, Some(port)),
                    Err(_) => return Err(format!("address {number}: invalid port")),
                },
                Err(_) => return Err(format!("could not parse port {port:?}")),
            },
            Some((host, None)) => (host, None),
            None => ("", None),
        };
        if host.is_empty() {
            return Err(format!(
                "could not parse address string {text:?}; write host:port"
            ));
        }
        Ok(Some(Advertise {
            host: host.to_owned(),
            port,
        }))
    }
}

/// How a broker is to run. The defaults are nats-server's.
///
/// ```
/// let config = midge::Config { port: 0, host: "127.0.0.1".into(), ..midge::Config::default() };
/// assert_eq!(config.payload_bytes_max, 1024 * 1024);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Host name or address to listen on; of a name each address. Default `0.0.0.0`: every address of
    /// this machine, those of IPv6 included, as is `::` and an empty text.
    pub host: String,
    /// TCP port to listen on; 0 lets the system pick a free one. Default 4222.
    pub port: u16,
    /// Unix socket to listen on, in place of host and port (`listen: unix:PATH`). Default: none.
    pub unix: Option<UnixSocket>,
    /// Proxies that tell for whom a connection to host and port is (`proxy_protocol`). Default: none.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Further places where clients come in (`listeners`). Default: none.
    pub listeners: Vec<Listener>,
    /// Name of this server, announced in `INFO`. Default: the server id.
    pub server_name: Option<String>,
    /// Name of the cluster, announced in `INFO` (`name` in `cluster`). midge is alone in it. Default: none.
    pub cluster_name: Option<String>,
    /// What `INFO` tells of where this server is (`client_advertise`). Default: where it listens.
    pub advertise: Option<Advertise>,
    /// Labels of this server, for those who look for one (`server_tags`). Default: none.
    pub server_tags: Vec<String>,
    /// What else there is to say of this server (`server_metadata`). Default: nothing.
    pub server_metadata: BTreeMap<String, String>,
    /// What clients must present. Default: nothing.
    pub auth: Auth,
    /// Who decides about clients in place of `auth` (`auth_callout` in `authorization`). Default: none.
    pub auth_callout: Option<AuthCallout>,
    /// TLS for clients. Default: none, they speak in clear.
    pub tls: Option<Tls>,
    /// Whether a client may speak in clear although there is TLS (`allow_non_tls`). Default false.
    pub allow_non_tls: bool,
    /// The user that a client is who presents nothing at all (`no_auth_user`): one of
    /// [`Auth::Users`]. Default: none, so that client is refused.
    pub no_auth_user: Option<String>,
    /// What clients may publish, and subscribe to, whose user has no permissions of its own, or that have come in
    /// without one (`default_permissions` in `authorization`). Default: everything.
    pub default_permissions: Option<Grant>,
    /// Spaces of subjects beside the global one, by name (`accounts`). Copies of the settings share them, since there
    /// may be ten thousand. Default: none.
    pub accounts: Arc<BTreeMap<String, Account>>,
    /// The account for those who run the server (`system_account`): one of [`accounts`](Config::accounts), or `$SYS`,
    /// which need not be there. Default: `$SYS` if that is there.
    pub system_account: Option<String>,
    /// Where what is published in the global account goes instead (`mappings`). Default: nowhere else.
    pub mappings: Vec<Mapping>,
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
    /// Never more than [`QUEUE_BYTES_MAX`](midge_reactor::QUEUE_BYTES_MAX) in fact.
    pub pending_bytes_max: usize,
    /// Most bytes that may wait for all clients together (`max_pending_total`). Near it publishers wait,
    /// past it those with the longest queues are slow consumers. Default: 1 GiB, or a quarter of
    /// the memory there is where that is less, but twice `pending_bytes_max` at least.
    pub pending_total_bytes_max: Option<usize>,
    /// Most subscriptions of one client (`max_subscriptions`). Default: no limit.
    pub subscriptions_max: Option<usize>,
    /// Most tokens in the subject of a subscription (`max_sub_tokens`). Default: no limit.
    pub subscription_tokens_max: Option<usize>,
    /// What the clients of each address may have together (`per_address` in `limits`). Default: no limit.
    pub address_limits: AddressLimits,
    /// What the clients of each user may have together that has no limits of its own (`per_user` in `limits`).
    /// Default: no limit.
    pub user_limits: Limits,
    /// Time between the server's `PING`s (`ping_interval`). Default 2 minutes.
    pub ping_interval: Duration,
    /// Unanswered `PING`s after which a client is stale (`ping_max`). Default 2.
    pub pings_out_max: u32,
    /// How long to poll for more before going to sleep, while that pays: while the next bytes mostly
    /// come so soon. Saves the system's waking of a thread, which takes longer than the work. Default
    /// 50 microseconds; zero sleeps at once, as a machine with one processor always does.
    pub busy_poll: Duration,
    /// How long a turn of the loop works on input before it writes (`turn_time`). Default 4
    /// milliseconds; see [`Builder::turn_time`](midge_reactor::Builder::turn_time).
    pub turn_time: Duration,
    /// Longest time that queued output may take to leave (`write_deadline`). Default 10 seconds.
    /// A client that takes longer is a slow consumer.
    pub write_deadline: Duration,
    /// Time in which `CONNECT` must come when `auth` asks for it (`timeout` in `authorization`), after the handshake
    /// where there is one. Default 2 seconds; with TLS a second more than its `timeout`.
    pub auth_timeout: Option<Duration>,
    /// Whether a publisher waits for those it feeds, once they are far behind
    /// (`no_fast_producer_stall` turned round). Default true.
    pub stall_producers: bool,
    /// Connections that are remembered after their end (`max_closed_clients`). Default 10,000.
    pub closed_clients_max: usize,
    /// Of this number of failed attempts to reach another server for the first time one is logged
    /// (`connect_error_reports`). Default 3600: about once an hour.
    pub connect_error_reports: u32,
    /// Likewise, for a server that was reached before (`reconnect_error_reports`). Default 1: each.
    pub reconnect_error_reports: u32,
    /// Whether clients may use headers (`no_header_support` turned round). Default true.
    pub headers: bool,
    /// Monitoring over HTTP. Default: none.
    pub monitor: Option<Monitor>,
    /// Clients that come by WebSocket. Default: none.
    pub websocket: Option<WebSocket>,
    /// Longest traced text of one message, in bytes (`max_traced_msg_len`). 0, the default: all.
    pub traced_bytes_max: usize,
    /// File that receives the process id, digits only. Default: none.
    pub pid_file: Option<PathBuf>,
    /// Directory that receives a file with the addresses listened on, as JSON: `<name>_<pid>.ports`.
    /// Default: none.
    pub ports_file_dir: Option<PathBuf>,
    /// Time from the beginning of lame duck mode to its end (`lame_duck_duration`). Default 2 minutes.
    pub lame_duck_duration: Duration,
    /// Part of that time before the first client is closed (`lame_duck_grace_period`). Default 10
    /// seconds.
    pub lame_duck_grace_period: Duration,
}

impl Config {
    /// Most bytes that may wait for all clients together.
    pub(crate) fn total_bytes_max(&self) -> usize {
        self.pending_total_bytes_max.unwrap_or_else(|| {
            let fits = memory::bytes().map_or(TOTAL_BYTES_MAX, |bytes| bytes / 4);
            fits.min(TOTAL_BYTES_MAX)
                .max(self.pending_bytes_max.saturating_mul(2))
        })
    }

    /// What the clients of a user may have together.
    pub(crate) fn limits_of(&self, user: &str) -> &Limits {
        let user = self.auth.user_named(user);
        let own = user.and_then(|user| user.limits.as_ref());
        own.unwrap_or(&self.user_limits)
    }

    /// Whether there are limits for addresses, users or accounts.
    pub(crate) fn has_limits(&self) -> bool {
        let mut all = [self.user_limits, self.address_limits.limits].into_iter();
        let mut of_accounts = self.accounts.values().map(|one| one.limits.connections_max);
        let of_users = self.auth.kinds().is_some_and(|kinds| kinds.limited);
        // Any account may have some that comes to be known.
        self.operators().is_some()
            || of_users
            || all.any(|limits| limits.is_any())
            || of_accounts.any(|max| max.is_some())
    }

    /// Whether there is a door by which they do: then a user without a password proves itself by a certificate, and by
    /// nothing else.
    pub(crate) fn maps_certificates_somewhere(&self) -> bool {
        self.doors().any(|door| self.terms(door).map_certificates())
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            host: "0.0.0.0".to_owned(),
            port: 4222,
            unix: None,
            proxy_protocol: None,
            listeners: Vec::new(),
            server_name: None,
            cluster_name: None,
            advertise: None,
            server_tags: Vec::new(),
            server_metadata: BTreeMap::new(),
            auth: Auth::None,
            auth_callout: None,
            tls: None,
            allow_non_tls: false,
            no_auth_user: None,
            default_permissions: None,
            accounts: Arc::default(),
            system_account: None,
            mappings: Vec::new(),
            connections_max: 64 * 1024,
            payload_bytes_max: 1024 * 1024,
            control_line_bytes_max: 4096,
            pending_bytes_max: 64 * 1024 * 1024,
            pending_total_bytes_max: None,
            subscriptions_max: None,
            subscription_tokens_max: None,
            address_limits: AddressLimits::default(),
            user_limits: Limits::default(),
            ping_interval: Duration::from_secs(120),
            pings_out_max: 2,
            busy_poll: Duration::from_micros(50),
            turn_time: Duration::from_millis(4),
            write_deadline: Duration::from_secs(10),
            auth_timeout: None,
            stall_producers: true,
            closed_clients_max: 10_000,
            connect_error_reports: 3600,
            reconnect_error_reports: 1,
            headers: true,
            monitor: None,
            websocket: None,
            traced_bytes_max: 0,
            pid_file: None,
            ports_file_dir: None,
            lame_duck_duration: Duration::from_secs(120),
            lame_duck_grace_period: Duration::from_secs(10),
        }
    }
}
