//! A client with very many subscriptions whose permissions change: not one message is delivered that is denied, not
//! one is lost that is allowed, and the others have their turns meanwhile.

use crate::scenarios::{Stage, join, stage_with};
use crate::talker::{self, Habit};
use crate::wait;
use midge::{Auth, Broker, Config, Permission, Permissions, Subjects, Subscriptions, User};
use midge_reactor::sim::{self, Sim};
use std::time::Duration;

const SUBSCRIPTIONS: usize = 100_000;

/// Ann may subscribe to these, and bob to everything.
fn config(allow: Option<&[&str]>, deny: &[&str]) -> Config {
    let subscriptions =
        |list: &[&str]| Subscriptions::parse(list.iter().copied()).expect("subjects");
    let permissions = Permissions {
        publish: Permission::<Subjects>::default(),
        subscribe: Permission {
            allow: allow.map(subscriptions),
            deny: subscriptions(deny),
        },
        responses: None,
    };
    let user = |name: &str, permissions: Permissions| User {
        name: name.to_owned(),
        permissions: Some(permissions.into()),
        ..User::default()
    };
    let users = vec![
        user("ann", permissions),
        user("bob", Permissions::default()),
    ];
    Config {
        auth: Auth::Users {
            users: users.into(),
            token: None,
        },
        pings_out_max: u32::MAX,
        ..Config::default()
    }
}

fn hello(user: &str) -> String {
    format!("CONNECT {{\"verbose\":false,\"user\":\"{user}\"}}\r\n")
}

fn subscriptions(sim: &mut Sim, at: Stage) -> usize {
    sim.with(at.0, |cx| cx.state.stats().subscriptions)
}

#[test]
fn what_is_denied_to_very_many_subscriptions_is_denied_at_once_and_they_go_in_pieces() {
    sim::check(0..2, |sim| {
        let at = stage_with(sim, config(None, &[]));
        // Every other one will be denied; and some are in groups.
        let lines = (1..=SUBSCRIPTIONS).map(|sid| match sid % 4 {
            0 => format!("SUB stays.{sid} {sid}\r\n"),
            1 => format!("SUB goes.{sid} {sid}\r\n"),
            2 => format!("SUB stays.{sid} q {sid}\r\n"),
            _ => format!("SUB goes.{sid} q {sid}\r\n"),
        });
        let words: String = lines.collect();
        join(
            sim,
            at,
            1,
            &format!("{}{words}", hello("ann")),
            Habit::Listens,
        );
        join(sim, at, 2, &hello("bob"), Habit::Listens);
        assert_eq!(subscriptions(sim, at), SUBSCRIPTIONS);
        let wanted = config(Some(&["stays.*", "mixed.*"]), &["stays.secret"]);
        sim.with(at.0, |cx| {
            Broker::reload(cx, wanted).expect("it is possible");
        });
        // Another client publishes to all ends of it while it goes on.
        let (mut before, mut rounds, mut most, mut sent) = (SUBSCRIPTIONS, 0, 0, 0);
        let mut pieces = 0;
        while subscriptions(sim, at) > SUBSCRIPTIONS / 2 {
            let mut words = Vec::new();
            for part in 0..10 {
                let place = 4 * (1 + part * (SUBSCRIPTIONS / 40 - 1) + rounds % 50);
                words.push(format!("PUB goes.{} 1\r\nx\r\n", place + 1));
                words.push(format!("PUB stays.{place} 1\r\ny\r\n"));
                words.push(format!("PUB goes.{} 1\r\nx\r\n", place + 3));
                words.push(format!("PUB stays.{} 1\r\ny\r\n", place + 2));
                sent += 2;
            }
            let words = words.concat();
            let pongs = sim.with(at.1, |cx| cx.state[&2].pongs);
            sim.with(at.1, |cx| {
                talker::say(cx, 2, format!("{words}PING\r\n").as_bytes());
            });
            wait(sim, "a PONG", |sim| {
                let now = subscriptions(sim, at);
                most = most.max(before - now);
                pieces += usize::from(now < before);
                before = now;
                sim.with(at.1, |cx| cx.state[&2].pongs > pongs)
            });
            rounds += 1;
        }
        // A piece is 3,000 places at most, six for each of these; a step may be a turn or two.
        assert!(most <= 2 * 3000 / 6, "{most} in a turn");
        assert!(pieces >= SUBSCRIPTIONS * 6 / 3000 / 4, "{pieces} pieces");
        assert!(rounds >= 2, "another client was answered {rounds} times");
        wait(sim, "what was allowed", |sim| {
            sim.with(at.1, |cx| cx.state[&1].payloads.len() >= sent)
        });
        sim.with(at.1, |cx| {
            let payloads = &cx.state[&1].payloads;
            assert!(
                payloads.iter().all(|payload| payload == b"y"),
                "something denied came"
            );
            assert_eq!(payloads.len(), sent);
        });
        wait(sim, "it is told of each", |sim| {
            sim.with(at.1, |cx| cx.state[&1].errors.len() == SUBSCRIPTIONS / 2)
        });
        // What it may not subscribe to any more it gets by no wildcard either.
        sim.with(at.1, |cx| {
            talker::say(cx, 1, b"SUB stays.* w\r\nPING\r\n");
            talker::say(cx, 2, b"PING\r\n");
        });
        wait(sim, "a PONG", |sim| {
            sim.with(at.1, |cx| cx.state[&1].pongs == 2)
        });
        sim.with(at.1, |cx| {
            talker::say(cx, 2, b"PUB stays.secret 1\r\nx\r\nPUB stays.ok 1\r\nz\r\n");
        });
        wait(sim, "what is allowed", |sim| {
            sim.with(at.1, |cx| {
                cx.state[&1]
                    .payloads
                    .last()
                    .is_some_and(|last| last == b"z")
            })
        });
        let all = sim.with(at.1, |cx| cx.state[&1].payloads.len());
        assert_eq!(all, sent + 1);
    });
}

