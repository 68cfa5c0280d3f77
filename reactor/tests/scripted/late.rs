//! Deadlines where the process was stopped, or the loop was long at something: nobody is judged before
//! what has come meanwhile was read, and what is queued was offered; and from when time counts.

use crate::support::{Bench, Cx, Outcome, Peer, Probe};
use midge_reactor::{ConnectOptions, Time};
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The process is stopped for so long, in a poll.
fn stop(bench: &Bench, time: Duration) {
    bench.world.stall(time);
    bench.world.cut_short();
}

fn at(now: Time) -> u128 {
    (now - Time::ZERO).as_millis()
}

#[test]
fn what_came_while_the_process_was_stopped_is_read_before_a_timer_fires() {
    let mut bench = Bench::new();
    bench.world.short_read_drains();
    let peer = bench.client(Probe::new("a").on_open(|cx| {
        cx.set_timer(ms(10), 1);
    }));
    bench.with(|cx| cx.after(ms(10), |cx| cx.state.add(|| "closure".to_owned())));
    stop(&bench, SECOND);
    peer.send(b"in time");
    bench.settle();
    assert_eq!(bench.told(), ["a input in time", "a timer 1", "closure"]);
}

#[test]
fn all_that_have_spoken_are_read_before_a_timer_fires_however_many_one_poll_tells() {
    let mut bench = Bench::new();
    let peers: Vec<Peer> = (0..50).map(|_| bench.client(Probe::new("a"))).collect();
    bench.world.events_max(7);
    bench.with(|cx| cx.after(ms(10), |cx| cx.state.add(|| "closure".to_owned())));
    stop(&bench, SECOND);
    for peer in &peers {
        peer.send(b"x");
    }
    bench.settle();
    let told = bench.told();
    assert_eq!(told.iter().position(|line| line == "closure"), Some(50));
}

#[test]
fn peers_that_talk_without_end_do_not_keep_the_loop_from_its_timers() {
    let mut bench = Bench::new();
    let probe = || Probe::new("a").on_input(|_, input| drop(input.take().to_vec()));
    let peers: Vec<Peer> = (0..4).map(|_| bench.client(probe())).collect();
    let key = peers[0].key();
    bench.world.events_max(1);
    bench.with(|cx| {
        cx.io.set_timer(key, ms(10), 1);
        cx.after(ms(10), |cx| cx.state.add(|| "closure".to_owned()));
    });
    bench.world.stall(ms(10));
    for _ in 0..70 {
        for peer in &peers {
            peer.send(&vec![0; 300_000]);
        }
        bench.turn();
    }
    let told = bench.told();
    assert!(told.iter().any(|line| line == "closure"));
    assert!(told.iter().any(|line| line == "a timer 1"));
}

#[test]
fn all_that_a_peer_sent_is_read_before_its_timer_fires_though_it_takes_several_turns() {
    let mut bench = Bench::new();
    let mut left = 300_000;
    let peer = bench.client(
        Probe::new("a")
            .on_open(|cx| {
                cx.set_timer(ms(10), 1);
            })
            .on_input(move |cx, input| {
                left -= input.take().len();
                if left == 0 {
                    cx.state.add(|| "all".to_owned());
                }
            }),
    );
    stop(&bench, SECOND);
    peer.send(&vec![0; 300_000]);
    bench.settle();
    let told = bench.told();
    assert_eq!(told[told.len() - 2..], ["all", "a timer 1"]);
}

#[test]
fn what_a_peer_sent_is_read_before_its_time_is_over_though_a_hundred_turns_are_spent_on_others() {
    let mut bench = Bench::new();
    let costly = |bench: &mut Bench, name: &'static str| {
        let world = bench.world.clone();
        bench.client(Probe::new(name).on_input(move |_, input| {
            input.take();
            world.stall(ms(5));
        }))
    };
    let mut peers: Vec<Peer> = (0..100).map(|_| costly(&mut bench, "other")).collect();
    peers.push(costly(&mut bench, "last"));
    let last = peers[100].key();
    bench.with(|cx| {
        cx.io.idle_timeout(last, Some(ms(90)));
        cx.io.set_timer(last, ms(10), 1);
    });
    for peer in &peers {
        peer.send(b"in time");
    }
    bench.settle();
    let told = bench.told();
    assert_eq!(told[100..], ["last input in time", "last timer 1"]);
}

