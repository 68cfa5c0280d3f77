//! A turn is for all: each step ends when its time or its output is spent, goes on in the next turn,
//! and those who use little come first.

use crate::support::{Bench, Cx, Peer, Probe};
use midge_reactor::Key;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const MILLI: Duration = Duration::from_millis(1);

/// A connection whose handler needs `time` for whatever comes.
fn costly(bench: &mut Bench, name: &'static str, time: Duration) -> Peer {
    let world = bench.world.clone();
    let handler = Probe::new(name).on_input(move |cx, input| {
        input.take();
        world.stall(time);
        cx.send(b".");
    });
    bench.client(handler)
}

/// One that sends "news" to all `sinks`, whatever it is asked.
fn fan(bench: &mut Bench, sinks: &[Peer]) -> Peer {
    let all: Vec<_> = sinks.iter().map(Peer::key).collect();
    bench.client(Probe::new("fan").on_input(move |cx, input| {
        input.take();
        for key in &all {
            cx.io.send(*key, b"news");
        }
    }))
}

#[test]
fn input_ends_when_its_time_is_spent_and_the_rest_comes_first_in_the_next_turn() {
    let mut bench = Bench::new();
    let names = ["a", "b", "c", "d", "e"];
    let peers = names.map(|name| costly(&mut bench, name, 3 * MILLI));
    for peer in &peers {
        peer.send(b"x");
    }
    for expected in [&["a input x", "b input x"][..], &["c input x", "d input x"]] {
        bench.turn();
        assert_eq!(bench.told(), expected);
        assert!(bench.reactor.has_work(), "the next turn does not wait");
    }
    // What was done has left already.
    assert_eq!(peers.each_ref().map(Peer::text), [".", ".", ".", ".", ""]);
    bench.turn();
    assert_eq!(bench.told(), ["e input x"]);
}

#[test]
fn the_time_of_a_call_between_handlers_is_of_the_turn_and_the_next_slice_does_not_pay_for_it() {
    let mut bench = Bench::new();
    let world = bench.world.clone();
    let called = bench.client(Probe::new("called")).key();
    let caller = bench.client(Probe::new("caller").on_input(move |cx, input| {
        input.take();
        let world = world.clone();
        assert!(cx.call(called, move |_: &mut Probe, _: &mut Cx<'_>| {
            world.stall(3 * MILLI);
        }));
    }));
    let next = bench.client(Probe::new("next"));
    let last = costly(&mut bench, "last", MILLI / 10);
    for _ in 0..3 {
        caller.send(b"x");
        next.send(b"y");
        bench.turn();
    }
    bench.log();
    // It would come behind the other, if it had paid.
    next.send(b"y");
    last.send(b"z");
    bench.turn();
    assert_eq!(bench.told(), ["next input y", "last input z"]);
}

#[test]
fn input_ends_when_the_output_of_all_is_spent() {
    let mut bench = Bench::new();
    let block = vec![b'o'; 3 << 20];
    let peers: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|name| {
            let block = block.clone();
            bench.client(Probe::new(name).on_input(move |cx, input| {
                input.take();
                cx.send(&block);
            }))
        })
        .collect();
    for peer in &peers {
        peer.send(b"x");
    }
    bench.turn();
    assert_eq!(bench.told(), ["a input x", "b input x"]);
    bench.turn();
    assert_eq!(bench.told(), ["c input x"]);
}

#[test]
fn who_asks_little_comes_before_those_who_flood_and_one_of_these_in_each_turn_all_the_same() {
    let mut bench = Bench::new();
    let floods = ["f", "g", "h"].map(|name| costly(&mut bench, name, 5 * MILLI));
    let little = bench.client(Probe::new("little").on_input(|cx, input| {
        cx.send(input.take());
    }));
    for flood in &floods {
        // More than anyone may say at once, for many turns.
        flood.send(&vec![b'x'; 4 << 20]);
    }
    for _ in 0..3 {
        bench.turn();
    }
    bench.log();
    for round in 0..12 {
        little.send(b"?");
        let (told, writes) = turn(&mut bench);
        let floods = told.iter().filter(|line| !line.starts_with("little"));
        assert_eq!(
            (told[0].as_str(), floods.count()),
            ("little input ?", 1),
            "round {round}"
        );
        // Also of what is written.
        assert_eq!(writes[0], little.key().index(), "round {round}");
    }
}

