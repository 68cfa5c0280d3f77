//! What the system account is told from time to time, on a clock that the test moves.

use crate::broker;
use crate::talker::{self, Habit, Notes};
use midge::{Account, Auth, Config, User};
use midge_reactor::sim::{Faults, HostId, Sim};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A user of the system account, and one of another.
fn settings() -> Config {
    let user = |name: &str, account: &str| User {
        name: name.to_owned(),
        account: Some(account.to_owned()),
        ..User::default()
    };
    let accounts = ["$SYS", "A"].map(|name| (name.to_owned(), Account::default()));
    Config {
        auth: Auth::Users {
            users: vec![user("sys", "$SYS"), user("ann", "A")].into(),
            token: None,
        },
        accounts: Arc::new(accounts.into()),
        ..Config::default()
    }
}

/// A client, by its number, that comes as this user and listens to a subject.
fn come(sim: &mut Sim, host: HostId<Notes>, broker: SocketAddr, id: u64, says: &str) {
    let (user, subject) = says.split_once(' ').expect("a user and a subject");
    let words = format!("CONNECT {{\"verbose\":false,\"user\":\"{user}\"}}\r\nSUB {subject} 1\r\n");
    sim.with(host, |cx| {
        talker::dial(cx, id, broker, words.into_bytes(), Habit::Listens);
    });
}

/// What a client has heard since the last time.
fn heard(sim: &mut Sim, host: HostId<Notes>, id: u64) -> Vec<serde_json::Value> {
    let payloads = sim.with(host, |cx| {
        let heard = cx.state.get_mut(&id).expect("it has come");
        std::mem::take(&mut heard.payloads)
    });
    let events = payloads.iter().map(|text| serde_json::from_slice(text));
    events.collect::<Result<_, _>>().expect("events are JSON")
}

#[test]
fn the_counters_are_told_after_times_that_double_up_to_ten_seconds() {
    let mut sim = Sim::with_faults(1, Faults::none());
    let broker = broker(&mut sim, settings());
    let addr = sim.addr(broker, crate::PORT);
    let host = sim.host("clients", Notes::new(), |_| Ok(()));
    come(&mut sim, host, addr, 1, "sys $SYS.SERVER.*.STATSZ");
    let mut told = Vec::new();
    for second in 0..50 {
        // Between two seconds, since the first words take some time on their way.
        sim.run_for(if second == 0 { SECOND / 2 } else { SECOND });
        if !heard(&mut sim, host, 1).is_empty() {
            told.push(second);
        }
    }
    assert_eq!(told, [1, 3, 7, 15, 25, 35, 45]);
}

#[test]
fn the_connections_of_accounts_that_have_any_are_told_twice_a_minute() {
    let mut sim = Sim::with_faults(1, Faults::none());
    let broker = broker(&mut sim, settings());
    let addr = sim.addr(broker, crate::PORT);
    let host = sim.host("clients", Notes::new(), |_| Ok(()));
    come(&mut sim, host, addr, 1, "sys $SYS.ACCOUNT.A.SERVER.CONNS");
    sim.run_for(65 * SECOND);
    assert_eq!(heard(&mut sim, host, 1).len(), 0, "nobody was in it");
    for id in 2..5 {
        come(&mut sim, host, addr, id, "ann a");
    }
    sim.run_for(5 * SECOND);
    let changes = heard(&mut sim, host, 1);
    assert_eq!(changes.last().map(|event| &event["conns"]), Some(&3.into()));
    for _ in 0..4 {
        sim.run_for(30 * SECOND);
        let told = heard(&mut sim, host, 1);
        let conns: Vec<_> = told.iter().map(|event| event["conns"].as_u64()).collect();
        assert_eq!(conns, [Some(3)]);
    }
}

#[test]
fn a_loop_that_stood_still_is_told() {
    let mut sim = Sim::with_faults(1, Faults::none());
    let broker = broker(&mut sim, settings());
    let addr = sim.addr(broker, crate::PORT);
    let host = sim.host("clients", Notes::new(), |_| Ok(()));
    come(&mut sim, host, addr, 1, "sys $SYS.SERVER.*.MIDGE.LATE");
    sim.run_for(5 * SECOND);
    assert_eq!(heard(&mut sim, host, 1).len(), 0);
    sim.pause(broker, 3 * SECOND);
    sim.run_for(10 * SECOND);
    let told = heard(&mut sim, host, 1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["late"]["until"].is_string(), "{told:?}");
}
