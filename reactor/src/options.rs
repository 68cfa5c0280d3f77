//! How to listen and connect, and the options of sockets that have names of their own here.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a connect may take, unless [`ConnectOptions::timeout`] tells otherwise.
#[doc(alias = "pending_connect_timeout")]
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How to listen.
///
/// ```
/// use midge_reactor::ListenOptions;
///
/// let options = ListenOptions::default().backlog(64).reuse_port(true);
/// # assert!(options.reuse_port);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenOptions {
    /// Connections the kernel may hold before they are accepted. Default 1024; the system's own
    /// limit (`somaxconn` on Linux) still applies.
    pub backlog: i32,
    /// Most connections accepted in one turn of the loop; the rest wait for the next, in which
    /// all others have a turn too. Default 64; zero counts as one. None is accepted while 256 of those
    /// that have come lately wait for their slice.
    #[doc(alias = "simultaneous_accept_count")]
    pub accepts_max: usize,
    /// Most connections that the listener has accepted and that are still there. While there are so
    /// many, more wait in the kernel's backlog until one has gone. Default: no bound; zero counts as
    /// one.
    pub connections_max: usize,
    /// Lets other sockets listen on the same port (`SO_REUSEPORT`), if they ask for it as well: on
    /// Linux each connection goes to one of them, chosen by a hash of its addresses, so that one
    /// reactor per core can serve one port. Default `false`. A listener that closes takes the
    /// connections in its backlog with it. Means nothing for Unix sockets.
    pub reuse_port: bool,
    /// Takes IPv6 connections only, where the address is `[::]`, so that another socket may have
    /// the port in IPv4. Default `false`: both, whatever the system's own default.
    pub only_v6: bool,
    /// Where the address is `0.0.0.0` or `[::]`, takes connections of both families over one socket;
    /// where the system has but one family, of that one. Default `false`: `0.0.0.0` is IPv4 alone.
    ///
    /// [`Context::listening_on_all`](crate::Context::listening_on_all) tells what it has become. Goes
    /// before [`only_v6`](ListenOptions::only_v6).
    pub both_families: bool,
    /// Before listening on a Unix socket, removes one that stands at the path and that nobody
    /// listens on any more. Nothing else is ever removed. Default `false`.
    ///
    /// Two programs that start at the same moment and both ask for this may take the path from
    /// each other.
    pub unlink_stale: bool,
    /// Who may connect to a Unix socket: the permissions of its file, as `0o660`, which are there before anybody
    /// can. Writing is what it takes to connect. Default `None`: what the process's umask leaves of `0o777`.
    /// Means nothing in a simulation.
    pub unix_mode: Option<u32>,
    /// What [`SocketOption::CongestionControl`] is for each connection, from its first packet on.
    /// Default `None`: the system's own choice. Means nothing for Unix sockets and in a simulation.
    pub congestion_control: Option<&'static str>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions {
            backlog: 1024,
            accepts_max: 64,
            connections_max: usize::MAX,
            reuse_port: false,
            only_v6: false,
            both_families: false,
            unlink_stale: false,
            unix_mode: None,
            congestion_control: None,
        }
    }
}

impl ListenOptions {
    /// Sets [`congestion_control`](ListenOptions::congestion_control).
    #[must_use]
    pub fn congestion_control(mut self, name: &'static str) -> ListenOptions {
        self.congestion_control = Some(name);
        self
    }

    /// Sets [`backlog`](ListenOptions::backlog).
    #[must_use]
    pub fn backlog(mut self, connections: i32) -> ListenOptions {
        self.backlog = connections;
        self
    }

    /// Sets [`accepts_max`](ListenOptions::accepts_max).
    #[must_use]
    pub fn accepts_max(mut self, connections: usize) -> ListenOptions {
        self.accepts_max = connections;
        self
    }

    /// Sets [`connections_max`](ListenOptions::connections_max).
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> ListenOptions {
        self.connections_max = connections;
        self
    }

    /// Sets [`reuse_port`](ListenOptions::reuse_port).
    #[must_use]
    pub fn reuse_port(mut self, reuse: bool) -> ListenOptions {
        self.reuse_port = reuse;
        self
    }

    /// Sets [`only_v6`](ListenOptions::only_v6).
    #[must_use]
    pub fn only_v6(mut self, only: bool) -> ListenOptions {
        self.only_v6 = only;
        self
    }

    /// Sets [`both_families`](ListenOptions::both_families).
    #[must_use]
    pub fn both_families(mut self, both: bool) -> ListenOptions {
        self.both_families = both;
        self
    }