#[test]
fn the_flush_ends_when_its_time_is_spent_and_what_a_light_connection_caused_leaves_first() {
    let mut bench = Bench::new();
    let sinks: Vec<_> = (0..100).map(|_| bench.client(Probe::new("sink"))).collect();
    let last = sinks[99].key();
    let fan = fan(&mut bench, &sinks);
    let asker = bench.client(Probe::new("asker").on_input(move |cx, input| {
        input.take();
        cx.io.send(last, b" and more");
        cx.send(b"done");
    }));
    bench.world.write_takes(MILLI / 10);
    fan.send(b"x");
    let (_, first) = turn(&mut bench);
    // Sixteen with the light one that asked, and as many of the rest as come between two looks at the clock beside it.
    assert_eq!(first.len(), 16 + 2);
    // It still waits for the news, and not for its turn.
    assert_eq!(sinks[99].text(), "");
    asker.send(b"x");
    let (_, second) = turn(&mut bench);
    assert_eq!(second[..2], [last.index(), asker.key().index()]);
    assert_eq!(sinks[99].text(), "news and more");
    bench.settle();
    for (number, sink) in sinks.iter().enumerate().take(99) {
        assert_eq!(sink.text(), "news", "sink {number}");
    }
}

#[test]
fn a_reply_leaves_with_the_light_ones_though_a_fan_out_has_put_its_connection_with_the_heavy() {
    let mut bench = Bench::new();
    let targets: Rc<RefCell<Vec<Key>>> = Rc::default();
    let all = Rc::clone(&targets);
    let fan = bench.client(Probe::new("fan").on_input(move |cx, input| {
        input.take();
        for key in all.borrow().iter() {
            // With room behind it that the next send need not look for.
            let writer = cx.io.writer(*key, 100);
            writer.expect("it is open").put(b"news ");
        }
    }));
    let sinks: Vec<_> = (0..100)
        .map(|_| bench.client(Probe::echo("sink")))
        .collect();
    targets.borrow_mut().extend(sinks.iter().map(Peer::key));
    fan.send(b"x");
    sinks[99].send(b"and more");
    let (_, writes) = turn(&mut bench);
    let place = writes
        .iter()
        .position(|index| *index == sinks[99].key().index());
    assert_eq!(place, Some(16), "behind those that a slice may cause");
    assert_eq!(sinks[99].text(), "news and more");
}

#[test]
fn who_has_paid_back_what_it_owed_comes_with_the_light_ones_although_it_waits_with_the_heavy() {
    let mut bench = Bench::new();
    let floods = ["f", "g", "h", "i"].map(|name| costly(&mut bench, name, 5 * MILLI));
    let debtor = costly(&mut bench, "debtor", 5 * MILLI);
    for flood in &floods {
        flood.send(&vec![b'x'; 4 << 20]);
    }
    for _ in &floods {
        bench.turn();
    }
    debtor.send(b"x");
    bench.turn();
    bench.log();
    debtor.send(b"y");
    let (told, _) = turn(&mut bench);
    assert!(!told.iter().any(|line| line.starts_with("debtor")));
    bench.world.stall(110 * MILLI);
    let (told, _) = turn(&mut bench);
    assert_eq!(told[0], "debtor input y");
}

#[test]
fn newcomers_with_much_to_do_come_behind_those_that_ask_little_and_get_their_share() {
    let mut bench = Bench::new();
    let little = bench.client(Probe::echo("little"));
    bench.meet(&[&little]);
    let newcomers: Vec<_> = (0..20).map(|_| costly(&mut bench, "new", MILLI)).collect();
    for newcomer in &newcomers {
        newcomer.send(b"x");
    }
    bench.log();
    little.send(b"!");
    let (told, writes) = turn(&mut bench);
    assert_eq!(told[0], "little input !");
    assert_eq!(told[1..], ["new input x"; 4], "what fits 4 ms of input");
    assert_eq!(writes[0], little.key().index());
    // Where light ones use up the turn, half a millisecond of it is theirs.
    let busy: Vec<_> = (0..60)
        .map(|_| costly(&mut bench, "busy", MILLI / 12))
        .collect();
    bench.meet(&busy.iter().collect::<Vec<_>>());
    let late = costly(&mut bench, "late", MILLI / 5);
    late.send(b"x");
    for one in &busy {
        one.send(b"2");
    }
    let (told, _) = turn(&mut bench);
    assert!(told.contains(&"late input x".to_owned()), "{told:?}");
}

