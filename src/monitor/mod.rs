//! Monitoring, in the reactor that serves the clients: over HTTP, and by messages of the system account.
//!
//! ```text
//!            bytes              Request                 Response
//! socket ──▶ HttpConnection ── request ──▶ endpoints::answer ──▶ whole, or Pieces: one a turn
//!            http/             request.rs  endpoints/            connz.rs, subsz.rs, ...
//! ```
//!
//! Requests to `$SYS.REQ` come to `messages/`, which asks the same endpoints.
//!
//! `endpoints/` has one file for each endpoint, named after it. They read the broker's state and change nothing, so
//! none of them knows of sockets: what they ask of the reactor is the trait `Sockets`. Only `/kick` has an effect:
//! its pieces name connections, which `http/` hands to the server. What is kept only to be
//! told lies in [`records`](crate::records). `json.rs`, `times.rs` and `query.rs` are nats-server's ways of
//! writing and reading.
//!
//! **Nothing here may stall the loop.** An answer whose length depends on how many clients or
//! subscriptions there are is made in [`Pieces`], each of which looks at no more places than the [`Budget`] of
//! the turn, which all who ask share. Between two of them all others have a turn, and none is made while the
//! queue to its reader is long. Without `Config::monitor` nothing is kept at all, and with it nothing is counted for
//! a message but what the [meter](crate::records::meter) says.

mod endpoints;
mod http;
mod json;
pub(crate) mod messages;
mod query;
mod times;
mod view;

pub(crate) use http::HttpListener;

use crate::records::Budget;
use midge_reactor::Key;
use std::rc::Rc;

/// Connections that are to be closed, and why.
struct Kicked {
    keys: Vec<Key>,
    reason: Rc<str>,
}

/// An answer that is made piece by piece.
trait Pieces {
    /// Appends what comes next to `out`, for no more than `budget`; answers whether more comes.
    fn next(&mut self, view: &view::View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool;

    /// Connections in the last piece that are to be closed.
    fn take_kicked(&mut self) -> Option<Kicked> {
        None
    }

    /// Bytes that are held until the answer is made, without `out`, where that can be many.
    fn bytes(&self) -> usize {
        0
    }
}
