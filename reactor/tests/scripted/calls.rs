//! Calls between handlers, and writes that do not wait for the end of the turn.

use crate::support::{Bench, Catcher, Cx, Log, Probe};
use midge_reactor::{Context, Handler, Input, Key};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Counts what it is told by others.
#[derive(Default)]
struct Counter(u64);

impl Handler<Log> for Counter {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let count = self.0;
        let bytes = input.take().escape_ascii().to_string();
        cx.state.add(|| format!("counter {count} input {bytes}"));
    }
}

fn add(counter: &mut Counter, cx: &mut Cx<'_>) {
    counter.0 += 1;
    let count = counter.0;
    let index = cx.key().index();
    cx.state.add(|| format!("counter k{index} is {count}"));
}

fn call(cx: &mut Cx<'_>, key: Key) -> bool {
    cx.call(key, add)
}

#[test]
fn a_call_runs_when_the_callback_has_returned_and_before_anyone_else_has_a_turn() {
    let mut bench = Bench::new();
    let counter = bench.client(Counter::default());
    let key = counter.key();
    let caller = bench.client(Probe::new("caller").on_input(move |cx, input| {
        input.take();
        assert!(call(cx, key) && call(cx, key));
        cx.state.add(|| "caller returns".to_owned());
    }));
    let next = bench.client(Probe::new("next"));
    caller.send(b"x");
    next.send(b"y");
    bench.turn();
    let wanted = [
        "caller input x",
        "caller returns",
        "counter k1 is 1",
        "counter k1 is 2",
        "next input y",
    ];
    assert_eq!(bench.told(), wanted);
}

#[test]
fn calls_come_from_outside_from_timers_and_from_deferred_work_too() {
    let mut bench = Bench::new();
    let counter = bench.client(Counter::default());
    let key = counter.key();
    bench.with(|cx| assert!(call(cx, key)));
    assert_eq!(bench.told(), ["counter k1 is 1"]);
    bench.with(|cx| {
        cx.defer(move |cx| assert!(call(cx, key)));
        cx.after(Duration::from_secs(1), move |cx| assert!(call(cx, key)));
    });
    bench.advance(Duration::from_secs(2));
    assert_eq!(bench.told(), ["counter k1 is 2", "counter k1 is 3"]);
}

