//! Monitoring over HTTP, in the reactor that serves the clients.
//!
//! ```text
//!            bytes                Request             Answer
//! socket ──▶ Visitor ── request ──▶ endpoint::answer ──▶ whole, or Pieces: one a turn
//!            http.rs    request.rs  endpoint.rs          connz.rs, subsz.rs, ...
//! ```
//!
//! One file for each endpoint, named after it. They read the broker's state and change nothing, so
//! none of them knows of sockets: what they ask of the reactor is the trait `Sockets`. `records.rs`
//! holds what is only kept to be told: who is connected under what name (`presence.rs`), who was
//! (`closed.rs`), who was slow (`slow.rs`), the traffic of two minutes
//! (`history.rs`); and who asks at present (`present.rs`). `json.rs`, `times.rs` and `query.rs` are nats-server's
//! ways of writing and reading.
//!
//! **Nothing here may stall the loop.** An answer whose length depends on how many clients or
//! subscriptions there are is made in [`Pieces`], each of which looks at no more than [`WORK_MAX`]
//! places, which all who ask share; between two of them everyone else has a turn, and none is made while the queue to whoever
//! asked is long. Without `Config::monitor` nothing is kept at all, and with it nothing is counted for
//! a message but what the [meter](crate::meter) says.

mod http;
mod json;
mod query;
mod request;
mod response;
mod times;

mod closed;
mod history;
mod presence;
mod present;
mod process;
mod records;
mod slow;

mod endpoint;
mod view;

mod accountz;
mod accstatz;
mod connz;
mod detail;
mod gatewayz;
mod healthz;
mod ipqueuesz;
mod jsz;
mod leafz;
mod livez;
mod loopz;
mod memz;
mod metrics;
mod root;
mod routez;
mod slowz;
mod subsz;
mod topz;
mod varz;

pub(crate) use history::EVERY;
pub(crate) use http::Visitors;
pub(crate) use present::{ACCEPTS_MAX, NEWCOMERS_MAX, VISITORS_MAX};
pub(crate) use records::Records;

/// Most places that are looked at in one turn for all who ask together: connections, subscriptions,
/// entries of a cache.
const WORK_MAX: usize = 1000;

/// What may still be done in the present turn.
#[derive(Debug)]
struct Budget(usize);

impl Budget {
    fn new() -> Budget {
        Budget(WORK_MAX)
    }

    /// Whether it is used up.
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether half of it is: the other half is for answers that were begun before.
    fn is_half_spent(&self) -> bool {
        self.0 <= WORK_MAX / 2
    }

    /// Takes one place, if there is one left.
    fn take(&mut self) -> bool {
        self.spend(1)
    }

    /// Takes what copying so many bytes costs.
    fn spend_bytes(&mut self, bytes: usize) {
        self.spend(bytes / 64);
    }

    /// Takes so many places at once; answers whether there was any left before. What is asked for in
    /// one piece may pass the bound.
    fn spend(&mut self, places: usize) -> bool {
        let any = self.0 > 0;
        self.0 = self.0.saturating_sub(places);
        any
    }
}

/// An answer that is made piece by piece.
trait Pieces {
    /// Appends what comes next to `out`, for no more than `budget`; answers whether more comes.
    fn next(&mut self, view: &view::View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool;

    /// Bytes that are held until the answer is made, without `out`, where that can be many.
    fn bytes(&self) -> usize {
        0
    }
}
