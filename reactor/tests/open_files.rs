//! A process without free descriptors: alone in its file, for the limit is the whole process's.

use midge_reactor::{Accept, Context, Handler, Input, ListenOptions, ListenerAddr, Reactor};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

struct Echo;

impl Handler<usize> for Echo {
    fn on_input(&mut self, cx: &mut Context<'_, usize>, input: &mut Input<'_>) {
        cx.send(input.take());
    }
}

/// Counts the errors of accepting.
struct Counting;

impl Accept<usize> for Counting {
    fn accept(&mut self, _: &mut Context<'_, usize>) -> Box<dyn Handler<usize>> {
        Box::new(Echo)
    }

    fn on_error(&mut self, cx: &mut Context<'_, usize>, _: &ListenerAddr, _: &io::Error) {
        *cx.state += 1;
    }
}

#[test]
fn the_backlog_is_served_when_descriptors_are_free_again_though_no_edge_tells() {
    let mut reactor = Reactor::new(0).expect("a selector is free");
    let listener =
        reactor.with(|cx| cx.listen_with("127.0.0.1:0", &ListenOptions::default(), Counting));
    let listener = listener.expect("a port is free");
    let addr = reactor
        .with(|cx| cx.listening_on(listener))
        .expect("it listens");
    let mut clients: Vec<_> = (0..10)
        .map(|_| TcpStream::connect(addr).expect("the backlog takes ten"))
        .collect();
    let (soft, hard) = rlimit::Resource::NOFILE.get().expect("it can be asked");
    // Descriptors are given out from the bottom: no more than three of the ten can be accepted.
    let last = std::os::fd::AsRawFd::as_raw_fd(&clients[9]);
    let enough_for_three = u64::try_from(last).expect("it is open") + 4;
    rlimit::Resource::NOFILE
        .set(enough_for_three, hard)
        .expect("it can be lowered");
    while reactor.state == 0 {
        reactor.turn(None).expect("polling does not fail");
    }
    assert!(reactor.connections() < 10);
    rlimit::Resource::NOFILE
        .set(soft, hard)
        .expect("it can be raised again");
    while reactor.connections() < 10 {
        reactor
            .turn(Some(Duration::from_secs(60)))
            .expect("polling does not fail");
    }
    for client in &mut clients {
        client.write_all(b"ping").expect("the kernel takes it");
    }
    let stopped = std::thread::spawn({
        let remote = reactor.remote();
        move || {
            for client in &mut clients {
                client.read_exact(&mut [0; 4]).expect("it is served");
            }
            remote.stop()
        }
    });
    reactor.run().expect("polling does not fail");
    let stopped = stopped.join().expect("every client is served");
    assert_eq!(stopped, Ok(()));
}
