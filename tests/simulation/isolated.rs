//! Noninterference: what the clients of one account see does not depend on what those of others do.
//!
//! Each seed is a script for three clients of one account: they subscribe, join and leave queue groups, publish,
//! ask, and end subscriptions, one thing after the other, each awaited. It is played twice, alone, and beside clients
//! of two other accounts that do all sorts of things on the same subjects, harm among them. Every line that the three
//! hear must be the same both times, and so must the choice among the members of groups: only when it comes may differ.

use crate::client::{self, Manner, Peers};
use crate::hostile;
use crate::scenarios::{Stage, join, stage_with};
use crate::talker::{self, Habit};
use crate::{PORT, wait};
use midge::{Account, Auth, Config, User};
use midge_reactor::sim::{Faults, HostId, Sim};
use std::sync::Arc;
use std::time::Duration;

const CLIENTS: u64 = 3;
const STEPS: u64 = 60;

/// Those that the others use too.
const PATTERNS: [&str; 6] = ["a.b", "a.*", "a.>", ">", "c", "*.b"];
const SUBJECTS: [&str; 5] = ["a.b", "a.c", "c", "x.b", "a.b.c"];

/// What one client has heard: payloads, headers, errors.
type Heard = (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<String>);

/// Ann is in one account, and bob, who is everybody without credentials, in another; joe is in none.
fn settings() -> Config {
    let user = |name: &str, account: Option<&str>| User {
        name: name.to_owned(),
        proof: "p".into(),
        account: account.map(str::to_owned),
        ..User::default()
    };
    let users = vec![
        user("ann", Some("A")),
        user("bob", Some("B")),
        user("joe", None),
    ];
    Config {
        auth: Auth::Users {
            users: users.into(),
            token: None,
        },
        accounts: Arc::new(
            ["A", "B"]
                .map(|name| (name.to_owned(), Account::default()))
                .into(),
        ),
        no_auth_user: Some("bob".to_owned()),
        pings_out_max: u32::MAX,
        ..Config::default()
    }
}

fn hello(user: &str) -> String {
    format!(
        "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true,\"user\":\"{user}\",\"pass\":\"p\"}}\r\n"
    )
}

/// The same numbers for the same seed, whatever else is played.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) % bound
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What a client does in a step.
fn words(dice: &mut Dice, step: u64) -> String {
    let (pattern, subject) = (dice.one_of(&PATTERNS), dice.one_of(&SUBJECTS));
    let text = format!("{subject} {step}");
    match dice.below(8) {
        0 => format!("SUB {pattern} {step}\r\n"),
        1 | 2 => format!("SUB {pattern} {} {step}\r\n", dice.one_of(&["q", "r"])),
        3 => format!("UNSUB {}\r\n", dice.below(step + 1)),
        4 => format!("UNSUB {} {}\r\n", dice.below(step + 1), 1 + dice.below(4)),
        // There is a responder or none.
        5 => format!("PUB {subject} inbox {}\r\n{text}\r\n", text.len()),
        _ => format!("PUB {subject} {}\r\n{text}\r\n", text.len()),
    }
}

/// Has a client say this, until it was done and all three have what came of it.
fn say(sim: &mut Sim, at: Stage, id: u64, words: &str) {
    let others = (1..=CLIENTS).map(|id| (id, ""));
    for (id, words) in std::iter::once((id, words)).chain(others) {
        let pongs = sim.with(at.1, |cx| {
            talker::say(cx, id, format!("{words}PING\r\n").as_bytes());
            cx.state[&id].pongs
        });
        wait(sim, "a PONG", |sim| {
            sim.with(at.1, |cx| cx.state[&id].pongs > pongs)
        });
    }
}

/// Others come, of two accounts.
fn disturb(sim: &mut Sim, at: Stage, others: HostId<Peers>, dice: &mut Dice, step: u64) {
    let broker = sim.addr(at.0, PORT);
    let id = 1_000 + step;
    let manner = Manner {
        broker,
        websocket: None,
        secure: false,
        acts: 1 + dice.below(20) as u32,
        payload_max: 300,
        batch_max: 8,
        echo: true,
        stalls: true,
        leaves: dice.below(3) == 0,
    };
    match dice.below(4) {
        0 => {
            let kind = hostile::KINDS[dice.below(6) as usize];
            let acts = 1 + dice.below(12);
            sim.with(others, |cx| {
                hostile::dial(cx, id, (kind, acts), 300, broker);
            });
        }
        1 => {
            let words = format!(
                "{}SUB > 1\r\nSUB a.* q 2\r\nPUB a.b 3\r\njoe\r\n",
                hello("joe")
            );
            join(sim, at, id, &words, Habit::Answers);
        }
        _ => sim.with(others, |cx| client::dial(cx, id, manner)),
    }
}

/// Plays the script of a seed; answers what the three have heard, and how many messages all others got.
fn play(seed: u64, has_others: bool) -> (Vec<Heard>, u64) {
    let mut sim = Sim::with_faults(seed, Faults::swarm(seed));
    let sim = &mut sim;
    let at = stage_with(sim, settings());
    let peers = Peers {
        stamp: Default::default(),
        logs: Default::default(),
    };
    let others = sim.host("others", peers, |_| Ok(()));
    for id in 1..=CLIENTS {
        let words = format!("{}SUB inbox i\r\n", hello("ann"));
        join(sim, at, id, &words, Habit::Listens);
    }
    let (mut script, mut noise) = (Dice(seed + 1), Dice(seed + 1_000_001));
    for step in 0..STEPS {
        if has_others && step % 4 == 0 {
            disturb(sim, at, others, &mut noise, step);
        }
        let id = 1 + script.below(CLIENTS);
        let words = words(&mut script, step);
        if has_others {
            sim.run_for(Duration::from_millis(noise.below(50)));
        }
        say(sim, at, id, &words);
    }
    let heard = sim.with(at.1, |cx| {
        let of = |id| {
            let one = &cx.state[&id];
            (
                one.payloads.clone(),
                one.headers.clone(),
                one.errors.clone(),
            )
        };
        (1..=CLIENTS).map(of).collect::<Vec<Heard>>()
    });
    // A status without a message has headers.
    let own = heard
        .iter()
        .map(|(payloads, headers, _)| payloads.len() - headers.len());
    let own: usize = own.sum();
    let all = sim.with(at.0, |cx| cx.state.stats().sent.messages);
    (heard, all - own as u64)
}

#[test]
fn what_the_clients_of_an_account_hear_is_the_same_with_and_without_other_accounts() {
    let (mut told, mut of_others) = (0, 0);
    for seed in 0..100 {
        let (alone, _) = play(seed, false);
        let (beside, others) = play(seed, true);
        assert_eq!(alone, beside, "seed {seed}");
        told += alone
            .iter()
            .map(|(payloads, ..)| payloads.len())
            .sum::<usize>();
        of_others += others;
    }
    assert!(told > 1_000, "the script says little: {told} messages");
    assert!(
        of_others > 1_000,
        "no others are beside them: {of_others} messages"
    );
}
