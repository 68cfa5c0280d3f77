//! Streams: readers whose bytes are queued piece by piece; and what bounds every way to queue.

use crate::support::{Bench, Peer, Probe, World};
use bytes::Bytes;
use midge_reactor::{Key, ProxyOptions, StreamError, StreamOptions};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::rc::Rc;
use std::time::Duration;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8)) as u8).collect()
}

fn pieces(piece: usize, low: usize) -> StreamOptions {
    StreamOptions {
        piece,
        low: Some(low),
    }
}

fn stream(bench: &mut Bench, key: Key, reader: impl Read + 'static, options: &StreamOptions) {
    let begun = bench.with(|cx| cx.io.stream(key, reader, options));
    begun.expect("it is open and has no stream");
}

fn client(bench: &mut Bench) -> (Peer, Key) {
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    (peer, key)
}

/// Gives two bytes at a time and in between is interrupted; fails at the end if it is to.
struct Odd {
    bytes: Cursor<Vec<u8>>,
    reads: usize,
    fails: bool,
}

impl Read for Odd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buf.len().min(2);
        match self.bytes.read(&mut buf[..len]) {
            Ok(0) if self.fails => Err(io::Error::other("bad sector")),
            read => read,
        }
    }
}

#[test]
fn all_that_a_reader_gives_arrives_however_little_it_gives_and_the_kernel_takes() {
    for (length, piece, write_max) in [(0, 10, 9), (1, 1, 1), (999, 10, 7), (50_000, 4096, 99_999)]
    {
        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        bench.world.write_max(write_max);
        let reader = Odd {
            bytes: Cursor::new(pattern(length)),
            reads: 0,
            fails: false,
        };
        stream(&mut bench, key, reader, &pieces(piece, 20));
        bench.settle();
        assert!(peer.received() == pattern(length));
        assert_eq!(bench.told(), [format!("a stream of {length} complete")]);
        assert_eq!(bench.with(|cx| cx.io.streamed(key)), length as u64);
    }
}

#[test]
fn no_more_than_the_mark_and_a_piece_waits_for_a_peer_that_does_not_read() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    peer.set_room(0);
    stream(
        &mut bench,
        key,
        Cursor::new(pattern(10_000)),
        &pieces(100, 50),
    );
    bench.settle();
    assert_eq!(
        bench.with(|cx| (cx.io.queued(key), cx.io.streamed(key))),
        (100, 100)
    );
    peer.set_room(49);
    bench.settle();
    assert_eq!(bench.with(|cx| cx.io.queued(key)), 51);
    peer.set_room(1);
    bench.settle();
    assert_eq!(bench.with(|cx| cx.io.queued(key)), 50, "the socket is full");
    peer.set_room(20);
    bench.settle();
    assert_eq!(bench.with(|cx| cx.io.queued(key)), 130, "a piece has come");
    peer.set_room(usize::MAX);
    bench.settle();
    assert!(peer.received() == pattern(10_000));
}

#[test]
fn a_stream_has_one_piece_a_turn_and_others_their_turn() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    let echo = bench.client(Probe::echo("echo"));
    stream(
        &mut bench,
        key,
        Cursor::new(pattern(10_000)),
        &pieces(100, 1000),
    );
    echo.send(b"me too");
    bench.turn();
    assert_eq!((peer.received_len(), echo.text().as_str()), (100, "me too"));
    bench.turn();
    assert_eq!(peer.received_len(), 200);
}

/// A file with so many bytes, which has no name any more.
fn file(len: usize) -> File {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = path.join(format!("scripted-{len}-{:?}", std::thread::current().id()));
    std::fs::write(&path, pattern(len)).expect("there is room for it");
    let file = File::open(&path).expect("it was written");
    std::fs::remove_file(&path).expect("it is there");
    file
}

fn stream_file(bench: &mut Bench, key: Key, len: usize) {
    let options = StreamOptions::default();
    let begun = bench.with(|cx| cx.io.stream_file(key, file(len), &options));
    begun.expect("it is open and has no stream");
}

const FILE_PIECE: usize = 256 * 1024;

