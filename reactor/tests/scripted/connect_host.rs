//! Connections to names: one key from the lookup to the first address that answers.

use crate::support::{Bench, Outcome, Probe};
use midge_reactor::util::Reconnect;
use midge_reactor::{CONNECT_TIMEOUT, ConnectOptions, Key};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

fn far(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, last], 4222))
}

fn connect(bench: &mut Bench, handler: Probe) -> Key {
    bench.with(|cx| cx.connect_host("db:4222", handler))
}

/// The lookup has found addresses with these outcomes.
fn found(bench: &Bench, outcomes: &[Outcome]) {
    let addrs: Vec<SocketAddr> = (1..).map(far).take(outcomes.len()).collect();
    for (addr, outcome) in addrs.iter().zip(outcomes) {
        bench.world.answer(*addr, *outcome);
    }
    bench.world.found("db", Ok(addrs));
}

#[test]
fn the_addresses_are_tried_in_order_until_one_answers() {
    let mut bench = Bench::new();
    let key = connect(&mut bench, Probe::echo("a"));
    assert!(bench.with(|cx| cx.io.send(key, b"early")));
    bench.settle();
    assert_eq!(bench.with(|cx| cx.io.peer_addr(key)), None);
    assert_eq!(bench.log(), ["lookup db"]);
    use Outcome::{FailsAtOnce, Open, Refused};
    found(&bench, &[Refused, FailsAtOnce, Refused, Open, Open]);
    bench.settle();
    assert_eq!(
        bench.log(),
        [
            "connect k1",
            "close k1",
            "connect k1",
            "connect k1",
            "close k1",
            "connect k1",
            "a open",
            "write k1 5",
        ]
    );
    assert_eq!(bench.with(|cx| cx.io.peer_addr(key)), Some(far(4)));
    let peer = bench.world.called(far(4));
    assert_eq!(peer.text(), "early");
    peer.send(b" and late");
    bench.settle();
    assert_eq!(peer.text(), "early and late");
    assert_eq!(bench.reactor.timer_count(), 0, "its deadline is gone");
    assert_eq!(bench.reactor.connections(), 1);
}

#[test]
fn a_connection_that_fails_tells_the_name_and_what_was_wrong_with_the_last_address() {
    let mut bench = Bench::new();
    connect(&mut bench, Probe::new("a"));
    found(&bench, &[Outcome::FailsAtOnce, Outcome::Refused]);
    bench.settle();
    let told = "a close: connect failed: db:4222 (10.0.1.2:4222): connection refused";
    assert_eq!(bench.told(), ["lookup db", told]);
    assert_eq!(bench.reactor.timer_count(), 0);
    assert_eq!(bench.world.open_sockets(), 1, "more than the listener");
}

#[test]
fn a_lookup_that_fails_ends_the_connection() {
    let mut bench = Bench::new();
    let key = connect(&mut bench, Probe::new("a"));
    assert!(bench.with(|cx| cx.io.send(key, b"lost")));
    bench.world.found("db", Err(ErrorKind::NotFound.into()));
    bench.settle();
    let told =
        "a close: connect failed: db:4222: cannot resolve \"db\": entity not found, 4 unsent";
    assert_eq!(bench.told(), ["lookup db", told]);
    assert_eq!(
        (bench.reactor.connections(), bench.reactor.timer_count()),
        (0, 0)
    );
}

#[test]
fn a_text_that_names_nobody_fails_by_on_close_like_all_else() {
    for host in ["db", "db:http", ":4222", "::1:4222"] {
        let mut bench = Bench::new();
        bench.with(|cx| cx.connect_host(host, Probe::new("a")));
        assert_eq!(
            bench.told(),
            [""; 0],
            "nothing is called from inside the call"
        );
        bench.settle();
        let told = bench.told();
        let begin = format!("a close: connect failed: {host}: ");
        assert!(told.len() == 1 && told[0].starts_with(&begin), "{told:?}");
        assert_eq!((bench.world.lookups(), bench.reactor.timer_count()), (0, 0));
    }
}

#[test]
fn an_address_in_place_of_a_name_is_not_looked_up() {
    let mut bench = Bench::new();
    bench.world.answer(far(1), Outcome::Open);
    bench.with(|cx| cx.connect_host("10.0.1.1:4222", Probe::new("a")));
    bench.with(|cx| cx.connect_host("10.0.1.2:4222", Probe::new("b")));
    bench.settle();
    let refused = "b close: connect failed: 10.0.1.2:4222: connection refused";
    assert_eq!(bench.told(), ["a open", refused]);
}

#[test]
fn one_that_is_closed_while_its_name_is_looked_up_never_connects() {
    let mut bench = Bench::new();
    let key = connect(&mut bench, Probe::new("a"));
    assert!(bench.with(|cx| cx.io.close(key)));
    bench.settle();
    assert_eq!(bench.log(), ["lookup db", "a close: closed"]);
    assert_eq!(bench.reactor.timer_count(), 0);
    // The slot has another owner when the answer comes.
    bench.world.answer(far(9), Outcome::Silence);
    bench.with(|cx| cx.connect(far(9), Probe::new("b")));
    found(&bench, &[Outcome::Open]);
    bench.settle();
    assert_eq!(bench.log(), ["connect k1"]);
}

