//! The kinds of hostile clients, each a function that plays one.
//!
//! * `slow.rs`: those who are behind, or do not read at all.
//! * `floods.rs`: much, from many, at once.
//! * `searches.rs`: little that makes much work for the sublist.
//! * `protocol.rs`: what is no proper conversation.
//! * `leaving.rs`: those who come and go.
//! * `handshakes.rs`: TLS.
//! * `monitoring.rs`: the same over HTTP.
//! * `websocket.rs`: frames.

use std::io;

use crate::stage::Stage;

mod floods;
pub(crate) mod handshakes;
mod leaving;
mod monitoring;
mod protocol;
mod searches;
mod slow;
pub(crate) mod websocket;

/// A kind of hostile clients, and what the broker may take for it.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The least that shows something.
    pub(crate) seconds_min: f64,
    /// How many honest clients ask beside it.
    pub(crate) requesters: usize,
    /// Most memory while it lasts, and after they have left, in MB.
    pub(crate) peak_mb: u64,
    pub(crate) after_mb: u64,
    /// What stands in the broker's configuration besides.
    pub(crate) settings: fn() -> io::Result<String>,
    pub(crate) play: fn(&mut Stage) -> io::Result<()>,
}

const fn kind(
    name: &'static str,
    what: &'static str,
    play: fn(&mut Stage) -> io::Result<()>,
) -> Kind {
    Kind {
        name,
        what,
        seconds_min: 0.0,
        requesters: 10,
        peak_mb: 1_500,
        after_mb: 400,
        settings: || Ok(String::new()),
        play,
    }
}

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        seconds_min: 8.0,
        ..kind(
            "turns",
            "4 subscribers of a shared subject are behind, and moving, in turns",
            slow::turns,
        )
    },
    kind(
        "storm",
        "400 clients subscribe to one subject, publish 1 kB to it and read all the time",
        floods::storm,
    ),
    kind(
        "near-matches",
        "65,536 wildcards that nearly match what 200 clients publish",
        searches::near_matches,
    ),
    kind(
        "nobody-takes",
        "requests that nobody takes, with a reply subject that another has very many subscriptions to",
        searches::nobody_takes,
    ),
    kind(
        "leaving",
        "a client with very many subscriptions of 24 tokens leaves, again and again",
        leaving::subscriptions,
    ),
    Kind {
        settings: handshakes::settings,
        ..kind(
            "handshakes",
            "1,000 clients begin a TLS handshake, and another when that is answered",
            handshakes::storm,
        )
    },
    Kind {
        settings: handshakes::settings_rsa,
        ..kind(
            "rsa",
            "the same, where the broker signs with RSA of 2048 bits",
            handshakes::storm,
        )
    },
    kind("pings", "1,000 clients flood PING", floods::pings),
    kind(
        "bombs",
        "one publish reaches very many subscriptions of one client, again and again",
        searches::bombs,
    ),
    kind(
        "deep",
        "300 clients subscribe and publish to a subject of 2,000 tokens",
        searches::deep,
    ),
    kind(
        "sub-unsub",
        "16 clients flood SUB and UNSUB",
        floods::sub_unsub,
    ),
    Kind {
        seconds_min: 6.0,
        requesters: 100,
        ..kind(
            "never-reading",
            "1,000 subscribers never read what 8 bulk publishers send",
            slow::never_reading,
        )
    },
    kind(
        "monitoring",
        "64 monitoring connections ask for long answers and do not read them",
        monitoring::unread,
    ),
    kind(
        "frames",
        "by WebSocket: messages that say a thousand times what they are, floods of pings whose answers are not read, \
         frames of one byte",
        websocket::frames,
    ),
    Kind {
        peak_mb: 3_500,
        ..kind(
            "stalled",
            "stalled subscribers with 5 MB each leave in random order",
            leaving::stalled,
        )
    },
    kind(
        "told-err",
        "50 clients are told -ERR and keep sending",
        protocol::told_err,
    ),
    kind(
        "logins",
        "storms of connects, and logins that stop half-way",
        protocol::logins,
    ),
    kind(
        "trickle",
        "200 clients send a byte at a time, 100 a half of a message of 1 MB",
        protocol::trickle,
    ),
    kind(
        "wide",
        "one publish reaches very many connections, again and again",
        floods::wide,
    ),
    kind(
        "lines",
        "control lines as long as may be, CONNECT repeated, queue groups by the thousand, one sid again and again",
        protocol::lines,
    ),
    kind(
        "churn",
        "subscribers that come and are killed",
        leaving::churn,
    ),
    kind(
        "pauses",
        "50 subscribers of the shared subject stop reading for a second and go on",
        slow::pauses,
    ),
];
