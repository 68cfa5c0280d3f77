//! What the broker promises in particular situations, each over some tens of seeds: the order of
//! events, the cuts in the stream and the delays differ, the promise does not.

use crate::talker::{self, Habit, Notes};
use crate::{MINUTE, PORT, broker, random, wait};
use midge::{Auth, Broker, Config, State};
use midge_reactor::sim::{self, HostId, Sim};
use std::ops::Range;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HELLO: &str = "CONNECT {\"verbose\":false}\r\n";

/// A broker, and the host of all that talk to it.
pub(crate) type Stage = (HostId<State>, HostId<Notes>);

/// A broker and a host of talkers. Faults that would end connections are left out, and links are
/// fast: what a slow one does to a subscriber is another matter.
fn stage(sim: &mut Sim, config: Config) -> Stage {
    let config = Config {
        pings_out_max: u32::MAX,
        ..config
    };
    stage_with(sim, config)
}

/// The same with exactly these settings.
pub(crate) fn stage_with(sim: &mut Sim, config: Config) -> Stage {
    let mut faults = sim.faults();
    let none = sim::Faults::none();
    (faults.reset, faults.connect_refused) = (none.reset, none.connect_refused);
    (faults.connect_lost, faults.connect_late) = (none.connect_lost, none.connect_late);
    (faults.accept_aborted, faults.partition) = (none.accept_aborted, none.partition);
    (faults.stall, faults.pause) = (none.stall, none.pause);
    (faults.latency_min, faults.latency_max) = (none.latency_min, none.latency_max);
    (faults.window_bytes_min, faults.window_bytes_max) = (16 << 10, 64 << 10);
    sim.set_faults(faults);
    let broker = broker(sim, config);
    let host = sim.host("talkers", Notes::new(), |_| Ok(()));
    (broker, host)
}

/// Connects a talker and waits until the broker has done what its first words ask.
pub(crate) fn join(sim: &mut Sim, at: Stage, id: u64, words: &str, habit: Habit) {
    let addr = sim.addr(at.0, PORT);
    let words = format!("{words}PING\r\n").into_bytes();
    sim.with(at.1, |cx| talker::dial(cx, id, addr, words, habit));
    wait(sim, "the first PONG", |sim| {
        sim.with(at.1, |cx| cx.state[&id].pongs > 0)
    });
}

/// Numbered messages, each of `len` bytes.
pub(crate) fn messages(subject: &str, numbers: Range<usize>, len: usize) -> Vec<u8> {
    let message = |number| format!("PUB {subject} {len}\r\n{number:0len$}\r\n");
    numbers.map(message).collect::<String>().into_bytes()
}

/// Whether all messages have come, in order and once.
pub(crate) fn has_all(notes: &Notes, id: u64, count: usize, len: usize) -> bool {
    let wanted = |(at, payload): (usize, &Vec<u8>)| *payload == format!("{at:0len$}").into_bytes();
    let payloads = &notes[&id].payloads;
    assert!(payloads.iter().enumerate().all(wanted), "out of order");
    payloads.len() == count
}

/// Plays a scenario for each seed, until all have left and nothing is kept of them.
fn play(seeds: Range<u64>, config: &Config, scenario: impl Fn(&mut Sim, Stage)) {
    sim::check(seeds, |sim| {
        let at = stage(sim, config.clone());
        let timers = sim.timers(at.0);
        scenario(sim, at);
        leave(sim, at, timers);
    });
}

/// A talker reads no more, or again.
fn set_reading(sim: &mut Sim, at: Stage, id: u64, reads: bool) {
    sim.with(at.1, |cx| {
        let key = cx.state[&id].key;
        match reads {
            true => cx.io.resume(key),
            false => cx.io.pause(key),
        };
    });
}

/// Says something more.
fn say(sim: &mut Sim, at: Stage, id: u64, words: &[u8]) {
    sim.with(at.1, |cx| talker::say(cx, id, words));
}

