//! Input: every byte once and in order, however it is cut, paused, yielded or waited for.

use crate::support::{Bench, Cx, Peer, Probe};
use midge_reactor::{Event, Input};
use std::time::Duration;

/// Takes one line at a time and logs it.
fn lines(name: &'static str) -> Probe {
    Probe::new(name).on_input(|cx, input| {
        while let Some(end) = input.peek().iter().position(|byte| *byte == b'\n') {
            let line = input.consume(end + 1).trim_ascii_end().to_vec();
            cx.state.add(|| format!("line {}", line.escape_ascii()));
        }
    })
}

/// Takes `count` bytes and leaves the rest.
fn take(cx: &mut Cx<'_>, input: &mut Input<'_>, count: usize) {
    let taken = input.consume(count);
    let text = taken.escape_ascii().to_string();
    cx.state.add(|| format!("took {text}"));
}

fn send_and_settle(bench: &mut Bench, peer: &Peer, bytes: &[u8]) -> Vec<String> {
    peer.send(bytes);
    bench.settle();
    bench.told()
}

#[test]
fn what_is_left_unread_comes_again_in_one_piece_wherever_the_stream_is_cut() {
    let stream = b"one\ntwo\r\n\nthree\nfour";
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let mut bench = Bench::new();
            let peer = bench.client(lines("a"));
            for part in [&stream[..first], &stream[first..second], &stream[second..]] {
                peer.send(part);
                bench.settle();
            }
            let got = bench.calls("line");
            let expected = ["line one", "line two", "line ", "line three"];
            assert_eq!(got, expected, "cut at {first} and {second}");
        }
    }
}

#[test]
fn the_unread_tail_is_presented_with_each_new_byte_behind_it() {
    let mut bench = Bench::new();
    let peer = bench.client(lines("a"));
    let mut told = Vec::new();
    for byte in b"ab\nc" {
        told.extend(send_and_settle(&mut bench, &peer, &[*byte]));
    }
    assert_eq!(
        told,
        [
            "a input a",
            "a input ab",
            "a input ab\\n",
            "line ab",
            "a input c"
        ]
    );
}

#[test]
fn short_reads_of_any_size_lose_nothing() {
    let stream: Vec<u8> = (0..5000u32).flat_map(u32::to_le_bytes).collect();
    for read_max in [1, 2, 3, 7, 1000, 4096, 4097] {
        let mut bench = Bench::new();
        bench.world.read_max(read_max);
        let peer = bench.client(Probe::echo("a"));
        peer.send(&stream);
        bench.settle();
        assert!(peer.received() == stream, "reads of {read_max} bytes");
    }
}

#[test]
fn all_byte_values_arrive_unchanged() {
    let stream: Vec<u8> = (0..=255).collect();
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("a"));
    peer.send(&stream);
    bench.settle();
    assert_eq!(peer.received(), stream);
}

#[test]
fn a_read_that_filled_its_buffer_is_followed_by_another_without_an_edge() {
    for drains in [false, true] {
        let mut bench = Bench::new();
        if drains {
            bench.world.short_read_drains();
        }
        let peer = bench.client(Probe::new("a"));
        let slice = 128 * 1024;
        for len in [slice - 1, slice, slice + 1, 3 * slice] {
            peer.send(&vec![0; len]);
            bench.settle();
            assert_eq!(peer.unread(), 0, "{len} bytes");
            bench.log();
        }
    }
}

#[test]
fn where_a_short_read_drains_one_read_serves_one_message() {
    let mut bench = Bench::new();
    bench.world.short_read_drains();
    let peer = bench.client(Probe::new("a"));
    peer.send(b"ping");
    bench.settle();
    let mut log = bench.full_log();
    log.retain(|line| line.starts_with("read"));
    assert_eq!(log, ["read k1 4"]);
    peer.send(b"last");
    peer.finish();
    bench.settle();
    assert_eq!(bench.calls("read"), ["read k1 4", "read k1 end"]);
}

#[test]
fn pause_in_on_input_stops_at_once_and_resume_brings_the_rest_without_an_edge() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        take(cx, input, 2);
        cx.pause();
    }));
    bench.world.read_max(4);
    let key = peer.key();
    assert_eq!(
        send_and_settle(&mut bench, &peer, b"abcdefgh"),
        ["a input abcd", "took ab"]
    );
    assert_eq!(send_and_settle(&mut bench, &peer, b"ij"), [""; 0]);
    let mut told = Vec::new();
    for _ in 0..6 {
        bench.with(|cx| cx.io.resume(key));
        bench.settle();
        told.extend(bench.calls("took"));
    }
    assert_eq!(told, ["took cd", "took ef", "took gh", "took ij"]);
}