#[test]
fn what_changes_again_while_it_goes_on_counts_and_who_leaves_then_leaves_nothing_behind() {
    const COUNT: usize = 20_000;
    sim::check(0..4, |sim| {
        let at = stage_with(sim, config(None, &[]));
        let lines = (1..=COUNT).map(|sid| format!("SUB a.{} {sid}\r\n", sid % 3));
        let words: String = lines.collect();
        for id in [1, 3] {
            join(
                sim,
                at,
                id,
                &format!("{}{words}", hello("ann")),
                Habit::Listens,
            );
        }
        join(sim, at, 2, &hello("bob"), Habit::Listens);
        for wanted in [
            config(Some(&["a.1", "a.2"]), &[]),
            config(Some(&["a.2"]), &[]),
            config(None, &["a.1"]),
        ] {
            sim.with(at.0, |cx| {
                Broker::reload(cx, wanted).expect("it is possible");
            });
            sim.step();
        }
        // One hangs up, and one ends some by itself.
        sim.with(at.1, |cx| {
            let key = cx.state[&3].key;
            cx.io.close(key);
            let words: String = (1..1000).map(|sid| format!("UNSUB {sid}\r\n")).collect();
            talker::say(cx, 1, words.as_bytes());
            talker::say(cx, 2, b"PUB a.1 1\r\nx\r\nPING\r\n");
        });
        sim.run_for(Duration::from_secs(5));
        sim.with(at.1, |cx| {
            assert!(cx.state[&1].payloads.is_empty(), "it is denied");
        });
        let left = subscriptions(sim, at);
        assert!(left > COUNT / 4 && left < COUNT * 2 / 3, "{left}");
        sim.with(at.1, |cx| talker::say(cx, 2, b"PUB a.2 1\r\ny\r\n"));
        let of_two = (1000..=COUNT).filter(|sid| sid % 3 == 2).count();
        wait(sim, "what is allowed", |sim| {
            sim.with(at.1, |cx| cx.state[&1].payloads.len() >= of_two)
        });
    });
}