/// Closes all talkers' connections and looks whether anything is left of them.
fn leave(sim: &mut Sim, at: Stage, timers: usize) {
    sim.with(at.1, |cx| {
        for heard in cx.state.values() {
            cx.io.close(heard.key);
        }
    });
    wait(sim, "the last goes", |sim| sim.connections(at.0) == 0);
    let stats = sim.with(at.0, |cx| cx.state.stats());
    assert_eq!((stats.clients, stats.subscriptions), (0, 0));
    // What they leave behind goes in pieces.
    wait(sim, "nothing is kept", |sim| {
        sim.with(at.0, |cx| cx.state.retained()) == 0
    });
    assert_eq!(sim.timers(at.0), timers);
}

#[test]
fn a_client_that_makes_endless_work_yields_to_the_others() {
    play(0..30, &Config::default(), |sim, at| {
        // Each message costs a look at a thousand subscriptions, and none gets it. No two with one
        // control line stand together: those would share the look.
        let subscriptions: String = (0..1_000).map(|sid| format!("SUB x {sid}\r\n")).collect();
        let hello = format!("CONNECT {{\"verbose\":false,\"echo\":false}}\r\n{subscriptions}");
        join(sim, at, 1, &hello, Habit::Listens);
        join(sim, at, 2, HELLO, Habit::Listens);
        let work = b"PUB x 0\r\n\r\nPUB x 00\r\n\r\n".repeat(1_500);
        let work = [work, b"PING\r\n".to_vec()].concat();
        sim.with(at.1, |cx| {
            talker::say(cx, 1, &work);
            talker::say(cx, 2, b"PING\r\n");
        });
        let (mut before, mut most) = (0, 0);
        wait(sim, "all that work", |sim| {
            let done = sim.with(at.0, |cx| cx.state.stats().received.messages);
            most = most.max(done - before);
            before = done;
            sim.with(at.1, |cx| {
                cx.state[&1].pongs == 2 && cx.state[&2].pongs == 2
            })
        });
        assert_eq!(before, 3_000);
        // 50,000 looks, in a turn of the loop or two that stand for one step.
        assert!(most <= 102, "{most} messages before anyone else had a turn");
    });
}

#[test]
fn a_client_whose_every_message_takes_more_than_a_turn_goes_on() {
    play(0..3, &Config::default(), |sim, at| {
        let subscriptions: String = (0..51_000).map(|sid| format!("SUB x {sid}\r\n")).collect();
        let hello = format!("CONNECT {{\"verbose\":false,\"echo\":false}}\r\n{subscriptions}");
        join(sim, at, 1, &hello, Habit::Listens);
        // All with one control line, so that they are looked at together first.
        let work = [b"PUB x 0\r\n\r\n".repeat(20), b"PING\r\n".to_vec()].concat();
        say(sim, at, 1, &work);
        wait(sim, "all that work", |sim| {
            sim.with(at.1, |cx| cx.state[&1].pongs == 2)
        });
    });
}

#[test]
fn a_stalled_subscriber_is_cut_and_the_others_lose_nothing() {
    let config = Config {
        payload_bytes_max: 4_096,
        pending_bytes_max: 128 << 10,
        ..Config::default()
    };
    play(0..30, &config, |sim, at| {
        for id in 1..=3 {
            join(sim, at, id, &format!("{HELLO}SUB s 1\r\n"), Habit::Listens);
        }
        join(sim, at, 4, HELLO, Habit::Listens);
        set_reading(sim, at, 2, false);
        say(sim, at, 4, &messages("s", 0..1_000, 1_024));
        wait(sim, "all messages, for those who read", |sim| {
            let counts = sim.with(at.1, |cx| [1, 3].map(|id| cx.state[&id].payloads.len()));
            counts == [1_000; 2]
        });
        for id in [1, 3] {
            let all = sim.with(at.1, |cx| has_all(cx.state, id, 1_000, 1_024));
            assert!(all, "each message once, in order");
        }
        wait(sim, "the end of the stalled one", |sim| {
            sim.with(at.0, |cx| cx.state.stats().slow_consumers == 1)
        });
        let ended = sim.with(at.1, |cx| [1, 3, 4].map(|id| cx.state[&id].ended));
        assert_eq!(ended, [false; 3], "nobody else is cut");
    });
}

