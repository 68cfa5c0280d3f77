//! Clients that break the protocol, and what it says they must get for it. That nobody else is
//! harmed shows in what the others get.

use crate::causes;
use crate::talker::{self, Habit, Notes};
use midge_reactor::Context;
use std::net::SocketAddr;

/// The limits that the broker is given for them.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 4_096;
pub(crate) const CONTROL_LINE_BYTES_MAX: usize = 256;
pub(crate) const SUBSCRIPTIONS_MAX: usize = 300;

/// How many ways there are.
pub(crate) const MISDEEDS: u64 = 10;

/// What must come of one.
struct Wanted {
    /// The error that is told, and how often.
    told: (&'static str, usize),
    /// Why it is then ended, in the broker's words; empty if it stays.
    cause: &'static str,
}

/// What a rogue says, and what it must get.
fn misdeed(number: u64) -> (Vec<u8>, Wanted) {
    let wanted = |text, times, cause| Wanted {
        told: (text, times),
        cause,
    };
    let bytes = |text: &str| text.as_bytes().to_vec();
    match number {
        0 => (
            (0..3_000_u32).map(|at| (at * 37 + 1) as u8).collect(),
            wanted("Unknown Protocol Operation", 1, "Protocol Violation"),
        ),
        // It hangs up in the middle of an op, which thereby never was.
        1 => (bytes("PUB a.b 10\r\nabc"), wanted("", 0, "Client Closed")),
        // A message that others would know as one that nobody has sent.
        2 => {
            let len = PAYLOAD_BYTES_MAX + 1;
            let text = format!("PUB a.b {len}\r\n{}\r\n", "?".repeat(len));
            (
                bytes(&text),
                wanted(
                    "Maximum Payload Violation",
                    1,
                    "Maximum Message Payload Exceeded",
                ),
            )
        }
        3 => {
            let text = format!("SUB {} 1\r\n", "a".repeat(CONTROL_LINE_BYTES_MAX));
            (
                bytes(&text),
                wanted(
                    "maximum control line exceeded",
                    1,
                    "Maximum Control Line Exceeded",
                ),
            )
        }
        // A line without an end.
        4 => {
            let text = format!("PUB {}", "a".repeat(10 * CONTROL_LINE_BYTES_MAX));
            (
                bytes(&text),
                wanted(
                    "maximum control line exceeded",
                    1,
                    "Maximum Control Line Exceeded",
                ),
            )
        }
        5 => {
            let line = |sid| format!("SUB rogue.{sid} {sid}\r\n");
            let text: String = (0..SUBSCRIPTIONS_MAX + 5).map(line).collect();
            let text = format!("{text}PING\r\n");
            (
                bytes(&text),
                wanted("maximum subscriptions exceeded", 5, ""),
            )
        }
        6 => (bytes("SUB a\r\n"), wanted("", 0, "Protocol Violation")),
        7 => (
            bytes("SUB a..b 1\r\nSUB a.>.b 2\r\nPING\r\n"),
            wanted("Invalid Subject", 2, ""),
        ),
        8 => (
            bytes("CONNECT {\"no_responders\":true,\"headers\":false}\r\nPING\r\n"),
            wanted(
                "no responders requires headers support",
                1,
                "No Responders Requires Headers",
            ),
        ),
        // The payload does not end where it should.
        _ => (
            bytes("PUB a.b 2\r\n????\r\n"),
            wanted("Unknown Protocol Operation", 1, "Protocol Violation"),
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

/// Whether each has got what it must; answers how many were cut by a fault before that. Whoever
/// came when the house was full, or was too slow where that can happen, is excused.
pub(crate) fn check(notes: &Notes, resets: u64, may_be_cut: bool) -> u64 {
    let mut broken = 0;
    for (id, heard) in notes {
        let (_, wanted) = misdeed(id % MISDEEDS);
        let who = format!("the rogue {id}, misdeed {}", id % MISDEEDS);
        assert!(heard.payloads.is_empty(), "{who} got a message");
        let fatal = !wanted.cause.is_empty();
        assert!(heard.ended || !fatal, "{who} is still there");
        let Some(cid) = heard.cid else { continue };
        let cause = causes::of(cid);
        let excuse = cause == "Maximum Connections Exceeded"
            || may_be_cut && (cause == "Stale Connection" || cause.starts_with("Slow Consumer"));
        if excuse {
            continue;
        }
        if cause != wanted.cause {
            // As the broker sees it when a fault has reset the connection.
            let is_cut = ["Client Closed", "Read Error"].contains(&cause.as_str());
            assert!(is_cut, "{who}: {cause}, and not {}", wanted.cause);
            broken += 1;
            continue;
        }
        let (text, times) = wanted.told;
        let other = heard.errors.iter().find(|error| *error != text);
        assert_eq!(other, None, "{who}");
        // What was told may be lost with the connection.
        if !heard.ended || resets == 0 {
            assert_eq!(heard.errors.len(), times, "{who} was told that often");
            assert!(fatal || heard.pongs == 1, "{who} got no answer");
        }
    }
    broken
}
