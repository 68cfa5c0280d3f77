//! Datagrams: whole packets, a bounded queue, errors that end nothing, a share for everyone else.

use crate::support::{Bench, Catcher, Probe};
use midge_reactor::{Key, PACKET_BYTES_MAX, UdpOptions};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn here() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 53))
}

fn there(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 9], port))
}

/// A socket that is open; the log is empty again.
fn socket(bench: &mut Bench, handler: Catcher) -> Key {
    socket_with(bench, &UdpOptions::default(), handler)
}

fn socket_with(bench: &mut Bench, options: &UdpOptions, handler: Catcher) -> Key {
    let key = bench.with(|cx| cx.udp_with(here(), options, handler));
    bench.settle();
    bench.log();
    key.expect("the address is free")
}

fn bounded(bytes: usize, packets: usize) -> UdpOptions {
    let mut options = UdpOptions::default();
    (options.queued_bytes_max, options.queued_packets_max) = (bytes, packets);
    options
}

#[test]
fn packets_come_whole_and_answers_go_to_their_senders_at_the_end_of_the_turn() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::echo("u"));
    bench.world.packet(key, there(1), b"one");
    bench.world.packet(key, there(2), b"");
    bench.world.packet(key, there(1), &[7; 65_527]);
    bench.world.packet(key, there(3), &[8; PACKET_BYTES_MAX]);
    bench.turn();
    assert_eq!(
        bench.log(),
        [
            "receive k1 3",
            "u packet from 1 one",
            "receive k1 0",
            "u packet from 2 ",
            "receive k1 65527",
            "u packet from 1 65527 bytes",
            "receive k1 65507",
            "u packet from 3 65507 bytes",
            "send k1 to 1 one",
            "send k1 to 2 ",
            "send k1 to 3 65507 bytes",
        ],
        "all but the one that is too long to be sent"
    );
}

#[test]
fn what_is_sent_in_one_turn_leaves_at_its_end_in_order_for_whomever() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    bench.with(|cx| {
        for port in 1..=3 {
            assert!(cx.io.send_to(key, there(port), &[b'a'; 2]));
        }
        cx.defer(move |cx| assert!(cx.io.send_to(key, there(4), b"")));
        assert!(!cx.reply(b"x"), "to whom?");
        assert_eq!((cx.io.queued_packets(key), cx.io.queued(key)), (3, 6));
    });
    assert!(bench.world.sent().is_empty(), "nothing leaves before");
    bench.turn();
    let to: Vec<u16> = bench.world.sent().iter().map(|(to, _)| to.port()).collect();
    assert_eq!(to, [1, 2, 3, 4]);
    assert_eq!(bench.with(|cx| cx.io.queued_packets(key)), 0);
}

#[test]
fn a_packet_that_the_kernel_does_not_take_is_not_lost_and_waits_for_the_edge() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    bench.world.packet_room(key, 1);
    bench.with(|cx| {
        for port in 1..=4 {
            cx.io.send_to(key, there(port), b"x");
        }
    });
    bench.settle();
    bench.with(|cx| cx.io.send_to(key, there(5), b"x"));
    bench.settle();
    let tries = bench.full_log();
    let tries = tries
        .iter()
        .filter(|line| line.starts_with("send "))
        .count();
    assert_eq!(tries, 2, "one that leaves, one that would block");
    bench.world.packet_room(key, 2);
    bench.settle();
    bench.world.packet_room(key, usize::MAX);
    bench.settle();
    let to: Vec<u16> = bench.world.sent().iter().map(|(to, _)| to.port()).collect();
    assert_eq!(to, [1, 2, 3, 4, 5]);
    assert_eq!(bench.with(|cx| cx.io.dropped(key)), 0);
}

