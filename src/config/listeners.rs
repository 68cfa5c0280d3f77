//! Where clients come in besides the server's own host and port: further listeners, and Unix sockets.

use super::{Advertise, ProxyProtocol};
use crate::tls::Tls;
use midge_reactor::Credentials;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// Most further listeners: each takes open files, and is looked for by every client that comes.
pub(crate) const LISTENERS_MAX: usize = 32;

/// Longest path of a Unix socket, in bytes: what the system has room for.
pub(crate) const UNIX_PATH_BYTES_MAX: usize = 107;

/// One more place where clients come in, on terms of its own (a block in `listeners`). What is not said here is
/// not taken from the server's own: there is no TLS, and a client must present what all must.
///
/// ```
/// use midge::{Config, Listener};
///
/// let internal = Listener { name: "internal".into(), host: "127.0.0.1".into(), ..Listener::default() };
/// let config = Config { listeners: vec![internal], ..Config::default() };
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// What it is called in the log and in monitoring: letters, digits, `-` and `_`.
    pub name: String,
    /// Host name or address to listen on. Default: `0.0.0.0`, as the server's own.
    pub host: String,
    /// TCP port to listen on; 0, the default, lets the system pick a free one.
    pub port: u16,
    /// Unix socket to listen on, in place of host and port. Default: none.
    pub unix: Option<UnixSocket>,
    /// What `INFO` tells of where this listener is. Default: where it listens.
    pub advertise: Option<Advertise>,
    /// TLS for clients that come in here. Default: none.
    pub tls: Option<Tls>,
    /// Whether a client may speak in clear although there is TLS. Default false.
    pub allow_non_tls: bool,
    /// The user that a client is here who presents nothing. Default: none, so that client is refused where
    /// credentials are required.
    pub no_auth_user: Option<String>,
    /// Time in which `CONNECT` must come (`timeout`). Default: as for the server's own, but with this TLS.
    pub auth_timeout: Option<Duration>,
    /// Most clients at once that have come in here (`max_connections`), within the server's own limit. Default: no
    /// further limit.
    pub connections_max: Option<usize>,
    /// Proxies that tell for whom a connection is (`proxy_protocol`). Default: none.
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl Default for Listener {
    fn default() -> Listener {
        Listener {
            name: String::new(),
            host: "0.0.0.0".to_owned(),
            port: 0,
            unix: None,
            advertise: None,
            tls: None,
            allow_non_tls: false,
            no_auth_user: None,
            auth_timeout: None,
            connections_max: None,
            proxy_protocol: None,
        }
    }
}

/// A Unix socket to listen on (`listen: unix:PATH`, and the block `unix`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnixSocket {
    /// Where it stands. One without a listener is removed first; this one is removed at the end.
    pub path: PathBuf,
    /// Permissions of its file (`mode`); writing is what it takes to connect. Default `0o660`: the owner and the group.
    pub mode: u32,
    /// The user that a client is whose process runs as this user of the machine, and who presents nothing else.
    pub users_by_uid: BTreeMap<u32, String>,
    /// Likewise by a group that its process runs as, or its user is in. A user of the machine goes before a group, and
    /// of several groups the first counts.
    pub users_by_gid: Vec<UnixGroup>,
    /// Whether a client is refused whose process is none of these (`other_peers: refuse`). Default false: it must
    /// present what all must.
    pub refuse_others: bool,
}

/// A group of the machine, and the user that its processes are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnixGroup {
    /// Its number.
    pub gid: u32,
    /// The users of the machine who are in it besides their own group. A file has them looked up when it is read.
    pub members: BTreeSet<u32>,
    /// The user.
    pub user: String,
}

impl UnixSocket {
    /// One at this path, which its owner and group may use, and which says nothing of who a client is.
    pub fn at(path: impl Into<PathBuf>) -> UnixSocket {
        UnixSocket {
            path: path.into(),
            mode: 0o660,
            users_by_uid: BTreeMap::new(),
            users_by_gid: Vec::new(),
            refuse_others: false,
        }
    }

    /// The user that a client is by its process alone.
    pub(crate) fn user_of(&self, peer: Credentials) -> Option<&str> {
        let by_uid = self.users_by_uid.get(&peer.uid);
        let mut groups = self.users_by_gid.iter();
        let by_gid = || Some(&groups.find(|group| group.has(peer))?.user);
        by_uid.or_else(by_gid).map(String::as_str)
    }

    /// All users that processes are mapped to.
    pub(crate) fn users(&self) -> impl Iterator<Item = &String> {
        let by_gid = self.users_by_gid.iter().map(|group| &group.user);
        self.users_by_uid.values().chain(by_gid)
    }
}

impl UnixGroup {
    /// Whether a process runs as this group, or its user is in it.
    fn has(&self, peer: Credentials) -> bool {
        self.gid == peer.gid || self.members.contains(&peer.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_a_process_goes_before_its_group() {
        let socket = UnixSocket {
            users_by_uid: BTreeMap::from([(1, "ann".to_owned())]),
            users_by_gid: vec![UnixGroup {
                gid: 9,
                user: "staff".to_owned(),
                ..UnixGroup::default()
            }],
            ..UnixSocket::at("/run/midge.sock")
        };
        let user = |uid, gid| {
            let pid = None;
            socket.user_of(Credentials { pid, uid, gid })
        };
        assert_eq!(user(1, 9), Some("ann"));
        assert_eq!(user(2, 9), Some("staff"));
        assert_eq!(user(2, 2), None);
    }
}
