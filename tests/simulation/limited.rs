//! Clients whose address or user has limits: what they may send in a time, that nothing of one that is slowed down is
//! lost, and that no other client notices.

use crate::scenarios::{Stage, has_all, join, messages, stage_with};
use crate::talker::{self, Habit, Notes};
use crate::wait;
use midge::{AddressLimits, Auth, Broker, Config, Exceeded, Limits, User};
use midge_reactor::Time;
use midge_reactor::sim::{self, Sim};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HELLO: &str = "CONNECT {\"verbose\":false}\r\n";

/// Limits of each address.
fn of_addresses(limits: Limits) -> Config {
    Config {
        address_limits: AddressLimits {
            limits,
            ..AddressLimits::default()
        },
        ping_interval: SECOND,
        pings_out_max: 1,
        ..Config::default()
    }
}

/// A broker, the host whose clients are limited, and one with another address.
fn world(sim: &mut Sim, config: Config) -> (Stage, Stage) {
    let at = stage_with(sim, config);
    let others = sim.host("others", Notes::new(), |_| Ok(()));
    (at, (at.0, others))
}

/// A client that is limited, with the number 2, and one at the other host that hears what it says to `s`.
fn join_both(sim: &mut Sim, at: Stage, others: Stage) {
    let hears = format!("{HELLO}SUB s 1\r\n");
    join(sim, others, 1, &hears, Habit::Listens);
    join(sim, at, 2, HELLO, Habit::Listens);
}

fn say(sim: &mut Sim, at: Stage, id: u64, words: &[u8]) {
    sim.with(at.1, |cx| talker::say(cx, id, words));
}

fn pongs(sim: &mut Sim, at: Stage, id: u64) -> usize {
    sim.with(at.1, |cx| cx.state[&id].pongs)
}

/// Waits until a client has been answered; tells how long that took.
fn answered(sim: &mut Sim, at: Stage, id: u64) -> Duration {
    let (before, since) = (pongs(sim, at, id), sim.now());
    say(sim, at, id, b"PING\r\n");
    wait(sim, "a PONG", |sim| pongs(sim, at, id) > before);
    sim.now() - since
}

/// How much of what was published since then is more than the rate and the burst allow, with some room for what
/// is on its way.
fn is_within(received: u64, rate: u64, since: Time, now: Time) -> bool {
    let allowed = (now - since).as_secs_f64() * rate as f64 + rate as f64;
    received as f64 <= allowed * 1.1 + 2.0
}

#[test]
fn one_that_is_slowed_down_loses_nothing_and_hears_what_others_say_and_they_do_not_wait() {
    const RATE: u64 = 100;
    let limits = [
        Limits {
            messages_per_second_max: Some(RATE),
            ..Limits::default()
        },
        // Each message is 25 bytes.
        Limits {
            bytes_per_second_max: Some(25 * RATE),
            ..Limits::default()
        },
    ];
    for limits in limits {
        sim::check(0..20, |sim| {
            let (at, others) = world(sim, of_addresses(limits));
            join(
                sim,
                at,
                1,
                &format!("{HELLO}SUB news 1\r\n"),
                Habit::Listens,
            );
            join(
                sim,
                others,
                2,
                &format!("{HELLO}SUB s 1\r\n"),
                Habit::Listens,
            );
            let since = sim.now();
            let storm = [messages("s", 0..1000, 14), b"PING\r\n".to_vec()].concat();
            say(sim, at, 1, &storm);
            // While it waits, it gets messages, and its neighbour has all answers at once.
            for number in 0..5 {
                say(
                    sim,
                    others,
                    2,
                    format!("PUB news 1\r\n{number}\r\n").as_bytes(),
                );
                let late = answered(sim, others, 2);
                assert!(late < SECOND / 2, "a neighbour waits for {late:?}");
                sim.run_for(SECOND);
                let heard = sim.with(at.1, |cx| cx.state[&1].payloads.len());
                assert_eq!(heard, number + 1, "what others publish reaches it");
                let received = sim.with(at.0, |cx| cx.state.stats().received.messages);
                let own = received - number as u64 - 1;
                assert!(is_within(own, RATE, since, sim.now()), "{own}");
                assert_eq!(pongs(sim, at, 1), 1, "its PING stands behind its messages");
            }
            wait(sim, "all messages", |sim| {
                sim.with(others.1, |cx| has_all(cx.state, 2, 1000, 14))
            });
            wait(sim, "its PONG", |sim| pongs(sim, at, 1) == 2);
            let took = sim.now() - since;
            assert!(took < 13 * SECOND, "{took:?}");
            // It is asked for signs of life again, and answers.
            sim.run_for(20 * SECOND);
            let stats = sim.with(at.0, |cx| cx.state.stats());
            assert_eq!((stats.clients, stats.stale), (2, 0));
        });
    }
}

