//! What a message costs in memory: nothing, once the buffers are warm.

// Some of it is for the other tests.
#[allow(dead_code, unused_imports)]
mod support;

use allocation_counter::{AllocationInfo, measure};
use midge_reactor::Handler;
use midge_reactor::codec::{
    Framing, Head, HeaderBody, LengthPrefixed, LineHandler, Lines, Mode, Prefix, RequestHandler,
    UnitHandler,
};
use std::net::SocketAddr;
use std::time::Duration;
use support::{Bench, Catcher, Cx, Log, Probe};

const WARM_UP: usize = 200;
const ROUNDS: usize = 1000;

/// Counts the allocations of `ROUNDS` rounds after a warm-up.
fn steady(bench: &mut Bench, mut round: impl FnMut(&mut Bench)) -> AllocationInfo {
    bench.reactor.state.quiet();
    let mut round = |bench: &mut Bench| {
        // Time enough to pay back what the round before has used.
        bench.world.stall(Duration::from_millis(1));
        round(bench);
    };
    for _ in 0..WARM_UP {
        round(bench);
    }
    measure(|| {
        for _ in 0..ROUNDS {
            round(bench);
        }
    })
}

#[test]
fn an_echo_allocates_nothing_per_message() {
    for len in [1, 64, 5000, 100_000] {
        let mut bench = Bench::new();
        let peer = bench.client(Probe::echo("a"));
        let message = vec![7; len];
        let cost = steady(&mut bench, |bench| {
            peer.send(&message);
            bench.settle();
            assert_eq!(peer.received_len(), message.len());
            peer.forget_received();
        });
        assert_eq!(cost.count_total, 0, "messages of {len} bytes");
    }
}

#[test]
fn messages_that_come_cut_allocate_nothing() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        while input.len() >= 100 {
            cx.send(input.consume(100));
        }
    }));
    let cost = steady(&mut bench, |bench| {
        for part in [&[1; 130][..], &[2; 50], &[3; 20]] {
            peer.send(part);
            bench.settle();
        }
        assert_eq!(peer.received_len(), 200);
        peer.forget_received();
    });
    assert_eq!(cost.count_total, 0);
}

#[test]
fn a_fan_out_to_peers_that_take_little_at_a_time_allocates_nothing() {
    let mut bench = Bench::new();
    let sinks: Vec<_> = (0..10).map(|_| bench.client(Probe::new("sink"))).collect();
    let keys: Vec<_> = sinks.iter().map(support::Peer::key).collect();
    let source = bench.client(Probe::new("source").on_input(move |cx, input| {
        let bytes = input.take();
        for key in &keys {
            cx.io.send(*key, bytes);
        }
    }));
    bench.world.write_max(30);
    let cost = steady(&mut bench, |bench| {
        source.send(&[7; 100]);
        bench.settle();
        for sink in &sinks {
            assert_eq!(sink.received_len(), 100);
            sink.forget_received();
        }
    });
    assert_eq!(cost.count_total, 0);
}

#[test]
fn timers_of_connections_allocate_nothing_when_they_are_armed_again() {
    let mut bench = Bench::new();
    bench.client(
        Probe::new("a")
            .on_open(|cx| {
                cx.set_timer(Duration::from_millis(1), 0);
                cx.set_interval(Duration::from_millis(1), 1);
            })
            .on_timer(|cx, timer| {
                let deadline = cx.set_timer(Duration::from_secs(1), 2);
                assert!(cx.io.cancel(deadline));
                if timer == 0 {
                    cx.set_timer(Duration::from_millis(1), 0);
                }
            }),
    );
    let cost = steady(&mut bench, |bench| bench.advance(Duration::from_millis(1)));
    assert_eq!(cost.count_total, 0);
}

#[test]
fn packets_allocate_nothing_in_or_out() {
    let mut bench = Bench::new();
    let here = SocketAddr::from(([10, 0, 0, 1], 53));
    let key = bench.with(|cx| cx.udp(here, Catcher::echo("a")));
    let key = key.expect("the address is free");
    for len in [0, 1, 1400, 60_000] {
        let packet = vec![7; len];
        let cost = steady(&mut bench, |bench| {
            for _ in 0..5 {
                bench.world.packet(key, here, &packet);
            }
            bench.settle();
            assert_eq!(bench.world.forget_sent(), 5);
        });
        assert_eq!(cost.count_total, 0, "packets of {len} bytes");
    }
}

