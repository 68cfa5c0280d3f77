//! TLS: what leaves and when, byte by byte, against a client that is played by hand.

use crate::certificates::{Authority, name};
use crate::support::{Bench, Log, Peer, Probe};
use midge_reactor::tls::Tls;
use midge_reactor::{Eof, Handler};
use rustls::ClientConnection;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// The far end, with a TLS client of its own.
pub(crate) struct Far {
    pub(crate) peer: Peer,
    conn: ClientConnection,
    seen: usize,
    pub(crate) plain: Vec<u8>,
}

impl Far {
    pub(crate) fn new(
        bench: &mut Bench,
        authority: &Authority,
        handler: impl Handler<Log> + 'static,
    ) -> Far {
        let peer = bench.dial(handler);
        let conn = ClientConnection::new(authority.client(), name()).expect("all is in order");
        Far {
            peer,
            conn,
            seen: 0,
            plain: Vec::new(),
        }
    }

    /// Hands over what the client wants to send.
    fn send(&mut self) {
        let mut out = Vec::new();
        while self.conn.wants_write() {
            self.conn.write_tls(&mut out).expect("a vector takes all");
        }
        if !out.is_empty() {
            self.peer.send(&out);
        }
    }

    /// Takes what has come; answers how many bytes that was.
    fn hear(&mut self) -> usize {
        let received = self.peer.received();
        let mut new = &received[self.seen..];
        let len = new.len();
        while !new.is_empty() {
            if self.conn.read_tls(&mut new).expect("its buffer is emptied") == 0 {
                break;
            }
            self.conn
                .process_new_packets()
                .expect("the server is right");
            let mut chunk = [0; 20_000];
            while let Ok(len @ 1..) = self.conn.reader().read(&mut chunk) {
                self.plain.extend(&chunk[..len]);
            }
        }
        self.seen += len;
        len
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.conn.writer().write_all(bytes).expect("it is short");
        self.send();
    }

    /// Says that nothing more will come, in TLS and below it.
    pub(crate) fn end(&mut self) {
        self.conn.send_close_notify();
        self.send();
        self.peer.finish();
    }

    /// Until neither side has anything to say.
    pub(crate) fn talk(&mut self, bench: &mut Bench) {
        loop {
            self.send();
            bench.settle();
            if self.hear() == 0 && !self.conn.wants_write() {
                return;
            }
        }
    }

    /// Lengths of the encrypted records that have come since `from`.
    fn records(&self, from: usize) -> Vec<usize> {
        let received = self.peer.received();
        let mut rest = &received[from..];
        let mut lengths = Vec::new();
        while let [kind, _, _, high, low, ..] = rest {
            assert_eq!(*kind, 23, "application data");
            let len = usize::from(*high) << 8 | usize::from(*low);
            lengths.push(len);
            rest = &rest[5 + len..];
        }
        lengths
    }
}

/// A handler that begins with TLS.
fn begins(authority: &Authority, probe: Probe) -> Probe {
    let tls = Tls::server(authority.server());
    probe.on_open(move |cx| cx.start_tls(tls.clone()).expect("it is open"))
}

#[test]
fn a_hundred_small_sends_of_one_turn_are_one_record() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let probe = Probe::new("a").on_input(|cx, input| {
        input.take();
        for _ in 0..100 {
            cx.send(b"0123456789");
        }
    });
    let mut far = Far::new(&mut bench, &authority, begins(&authority, probe));
    far.talk(&mut bench);
    let from = far.seen;
    far.say(b"x");
    far.talk(&mut bench);
    assert_eq!(far.plain.len(), 1_000);
    // A byte for the kind of content and sixteen for the tag.
    assert_eq!(far.records(from), [1_017]);
}

#[test]
fn what_a_paused_connection_is_sent_stays_in_the_kernel() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let probe = Probe::new("a").on_input(|cx, input| {
        input.take();
        cx.pause();
    });
    let mut far = Far::new(&mut bench, &authority, begins(&authority, probe));
    far.talk(&mut bench);
    far.say(b"first");
    bench.settle();
    far.say(b"second");
    bench.settle();
    assert!(far.peer.unread() > 6);
    let key = far.peer.key();
    bench.with(|cx| cx.io.resume(key));
    bench.settle();
    assert_eq!(far.peer.unread(), 0);
    assert_eq!(bench.told(), ["a open", "a input first", "a input second"]);
}

