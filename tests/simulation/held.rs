//! Who waits for whom, for how long, and what is told of it.

use crate::scenarios::{Stage, join, messages, stage_with};
use crate::talker::{self, Habit, Notes};
use crate::wait;
use midge::{Config, Monitor};
use midge_reactor::sim::{self, Faults, Sim};
use midge_reactor::{Context, Handler, Input};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HELLO: &str = "CONNECT {\"verbose\":false}\r\n";
const KIB: usize = 1024;

/// Reads from a talker until it has one more message, or is closed.
fn take_one(sim: &mut Sim, at: Stage, id: u64) {
    let before = sim.with(at.1, |cx| {
        let key = cx.state[&id].key;
        cx.io.resume(key);
        cx.state[&id].payloads.len()
    });
    wait(sim, "one more message", |sim| {
        sim.with(at.1, |cx| {
            let heard = &cx.state[&id];
            heard.ended || heard.payloads.len() > before
        })
    });
    sim.with(at.1, |cx| {
        let key = cx.state[&id].key;
        cx.io.pause(key);
    });
}

fn is_crowded(sim: &mut Sim, at: Stage) -> bool {
    sim.with(at.0, |cx| cx.io.is_crowded())
}

/// Queues that are soon a crowd.
fn small_total() -> Config {
    Config {
        payload_bytes_max: 8 * KIB,
        pending_bytes_max: 2048 * KIB,
        pending_total_bytes_max: Some(4096 * KIB),
        write_deadline: 100 * SECOND,
        pings_out_max: u32::MAX,
        ..Config::default()
    }
}

#[test]
fn a_crowd_ends_whatever_is_taken_beside_it_and_those_in_it_are_heard_meanwhile() {
    const SIPPERS: std::ops::RangeInclusive<u64> = 1..=12;
    const HONEST: u64 = 20;
    sim::check(0..10, |sim| {
        let at = stage_with(sim, small_total());
        for id in SIPPERS {
            join(sim, at, id, &format!("{HELLO}SUB s 1\r\n"), Habit::Listens);
        }
        join(
            sim,
            at,
            HONEST,
            &format!("{HELLO}SUB own 1\r\n"),
            Habit::Listens,
        );
        join(
            sim,
            at,
            21,
            &format!("{HELLO}SUB fast 1\r\n"),
            Habit::Listens,
        );
        join(sim, at, 22, HELLO, Habit::Listens);
        sim.with(at.1, |cx| {
            for id in SIPPERS.chain([HONEST]) {
                let key = cx.state[&id].key;
                cx.io.pause(key);
            }
            // More than a short queue for the honest one, then the crowd.
            talker::say(cx, 22, &messages("own", 0..40, 4 * KIB));
            talker::say(cx, 22, &messages("s", 0..200, 4 * KIB));
        });
        wait(sim, "a crowd", |sim| is_crowded(sim, at));
        let begun = sim.now();
        let mut longest = Duration::ZERO;
        let mut number = 0;
        while is_crowded(sim, at) && sim.now() - begun < 60 * SECOND {
            // What others take, much more than an eighth of the bound in the time.
            sim.with(at.1, |cx| {
                talker::say(cx, 22, &messages("fast", number..number + 400, 4 * KIB));
            });
            number += 400;
            // Much less than the crowd would have to lose.
            SIPPERS.for_each(|id| take_one(sim, at, id));
            sim.run_for(SECOND / 2);
            // The honest one asks, and reads until it has the answer.
            let asked = sim.now();
            let pongs = sim.with(at.1, |cx| {
                talker::say(cx, HONEST, b"PING\r\n");
                let heard = &cx.state[&HONEST];
                cx.io.resume(heard.key);
                heard.pongs
            });
            wait(sim, "an answer", |sim| {
                sim.with(at.1, |cx| {
                    let heard = &cx.state[&HONEST];
                    assert!(!heard.ended, "it was closed");
                    heard.pongs > pongs
                })
            });
            longest = longest.max(sim.now() - asked);
        }
        let lasted = sim.now() - begun;
        assert!(lasted <= 12 * SECOND, "{lasted:?}");
        assert!(longest <= 4 * SECOND, "{longest:?}");
        let stats = sim.with(at.0, |cx| cx.state.stats());
        assert!(stats.slow_consumers > 0, "those who kept it up are closed");
    });
}