#[test]
fn a_large_message_that_is_announced_takes_memory_only_as_it_comes() {
    const ANNOUNCED: usize = 1 << 20;
    let mut bench = Bench::new();
    bench.reactor.state.quiet();
    let peer = bench.client(Probe::new("a").on_input(|_, input| {
        if input.len() < ANNOUNCED {
            input.need(ANNOUNCED);
        } else {
            input.take();
        }
    }));
    let mut sent = 0;
    let mut held = 0;
    for part in [1, 10_000, 90_000, 200_000, 400_000] {
        let part = vec![7; part];
        sent += part.len();
        let cost = measure(|| {
            peer.send(&part);
            bench.settle();
        });
        held += cost.bytes_current;
        // What has come twice over, room for one read, and the script's own copy.
        let allowed = 2 * sent + 64 * 1024 + sent + 4096;
        let held = usize::try_from(held).unwrap_or(0);
        assert!(held <= allowed, "{held} bytes for {sent} that came");
    }
}

#[test]
fn connections_that_have_had_their_say_own_no_buffers() {
    const SAID: usize = 100_000;
    let mut bench = Bench::new();
    bench.reactor.state.quiet();
    let cut = |cx: &mut Cx<'_>, input: &mut midge_reactor::Input<'_>| {
        while input.len() >= 10 {
            cx.send(input.consume(10));
        }
    };
    let peers: Vec<_> = (0..100)
        .map(|_| bench.client(Probe::new("a").on_input(cut)))
        .collect();
    let said = vec![7; SAID];
    let cost = measure(|| {
        for peer in &peers {
            allocation_counter::opt_out(|| peer.reserve(SAID));
            for part in said.chunks(SAID / 2 + 3) {
                peer.send(part);
                bench.settle();
            }
            assert_eq!(peer.received_len(), SAID);
        }
    });
    assert!(cost.bytes_current < 4 * SAID as i64, "{cost:?}");
}

/// Sends back each unit.
struct Answers;

impl LineHandler<Log> for Answers {
    fn on_line(&mut self, cx: &mut Cx<'_>, line: &[u8], framing: &mut Framing) {
        cx.send(line);
        framing.set_delimiter(if line == b"lf" { "\n" } else { "||" });
        if line == b"block" {
            framing.set_mode(Mode::Bytes(2000));
        }
    }

    fn on_bytes(&mut self, cx: &mut Cx<'_>, bytes: &[u8], _: &mut Framing) {
        cx.send(bytes);
    }
}

impl UnitHandler<Log> for Answers {
    fn on_unit(&mut self, cx: &mut Cx<'_>, unit: &[u8]) {
        let key = cx.key();
        Prefix::Varint.send(&mut cx.io, key, unit);
    }
}

impl RequestHandler<Log> for Answers {
    fn on_request(&mut self, cx: &mut Cx<'_>, head: Head<'_>, body: &[u8]) {
        cx.send(head.get("kind").unwrap_or_default());
        cx.send(body);
    }
}

#[test]
fn units_allocate_nothing_whole_or_cut() {
    fn check(name: &str, handler: impl Handler<Log> + 'static, unit: &[u8]) {
        let mut bench = Bench::new();
        let peer = bench.client(handler);
        // Small enough for the buffers of unread input that the reactor keeps for reuse.
        assert!(unit.len() <= 4 * 1024);
        let cost = steady(&mut bench, |bench| {
            for pieces in [unit.len(), 1000, 7] {
                for piece in unit.chunks(pieces.max(unit.len() / 100)) {
                    peer.send(piece);
                    bench.settle();
                }
            }
            assert!(peer.received_len() > 0);
            peer.forget_received();
        });
        assert_eq!(cost.count_total, 0, "{name}");
    }
    let text = [
        &b"block||"[..],
        &[b'x'; 2000],
        b"a line||lf||block\n",
        &[0; 2000],
    ]
    .concat();
    check("lines", Lines::new(Answers).delimiter("||"), &text);
    let unit = [&[0xac, 2][..], &[b'x'; 300], b"\x00\x01y"].concat();
    let units = LengthPrefixed::new(Answers, Prefix::Varint);
    check("units", units, &unit);
    let request = [
        &b"Kind: a\r\nContent-Length: 2000\r\n\r\n"[..],
        &[b'x'; 2000],
    ]
    .concat();
    check("requests", HeaderBody::new(Answers), &request);
}
