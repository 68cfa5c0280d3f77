//! Relays and streams over the system's sockets.

use crate::server::{Cx, Server, Told, pattern};
use midge_reactor::{Close, Eof, Handler, Input, Key, ProxyOptions, StreamEnd, StreamOptions};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// More than the buffers of two connections hold.
const LONG: usize = 20_000_000;

/// One side of a pipe; the accepted one dials the other.
struct Side(Option<SocketAddr>, Option<Key>);

impl Handler<Told> for Side {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let Some(addr) = self.0 else { return };
        let me = cx.key();
        let other = cx.connect(addr, Side(None, Some(me)));
        self.1 = Some(other);
        for (from, to) in [(me, other), (other, me)] {
            let begun = cx.proxy(from, to, &ProxyOptions::default());
            begun.expect("both are open");
        }
    }

    fn on_input(&mut self, _: &mut Cx<'_>, _: &mut Input<'_>) {
        panic!("input went past the relay");
    }

    fn on_eof(&mut self, _: &mut Cx<'_>) -> Eof {
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        if cx.io.connections() == 1 {
            cx.stop();
        }
    }
}

#[test]
fn a_relay_carries_both_directions_and_their_ends_between_two_sockets() {
    let upstream = TcpListener::bind(LOOPBACK).expect("a port is free");
    let addr = upstream.local_addr().expect("it is bound");
    // Reads all before it answers: the end of the request has to come through.
    let server = thread::spawn(move || {
        let (mut stream, _) = upstream.accept()?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        all.reverse();
        stream.write_all(&all)
    });
    let pipe = Server::start(move || Side(Some(addr), None));
    let mut client = pipe.connect();
    let sent = pattern(LONG);
    client.write_all(&sent).expect("the pipe reads");
    client.shutdown(Shutdown::Write).expect("it is open");
    let mut heard = Vec::new();
    client
        .read_to_end(&mut heard)
        .expect("the pipe ends in good order");
    heard.reverse();
    assert!(heard == sent);
    server.join().expect("no panic").expect("it is served");
    pipe.join();
}

/// Sends a file, then closes.
struct Library;

impl Handler<Told> for Library {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let path = std::str::from_utf8(input.take()).expect("a path is text");
        if cx.stream_file(path, &StreamOptions::default()).is_err() {
            cx.send(b"?");
        }
    }

    fn on_stream(&mut self, cx: &mut Cx<'_>, end: StreamEnd) {
        assert!(matches!(end, StreamEnd::Complete { .. }), "{end:?}");
        cx.close_after_write();
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        cx.stop();
    }
}

#[test]
fn a_missing_file_is_answered_and_a_long_one_arrives_whole() {
    let library = Server::start(|| Library);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("streamed");
    std::fs::write(&path, pattern(LONG)).expect("there is room for it");
    let mut client = library.connect();
    client.write_all(b"/no/such/file").expect("it reads");
    let mut answer = [0];
    client.read_exact(&mut answer).expect("it answers");
    assert_eq!(&answer, b"?");
    let text = path.to_str().expect("the path is text");
    client.write_all(text.as_bytes()).expect("it reads");
    let mut heard = Vec::new();
    client
        .read_to_end(&mut heard)
        .expect("it ends in good order");
    assert!(heard == pattern(LONG));
    library.join();
    std::fs::remove_file(path).expect("it is there");
}

/// Sends a file between two words, to a peer that must take some of it now and then.
struct Framed(PathBuf);

impl Handler<Told> for Framed {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let key = cx.key();
        cx.io
            .write_timeout(key, Some(std::time::Duration::from_millis(200)));
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        input.take();
        cx.send("before");
        cx.stream_file(&self.0, &StreamOptions::default())
            .expect("it is there");
    }

    fn on_stream(&mut self, cx: &mut Cx<'_>, _: StreamEnd) {
        assert_eq!(cx.streamed(), LONG as u64);
        cx.send("behind");
        cx.close_after_write();
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        // The test may have gone.
        let _ = cx.state.send(format!("close: {why}"));
    }
}

#[test]
fn what_is_sent_round_a_file_keeps_its_place_and_a_peer_that_takes_none_of_it_is_given_up() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("framed");
    std::fs::write(&path, pattern(LONG)).expect("there is room for it");
    let shared = path.clone();
    let server = Server::start(move || Framed(shared.clone()));
    let mut client = server.connect();
    client.write_all(b"go").expect("it reads");
    let mut heard = Vec::new();
    client
        .read_to_end(&mut heard)
        .expect("it ends in good order");
    assert!(heard == [b"before", &pattern(LONG)[..], b"behind"].concat());
    assert_eq!(server.told(), "close: closed");
    let mut deaf = server.connect();
    deaf.write_all(b"go").expect("it reads");
    assert_eq!(server.told(), "close: write timed out");
    server.stop();
    std::fs::remove_file(path).expect("it is there");
}

/// What the reactor's thread has worked, told at the end of each connection.
fn tell_cost(cx: &Cx<'_>) {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let nanos = spent.tv_sec * 1_000_000_000 + spent.tv_nsec;
    let _ = cx.state.send(nanos.to_string());
}

