//! Output: order, coalescing, marks, bounds and deadlines.

use crate::support::{Bench, Peer, Probe};
use bytes::Bytes;
use midge_reactor::{Event, Key};
use std::io::Write;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn client(bench: &mut Bench) -> (Peer, Key) {
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    (peer, key)
}

fn send(bench: &mut Bench, key: Key, bytes: &[u8]) -> bool {
    bench.with(|cx| cx.io.send(key, bytes))
}

#[test]
fn bytes_arrive_in_order_however_little_the_kernel_takes() {
    let stream: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
    for step in [1, 2, 3, 5, 64, 1000, 79_999, 80_000] {
        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        bench.reactor.state.quiet();
        bench.world.write_max(step);
        for part in stream.chunks(777) {
            assert!(send(&mut bench, key, part));
            bench.turn();
        }
        bench.settle();
        assert!(peer.received() == stream, "in steps of {step}");
    }
}

#[test]
fn after_a_short_write_nothing_is_tried_before_the_edge() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    peer.set_room(3);
    send(&mut bench, key, b"abcdef");
    bench.settle();
    send(&mut bench, key, b"gh");
    bench.settle();
    assert_eq!(
        bench
            .full_log()
            .iter()
            .filter(|line| line.starts_with("write"))
            .count(),
        1
    );
    peer.set_room(100);
    bench.settle();
    assert_eq!(bench.calls("write"), ["write k1 5"]);
    assert_eq!(peer.text(), "abcdefgh");
    assert_eq!(bench.with(|cx| cx.io.queued(key)), 0);
}

#[test]
fn copied_shared_and_encoded_bytes_keep_their_order_and_leave_together() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    bench.with(|cx| {
        cx.io.send(key, b"copied ");
        cx.io.send_bytes(key, Bytes::from_static(b"shared "));
        cx.io.send_bytes(key, Bytes::new());
        let mut writer = cx.io.writer(key, 10).expect("it is open");
        writer.put(b"written ");
        write!(writer, "{} ", 7).expect("there is room");
        drop(writer);
        cx.io.send(key, b"");
        cx.io.send_bytes(key, Bytes::from_static(b"shared"));
    });
    bench.settle();
    assert_eq!(peer.text(), "copied shared written 7 shared");
    assert_eq!(bench.calls("write"), ["write k1 30"]);
}

#[test]
fn sending_nothing_writes_nothing() {
    let mut bench = Bench::new();
    let (_, key) = client(&mut bench);
    for _ in 0..3 {
        bench.with(|cx| {
            assert!(cx.io.send(key, b""));
            assert!(cx.io.send_bytes(key, Bytes::new()));
            assert!(cx.io.writer(key, 100).is_some());
        });
        bench.settle();
    }
    assert_eq!(bench.log(), [""; 0]);
}

#[test]
fn a_long_queue_leaves_over_several_turns_without_an_edge() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    let other = bench.client(Probe::echo("other"));
    let stream = vec![7; 5_000_000];
    send(&mut bench, key, &[0; 1000]);
    for part in stream.chunks(1000) {
        send(&mut bench, key, part);
    }
    bench.turn();
    assert_eq!(peer.received_len(), 1 << 20);
    other.send(b"me too");
    bench.world.inject(Event::Ready {
        key,
        readable: false,
        writable: true,
        hangup: false,
    });
    bench.turn();
    assert_eq!(other.text(), "me too");
    assert_eq!(peer.received_len(), 2 << 20, "one slice a turn");
    bench.settle();
    assert_eq!(peer.received_len(), 5_001_000);
}

