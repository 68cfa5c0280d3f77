//! Those who are behind, or do not read at all.

use std::io;
use std::time::{Duration, Instant};

use crate::stage::{FOREVER, HELLO, Stage, message};
use crate::swarm::{Id, Reading};

/// What the system keeps for a reader that is meant to be behind.
const SMALL_BYTES: usize = 8192;

/// One that fills its own queue, and then takes a little of it for a while: it is behind, and moves.
struct Turner {
    number: usize,
    round: usize,
    reader: Id,
    filler: Id,
    doing: Doing,
}

enum Doing {
    Rests { until: Instant },
    Fills { spoken: u64, since: Instant },
    Moves { until: Instant, sip: Instant },
}

/// The broker does not take more when it has taken nothing for so long.
const HELD: Duration = Duration::from_millis(150);
/// A little longer than a broker waits for one that is behind.
const MOVES: Duration = Duration::from_millis(3_100);
const SIP_EVERY: Duration = Duration::from_millis(50);
const FILL_BYTES: usize = 100_000;
const FILLS: u64 = 400;

pub(super) fn turns(stage: &mut Stage) -> io::Result<()> {
    let count = 4;
    let now = Instant::now();
    let mut turners: Vec<_> = (0..count)
        .map(|number| {
            let until = now + MOVES * number as u32 / count as u32;
            Turner {
                number,
                round: 0,
                reader: 0,
                filler: 0,
                doing: Doing::Rests { until },
            }
        })
        .collect();
    stage.play(|stage| turners.iter_mut().try_for_each(|turner| turner.step(stage)))?;
    let rounds: usize = turners.iter().map(|turner| turner.round).sum();
    stage.note = format!("{rounds} rounds");
    Ok(())
}

impl Turner {
    fn step(&mut self, stage: &mut Stage) -> io::Result<()> {
        let now = Instant::now();
        let swarm = &mut stage.swarm;
        match self.doing {
            Doing::Rests { until } if now < until => {}
            Doing::Rests { .. } => {
                self.round += 1;
                let subject = format!("turns.{}.{}", self.number, self.round);
                let hello = format!("{HELLO}SUB {subject} 1\r\nSUB shared.> 2\r\n");
                let bytes = Some(SMALL_BYTES);
                self.reader = swarm.dial_with(hello.as_bytes(), Reading::Never, bytes)?;
                self.filler = swarm.dial(HELLO.as_bytes(), Reading::All)?;
                let words = message(&subject, FILL_BYTES).into();
                swarm.repeat(self.filler, &words, FILLS);
                self.doing = Doing::Fills {
                    spoken: 0,
                    since: now,
                };
            }
            Doing::Fills { spoken, since } => {
                let more = swarm.spoken_bytes(self.filler);
                if more != spoken {
                    self.doing = Doing::Fills {
                        spoken: more,
                        since: now,
                    };
                } else if swarm.is_silent(self.filler) || now - since > HELD {
                    let until = now + MOVES;
                    self.doing = Doing::Moves { until, sip: now };
                }
            }
            Doing::Moves { until, sip } => {
                if now >= until {
                    swarm.close(self.filler);
                    swarm.close(self.reader);
                    self.doing = Doing::Rests { until: now };
                } else if now >= sip {
                    swarm.sip(self.reader, 65_536);
                    let sip = now + SIP_EVERY;
                    self.doing = Doing::Moves { until, sip };
                }
            }
        }
        Ok(())
    }
}

pub(super) fn never_reading(stage: &mut Stage) -> io::Result<()> {
    let hello = format!("{HELLO}SUB bulk.> 1\r\n");
    let enter = |stage: &mut Stage| {
        let bytes = Some(SMALL_BYTES);
        let dialed = stage
            .swarm
            .dial_with(hello.as_bytes(), Reading::Never, bytes);
        dialed.map(drop)
    };
    for _ in 0..1_000 {
        enter(stage)?;
    }
    for number in 0..8 {
        let id = stage.join("", Reading::All)?;
        let words = message(&format!("bulk.{number}"), 16_384).repeat(8);
        stage.swarm.repeat(id, &words.into(), FOREVER);
    }
    stage.play(|stage| {
        // However often they are cut, they come again.
        for _ in stage.swarm.take_ended() {
            enter(stage)?;
        }
        Ok(())
    })
}

pub(super) fn pauses(stage: &mut Stage) -> io::Result<()> {
    let mut readers = Vec::new();
    for number in 0..50 {
        let id = stage.join("SUB shared.> 1\r\nSUB pauses 2\r\n", Reading::Never)?;
        readers.push((
            id,
            Instant::now() + Duration::from_millis(number * 20),
            false,
        ));
    }
    let id = stage.join("", Reading::All)?;
    let words = message("pauses", 100).repeat(10);
    stage.play(|stage| {
        stage.swarm.say(id, &words);
        let now = Instant::now();
        for (id, next, reads) in &mut readers {
            if now >= *next {
                *next = now + Duration::from_secs(1);
                *reads = !*reads;
                let reading = if *reads { Reading::All } else { Reading::Never };
                stage.swarm.set_reading(*id, reading);
            }
        }
        Ok(())
    })
}
