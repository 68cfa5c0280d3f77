//! How connections end: by us, by the peer, by force, and that each does so once.

use crate::support::{Bench, Cx, Probe};
use midge_reactor::{Eof, Key, LINGER, Time};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Broken pipe, as the system numbers it.
const EPIPE: i32 = 32;

#[test]
fn close_in_on_input_stops_further_input_and_on_close_comes_once_and_last() {
    let mut bench = Bench::new();
    bench.world.read_max(2);
    let peer = bench.client(
        Probe::new("a")
            .on_input(|cx, input| {
                input.consume(1);
                cx.set_timer(Duration::ZERO, 1);
                cx.close();
                cx.close();
                cx.close_after_write();
                assert!(!cx.send(b"too late"));
            })
            .on_close(|cx| {
                cx.close();
                let key = cx.key();
                cx.io.resume(key);
                assert!(!cx.send(b"much too late"));
                assert!(cx.peer_addr().is_some());
            }),
    );
    peer.send(b"abcdef");
    bench.settle();
    assert_eq!(
        bench.log(),
        ["read k1 2", "a input ab", "a close: closed", "close k1"]
    );
    assert_eq!(bench.reactor.connections(), 0);
}

#[test]
fn queued_in_on_close_tells_what_was_not_sent() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        cx.send(input.take());
        cx.close();
    }));
    peer.send(b"seven b");
    bench.settle();
    assert_eq!(
        bench.told(),
        ["a input seven b", "a close: closed, 7 unsent"]
    );
    assert_eq!(peer.text(), "");
}

#[test]
fn last_words_for_a_peer_that_has_reset_do_not_keep_its_connection_also_where_it_is_paused() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_open(|cx| {
        cx.pause();
    }));
    let key = peer.key();
    peer.send(b"unread");
    bench.settle();
    // As a socket that was reset tells it: first an error of the write, and then an end.
    peer.finish();
    peer.write_error(EPIPE);
    bench.with(|cx| cx.io.send(key, b"answer"));
    bench.settle();
    assert!(!peer.closed(), "what it sent is still to be read");
    bench.with(|cx| assert!(cx.io.close_after_write(key)));
    bench.settle();
    assert_eq!(bench.told(), ["a close: closed by the peer, 6 unsent"]);
    assert!(peer.closed());
}

#[test]
fn a_shutdown_does_not_wait_for_a_peer_that_has_reset() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_open(|cx| {
        cx.pause();
    }));
    let key = peer.key();
    peer.send(b"unread");
    peer.finish();
    peer.write_error(EPIPE);
    bench.with(|cx| cx.io.send(key, b"answer"));
    bench.settle();
    bench.with(|cx| cx.io.shutdown(10 * SECOND));
    bench.settle();
    assert!(bench.reactor.is_stopping());
}

#[test]
fn a_connection_closed_by_another_in_the_same_turn_gets_no_input() {
    let mut bench = Bench::new();
    let mut keys = Vec::new();
    let peers: Vec<_> = (0..2)
        .map(|_| {
            bench.client(Probe::new("a").on_input(|cx, input| {
                input.take();
                let me = cx.key();
                let others = cx.io.connections();
                cx.state.add(|| format!("{me:?} of {others}"));
            }))
        })
        .collect();
    keys.extend(peers.iter().map(crate::support::Peer::key));
    let victim = keys[1];
    let killer = bench.client(Probe::new("killer").on_input(move |cx, input| {
        input.take();
        for key in [victim, victim] {
            cx.io.close(key);
        }
    }));
    killer.send(b"x");
    bench.turn();
    peers[1].send(b"y");
    bench.settle();
    assert_eq!(bench.told(), ["killer input x", "a close: closed"]);
    assert!(!peers[0].closed());
}

