//! Streams and listeners that were opened elsewhere.

use super::{Cx, Echo, Tell, pattern, reactor, settle, until};
use crate::no_fork;
use midge_reactor::{Close, Handler, Input, Transport};
use std::fs::File;
use std::io::{Read, Write, pipe};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let near = TcpStream::connect(addr).expect("it listens");
    (near, listener.accept().expect("it connects").0)
}

#[test]
fn an_adopted_tcp_stream_is_a_connection_like_any_other() {
    let (near, mut far) = tcp_pair();
    let (peer, local) = (near.peer_addr(), near.local_addr());
    far.write_all(b"before").expect("the kernel takes it");
    let mut reactor = reactor();
    let key = reactor.with(|cx| {
        let key = cx.adopt(near, Tell("adopted")).expect("it is connected");
        assert!(cx.state.lines.is_empty(), "nothing is told inside the call");
        assert!(cx.io.send(key, b"hello"));
        key
    });
    until(&mut reactor, |told| told.bytes == b"before");
    let mut heard = [0; 5];
    far.read_exact(&mut heard).expect("it was sent");
    assert_eq!(&heard, b"hello");
    reactor.with(|cx| {
        assert_eq!(cx.io.peer_addr(key), peer.ok());
        assert_eq!(cx.io.local_addr(key), local.ok());
    });
    drop(far);
    until(&mut reactor, |told| told.lines.len() == 3);
    assert_eq!(
        reactor.state.lines,
        [
            "adopted open",
            "adopted eof",
            "adopted close: closed by the peer"
        ]
    );
    assert_eq!(reactor.connections(), 0);
}

#[test]
fn a_stream_that_is_not_connected_is_an_error() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = TcpStream::from(socket.expect("a socket is free"));
    let mut reactor = reactor();
    let adopted = reactor.with(|cx| cx.adopt(socket, Tell("nothing")));
    adopted.expect_err("it is not connected");
    assert_eq!(reactor.connections(), 0);
    settle(&mut reactor);
    assert!(reactor.state.lines.is_empty());
}

#[test]
fn a_file_cannot_be_adopted() {
    let file = File::open(std::env::current_exe().expect("it runs")).expect("it is there");
    let mut reactor = reactor();
    let stream = Transport::pipes(Some(OwnedFd::from(file)), None);
    let adopted = reactor.with(|cx| cx.adopt(stream, Tell("file")));
    adopted.expect_err("files cannot be watched");
    assert_eq!(reactor.connections(), 0);
}

#[test]
fn a_pair_of_unix_streams_echoes() {
    let (near, mut far) = UnixStream::pair().expect("descriptors are free");
    let mut reactor = reactor();
    let adopted = reactor.with(|cx| cx.adopt(near, Echo));
    adopted.expect("it is connected");
    far.write_all(b"to and fro").expect("the kernel takes it");
    until(&mut reactor, {
        let mut peek = far.try_clone().expect("a descriptor is free");
        peek.set_nonblocking(true).expect("it is open");
        let mut heard = Vec::new();
        move |_| {
            let _ = peek.read_to_end(&mut heard);
            heard == b"to and fro"
        }
    });
}

#[test]
fn a_megabyte_goes_through_adopted_pipes_and_back() {
    let (near_in, far_out) = pipe().expect("descriptors are free");
    let (far_in, near_out) = pipe().expect("descriptors are free");
    let sent = pattern(1_000_000);
    let mut reactor = reactor();
    reactor.with(|cx| {
        cx.adopt((far_in, far_out), Echo)
            .expect("pipes can be watched");
        let near = cx.adopt((near_in, near_out), Tell("near"));
        let near = near.expect("pipes can be watched");
        assert!(cx.io.send(near, &sent));
        // The pipe outwards closes when all has left; the echo then ends the other one.
        cx.io.shutdown_write(near);
        assert!(!cx.io.send(near, b"more"));
    });
    until(&mut reactor, |told| told.lines.len() == 3);
    assert!(reactor.state.bytes == sent);
    assert_eq!(
        reactor.state.lines,
        ["near open", "near eof", "near close: closed by the peer"]
    );
    settle(&mut reactor);
    assert_eq!(reactor.connections(), 0);
}

#[test]
fn a_pipe_that_is_only_read_takes_nothing_to_send_and_ends_with_its_writer() {
    let (input, mut writer) = pipe().expect("descriptors are free");
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.adopt(input, Tell("reader")));
    let key = key.expect("pipes can be watched");
    assert!(!reactor.with(|cx| cx.io.send(key, b"x")));
    writer.write_all(b"one").expect("the kernel takes it");
    until(&mut reactor, |told| told.bytes == b"one");
    writer.write_all(b"two").expect("the kernel takes it");
    drop(writer);
    until(&mut reactor, |told| told.lines.len() == 3);
    assert_eq!(reactor.state.bytes, b"onetwo");
    assert_eq!(
        reactor.state.lines,
        [
            "reader open",
            "reader eof",
            "reader close: closed by the peer"
        ]
    );
}

#[test]
fn a_pipe_that_is_only_written_is_closed_when_its_reader_goes() {
    let (reader, output) = pipe().expect("descriptors are free");
    let mut reactor = reactor();
    let adopted = reactor.with(|cx| cx.adopt(output, Tell("writer")));
    adopted.expect("pipes can be watched");
    until(&mut reactor, |told| told.has("writer open"));
    settle(&mut reactor);
    assert_eq!(reactor.connections(), 1);
    drop(reader);
    until(&mut reactor, |told| told.lines.len() == 2);
    assert_eq!(reactor.state.lines[1], "writer close: closed by the peer");
}