#[test]
fn publishers_are_held_back_for_a_slow_reader_and_let_go_and_nothing_is_lost() {
    let pending = 512 << 10;
    let config = Config {
        payload_bytes_max: 4_096,
        pending_bytes_max: pending,
        ..Config::default()
    };
    play(0..30, &config, |sim, at| {
        join(sim, at, 1, &format!("{HELLO}SUB s.* 1\r\n"), Habit::Listens);
        for id in 2..=4 {
            join(sim, at, id, HELLO, Habit::Listens);
        }
        let kept = sim.with(at.0, |cx| cx.state.retained());
        sim.with(at.1, |cx| {
            for id in 2..=4 {
                let mut storm = messages(&format!("s.{id}"), 0..400, 2_048);
                storm.extend(b"PING\r\n");
                talker::say(cx, id, &storm);
            }
        });
        // The reader sleeps most of the time, and never for long.
        let (mut held, mut longest) = (false, 0);
        let end = sim.now() + 5 * MINUTE;
        while sim.with(at.1, |cx| cx.state[&1].payloads.len() < 1_200) {
            assert!(sim.now() < end, "a publisher is still held");
            set_reading(sim, at, 1, false);
            for _ in 0..5 {
                sim.run_for(SECOND / 50);
                let (now, queued) = sim.with(at.0, |cx| {
                    (cx.state.retained(), cx.state.longest_queue_bytes(&cx.io))
                });
                held |= now > kept;
                longest = longest.max(queued);
            }
            set_reading(sim, at, 1, true);
            sim.run_for(SECOND / 50);
        }
        assert!(held, "nobody was held back");
        // Those who publish little are held from half of it on, the others from an eighth; and a run of
        // messages is delivered at once.
        let run = 128 << 10;
        assert!(longest <= pending / 2 + run, "{longest} bytes in a queue");
        wait(sim, "a PONG for each publisher", |sim| {
            sim.with(at.1, |cx| (2..=4).all(|id| cx.state[&id].pongs == 2))
        });
        let counts = sim.with(at.1, |cx| {
            (0..400).all(|number| {
                let wanted = format!("{number:02048}").into_bytes();
                let same = |payload: &&Vec<u8>| **payload == wanted;
                cx.state[&1].payloads.iter().filter(same).count() == 3
            })
        });
        assert!(counts, "each publisher's messages, once");
        let (now, stats) = sim.with(at.0, |cx| (cx.state.retained(), cx.state.stats()));
        // What each of the three has waited lately is kept with it.
        assert!(now <= kept + 3, "{now} are kept, and {kept} were");
        assert_eq!(stats.slow_consumers, 0);
    });
}

#[test]
fn a_client_that_asks_and_does_not_read_waits_with_what_is_answered() {
    let pending = 128 << 10;
    let config = Config {
        payload_bytes_max: 4_096,
        pending_bytes_max: pending,
        ..Config::default()
    };
    play(0..30, &config, |sim, at| {
        join(sim, at, 1, HELLO, Habit::Listens);
        set_reading(sim, at, 1, false);
        say(sim, at, 1, &b"PING\r\n".repeat(100_000));
        // Less than the broker's patience with it.
        sim.run_for(SECOND);
        let (stats, longest) = sim.with(at.0, |cx| {
            (cx.state.stats(), cx.state.longest_queue_bytes(&cx.io))
        });
        assert_eq!(stats.slow_consumers, 0, "cut, and not held back");
        assert!(longest > 0, "its answers wait for it");
        // A sixteenth of what the kernel took, and some in each wait.
        assert!(
            longest <= pending / 8 + pending / 16,
            "{longest} bytes in a queue"
        );
        set_reading(sim, at, 1, true);
        wait(sim, "each answer", |sim| {
            sim.with(at.1, |cx| cx.state[&1].pongs == 100_001)
        });
    });
}