#[test]
fn calls_with_the_key_of_a_connection_that_has_gone_do_nothing() {
    let mut bench = Bench::new();
    let gone = bench.client(Probe::new("gone"));
    let stale = gone.key();
    gone.finish();
    bench.settle();
    let next = bench.client(Probe::new("next"));
    assert_eq!(next.key().index(), stale.index(), "the slot is used again");
    for key in [stale, Key::NONE] {
        bench.with(|cx| {
            assert!(!cx.io.send(key, b"x"));
            assert!(!cx.io.send_bytes(key, bytes::Bytes::from_static(b"x")));
            assert!(cx.io.writer(key, 1).is_none());
            assert!(!cx.io.close(key));
            assert!(!cx.io.close_after_write(key));
            cx.io.pause(key);
            cx.io.resume(key);
            cx.io.shutdown_write(key);
            cx.io.watermarks(key, 0, 0, 0);
            cx.io.write_timeout(key, Some(Duration::ZERO));
            cx.io.set_timer(key, Duration::ZERO, 1);
            cx.io.set_interval(key, SECOND, 2);
            assert_eq!(cx.io.queued(key), 0);
            assert_eq!(cx.io.peer_addr(key), None);
            assert_eq!(cx.io.local_addr(key), None);
            assert_eq!(cx.io.last_progress(key), None);
            assert!(!cx.io.is_open(key) && !cx.io.is_paused(key) && !cx.io.congested(key));
        });
    }
    bench.log();
    bench.advance(10 * SECOND);
    assert_eq!(bench.log(), [""; 0]);
    next.send(b"fine");
    bench.settle();
    assert_eq!(bench.told(), ["next input fine"]);
    assert_eq!(next.text(), "");
}

#[test]
fn close_after_write_flushes_ends_reads_to_the_peers_end_and_closes() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        input.take();
        cx.send(b"-ERR 'bye'\r\n");
        cx.close_after_write();
        assert!(!cx.send(b"after the end"));
    }));
    peer.set_room(5);
    peer.send(b"x");
    bench.settle();
    peer.send(b"still");
    bench.settle();
    peer.set_room(100);
    peer.send(b" talking");
    bench.settle();
    assert_eq!(
        bench.log(),
        [
            "read k1 1",
            "a input x",
            "write k1 5",
            "read k1 5",
            "read k1 8",
            "write k1 7",
            "end k1"
        ]
    );
    peer.finish();
    bench.settle();
    assert_eq!(bench.log(), ["read k1 end", "a close: closed", "close k1"]);
    assert_eq!(peer.text(), "-ERR \\'bye\\'\\r\\n");
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn a_peer_that_reads_only_when_it_has_sent_all_is_heard_out_while_it_is_closed() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        input.consume(1);
        cx.send(b"last words");
        cx.close_after_write();
    }));
    peer.set_room(0);
    // More than one slice: what is left of it brings no edge.
    peer.send(&vec![0; 1_000_000]);
    bench.settle();
    assert_eq!(
        peer.unread(),
        0,
        "or the peer would wait for us and we for it"
    );
    peer.set_room(100);
    bench.settle();
    assert_eq!(peer.text(), "last words");
}

#[test]
fn a_paused_connection_is_drained_as_well() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    bench.with(|cx| cx.io.pause(key));
    peer.set_room(0);
    peer.send(b"unread");
    bench.settle();
    bench.with(|cx| {
        cx.io.send(key, b"x");
        cx.io.close_after_write(key);
    });
    bench.settle();
    assert_eq!(peer.unread(), 0);
    peer.set_room(1);
    peer.finish();
    bench.settle();
    assert!(peer.closed());
}

#[test]
fn a_peer_that_does_not_read_is_closed_when_the_linger_time_is_over() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    peer.set_room(2);
    bench.with(|cx| {
        cx.io.send(key, b"abc");
        assert!(cx.io.close_after_write(key));
        assert!(!cx.io.close_after_write(key), "once is enough");
    });
    bench.advance(LINGER - Duration::from_nanos(1));
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(Duration::from_nanos(1));
    assert_eq!(bench.told(), ["a close: closed, 1 unsent"]);
}

#[test]
fn a_peer_that_reads_slowly_gets_all_that_was_sent_before_the_close() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    peer.set_room(0);
    bench.with(|cx| {
        cx.io.send(key, b"abcde");
        cx.io.close_after_write(key);
    });
    for _ in 0..5 {
        bench.advance(LINGER * 2 / 3);
        assert!(!peer.closed());
        peer.set_room(1);
        bench.settle();
    }
    assert_eq!((peer.text(), peer.ended()), ("abcde".to_owned(), true));
}

#[test]
fn a_peer_that_never_ends_is_closed_some_milliseconds_after_our_end() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    bench.with(|cx| cx.io.close_after_write(key));
    bench.settle();
    assert!(peer.ended());
    for _ in 0..24 {
        peer.send(b"on and on");
        bench.advance(SECOND / 1000);
        assert!(!peer.closed());
    }
    bench.advance(SECOND / 1000);
    assert!(peer.closed());
}

