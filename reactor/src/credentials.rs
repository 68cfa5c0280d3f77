//! `Credentials`: who is at the far end of a Unix socket, as the system knows it.

/// The process at the far end of a Unix socket, as it was when it connected or began to listen. The system tells of
/// it, so no peer can pretend.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[doc(alias = "SO_PEERCRED")]
pub struct Credentials {
    /// Its process id; `None` if it is not to be seen from here, as that of another container.
    pub pid: Option<u32>,
    /// The user that it runs as.
    pub uid: u32,
    /// Its own group: not those that the user is in besides.
    pub gid: u32,
}
