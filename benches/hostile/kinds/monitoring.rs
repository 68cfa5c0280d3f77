//! The same over HTTP.

use std::io;
use std::time::Duration;

use crate::stage::Stage;
use crate::swarm::{Reading, Swarm};

pub(super) fn unread(stage: &mut Stage) -> io::Result<()> {
    let Some(monitor) = stage.monitor else {
        stage.note = "no --monitor".to_owned();
        return Ok(());
    };
    // Something to tell at length.
    let line = |sid| format!("SUB monitoring.some.subject.{sid} {sid}\r\n");
    let lines: String = (0..100).map(line).collect();
    for _ in 0..stage.size(200, 1_000) {
        stage.join(&lines, Reading::All)?;
    }
    let paths = [
        "/connz?subs=1&limit=100000",
        "/subsz?subs=1&limit=1000000",
        "/varz",
        "/connz?state=all&limit=100000",
    ];
    let ask = |path| format!("GET {path} HTTP/1.1\r\nHost: unread\r\n\r\n");
    let words: String = paths.map(ask).concat().repeat(5);
    let mut unread = Swarm::new(monitor)?;
    for _ in 0..64 {
        unread.dial(words.as_bytes(), Reading::Never)?;
    }
    stage.play(|_| {
        unread.turn(Duration::ZERO)?;
        for _ in unread.take_ended() {
            unread.dial(words.as_bytes(), Reading::Never)?;
        }
        Ok(())
    })?;
    stage.note = format!("{} of HTTP closed", unread.closed);
    Ok(())
}
