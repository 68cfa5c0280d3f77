//! Layers that are not TLS: what the loop does for each, byte by byte.

use crate::layers::{
    FRAME_BYTES_MAX, Frames, GREETING, Passed, Repeated, Spent, Xor, frame, passed,
};
use crate::support::{Bench, Peer, Probe};
use midge_reactor::layer::{Arrived, Layer, LayerError};
use midge_reactor::{Eof, ProxyOptions};
use std::io::ErrorKind;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A handler that begins with a layer.
fn begins<L: Layer>(probe: Probe, mut layer: impl FnMut() -> L + 'static) -> Probe {
    probe.on_open(move |cx| cx.start_layer(layer(), TIMEOUT).expect("it is open"))
}

/// A peer whose connection has begun with frames, and who has been greeted and has greeted.
fn framed(bench: &mut Bench, probe: Probe) -> Peer {
    let peer = bench.dial(begins(probe, Frames::default));
    peer.send(GREETING);
    bench.settle();
    assert_eq!(peer.received(), GREETING);
    peer.forget_received();
    bench.told();
    peer
}

fn xored(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 7).collect()
}

#[test]
fn a_layer_without_handshake_or_end_changes_bytes_and_nothing_else() {
    let mut bench = Bench::new();
    let probe = Probe::echo("a").on_open(|cx| {
        cx.send(b"plain;");
        cx.start_layer(Xor(7), TIMEOUT).expect("it is open");
        cx.send(b"hello");
    });
    let peer = bench.dial(probe.on_handshake(|_| panic!("it has none")));
    bench.settle();
    assert_eq!(peer.received(), [b"plain;", &xored(b"hello")[..]].concat());
    peer.forget_received();
    for byte in xored(b"abc") {
        peer.send(&[byte]);
        bench.settle();
    }
    assert_eq!(peer.received(), xored(b"abc"));
    peer.finish();
    bench.settle();
    let told = bench.told();
    assert_eq!(told[0], "a open");
    assert_eq!(told[4..], ["a eof", "a close: closed by the peer"]);
    assert!(peer.ended());
}

#[test]
fn what_is_sent_before_the_greeting_leaves_behind_it_and_input_comes_after_the_handshake() {
    let mut bench = Bench::new();
    let probe = Probe::new("a")
        .on_open(|cx| {
            cx.start_layer(Frames::default(), TIMEOUT).expect("open");
            cx.send(b"early");
            cx.pause();
        })
        .on_handshake(|cx| {
            assert!(cx.layer::<Frames>().is_some() && cx.layer::<Xor>().is_none());
            cx.resume();
        });
    let peer = bench.dial(probe);
    bench.settle();
    assert_eq!(peer.received(), GREETING);
    for byte in [GREETING, &frame(b'd', b"one")].concat() {
        peer.send(&[byte]);
        bench.settle();
    }
    let all = [GREETING, &frame(b'd', b"early")].concat();
    assert_eq!(peer.received(), all);
    assert_eq!(bench.told(), ["a open", "a handshake", "a input one"]);
}

#[test]
fn many_sends_of_a_turn_are_one_frame() {
    let mut bench = Bench::new();
    let probe = Probe::new("a").on_input(|cx, input| {
        input.take();
        for _ in 0..10 {
            cx.send(b"0123456789");
        }
    });
    let peer = framed(&mut bench, probe);
    peer.send(&frame(b'd', b"x"));
    bench.settle();
    assert_eq!(peer.received(), frame(b'd', &b"0123456789".repeat(10)));
}