#[test]
fn a_full_queue_refuses_the_new_packet_counts_it_and_tells_when_half_is_free() {
    for (options, fits) in [(bounded(100, 1000), 10), (bounded(10_000, 7), 7)] {
        let mut bench = Bench::new();
        let key = socket_with(&mut bench, &options, Catcher::new("u"));
        bench.world.packet_room(key, 0);
        let sent = bench.with(|cx| {
            let sent = (0..12).filter(|port| cx.io.send_to(key, there(*port), &[0; 10]));
            sent.count()
        });
        assert_eq!(sent, fits);
        let dropped = |bench: &mut Bench| bench.with(|cx| cx.io.dropped(key));
        assert_eq!(dropped(&mut bench), 12 - fits as u64);
        bench.settle();
        bench.world.packet_room(key, 1);
        bench.settle();
        assert!(bench.told().is_empty(), "most of it still waits");
        bench.world.packet_room(key, usize::MAX);
        bench.settle();
        assert_eq!(bench.told(), ["u drain"]);
        let to: Vec<u16> = bench.world.sent().iter().map(|(to, _)| to.port()).collect();
        assert!(
            to.into_iter().eq(0..fits as u16),
            "the first are kept, in order"
        );
        bench.with(|cx| cx.io.send_to(key, there(1), b"again"));
        bench.settle();
        assert!(bench.told().is_empty(), "nothing was refused since");
    }
}

#[test]
fn a_packet_that_can_never_be_sent_is_refused_at_once() {
    let mut bench = Bench::new();
    let mut options = bounded(PACKET_BYTES_MAX + 10, 5);
    options.peer = Some(there(1));
    let key = socket_with(&mut bench, &options, Catcher::new("u"));
    let listener = bench.listener;
    bench.with(|cx| {
        assert!(!cx.io.send_to(key, there(1), &[0; PACKET_BYTES_MAX + 1]));
        assert!(!cx.io.send_to(key, there(2), b"not the peer"));
        assert!(!cx.io.send(key, b"a socket without a stream"));
        assert!(!cx.io.send_to(Key::NONE, there(1), b"no socket"));
        assert!(!cx.io.send_to(listener, there(1), b"a listener"));
        assert_eq!(cx.io.dropped(key), 0);
        assert!(cx.io.send_to(key, there(1), &[0; PACKET_BYTES_MAX]));
        assert_eq!(cx.io.peer_addr(key), Some(there(1)));
        assert_eq!(cx.io.local_addr(key), Some(here()));
    });
    bench.settle();
    assert_eq!(bench.world.sent().len(), 1);
    let tiny = bounded(4, 0);
    let other = bench.with(|cx| {
        let addr = SocketAddr::from(([10, 0, 0, 1], 54));
        let key = cx.udp_with(
            addr,
            &tiny,
            Catcher::new("v").on_drain(|cx| {
                assert!(!cx.send_to(there(1), b"five!"));
            }),
        );
        let key = key.expect("the address is free");
        assert!(!cx.io.send_to(key, there(1), b"five!"));
        assert!(cx.io.send_to(key, there(1), b"four"));
        assert!(!cx.io.send_to(key, there(1), b""), "one packet may wait");
        key
    });
    bench.settle();
    assert_eq!(bench.told(), ["v open", "v drain"]);
    assert_eq!(bench.with(|cx| cx.io.dropped(other)), 1);
}

#[test]
fn errors_are_told_and_end_nothing() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::echo("u"));
    bench.world.receive_error(key, ErrorKind::ConnectionRefused);
    bench.world.packet(key, there(1), b"and on");
    bench.settle();
    assert_eq!(
        bench.told(),
        ["u error ConnectionRefused", "u packet from 1 and on"]
    );
    assert_eq!(bench.world.sent().len(), 1);
}

