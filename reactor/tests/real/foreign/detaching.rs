//! Streams that are handed over.

use super::{Cx, Echo, Tell, Told, pattern, reactor, settle, until};
use midge_reactor::{Close, Handler, Input, Transport};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

/// Consumes whole lines, leaves the rest.
struct Lines;

impl Handler<Told> for Lines {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        while let Some(end) = input.peek().iter().position(|byte| *byte == b'\n') {
            cx.state.bytes.extend(input.consume(end + 1));
        }
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        let (queued, unread) = (cx.queued(), cx.unread().len());
        let line = format!("close: {why}, {queued} queued, {unread} unread");
        cx.state.lines.push(line);
    }
}

fn unix_of(stream: Transport) -> UnixStream {
    match stream {
        Transport::Unix(stream) => stream,
        other => panic!("it was a Unix stream, and is {other:?}"),
    }
}

#[test]
fn a_detached_stream_goes_on_elsewhere_with_what_was_unread_and_unsent() {
    let (near, mut far) = UnixStream::pair().expect("descriptors are free");
    let number = near.as_raw_fd();
    let mut reactor = reactor();
    let key = reactor
        .with(|cx| cx.adopt(near, Lines))
        .expect("it is connected");
    far.write_all(b"whole\npart").expect("the kernel takes it");
    until(&mut reactor, |told| told.bytes == b"whole\n");
    let detached = reactor.with(|cx| {
        cx.io.send(key, b"never ");
        cx.io.send_bytes(key, bytes::Bytes::from_static(b"sent"));
        let detached = cx.io.detach(key).expect("it is open");
        assert!(!cx.io.send(key, b"more"));
        assert!(cx.io.detach(key).is_err(), "it is gone");
        detached
    });
    assert_eq!(detached.unread, b"part");
    assert_eq!(detached.unsent, b"never sent");
    assert!(
        reactor.state.lines.is_empty(),
        "nothing is told inside the call"
    );
    settle(&mut reactor);
    let expected = ["close: handed over, 0 queued, 0 unread"];
    assert_eq!(reactor.state.lines, expected);
    assert_eq!(reactor.connections(), 0);
    let mut stream = unix_of(detached.stream);
    assert_eq!(stream.as_raw_fd(), number, "it is the very same");
    stream.set_nonblocking(false).expect("it is open");
    far.write_all(b"ial").expect("it is open");
    let mut rest = [0; 3];
    stream.read_exact(&mut rest).expect("it is open");
    assert_eq!(&rest, b"ial");
    stream.write_all(b"by hand").expect("it is open");
    drop(stream);
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).expect("it ends in good order");
    assert_eq!(heard, b"by hand", "nothing of the queue has left");
    settle(&mut reactor);
    assert_eq!(reactor.state.lines, expected, "told once");
}

#[test]
fn adopting_and_detaching_in_one_turn_is_harmless() {
    let (near, mut far) = UnixStream::pair().expect("descriptors are free");
    far.write_all(b"waits").expect("the kernel takes it");
    let mut reactor = reactor();
    let detached = reactor.with(|cx| {
        let key = cx.adopt(near, Tell("brief")).expect("it is connected");
        cx.io.detach(key)
    });
    let mut stream = unix_of(detached.expect("it is open").stream);
    settle(&mut reactor);
    assert_eq!(reactor.state.lines, ["brief close: handed over"]);
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).expect("nobody has read it");
    assert_eq!(&heard, b"waits");
}

/// Hands its own stream to another handler at the first byte.
struct HandsOver;

impl Handler<Told> for HandsOver {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let rest = input.take();
        let detached = cx.detach().expect("it is open");
        assert!(detached.unread.is_empty(), "it is in the input");
        let key = cx.adopt(detached.stream, Echo).expect("it is open");
        cx.io.send(key, rest);
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.lines.push(format!("first close: {why}"));
    }
}

#[test]
fn a_handler_hands_its_stream_to_another_in_the_middle_of_its_input() {
    let (near, far) = UnixStream::pair().expect("descriptors are free");
    let mut reactor = reactor();
    let sent = pattern(400_000);
    reactor.with(|cx| {
        cx.adopt(near, HandsOver).expect("it is connected");
        let far = cx.adopt(far, Tell("far")).expect("it is connected");
        cx.io.send(far, &sent);
    });
    until(&mut reactor, |told| told.bytes.len() >= sent.len());
    assert!(reactor.state.bytes == sent);
    assert!(reactor.state.has("first close: handed over"));
    assert_eq!(reactor.connections(), 2);
}

#[test]
fn pipes_are_handed_over_with_what_is_left_of_them() {
    let (input, writer) = std::io::pipe().expect("descriptors are free");
    let (mut reader, output) = std::io::pipe().expect("descriptors are free");
    let numbers = (input.as_raw_fd(), output.as_raw_fd());
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.adopt((input, output), Tell("near")));
    let key = key.expect("pipes can be watched");
    until(&mut reactor, |told| told.has("near open"));
    let detached = reactor.with(|cx| cx.io.detach(key)).expect("it is open");
    let Transport::Pipes { input, output } = detached.stream else {
        panic!("they were pipes");
    };
    let (input, output) = (input.expect("it was open"), output.expect("it was open"));
    assert_eq!((input.as_raw_fd(), output.as_raw_fd()), numbers);
    drop(output);
    assert_eq!(reader.read(&mut [0]).expect("it is open"), 0);
    drop((writer, input.as_fd()));
}

#[test]
fn what_has_gone_or_is_closing_cannot_be_detached() {
    let (near, _far) = UnixStream::pair().expect("descriptors are free");
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.adopt(near, Tell("near")));
    let key = key.expect("it is connected");
    until(&mut reactor, |told| told.has("near open"));
    let closing = reactor.with(|cx| {
        cx.io.close(key);
        cx.io.detach(key)
    });
    assert_eq!(
        closing.expect_err("it closes").kind(),
        ErrorKind::NotConnected
    );
    settle(&mut reactor);
    let gone = reactor.with(|cx| cx.io.detach(key));
    assert_eq!(
        gone.expect_err("it has gone").kind(),
        ErrorKind::NotConnected
    );
    assert_eq!(reactor.state.lines, ["near open", "near close: closed"]);
}