#[test]
fn who_is_new_stays_so_for_four_slices() {
    let mut bench = Bench::new();
    bench.world.short_read_drains();
    // Where neither is new, the first that came is the first.
    let [young, old] = ["young", "old"].map(|name| bench.client(Probe::echo(name)));
    bench.meet(&[&old]);
    let mut is_behind = Vec::new();
    for _ in 0..6 {
        young.send(b"?");
        old.send(b"?");
        let (told, writes) = turn(&mut bench);
        is_behind.push(told[0] == "old input ?");
        // Also in what is written.
        assert_eq!(writes[0] == old.key().index(), told[0] == "old input ?");
    }
    assert_eq!(is_behind, [true, true, true, true, false, false]);
}

#[test]
fn what_many_light_ones_leave_of_much_input_does_not_delay_who_asks_little() {
    let mut bench = Bench::new();
    let little = bench.client(Probe::echo("little"));
    let many: Vec<_> = (0..100)
        .map(|_| {
            let world = bench.world.clone();
            bench.client(Probe::new("many").on_input(move |cx, input| {
                while !input.is_empty() {
                    cx.send(input.consume(1));
                    world.stall(MILLI / 100);
                    if cx.io.is_time_up() {
                        return cx.yield_now();
                    }
                }
            }))
        })
        .collect();
    bench.meet(&many.iter().chain([&little]).collect::<Vec<_>>());
    for one in &many {
        one.send(&[b'x'; 30]);
    }
    // A slice of five bytes for each: 5 ms of the 30 that all is worth.
    bench.turn();
    bench.turn();
    bench.log();
    little.send(b"?");
    let (told, writes) = turn(&mut bench);
    assert_eq!(told[0], "little input ?");
    assert!(told.len() > 20, "the others go on: {}", told.len());
    assert_eq!(writes[0], little.key().index());
    assert!(many.iter().all(|one| one.received_len() >= 5));
    assert!(many.iter().any(|one| one.received_len() < 30));
    bench.settle();
    assert!(many.iter().all(|one| one.received_len() == 30));
}

#[test]
fn what_output_will_cost_counts_before_it_is_written() {
    let mut bench = Bench::new();
    let sinks: Vec<_> = (0..16).map(|_| bench.client(Probe::new("sink"))).collect();
    // To few in many bytes, and to more in few.
    let long = bench.client(Probe::new("long").on_input(|cx, input| {
        input.take();
        cx.send([b'.'; 128 * 1024]);
    }));
    let wide = fan(&mut bench, &sinks);
    let plain = bench.client(Probe::echo("plain"));
    bench.meet(&[&long, &wide, &plain]);
    for (dear, times) in [(&long, 1), (&wide, 2)] {
        for _ in 0..times {
            dear.send(b"?");
            bench.settle();
        }
        bench.log();
        dear.send(b"?");
        plain.send(b"?");
        let (told, _) = turn(&mut bench);
        assert_eq!(told[0], "plain input ?", "{told:?}");
    }
}

#[test]
fn an_interruption_of_the_process_is_no_load() {
    let mut bench = Bench::new();
    let world = bench.world.clone();
    let unlucky = bench.client(Probe::new("unlucky").on_input(move |cx, input| {
        cx.send(input.take());
        world.interrupt(4 * MILLI);
    }));
    bench.meet(&[&unlucky]);
    let floods = ["f", "g"].map(|name| costly(&mut bench, name, 5 * MILLI));
    for flood in &floods {
        flood.send(&vec![b'x'; 4 << 20]);
    }
    for _ in &floods {
        bench.turn();
    }
    bench.log();
    for round in 0..10 {
        unlucky.send(b"?");
        let (told, _) = turn(&mut bench);
        assert_eq!(told[0], "unlucky input ?", "round {round}");
    }
}