#[test]
fn packets_for_which_the_system_has_no_memory_wait_and_leave_in_order() {
    for errno in [Errno::NOBUFS, Errno::NOMEM] {
        let mut bench = Bench::new();
        let key = socket(&mut bench, Catcher::new("u"));
        for _ in 0..3 {
            bench.world.send_errno(key, errno.raw_os_error());
        }
        for text in ["a", "b", "c"] {
            bench.with(|cx| cx.io.send_to(key, there(1), text.as_bytes()));
            bench.settle();
            assert_eq!(bench.reactor.timer_count(), 1, "one for all of them");
        }
        bench.advance(SECOND);
        let log = bench.log();
        let sent = ["send k1 to 1 a", "send k1 to 1 b", "send k1 to 1 c"];
        assert_eq!(log[log.len() - 3..], sent, "{errno}");
        assert_eq!(bench.with(|cx| cx.io.dropped(key)), 0);
        assert_eq!(bench.reactor.timer_count(), 0);
    }
}

#[test]
fn a_packet_that_the_system_refuses_is_told_of_and_no_other_is_lost() {
    for errno in [Errno::PERM, Errno::ACCESS, Errno::MSGSIZE, Errno::INVAL] {
        let mut bench = Bench::new();
        let key = socket(&mut bench, Catcher::new("u"));
        bench.world.send_errno(key, errno.raw_os_error());
        bench.with(|cx| {
            for text in ["a", "b"] {
                cx.io.send_to(key, there(1), text.as_bytes());
            }
        });
        bench.settle();
        let log = bench.log();
        assert!(log[1].starts_with("u error "), "{errno}: {log:?}");
        assert_eq!(log[2..], ["send k1 to 1 b"], "{errno}");
        assert_eq!(bench.with(|cx| cx.io.dropped(key)), 1);
    }
}

#[test]
fn a_send_that_fails_for_an_earlier_packet_is_tried_once_more() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    bench.world.send_error(key, ErrorKind::ConnectionRefused);
    bench.with(|cx| {
        for text in ["a", "b"] {
            assert!(cx.io.send_to(key, there(1), text.as_bytes()));
        }
    });
    bench.settle();
    assert_eq!(
        bench.log(),
        [
            "send k1 ConnectionRefused",
            "u error ConnectionRefused",
            "send k1 to 1 a",
            "send k1 to 1 b",
        ]
    );
    for _ in 0..2 {
        bench.world.send_error(key, ErrorKind::HostUnreachable);
    }
    bench.world.send_error(key, ErrorKind::PermissionDenied);
    bench.with(|cx| {
        for text in ["c", "d", "e"] {
            assert!(cx.io.send_to(key, there(1), text.as_bytes()));
        }
    });
    bench.settle();
    assert_eq!(
        bench.log(),
        [
            "send k1 HostUnreachable",
            "u error HostUnreachable",
            "send k1 HostUnreachable",
            "send k1 PermissionDenied",
            "u error PermissionDenied",
            "send k1 to 1 e",
        ],
        "the way of c is gone for good, d is told of at once"
    );
    assert_eq!(bench.with(|cx| cx.io.dropped(key)), 2);
}

#[test]
fn a_socket_on_which_every_receive_fails_rests_and_goes_on() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    for _ in 0..20 {
        bench.world.receive_error(key, ErrorKind::Other);
    }
    bench.world.packet(key, there(1), b"late");
    bench.settle();
    assert_eq!(bench.told().len(), 16);
    assert_eq!(bench.world.unreceived(key), 5);
    bench.advance(SECOND);
    let told = bench.told();
    assert_eq!(told.len(), 5);
    assert_eq!(
        told.last().map(String::as_str),
        Some("u packet from 1 late")
    );
}

#[test]
fn a_flood_on_one_socket_leaves_the_others_their_share() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("tcp"));
    let key = socket(&mut bench, Catcher::new("u"));
    for _ in 0..1000 {
        bench.world.packet(key, there(1), b"flood");
    }
    bench.turn();
    assert_eq!(bench.world.unreceived(key), 1000 - 64);
    peer.send(b"hello");
    bench.turn();
    assert_eq!(peer.text(), "hello");
    assert_eq!(bench.world.unreceived(key), 1000 - 128);
    bench.settle();
    assert_eq!(bench.world.unreceived(key), 0, "no edge was needed");
}