#[test]
fn last_words_wait_for_the_handshake_and_end_with_close_notify() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let tls = Tls::server(authority.server());
    let probe = Probe::new("a").on_open(move |cx| {
        cx.send(b"plain;");
        cx.start_tls(tls.clone()).expect("it is open");
        cx.send(b"goodbye");
        cx.close_after_write();
    });
    let mut far = Far::new(&mut bench, &authority, probe);
    bench.settle();
    assert_eq!(far.peer.text(), "plain;");
    assert!(!far.peer.ended());
    far.seen = 6;
    far.talk(&mut bench);
    assert_eq!(far.plain, b"goodbye");
    assert!(far.peer.ended());
    // A close_notify came, so this is an end and not an error.
    assert_eq!(far.conn.reader().read(&mut [0]).expect("an end"), 0);
    far.peer.finish();
    bench.settle();
    assert_eq!(bench.told(), ["a open", "a close: closed"]);
}

#[test]
fn what_was_held_leaves_also_where_the_handshake_ends_with_nothing_to_say() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let mut config = (*authority.server()).clone();
    // With tickets the server has the last word.
    config.send_tls13_tickets = 0;
    let tls = Tls::server(Arc::new(config));
    let probe = Probe::new("a").on_open(move |cx| {
        cx.start_tls(tls.clone()).expect("it is open");
        cx.send(b"held");
    });
    let mut far = Far::new(&mut bench, &authority, probe);
    far.talk(&mut bench);
    assert_eq!(far.plain, b"held");
}

#[test]
fn bounds_and_deadlines_hold_for_a_peer_that_does_not_read() {
    for (bounded, why) in [(true, "too many bytes queued"), (false, "write timed out")] {
        let (authority, mut bench) = (Authority::new(), Bench::new());
        let probe = Probe::new("a").on_input(move |cx, input| {
            input.take();
            let key = cx.key();
            cx.io
                .watermarks(key, 1_000, 10_000, if bounded { 100_000 } else { 1 << 20 });
            cx.io.write_timeout(key, Some(Duration::from_secs(2)));
            for _ in 0..20 {
                cx.send([7; 9_000]);
            }
        });
        let mut far = Far::new(&mut bench, &authority, begins(&authority, probe));
        far.talk(&mut bench);
        far.peer.set_room(0);
        far.say(b"x");
        bench.settle();
        bench.advance(Duration::from_secs(3));
        let told = bench.told();
        let end = told.last().expect("it is closed");
        assert!(end.starts_with(&format!("a close: {why}")), "{told:?}");
    }
}

#[test]
fn a_slow_peer_gets_all_and_the_handler_hears_of_the_drain_once() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    bench.world.write_max(700);
    let probe = Probe::new("a").on_input(|cx, input| {
        input.take();
        let key = cx.key();
        cx.io.watermarks(key, 1_000, 10_000, 1 << 20);
        for at in 0..100_u8 {
            cx.send([at; 5_000]);
        }
    });
    let mut far = Far::new(&mut bench, &authority, begins(&authority, probe));
    far.talk(&mut bench);
    far.say(b"x");
    bench.settle();
    for _ in 0..2_000 {
        far.peer.set_room(700);
        bench.settle();
    }
    far.talk(&mut bench);
    let wanted: Vec<u8> = (0..100_u8).flat_map(|at| [at; 5_000]).collect();
    assert!(far.plain == wanted, "{} bytes came", far.plain.len());
    assert_eq!(bench.told(), ["a open", "a input x", "a drain"]);
}

#[test]
fn silence_ends_an_idle_connection_and_bytes_of_the_peer_do_not() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let probe = Probe::new("a").on_input(|cx, input| {
        input.take();
        cx.idle_timeout(Some(Duration::from_secs(10)));
    });
    let mut far = Far::new(&mut bench, &authority, begins(&authority, probe));
    far.talk(&mut bench);
    for _ in 0..3 {
        far.say(b"x");
        bench.advance(Duration::from_secs(9));
    }
    assert!(!bench.told().iter().any(|line| line.contains("close")));
    bench.advance(Duration::from_secs(2));
    assert_eq!(bench.told(), ["a close: idle for too long"]);
}

