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