#[test]
fn a_paused_connection_is_not_read_and_goes_on_sending() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_timer(|cx, _| {
        cx.send(b"tick");
    }));
    let key = peer.key();
    bench.with(|cx| {
        cx.io.pause(key);
        cx.io.set_timer(key, Duration::from_secs(1), 0);
    });
    peer.send(b"ignored for now");
    peer.set_room(0);
    bench.advance(Duration::from_secs(1));
    peer.set_room(10);
    bench.settle();
    assert_eq!(bench.log(), ["a timer 0", "write k1 4"]);
    bench.with(|cx| cx.io.resume(key));
    bench.settle();
    assert_eq!(bench.told(), ["a input ignored for now"]);
}

#[test]
fn a_connection_paused_by_another_in_the_same_turn_gets_no_input() {
    let mut bench = Bench::new();
    let victim = bench.client(Probe::new("victim"));
    let (first, second) = (victim.key(), victim.clone());
    let bully = bench.client(Probe::new("bully").on_input(move |cx, input| {
        input.take();
        cx.io.pause(first);
    }));
    // Swapped into the order in which the pause comes first.
    bully.send(b"x");
    bench.world.inject(Event::Ready {
        key: bully.key(),
        readable: true,
        writable: false,
        hangup: false,
    });
    second.send(b"y");
    bench.settle();
    assert_eq!(bench.told(), ["bully input x"]);
    bench.with(|cx| cx.io.resume(first));
    bench.settle();
    assert_eq!(bench.told(), ["victim input y"]);
}

#[test]
fn pause_and_resume_in_one_call_leave_nothing_behind() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        take(cx, input, 1);
        cx.pause();
        let key = cx.key();
        cx.io.resume(key);
    }));
    send_and_settle(&mut bench, &peer, b"abc");
    let key = peer.key();
    assert!(!bench.with(|cx| cx.io.is_paused(key)));
    peer.send(b"d");
    bench.settle();
    assert_eq!(peer.unread(), 0);
}

#[test]
fn resuming_what_is_not_paused_calls_nobody() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|_, _| {}));
    send_and_settle(&mut bench, &peer, b"left unread");
    let key = peer.key();
    bench.with(|cx| cx.io.resume(key));
    bench.settle();
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn yield_now_lets_the_others_have_their_turn() {
    let mut bench = Bench::new();
    let busy = bench.client(Probe::new("busy").on_input(|cx, input| {
        take(cx, input, 1);
        cx.yield_now();
    }));
    let quick = bench.client(Probe::new("quick"));
    busy.send(b"abc");
    bench.turn();
    quick.send(b"now");
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "busy input abc",
            "took a",
            "quick input now",
            "busy input bc",
            "took b",
            "busy input c",
            "took c"
        ]
    );
}

#[test]
fn what_a_yield_leaves_comes_before_what_has_arrived_since() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        take(cx, input, 2);
        cx.yield_now();
    }));
    peer.send(b"abc");
    bench.turn();
    peer.send(b"def");
    peer.finish();
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "a input abc",
            "took ab",
            "a input c",
            "took c",
            "a input def",
            "took de",
            "a input f",
            "took f",
            "a eof",
            "a close: closed by the peer"
        ]
    );
}

#[test]
fn a_peer_that_never_stops_gets_one_slice_a_turn() {
    let mut bench = Bench::new();
    let flood = bench.client(Probe::new("flood"));
    let quiet = bench.client(Probe::new("quiet"));
    bench.meet(&[&flood, &quiet]);
    flood.send(&vec![0; 1_000_000]);
    bench.turn();
    for _ in 0..4 {
        quiet.send(b"x");
        bench.turn();
    }
    // The first slice is that of one who may have little to say; with what is left it comes behind.
    let slice = "flood input 131072 bytes";
    assert_eq!(
        bench.told(),
        [
            "flood input 16384 bytes",
            "quiet input x",
            "flood input 16384 bytes",
            "quiet input x",
            slice,
            "quiet input x",
            slice,
            "quiet input x",
            slice
        ]
    );
}

#[test]
fn need_saves_calls_until_enough_is_there() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        if input.len() < 10 {
            input.need(10);
        } else {
            take(cx, input, 10);
        }
    }));
    let mut told = Vec::new();
    for byte in b"0123456789abcdefghij" {
        told.extend(send_and_settle(&mut bench, &peer, &[*byte]));
    }
    assert_eq!(
        told,
        [
            "a input 0",
            "a input 0123456789",
            "took 0123456789",
            "a input a",
            "a input abcdefghij",
            "took abcdefghij"
        ]
    );
}

