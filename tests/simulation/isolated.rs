//! Noninterference: what the clients of one account see does not depend on what those of others do.
//!
//! Each seed is a script for three clients of account A: they subscribe, join and leave queue groups, publish, ask, break
//! rules, and end subscriptions, one thing after the other, each awaited. It is played twice, alone, and beside clients of
//! four other accounts that do all sorts of things on the same subjects, harm among them. Every line that the clients of A
//! hear must be the same both times, texts of errors among them, and so must the choice among the members of groups, and
//! what A is told of its own figures: only when it comes may differ.
//!
//! ```text
//! account  who         apart                              shared
//! A        ann                                            offers svc and out.>, takes the stream to.a of D
//! B        bob, noise  offers a stream to C               the same
//! C        cat         takes it, and the service of D     the same
//! D        dan         offers a service to C              offers to.a, takes svc and out.> of A
//! $G       joe
//! ```
//!
//! Played *apart*, A has nothing to do with the others, among which messages cross. Played *shared*, some of A's messages
//! cross too, and those of D that come to A are left out of the comparison and of A's figures. They are known by their
//! payload, and must come to no other subjects than A's settings have for them. No queue group of A is on those: a choice
//! that such a message takes would make the next one another. Nor does A ask on the subjects that it offers as a stream,
//! since the status 503 depends on whether D listens. So that the imports are there both times, one client of D is, and
//! has asked once; it says nothing more.
//!
//! Streams come from B, whose noise knows its payloads and no other ones; the services are of D and of A.
//!
//! Kinds of leaks that were planted by hand, each of which a test has seen:
//!
//! * a route: what a subject has reached in one account is taken for all, while versions are equal
//! * a reply: an answer is delivered in the account of who serves (shared), or in a third one
//! * a queue group: choices in all accounts are drawn from one row of numbers
//! * a counter: a copy that has crossed counts for the account of its publisher (shared)
//! * an error: a limit that is lower while others have subscriptions, or a text that is another one then

use crate::client::{self, Manner, Peers};
use crate::hostile;
use crate::scenarios::{Stage, join, stage_with};
use crate::talker::{self, Habit, Heard};
use crate::{PORT, wait};
use midge::{
    Account, AccountLimits, Auth, Config, Export, Import, Permission, Permissions, Subjects,
    Subscriptions, User,
};
use midge_reactor::sim::{Faults, HostId, Sim};
use std::sync::Arc;
use std::time::Duration;

const CLIENTS: u64 = 3;
const STEPS: u64 = 60;

/// In account A as well: one that asks for the figures, one that serves, and one that hears all that is shared.
const AUDITOR: u64 = 4;
const SERVER: u64 = 5;
const WITNESS: u64 = 6;
/// A client of D that is there from the first, where D shares with A; and the one that serves where it does not.
const IDLE: u64 = 7;
const DAN: u64 = 900;

/// Those that the others use too.
const PATTERNS: [&str; 6] = ["a.b", "a.*", "a.>", ">", "c", "*.b"];
const SUBJECTS: [&str; 5] = ["a.b", "a.c", "c", "x.b", "a.b.c"];

/// With this begin the payloads that come to A, and the subjects that they come to.
const SHARED: &[u8] = b"shared";

/// What A and the others have to do with each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Relation {
    Apart,
    Shared,
}

impl Relation {
    /// Those of A that are there from the first.
    fn own(self) -> &'static [u64] {
        match self {
            Relation::Apart => &[1, 2, 3, AUDITOR],
            Relation::Shared => &[1, 2, 3, AUDITOR, SERVER, WITNESS],
        }
    }

    fn settings(self) -> Config {
        settings(self).expect("the settings make sense")
    }
}