#[test]
fn clients_of_one_user_share_its_rate_wherever_they_come_from() {
    let user = |name: &str, limits| User {
        name: name.to_owned(),
        limits,
        ..User::default()
    };
    let slow = Limits {
        messages_per_second_max: Some(50),
        ..Limits::default()
    };
    let config = Config {
        auth: Auth::Users {
            users: vec![user("ann", Some(slow)), user("bob", None)].into(),
            token: None,
        },
        ..Config::default()
    };
    sim::check(0..20, |sim| {
        let (at, others) = world(sim, config.clone());
        let hello = |user: &str| format!("CONNECT {{\"verbose\":false,\"user\":\"{user}\"}}\r\n");
        let ears = format!("{}SUB s.* 1\r\n", hello("bob"));
        join(sim, others, 1, &ears, Habit::Listens);
        for (place, id) in [(at, 2), (at, 3), (others, 4)] {
            join(sim, place, id, &hello("ann"), Habit::Listens);
        }
        join(sim, at, 5, &hello("bob"), Habit::Listens);
        let since = sim.now();
        for (place, id) in [(at, 2), (at, 3), (others, 4)] {
            say(sim, place, id, &messages(&format!("s.{id}"), 0..100, 4));
        }
        say(sim, at, 5, &messages("s.5", 0..1000, 4));
        let late = answered(sim, at, 5);
        assert!(late < SECOND, "a client of another user waits for {late:?}");
        sim.run_for(3 * SECOND);
        let received = sim.with(at.0, |cx| cx.state.stats().received.messages);
        let own = received - 1000;
        assert!(is_within(own, 50, since, sim.now()), "{own}");
        wait(sim, "all messages", |sim| {
            sim.with(others.1, |cx| cx.state[&1].payloads.len() == 1300)
        });
        assert!(sim.now() - since < 7 * SECOND);
    });
}

#[test]
fn what_is_past_the_limit_is_dropped_and_told_once_a_second_or_ends_the_connection() {
    let limits = |exceeded| Limits {
        messages_per_second_max: Some(100),
        exceeded,
        ..Limits::default()
    };
    sim::check(0..20, |sim| {
        let (at, others) = world(sim, of_addresses(limits(Exceeded::Error)));
        join_both(sim, at, others);
        let since = sim.now();
        for number in 0..20 {
            say(
                sim,
                at,
                2,
                &messages("s", number * 500..(number + 1) * 500, 4),
            );
            let late = answered(sim, at, 2);
            assert!(late < SECOND, "it is read at once: {late:?}");
            sim.run_for(SECOND / 10);
        }
        let received = sim.with(at.0, |cx| cx.state.stats().received.messages);
        assert!(
            received >= 100 && is_within(received, 100, since, sim.now()),
            "{received}"
        );
        let seconds = (sim.now() - since).as_secs() as usize + 1;
        sim.with(at.1, |cx| {
            let errors = &cx.state[&2].errors;
            let text = "Permissions Violation for Publish to \"s\", rate limit exceeded";
            assert!(errors.iter().all(|error| error == text), "{errors:?}");
            assert!((1..=seconds).contains(&errors.len()), "{errors:?}");
        });
    });
    // One that counts its answers is told of each.
    sim::check(0..20, |sim| {
        let (at, _) = world(sim, of_addresses(limits(Exceeded::Error)));
        join(sim, at, 2, "CONNECT {\"verbose\":true}\r\n", Habit::Listens);
        say(sim, at, 2, &messages("s", 0..500, 4));
        answered(sim, at, 2);
        let received = sim.with(at.0, |cx| cx.state.stats().received.messages);
        assert!(received >= 100, "{received}");
        let errors = sim.with(at.1, |cx| cx.state[&2].errors.len());
        assert_eq!(errors as u64, 500 - received);
    });
    sim::check(0..20, |sim| {
        let (at, _) = world(sim, of_addresses(limits(Exceeded::Disconnect)));
        join(sim, at, 2, HELLO, Habit::Listens);
        say(sim, at, 2, &messages("s", 0..100, 4));
        answered(sim, at, 2);
        say(sim, at, 2, &messages("s", 0..500, 4));
        wait(sim, "the end", |sim| {
            sim.with(at.1, |cx| cx.state[&2].ended)
        });
        let errors = sim.with(at.1, |cx| cx.state[&2].errors.clone());
        assert_eq!(errors, ["maximum message rate exceeded"]);
        let stats = sim.with(at.0, |cx| cx.state.stats());
        assert_eq!(stats.clients, 0);
    });
}

#[test]
fn a_reload_lets_those_go_on_that_wait_and_slows_down_those_that_were_free() {
    let slow = of_addresses(Limits {
        messages_per_second_max: Some(1),
        ..Limits::default()
    });
    let free = of_addresses(Limits::default());
    sim::check(0..20, |sim| {
        let (at, others) = world(sim, slow.clone());
        join_both(sim, at, others);
        say(sim, at, 2, &messages("s", 0..100, 4));
        sim.run_for(5 * SECOND);
        let received = |sim: &mut Sim| sim.with(at.0, |cx| cx.state.stats().received.messages);
        assert!(received(sim) <= 8);
        let config = free.clone();
        sim.with(at.0, |cx| {
            Broker::reload(cx, config).expect("it is possible");
        });
        sim.run_for(SECOND);
        assert_eq!(received(sim), 100);
        let config = slow.clone();
        sim.with(at.0, |cx| {
            Broker::reload(cx, config).expect("it is possible");
        });
        say(sim, at, 2, &messages("s", 100..200, 4));
        sim.run_for(5 * SECOND);
        assert!(received(sim) <= 108);
        // One that waits and hangs up leaves nothing behind.
        sim.with(at.1, |cx| {
            let key = cx.state[&2].key;
            cx.io.close(key);
        });
        sim.run_for(200 * SECOND);
        assert_eq!(sim.connections(at.0), 1);
    });
}