    /// Sets [`unlink_stale`](ListenOptions::unlink_stale).
    #[must_use]
    pub fn unlink_stale(mut self, unlink: bool) -> ListenOptions {
        self.unlink_stale = unlink;
        self
    }

    /// Sets [`unix_mode`](ListenOptions::unix_mode).
    #[must_use]
    pub fn unix_mode(mut self, mode: u32) -> ListenOptions {
        self.unix_mode = Some(mode);
        self
    }
}

/// How to connect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The address to connect from; port 0 is any. Default: the system chooses.
    #[doc(alias = "bind_connect")]
    pub local_addr: Option<SocketAddr>,
    /// How long the connect may take. Default [`CONNECT_TIMEOUT`].
    #[doc(alias = "pending_connect_timeout")]
    #[doc(alias = "set_pending_connect_timeout")]
    pub timeout: Duration,
    /// See [`SocketOption::NoDelay`]. Default `true`.
    pub nodelay: bool,
    /// See [`SocketOption::Keepalive`]. Default `None`.
    pub keepalive: Option<Keepalive>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions {
            local_addr: None,
            timeout: CONNECT_TIMEOUT,
            nodelay: true,
            keepalive: None,
        }
    }
}

impl ConnectOptions {
    /// Sets [`local_addr`](ConnectOptions::local_addr).
    #[must_use]
    pub fn local_addr(mut self, addr: SocketAddr) -> ConnectOptions {
        self.local_addr = Some(addr);
        self
    }

    /// Sets [`timeout`](ConnectOptions::timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> ConnectOptions {
        self.timeout = timeout;
        self
    }

    /// Sets [`nodelay`](ConnectOptions::nodelay).
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> ConnectOptions {
        self.nodelay = nodelay;
        self
    }

    /// Sets [`keepalive`](ConnectOptions::keepalive).
    #[must_use]
    pub fn keepalive(mut self, keepalive: Keepalive) -> ConnectOptions {
        self.keepalive = Some(keepalive);
        self
    }
}

/// When the system asks a silent peer whether it is still there. What is not set is the system's
/// own choice. All times are rounded down to whole seconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Option<Duration>,
    /// Time between two probes.
    pub interval: Option<Duration>,
    /// Probes that may go unanswered before the connection is given up.
    pub probes: Option<u32>,
}

impl Keepalive {
    /// Probes begin after this much silence.
    #[must_use]
    pub fn after(idle: Duration) -> Keepalive {
        Keepalive {
            idle: Some(idle),
            ..Keepalive::default()
        }
    }

    /// Sets [`interval`](Keepalive::interval).
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Keepalive {
        self.interval = Some(interval);
        self
    }

    /// Sets [`probes`](Keepalive::probes).
    #[must_use]
    pub fn probes(mut self, probes: u32) -> Keepalive {
        self.probes = Some(probes);
        self
    }
}

/// An option of a connection's socket, and its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SocketOption {
    /// Sends small packets at once (`TCP_NODELAY`). On for every connection unless it is switched
    /// off: the loop collects the output of a turn, which replaces Nagle's algorithm.
    NoDelay(bool),
    /// Probes a silent peer (`SO_KEEPALIVE`), or with `None` does not.
    #[doc(alias = "enable_keepalive")]
    #[doc(alias = "disable_keepalive")]
    Keepalive(Option<Keepalive>),
    /// Bytes that the kernel may hold for sending (`SO_SNDBUF`). Linux doubles the number.
    SendBuffer(usize),
    /// Bytes that the kernel may hold unread (`SO_RCVBUF`). Linux doubles the number.
    ReceiveBuffer(usize),
    /// How long sent bytes may stay unacknowledged before the kernel gives the connection up
    /// (`TCP_USER_TIMEOUT`, Linux alone); `None` is the system's own choice.
    UserTimeout(Option<Duration>),
    /// Which algorithm decides how fast to send (`TCP_CONGESTION`, on Linux and FreeBSD): `"reno"`,
    /// `"cubic"`, `"bbr"` or what else the kernel has. TCP only.
    ///
    /// On loopback nothing is congested, and an algorithm that paces, as BBR does, costs half of the
    /// throughput.
    CongestionControl(&'static str),
}

/// Raises the limit on open files as far as the system allows without privilege, and answers the
/// limit that holds now.
///
/// Each connection is one open file. The usual soft limit, 1024, is for programs that use
/// `select`, which this one does not.
///
/// # Errors
/// Those of the system's calls; the limit is as it was.
#[doc(alias = "set_descriptor_table_size")]
pub fn raise_open_files() -> io::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
}
