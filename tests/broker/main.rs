//! Promises of the broker, over real sockets: the library runs here, in a thread for each test.
//!
//! The tests share a process. What counts allocations is a program of its own beside this one.

#[path = "../support/http.rs"]
mod http;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../../src/jwt/fixtures.rs"]
mod tokens;

mod dialogue;

mod accounts;
mod callout;
mod claims;
mod credentials;
mod imports;
mod limits;
mod listeners;
mod mappings;
mod operator;
mod repeats;
mod shared_limits;
mod shutdown;
mod slow_consumer;
#[cfg(feature = "tls")]
mod tls;

mod websocket;

mod load;
mod monitor;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Thousands of open files, two for each connection: one test at a time may have them.
fn thousands_of_files(connections: usize) -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let files = midge_reactor::raise_open_files().expect("the hard limit may always be reached");
    let needed = 2 * connections as u64 + 500;
    assert!(
        files >= needed,
        "this test needs {needed} open files; ulimit -n says {files}"
    );
    turn
}
