//! `/loopz`: how long the loop takes for one turn at present, so how long whatever comes may wait
//! until it is looked at.
//!
//! Measured while it is asked for, and not otherwise: over [`TURNS`] turns that follow one another,
//! each from when it began to when the next did. A loop that has nothing to do sleeps in no turn
//! meanwhile, so what is told is work and no rest.

use super::Content;
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use jiff::Timestamp;
use midge_reactor::Time;
use serde::Serialize;
use std::time::Duration;

/// How many are measured.
const TURNS: u64 = 16;

#[derive(Serialize)]
struct Loopz<'a> {
    server_id: &'a str,
    now: Timestamp,
    /// How many turns were measured.
    turns: u64,
    turn_mean_ns: u64,
    turn_max_ns: u64,
}

pub(super) fn answer(view: &View<'_>) -> Content {
    let now = view.sockets.now();
    let turn = view.sockets.stats().turns;
    Content::Pieces(Box::new(Watch {
        began: (turn, now),
        last: (turn, now),
        longest: Duration::ZERO,
    }))
}

/// A measurement as far as it is. A turn, and when it began.
struct Watch {
    began: (u64, Time),
    last: (u64, Time),
    longest: Duration,
}

impl Pieces for Watch {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        budget.take();
        let (turn, now) = (view.sockets.stats().turns, view.sockets.now());
        let (last, then) = std::mem::replace(&mut self.last, (turn, now));
        // Where others have used a turn up this one was not called, and several are one length.
        if turn > last {
            let passed = (now - then) / u32::try_from(turn - last).unwrap_or(u32::MAX);
            self.longest = self.longest.max(passed);
        }
        let turns = turn - self.began.0;
        if turns < TURNS {
            return true;
        }
        let all = u64::try_from((now - self.began.1).as_nanos()).unwrap_or(u64::MAX);
        let loopz = Loopz {
            server_id: view.server_id(),
            now: view.now(),
            turns,
            turn_mean_ns: all / turns,
            turn_max_ns: u64::try_from(self.longest.as_nanos()).unwrap_or(u64::MAX),
        };
        json::put(out, &loopz, 0);
        false
    }
}