#[test]
fn on_drain_comes_once_when_a_queue_that_reached_the_high_mark_is_down_to_the_low_one() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    bench.with(|cx| cx.io.watermarks(key, 10, 20, 100));
    peer.set_room(0);
    let congested = |bench: &mut Bench| bench.with(|cx| cx.io.congested(key));
    send(&mut bench, key, &[b'x'; 19]);
    bench.settle();
    assert!(!congested(&mut bench));
    send(&mut bench, key, b"y");
    bench.settle();
    assert!(congested(&mut bench));
    peer.set_room(9);
    bench.settle();
    assert!(congested(&mut bench), "11 bytes are still queued");
    assert_eq!(bench.told(), [""; 0]);
    peer.set_room(1);
    bench.settle();
    assert_eq!(bench.told(), ["a drain"]);
    assert!(!congested(&mut bench));
    peer.set_room(usize::MAX);
    bench.settle();
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn a_handler_that_fills_up_in_on_drain_keeps_its_queue_between_the_marks() {
    let mut bench = Bench::new();
    let mut left = 100;
    let peer = bench.client(
        Probe::new("a")
            .on_input(|cx, input| {
                input.take();
                let key = cx.key();
                cx.io.watermarks(key, 10, 20, 30);
                cx.send([b'x'; 25]);
            })
            .on_drain(move |cx| {
                if left > 0 {
                    left -= 1;
                    cx.send([b'y'; 20]);
                }
            }),
    );
    peer.set_room(0);
    peer.send(b"go");
    for _ in 0..500 {
        peer.set_room(5);
        bench.settle();
        let key = peer.key();
        assert!(bench.with(|cx| cx.io.queued(key)) <= 30);
    }
    assert_eq!(peer.received_len(), 25 + 100 * 20);
}

#[test]
fn a_queue_past_its_bound_closes_its_connection_and_no_other() {
    let mut bench = Bench::new();
    let (slow, key) = client(&mut bench);
    let other = bench.client(Probe::echo("other"));
    bench.with(|cx| cx.io.watermarks(key, 10, 20, 100));
    slow.set_room(10);
    assert!(send(&mut bench, key, &[b'x'; 100]));
    bench.settle();
    assert!(send(&mut bench, key, &[b'y'; 10]), "100 bytes are allowed");
    assert!(!send(&mut bench, key, b"z"));
    assert!(!send(&mut bench, key, b"z"), "it is closing");
    other.send(b"unharmed");
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "other input unharmed",
            "a close: too many bytes queued, 100 unsent"
        ]
    );
    assert_eq!(other.text(), "unharmed");
    assert_eq!(slow.received_len(), 10);
}

#[test]
fn each_way_of_queueing_is_bounded() {
    for way in 0..3 {
        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        bench.with(|cx| {
            cx.io.watermarks(key, 1, 1, 9);
            let accepted = match way {
                0 => cx.io.send(key, [0; 10]),
                1 => cx.io.send_bytes(key, Bytes::from_static(&[0; 10])),
                _ => cx.io.writer(key, 10).is_some(),
            };
            assert!(!accepted);
        });
        bench.settle();
        assert_eq!(bench.told(), ["a close: too many bytes queued"]);
        assert!(peer.closed());
    }
}

#[test]
fn write_timeout_fires_when_what_was_queued_has_not_left() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    bench.with(|cx| cx.io.write_timeout(key, Some(2 * SECOND)));
    peer.set_room(4);
    send(&mut bench, key, b"abcdef");
    bench.advance(2 * SECOND - Duration::from_nanos(1));
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(Duration::from_nanos(1));
    assert_eq!(bench.told(), ["a close: write timed out, 2 unsent"]);
}

#[test]
fn write_timeout_spares_a_connection_whose_queue_moves_on() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    bench.with(|cx| cx.io.write_timeout(key, Some(2 * SECOND)));
    peer.set_room(0);
    for _ in 0..20 {
        // There is always something queued, but nothing for longer than a second.
        send(&mut bench, key, b"abc");
        bench.advance(SECOND);
        peer.set_room(3);
        bench.settle();
        send(&mut bench, key, b"d");
        peer.set_room(1);
        bench.settle();
    }
    assert_eq!(bench.told(), [""; 0]);
    assert!(!peer.closed());
    peer.set_room(usize::MAX);
    bench.settle();
    assert_eq!(
        bench.reactor.timer_count(),
        0,
        "an empty queue has no deadline"
    );
}

#[test]
fn a_peer_that_reads_a_byte_now_and_then_is_not_saved_from_the_write_timeout() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    bench.with(|cx| cx.io.write_timeout(key, Some(2 * SECOND)));
    peer.set_room(0);
    send(&mut bench, key, &[b'x'; 1000]);
    bench.settle();
    for _ in 0..21 {
        peer.set_room(1);
        bench.advance(SECOND / 10);
    }
    assert_eq!(bench.told(), ["a close: write timed out, 980 unsent"]);
}