#[test]
fn no_more_is_sealed_ahead_than_the_socket_will_soon_take() {
    let mut bench = Bench::new();
    let peer = framed(&mut bench, Probe::new("a"));
    let key = peer.key();
    peer.set_room(0);
    bench.with(|cx| cx.io.send(key, vec![1; 1 << 20]));
    bench.settle();
    let queued = bench.with(|cx| cx.io.queued(key)) - (1 << 20);
    // Three bytes for each frame that was made.
    let sealed = queued / 3 * FRAME_BYTES_MAX;
    assert!(
        (256 << 10..260 << 10).contains(&(sealed + queued)),
        "{sealed}"
    );
    let held = bench.with(|cx| cx.io.total_queued());
    assert!(held > 1 << 20, "{held} bytes of memory");
    peer.set_room(usize::MAX);
    bench.settle();
    assert_eq!(peer.received_len(), (1 << 20) + 3 * 1049);
    assert_eq!(bench.with(|cx| cx.io.total_queued()), 0);
}

#[test]
fn a_question_to_the_layer_is_answered_though_nothing_is_queued() {
    let mut bench = Bench::new();
    let peer = framed(&mut bench, Probe::new("a"));
    peer.send(&frame(b'p', b"there?"));
    bench.settle();
    assert_eq!(peer.received(), frame(b'a', b"there?"));
    assert_eq!(bench.told(), [""; 0]);
    peer.send(&frame(b'a', b""));
    bench.settle();
    let key = peer.key();
    let answers = |layer: &Frames| layer.answers;
    assert_eq!(bench.with(|cx| cx.io.layer(key).map(answers)), Some(1));
}

#[test]
fn the_end_of_the_layer_is_the_end_of_input_and_ours_stands_behind_the_last_byte() {
    let mut bench = Bench::new();
    let probe = Probe::new("a").on_eof(|cx| {
        cx.send(b"last");
        Eof::Close
    });
    let peer = framed(&mut bench, probe);
    peer.send(&[frame(b'd', b"x"), frame(b'e', b""), frame(b'd', b"dropped")].concat());
    bench.settle();
    assert_eq!(
        peer.received(),
        [frame(b'd', b"last"), frame(b'e', b"")].concat()
    );
    assert!(peer.ended());
    peer.finish();
    bench.settle();
    assert_eq!(
        bench.told(),
        ["a input x", "a eof", "a close: closed by the peer"]
    );
}

#[test]
fn a_direction_that_is_ended_says_the_layers_end_and_input_goes_on() {
    let mut bench = Bench::new();
    let peer = framed(&mut bench, Probe::new("a"));
    let key = peer.key();
    bench.with(|cx| {
        cx.io.send(key, b"all");
        cx.io.shutdown_write(key);
    });
    bench.settle();
    assert_eq!(
        peer.received(),
        [frame(b'd', b"all"), frame(b'e', b"")].concat()
    );
    peer.send(&frame(b'd', b"more"));
    bench.settle();
    assert_eq!(bench.told(), ["a input more"]);
}

#[test]
fn a_socket_that_ends_without_the_layers_end_is_cut_off() {
    let mut bench = Bench::new();
    let peer = framed(&mut bench, Probe::new("a"));
    peer.send(&frame(b'd', b"x"));
    peer.finish();
    bench.settle();
    assert_eq!(bench.told(), ["a input x", "a close: cut off"]);
}

#[test]
fn what_cannot_be_believed_is_told_to_the_peer_and_ends_the_connection() {
    let mut bench = Bench::new();
    let peer = framed(&mut bench, Probe::echo("a"));
    peer.send(&[frame(b'd', b"good"), frame(b'?', b""), frame(b'd', b"bad")].concat());
    bench.settle();
    assert_eq!(peer.received(), frame(b'x', b"no such frame"));
    peer.finish();
    bench.settle();
    let told = bench.told();
    assert_eq!(told[0], "a input good");
    assert!(told[1].starts_with("a close: no such frame"), "{told:?}");
}