#[test]
fn large_packets_use_up_the_share_of_a_turn_as_well() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    for _ in 0..20 {
        bench.world.packet(key, there(1), &[0; 60_000]);
    }
    bench.turn();
    assert_eq!(bench.world.unreceived(key), 15);
    bench.settle();
    assert_eq!(bench.world.unreceived(key), 0);
}

#[test]
fn a_long_queue_leaves_over_several_turns_without_an_edge() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    bench.with(|cx| {
        for port in 0..1000 {
            assert!(cx.io.send_to(key, there(port), b"x"));
        }
    });
    bench.turn();
    assert_eq!(bench.world.forget_sent(), 256);
    bench.turn();
    assert_eq!(bench.world.forget_sent(), 256);
    bench.settle();
    assert_eq!(bench.world.forget_sent(), 1000 - 512);
}

#[test]
fn a_pause_stops_packets_at_once_and_not_those_that_leave() {
    let mut bench = Bench::new();
    let key = socket(
        &mut bench,
        Catcher::new("u").on_packet(|cx, _, packet| {
            cx.reply(packet);
            cx.pause();
        }),
    );
    for text in ["a", "b", "c"] {
        bench.world.packet(key, there(1), text.as_bytes());
    }
    bench.settle();
    assert_eq!(bench.told(), ["u packet from 1 a"]);
    assert_eq!(bench.world.sent().len(), 1);
    bench.with(|cx| cx.io.resume(key));
    bench.settle();
    assert_eq!(bench.told(), ["u packet from 1 b"]);
    assert!(bench.with(|cx| cx.io.is_paused(key)));
}

#[test]
fn after_a_close_no_packet_comes_and_what_is_queued_is_told_and_not_sent() {
    let mut bench = Bench::new();
    let key = socket(
        &mut bench,
        Catcher::new("u").on_packet(|cx, _, _| {
            cx.reply(b"never");
            cx.set_interval(SECOND, 1);
            cx.close();
            assert!(!cx.reply(b"too late"));
        }),
    );
    bench.world.packet(key, there(1), b"a");
    bench.world.packet(key, there(1), b"b");
    bench.settle();
    assert_eq!(
        bench.told(),
        ["u packet from 1 a", "u close: closed, 1 of 5 unsent"]
    );
    assert!(bench.world.sent().is_empty());
    assert_eq!(bench.world.open_sockets(), 1, "the listener");
    bench.advance(3 * SECOND);
    assert!(bench.told().is_empty());
    assert_eq!(bench.reactor.timer_count(), 0);
    bench.with(|cx| {
        assert!(!cx.io.send_to(key, there(1), b"gone"));
        assert!(!cx.io.close(key));
        assert_eq!(cx.io.counts().udp_sockets, 0);
    });
}

#[test]
fn a_close_after_writing_lets_the_queue_leave_first() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    bench.world.packet_room(key, 1);
    bench.with(|cx| {
        for port in 1..=3 {
            cx.io.send_to(key, there(port), b"x");
        }
        assert!(cx.io.close_after_write(key));
        assert!(!cx.io.send_to(key, there(4), b"x"));
    });
    bench.world.packet(key, there(1), b"unheard");
    bench.settle();
    assert!(bench.told().is_empty());
    bench.world.packet_room(key, 5);
    bench.settle();
    assert_eq!(bench.told(), ["u close: closed, 0 of 0 unsent"]);
    assert_eq!(bench.world.sent().len(), 3);
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn a_close_after_writing_ends_where_the_kernel_takes_nothing() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    bench.world.packet_room(key, 0);
    bench.with(|cx| {
        cx.io.send_to(key, there(1), b"abc");
        cx.io.close_after_write(key);
    });
    bench.advance(midge_reactor::LINGER - SECOND);
    assert!(bench.told().is_empty());
    bench.advance(2 * SECOND);
    assert_eq!(bench.told(), ["u close: closed, 1 of 3 unsent"]);
}

