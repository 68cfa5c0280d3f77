//! Panics: what goes on, what ends, who is told. Most scenes are played under both policies and
//! must look the same; only who hears of the panic differs.

use crate::support::{Bench, Cx, Log, Outcome, Probe};
use midge_reactor::{
    Close, Datagram, Event, Handler, Input, ListenOptions, PanicPolicy, ProxyEnd, ProxyOptions,
    Reactor, StreamOptions,
};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SIGNAL: i32 = 10;

/// A bench in which each panic is logged, by whoever hears of it.
fn bench(policy: PanicPolicy) -> Bench {
    let settings = Reactor::builder().on_panic(policy);
    Bench::built(settings.on_handler_panic(|cx: &mut Cx<'_>, _, message| {
        cx.state.add(|| format!("panic: {message}"));
    }))
}

/// Runs `work` until no panic leaves it.
fn through_panics(bench: &mut Bench, mut work: impl FnMut(&mut Bench)) {
    while let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(bench))) {
        let message = *payload.downcast::<&str>().expect("it has a message");
        bench.reactor.state.add(|| format!("panic: {message}"));
    }
}

fn settle(bench: &mut Bench) {
    through_panics(bench, Bench::settle);
}

/// Plays a scene under both policies.
fn both(scene: impl Fn(&mut Bench)) {
    for policy in [PanicPolicy::Propagate, PanicPolicy::CloseConnection] {
        let mut bench = bench(policy);
        scene(&mut bench);
        assert!(
            !bench.reactor.has_work(),
            "something is left under {policy:?}"
        );
    }
}

fn say(log: &Log, line: &str) {
    log.add(|| line.to_owned());
}

/// Work for places 1, 2 and 3, of which the second panics.
fn piece(at: u32) -> impl FnMut(&mut Cx<'_>) {
    move |cx| {
        say(cx.state, &format!("{at}"));
        assert!(at != 2, "two");
    }
}

#[test]
fn jobs_behind_a_panic_run_each_once() {
    both(|bench| {
        let remote = bench.reactor.remote();
        for at in 1..=3 {
            remote.post(move |cx| piece(at)(cx)).expect("it runs");
        }
        settle(bench);
        assert_eq!(bench.told(), ["1", "2", "panic: two", "3"]);
    });
}

#[test]
fn a_job_posted_after_a_panic_comes_behind_those_left_over() {
    let mut bench = bench(PanicPolicy::Propagate);
    let remote = bench.reactor.remote();
    for at in [2, 1] {
        remote.post(move |cx| piece(at)(cx)).expect("it runs");
    }
    assert!(catch_unwind(AssertUnwindSafe(|| bench.turn())).is_err());
    assert!(bench.reactor.has_work());
    remote.post(|cx| piece(3)(cx)).expect("it runs");
    bench.settle();
    assert_eq!(bench.told(), ["2", "1", "3"]);
}

#[test]
fn deferred_work_behind_a_panic_runs_each_once() {
    both(|bench| {
        bench.with(|cx| (1..=3).for_each(|at| cx.defer(piece(at))));
        settle(bench);
        assert_eq!(bench.told(), ["1", "2", "panic: two", "3"]);
    });
}

#[test]
fn timers_behind_a_panic_fire_each_once() {
    both(|bench| {
        for at in 1..=3 {
            bench.with(|cx| cx.after(MS, piece(at)));
        }
        through_panics(bench, |bench| bench.advance(MS));
        assert_eq!(bench.told(), ["1", "2", "panic: two", "3"]);
        assert_eq!(bench.reactor.timer_count(), 0);
    });
}