#[test]
fn of_one_that_fails_in_the_piece_with_which_its_handshake_ends_no_byte_is_input() {
    let whole = [
        GREETING,
        &frame(b'd', b"good"),
        &frame(b'?', b""),
        &frame(b'd', b"bad"),
    ]
    .concat();
    let mut bench = Bench::new();
    let peer = bench.dial(begins(Probe::echo("a"), Frames::default));
    peer.send(&whole);
    bench.settle();
    // The same over another one.
    let over = Probe::echo("b").on_open(|cx| {
        cx.start_layer(Xor(7), TIMEOUT).expect("it is open");
        let begun = cx.start_layer(Frames::default(), TIMEOUT);
        begun.expect("it is open");
    });
    let second = bench.dial(over);
    second.send(&xored(&whole));
    bench.settle();
    let reason = [GREETING, &frame(b'x', b"no such frame")].concat();
    assert_eq!(peer.received(), reason);
    assert_eq!(second.received(), xored(&reason));
    for peer in [peer, second] {
        peer.finish();
    }
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "a open",
            "b open",
            "a close: no such frame",
            "b close: no such frame"
        ]
    );
}

#[test]
fn a_handshake_has_a_deadline() {
    let mut bench = Bench::new();
    let peer = bench.dial(begins(Probe::new("a"), Frames::default));
    bench.settle();
    peer.send(&GREETING[..3]);
    bench.advance(TIMEOUT - Duration::from_millis(1));
    assert!(!peer.closed());
    bench.advance(Duration::from_millis(2));
    assert_eq!(bench.told(), ["a open", "a close: no greeting in time"]);
}

#[test]
fn a_relay_carries_what_is_plain_from_one_layer_to_another_with_the_end() {
    let mut bench = Bench::new();
    let from = bench.dial(begins(Probe::new("from"), || Xor(7)));
    let to = framed(&mut bench, Probe::new("to"));
    let (source, target) = (from.key(), to.key());
    let begun = bench.with(|cx| cx.io.proxy(source, target, &ProxyOptions::default()));
    begun.expect("both are open");
    from.send(&xored(b"through"));
    bench.settle();
    assert_eq!(to.received(), frame(b'd', b"through"));
    from.finish();
    bench.settle();
    assert_eq!(
        to.received(),
        [frame(b'd', b"through"), frame(b'e', b"")].concat()
    );
    let told = bench.told();
    assert_eq!(told[..2], ["from proxy SourceEof", "from eof"], "{told:?}");
}

#[test]
fn what_had_come_unread_is_the_layers_and_a_third_layer_is_refused() {
    let mut bench = Bench::new();
    let probe = Probe::new("a").on_input(|cx, input| {
        if cx.layer::<Frames>().is_some() {
            input.take();
            let again = cx.start_layer(Xor(0), TIMEOUT);
            assert_eq!(again, Ok(()));
            let again = cx.start_layer(Xor(0), TIMEOUT);
            assert_eq!(again, Err(LayerError::AlreadyStarted));
            let detached = cx.detach().expect_err("the layer is here");
            return assert_eq!(detached.kind(), ErrorKind::Unsupported);
        }
        assert_eq!(input.consume(6), b"begin;");
        cx.start_layer(Frames::default(), TIMEOUT).expect("open");
    });
    let peer = bench.dial(probe);
    peer.send(&[b"begin;", GREETING, &frame(b'd', b"x")].concat());
    bench.settle();
    assert_eq!(bench.told().last().expect("it was told"), "a input x");
    let key = peer.key();
    bench.with(|cx| cx.io.close(key));
    bench.settle();
    let gone = bench.with(|cx| cx.io.start_layer(key, Xor(7), TIMEOUT));
    assert_eq!(gone, Err(LayerError::NotOpen));
}

#[test]
fn a_layer_that_changes_no_byte_has_each_piece_leave_behind_its_head() {
    let mut bench = Bench::new();
    let peer = bench.dial(begins(Probe::echo("a"), Passed::default));
    for byte in passed(b"hello") {
        peer.send(&[byte]);
    }
    bench.settle();
    assert_eq!(peer.received(), passed(b"hello"));
    peer.forget_received();
    // What the socket does not take waits, and what comes behind it.
    let key = peer.key();
    peer.set_room(7);
    for byte in [1, 2, 3] {
        bench.with(|cx| cx.io.send(key, vec![byte; 100_000]));
        bench.settle();
    }
    bench.with(|cx| assert!(cx.io.queued(key) >= 299_993, "{}", cx.io.queued(key)));
    peer.set_room(usize::MAX);
    bench.settle();
    let (mut opened, mut all) = (Passed::default(), Vec::new());
    opened
        .open(Arrived::new(&mut peer.received()), &mut all)
        .expect("it is good");
    assert!(all == [[1; 100_000], [2; 100_000], [3; 100_000]].concat());
    assert_eq!(bench.with(|cx| cx.io.total_queued()), 0);
}