#[test]
fn more_than_a_turn_may_write_goes_out_in_the_next() {
    play(0..30, &Config::default(), |sim, at| {
        // A socket that takes it all.
        let mut faults = sim.faults();
        (faults.window_bytes_min, faults.window_bytes_max) = (4 << 20, 4 << 20);
        sim.set_faults(faults);
        let subscriptions: String = (0..40).map(|sid| format!("SUB s {sid}\r\n")).collect();
        join(
            sim,
            at,
            1,
            &format!("{HELLO}{subscriptions}"),
            Habit::Listens,
        );
        join(sim, at, 2, HELLO, Habit::Listens);
        say(sim, at, 2, &messages("s", 0..1, 50_000));
        // Before the broker's first `PING` comes and takes along what was left behind.
        sim.run_for(SECOND);
        let copies = sim.with(at.1, |cx| cx.state[&1].payloads.len());
        assert_eq!(copies, 40, "a copy for each subscription");
    });
}

#[test]
fn a_shutdown_delivers_what_was_accepted() {
    sim::check(0..40, |sim| {
        let at = stage(sim, Config::default());
        join(sim, at, 1, &format!("{HELLO}SUB s 1\r\n"), Habit::Listens);
        join(sim, at, 2, HELLO, Habit::Listens);
        set_reading(sim, at, 1, false);
        sim.with(at.1, |cx| {
            let mut words = messages("s", 0..200, 1_024);
            words.extend(b"PING\r\n");
            talker::say(cx, 2, &words);
        });
        wait(sim, "all to be accepted", |sim| {
            sim.with(at.1, |cx| cx.state[&2].pongs == 2)
        });
        let queued = sim.with(at.0, |cx| cx.state.longest_queue_bytes(&cx.io));
        assert!(queued > 100 << 10, "only {queued} bytes are still queued");
        sim.with(at.0, |cx| cx.io.shutdown(2 * SECOND));
        sim.run_for(SECOND / 10);
        set_reading(sim, at, 1, true);
        wait(sim, "the end", |sim| {
            sim.with(at.1, |cx| cx.state.values().all(|heard| heard.ended))
        });
        let all = sim.with(at.1, |cx| has_all(cx.state, 1, 200, 1_024));
        assert!(all, "messages were accepted and not delivered");
        wait(sim, "the broker's end", |sim| !sim.is_running(at.0));
    });
}

#[test]
fn a_lame_duck_sends_everyone_away_and_loses_no_message_of_theirs() {
    sim::check(0..60, |sim| {
        let config = Config {
            lame_duck_duration: 20 * SECOND,
            lame_duck_grace_period: SECOND / 1000,
            ..Config::default()
        };
        let at = stage(sim, config);
        join(sim, at, 1, &format!("{HELLO}SUB s 1\r\n"), Habit::Listens);
        let hello = HELLO.replace('{', "{\"protocol\":1,");
        join(sim, at, 2, &hello, Habit::Listens);
        // Most of this is still on its way when the broker closes its side.
        say(sim, at, 2, &messages("s", 0..400, 1_024));
        sim.with(at.0, Broker::lame_duck);
        assert!(sim.with(at.0, |cx| cx.state.is_lame_duck()));
        wait(sim, "the end", |sim| {
            sim.with(at.1, |cx| cx.state.values().all(|heard| heard.ended))
        });
        sim.with(at.1, |cx| {
            assert!(cx.state[&2].lame_duck && !cx.state[&1].lame_duck);
            // Who came last is sent away first.
            assert!(has_all(cx.state, 1, 400, 1_024), "not all was delivered");
        });
        wait(sim, "the broker's end", |sim| !sim.is_running(at.0));
    });
}