#[test]
fn one_that_is_closed_between_two_addresses_tries_no_other() {
    let mut bench = Bench::new();
    let key = connect(&mut bench, Probe::new("a"));
    found(&bench, &[Outcome::Silence, Outcome::Open]);
    bench.settle();
    assert!(bench.with(|cx| cx.io.close_after_write(key)));
    bench.advance(CONNECT_TIMEOUT);
    assert_eq!(
        bench.log(),
        ["lookup db", "connect k1", "a close: closed", "close k1"]
    );
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn addresses_that_never_answer_share_what_is_left_of_the_time() {
    let mut bench = Bench::new();
    connect(&mut bench, Probe::new("a"));
    bench.advance(Duration::from_secs(8));
    found(&bench, &[Outcome::Silence; 3]);
    bench.settle();
    assert_eq!(bench.log(), ["lookup db", "connect k1"]);
    for next in [["close k1", "connect k1"]; 2] {
        bench.advance(Duration::from_secs(4) - Duration::from_nanos(1));
        assert_eq!(bench.log(), [""; 0]);
        bench.advance(Duration::from_nanos(1));
        assert_eq!(bench.log(), next);
    }
    bench.advance(Duration::from_secs(4));
    assert_eq!(bench.log(), ["a close: connect timed out", "close k1"]);
    assert_eq!(bench.world.now().as_nanos(), 20_000_000_000);
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn an_address_after_one_that_never_answers_gets_its_turn_and_opens() {
    let mut bench = Bench::new();
    connect(&mut bench, Probe::new("a"));
    found(&bench, &[Outcome::Silence, Outcome::Open]);
    bench.advance(CONNECT_TIMEOUT);
    assert_eq!(bench.told(), ["lookup db", "a open"]);
    bench.advance(CONNECT_TIMEOUT);
    assert_eq!(bench.told(), [""; 0], "no deadline is left");
}

#[test]
fn a_lookup_that_never_ends_times_out_and_its_late_answer_is_ignored() {
    let mut bench = Bench::new();
    connect(&mut bench, Probe::new("a"));
    bench.advance(CONNECT_TIMEOUT);
    assert_eq!(bench.told(), ["lookup db", "a close: connect timed out"]);
    found(&bench, &[Outcome::Open]);
    bench.settle();
    assert_eq!(bench.log(), [""; 0]);
    assert_eq!(bench.reactor.connections(), 0);
}

#[test]
fn a_rumour_about_an_address_that_has_failed_does_not_open_the_next() {
    let mut bench = Bench::new();
    let key = connect(&mut bench, Probe::new("a"));
    found(&bench, &[Outcome::Refused, Outcome::Silence]);
    bench.settle();
    let (readable, writable, hangup) = (true, true, true);
    bench.world.inject(midge_reactor::Event::Ready {
        key,
        readable,
        writable,
        hangup,
    });
    bench.settle();
    assert_eq!(bench.told(), ["lookup db"]);
    bench.world.open(far(2));
    bench.settle();
    assert_eq!(bench.told(), ["a open"]);
}

#[test]
fn stopping_while_a_name_is_looked_up_tells_the_handler() {
    let mut bench = Bench::new();
    connect(&mut bench, Probe::new("a"));
    bench.with(|cx| cx.io.stop());
    bench.run();
    assert_eq!(bench.told(), ["lookup db", "a close: reactor stopped"]);
    found(&bench, &[Outcome::Open]);
}

#[test]
fn options_hold_for_each_address_that_is_tried() {
    let mut bench = Bench::new();
    let from = SocketAddr::from(([10, 0, 0, 7], 0));
    let options = ConnectOptions::default().local_addr(from);
    let probe = Probe::new("a");
    let key = bench.with(|cx| cx.connect_host_with("db:4222", &options, probe));
    found(&bench, &[Outcome::Refused, Outcome::Open]);
    bench.settle();
    let tried = "connect k1 from 10.0.0.7:0";
    assert_eq!(
        bench.log(),
        ["lookup db", tried, "close k1", tried, "a open"]
    );
    assert_eq!(bench.with(|cx| cx.io.local_addr(key)), Some(from));
}

#[test]
fn a_timeout_of_its_own_is_for_the_lookup_and_all_addresses_together() {
    let mut bench = Bench::new();
    let options = ConnectOptions::default().timeout(Duration::from_secs(3));
    let probe = Probe::new("a");
    bench.with(|cx| cx.connect_host_with("db:4222", &options, probe));
    bench.advance(Duration::from_secs(1));
    found(&bench, &[Outcome::Silence; 2]);
    bench.settle();
    assert_eq!(bench.log(), ["lookup db", "connect k1"]);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.log(), ["close k1", "connect k1"]);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.log(), ["a close: connect timed out", "close k1"]);
    assert_eq!(bench.world.now().as_nanos(), 3_000_000_000);
}

#[test]
fn a_connection_that_is_kept_up_is_made_with_its_options_each_time() {
    let mut bench = Bench::new();
    let from = SocketAddr::from(([10, 0, 0, 7], 0));
    let how = Reconnect::to("10.0.1.1:4222").options(ConnectOptions::default().local_addr(from));
    bench.with(|cx| {
        how.start(cx, |_, attempt| {
            (attempt.failures < 2).then(|| Probe::new("a"))
        })
    });
    bench.advance(CONNECT_TIMEOUT);
    let tried = "connect k1 from 10.0.0.7:0";
    assert_eq!(bench.calls("connect"), [tried; 2]);
}