#[test]
fn a_panic_ends_a_periodic_timer_and_drops_its_closure() {
    for cancels in [false, true] {
        both(|bench| {
            let owned = Rc::new(());
            let (held, timer) = (Rc::clone(&owned), Rc::new(Cell::new(None)));
            let (mut at, own) = (0, Rc::clone(&timer));
            let armed = bench.with(|cx| {
                cx.every(MS, move |cx| {
                    let _ = &held;
                    at += 1;
                    if let (true, Some(timer)) = (cancels && at == 2, own.get()) {
                        assert!(cx.io.cancel(timer));
                    }
                    piece(at)(cx);
                })
            });
            timer.set(Some(armed));
            for _ in 0..5 {
                through_panics(bench, |bench| bench.advance(MS));
            }
            bench.settle();
            assert_eq!(bench.told(), ["1", "2", "panic: two"]);
            assert_eq!(bench.reactor.timer_count(), 0);
            assert_eq!(Rc::strong_count(&owned), 1);
            // The closure's place is free, and for one timer only.
            for name in ["a", "b"] {
                bench.with(|cx| cx.after(MS, move |cx| say(cx.state, name)));
            }
            bench.advance(MS);
            assert_eq!(bench.told(), ["a", "b"]);
        });
    }
}

#[test]
fn a_signal_reaches_all_who_asked_and_their_closures_stay() {
    both(|bench| {
        for at in 1..=3 {
            let watched = bench.with(|cx| cx.on_signals(&[SIGNAL], move |cx, _| piece(at)(cx)));
            watched.expect("the driver watches any signal");
        }
        for _ in 0..2 {
            bench.world.inject(Event::Signal(SIGNAL));
            settle(bench);
            assert_eq!(bench.told(), ["1", "2", "panic: two", "3"]);
        }
    });
}

/// Three clients; handlers say what they are told, and the second panics where `two` says.
fn three(bench: &mut Bench, two: Probe) -> [crate::support::Peer; 3] {
    [Probe::echo("one"), two, Probe::echo("three")].map(|probe| bench.client(probe))
}

#[test]
fn a_handler_that_panics_loses_its_connection_and_no_other_notices() {
    both(|bench| {
        let owned = Rc::new(());
        let held = Rc::clone(&owned);
        let two = Probe::new("two").on_input(move |cx, _| {
            let _ = &held;
            cx.send(b"an answer that is never finished");
            panic!("two");
        });
        let peers = three(bench, two);
        for peer in &peers {
            peer.send(b"hello");
        }
        settle(bench);
        assert_eq!(
            bench.told(),
            [
                "one input hello",
                "two input hello",
                "panic: two",
                "three input hello"
            ]
        );
        assert_eq!(Rc::strong_count(&owned), 1, "the handler is dropped");
        assert!(peers[1].closed());
        assert_eq!(peers[1].text(), "", "a broken handler's words are not sent");
        for peer in [&peers[0], &peers[2]] {
            peer.send(b", again");
        }
        settle(bench);
        assert_eq!([peers[0].text(), peers[2].text()], ["hello, again"; 2]);
        assert_eq!(bench.reactor.connections(), 2);
    });
}

#[test]
fn a_panic_with_much_unread_input_leaves_nothing_behind() {
    both(|bench| {
        let mut calls = 0;
        let two = Probe::new("two").on_input(move |_, input| {
            calls += 1;
            assert!(calls < 3, "two");
            input.consume(1);
        });
        let peers = three(bench, two);
        for _ in 0..3 {
            peers[1].send(&[7; 10_000]);
            settle(bench);
        }
        assert!(peers[1].closed());
        peers[0].send(&[1; 100_000]);
        settle(bench);
        assert_eq!(peers[0].received_len(), 100_000);
    });
}

#[test]
fn a_panic_on_opening_leaves_those_behind_it_to_be_opened() {
    both(|bench| {
        let two = Probe::new("two").on_open(|_| panic!("two"));
        let peers = [Probe::new("one"), two, Probe::new("three")].map(|probe| bench.dial(probe));
        settle(bench);
        assert_eq!(
            bench.told(),
            ["one open", "two open", "panic: two", "three open"]
        );
        assert!(peers[1].closed());
        assert_eq!(bench.reactor.connections(), 2);
    });
}

#[test]
fn a_panic_in_an_acceptor_costs_the_connection_and_the_rest_are_accepted() {
    both(|bench| {
        let addr = SocketAddr::from(([10, 0, 0, 1], 80));
        let mut count = 0;
        let listening = bench.with(|cx| {
            cx.listen(addr, move |_: &mut Cx<'_>| {
                count += 1;
                assert!(count != 2, "two");
                Probe::new("a")
            })
        });
        let listener = listening.expect("the address is free");
        let peers = [(); 3].map(|()| bench.world.dial(addr));
        settle(bench);
        assert_eq!(bench.told(), ["a open", "panic: two", "a open"]);
        assert!(peers[1].closed());
        assert_eq!(bench.reactor.connections(), 2);
        bench.world.dial(addr);
        settle(bench);
        assert_eq!(bench.told(), ["a open"]);
        assert!(bench.with(|cx| cx.io.close(listener)));
        bench.settle();
    });
}