#[test]
fn what_says_much_is_opened_piece_by_piece_with_the_others_between() {
    let mut bench = Bench::new();
    let probe = |name| {
        Probe::new(name).on_input(|_, input| {
            input.take();
        })
    };
    let bomb = bench.dial(begins(probe("bomb"), || Repeated::new(1000)));
    let other = bench.dial(probe("other"));
    bench.told();
    bomb.send(&[b'x'; 5]);
    bomb.finish();
    for _ in 0..3 {
        other.send(b"y");
        bench.turn();
    }
    let told = bench.told();
    let (bombs, others): (Vec<_>, Vec<_>) = told.iter().partition(|line| line.starts_with("bomb"));
    assert!(bombs.len() <= 4 && others.len() >= 2, "{told:?}");
    bench.settle();
    let ends = bench.told();
    assert_eq!(
        ends[ends.len() - 2..],
        ["bomb eof", "bomb close: closed by the peer"]
    );
}

#[test]
fn one_that_makes_little_of_much_has_its_share_of_a_turn() {
    let mut bench = Bench::new();
    let peer = bench.dial(begins(Probe::new("a"), || Repeated::new(1024)));
    bench.settle();
    let key = peer.key();
    bench.with(|cx| cx.io.send(key, vec![7; 3 << 20]));
    bench.turn();
    assert_eq!(peer.received_len(), 1024);
    bench.settle();
    assert_eq!(peer.received_len(), 3 << 10);
}

#[test]
fn one_that_takes_no_more_says_so_at_once() {
    let spent = || Spent {
        left: 4,
        says: Some(b" and no more"),
        is_asked: false,
    };
    let mut bench = Bench::new();
    let alone = bench.dial(begins(Probe::echo("a"), spent));
    let under = Probe::echo("b").on_open(move |cx| {
        cx.start_layer(spent(), TIMEOUT).expect("it is open");
        cx.start_layer(Xor(0), TIMEOUT).expect("it is open");
    });
    let under = bench.dial(under);
    for peer in [alone, under] {
        peer.send(b"from here");
        bench.settle();
        assert_eq!(peer.received(), b"from and no more");
    }
}

/// A peer that has begun with frames over changed bytes, and is greeted.
fn stacked(bench: &mut Bench, probe: Probe) -> Peer {
    let peer = bench.dial(begins(probe, || Xor(7)));
    bench.settle();
    let key = peer.key();
    bench.with(|cx| {
        cx.io.send(key, b"plain;");
        let begun = cx.io.start_layer(key, Frames::default(), TIMEOUT);
        begun.expect("it is open");
    });
    peer.send(&xored(GREETING));
    bench.settle();
    assert_eq!(peer.received(), xored(&[b"plain;", GREETING].concat()));
    peer.forget_received();
    bench.told();
    peer
}

#[test]
fn of_two_layers_the_upper_one_hears_what_the_lower_one_opens_and_the_lower_one_sends_what_the_upper_one_seals()
 {
    let mut bench = Bench::new();
    let peer = stacked(&mut bench, Probe::echo("a"));
    let key = peer.key();
    bench.with(|cx| {
        assert!(cx.io.layer::<Xor>(key).is_some());
        assert!(cx.io.layer_mut::<Frames>(key).is_some());
        assert!(cx.io.layer::<Passed>(key).is_none());
    });
    for byte in xored(&[frame(b'd', b"hello"), frame(b'p', b"there?")].concat()) {
        peer.send(&[byte]);
        bench.settle();
    }
    let all = [frame(b'd', b"hello"), frame(b'a', b"there?")].concat();
    assert_eq!(peer.received(), xored(&all));
    peer.forget_received();
    peer.send(&xored(&frame(b'e', b"")));
    bench.settle();
    assert_eq!(peer.received(), xored(&frame(b'e', b"")));
    assert!(peer.ended());
}

