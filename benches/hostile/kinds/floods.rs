//! Much, from many, at once.

use std::io;

use crate::stage::{Stage, message};
use crate::swarm::Reading;

pub(super) fn storm(stage: &mut Stage) -> io::Result<()> {
    let words = message("storm", 1_000).repeat(4);
    stage.flood(400, "SUB storm 1\r\n", &words, Reading::All)
}

pub(super) fn pings(stage: &mut Stage) -> io::Result<()> {
    stage.flood(1_000, "", &b"PING\r\n".repeat(4_096), Reading::All)
}

pub(super) fn sub_unsub(stage: &mut Stage) -> io::Result<()> {
    let pair = |sid| format!("SUB flood.{sid}.* {sid}\r\nUNSUB {sid}\r\n");
    let words: String = (0..1_000).map(pair).collect();
    stage.flood(16, "", words.as_bytes(), Reading::All)
}

pub(super) fn wide(stage: &mut Stage) -> io::Result<()> {
    let readers = stage.size(2_000, 8_000);
    for number in 0..readers {
        let id = stage.join("SUB wide 1\r\n", Reading::All)?;
        // No more are on their way than a listener keeps.
        if number % 100 == 0 {
            stage.settle(id)?;
        }
    }
    let ids = [stage.join("", Reading::All)?];
    let words = [message("wide", 1_000), b"PING\r\n".to_vec()].concat();
    stage.ask_in_turns(&ids, &words)
}