#[test]
fn two_megabytes_of_garbage_end_their_sender_and_nobody_else() {
    play(0..32, &Config::default(), |sim, at| {
        join(sim, at, 1, &format!("{HELLO}SUB > 1\r\n"), Habit::Listens);
        let garbage: Vec<u8> = match sim.seed() % 4 {
            0 => sim.with(at.0, |cx| {
                let words = (0..2 << 17).map(|_| cx.io.random().to_le_bytes());
                words.flatten().collect()
            }),
            1 => format!("CONNECT {{{}", "a".repeat(2 << 20)).into_bytes(),
            2 => format!("PUB {} 1", "a.".repeat(1 << 20)).into_bytes(),
            _ => format!("PUB a 2097152\r\n{}", "a".repeat(2 << 20)).into_bytes(),
        };
        let addr = sim.addr(at.0, PORT);
        sim.with(at.1, |cx| {
            talker::dial(cx, 2, addr, garbage, Habit::Listens);
            talker::say(cx, 1, b"PING\r\n");
        });
        wait(sim, "the end of the sender", |sim| {
            sim.with(at.1, |cx| cx.state[&2].ended)
        });
        wait(sim, "an answer", |sim| {
            sim.with(at.1, |cx| cx.state[&1].pongs == 2)
        });
        sim.with(at.1, |cx| {
            assert!(cx.state[&1].payloads.is_empty() && !cx.state[&1].ended);
            assert!(cx.state[&2].errors.len() <= 1, "{:?}", cx.state[&2].errors);
        });
    });
}

#[test]
fn nothing_is_done_for_a_client_before_it_has_shown_its_token() {
    let config = Config {
        auth: Auth::Token("secret".into()),
        ..Config::default()
    };
    play(0..20, &config, |sim, at| {
        let hello = "CONNECT {\"verbose\":false,\"auth_token\":\"secret\"}\r\nSUB > 1\r\n";
        join(sim, at, 1, hello, Habit::Listens);
        let addr = sim.addr(at.0, PORT);
        let words = [
            "PUB a 1\r\nx\r\n",
            "SUB > 1\r\n",
            "CONNECT {\"auth_token\":\"guess\"}\r\nPUB a 1\r\nx\r\n",
            "",
        ];
        for (id, words) in (2..).zip(words) {
            let words = words.as_bytes().to_vec();
            sim.with(at.1, |cx| {
                talker::dial(cx, id, addr, words, Habit::Listens);
            });
        }
        wait(sim, "the end of all strangers", |sim| {
            sim.with(at.1, |cx| (2..=5).all(|id| cx.state[&id].ended))
        });
        sim.with(at.1, |cx| {
            for (id, text) in (2..).zip(["Authorization Violation"; 3]) {
                assert_eq!(cx.state[&id].errors, [text]);
            }
            assert_eq!(cx.state[&5].errors, ["Authentication Timeout"]);
            assert!(cx.state[&1].payloads.is_empty() && !cx.state[&1].ended);
        });
    });
}