#[test]
fn a_crowd_of_those_who_leave_little_of_large_blocks_ends_too() {
    let mut sim = Sim::with_faults(1, Faults::none());
    let sim = &mut sim;
    let at = stage_with(sim, small_total());
    join(sim, at, 100, HELLO, Habit::Listens);
    for id in 1..=14 {
        let subject = format!("s{id}");
        let words = format!("{HELLO}SUB {subject} 1\r\n");
        join(sim, at, id, &words, Habit::Listens);
        sim.with(at.1, |cx| {
            let key = cx.state[&id].key;
            cx.io.pause(key);
            talker::say(cx, 100, &messages(&subject, 0..60, 4 * KIB));
        });
        sim.run_for(SECOND / 10);
        // What its own socket does not hold of the rest is less than a short queue.
        while sim.with(at.1, |cx| cx.state[&id].payloads.len()) < 39 {
            take_one(sim, at, id);
        }
        sim.run_for(SECOND / 10);
    }
    assert!(is_crowded(sim, at));
    for _ in 0..24 {
        // It is judged when something comes.
        sim.with(at.1, |cx| talker::say(cx, 100, b"PING\r\n"));
        sim.run_for(SECOND / 2);
    }
    assert!(!is_crowded(sim, at));
    let stats = sim.with(at.0, |cx| cx.state.stats());
    assert!((4..=8).contains(&stats.slow_consumers), "{stats:?}");
}

#[test]
fn a_client_that_reads_is_read_itself_although_others_flood_it() {
    const FLOODED: u64 = 1;
    const OTHER: u64 = 2;
    const FLOODERS: std::ops::RangeInclusive<u64> = 10..=13;
    sim::check(0..10, |sim| {
        let config = Config {
            payload_bytes_max: 64 * KIB,
            pending_bytes_max: 2048 * KIB,
            write_deadline: 100 * SECOND,
            pings_out_max: u32::MAX,
            ..Config::default()
        };
        let at = stage_with(sim, config);
        let words = format!("{HELLO}SUB hot 1\r\nSUB own 2\r\n");
        join(sim, at, FLOODED, &words, Habit::Listens);
        let words = format!("{HELLO}SUB x 1\r\n");
        join(sim, at, OTHER, &words, Habit::Listens);
        sim.with(at.1, |cx| {
            let key = cx.state[&FLOODED].key;
            cx.io.pause(key);
        });
        for id in FLOODERS {
            join(sim, at, id, HELLO, Habit::Listens);
            sim.with(at.1, |cx| {
                talker::say(cx, id, &messages("hot", 0..400, 60 * KIB));
            });
        }
        // It takes what one of them may send, so its queue never comes down to the low mark.
        let pause = SECOND / 10;
        for _ in 0..30 {
            take_one(sim, at, FLOODED);
            sim.run_for(pause);
        }
        let say = |sim: &mut Sim, words: &[u8]| {
            sim.with(at.1, |cx| talker::say(cx, FLOODED, words));
        };
        let heard = |sim: &mut Sim, id: u64| {
            sim.with(at.1, |cx| {
                (cx.state[&id].payloads.len(), cx.state[&id].pongs)
            })
        };
        // What is answered, and what is delivered to itself, does not keep what follows for long.
        for round in 1..=3 {
            say(sim, &b"PING\r\n".repeat(20));
            say(sim, &messages("own", 0..1, 100));
            say(sim, &messages("x", round..round + 1, 100));
            let mut rounds = 0;
            while heard(sim, OTHER).0 < round {
                rounds += 1;
                assert!(rounds <= 30, "round {round} is not heard");
                take_one(sim, at, FLOODED);
                sim.run_for(pause);
            }
        }
        // An end is heard at once, and so is what follows it.
        say(sim, b"UNSUB 1\r\n");
        say(sim, &messages("x", 3..4, 100));
        sim.run_for(pause);
        assert!(
            heard(sim, OTHER).0 == 4 || {
                take_one(sim, at, FLOODED);
                sim.run_for(SECOND);
                heard(sim, OTHER).0 == 4
            }
        );
        let before = heard(sim, FLOODED).0;
        sim.with(at.1, |cx| {
            let key = cx.state[&FLOODED].key;
            cx.io.resume(key);
        });
        wait(sim, "all answers", |sim| heard(sim, FLOODED).1 == 61);
        sim.run_for(SECOND);
        let more = heard(sim, FLOODED).0 - before;
        assert!(more <= 2048 / 60 + 20, "{more} messages after the end");
        let stats = sim.with(at.0, |cx| cx.state.stats());
        assert_eq!(stats.slow_consumers, 0);
    });
}