#[test]
fn what_a_peer_has_room_for_is_offered_before_its_time_is_over_though_many_are_written_first() {
    let mut bench = Bench::new();
    let sinks: Vec<Peer> = (0..800).map(|_| bench.client(Probe::new("sink"))).collect();
    let all: Vec<_> = sinks.iter().map(Peer::key).collect();
    let slow = bench.client(Probe::new("slow"));
    let key = slow.key();
    slow.set_room(0);
    bench.with(|cx| {
        cx.io.write_timeout(key, Some(ms(90)));
        cx.io.send(key, vec![0; 100_000]);
    });
    bench.settle();
    let fan = bench.client(Probe::new("fan").on_input(move |cx, input| {
        input.take();
        for key in &all {
            cx.io.send(*key, b"news");
        }
    }));
    bench.world.write_takes(ms(5));
    fan.send(b"x");
    bench.turn();
    slow.set_room(100_000);
    bench.settle();
    assert_eq!((slow.received_len(), slow.closed()), (100_000, false));
}

/// A peer behind by ten bytes, with a second to take them.
fn behind(bench: &mut Bench) -> Peer {
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    peer.set_room(0);
    bench.with(|cx| {
        cx.io.write_timeout(key, Some(SECOND));
        cx.io.send(key, b"0123456789");
    });
    bench.settle();
    bench.log();
    peer
}

#[test]
fn a_peer_that_took_what_it_got_while_the_process_was_stopped_is_offered_the_rest() {
    for cut_short in [false, true] {
        let mut bench = Bench::new();
        let peer = behind(&mut bench);
        bench.world.stall(10 * SECOND);
        if cut_short {
            bench.world.cut_short();
        }
        peer.set_room(5);
        bench.settle();
        assert_eq!((peer.text(), peer.closed()), ("01234".into(), false));
        // All of the time is its own once more, and then it is over.
        bench.advance(ms(999));
        assert_eq!(bench.told(), [""; 0]);
        bench.advance(ms(1));
        assert_eq!(bench.told(), ["a close: write timed out, 5 unsent"]);
    }
}

#[test]
fn what_a_peer_has_room_for_is_offered_before_the_time_for_it_is_over() {
    let mut bench = Bench::new();
    let peer = behind(&mut bench);
    bench.advance(ms(999));
    peer.set_room(10);
    bench.world.stall(ms(1));
    bench.settle();
    assert_eq!((peer.text(), peer.closed()), ("0123456789".into(), false));
    // Part of it is not enough.
    let peer = behind(&mut bench);
    bench.advance(ms(999));
    peer.set_room(9);
    bench.world.stall(ms(1));
    bench.settle();
    assert_eq!(bench.told(), ["a close: write timed out, 1 unsent"]);
}

#[test]
fn a_peer_that_took_nothing_in_its_time_is_closed_when_that_is_over() {
    let mut bench = Bench::new();
    let peer = behind(&mut bench);
    bench.advance(ms(999));
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(ms(1));
    assert_eq!(bench.told(), ["a close: write timed out, 10 unsent"]);
    assert!(peer.closed());
}

#[test]
fn a_peer_that_has_room_is_not_taken_for_one_that_takes_nothing() {
    let mut bench = Bench::new();
    let slow = bench.client(Probe::new("slow"));
    let key = slow.key();
    slow.set_room(0);
    bench.with(|cx| cx.io.send(key, b"abc"));
    bench.settle();
    let publisher = bench.client(Probe::new("publisher").on_input(move |cx, input| {
        input.take();
        let silent = cx.now() - cx.io.last_progress(key).expect("it is open");
        cx.state.add(|| format!("silent for {silent:?}"));
    }));
    bench.world.stall(3 * SECOND);
    publisher.send(b"x");
    slow.set_room(100);
    bench.settle();
    let silent = ["publisher input x", "silent for 0ns"];
    assert_eq!(bench.told(), silent, "it took all that it was given");
    assert_eq!(slow.text(), "abc");
}