/// Bob is everybody without credentials; joe is in no account.
fn settings(relation: Relation) -> Result<Config, Box<dyn std::error::Error>> {
    let user = |name: &str, account: Option<&str>| User {
        name: name.to_owned(),
        proof: "p".into(),
        account: account.map(str::to_owned),
        ..User::default()
    };
    let permissions = Permissions {
        publish: Permission {
            deny: Subjects::new(["denied"]),
            ..Permission::default()
        },
        subscribe: Permission {
            deny: Subscriptions::parse(["denied"])?,
            ..Permission::default()
        },
        responses: None,
    };
    let ann = User {
        permissions: Some(permissions.into()),
        ..user("ann", Some("A"))
    };
    let users = vec![
        ann,
        user("bob", Some("B")),
        user("cat", Some("C")),
        user("dan", Some("D")),
        user("joe", None),
    ];
    let own = Account {
        limits: AccountLimits {
            connections_max: Some(relation.own().len()),
            subscriptions_max: Some(7),
            ..AccountLimits::default()
        },
        ..Account::default()
    };
    let (own, dans) = match relation {
        Relation::Apart => (
            own,
            Account {
                exports: vec![Export::service("a.c")?],
                ..Account::default()
            },
        ),
        Relation::Shared => (
            Account {
                exports: vec![Export::service("shared.svc")?, Export::stream("out.>")?],
                imports: vec![Import::stream("D", "to.a")?.to("shared.in")?],
                ..own
            },
            Account {
                exports: vec![Export::service("a.c")?, Export::stream("to.a")?],
                imports: vec![
                    Import::service("A", "shared.svc")?,
                    Import::stream("A", "out.>")?,
                ],
                ..Account::default()
            },
        ),
    };
    let bobs = Account {
        exports: vec![Export::stream("a.>")?],
        ..Account::default()
    };
    let cats = Account {
        imports: vec![Import::stream("B", "a.>")?, Import::service("D", "a.c")?],
        ..Account::default()
    };
    let system = Account::default();
    let accounts = [
        ("A", own),
        ("B", bobs),
        ("C", cats),
        ("D", dans),
        ("$SYS", system),
    ];
    Ok(Config {
        auth: Auth::Users {
            users: users.into(),
            token: None,
        },
        accounts: Arc::new(
            accounts
                .map(|(name, account)| (name.to_owned(), account))
                .into(),
        ),
        no_auth_user: Some("bob".to_owned()),
        pings_out_max: u32::MAX,
        ..Config::default()
    })
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
fn words(dice: &mut Dice, relation: Relation, step: u64) -> String {
    let (mut pattern, subject) = (dice.one_of(&PATTERNS), dice.one_of(&SUBJECTS));
    if relation == Relation::Shared && pattern == ">" {
        pattern = "out.*";
    }
    let text = format!("{subject} {step}");
    match dice.below(12) {
        0 => format!("SUB {pattern} {step}\r\n"),
        1 | 2 => format!("SUB {pattern} {} {step}\r\n", dice.one_of(&["q", "r"])),
        3 => format!("UNSUB {}\r\n", dice.below(step + 1)),
        4 => format!("UNSUB {} {}\r\n", dice.below(step + 1), 1 + dice.below(4)),
        // There is a responder or none.
        5 => format!("PUB {subject} inbox {}\r\n{text}\r\n", text.len()),
        6 => format!("PUB out.b {}\r\n{text}\r\n", text.len()),
        7 => format!("SUB denied {step}\r\nPUB denied 1\r\nx\r\nSUB a..b {step}\r\n"),
        _ => format!("PUB {subject} {}\r\n{text}\r\n", text.len()),
    }
}

/// Has a client say this, until it was done and all of its account have what came of it.
fn say(sim: &mut Sim, at: Stage, relation: Relation, id: u64, words: &str) {
    let others = relation.own().iter().map(|id| (*id, ""));
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

/// Another one comes with these words, and is turned away.
fn come_in_vain(sim: &mut Sim, at: Stage, id: u64, words: &str) {
    let addr = sim.addr(at.0, PORT);
    let words = words.as_bytes().to_vec();
    sim.with(at.1, |cx| {
        talker::dial(cx, id, addr, words, Habit::Listens);
    });
    wait(sim, "the end of one that was turned away", |sim| {
        sim.with(at.1, |cx| cx.state[&id].ended)
    });
}

/// What a client of D says when it comes: to A, where they share, and on the subjects that A has for itself.
fn words_of_dan(step: u64) -> String {
    let own = "SUB inbox 1\r\nSUB a.* q 2\r\nSUB out.> 3\r\nPUB inbox 3\r\ndan\r\nPUB a.b inbox 3\r\ndan\r\n";
    let (news, ask) = (format!("shared {step}"), format!("shared ask {step}"));
    format!(
        "{}{own}PUB to.a {}\r\n{news}\r\nPUB shared.svc inbox {}\r\n{ask}\r\n",
        hello("dan"),
        news.len(),
        ask.len()
    )
}

/// Others come, of other accounts.
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
    match dice.below(6) {
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
        2 => {
            let words = "SUB a.> 1\r\nSUB inbox 2\r\nSUB > q 3\r\nPUB a.c inbox 3\r\ncat\r\n";
            join(sim, at, id, &(hello("cat") + words), Habit::Listens);
        }
        3 => join(sim, at, id, &words_of_dan(step), Habit::Listens),
        _ => sim.with(others, |cx| client::dial(cx, id, manner)),
    }
}

/// Messages and their bytes.
type Figures = (i64, i64);

/// What one client has heard: of each message head and payload, then headers and errors.
type Lines = (Vec<(String, String)>, Vec<String>, Vec<String>);

/// What came of a play.
#[derive(Debug)]
struct Seen {
    /// By the clients of A, without what was shared.
    heard: Vec<Lines>,
    /// By those that were turned away.
    turned_away: Vec<Vec<String>>,
    /// What A is told of itself: connections, subscriptions, slow consumers.
    figures: [Option<u64>; 3],
    /// What was published in A and what was delivered in it, without what was shared.
    received: Figures,
    sent: Figures,
}

impl Seen {
    /// One thing after the other, so that what differs is told and not all.
    fn assert_is(&self, other: &Seen, seed: u64) {
        let pairs = self.heard.iter().zip(&other.heard);
        for (place, ((messages, statuses, errors), others)) in pairs.enumerate() {
            let of = format!("seed {seed}, client {place} of A, alone and beside others");
            let mut lines = messages.iter().zip(&others.0);
            if let Some((one, other)) = lines.find(|(one, other)| one != other) {
                panic!("{of}: {one:?}, {other:?}");
            }
            assert_eq!(messages.len(), others.0.len(), "{of}: messages");
            assert_eq!(*statuses, others.1, "{of}: headers");
            assert_eq!(*errors, others.2, "{of}: errors");
        }
        assert_eq!(self.turned_away, other.turned_away, "seed {seed}");
        assert_eq!(self.figures, other.figures, "seed {seed}");
        assert_eq!(self.received, other.received, "seed {seed}: received");
        assert_eq!(self.sent, other.sent, "seed {seed}: sent");
    }
}

/// What others have come to in a play.
#[derive(Debug, Default)]
struct Beside {
    /// Messages that they got.
    messages: u64,
    /// Of these, those that have crossed: streams and answers among the others, what A got, and what A gave.
    among: usize,
    to_own: usize,
    from_own: usize,
}

impl Beside {
    /// What has crossed to a client of another account.
    fn count(&mut self, one: &Heard) {
        let to_cat = one.heads.iter().filter(|head| *head == "inbox 2");
        self.among += to_cat.count() + one.headers.len();
        let answers = one.payloads.iter();
        let answers = answers.filter(|payload| payload.starts_with(b"shared ask"));
        let streamed = one.heads.iter().filter(|head| head.starts_with("out.b "));
        self.from_own += answers.count() + streamed.count();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Tells what a client of A has heard apart from what was shared, which is counted.
fn lines(id: u64, one: &Heard) -> (Lines, Figures) {
    let all = one.heads.iter().zip(&one.payloads);
    let (shared, own): (Vec<_>, Vec<_>) = all.partition(|(_, payload)| payload.starts_with(SHARED));
    for (head, payload) in &shared {
        let is_meant = match id {
            SERVER => head.starts_with("shared.svc s _R_."),
            WITNESS => ["shared.svc w", "shared.in w", "_R_."]
                .iter()
                .any(|meant| head.starts_with(meant)),
            _ => false,
        };
        assert!(is_meant, "{id} got {head}: {:?}", text(payload));
    }
    let tells_requester = |header: &&Vec<u8>| text(header).contains("Nats-Request-Info");
    let (requests, statuses): (Vec<_>, Vec<_>) = one.headers.iter().partition(tells_requester);
    let bytes = shared.iter().map(|(_, payload)| payload.len());
    let bytes = bytes.chain(requests.iter().map(|header| header.len()));
    let figures = (shared.len() as i64, bytes.sum::<usize>() as i64);
    let own = own
        .iter()
        .map(|(head, payload)| ((*head).clone(), text(payload)));
    let statuses = statuses.iter().map(|header| text(header));
    let lines = (own.collect(), statuses.collect(), one.errors.clone());
    (lines, figures)
}

/// What A is told of itself.
fn ask_for_figures(sim: &mut Sim, at: Stage) -> serde_json::Value {
    sim.with(at.1, |cx| {
        let ask = b"PUB $SYS.REQ.ACCOUNT.PING.STATZ statz 0\r\n\r\n";
        talker::say(cx, AUDITOR, ask);
    });
    wait(sim, "the figures", |sim| {
        sim.with(at.1, |cx| !cx.state[&AUDITOR].payloads.is_empty())
    });
    let told = sim.with(at.1, |cx| cx.state[&AUDITOR].payloads[0].clone());
    let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
    let all = &told["data"]["account_statz"];
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(all[0]["acc"], "A");
    all[0].clone()
}

/// Plays the script of a seed.
fn play(seed: u64, relation: Relation, has_others: bool) -> (Seen, Beside) {
    let mut sim = Sim::with_faults(seed, Faults::swarm(seed));
    let sim = &mut sim;
    let at = stage_with(sim, relation.settings());
    let peers = Peers {
        stamp: Default::default(),
        logs: Default::default(),
    };
    let others = sim.host("others", peers, |_| Ok(()));
    for id in relation.own() {
        let (words, habit) = match *id {
            AUDITOR => ("SUB statz s\r\n", Habit::Listens),
            SERVER => ("SUB shared.svc s\r\n", Habit::Answers),
            WITNESS => ("SUB shared.> w\r\nSUB _R_.> w2\r\n", Habit::Listens),
            _ => ("SUB inbox i\r\n", Habit::Listens),
        };
        join(sim, at, *id, &(hello("ann") + words), habit);
    }
    match relation {
        Relation::Apart if has_others => {
            join(
                sim,
                at,
                DAN,
                &(hello("dan") + "SUB a.c 1\r\n"),
                Habit::Answers,
            );
        }
        Relation::Apart => {}
        Relation::Shared => join(sim, at, IDLE, &words_of_dan(0), Habit::Listens),
    }
    let mut turned_away = Vec::new();
    let (mut script, mut noise) = (Dice(seed + 1), Dice(seed + 1_000_001));
    for step in 0..STEPS {
        if has_others && step % 4 == 0 {
            disturb(sim, at, others, &mut noise, step);
        }
        let id = 1 + script.below(CLIENTS);
        let words = words(&mut script, relation, step);
        if has_others {
            sim.run_for(Duration::from_millis(noise.below(50)));
        }
        say(sim, at, relation, id, &words);
        if step % 20 == 10 {
            for (id, words) in [
                (100 + step, hello("ann")),
                (200 + step, hello("ann").replace("\"p\"", "\"wrong\"")),
            ] {
                come_in_vain(sim, at, id, &words);
                turned_away.push(sim.with(at.1, |cx| cx.state[&id].errors.clone()));
            }
        }
    }
    // What D has asked of A is there after the first round, and has its answer after the second.
    for _ in 0..2 {
        say(sim, at, relation, AUDITOR, "");
    }
    let (mut heard, mut beside) = (Vec::new(), Beside::default());
    let (mut sent_shared, mut received_shared) = ((0, 0), (0, 0));
    sim.with(at.1, |cx| {
        for id in relation.own() {
            let one = &cx.state[id];
            let (lines, shared) = lines(*id, one);
            heard.push(lines);
            beside.to_own += shared.0 as usize;
            sent_shared = (sent_shared.0 + shared.0, sent_shared.1 + shared.1);
            if *id == SERVER {
                // Each is answered with its own payload.
                let bytes: usize = one.payloads.iter().map(Vec::len).sum();
                received_shared = (shared.0, bytes as i64);
            }
        }
        let others = cx.state.iter();
        let others = others.filter(|(id, _)| **id == IDLE || **id >= DAN);
        others.for_each(|(_, one)| beside.count(one));
    });
    // The answer may come to those of A that listen to all, and is not the same both times.
    let told = ask_for_figures(sim, at);
    let figure = |name: &str| told[name].as_u64();
    let traffic = |name: &str, shared: Figures| {
        let of = |part: &str| told[name][part].as_i64().expect("a number");
        (of("msgs") - shared.0, of("bytes") - shared.1)
    };
    let (sent, received) = (
        traffic("sent", sent_shared),
        traffic("received", received_shared),
    );
    let all = sim.with(at.0, |cx| cx.state.stats().sent.messages);
    beside.messages = all.saturating_sub((sent.0 + sent_shared.0) as u64);
    let seen = Seen {
        heard,
        turned_away,
        figures: ["conns", "num_subscriptions", "slow_consumers"].map(figure),
        received,
        sent,
    };
    (seen, beside)
}

/// Plays each seed both times; answers what was told, and what others have come to.
fn compare(seeds: u64, relation: Relation) -> Beside {
    let mut sum = Beside::default();
    let (mut told, mut errors) = (0, 0);
    for seed in 0..seeds {
        let (alone, _) = play(seed, relation, false);
        let (with_others, beside) = play(seed, relation, true);
        alone.assert_is(&with_others, seed);
        for (messages, _, texts) in &alone.heard {
            told += messages.len();
            errors += texts.len();
        }
        let refused = [
            "maximum account active connections exceeded",
            "Authorization Violation",
        ];
        let refused = refused.map(|text| vec![text.to_owned()]);
        assert_eq!(alone.turned_away, [&refused[..]; 3].concat(), "seed {seed}");
        sum.messages += beside.messages;
        sum.among += beside.among;
        sum.to_own += beside.to_own;
        sum.from_own += beside.from_own;
    }
    let seeds = seeds as usize;
    assert!(told > 10 * seeds, "the script says little: {told} messages");
    assert!(errors > seeds, "few rules are broken: {errors} errors");
    assert!(
        sum.messages > 10 * seeds as u64,
        "nobody is beside them: {sum:?}"
    );
    sum
}

#[test]
fn what_the_clients_of_an_account_hear_is_the_same_with_and_without_other_accounts() {
    let beside = compare(100, Relation::Apart);
    assert!(beside.among > 100, "little crosses: {beside:?}");
    assert_eq!((beside.to_own, beside.from_own), (0, 0));
}

#[test]
fn what_an_account_shares_with_another_one_changes_nothing_else_for_its_clients() {
    let beside = compare(60, Relation::Shared);
    assert!(beside.to_own > 300, "little comes to A: {beside:?}");
    assert!(beside.from_own > 300, "little comes from A: {beside:?}");
}