struct Measured(Side);

impl Handler<Told> for Measured {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.0.on_open(cx);
    }

    fn on_input(&mut self, _: &mut Cx<'_>, _: &mut Input<'_>) {}

    fn on_eof(&mut self, _: &mut Cx<'_>) -> Eof {
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        tell_cost(cx);
    }
}

/// Sends a file for each byte that comes, with a copy or without.
struct Shelf {
    path: PathBuf,
    copies: bool,
    wanted: usize,
    busy: bool,
}

impl Shelf {
    fn go_on(&mut self, cx: &mut Cx<'_>) {
        if self.busy || self.wanted == 0 {
            return;
        }
        (self.busy, self.wanted) = (true, self.wanted - 1);
        let (key, options) = (cx.key(), StreamOptions::default());
        let file = std::fs::File::open(&self.path).expect("it is there");
        let begun = match self.copies {
            true => cx.io.stream(key, file, &options),
            false => cx.io.stream_file(key, file, &options),
        };
        begun.expect("one at a time");
    }
}

impl Handler<Told> for Shelf {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.wanted += input.take().len();
        self.go_on(cx);
    }

    fn on_stream(&mut self, cx: &mut Cx<'_>, _: StreamEnd) {
        self.busy = false;
        self.go_on(cx);
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        tell_cost(cx);
    }
}

const GIGABYTE: usize = 1_000_000_000;

/// What a gigabyte costs the reactor's thread, relayed in flows of so many bytes, each of which is answered.
fn cost_of_relay(flow: usize, copies: bool) -> f64 {
    let upstream = TcpListener::bind(LOOPBACK).expect("a port is free");
    let addr = upstream.local_addr().expect("it is bound");
    let (tell, opened) = std::sync::mpsc::channel();
    let sink = thread::spawn(move || {
        let (mut stream, _) = upstream.accept()?;
        stream.set_nodelay(true)?;
        let mut heard = vec![0; flow];
        if copies {
            stream.read_exact(&mut heard[..1])?;
            let _ = tell.send(true);
        }
        while stream.read_exact(&mut heard).is_ok() {
            stream.write_all(b"k")?;
        }
        Ok::<_, std::io::Error>(())
    });
    let relay = Server::start(move || Measured(Side(Some(addr), None)));
    let mut client = relay.connect();
    client.set_nodelay(true).expect("it is open");
    let (sent, mut answer) = (pattern(flow), [0]);
    let (soft, hard) = rlimit::Resource::NOFILE.get().expect("there is a limit");
    if copies {
        // The relay is open at both ends when the first byte has passed, and then no pipe is to be had.
        client.write_all(&sent[..1]).expect("it is relayed");
        let passed = opened.recv().expect("the byte comes");
        assert!(passed);
        let set = rlimit::Resource::NOFILE.set(3, hard);
        set.expect("less may always be asked for");
    }
    let rounds = GIGABYTE / flow;
    for _ in 0..rounds {
        client.write_all(&sent).expect("it is relayed");
        client.read_exact(&mut answer).expect("it is answered");
    }
    let set = rlimit::Resource::NOFILE.set(soft, hard);
    set.expect("it was so before");
    drop(client);
    let nanos: f64 = relay.told().parse().expect("a number");
    sink.join().expect("no panic").expect("it is served");
    relay.stop();
    nanos / (rounds * flow) as f64
}

/// What a gigabyte costs it, as files of 5 MB, one after the other.
fn cost_of_files(copies: bool) -> f64 {
    const FILE: usize = 5_000_000;
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("measured");
    std::fs::write(&path, pattern(FILE)).expect("there is room for it");
    let shared = path.clone();
    let shelf = Server::start(move || Shelf {
        path: shared.clone(),
        copies,
        wanted: 0,
        busy: false,
    });
    let mut client = shelf.connect();
    let mut heard = vec![0; FILE];
    let rounds = GIGABYTE / FILE;
    for _ in 0..rounds {
        client.write_all(b"?").expect("it reads");
        client.read_exact(&mut heard).expect("it sends all");
    }
    drop(client);
    let nanos: f64 = shelf.told().parse().expect("a number");
    shelf.stop();
    std::fs::remove_file(path).expect("it is there");
    nanos / (rounds * FILE) as f64
}

#[test]
#[ignore = "a measurement, which lowers the limit on open files: run it alone, with --nocapture"]
fn what_a_gigabyte_costs_the_loop() {
    for round in 1..=3 {
        for flow in [16 << 10, 64 << 10, 1 << 20, 64 << 20] {
            let (copied, moved) = (cost_of_relay(flow, true), cost_of_relay(flow, false));
            let kib = flow >> 10;
            println!(
                "{round}: relay, {kib} KiB at a time: {copied:.2} s copied, {moved:.2} s moved"
            );
        }
        let (copied, sent) = (cost_of_files(true), cost_of_files(false));
        println!("{round}: files of 5 MB: {copied:.2} s copied, {sent:.2} s sent by the system");
    }
}