#[test]
fn who_is_gone_is_read_to_its_end_before_those_who_use_much() {
    let mut bench = Bench::new();
    bench.world.short_read_drains();
    let floods = ["f", "g", "h", "i"].map(|name| costly(&mut bench, name, 5 * MILLI));
    let gone = costly(&mut bench, "gone", 5 * MILLI);
    for flood in floods.iter().chain([&gone]) {
        flood.send(&vec![b'x'; 256 * 1024]);
    }
    for _ in &floods {
        bench.turn();
    }
    let little = bench.client(Probe::echo("little"));
    bench.meet(&[&little]);
    for flood in floods.iter().chain([&gone]) {
        flood.send(&vec![b'x'; 1024 * 1024]);
    }
    for _ in 0..20 {
        bench.turn();
    }
    bench.log();
    gone.finish();
    let mut told = Vec::new();
    while !told.iter().any(|line| line == "gone eof") {
        little.send(b"?");
        told = turn(&mut bench).0;
        assert_eq!(told[0], "little input ?");
        assert!(told[1].starts_with("gone "), "{told:?}");
    }
}

#[test]
fn heavy_output_has_its_share_of_the_flush_beside_light_output() {
    let mut bench = Bench::new();
    let sinks: Vec<_> = (0..120)
        .map(|_| bench.client(Probe::echo("sink")))
        .collect();
    let fan = fan(&mut bench, &sinks);
    let askers: Vec<_> = (0..60)
        .map(|_| bench.client(Probe::echo("asker")))
        .collect();
    for asker in &askers {
        asker.send(b"?");
    }
    bench.settle();
    bench.world.write_takes(MILLI / 10);
    fan.send(b"x");
    let mut turns = 0;
    let missing = || sinks.iter().filter(|sink| sink.text().is_empty()).count();
    while missing() > 0 {
        for asker in &askers {
            asker.send(b"?");
        }
        bench.turn();
        turns += 1;
        // Of 104 that are marked there, six in a turn: half a millisecond, and what comes before the next look at the clock.
        assert!(turns <= 18, "{} still wait", missing());
    }
}

#[test]
fn what_light_connections_are_answered_leaves_before_heavy_ones_are_read() {
    let mut bench = Bench::new();
    let flood = costly(&mut bench, "flood", 5 * MILLI);
    let little = bench.client(Probe::echo("little"));
    // By then the one is light and the other heavy.
    for _ in 0..8 {
        bench.log();
        flood.send(b"x");
        little.send(b"?");
        bench.turn();
    }
    let log = bench.log();
    let place = |start: &str| log.iter().position(|line| line.starts_with(start));
    let written = place(&format!("write k{} ", little.key().index()));
    let read = place("flood input");
    assert!(written.is_some() && written < read, "{log:?}");
}

/// Thirty that flood: each slice of one takes 0.3 ms.
struct Floods(Vec<Peer>);

impl Floods {
    fn start(bench: &mut Bench) -> Floods {
        let flood = |_| costly(bench, "flood", 3 * MILLI / 10);
        let floods = Floods((0..30).map(flood).collect());
        // All are heavy by then.
        floods.slices(bench, 30, |_| {});
        floods
    }

    /// How many slices they have in the last of `turns` turns, of which each begins with `begin`.
    fn slices(&self, bench: &mut Bench, turns: usize, begin: impl Fn(&mut Bench)) -> usize {
        let mut count = 0;
        for _ in 0..turns {
            begin(bench);
            self.0.iter().for_each(|flood| flood.send(b"x"));
            let (told, _) = turn(bench);
            let of_flood = told.iter().filter(|line| line.starts_with("flood"));
            count = of_flood.count();
        }
        count
    }
}

#[test]
fn heavy_connections_have_less_of_a_turn_while_light_ones_come() {
    let mut bench = Bench::new();
    let floods = Floods::start(&mut bench);
    let little = bench.client(Probe::echo("little"));
    let later = |bench: &mut Bench| floods.slices(bench, 400, |_| {});
    let alone = later(&mut bench);
    assert!(alone > 10, "{alone} of the 13 that 4 ms are enough for");
    let beside = floods.slices(&mut bench, 5, |_| little.send(b"?"));
    assert!(beside <= 1, "{beside} in 0.25 ms");
    let behind = floods.slices(&mut bench, 1, |_| {});
    assert!(behind <= 1, "{behind} in 0.25 ms: it may come again");
    let again = later(&mut bench);
    assert!(again > 10, "{again} in 4 ms, when it has not come for long");
}

