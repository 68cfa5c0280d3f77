//! What is no proper conversation.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::stage::{FOREVER, Stage, message};
use crate::swarm::Reading;

pub(super) fn told_err(stage: &mut Stage) -> io::Result<()> {
    let wrongs = [
        "NO SUCH OP\r\n",
        "PUB a 104857600\r\n",
        "SUB\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "PUB a 1\r\nabc\r\n",
    ];
    let more: Arc<[u8]> = message("told.err", 60_000).into();
    let mut next = 0;
    let mut enter = |stage: &mut Stage| {
        let id = stage.join(wrongs[next % wrongs.len()], Reading::All)?;
        stage.swarm.repeat(id, &more, FOREVER);
        next += 1;
        io::Result::Ok(())
    };
    for _ in 0..50 {
        enter(stage)?;
    }
    stage.play(|stage| {
        for _ in stage.swarm.take_ended() {
            enter(stage)?;
        }
        Ok(())
    })?;
    let each = stage.swarm.sent_bytes / stage.swarm.closed.max(1);
    stage.note = format!("{} kB taken of each", each / 1_000);
    Ok(())
}

pub(super) fn logins(stage: &mut Stage) -> io::Result<()> {
    let words = [
        "",
        "CONN",
        "CONNECT {\"verbose\":false",
        "CONNECT {\"verbose\":false}\r\n",
        "CONNECT {\"verbose\":false}\r\nPING\r\n",
        "CONNECT {]\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
        "\r\n",
    ];
    let mut open = VecDeque::new();
    let mut count = 0;
    stage.play(|stage| {
        for _ in 0..20 {
            count += 1;
            let words = words[stage.random.below(words.len())];
            open.push_back(stage.swarm.dial(words.as_bytes(), Reading::All)?);
        }
        while open.len() > 500 {
            let at = stage.random.below(open.len());
            if let Some(id) = open.swap_remove_back(at) {
                if stage.random.below(2) == 0 {
                    stage.swarm.reset(id);
                } else {
                    stage.swarm.close(id);
                }
            }
        }
        Ok(())
    })?;
    stage.note = format!("{count} connects");
    Ok(())
}

pub(super) fn trickle(stage: &mut Stage) -> io::Result<()> {
    let half = message("trickle", 1_000_000);
    for _ in 0..100 {
        let id = stage.join("", Reading::All)?;
        stage.swarm.say(id, &half[..900_000]);
    }
    let mut drops = Vec::new();
    for _ in 0..200 {
        drops.push(stage.join("SUB trickle.* 1\r\n", Reading::All)?);
    }
    let words = message("trickle.x", 40);
    let mut at = 0;
    stage.play(|stage| {
        for id in &drops {
            stage.swarm.say(*id, &words[at..=at]);
        }
        at = (at + 1) % words.len();
        Ok(())
    })
}

pub(super) fn lines(stage: &mut Stage) -> io::Result<()> {
    let long = "l".repeat(3_900);
    let connects = "CONNECT {\"verbose\":false,\"name\":\"again\"}\r\n".repeat(1_000);
    let group = |sid| format!("SUB lines.* group{sid} {sid}\r\n");
    let groups: String = (0..stage.size(2_000, 10_000)).map(group).collect();
    let sames: String = (0..2_000)
        .map(|at| format!("SUB lines.{at} 1\r\n"))
        .collect();
    let grouped = stage.join(&groups, Reading::All)?;
    stage.settle(grouped)?;
    let floods = [
        message(&long, 0).repeat(10),
        format!("SUB {long} 1\r\nUNSUB 1\r\n")
            .repeat(10)
            .into_bytes(),
        connects.into_bytes(),
        sames.into_bytes(),
        message("lines.x", 8).repeat(4),
    ];
    for words in floods {
        let words: Arc<[u8]> = words.into();
        for _ in 0..2 {
            let id = stage.join("", Reading::All)?;
            stage.swarm.repeat(id, &words, FOREVER);
        }
    }
    stage.play(|_| Ok(()))
}