#[test]
fn each_request_gets_one_answer_or_the_news_that_nobody_takes_it() {
    play(0..40, &Config::default(), |sim, at| {
        for id in 1..=3 {
            let hello = format!("{HELLO}SUB ask workers 1\r\n");
            join(sim, at, id, &hello, Habit::Answers);
        }
        let asker = "{\"verbose\":false,\"headers\":true,\"no_responders\":true}";
        for id in 4..=5 {
            let hello = format!("CONNECT {asker}\r\nSUB inbox.{id}.* 1\r\n");
            join(sim, at, id, &hello, Habit::Listens);
        }
        let ask = |sim: &mut Sim, count: usize| {
            sim.with(at.1, |cx| {
                for (id, number) in (0..count).flat_map(|number| [(4, number), (5, number)]) {
                    let text = format!("PUB ask inbox.{id}.{number} 6\r\n{id}:{number:04}\r\n");
                    talker::say(cx, id, text.as_bytes());
                }
            });
        };
        ask(sim, 50);
        wait(sim, "all answers", |sim| {
            sim.with(at.1, |cx| {
                (4..=5).all(|id| cx.state[&id].payloads.len() >= 50)
            })
        });
        sim.run_for(SECOND);
        sim.with(at.1, |cx| {
            for id in 4..=5 {
                let heard = cx.state.get_mut(&id).expect("it is there");
                assert!(heard.headers.is_empty(), "news that were none");
                let mut payloads = std::mem::take(&mut heard.payloads);
                payloads.sort();
                let wanted = (0..50).map(|number| format!("{id}:{number:04}").into_bytes());
                assert!(
                    payloads.into_iter().eq(wanted),
                    "one answer to each request"
                );
            }
            assert!(
                (1..=3).all(|id| !cx.state[&id].payloads.is_empty()),
                "all work"
            );
            for id in 1..=3 {
                let key = cx.state[&id].key;
                cx.io.close(key);
            }
        });
        wait(sim, "the workers go", |sim| sim.connections(at.0) == 2);
        ask(sim, 20);
        wait(sim, "all news", |sim| {
            sim.with(at.1, |cx| {
                (4..=5).all(|id| cx.state[&id].headers.len() >= 20)
            })
        });
        sim.run_for(SECOND);
        sim.with(at.1, |cx| {
            for id in 4..=5 {
                let headers = &cx.state[&id].headers;
                let is_503 = |header: &Vec<u8>| header == b"NATS/1.0 503\r\n\r\n";
                assert!(
                    headers.len() == 20 && headers.iter().all(is_503),
                    "{headers:?}"
                );
                assert!(cx.state[&id].payloads.iter().all(Vec::is_empty));
            }
        });
    });
}

#[test]
fn after_a_crash_of_the_broker_those_who_come_again_are_served() {
    play(0..40, &Config::default(), |sim, at| {
        let hello = |id: u64| format!("{HELLO}SUB a.{id} 1\r\nSUB > 2\r\nSUB a.* q 3\r\n");
        for round in 0..3 {
            for id in 1..=3 {
                join(sim, at, id, &hello(id), Habit::Listens);
            }
            say(sim, at, 1, &messages("a.2", 0..20, 100));
            wait(sim, "the messages", |sim| {
                // Its own subscription and the other one, and perhaps some of the group's.
                sim.with(at.1, |cx| cx.state[&2].payloads.len() >= 40)
            });
            if round == 2 {
                break;
            }
            // In the middle of much more.
            say(sim, at, 3, &messages("a.1", 0..300, 500));
            let time = Duration::from_micros(random(sim, at.0, 5_000));
            sim.run_for(time);
            if random(sim, at.0, 2) == 0 {
                sim.crash(at.0);
            } else {
                sim.cut_power(at.0);
            }
            sim.run_for(SECOND);
            let config = Config {
                host: "0.0.0.0".to_owned(),
                port: PORT,
                pings_out_max: u32::MAX,
                ..Config::default()
            };
            let state = State::new(config).expect("the settings make sense");
            sim.restart(at.0, state, |cx| {
                let listener = Broker::listen(cx);
                listener.map(drop).map_err(std::io::Error::other)
            });
            // A host that has lost its power tells so when it is spoken to.
            sim.with(at.1, |cx| {
                (1..=3).for_each(|id| talker::say(cx, id, b"PING\r\n"));
            });
            wait(sim, "all to learn of it", |sim| {
                sim.with(at.1, |cx| cx.state.values().all(|heard| heard.ended))
            });
            let stats = sim.with(at.0, |cx| cx.state.stats());
            assert_eq!(stats, Default::default(), "it remembers nothing");
        }
    });
}