#[test]
fn a_shutdown_sends_what_is_queued_and_ends() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    bench.with(|cx| {
        for port in 0..300 {
            cx.io.send_to(key, there(port), b"last words");
        }
        cx.io.shutdown(SECOND);
    });
    bench.run();
    assert_eq!(bench.told(), ["u close: reactor stopped, 0 of 0 unsent"]);
    assert_eq!(bench.world.sent().len(), 300);
}

#[test]
fn a_stop_closes_with_a_reason_and_the_rest_of_the_queue() {
    let mut bench = Bench::new();
    let key = socket(&mut bench, Catcher::new("u"));
    bench.world.packet_room(key, 0);
    bench.with(|cx| {
        cx.io.send_to(key, there(1), b"abc");
        cx.stop();
    });
    bench.run();
    assert_eq!(bench.told(), ["u close: reactor stopped, 1 of 3 unsent"]);
}

#[test]
fn the_opening_comes_before_all_else_and_not_after_a_close() {
    let mut bench = Bench::new();
    bench.with(|cx| {
        cx.defer(|cx| {
            let handler = Catcher::new("u").on_open(|cx| {
                cx.set_timer(SECOND, 2);
            });
            let key = cx.udp(here(), handler).expect("the address is free");
            cx.io.send_to(key, there(1), b"at once");
            cx.io.set_timer(key, Duration::ZERO, 1);
            let addr = SocketAddr::from(([10, 0, 0, 1], 54));
            let other = cx.udp(addr, Catcher::new("v"));
            cx.io.close(other.expect("the address is free"));
            let taken = cx.udp(addr, Catcher::new("w"));
            let error = taken.expect_err("it is taken");
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            assert_eq!(error.to_string(), "udp on 10.0.0.1:54: address in use");
            assert_eq!((cx.io.counts().udp_sockets, cx.io.connections()), (2, 0));
        });
    });
    bench.settle();
    assert_eq!(
        bench.told(),
        ["v close: closed, 0 of 0 unsent", "u open", "u timer 1"]
    );
    bench.advance(SECOND);
    assert_eq!(bench.told(), ["u timer 2"]);
}

#[test]
fn handlers_may_send_from_every_call_and_close_each_other() {
    let mut bench = Bench::new();
    let victim = bench.with(|cx| {
        let addr = SocketAddr::from(([10, 0, 0, 1], 54));
        cx.udp(addr, Catcher::new("v"))
    });
    let victim = victim.expect("the address is free");
    let say = |text: &'static str| {
        move |cx: &mut crate::support::Cx<'_>| {
            cx.send_to(there(1), text.as_bytes());
        }
    };
    let key = socket(
        &mut bench,
        Catcher::new("u")
            .on_timer(move |cx| {
                cx.send_to(there(1), b"timer");
                cx.io.close(victim);
            })
            .on_error(say("error"))
            .on_close(say("close")),
    );
    bench.with(|cx| cx.io.set_timer(key, SECOND, 1));
    bench.world.packet(victim, there(1), b"unheard");
    bench.world.receive_error(key, ErrorKind::ConnectionRefused);
    bench.advance(SECOND);
    bench.with(|cx| cx.io.fail(key, "enough"));
    bench.settle();
    let sent: Vec<_> = bench
        .world
        .sent()
        .into_iter()
        .map(|(_, sent)| sent)
        .collect();
    assert_eq!(sent, [&b"error"[..], b"timer"]);
    let told = bench.told();
    assert_eq!(
        told.last().map(String::as_str),
        Some("u close: enough, 0 of 0 unsent")
    );
}

#[test]
fn a_slice_of_packets_ends_when_its_time_is_spent() {
    let mut bench = Bench::new();
    let world = bench.world.clone();
    let slow = Catcher::new("u").on_packet(move |_, _, _| world.stall(SECOND / 3000));
    let key = socket(&mut bench, slow);
    for _ in 0..3 {
        bench.world.packet(key, there(1), b"x");
    }
    bench.turn();
    assert_eq!(bench.told(), ["u packet from 1 x"; 2]);
    bench.turn();
    assert_eq!(bench.told(), ["u packet from 1 x"]);
}
