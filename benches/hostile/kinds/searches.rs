//! Little that makes much work for the sublist.

use std::io;

use crate::stage::{Stage, message};
use crate::swarm::Reading;

pub(super) fn near_matches(stage: &mut Stage) -> io::Result<()> {
    // All of {a, *} sixteen times, and an end that no message has.
    let line = |number: u32| {
        let token = |at: u32| if number >> at & 1 == 0 { "a." } else { "*." };
        let tokens: String = (0..16).map(token).collect();
        format!("SUB {tokens}z {number}\r\n")
    };
    let lines: String = (0..1 << 16).map(line).collect();
    let id = stage.join(&lines, Reading::All)?;
    stage.settle(id)?;
    let mut ids = Vec::new();
    for _ in 0..200 {
        ids.push(stage.join("", Reading::All)?);
    }
    let subject = "a.".repeat(16);
    let words = |end| format!("PUB {subject}{end} 0\r\n\r\n");
    let words = format!("{}{}PING\r\n", words("x"), words("y"));
    stage.ask_in_turns(&ids, words.as_bytes())
}

pub(super) fn nobody_takes(stage: &mut Stage) -> io::Result<()> {
    let line = |sid| format!("SUB reply {sid}\r\n");
    let lines: String = (0..stage.size(200_000, 1_000_000)).map(line).collect();
    let id = stage.join(&lines, Reading::All)?;
    stage.settle(id)?;
    let mut ids = Vec::new();
    let hello = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n";
    for _ in 0..4 {
        ids.push(stage.swarm.dial(hello.as_bytes(), Reading::All)?);
    }
    let words = "PUB nobody reply 0\r\n\r\n".repeat(1_000) + "PING\r\n";
    stage.ask_in_turns(&ids, words.as_bytes())
}

pub(super) fn bombs(stage: &mut Stage) -> io::Result<()> {
    let line = |sid| format!("SUB bombs.> {sid}\r\n");
    let lines: String = (0..stage.size(20_000, 100_000)).map(line).collect();
    let id = stage.join(&lines, Reading::All)?;
    stage.settle(id)?;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(stage.join("", Reading::All)?);
    }
    let words = [message("bombs.a", 128), b"PING\r\n".to_vec()].concat();
    stage.ask_in_turns(&ids, &words)
}

pub(super) fn deep(stage: &mut Stage) -> io::Result<()> {
    let subject = vec!["a"; 2_000].join(".");
    let hello = format!("SUB {subject} 1\r\n");
    let words = message(&subject, 16).repeat(4);
    stage.flood(300, &hello, &words, Reading::All)
}
