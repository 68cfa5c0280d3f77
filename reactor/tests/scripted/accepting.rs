//! Listeners: budgets, errors, and what an accept may decide.

use crate::support::{Bench, Cx, Probe};
use midge_reactor::{Event, ListenOptions};
use std::cell::Cell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn a_backlog_longer_than_the_budget_is_accepted_over_several_turns_without_an_edge() {
    let mut bench = Bench::new();
    for _ in 0..200 {
        bench.dial(Probe::new("a"));
    }
    let mut accepted = Vec::new();
    for _ in 0..4 {
        bench.turn();
        accepted.push(bench.reactor.connections());
    }
    assert_eq!(accepted, [64, 128, 192, 200]);
}

#[test]
fn no_more_are_accepted_while_256_new_ones_wait_for_their_slice() {
    let mut bench = Bench::new();
    let addr = SocketAddr::from(([10, 0, 0, 1], 9));
    let (world, served) = (bench.world.clone(), Rc::new(Cell::new(0)));
    let count = Rc::clone(&served);
    let accept = move |_: &mut Cx<'_>| {
        let (world, count) = (world.clone(), Rc::clone(&count));
        Probe::new("costly").on_input(move |_, input| {
            input.take();
            world.stall(Duration::from_millis(3));
            count.set(count.get() + 1);
        })
    };
    let listened = bench.with(|cx| cx.listen_with(addr, &ListenOptions::default(), accept));
    listened.expect("the address is free");
    let peers: Vec<_> = (0..600).map(|_| bench.world.dial(addr)).collect();
    for peer in &peers {
        peer.send(b"x");
    }
    let mut waiting_most = 0;
    for _ in 0..600 {
        bench.turn();
        waiting_most = waiting_most.max(bench.reactor.connections() - served.get());
    }
    assert_eq!(served.get(), 600, "all are served in the end");
    // The last turn that accepts begins below the bound.
    assert!((256..=256 + 64).contains(&waiting_most), "{waiting_most}");
}

#[test]
fn others_are_served_while_a_backlog_is_accepted() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("echo"));
    for _ in 0..200 {
        bench.dial(Probe::new("a"));
    }
    peer.send(b"ping");
    bench.turn();
    assert_eq!(peer.text(), "ping");
    assert!(bench.reactor.connections() < 200);
}

#[test]
fn without_descriptors_the_backlog_waits_100_ms_and_is_served_without_an_edge() {
    let mut bench = Bench::new();
    bench.world.descriptors(1);
    let first = bench.dial(Probe::echo("first"));
    let second = bench.dial(Probe::echo("second"));
    bench.settle();
    assert_eq!(
        bench.told(),
        ["first open", "listener error: no descriptors"]
    );
    bench.advance(Duration::from_millis(99));
    assert_eq!(bench.told(), [""; 0], "it rests");
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.told(), ["listener error: no descriptors"]);
    bench.world.descriptors(usize::MAX);
    bench.advance(Duration::from_millis(100));
    assert_eq!(bench.told(), ["second open"]);
    for peer in [first, second] {
        peer.send(b"ping");
        bench.settle();
        assert_eq!(peer.text(), "ping");
    }
}

#[test]
fn want_of_descriptors_is_told_once_per_rest_and_does_not_spin() {
    let mut bench = Bench::new();
    bench.world.descriptors(0);
    bench.dial(Probe::new("a"));
    let polls = bench.world.polls();
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.told().len(), 11, "once at first, then every 100 ms");
    assert!(bench.world.polls() - polls < 40);
}

#[test]
fn a_listener_that_rests_is_not_woken_by_new_connections() {
    let mut bench = Bench::new();
    bench.world.descriptors(0);
    bench.dial(Probe::new("a"));
    bench.settle();
    bench.log();
    for _ in 0..3 {
        bench.dial(Probe::new("a"));
        bench.world.inject(Event::Ready {
            key: bench.listener,
            readable: true,
            writable: false,
            hangup: false,
        });
        bench.settle();
    }
    assert_eq!(bench.log(), [""; 0]);
    assert_eq!(bench.reactor.timer_count(), 1);
}

#[test]
fn a_listener_closed_while_it_rests_stays_closed() {
    let mut bench = Bench::new();
    bench.world.descriptors(0);
    bench.dial(Probe::new("a"));
    bench.settle();
    let listener = bench.listener;
    assert!(bench.with(|cx| cx.io.close(listener)));
    bench.log();
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.log(), ["close k0"]);
}

#[test]
fn a_connection_that_is_gone_before_it_is_accepted_does_not_hold_up_the_next() {
    let mut bench = Bench::new();
    for kind in [
        ErrorKind::ConnectionAborted,
        ErrorKind::Interrupted,
        ErrorKind::ConnectionReset,
    ] {
        bench.world.accept_error(kind);
        bench.world.dial(Bench::addr());
    }
    bench.dial(Probe::new("a"));
    bench.settle();
    assert_eq!(bench.told(), ["a open"]);
}