#[test]
fn write_timeout_may_be_set_while_output_waits_and_be_taken_back() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    peer.set_room(0);
    send(&mut bench, key, b"x");
    bench.settle();
    bench.with(|cx| cx.io.write_timeout(key, Some(SECOND)));
    bench.advance(SECOND / 2);
    bench.with(|cx| cx.io.write_timeout(key, None));
    bench.advance(10 * SECOND);
    assert_eq!(bench.told(), [""; 0]);
    bench.with(|cx| cx.io.write_timeout(key, Some(SECOND)));
    bench.advance(SECOND);
    assert_eq!(bench.told(), ["a close: write timed out, 1 unsent"]);
}

#[test]
fn last_progress_tells_since_when_what_is_queued_has_not_moved() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    let progress = |bench: &mut Bench| {
        let at = bench.with(|cx| cx.io.last_progress(key));
        at.expect("it is open").as_nanos() / 1_000_000_000
    };
    bench.advance(SECOND);
    assert_eq!(progress(&mut bench), 0);
    send(&mut bench, key, b"x");
    bench.settle();
    assert_eq!(progress(&mut bench), 1);
    peer.set_room(0);
    bench.advance(SECOND);
    for queued in [b"y", b"z"] {
        send(&mut bench, key, queued);
        bench.advance(SECOND);
        assert_eq!(progress(&mut bench), 2, "the queue was last empty then");
    }
    peer.set_room(1);
    bench.settle();
    assert_eq!(progress(&mut bench), 4);
}

#[test]
fn produced_counts_from_the_beginning_of_each_call() {
    let mut bench = Bench::new();
    let tell = |cx: &mut crate::support::Cx<'_>| {
        let before = cx.io.produced();
        cx.send(b"12345");
        let after = cx.io.produced();
        cx.state.add(|| format!("{before} {after}"));
    };
    let peer = bench.client(
        Probe::new("a")
            .on_input(move |cx, input| {
                input.take();
                tell(cx);
                cx.defer(move |cx| {
                    let produced = cx.io.produced();
                    cx.state.add(|| format!("{produced}"));
                });
                cx.set_timer(Duration::ZERO, 1);
            })
            .on_timer(move |cx, _| tell(cx)),
    );
    peer.send(b"go");
    bench.settle();
    assert_eq!(bench.told(), ["a input go", "0 5", "0", "a timer 1", "0 5"]);
}

#[test]
fn text_and_formatted_values_are_sent_as_bytes_are() {
    let mut bench = Bench::new();
    let greeter = Probe::new("greeter").on_open(|cx| {
        assert!(cx.send("text "));
        assert!(cx.send(String::from("owned ")));
        assert!(cx.send(vec![b'v', b' ']));
        let number = 7;
        assert!(write!(cx, "{number:03} and {}", "more"));
        let key = cx.key();
        assert!(cx.io.send_fmt(key, format_args!("{:?}", Some(1))));
        cx.close_after_write();
        assert!(!write!(cx, "too late"));
    });
    let peer = bench.client(greeter);
    bench.settle();
    assert_eq!(peer.text(), "text owned v 007 and moreSome(1)");
}

#[test]
fn a_value_that_cannot_be_formatted_is_told() {
    struct Never;

    impl std::fmt::Display for Never {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }

    let mut bench = Bench::new();
    let greeter = Probe::new("greeter").on_open(|cx| {
        assert!(!write!(cx, "before {Never} behind"));
    });
    let peer = bench.client(greeter);
    bench.settle();
    assert_eq!(peer.text(), "before ");
}

#[test]
fn a_block_of_which_most_has_left_is_held_whole_and_the_sum_is_that_of_what_each_queue_holds() {
    const BLOCK: usize = 256 * 1024;
    let mut bench = Bench::new();
    let clients = [client(&mut bench), client(&mut bench)];
    for (peer, key) in &clients {
        peer.set_room(0);
        send(&mut bench, *key, &[7; BLOCK - 1000]);
    }
    let (peer, key) = &clients[0];
    assert_eq!(bench.with(|cx| cx.io.held(*key)), 0, "before the flush");
    bench.settle();
    peer.set_room(BLOCK - 7000);
    bench.settle();
    let (queued, held) = bench.with(|cx| (cx.io.queued(*key), cx.io.held(*key)));
    assert_eq!(queued, 6000);
    assert!(held >= BLOCK - 1000, "{held}");
    let (other, total) = bench.with(|cx| (cx.io.held(clients[1].1), cx.io.total_queued()));
    assert_eq!(held + other, total);
    bench.with(|cx| cx.io.close(*key));
    let (held, total) = bench.with(|cx| (cx.io.held(*key), cx.io.total_queued()));
    assert_eq!((held, total), (0, other));
}