#[test]
fn a_deadline_comes_once_more_after_the_loop_stood_still_and_a_timer_does_not() {
    let mut bench = Bench::new();
    bench.client(Probe::new("a").on_open(|cx| {
        cx.set_deadline(SECOND, 1);
        cx.set_timer(SECOND, 2);
    }));
    stop(&bench, 5 * SECOND);
    bench.settle();
    assert_eq!(bench.told(), ["a timer 2"]);
    assert_eq!(
        bench.with(|cx| cx.io.resumed()),
        Time::ZERO + 5 * SECOND,
        "and it is known"
    );
    // Also if that happens again; but not where the loop is a little late each time.
    stop(&bench, 5 * SECOND);
    bench.settle();
    assert_eq!(bench.told(), [""; 0]);
    for told in [&[][..], &["a timer 1"]] {
        bench.world.stall(SECOND + ms(100));
        bench.settle();
        assert_eq!(bench.told(), told);
    }
}

#[test]
fn timers_that_have_waited_for_others_are_no_standstill_and_put_no_deadline_off() {
    let mut bench = Bench::new();
    bench.client(Probe::new("a").on_open(|cx| {
        cx.set_deadline(ms(50), 1);
    }));
    let world = bench.world.clone();
    bench.with(|cx| {
        for _ in 0..100 {
            let world = world.clone();
            cx.every(ms(1), move |_| world.stall(ms(3)));
        }
    });
    for _ in 0..200 {
        bench.turn();
        bench.world.stall(ms(1));
    }
    assert_eq!(bench.told(), ["a timer 1"]);
    assert_eq!(bench.with(|cx| cx.io.resumed()), Time::ZERO);
}

#[test]
fn a_delay_counts_from_the_call_however_long_the_callback_takes() {
    let mut bench = Bench::new();
    let world = bench.world.clone();
    let tell = |cx: &mut Cx<'_>, what: &str| {
        let now = at(cx.now());
        cx.state.add(|| format!("{what} {now}"));
    };
    let nowhere = SocketAddr::from(([10, 0, 0, 9], 1));
    bench.world.answer(nowhere, Outcome::Silence);
    bench.with(|cx| {
        world.stall(ms(500));
        cx.after(ms(300), move |cx| tell(cx, "after"));
        cx.every(ms(400), move |cx| tell(cx, "every"));
        let options = ConnectOptions::default().timeout(ms(700));
        let never = Probe::new("connect").on_close(move |cx| tell(cx, "connect"));
        cx.connect_with(nowhere, &options, never);
        assert_eq!(at(cx.now()), 0, "that is when it began");
    });
    bench.advance(ms(800));
    assert_eq!(
        bench.told(),
        [
            "after 800",
            "every 900",
            "connect close: connect timed out",
            "connect 1200",
            "every 1300"
        ]
    );
}

#[test]
fn silence_counts_from_when_the_last_byte_moved_in_a_turn_that_is_long() {
    let mut bench = Bench::new();
    let world = bench.world.clone();
    let first = bench.client(Probe::new("long").on_input(move |_, input| {
        input.take();
        world.stall(5 * SECOND);
    }));
    let peer = bench.client(Probe::new("a").on_open(|cx| cx.idle_timeout(Some(2 * SECOND))));
    first.send(b"x");
    peer.send(b"y");
    bench.settle();
    bench.log();
    bench.advance(2 * SECOND - ms(1));
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(ms(1));
    assert_eq!(bench.told(), ["a close: idle for too long"]);
}

#[test]
fn the_time_for_a_write_counts_from_when_the_kernel_had_no_room() {
    let mut bench = Bench::new();
    let world = bench.world.clone();
    let peer = bench.client(
        Probe::new("a")
            .on_open(|cx| {
                let key = cx.key();
                cx.io.write_timeout(key, Some(2 * SECOND));
            })
            .on_input(move |cx, input| {
                cx.send(input.take());
                world.stall(5 * SECOND);
            }),
    );
    peer.set_room(0);
    peer.send(b"abc");
    bench.settle();
    bench.log();
    bench.advance(2 * SECOND - ms(1));
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(ms(1));
    assert_eq!(bench.told(), ["a close: write timed out, 3 unsent"]);
}
