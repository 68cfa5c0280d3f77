//! Those who come and go.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::stage::{HELLO, Stage, message};
use crate::swarm::{Id, Reading};

/// What the system keeps for a reader that is meant to be behind.
const SMALL_BYTES: usize = 8192;

pub(super) fn subscriptions(stage: &mut Stage) -> io::Result<()> {
    let tail = (1..24).map(|at| format!(".t{at}")).collect::<String>();
    let line = |sid| format!("SUB s{sid}{tail} {sid}\r\n");
    let lines: String = (0..stage.size(50_000, 500_000)).map(line).collect();
    let end = Instant::now() + Duration::from_secs_f64(stage.seconds);
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        let id = stage.join(&lines, Reading::All)?;
        stage.settle(id)?;
        if rounds % 2 == 0 {
            stage.swarm.close(id);
        } else {
            stage.swarm.reset(id);
        }
        rounds += 1;
    }
    stage.note = format!("{rounds} times");
    Ok(())
}

pub(super) fn stalled(stage: &mut Stage) -> io::Result<()> {
    let filler = stage.join("", Reading::All)?;
    let mut readers: Vec<Id> = Vec::new();
    for number in 0..stage.size(100, 400) {
        let subject = format!("stalled.{number}");
        let hello = format!("{HELLO}SUB {subject} 1\r\n");
        let bytes = Some(SMALL_BYTES);
        let id = stage
            .swarm
            .dial_with(hello.as_bytes(), Reading::Never, bytes)?;
        // All that it has said is done when a message of its own has been asked for.
        stage
            .swarm
            .run_until(Instant::now() + Duration::from_millis(1))?;
        let words: Arc<[u8]> = message(&subject, 50_000).into();
        stage.swarm.repeat(filler, &words, 100);
        readers.push(id);
    }
    stage.settle(filler)?;
    let pause = Duration::from_secs_f64(stage.seconds / readers.len() as f64);
    let mut next = Instant::now();
    while !readers.is_empty() {
        let at = stage.random.below(readers.len());
        let id = readers.swap_remove(at);
        stage.swarm.close(id);
        next += pause;
        stage.swarm.run_until(next)?;
    }
    Ok(())
}

pub(super) fn churn(stage: &mut Stage) -> io::Result<()> {
    let words = message("shared.other", 100).repeat(20);
    let mut open: Vec<(Id, Instant)> = Vec::new();
    let mut count = 0;
    stage.play(|stage| {
        let now = Instant::now();
        while open.len() < 64 {
            let reading = [Reading::All, Reading::Never][stage.random.below(2)];
            let id = stage.join("SUB shared.> 1\r\nSUB *.other many 2\r\n", reading)?;
            stage.swarm.say(id, &words);
            let stays = Duration::from_millis(stage.random.below(20) as u64);
            open.push((id, now + stays));
            count += 1;
        }
        let mut over = Vec::new();
        open.retain(|(id, end)| {
            let stays = now < *end;
            if !stays {
                over.push(*id);
            }
            stays
        });
        for id in over {
            if stage.random.below(2) == 0 {
                stage.swarm.reset(id);
            } else {
                stage.swarm.close(id);
            }
        }
        Ok(())
    })?;
    stage.note = format!("{count} came and went");
    Ok(())
}
