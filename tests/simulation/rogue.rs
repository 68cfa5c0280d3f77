//! Clients that break the protocol, and what it says they must get for it. That nobody else is
//! harmed shows in what the others get.

use crate::talker::{self, Habit, Heard, Notes};
use midge_reactor::Context;
use std::net::SocketAddr;

/// The limits that the broker is given for them.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 4_096;
pub(crate) const CONTROL_LINE_BYTES_MAX: usize = 256;
pub(crate) const SUBSCRIPTIONS_MAX: usize = 40;

/// How many ways there are.
pub(crate) const MISDEEDS: u64 = 10;

/// What must come of one.
struct Wanted {
    /// The error that is told, and how often.
    told: (&'static str, usize),
    /// The broker ends it.
    fatal: bool,
}

/// What a rogue says, and what it must get.
fn misdeed(number: u64) -> (Vec<u8>, Wanted) {
    let wanted = |text, times, fatal| Wanted {
        told: (text, times),
        fatal,
    };
    let bytes = |text: &str| text.as_bytes().to_vec();
    match number {
        0 => (
            (0..3_000_u32).map(|at| (at * 37 + 1) as u8).collect(),
            wanted("Unknown Protocol Operation", 1, true),
        ),
        // It hangs up in the middle of an op, which thereby never was.
        1 => (bytes("PUB a.b 10\r\nabc"), wanted("", 0, true)),
        // A message that others would know as one that nobody has sent.
        2 => {
            let len = PAYLOAD_BYTES_MAX + 1;
            let text = format!("PUB a.b {len}\r\n{}\r\n", "?".repeat(len));
            (bytes(&text), wanted("Maximum Payload Violation", 1, true))
        }
        3 => {
            let text = format!("SUB {} 1\r\n", "a".repeat(CONTROL_LINE_BYTES_MAX));
            (
                bytes(&text),
                wanted("maximum control line exceeded", 1, true),
            )
        }
        // A line without an end.
        4 => {
            let text = format!("PUB {}", "a".repeat(10 * CONTROL_LINE_BYTES_MAX));
            (
                bytes(&text),
                wanted("maximum control line exceeded", 1, true),
            )
        }
        5 => {
            let line = |sid| format!("SUB rogue.{sid} {sid}\r\n");
            let text: String = (0..SUBSCRIPTIONS_MAX + 5).map(line).collect();
            let text = format!("{text}PING\r\n");
            (
                bytes(&text),
                wanted("maximum subscriptions exceeded", 5, false),
            )
        }
        6 => (bytes("SUB a\r\n"), wanted("", 0, true)),
        7 => (
            bytes("SUB a..b 1\r\nSUB a.>.b 2\r\nPING\r\n"),
            wanted("Invalid Subject", 2, false),
        ),
        8 => (
            bytes("CONNECT {\"no_responders\":true,\"headers\":false}\r\nPING\r\n"),
            wanted("no responders requires headers support", 1, true),
        ),
        // The payload does not end where it should.
        _ => (
            bytes("PUB a.b 2\r\n????\r\n"),
            wanted("Unknown Protocol Operation", 1, true),
        ),
    }
}

/// Connects one.
pub(crate) fn dial(cx: &mut Context<'_, Notes>, id: u64, broker: SocketAddr) {
    let habit = match id % MISDEEDS {
        1 => Habit::HangsUp,
        _ => Habit::Listens,
    };
    talker::dial(cx, id, broker, misdeed(id % MISDEEDS).0, habit);
}

/// Whether each has got what it must. A connection that a fault may have cut is excused from having
/// heard of it, and one that came when the house was full.
pub(crate) fn check(notes: &Notes, resets: u64, may_be_cut: bool) {
    for (id, heard) in notes {
        let Heard { errors, ended, .. } = heard;
        let (_, Wanted { told, fatal }) = misdeed(id % MISDEEDS);
        let who = format!("the rogue {id}, misdeed {}", id % MISDEEDS);
        let (text, times) = told;
        let full = "maximum connections exceeded";
        assert!(heard.payloads.is_empty(), "{who} got a message");
        assert!(*ended || !fatal, "{who} is still there");
        let other = |error: &&String| *error != text && *error != full;
        let stale = |error: &&String| may_be_cut && *error == "Stale Connection";
        let other = errors.iter().filter(other).find(|error| !stale(error));
        assert_eq!(other, None, "{who}");
        if !heard.greeted || errors.iter().any(|error| error == full) {
            continue;
        }
        let cut = *ended && (resets > 0 || may_be_cut);
        if !cut {
            let count = errors.iter().filter(|error| *error == text).count();
            assert_eq!(count, times, "{who} was told {text:?} that often");
            assert_eq!(*ended, fatal, "{who} is gone");
            assert!(fatal || heard.pongs == 1, "{who} got no answer");
        }
    }
}