#[test]
fn a_peer_that_goes_on_sending_is_closed_after_a_bounded_number_of_bytes() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        input.take();
        cx.send(b"too much");
        cx.close_after_write();
    }));
    peer.send(b"x");
    bench.turn();
    peer.send(&vec![0; 1_000_000]);
    bench.settle();
    assert_eq!((peer.text(), peer.ended()), ("too much".to_owned(), true));
    assert!(peer.closed());
    assert_eq!(peer.unread(), 1_000_000 - 64 * 1024);
}

#[test]
fn a_peer_that_sends_and_does_not_read_its_last_words_is_not_read_without_end() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        input.take();
        cx.send(b"too much");
        cx.close_after_write();
    }));
    peer.set_room(0);
    peer.send(b"x");
    bench.turn();
    peer.send(&vec![0; 5_000_000]);
    bench.settle();
    assert_eq!(peer.unread(), 5_000_000 - 1024 * 1024);
    peer.set_room(100);
    bench.settle();
    assert_eq!(peer.text(), "too much");
    assert!(peer.closed());
}

#[test]
fn close_overtakes_close_after_write() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    peer.set_room(0);
    bench.with(|cx| {
        cx.io.send(key, b"abc");
        cx.io.close_after_write(key);
    });
    bench.settle();
    assert!(bench.with(|cx| cx.io.close(key)));
    bench.settle();
    assert_eq!(bench.told(), ["a close: closed, 3 unsent"]);
}

#[test]
fn a_peers_end_does_not_cost_it_the_reply() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("a"));
    peer.set_room(3);
    peer.send(b"request");
    peer.finish();
    bench.settle();
    assert!(!peer.closed());
    peer.set_room(100);
    bench.settle();
    assert_eq!(peer.text(), "request");
    assert_eq!(
        bench.told(),
        ["a input request", "a eof", "a close: closed by the peer"]
    );
}

#[test]
fn on_eof_may_send_and_then_close() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_eof(|cx| {
        cx.send(b"goodbye");
        Eof::Close
    }));
    peer.finish();
    bench.settle();
    assert_eq!(peer.text(), "goodbye");
    assert!(peer.closed());
}

#[test]
fn keep_open_goes_on_sending_after_the_peers_end() {
    let mut bench = Bench::new();
    let peer = bench.client(
        Probe::new("a")
            .on_eof(|cx| {
                cx.set_interval(SECOND, 1);
                Eof::KeepOpen
            })
            .on_timer(|cx, _| {
                cx.send(b"tick ");
                if cx.now() >= Time::from_nanos(3_000_000_000) {
                    cx.close_after_write();
                }
            }),
    );
    peer.finish();
    bench.advance(10 * SECOND);
    assert_eq!(peer.text(), "tick tick tick ");
    assert!(peer.closed());
    assert_eq!(
        bench.told(),
        [
            "a eof",
            "a timer 1",
            "a timer 1",
            "a timer 1",
            "a close: closed"
        ]
    );
}

#[test]
fn a_write_end_leaves_the_other_direction_open() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_open(|cx| {
        cx.send(b"request");
        let key = cx.key();
        cx.io.shutdown_write(key);
    }));
    assert!(peer.ended());
    assert_eq!(peer.text(), "request");
    peer.send(b"reply");
    peer.finish();
    bench.settle();
    assert_eq!(
        bench.told(),
        ["a input reply", "a eof", "a close: closed by the peer"]
    );
}

#[test]
fn a_connection_whose_both_directions_have_ended_is_closed() {
    for we_end_first in [true, false] {
        let mut bench = Bench::new();
        let peer = bench.client(Probe::new("a").on_eof(|_| Eof::KeepOpen));
        let key = peer.key();
        let end = |bench: &mut Bench| bench.with(|cx| cx.io.shutdown_write(key));
        if we_end_first {
            end(&mut bench);
            bench.settle();
        }
        peer.finish();
        bench.settle();
        if !we_end_first {
            assert!(!peer.closed());
            peer.set_room(0);
            end(&mut bench);
            bench.settle();
        }
        assert_eq!(bench.told(), ["a eof", "a close: closed by the peer"]);
    }
}

#[test]
fn a_reset_is_noticed_by_reading_or_by_writing() {
    for paused in [false, true] {
        let mut bench = Bench::new();
        let peer = bench.client(Probe::new("a"));
        let key = peer.key();
        if paused {
            bench.with(|cx| cx.io.pause(key));
        }
        peer.reset();
        bench.settle();
        if paused {
            assert_eq!(bench.told(), [""; 0]);
            bench.with(|cx| cx.io.send(key, b"anyone?"));
            bench.settle();
            // It may have sent something before; the end is told when it may be read.
            assert_eq!(bench.told(), [""; 0]);
            bench.with(|cx| cx.io.resume(key));
            bench.settle();
            assert_eq!(bench.told(), ["a close: closed by the peer, 7 unsent"]);
        } else {
            assert_eq!(bench.told(), ["a close: closed by the peer"]);
        }
    }
}