#[test]
fn who_comes_and_goes_is_no_light_connection_that_takes_time_from_heavy_ones() {
    let mut bench = Bench::new();
    let floods = Floods::start(&mut bench);
    floods.slices(&mut bench, 400, |_| {});
    let count = floods.slices(&mut bench, 5, |bench| {
        bench.dial(Probe::new("new"));
    });
    assert!(count > 10, "{count} of the 13 that 4 ms are enough for");
}

#[test]
fn heavy_connections_have_as_long_as_their_output_takes_to_be_written_beside_light_ones_too() {
    let mut bench = Bench::new();
    let floods = Floods::start(&mut bench);
    let little = bench.client(Probe::echo("little"));
    bench.world.write_takes(MILLI);
    let count = floods.slices(&mut bench, 30, |_| little.send(b"?"));
    assert!(count > 10, "{count} of the 13 that 4 ms are enough for");
}

#[test]
fn a_storm_of_connections_takes_one_slice_of_a_turn() {
    let mut bench = Bench::new();
    let little = bench.client(Probe::echo("little"));
    for _ in 0..20 {
        let world = bench.world.clone();
        bench.dial(Probe::new("new").on_open(move |_| world.stall(MILLI)));
    }
    little.send(b"?");
    let (told, _) = turn(&mut bench);
    assert_eq!(told, ["new open", "little input ?"]);
}

#[test]
fn while_the_last_output_is_still_being_written_no_heavy_connection_makes_more() {
    let mut bench = Bench::new();
    let sinks: Vec<_> = (0..100).map(|_| bench.client(Probe::new("sink"))).collect();
    let all: Vec<_> = sinks.iter().map(Peer::key).collect();
    let fan = bench.client(Probe::new("fan").on_input(move |cx, input| {
        input.take();
        for key in &all {
            cx.io.send(*key, b"n");
        }
    }));
    // A slice now, and one when this one has left.
    fan.send(&vec![b'x'; 32 * 1024]);
    bench.world.write_takes(MILLI);
    for _ in 0..200 {
        bench.turn();
        let (first, last) = (sinks[0].received_len(), sinks[99].received_len());
        assert!(first <= last + 1, "{first} here, {last} there");
    }
    assert_eq!(sinks[99].text(), "nn");
}

#[test]
fn timers_deferred_work_and_closes_go_on_in_the_next_turn_when_their_time_is_spent() {
    let mut bench = Bench::new();
    let peers = ["a", "b"].map(|name| {
        let world = bench.world.clone();
        bench.client(Probe::new(name).on_close(move |_| world.stall(3 * MILLI)))
    });
    for peer in &peers {
        let key = peer.key();
        let slow = |name: &'static str, world: crate::support::World| {
            move |cx: &mut Cx<'_>| {
                world.stall(3 * MILLI);
                cx.state.add(|| name.to_owned());
            }
        };
        let (timer, deferred) = (
            slow("timer", bench.world.clone()),
            slow("deferred", bench.world.clone()),
        );
        bench.with(|cx| {
            cx.after(MILLI, timer);
            cx.defer(deferred);
            cx.io.close(key);
        });
    }
    bench.world.stall(MILLI);
    for expected in ["a", "b"] {
        let (told, _) = turn(&mut bench);
        let close = format!("{expected} close: closed");
        assert_eq!(told, ["timer", "deferred", &close]);
    }
    assert!(!bench.reactor.has_work());
}

#[test]
fn who_is_called_between_two_turns_has_time_as_well() {
    let mut bench = Bench::new();
    bench.settle();
    bench.world.stall(100 * MILLI);
    let world = bench.world.clone();
    bench.with(|cx| {
        assert!(!cx.io.is_time_up());
        world.stall(3 * MILLI);
        assert!(cx.io.is_time_up());
    });
}

/// One turn: what handlers were told, and which connections were written to.
fn turn(bench: &mut Bench) -> (Vec<String>, Vec<usize>) {
    bench.turn();
    let log = bench.log();
    let index = |line: &String| {
        line.strip_prefix("write k")?
            .split(' ')
            .next()?
            .parse()
            .ok()
    };
    let writes = log.iter().filter_map(index).collect();
    let is_call = |line: &String| {
        let calls = ["read k", "write k", "close k", "accept k"];
        calls.iter().any(|call| line.starts_with(call))
    };
    let told = log.into_iter().filter(|line| !is_call(line)).collect();
    (told, writes)
}