#[test]
fn a_panic_in_on_timer_on_eof_or_on_drain_closes_without_on_close() {
    both(|bench| {
        let two = Probe::new("two").on_timer(|_, _| panic!("two"));
        let peers = three(bench, two);
        for peer in &peers {
            let key = peer.key();
            bench.with(|cx| cx.io.set_interval(key, MS, 1));
        }
        let mut time = MS;
        through_panics(bench, |bench| bench.advance(std::mem::take(&mut time)));
        assert_eq!(
            bench.told(),
            ["one timer 1", "two timer 1", "panic: two", "three timer 1"]
        );
        assert!(peers[1].closed());
        bench.advance(MS);
        assert_eq!(bench.told(), ["one timer 1", "three timer 1"]);
    });
    both(|bench| {
        let two = Probe::new("two").on_eof(|_| panic!("two"));
        let peers = three(bench, two);
        for peer in &peers {
            peer.finish();
        }
        settle(bench);
        let mut told = bench.told();
        told.retain(|line| line.contains("two"));
        assert_eq!(told, ["two eof", "panic: two"]);
        assert_eq!(bench.reactor.connections(), 0);
    });
    both(|bench| {
        let two = Probe::new("two").on_drain(|_| panic!("two"));
        let peers = three(bench, two);
        for peer in &peers {
            let key = peer.key();
            bench.with(|cx| {
                cx.io.watermarks(key, 1, 2, 100);
                cx.io.send(key, b"12345")
            });
        }
        settle(bench);
        assert_eq!(
            bench.told(),
            ["one drain", "two drain", "panic: two", "three drain"]
        );
        assert_eq!(peers.map(|peer| peer.text()), ["12345"; 3]);
    });
}

#[test]
fn a_panic_in_on_close_still_closes_this_socket_and_all_the_others() {
    both(|bench| {
        let two = Probe::new("two").on_close(|_| panic!("two"));
        let peers = three(bench, two);
        for peer in &peers {
            let key = peer.key();
            bench.with(|cx| cx.io.close(key));
        }
        settle(bench);
        assert_eq!(
            bench.told(),
            [
                "one close: closed",
                "two close: closed",
                "panic: two",
                "three close: closed"
            ]
        );
        assert!(peers.iter().all(crate::support::Peer::closed));
        assert_eq!(bench.reactor.connections(), 0);
        assert_eq!(bench.reactor.stats().closed, 3);
    });
}

#[test]
fn a_connection_in_the_slot_of_one_whose_on_close_panicked_stays_open() {
    both(|bench| {
        let [_, two, _] = three(bench, Probe::new("two").on_close(|_| panic!("two")));
        let key = two.key();
        bench.with(|cx| cx.io.close(key));
        let mut dialled = None;
        // The next one comes in the very turn that follows the panic.
        through_panics(bench, |bench| {
            bench.turn();
            dialled.get_or_insert_with(|| bench.dial(Probe::echo("next")));
        });
        settle(bench);
        let next = dialled.expect("somebody dials");
        next.send(b"x");
        settle(bench);
        assert_eq!(next.text(), "x");
        assert_eq!(bench.reactor.connections(), 3);
        assert_eq!(bench.reactor.stats().closed, 1);
    });
}

#[test]
fn a_panic_at_the_end_surfaces_and_the_others_are_told_all_the_same() {
    both(|bench| {
        let two = Probe::new("two").on_close(|_| panic!("two"));
        three(bench, two);
        for at in 1..=3 {
            bench.with(|cx| cx.on_shutdown(piece(at)));
        }
        bench.with(|cx| cx.io.stop());
        through_panics(bench, Bench::run);
        assert_eq!(
            bench.told(),
            [
                "3",
                "2",
                "panic: two",
                "1",
                "one close: reactor stopped",
                "two close: reactor stopped",
                "panic: two",
                "three close: reactor stopped"
            ]
        );
        assert_eq!(bench.world.open_sockets(), 0);
        // It is stopping for ever, which counts as work.
        assert!(bench.reactor.is_stopping());
        *bench = Bench::new();
    });
}

