//! A reactor inside other loops and beside other reactors, over the system's sockets.

use crate::thousands_of_files;
use midge_reactor::{Context, Handler, Input, MioDriver, PanicPolicy, Reactor};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

/// How long a test waits for what must come before it fails. Never waited for in a good run.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends back what comes and counts the bytes.
struct Echo;

impl Handler<usize> for Echo {
    fn on_input(&mut self, cx: &mut Context<'_, usize>, input: &mut Input<'_>) {
        *cx.state += input.len();
        cx.send(input.take());
    }
}

fn listen(reactor: &mut Reactor<usize>) -> SocketAddr {
    reactor.with(|cx| {
        let listener = cx.listen("127.0.0.1:0", |_: &mut Context<'_, usize>| Echo);
        let listener = listener.expect("a port is free");
        cx.listening_on(listener).expect("it listens")
    })
}

fn turn(reactor: &mut Reactor<usize>) {
    let turned = reactor.turn(Some(Duration::ZERO));
    turned.expect("polling does not fail");
}

/// Somebody else's loop, with a reactor in it.
struct Outer {
    poll: Poll,
    events: Events,
    reactor: Reactor<usize>,
}

impl Outer {
    fn around(reactor: Reactor<usize>) -> Outer {
        let poll = Poll::new().expect("a selector is free");
        let descriptor = reactor.descriptor().expect("mio has one");
        poll.registry()
            .register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)
            .expect("a selector can be polled");
        Outer {
            poll,
            events: Events::with_capacity(4),
            reactor,
        }
    }

    /// Sleeps as long as it may, then turns until there is nothing to do.
    fn round(&mut self) {
        let wait = self.reactor.next_wait().unwrap_or(PATIENCE);
        self.poll
            .poll(&mut self.events, Some(wait))
            .expect("polling does not fail");
        assert!(
            !self.events.is_empty() || wait < PATIENCE,
            "nothing woke the outer loop"
        );
        turn(&mut self.reactor);
        while self.reactor.has_work() && !self.reactor.is_stopping() {
            turn(&mut self.reactor);
        }
    }
}

#[test]
fn a_reactor_in_another_loop_hears_of_sockets_timers_and_other_threads() {
    let mut reactor = Reactor::new(0).expect("a selector is free");
    let addr = listen(&mut reactor);
    let mut outer = Outer::around(reactor);
    let mut client = TcpStream::connect(addr).expect("it listens");
    client.write_all(b"hello").expect("the kernel takes it");
    while outer.reactor.state < 5 {
        outer.round();
    }
    let mut answer = [0; 5];
    client.read_exact(&mut answer).expect("it is sent");
    assert_eq!(&answer, b"hello");

    outer
        .reactor
        .with(|cx| cx.after(Duration::from_millis(5), |cx| *cx.state = 100));
    while outer.reactor.state < 100 {
        outer.round();
    }

    let remote = outer.reactor.remote();
    let posting = std::thread::spawn(move || remote.post(|cx| cx.io.stop()));
    while !outer.reactor.is_stopping() {
        outer.round();
    }
    posting.join().expect("it only posts").expect("it runs");
    outer.reactor.run().expect("it polls no more");
    assert_eq!(outer.reactor.connections(), 0);
}

#[test]
fn more_events_than_one_poll_takes_reach_a_loop_that_hears_only_of_edges() {
    const CLIENTS: usize = 1_300;
    let _turn = thousands_of_files();
    let mut reactor = Reactor::new(0).expect("a selector is free");
    let addr = listen(&mut reactor);
    let mut outer = Outer::around(reactor);
    let mut clients = Vec::new();
    while outer.reactor.connections() < CLIENTS {
        for _ in 0..100 {
            clients.push(TcpStream::connect(addr).expect("the backlog takes a hundred"));
        }
        while outer.reactor.connections() < clients.len() {
            outer.round();
        }
    }
    // All of them are ready before the reactor turns again.
    for client in &mut clients {
        client.write_all(b"x").expect("the kernel takes it");
    }
    while outer.reactor.state < CLIENTS {
        outer.round();
    }
}

#[test]
fn reactors_of_one_thread_talk_by_their_remotes() {
    fn pass(cx: &mut Context<'_, usize>, ring: &[midge_reactor::Remote<usize>], at: usize) {
        *cx.state += 1;
        if at == 30 {
            return;
        }
        let (next, rest) = (ring[at % ring.len()].clone(), ring.to_vec());
        let posted = next.post(move |cx| pass(cx, &rest, at + 1));
        posted.expect("it runs");
    }
    let mut reactors = [(); 3].map(|()| Reactor::new(0).expect("a selector is free"));
    let ring: Vec<_> = reactors.iter().map(Reactor::remote).collect();
    reactors[2].with(|cx| pass(cx, &ring, 0));
    while reactors.iter().map(|reactor| reactor.state).sum::<usize>() < 31 {
        reactors.iter_mut().for_each(turn);
    }
    assert_eq!([reactors[0].state, reactors[1].state], [10, 10]);
}