#[test]
fn a_pipe_that_is_only_written_closes_after_its_last_bytes() {
    let (mut reader, output) = pipe().expect("descriptors are free");
    let sent = pattern(300_000);
    let mut reactor = reactor();
    let key = reactor.with(|cx| {
        let key = cx.adopt(output, Tell("writer")).expect("it can be watched");
        cx.io.send(key, &sent);
        key
    });
    until(&mut reactor, |told| told.has("writer open"));
    reactor.with(|cx| cx.io.close_after_write(key));
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    });
    until(&mut reactor, |told| told.has("writer close: closed"));
    let read = reading.join().expect("reading does not panic");
    assert!(read.expect("it ends in good order") == sent);
}

#[test]
fn a_pipe_that_is_only_written_has_ended_when_it_is_shut_down() {
    let (mut reader, output) = pipe().expect("descriptors are free");
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.adopt(output, Tell("writer")));
    let key = key.expect("pipes can be watched");
    until(&mut reactor, |told| told.has("writer open"));
    settle(&mut reactor);
    reactor.with(|cx| {
        cx.io.send(key, b"last");
        cx.io.shutdown_write(key);
    });
    until(&mut reactor, |told| told.lines.len() == 3);
    assert_eq!(reactor.state.lines[2], "writer close: closed by the peer");
    let mut read = Vec::new();
    reader.read_to_end(&mut read).expect("it is closed");
    assert_eq!(read, b"last");
}

#[test]
fn a_pipe_that_nobody_reads_any_more_does_not_end_the_other_one() {
    let (input, mut far_out) = pipe().expect("descriptors are free");
    let (far_in, output) = pipe().expect("descriptors are free");
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.adopt((input, output), Tell("near")));
    let key = key.expect("pipes can be watched");
    until(&mut reactor, |told| told.has("near open"));
    drop(far_in);
    assert!(reactor.with(|cx| cx.io.send(key, vec![0; 200_000])));
    settle(&mut reactor);
    reactor.with(|cx| {
        assert!(cx.io.is_open(key));
        assert_eq!(cx.io.queued(key), 0, "nobody will ever take it");
        assert!(!cx.io.send(key, b"more"));
    });
    far_out.write_all(b"still here").expect("it is read");
    until(&mut reactor, |told| told.bytes == b"still here");
    drop(far_out);
    until(&mut reactor, |told| {
        told.has("near close: closed by the peer")
    });
}

/// Takes the first byte only, then pauses.
struct OneByOne;

impl Handler<super::Told> for OneByOne {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.state.bytes.extend(input.consume(1));
        cx.pause();
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.lines.push(format!("close: {why}"));
    }
}

#[test]
fn pausing_and_resuming_a_pipe_loses_nothing() {
    let (input, mut writer) = pipe().expect("descriptors are free");
    writer.write_all(b"abc").expect("the kernel takes it");
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.adopt(input, OneByOne));
    let key = key.expect("pipes can be watched");
    for expected in ["a", "ab", "abc"] {
        until(&mut reactor, |told| told.bytes == expected.as_bytes());
        settle(&mut reactor);
        assert_eq!(reactor.state.bytes, expected.as_bytes(), "it is paused");
        reactor.with(|cx| cx.io.resume(key));
    }
}

#[test]
fn an_adopted_listener_serves_its_backlog_and_is_open_elsewhere_afterwards() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = socket.local_addr().expect("it is bound");
    let kept = socket.try_clone().expect("a descriptor is free");
    let mut before = TcpStream::connect(addr).expect("the backlog takes it");
    before.write_all(b"early").expect("the kernel takes it");
    let mut reactor = reactor();
    let listener = reactor.with(|cx| cx.adopt_listener(socket, |_: &mut Cx<'_>| Tell("served")));
    let listener = listener.expect("it listens");
    let bound = reactor.with(|cx| cx.listening_on(listener));
    assert_eq!(bound, Some(addr));
    until(&mut reactor, |told| told.bytes == b"early");
    reactor.with(|cx| cx.io.close(listener));
    settle(&mut reactor);
    let _later = TcpStream::connect(addr).expect("the duplicate listens");
    kept.set_nonblocking(false).expect("it is open");
    kept.accept().expect("it waits in the backlog");
    let _turn = no_fork();
    drop(kept);
    TcpStream::connect(addr).expect_err("now nobody listens");
}

/// Linux ends a read from a Unix socket where a message came with descriptors, though more is there.
#[cfg(target_os = "linux")]
#[test]
fn a_short_read_of_a_unix_socket_is_not_taken_for_the_last() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let (near, mut far) = UnixStream::pair().expect("descriptors are free");
    let passed = [std::os::fd::AsFd::as_fd(&far)];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&passed)));
    let piece = [std::io::IoSlice::new(b"with a descriptor, ")];
    let sent = sendmsg(&far, &piece, &mut control, SendFlags::empty());
    sent.expect("the kernel takes it");
    far.write_all(b"without").expect("the kernel takes it");
    let mut reactor = reactor();
    let adopted = reactor.with(|cx| cx.adopt(near, Tell("near")));
    adopted.expect("it is connected");
    until(&mut reactor, |told| {
        told.bytes == b"with a descriptor, without"
    });
}