#[test]
fn what_a_handler_has_made_before_its_panic_lives_on() {
    both(|bench| {
        let addr = SocketAddr::from(([10, 0, 0, 2], 1));
        bench.world.answer(addr, Outcome::Open);
        let two = Probe::new("two").on_input(move |cx, _| {
            cx.connect(addr, Probe::new("made"));
            cx.defer(|cx| say(cx.state, "deferred"));
            panic!("two");
        });
        let peers = three(bench, two);
        peers[1].send(b"x");
        settle(bench);
        let mut told = bench.told();
        told.sort();
        assert_eq!(told, ["deferred", "made open", "panic: two", "two input x"]);
    });
}

#[test]
fn a_handler_that_closes_and_panics_is_closed_once() {
    both(|bench| {
        let two = Probe::new("two").on_input(|cx, _| {
            cx.close();
            panic!("two");
        });
        let peers = three(bench, two);
        peers[1].send(b"x");
        settle(bench);
        assert_eq!(bench.told(), ["two input x", "panic: two"]);
        assert_eq!(bench.reactor.stats().closed, 1);
        assert_eq!(bench.reactor.connections(), 2);
    });
}

#[test]
fn a_handler_whose_drop_panics_is_survived() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            // Not while something else unwinds: that would abort the process.
            assert!(std::thread::panicking(), "bomb");
        }
    }
    let mut bench = bench(PanicPolicy::CloseConnection);
    let armed = |panics: bool| {
        let bomb = Bomb;
        Probe::new("two").on_input(move |_, _| {
            let _ = &bomb;
            assert!(!panics, "two");
        })
    };
    for panics in [false, true] {
        let peers = three(&mut bench, armed(panics));
        peers[1].send(b"x");
        bench.settle();
        let key = peers[0].key();
        bench.with(|cx| cx.io.close(key));
        if !panics {
            peers[1].finish();
        }
        bench.settle();
        let mut told = bench.told();
        told.retain(|line| line.starts_with("panic"));
        assert_eq!(told, [if panics { "panic: two" } else { "panic: bomb" }]);
        assert!(peers[1].closed() && peers[0].closed());
    }
    assert_eq!(bench.reactor.connections(), 2);
}

#[test]
fn a_hook_hears_whose_handler_it_was_and_its_own_panic_goes_no_further() {
    let told = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&told);
    let settings = Reactor::builder()
        .on_panic(PanicPolicy::CloseConnection)
        .on_handler_panic(move |_: &mut Cx<'_>, key, message| {
            heard.borrow_mut().push((key, message.to_owned()));
            panic!("the hook too");
        });
    let mut bench = Bench::built(settings);
    let peer = bench.client(Probe::new("a").on_input(|_, _| panic!("{}", 6 * 7)));
    let key = peer.key();
    peer.send(b"x");
    bench.with(|cx| cx.defer(|_| std::panic::panic_any(7)));
    bench.settle();
    assert_eq!(
        *told.borrow(),
        [
            (key, "42".to_owned()),
            (
                midge_reactor::Key::NONE,
                "a panic without a message".to_owned()
            )
        ]
    );
    assert!(peer.closed());
    assert_eq!(bench.reactor.stats().panics, 2);
}

#[test]
fn a_panic_between_turns_goes_to_the_caller_under_either_policy() {
    both(|bench| {
        let addr = SocketAddr::from(([10, 0, 0, 1], 80));
        let left = catch_unwind(AssertUnwindSafe(|| {
            bench.with(|cx| {
                let listening =
                    cx.listen_with(addr, &ListenOptions::default(), |_: &mut Cx<'_>| {
                        Probe::new("late")
                    });
                assert!(listening.is_err(), "caller's own");
            });
        }));
        assert!(left.is_err());
        bench.world.dial(addr);
        bench.settle();
        assert_eq!(bench.told(), ["late open"]);
    });
}

