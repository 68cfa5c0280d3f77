//! What is logged where the system lets a listener down.

use midge_reactor::ListenerAddr;
use midge_text::system_words;
use std::io;

/// Tells that a listener could not take a connection in, and what helps.
pub(crate) fn log_accept_error(listener: &ListenerAddr, error: &io::Error) {
    log::error!(
        target: "midge",
        "Accept error on {listener}: {}; retrying in 100 ms; \
         if open files ran out, raise the limit (ulimit -n) or lower max_connections",
        system_words(error)
    );
}