#[test]
fn a_file_goes_on_beside_whatever_else_is_sent_to_its_connection() {
    for by_system in [false, true] {
        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        if by_system {
            bench.world.sends_files();
        }
        stream_file(&mut bench, key, 3 * FILE_PIECE);
        let mut turns = 0;
        while bench.told().is_empty() {
            bench.with(|cx| cx.io.send(key, [b'.'; 1000]));
            bench.turn();
            turns += 1;
            assert!(
                turns < 20,
                "{} bytes of it",
                bench.with(|cx| cx.io.streamed(key))
            );
        }
        bench.settle();
        assert_eq!(peer.received_len(), 3 * FILE_PIECE + turns * 1000);
    }
}

#[test]
fn what_the_system_sends_is_the_file_in_order_however_little_the_socket_takes() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    bench.world.sends_files();
    let len = 2 * FILE_PIECE + 17;
    peer.set_room(0);
    stream_file(&mut bench, key, len);
    for room in [1, 0, 70_000, 3, 300_000, usize::MAX] {
        bench.settle();
        assert!(!bench.reactor.has_work(), "it waits for room");
        peer.set_room(room);
    }
    bench.settle();
    assert!(peer.received() == pattern(len));
    assert_eq!(bench.told(), [format!("a stream of {len} complete")]);
}

#[test]
fn files_take_no_more_of_a_turn_than_its_time_and_its_output_and_each_has_its_turn() {
    // Where a piece takes a millisecond, time is short; where it takes none, output is.
    for (takes, pieces) in [(1, 4), (0, 16)] {
        let mut bench = Bench::new();
        bench.world.sends_files();
        let peers: Vec<Peer> = (0..40).map(|_| client(&mut bench).0).collect();
        let echo = bench.client(Probe::echo("echo"));
        for peer in &peers {
            stream_file(&mut bench, peer.key(), 8 * FILE_PIECE);
        }
        bench.world.write_takes(Duration::from_millis(takes));
        for turn in 1..=20 {
            echo.forget_received();
            echo.send(b"?");
            bench.turn();
            assert_eq!(echo.text(), "?", "turn {turn}");
            let lens = peers.iter().map(Peer::received_len);
            let sent = lens.clone().sum::<usize>() / FILE_PIECE;
            assert!(sent <= pieces * turn, "{sent} pieces in {turn} turns");
            let (least, most) = (lens.clone().min(), lens.max());
            assert!(most <= least.map(|least| least + FILE_PIECE), "turn {turn}");
        }
        let least = peers.iter().map(Peer::received_len).min();
        assert!(least >= Some(FILE_PIECE), "{least:?}");
    }
}

#[test]
fn streams_that_end_without_a_piece_take_no_more_of_a_turn_than_its_time() {
    struct Slow(World);
    impl Read for Slow {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.stall(Duration::from_millis(1));
            Ok(0)
        }
    }
    let mut bench = Bench::new();
    let peers: Vec<Peer> = (0..12).map(|_| client(&mut bench).0).collect();
    for peer in &peers {
        let reader = Slow(bench.world.clone());
        stream(&mut bench, peer.key(), reader, &StreamOptions::default());
    }
    bench.log();
    for turn in 1..=3 {
        bench.turn();
        assert_eq!(bench.told().len(), 4, "turn {turn}");
    }
}

#[test]
fn what_a_file_costs_is_owed_by_its_connection() {
    let mut bench = Bench::new();
    bench.world.sends_files();
    let reader = bench.client(Probe::new("reader"));
    let other = bench.client(Probe::new("other"));
    stream_file(&mut bench, reader.key(), 8 * FILE_PIECE);
    bench.world.write_takes(Duration::from_millis(3));
    for _ in 0..3 {
        bench.turn();
    }
    bench.log();
    reader.send(b"x");
    other.send(b"x");
    bench.turn();
    assert_eq!(bench.told(), ["other input x", "reader input x"]);
}

#[test]
fn a_reader_that_fails_is_told_of_and_the_connection_is_as_good_as_before() {
    let mut bench = Bench::new();
    let (peer, key) = client(&mut bench);
    let reader = Odd {
        bytes: Cursor::new(pattern(5)),
        reads: 0,
        fails: true,
    };
    stream(&mut bench, key, reader, &StreamOptions::default());
    bench.settle();
    assert_eq!(bench.told(), ["a stream of 5 failed: bad sector"]);
    stream(
        &mut bench,
        key,
        Cursor::new(b"!"),
        &StreamOptions::default(),
    );
    bench.with(|cx| cx.io.close_after_write(key));
    bench.settle();
    assert_eq!(
        peer.received_len(),
        5,
        "a close before the end drops the reader"
    );
}