#[test]
fn of_two_layers_either_may_fail() {
    let mut bench = Bench::new();
    let peer = stacked(&mut bench, Probe::new("a"));
    peer.send(&xored(&frame(b'?', b"")));
    bench.settle();
    assert_eq!(peer.received(), xored(&frame(b'x', b"no such frame")));
    peer.finish();
    bench.settle();
    assert!(bench.told()[0].starts_with("a close: no such frame"));

    // The lower one ends: to the upper one that is the end of the socket.
    let peer = framed(&mut bench, Probe::new("b"));
    let key = peer.key();
    let over = bench.with(|cx| cx.io.start_layer(key, Frames::default(), TIMEOUT));
    over.expect("it is open");
    peer.send(&frame(b'd', GREETING));
    peer.send(&frame(b'e', b""));
    peer.finish();
    bench.settle();
    let told = bench.told();
    assert!(
        told.iter().any(|line| line.starts_with("b close: cut off")),
        "{told:?}"
    );
}

#[test]
fn the_handshakes_of_two_layers_are_one_and_have_the_time_of_both() {
    let mut bench = Bench::new();
    let begin = |probe: Probe| {
        probe
            .on_open(|cx| {
                cx.start_layer(Frames::default(), TIMEOUT).expect("open");
                cx.start_layer(Frames::default(), TIMEOUT).expect("open");
                cx.send(b"early");
            })
            .on_handshake(|_| {})
    };
    let (first, second) = (
        bench.dial(begin(Probe::new("a"))),
        bench.dial(begin(Probe::new("b"))),
    );
    bench.settle();
    assert_eq!(first.received(), GREETING);
    bench.told();
    bench.advance(TIMEOUT - Duration::from_millis(1));
    for peer in [&first, &second] {
        peer.send(GREETING);
    }
    bench.settle();
    assert_eq!(
        first.received(),
        [GREETING, &frame(b'd', GREETING)].concat()
    );
    first.send(&frame(b'd', GREETING));
    bench.advance(TIMEOUT);
    let early = frame(b'd', &frame(b'd', b"early"));
    assert!(first.received().ends_with(&early));
    bench.advance(Duration::from_millis(2));
    assert_eq!(
        bench.told(),
        ["a handshake", "b close: no greeting in time, 5 unsent"]
    );
}

#[test]
fn what_had_come_unread_is_that_of_the_layer_that_is_put_on_first() {
    let mut bench = Bench::new();
    let probe = Probe::new("a").on_input(|cx, input| {
        if cx.layer::<Passed>().is_none() {
            assert_eq!(input.consume(6), b"begin;");
            cx.start_layer(Passed::default(), TIMEOUT).expect("open");
            cx.start_layer(Xor(7), TIMEOUT).expect("open");
        } else {
            input.take();
        }
    });
    let peer = bench.dial(probe);
    peer.send(&[b"begin;", &passed(&xored(b"x"))[..]].concat());
    bench.settle();
    assert_eq!(bench.told().last().expect("it was told"), "a input x");
    let probe = begins(Probe::new("b"), Passed::default).on_input(|cx, input| {
        if cx.layer::<Xor>().is_none() {
            assert_eq!(input.consume(6), b"begin;");
            cx.start_layer(Xor(7), TIMEOUT).expect("open");
        } else {
            input.take();
        }
    });
    let peer = bench.dial(probe);
    peer.send(&passed(&[b"begin;", &xored(b"y")[..]].concat()));
    bench.settle();
    assert_eq!(bench.told().last().expect("it was told"), "b input y");
}