#[test]
fn need_outlasts_a_pause_and_a_yield() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        if input.len() < 4 {
            input.need(4);
            cx.yield_now();
        } else {
            take(cx, input, 4);
        }
    }));
    let key = peer.key();
    assert_eq!(send_and_settle(&mut bench, &peer, b"a"), ["a input a"]);
    bench.with(|cx| cx.io.pause(key));
    peer.send(b"bc");
    bench.settle();
    bench.with(|cx| cx.io.resume(key));
    bench.settle();
    assert_eq!(bench.told(), [""; 0]);
    assert_eq!(
        send_and_settle(&mut bench, &peer, b"de"),
        ["a input abcde", "took abcd"]
    );
}

#[test]
fn a_large_message_is_read_to_its_place_and_seen_once() {
    for (len, piece) in [(1 << 20, 1000), (1 << 20, 65_536), (200_000, 3), (5000, 1)] {
        let mut bench = Bench::new();
        let peer = bench.client(Probe::new("a").on_input(move |_, input| {
            if input.len() < len {
                input.need(len);
            } else {
                let message = input.consume(len);
                assert!(
                    message
                        .iter()
                        .enumerate()
                        .all(|(at, byte)| *byte == at as u8)
                );
            }
        }));
        let message: Vec<u8> = (0..len).map(|at| at as u8).collect();
        bench.world.read_max(piece);
        peer.send(&message);
        bench.settle();
        bench.world.read_max(usize::MAX);
        peer.send(b"next");
        bench.settle();
        let told = bench.calls("a input");
        assert_eq!(told.len(), 3, "{len} in pieces of {piece}: {told:?}");
        assert_eq!(told[1], format!("a input {len} bytes"));
        assert_eq!(told[2], "a input next");
    }
}

#[test]
fn an_end_comes_after_all_input_and_only_once() {
    let mut bench = Bench::new();
    bench.world.read_max(2);
    let peer = bench.client(Probe::new("a"));
    peer.send(b"abcde");
    peer.finish();
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "a input ab",
            "a input cd",
            "a input e",
            "a eof",
            "a close: closed by the peer"
        ]
    );
}

#[test]
fn an_end_is_not_seen_past_a_pause() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        take(cx, input, 1);
        cx.pause();
    }));
    let key = peer.key();
    peer.send(b"ab");
    peer.finish();
    bench.settle();
    assert_eq!(bench.told(), ["a input ab", "took a"]);
    for told in [
        &["a input b", "took b"][..],
        &["a eof", "a close: closed by the peer"],
    ] {
        bench.with(|cx| cx.io.resume(key));
        bench.settle();
        assert_eq!(bench.told(), told);
    }
}

#[test]
fn a_handler_that_leaves_too_much_unread_is_closed_and_tells_so() {
    let mut bench = Bench::new();
    let hoard = Probe::new("hoard").on_open(|cx| {
        let key = cx.key();
        cx.io.input_max(key, 1000);
    });
    let peer = bench.client(hoard.on_input(|_, _| {}));
    peer.send(&[b'x'; 1000]);
    bench.settle();
    assert!(bench.told().iter().all(|line| !line.contains("close")));
    peer.send(b"x");
    bench.settle();
    let told = bench.told().join("\n");
    assert!(
        told.contains("hoard close: too many bytes left unread"),
        "{told}"
    );
}

#[test]
fn what_is_consumed_or_left_in_a_pause_does_not_count_as_unread_for_too_long() {
    let mut bench = Bench::new();
    let patient = Probe::new("patient").on_open(|cx| {
        let key = cx.key();
        cx.io.input_max(key, 10);
    });
    let peer = bench.client(patient.on_input(|cx, input| {
        // Of eleven bytes and more, all but ten.
        let more = input.len().saturating_sub(10);
        input.consume(more);
        if more == 0 {
            cx.yield_now();
            input.take();
        }
    }));
    for _ in 0..10 {
        peer.send(&[b'x'; 100]);
        bench.settle();
    }
    let told = bench.told().join("\n");
    assert!(!told.contains("close"), "{told}");
}

#[test]
fn a_light_connection_reads_no_more_in_a_slice_also_where_its_handler_needs_much_more() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|_, input| {
        if input.len() < 60_000 {
            return input.need(60_000);
        }
        // Little is left in what has room for much.
        input.consume(input.len() - 8 * 1024);
        input.need(200_000);
    }));
    peer.send(&[0; 60_000]);
    bench.settle();
    bench.log();
    // One that may be behind it must not wait for all of that.
    peer.send(&[0; 100_000]);
    bench.turn();
    assert_eq!(bench.log(), ["read k1 16384"]);
}