/// Asks once, and keeps what it hears.
struct Asker(&'static str);

impl Handler<Notes> for Asker {
    fn on_open(&mut self, cx: &mut Context<'_, Notes>) {
        cx.send(format!("GET {} HTTP/1.0\r\n\r\n", self.0));
    }

    fn on_input(&mut self, cx: &mut Context<'_, Notes>, input: &mut Input<'_>) {
        let key = cx.key();
        let heard = cx
            .state
            .entry(u64::MAX)
            .or_insert_with(|| talker::Heard::new(key));
        heard.payloads.push(input.take().to_vec());
    }
}

/// What monitoring tells.
fn told(sim: &mut Sim, at: Stage, path: &'static str) -> Value {
    let ip = sim.addr(at.0, 8222).ip();
    sim.with(at.1, |cx| {
        cx.state.remove(&u64::MAX);
        cx.connect(SocketAddr::new(ip, 8222), Asker(path));
    });
    let mut answer = Value::Null;
    wait(sim, "an answer of monitoring", |sim| {
        let text = sim.with(at.1, |cx| {
            let heard = cx.state.get(&u64::MAX)?;
            Some(heard.payloads.concat())
        });
        let text = text.unwrap_or_default();
        let body = text.windows(4).position(|end| end == b"\r\n\r\n");
        let body = body.and_then(|end| serde_json::from_slice(&text[end + 4..]).ok());
        answer = body.unwrap_or_default();
        !answer.is_null()
    });
    sim.with(at.1, |cx| _ = cx.state.remove(&u64::MAX));
    answer
}

#[test]
fn a_receiver_that_is_given_up_is_told_as_such_until_it_catches_up_and_nobody_is_stale() {
    const SLOW: u64 = 1;
    const PUBLISHER: u64 = 2;
    sim::check(0..10, |sim| {
        let config = Config {
            payload_bytes_max: 64 * KIB,
            pending_bytes_max: 8192 * KIB,
            write_deadline: 1000 * SECOND,
            ping_interval: SECOND,
            pings_out_max: 1,
            monitor: Some(Monitor {
                port: 8222,
                ..Monitor::default()
            }),
            ..Config::default()
        };
        let at = stage_with(sim, config);
        join(
            sim,
            at,
            SLOW,
            &format!("{HELLO}SUB s.* 7\r\n"),
            Habit::Listens,
        );
        join(sim, at, PUBLISHER, HELLO, Habit::Listens);
        sim.with(at.1, |cx| {
            let key = cx.state[&SLOW].key;
            cx.io.pause(key);
            talker::say(cx, PUBLISHER, &messages("s.1", 0..100, 60 * KIB));
            talker::say(cx, PUBLISHER, b"PING\r\n");
        });
        // It takes a little, so that it moves, and is too slow.
        let mut states: Vec<String> = Vec::new();
        let begun = sim.now();
        while sim.with(at.1, |cx| cx.state[&PUBLISHER].pongs < 2) {
            assert!(sim.now() - begun < 30 * SECOND, "{states:?}");
            take_one(sim, at, SLOW);
            // It has not come to the `PING` yet, and is in good health.
            sim.with(at.1, |cx| talker::say(cx, SLOW, b"PONG\r\n"));
            sim.run_for(SECOND);
            let slowz = told(sim, at, "/slowz");
            let one = &slowz["slow"][0];
            if let Some(state) = one["state"].as_str() {
                assert_eq!(one["subject"], "s.1", "{slowz}");
                assert_eq!(one["sid"], "7", "{slowz}");
                assert_eq!(slowz["num_slow"], 1, "{slowz}");
                if states.last().is_none_or(|last| last != state) {
                    states.push(state.to_owned());
                }
            }
        }
        let slowz = told(sim, at, "/slowz");
        assert_eq!(slowz["slow"][0]["state"], "given up", "{slowz}");
        assert_eq!(states[0], "behind");
        // Held for about the allowance, and then no longer.
        let waited = sim.now() - begun;
        assert!(waited > 2 * SECOND && waited < 8 * SECOND, "{waited:?}");
        // Neither is asked for a sign of life that it could not give.
        sim.with(at.1, |cx| {
            let key = cx.state[&SLOW].key;
            cx.io.resume(key);
        });
        wait(sim, "all messages", |sim| {
            sim.with(at.1, |cx| cx.state[&SLOW].payloads.len() == 100)
        });
        let slowz = told(sim, at, "/slowz");
        assert_eq!(slowz["slow"][0]["state"], "caught up", "{slowz}");
        sim.run_for(10 * SECOND);
        let stats = sim.with(at.0, |cx| cx.state.stats());
        assert_eq!(
            (stats.clients, stats.stale, stats.slow_consumers),
            (2, 0, 0)
        );
        // What it was held for comes back with time: it is waited for again.
        sim.run_for(30 * SECOND);
        sim.with(at.1, |cx| {
            let key = cx.state[&SLOW].key;
            cx.io.pause(key);
            talker::say(cx, PUBLISHER, &messages("s.1", 100..200, 60 * KIB));
        });
        sim.run_for(SECOND);
        let slowz = told(sim, at, "/slowz");
        assert_eq!(slowz["slow"][0]["state"], "behind", "{slowz}");
    });
}
