//! The same promises over the system's sockets, on real threads, and with what only a system has.
//!
//! The tests share a process. What lowers its limits, counts its allocations, or needs
//! other programs built, is a program of its own beside this one.

// Some of it is for the other tests.
#[allow(dead_code)]
#[cfg(feature = "tls")]
#[path = "../support/certificates.rs"]
mod certificates;

mod server;

mod datagrams;
mod foreign;
mod relays;
mod sockets;

mod embedding;
mod threads;

#[cfg(feature = "tls")]
mod handshakes;
#[cfg(feature = "tls")]
mod tls;

mod eventmachine_names;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Between its fork and its program, a child process holds copies of all that is open here. So a test forks
/// behind this, and looks before it whether something is closed, or free again.
static FORKS: RwLock<()> = RwLock::new(());

fn forking() -> RwLockWriteGuard<'static, ()> {
    FORKS.write().unwrap_or_else(PoisonError::into_inner)
}

fn no_fork() -> RwLockReadGuard<'static, ()> {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Thousands of open files: one test at a time may have them, and the limit is raised for it.
fn thousands_of_files() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = midge_reactor::raise_open_files().expect("the hard limit may always be reached");
    assert!(limit >= 3_000, "{limit} open files are too few");
    turn
}