#[test]
fn an_accept_that_closes_is_closed_in_its_turn_without_being_opened() {
    let mut bench = Bench::new();
    let addr = SocketAddr::from(([10, 0, 0, 1], 1));
    bench.with(|cx| {
        cx.listen(addr, |cx: &mut Cx<'_>| {
            cx.close();
            Probe::new("refused")
        })
        .expect("the address is free");
    });
    let peer = bench.world.dial(addr);
    bench.turn();
    assert_eq!(bench.told(), ["refused close: closed"]);
    assert!(peer.closed());
    assert_eq!(bench.reactor.connections(), 0);
}

#[test]
fn last_words_of_an_accept_that_turns_the_peer_away_are_sent() {
    let mut bench = Bench::new();
    let addr = SocketAddr::from(([10, 0, 0, 1], 1));
    bench.with(|cx| {
        cx.listen(addr, |cx: &mut Cx<'_>| {
            cx.send(b"full");
            cx.close_after_write();
            Probe::new("late")
        })
        .expect("the address is free");
    });
    let peer = bench.world.dial(addr);
    bench.settle();
    assert_eq!(peer.text(), "full");
    assert!(peer.ended());
    peer.finish();
    bench.settle();
    assert!(peer.closed());
}

#[test]
fn connections_outlive_their_listener_and_its_address_is_free_again() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("a"));
    for _ in 0..2 {
        let listener = bench.listener;
        assert!(bench.with(|cx| {
            cx.listen(Bench::addr(), |_: &mut Cx<'_>| Probe::new("b"))
                .is_err()
        }));
        bench.with(|cx| cx.io.close(listener));
        bench.settle();
        let again = bench.with(|cx| cx.listen(Bench::addr(), |_: &mut Cx<'_>| Probe::new("b")));
        bench.listener = again.expect("it was closed");
    }
    peer.send(b"ping");
    bench.settle();
    assert_eq!(peer.text(), "ping");
    assert_eq!(bench.reactor.connections(), 1);
}

#[test]
fn listening_in_vain_leaves_nothing_behind() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        let error = bench.with(|cx| cx.listen(Bench::addr(), |_: &mut Cx<'_>| Probe::new("b")));
        assert_eq!(
            error.expect_err("the address is in use").kind(),
            ErrorKind::AddrInUse
        );
    }
    assert_eq!(bench.reactor.connections(), 0);
    let peer = bench.client(Probe::echo("a"));
    assert_eq!(peer.key().index(), 1);
}

#[test]
fn a_connection_knows_both_addresses_from_its_accept_to_its_close() {
    let mut bench = Bench::new();
    let tell = |cx: &mut Cx<'_>| {
        let (peer, local) = (cx.peer_addr(), cx.local_addr());
        cx.state.add(|| format!("{peer:?} {local:?}"));
    };
    let peer = bench.dial(Probe::new("a").on_open(tell).on_close(tell));
    bench.settle();
    peer.finish();
    bench.settle();
    let addresses = "Some(10.0.0.9:50001) Some(10.0.0.1:4222)";
    assert_eq!(
        bench.told(),
        [
            "a open",
            addresses,
            "a eof",
            "a close: closed by the peer",
            addresses
        ]
    );
}

#[test]
fn a_listener_accepts_no_more_in_a_turn_than_its_options_say_and_at_least_one() {
    for (accepts_max, expected) in [(3, [3, 6, 7]), (0, [1, 2, 3])] {
        let mut bench = Bench::new();
        let addr = SocketAddr::from(([10, 0, 0, 1], 9));
        let options = ListenOptions::default().accepts_max(accepts_max);
        let listened =
            bench.with(|cx| cx.listen_with(addr, &options, |_: &mut Cx<'_>| Probe::new("a")));
        listened.expect("the address is free");
        let _peers: Vec<_> = (0..7).map(|_| bench.world.dial(addr)).collect();
        let mut accepted = Vec::new();
        for _ in 0..3 {
            bench.turn();
            accepted.push(bench.reactor.connections());
        }
        assert_eq!(accepted, expected);
        bench.settle();
        assert_eq!(bench.reactor.connections(), 7, "the rest needs no edge");
    }
}

#[test]
fn a_listener_with_all_the_connections_it_may_have_accepts_the_next_when_one_has_gone() {
    let mut bench = Bench::new();
    let options = ListenOptions::default().connections_max(2);
    let addr = SocketAddr::from(([10, 0, 0, 1], 99));
    bench.with(|cx| {
        let accept = |_: &mut Cx<'_>| Probe::echo("one of two");
        cx.listen_with(addr, &options, accept).expect("it is free")
    });
    let peers: Vec<_> = (0..4).map(|_| bench.world.dial(addr)).collect();
    bench.settle();
    assert_eq!(bench.reactor.connections(), 2);
    peers[0].finish();
    bench.settle();
    assert_eq!(bench.reactor.connections(), 2, "the third has come");
    peers[2].send(b"ping");
    bench.settle();
    assert_eq!(
        (peers[2].text(), peers[3].text()),
        ("ping".into(), String::new())
    );
    peers[1].finish();
    peers[2].finish();
    bench.settle();
    peers[3].send(b"pong");
    bench.settle();
    assert_eq!(peers[3].text(), "pong");
    assert_eq!(bench.reactor.connections(), 1);
}
