//! Layers that are not TLS: what the loop does for each, byte by byte.

use crate::layers::{FRAME_BYTES_MAX, Frames, GREETING, Xor, frame};
use crate::support::{Bench, Peer, Probe};
use midge_reactor::layer::{Layer, LayerError};
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
fn what_had_come_unread_is_the_layers_and_a_second_layer_is_refused() {
    let mut bench = Bench::new();
    let probe = Probe::new("a").on_input(|cx, input| {
        if cx.layer::<Frames>().is_some() {
            input.take();
            let again = cx.start_layer(Xor(7), TIMEOUT);
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