#[test]
fn what_is_left_comes_again_and_a_yield_does_not_lose_the_end_behind_it() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let probe = Probe::new("a")
        .on_input(|cx, input| {
            input.consume(2);
            if input.is_empty() {
                return;
            }
            if input.len() > 1 {
                cx.yield_now();
            }
        })
        .on_eof(|cx| {
            assert_eq!(cx.unread(), b"g");
            Eof::Close
        });
    // So that nothing but what is kept brings the loop back.
    bench.world.short_read_drains();
    let mut far = Far::new(&mut bench, &authority, begins(&authority, probe));
    far.talk(&mut bench);
    far.conn
        .writer()
        .write_all(b"abcdefg")
        .expect("it is short");
    far.conn.send_close_notify();
    far.talk(&mut bench);
    assert!(far.peer.ended(), "the end was not told");
    far.peer.finish();
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "a open",
            "a input abcdefg",
            "a input cdefg",
            "a input efg",
            "a eof",
            "a close: closed by the peer"
        ]
    );
}

#[test]
fn a_large_unit_is_called_for_once_when_all_of_it_is_there() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    bench.world.read_max(1_000);
    let probe = Probe::new("a").on_input(|_, input| {
        if input.len() < 50_000 {
            return input.need(50_000);
        }
        input.take();
    });
    let mut far = Far::new(&mut bench, &authority, begins(&authority, probe));
    far.talk(&mut bench);
    far.say(&[1; 20_000]);
    bench.settle();
    far.say(&[1; 30_000]);
    bench.settle();
    let told = bench.told();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[2], "a input 50000 bytes");
}

#[test]
fn a_record_that_was_tampered_with_ends_the_connection_behind_what_came_before() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let mut far = Far::new(&mut bench, &authority, begins(&authority, Probe::echo("a")));
    far.talk(&mut bench);
    far.say(b"good");
    let mut forged = vec![23, 3, 3, 0, 40];
    forged.extend([9; 40]);
    far.peer.send(&forged);
    bench.settle();
    far.peer.finish();
    bench.settle();
    let told = bench.told();
    assert_eq!(told[..2], ["a open", "a input good"]);
    assert!(
        told[2].starts_with("a close: TLS: cannot decrypt"),
        "{told:?}"
    );
}

#[test]
fn data_between_the_end_of_the_handshake_and_a_forged_record_is_no_input() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let probe = begins(&authority, Probe::echo("a")).on_handshake(|_| panic!("it has failed"));
    let mut far = Far::new(&mut bench, &authority, probe);
    far.send();
    bench.settle();
    far.hear();
    assert!(!far.conn.is_handshaking());
    let said = far.conn.writer().write_all(b"early");
    said.expect("it is short");
    let mut wire = Vec::new();
    while far.conn.wants_write() {
        far.conn.write_tls(&mut wire).expect("a vector takes all");
    }
    wire.extend([23, 3, 3, 0, 40]);
    wire.extend([9; 40]);
    let before = far.peer.received().len();
    far.peer.send(&wire);
    bench.settle();
    assert!(far.peer.received().len() > before, "an alert comes");
    far.peer.finish();
    bench.settle();
    let told = bench.told();
    assert_eq!((told.len(), &*told[0]), (2, "a open"), "{told:?}");
    assert!(
        told[1].starts_with("a close: TLS: cannot decrypt"),
        "{told:?}"
    );
}

#[test]
fn a_client_that_asks_for_tls_in_the_clear_may_begin_at_once() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let tls = Tls::client(authority.client(), name());
    let probe = Probe::new("a").on_open(move |cx| {
        cx.send(b"STARTTLS\r\n");
        cx.start_tls(tls.clone()).expect("it is open");
    });
    let peer = bench.dial(probe);
    bench.settle();
    let received = peer.received();
    let hello = received.strip_prefix(b"STARTTLS\r\n");
    assert_eq!(hello.expect("it was queued first")[0], 22, "a handshake");
}

#[test]
fn what_waits_encrypted_counts_in_what_all_queues_hold() {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let probe = Probe::new("a").on_input(|cx, input| {
        input.take();
        cx.send([7; 100_000]);
    });
    let mut far = Far::new(&mut bench, &authority, begins(&authority, probe));
    far.talk(&mut bench);
    far.peer.set_room(0);
    far.say(b"x");
    bench.settle();
    let held = bench.with(|cx| cx.io.total_queued());
    assert!(held >= 100_000, "{held} bytes");
    far.peer.set_room(usize::MAX);
    far.talk(&mut bench);
    assert_eq!(far.plain.len(), 100_000);
    assert_eq!(bench.with(|cx| cx.io.total_queued()), 0);
}