#[test]
fn a_datagram_handler_that_panics_loses_its_socket_and_no_other_notices() {
    struct Two;
    impl Datagram<Log> for Two {
        fn on_packet(&mut self, cx: &mut Cx<'_>, _: SocketAddr, packet: &[u8]) {
            cx.state.add(|| format!("packet of {}", packet.len()));
            panic!("two");
        }

        fn on_close(&mut self, _: &mut Cx<'_>, _: &Close) {
            panic!("a broken handler is called");
        }
    }
    both(|bench| {
        let peer = bench.client(Probe::echo("one"));
        let addr = SocketAddr::from(([10, 0, 0, 1], 53));
        let key = bench.with(|cx| cx.udp(addr, Two)).expect("it is free");
        let from = SocketAddr::from(([10, 0, 0, 9], 1));
        for _ in 0..2 {
            bench.world.packet(key, from, &[0; 3_000]);
        }
        settle(bench);
        let mut told = bench.told();
        told.retain(|line| !line.starts_with("receive "));
        assert_eq!(told, ["packet of 3000", "panic: two"]);
        assert_eq!(bench.reactor.counts().udp_sockets, 0);
        peer.send(b"hello");
        settle(bench);
        assert_eq!(peer.text(), "hello");
    });
}

#[test]
fn a_reader_that_panics_costs_the_connection_it_feeds() {
    struct Bad;
    impl std::io::Read for Bad {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("two");
        }
    }
    both(|bench| {
        let peers = three(bench, Probe::new("two"));
        let key = peers[1].key();
        let streams = bench.with(|cx| cx.io.stream(key, Bad, &StreamOptions::default()));
        streams.expect("it is open");
        for peer in [&peers[0], &peers[2]] {
            peer.send(b"hello");
        }
        settle(bench);
        assert!(peers[1].closed());
        assert_eq!([peers[0].text(), peers[2].text()], ["hello"; 2]);
        assert_eq!(bench.reactor.connections(), 2);
    });
}

#[test]
fn a_source_that_panics_while_its_target_closes_takes_nothing_with_it() {
    struct Two;
    impl Handler<Log> for Two {
        fn on_input(&mut self, _: &mut Cx<'_>, _: &mut Input<'_>) {}

        fn on_proxy(&mut self, _: &mut Cx<'_>, _: ProxyEnd) {
            panic!("two");
        }
    }
    both(|bench| {
        let peers = [
            bench.client(Probe::new("one")),
            bench.client(Two),
            bench.client(Probe::new("three")),
        ];
        let [target, source, _] = [0, 1, 2].map(|at| peers[at].key());
        bench.with(|cx| {
            let proxied = cx.io.proxy(source, target, &ProxyOptions::default());
            proxied.expect("both are open");
        });
        settle(bench);
        bench.with(|cx| cx.io.close(target));
        settle(bench);
        let mut told = bench.told();
        told.retain(|line| line.starts_with("one close") || line.starts_with("panic"));
        assert_eq!(told, ["one close: closed", "panic: two"]);
        assert!(peers[0].closed() && peers[1].closed() && !peers[2].closed());
        assert_eq!(bench.reactor.connections(), 1);
    });
}

#[test]
fn a_panic_in_the_flush_leaves_no_count_behind_that_nobody_reads_for() {
    let mut bench = bench(PanicPolicy::Propagate);
    let mut sinks: Vec<_> = (0..99).map(|_| bench.client(Probe::new("sink"))).collect();
    let last = Probe::new("last").on_open(|cx| {
        let key = cx.key();
        cx.io.watermarks(key, 0, 1, 100);
    });
    sinks.push(bench.client(last.on_drain(|_| panic!("in the last write"))));
    let keys: Vec<_> = sinks.iter().map(crate::support::Peer::key).collect();
    let flood = bench.client(Probe::new("flood"));
    bench.world.write_takes(MS);
    bench.with(|cx| {
        for key in keys {
            cx.io.send(key, b"n");
        }
    });
    settle(&mut bench);
    assert_eq!(bench.told(), ["last drain", "panic: in the last write"]);
    // The second slice is that of a connection which has much.
    flood.send(&[b'x'; 20_000]);
    settle(&mut bench);
    assert_eq!(
        bench.told(),
        ["flood input 16384 bytes", "flood input 3616 bytes"]
    );
}