#[test]
fn what_a_peer_sent_before_it_hung_up_is_read_although_its_replies_cannot_be_sent() {
    let mut bench = Bench::new();
    bench.world.read_max(3);
    let peer = bench.client(Probe::echo("a"));
    peer.send(b"one two three");
    peer.hang_up();
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "a input one",
            "a input  tw",
            "a input o t",
            "a input hre",
            "a input e",
            "a close: closed by the peer, 3 unsent"
        ]
    );
}

#[test]
fn what_a_paused_peer_sent_before_it_hung_up_is_read_when_it_is_resumed() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    bench.with(|cx| cx.io.pause(key));
    peer.send(b"last words");
    peer.hang_up();
    bench.with(|cx| cx.io.send(key, b"hello?"));
    bench.settle();
    assert_eq!(bench.told(), [""; 0]);
    bench.with(|cx| cx.io.resume(key));
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "a input last words",
            "a close: closed by the peer, 6 unsent"
        ]
    );
}

#[test]
fn a_reset_while_ending_closes_at_once() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    peer.set_room(0);
    bench.with(|cx| {
        cx.io.send(key, b"x");
        cx.io.close_after_write(key);
    });
    bench.settle();
    peer.reset();
    bench.settle();
    assert_eq!(bench.told(), ["a close: closed, 1 unsent"]);
}

#[test]
fn on_close_may_close_others_and_they_follow_in_the_next_turn() {
    let mut bench = Bench::new();
    let last = bench.client(Probe::new("last"));
    let last_key = last.key();
    let middle = bench.client(Probe::new("middle").on_close(move |cx| {
        cx.io.close(last_key);
    }));
    let middle_key = middle.key();
    let first = bench.client(Probe::new("first").on_close(move |cx| {
        cx.io.send(last_key, b"it was nice");
        cx.io.close(middle_key);
    }));
    let first_key = first.key();
    bench.with(|cx| cx.io.close(first_key));
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "first close: closed",
            "middle close: closed",
            "last close: closed"
        ]
    );
    assert_eq!(last.text(), "it was nice");
}

#[test]
fn a_slot_given_up_in_the_close_pass_may_be_used_in_it() {
    let mut bench = Bench::new();
    let addr = std::net::SocketAddr::from(([10, 0, 0, 2], 1));
    bench.world.answer(addr, crate::support::Outcome::Open);
    let first = bench.client(Probe::new("first"));
    let second = bench.client(Probe::new("second").on_close(move |cx| {
        cx.connect(addr, Probe::echo("third"));
    }));
    let (a, b) = (first.key(), second.key());
    bench.with(|cx| {
        cx.io.close(a);
        cx.io.close(b);
    });
    bench.settle();
    let third = bench.world.called(addr);
    assert_eq!(third.key().index(), a.index());
    third.send(b"hello");
    bench.settle();
    assert_eq!(third.text(), "hello");
    assert_eq!(bench.reactor.connections(), 1);
    assert_eq!(bench.world.open_sockets(), 2, "the listener and the third");
}

#[test]
fn timers_of_a_connection_that_has_gone_never_fire() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_open(|cx| {
        cx.set_timer(SECOND, 1);
        cx.set_interval(SECOND, 2);
    }));
    peer.finish();
    bench.settle();
    bench.client(Probe::new("b"));
    bench.advance(10 * SECOND);
    assert_eq!(bench.told(), [""; 0]);
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn a_hundred_clients_each_see_their_bytes_and_then_one_close() {
    let mut bench = Bench::new();
    let echo_once = |cx: &mut Cx<'_>, input: &mut midge_reactor::Input<'_>| {
        cx.send(input.take());
        cx.close_after_write();
    };
    let peers: Vec<_> = (0..100)
        .map(|_| bench.dial(Probe::new("a").on_input(echo_once)))
        .collect();
    bench.world.write_max(3);
    for (number, peer) in peers.iter().enumerate() {
        peer.send(format!("client {number}").as_bytes());
    }
    bench.settle();
    for (number, peer) in peers.iter().enumerate() {
        assert_eq!(peer.text(), format!("client {number}"));
        peer.finish();
    }
    bench.settle();
    assert_eq!(bench.calls("a close").len(), 100);
    assert_eq!(bench.reactor.connections(), 0);
}