#[test]
fn reactors_on_two_threads_wake_each_other() {
    let (tell, told) = mpsc::channel();
    let mut here = Reactor::new(0).expect("a selector is free");
    let home = here.remote();
    let other = std::thread::spawn(move || {
        let mut there = Reactor::new(0).expect("a selector is free");
        tell.send(there.remote()).expect("the test waits for this");
        there.run().expect("polling does not fail");
        there.state
    });
    let there = told.recv().expect("it starts");
    for _ in 0..100 {
        let home = home.clone();
        let posted = there.post(move |cx| {
            *cx.state += 1;
            let last = *cx.state == 100;
            home.post(move |cx| {
                *cx.state += 1;
                if last {
                    cx.stop();
                }
            })
            .expect("it runs");
        });
        posted.expect("it runs");
    }
    here.run().expect("polling does not fail");
    there.stop().expect("it runs");
    assert_eq!(
        (here.state, other.join().expect("it ends well")),
        (100, 100)
    );
}

#[test]
fn a_reactor_that_spins_polls_many_times_a_turn_and_still_hears_a_wake() {
    let driver = Box::new(MioDriver::new().expect("a selector is free"));
    let settings = Reactor::builder().spin(PATIENCE);
    let mut reactor = settings.build_with_driver(0, driver);
    reactor.with(|cx| cx.after(Duration::from_millis(5), |cx| *cx.state = 1));
    while reactor.state < 1 {
        reactor.turn(None).expect("polling does not fail");
    }
    let stats = reactor.stats();
    assert!(stats.polls > stats.turns, "{stats:?}");
    let remote = reactor.remote();
    let posting = std::thread::spawn(move || remote.stop());
    reactor.run().expect("polling does not fail");
    posting.join().expect("it only posts").expect("it runs");
}

#[test]
fn after_a_panic_has_left_run_the_port_is_free_again_and_again() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let addr = port.expect("a port is free");
    for _ in 0..2 {
        let mut reactor = Reactor::new(0).expect("a selector is free");
        let listening =
            reactor.with(|cx| cx.listen(addr, |_: &mut Context<'_, usize>| Echo).map(drop));
        listening.expect("the port is free");
        reactor.with(|cx| cx.after(Duration::ZERO, |_| panic!("a bug")));
        let ran = catch_unwind(AssertUnwindSafe(|| reactor.run()));
        assert!(ran.is_err(), "the panic surfaces");
    }
}

#[test]
fn a_used_port_is_named_in_the_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = taken.local_addr().expect("it is bound");
    let mut reactor = Reactor::new(0).expect("a selector is free");
    let listening = reactor.with(|cx| cx.listen(addr, |_: &mut Context<'_, usize>| Echo));
    let error = listening.expect_err("the port is taken");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[test]
fn a_panic_closes_one_real_connection_and_serves_the_others() {
    struct Fragile;
    impl Handler<usize> for Fragile {
        fn on_input(&mut self, cx: &mut Context<'_, usize>, input: &mut Input<'_>) {
            assert!(input.peek() != b"panic", "asked to");
            cx.send(input.take());
        }
    }
    let settings = Reactor::builder()
        .on_panic(PanicPolicy::CloseConnection)
        .on_handler_panic(|cx: &mut Context<'_, usize>, _, _| *cx.state += 1);
    let mut reactor = settings.build(0).expect("a selector is free");
    let addr = reactor.with(|cx| {
        let listener = cx.listen("127.0.0.1:0", |_: &mut Context<'_, usize>| Fragile);
        cx.listening_on(listener.expect("a port is free"))
    });
    let addr = addr.expect("it listens");
    let remote = reactor.remote();
    let clients = std::thread::spawn(move || {
        let connect = || TcpStream::connect(addr).expect("it listens");
        let (mut broken, mut sound) = (connect(), connect());
        broken.write_all(b"panic").expect("the kernel takes it");
        let mut rest = Vec::new();
        let ended = broken.read_to_end(&mut rest);
        assert!(ended.is_err() || rest.is_empty(), "it is closed");
        sound.write_all(b"hello").expect("the kernel takes it");
        let mut answer = [0; 5];
        sound.read_exact(&mut answer).expect("it is served");
        remote.stop().expect("it runs");
        answer
    });
    reactor.run().expect("the loop goes on");
    assert_eq!(&clients.join().expect("both see what they must"), b"hello");
    assert_eq!(reactor.state, 1);
}