#[test]
fn a_missing_file_is_an_error_at_once_and_the_connection_is_as_good_as_before() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        input.take();
        let none = cx.stream_file("/no/such/file", &StreamOptions::default());
        assert_eq!(
            none.expect_err("there is none").kind(),
            io::ErrorKind::NotFound
        );
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        cx.stream_file(path, &StreamOptions::default())
            .expect("it is there");
        let busy = cx.stream_file(path, &StreamOptions::default());
        assert_eq!(
            busy.expect_err("one at a time").kind(),
            io::ErrorKind::ResourceBusy
        );
    }));
    peer.send(b"x");
    bench.settle();
    assert_eq!(peer.received(), include_bytes!("../../Cargo.toml"));
}

#[test]
fn what_ends_a_connection_drops_its_reader() {
    type End = fn(&mut Bench, &Peer, Key);
    struct Held(Cursor<Vec<u8>>, #[allow(dead_code)] Rc<()>);
    impl Read for Held {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }
    let endings: [(End, &str); 5] = [
        (
            |bench, _, key| {
                bench.with(|cx| cx.io.close(key));
            },
            "",
        ),
        (
            |bench, _, key| {
                bench.with(|cx| cx.io.close_after_write(key));
            },
            "",
        ),
        (|_, peer, _| peer.reset(), ""),
        (
            |bench, _, key| {
                bench.with(|cx| cx.io.stop_stream(key));
            },
            "",
        ),
        (
            |bench, _, key| bench.with(|cx| cx.io.shutdown_write(key)),
            "a stream of 100 failed: broken pipe",
        ),
    ];
    for (number, (end, told)) in endings.into_iter().enumerate() {
        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        peer.set_room(0);
        let alive = Rc::new(());
        let reader = Held(Cursor::new(pattern(10_000)), Rc::clone(&alive));
        stream(&mut bench, key, reader, &pieces(100, 50));
        bench.settle();
        end(&mut bench, &peer, key);
        bench.settle();
        assert_eq!(Rc::strong_count(&alive), 1, "ending {number}");
        let of_stream: Vec<_> = bench.calls("a stream");
        assert_eq!(of_stream.concat(), told, "ending {number}");
    }
}

#[test]
fn a_stream_may_be_begun_while_connecting_and_follow_another() {
    let mut bench = Bench::new();
    let addr = std::net::SocketAddr::from(([10, 0, 0, 2], 80));
    bench.world.answer(addr, crate::support::Outcome::Silence);
    let options = StreamOptions::default();
    let next = options.clone();
    let key = bench.with(|cx| {
        let mut left = 2;
        let probe = Probe::new("b").on_stream(move |cx| {
            left -= 1;
            match left {
                0 => cx.close_after_write(),
                _ => cx.stream(&b"second"[..], &next).expect("the first is over"),
            }
        });
        cx.connect(addr, probe)
    });
    bench.with(|cx| {
        cx.io
            .stream(key, &b"first "[..], &options)
            .expect("it will open");
        assert_eq!(
            cx.io.stream(key, io::empty(), &options),
            Err(StreamError::Busy)
        );
        assert_eq!(
            cx.io.stream(Key::NONE, io::empty(), &options),
            Err(StreamError::NotOpen)
        );
    });
    bench.settle();
    bench.world.open(addr);
    bench.settle();
    let peer = bench.world.called(addr);
    assert_eq!((peer.text().as_str(), peer.ended()), ("first second", true));
}

/// Each way to queue `len` bytes for a connection.
type Queue = fn(&mut Bench, Key, usize);

const WAYS: [(&str, Queue); 5] = [
    ("send", |bench, key, len| {
        bench.with(|cx| cx.io.send(key, vec![1; len]));
    }),
    ("writer", |bench, key, len| {
        bench.with(|cx| {
            if let Some(mut writer) = cx.io.writer(key, len) {
                writer.put(&vec![1; len]);
            }
        });
    }),
    ("send_bytes", |bench, key, len| {
        bench.with(|cx| cx.io.send_bytes(key, Bytes::from(vec![1; len])));
    }),
    ("proxy", |bench, key, len| {
        let source = bench.client(Probe::new("source"));
        let from = source.key();
        let begun = bench.with(|cx| cx.proxy(from, key, &ProxyOptions::default()));
        begun.expect("both are open");
        source.send(&vec![1; len]);
    }),
    ("stream", |bench, key, len| {
        stream(
            bench,
            key,
            Cursor::new(vec![1; len]),
            &StreamOptions::default(),
        );
    }),
];

#[test]
fn what_was_queued_and_not_sent_is_told_at_the_close_however_it_was_queued() {
    for (way, queue) in WAYS {
        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        peer.set_room(30);
        queue(&mut bench, key, 100);
        bench.settle();
        bench.with(|cx| cx.io.close(key));
        bench.settle();
        assert_eq!(
            bench.calls("a close"),
            ["a close: closed, 70 unsent"],
            "{way}"
        );
        assert_eq!(peer.received_len(), 30);
    }
}

#[test]
fn a_write_timeout_counts_however_it_was_queued() {
    for (way, queue) in WAYS {
        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        bench.with(|cx| cx.io.write_timeout(key, Some(Duration::from_secs(1))));
        peer.set_room(30);
        queue(&mut bench, key, 100);
        bench.advance(Duration::from_secs(2));
        assert_eq!(
            bench.calls("a close"),
            ["a close: write timed out, 70 unsent"],
            "{way}"
        );
    }
}

#[test]
fn no_queue_passes_its_bound_and_what_waits_for_room_is_no_slow_consumer() {
    for (way, queue) in WAYS {
        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        bench.with(|cx| cx.io.watermarks(key, 40, 80, 100));
        peer.set_room(0);
        queue(&mut bench, key, 60);
        bench.settle();
        assert_eq!(bench.with(|cx| cx.io.queued(key)), 60, "{way}");
        assert!(!bench.with(|cx| cx.io.send(key, [2; 41])));
        bench.settle();
        assert_eq!(
            bench.calls("a close"),
            ["a close: too many bytes queued, 60 unsent"],
            "{way}"
        );

        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        bench.with(|cx| cx.io.watermarks(key, 40, 80, 100));
        peer.set_room(0);
        queue(&mut bench, key, 1000);
        bench.settle();
        let queued = match way {
            "proxy" => 80,
            "stream" => 100,
            _ => 0,
        };
        assert_eq!(bench.with(|cx| cx.io.queued(key)), queued, "{way}");
        assert_eq!(peer.closed(), queued == 0, "{way}");
    }
}

#[test]
fn on_drain_comes_for_what_was_relayed_and_streamed_as_for_what_was_sent() {
    for (way, queue) in WAYS {
        let mut bench = Bench::new();
        let (peer, key) = client(&mut bench);
        bench.with(|cx| cx.io.watermarks(key, 10, 80, 100));
        peer.set_room(0);
        queue(&mut bench, key, 80);
        bench.settle();
        assert!(bench.with(|cx| cx.io.congested(key)), "{way}");
        peer.set_room(usize::MAX);
        bench.settle();
        assert_eq!(bench.calls("a drain"), ["a drain"], "{way}");
    }
}

#[test]
fn a_stream_that_is_stopped_and_begun_again_has_one_place_in_line_as_the_others() {
    let mut bench = Bench::new();
    let ((again, key), (other, other_key)) = (client(&mut bench), client(&mut bench));
    for key in [key, other_key] {
        stream(&mut bench, key, io::repeat(0), &pieces(1000, 1000));
    }
    bench.turn();
    for _ in 0..5 {
        assert!(bench.with(|cx| cx.io.stop_stream(key)));
        stream(&mut bench, key, io::repeat(0), &pieces(1000, 1000));
        bench.turn();
    }
    let before = (again.received_len(), other.received_len());
    for _ in 0..10 {
        bench.turn();
    }
    let after = (again.received_len(), other.received_len());
    assert_eq!((after.0 - before.0, after.1 - before.1), (10_000, 10_000));
}