#[test]
fn a_call_of_nobody_or_of_another_type_is_answered_with_false_and_does_not_run() {
    let mut bench = Bench::new();
    let probe = bench.client(Probe::new("probe"));
    let counter = bench.client(Counter::default());
    let (probe, counter, listener) = (probe.key(), counter.key(), bench.listener);
    bench.with(|cx| {
        assert!(!call(cx, Key::NONE));
        assert!(!call(cx, listener));
        assert!(!call(cx, probe));
        assert!(call(cx, counter));
        // True as yet, and then it closes.
        cx.io.close(counter);
        assert!(!call(cx, counter));
    });
    bench.settle();
    assert!(!bench.with(|cx| call(cx, counter)));
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn a_connection_of_the_same_callback_can_be_called_and_a_wrong_guess_of_its_type_does_nothing() {
    let mut bench = Bench::new();
    let addr = std::net::SocketAddr::from(([10, 0, 0, 2], 80));
    bench.world.answer(addr, crate::support::Outcome::Silence);
    bench.with(|cx| {
        let counter = cx.connect(addr, Counter::default());
        let probe = cx.connect(addr, Probe::new("probe"));
        assert!(call(cx, counter) && call(cx, probe));
    });
    assert_eq!(bench.told(), ["counter k1 is 1"]);
}

#[test]
fn handlers_that_call_each_other_for_ever_do_not_stop_the_loop() {
    fn again(_: &mut Counter, cx: &mut Cx<'_>, others: [Key; 2], count: Rc<Cell<u64>>) {
        count.set(count.get() + 1);
        let to = others[usize::from(others[0] == cx.key())];
        let call = move |h: &mut Counter, cx: &mut Cx<'_>| again(h, cx, others, count);
        assert!(cx.call(to, call));
    }
    let mut bench = Bench::new();
    let keys = [(); 2].map(|()| bench.client(Counter::default()).key());
    let echo = bench.client(Probe::echo("echo"));
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    bench.with(move |cx| {
        let call = move |h: &mut Counter, cx: &mut Cx<'_>| again(h, cx, keys, counted);
        assert!(cx.call(keys[0], call));
    });
    echo.send(b"alive");
    let before = count.get();
    bench.turn();
    assert_eq!(echo.text(), "alive");
    assert!(count.get() > before, "they starve");
    bench.turn();
    bench.turn();
    let before = count.get();
    assert!(bench.reactor.has_work(), "it would sleep on them");
    bench.turn();
    assert!(count.get() > before, "it goes on without an event");
}

#[test]
fn an_urgent_answer_is_written_before_the_next_connection_is_read() {
    for urgent in [true, false] {
        let mut bench = Bench::new();
        let answer = move |cx: &mut Context<'_, Log>, input: &mut Input<'_>| {
            cx.send(input.take());
            if urgent {
                cx.flush_now();
                cx.flush_now();
            }
        };
        let first = bench.client(Probe::new("first").on_input(answer));
        let second = bench.client(Probe::echo("second"));
        first.send(b"a");
        second.send(b"b");
        bench.turn();
        let mut wanted = [
            "read k1 1",
            "first input a",
            "write k1 1",
            "read k2 1",
            "second input b",
        ];
        if !urgent {
            wanted[2..].rotate_left(1);
        }
        let log = bench.log();
        assert_eq!(log[..5], wanted);
        assert_eq!(
            log.iter()
                .filter(|line| line.starts_with("write k1"))
                .count(),
            1
        );
    }
}

#[test]
fn there_is_nothing_urgent_about_a_connection_that_is_not_open() {
    let mut bench = Bench::new();
    let addr = std::net::SocketAddr::from(([10, 0, 0, 2], 80));
    bench.world.answer(addr, crate::support::Outcome::Silence);
    bench.with(|cx| {
        let key = cx.connect(addr, Probe::new("slow"));
        cx.io.send(key, b"early");
        assert!(!cx.io.flush_now(key) && !cx.io.flush_now(Key::NONE));
    });
    bench.settle();
    bench.world.open(addr);
    bench.settle();
    assert_eq!(bench.world.called(addr).text(), "early");
}

/// Takes packets, and has no connection.
struct Deaf;

impl midge_reactor::Datagram<Log> for Deaf {
    fn on_packet(&mut self, _: &mut Cx<'_>, _: std::net::SocketAddr, _: &[u8]) {}
}

#[test]
fn a_datagram_socket_has_no_handler_to_be_called_and_nothing_to_relay() {
    let mut bench = Bench::new();
    let probe = bench.client(Probe::new("probe"));
    let addr = std::net::SocketAddr::from(([10, 0, 0, 1], 53));
    bench.with(|cx| {
        let udp = cx.udp(addr, Deaf).expect("the address is free");
        assert!(!call(cx, udp));
        let options = midge_reactor::ProxyOptions::default();
        assert!(cx.proxy(udp, probe.key(), &options).is_err());
        assert!(cx.proxy(probe.key(), udp, &options).is_err());
    });
}

#[test]
fn what_a_packet_asks_for_is_done_before_the_next_packet() {
    let mut bench = Bench::new();
    let counter = bench.client(Counter::default());
    let answered = bench.client(Probe::new("answered"));
    let (key, answers) = (counter.key(), answered.key());
    let addr = std::net::SocketAddr::from(([10, 0, 0, 1], 53));
    let udp = bench.with(|cx| {
        let catcher = Catcher::new("u").on_packet(move |cx, _, packet| {
            assert!(call(cx, key));
            cx.io.send(answers, packet);
            assert!(cx.io.flush_now(answers));
        });
        cx.udp(addr, catcher).expect("the address is free")
    });
    bench.settle();
    bench.log();
    bench.world.packet(udp, addr, b"a");
    bench.world.packet(udp, addr, b"b");
    bench
        .world
        .receive_error(udp, std::io::ErrorKind::ConnectionRefused);
    bench.turn();
    let wanted = [
        "receive k3 1",
        "u packet from 53 a",
        "write k2 1",
        "counter k1 is 1",
        "receive k3 1",
        "u packet from 53 b",
        "write k2 1",
        "counter k1 is 2",
    ];
    assert_eq!(bench.log()[..8], wanted);
}
