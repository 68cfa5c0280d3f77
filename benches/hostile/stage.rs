//! What a kind of hostile clients has to play with: a swarm, and how long.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::swarm::{Id, Reading, Swarm};

/// How long setting up may take before it has failed.
const SETTLE_MAX: Duration = Duration::from_secs(120);

pub(crate) const HELLO: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

/// As often as it is taken.
pub(crate) const FOREVER: u64 = u64::MAX;

/// The place where one kind is played.
pub(crate) struct Stage {
    pub(crate) swarm: Swarm,
    pub(crate) monitor: Option<SocketAddr>,
    pub(crate) websocket: Option<SocketAddr>,
    pub(crate) seconds: f64,
    /// Whether all is as large as by hand, or as small as in a test.
    pub(crate) is_full: bool,
    pub(crate) random: Random,
    /// A remark for the table.
    pub(crate) note: String,
}

impl Stage {
    /// A size: of the short form, of the full one.
    pub(crate) fn size(&self, short: usize, full: usize) -> usize {
        if self.is_full { full } else { short }
    }

    /// Connects a client, which says `words` after its `CONNECT`.
    pub(crate) fn join(&mut self, words: &str, reading: Reading) -> io::Result<Id> {
        self.swarm
            .dial(format!("{HELLO}{words}").as_bytes(), reading)
    }

    /// Waits until the broker has done all that this client has said.
    pub(crate) fn settle(&mut self, id: Id) -> io::Result<()> {
        self.swarm.set_reading(id, Reading::Keep);
        self.swarm.say(id, b"PING\r\n");
        let done = self.swarm.wait(SETTLE_MAX, |swarm| match swarm.heard(id) {
            Some(heard) => heard.ends_with(b"PONG\r\n"),
            None => true,
        })?;
        if !done {
            return Err(io::Error::other("no answer to a client that sets up"));
        }
        if let Some(heard) = self.swarm.heard(id) {
            heard.clear();
        }
        self.swarm.set_reading(id, Reading::All);
        Ok(())
    }

    /// Plays until the time is over: turns of the swarm, and `step` after each.
    pub(crate) fn play(
        &mut self,
        mut step: impl FnMut(&mut Stage) -> io::Result<()>,
    ) -> io::Result<()> {
        let end = Instant::now() + Duration::from_secs_f64(self.seconds);
        while Instant::now() < end {
            self.swarm.turn(Duration::from_millis(5))?;
            step(self)?;
        }
        Ok(())
    }

    /// Has each of these say `words`, which end with a `PING`, again whenever it has been answered.
    pub(crate) fn ask_in_turns(&mut self, ids: &[Id], words: &[u8]) -> io::Result<()> {
        let words: Arc<[u8]> = words.into();
        for id in ids {
            self.swarm.set_reading(*id, Reading::Keep);
            self.swarm.repeat(*id, &words, 1);
        }
        self.play(|stage| {
            for id in ids {
                if let Some(heard) = stage.swarm.heard(*id)
                    && heard.ends_with(b"PONG\r\n")
                {
                    heard.clear();
                    stage.swarm.repeat(*id, &words, 1);
                }
            }
            Ok(())
        })
    }

    /// Connects `count` clients that say `hello` once and `words` for good, and those that come in
    /// the place of the closed ones.
    pub(crate) fn flood(
        &mut self,
        count: usize,
        hello: &str,
        words: &[u8],
        reading: Reading,
    ) -> io::Result<()> {
        let words: Arc<[u8]> = words.into();
        let enter = |stage: &mut Stage| {
            let id = stage.join(hello, reading)?;
            stage.swarm.repeat(id, &words, FOREVER);
            io::Result::Ok(())
        };
        for _ in 0..count {
            enter(self)?;
        }
        self.play(|stage| {
            for _ in stage.swarm.take_ended() {
                enter(stage)?;
            }
            Ok(())
        })
    }
}

/// Small random numbers: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// A message, as it is published.
pub(crate) fn message(subject: &str, len: usize) -> Vec<u8> {
    let mut words = format!("PUB {subject} {len}\r\n").into_bytes();
    words.resize(words.len() + len, b'x');
    words.extend_from_slice(b"\r\n");
    words
}
