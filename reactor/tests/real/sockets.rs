//! Connections, listeners and signals.

use crate::server::{Cx, PATIENCE, Server, Told, patient, pattern};
use crate::{no_fork, thousands_of_files};
use midge_reactor::{
    Close, ConnectOptions, Context, Driver, Eof, Event, Handler, Input, Key, ListenOptions,
    MioDriver, Reactor, Time, Wake,
};
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self};
use std::time::Duration;

fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .expect("the server ends it in good order");
    bytes
}

struct Echo;

impl Handler<Told> for Echo {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.send(input.take());
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        // The test may have gone.
        let _ = cx.state.send(format!("close: {why}"));
    }
}

/// Takes part in nothing, and tells how it ends.
struct Silent;

impl Handler<Told> for Silent {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let _ = cx.state.send("open".to_owned());
    }

    fn on_input(&mut self, _: &mut Cx<'_>, input: &mut Input<'_>) {
        input.take();
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        let _ = cx.state.send(format!("close: {why}"));
    }
}

#[test]
fn an_echo_returns_all_byte_values() {
    let server = Server::start(|| Echo);
    let mut client = server.connect();
    let all: Vec<u8> = (0..=255).collect();
    client.write_all(&all).expect("the server reads");
    let mut echoed = [0; 256];
    client.read_exact(&mut echoed).expect("the server echoes");
    assert_eq!(echoed[..], all);
    server.stop();
}

#[test]
fn ten_megabytes_pass_through_tiny_buffers() {
    let server = Server::start(|| Echo);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket is free");
    socket
        .set_send_buffer_size(4096)
        .expect("any size is valid");
    socket
        .set_recv_buffer_size(2048)
        .expect("any size is valid");
    socket
        .connect(&server.addr.into())
        .expect("the server listens");
    let mut client = patient(socket.into());
    let sent = pattern(10_000_000);
    let mut sender = client.try_clone().expect("a descriptor is free");
    let to_send = sent.clone();
    let sending = thread::spawn(move || {
        sender.write_all(&to_send)?;
        sender.shutdown(Shutdown::Write)
    });
    let received = read_all(&mut client);
    sending
        .join()
        .expect("writing does not panic")
        .expect("the server reads");
    assert!(received == sent, "{} bytes came back", received.len());
    assert_eq!(server.told(), "close: closed by the peer");
    server.stop();
}

#[test]
fn eleven_hundred_connections_are_served_at_once() {
    let _turn = thousands_of_files();
    let server = Server::start(|| Echo);
    let mut clients: Vec<_> = (0..1100).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        write!(client, "{number:04}").expect("the server reads");
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let mut echoed = [0; 4];
        client.read_exact(&mut echoed).expect("the server echoes");
        assert_eq!(echoed, format!("{number:04}").as_bytes());
    }
    drop(clients);
    for _ in 0..1100 {
        assert_eq!(server.told(), "close: closed by the peer");
    }
    server.stop();
}

#[test]
fn a_refused_connect_ends_in_on_close_without_on_open() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    drop(listener);
    let server = Server::start(|| Echo);
    let connect = move |cx: &mut Cx<'_>| {
        cx.connect(addr, Silent);
    };
    server.remote.post(connect).expect("it runs");
    let told = server.told();
    assert!(told.starts_with("close: connect failed: "), "{told}");
    assert!(told.contains("refused"), "{told}");
    server.stop();
}

#[test]
fn what_is_sent_before_a_connect_is_open_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let server = Server::start(|| Echo);
    let connect = move |cx: &mut Cx<'_>| {
        let key = cx.connect(addr, Silent);
        cx.io.send(key, b"early");
    };
    server.remote.post(connect).expect("it runs");
    let mut peer = patient(listener.accept().expect("it connects").0);
    let mut early = [0; 5];
    peer.read_exact(&mut early).expect("it is sent");
    assert_eq!(&early, b"early");
    assert_eq!(server.told(), "open");
    drop(peer);
    assert_eq!(server.told(), "close: closed by the peer");
    server.stop();
}

#[test]
fn a_port_in_use_is_an_error_of_listen() {
    let server = Server::start(|| Echo);
    let mut reactor = Reactor::new(()).expect("a selector is free");
    let addr = server.addr;
    let listened = reactor.with(|cx| cx.listen(addr, |_: &mut Context<'_>| Quiet));
    assert_eq!(
        listened.expect_err("the port is in use").kind(),
        ErrorKind::AddrInUse
    );
    assert_eq!(reactor.connections(), 0);
    server.stop();
}

struct Quiet;

impl Handler for Quiet {
    fn on_input(&mut self, _: &mut Context<'_>, input: &mut Input<'_>) {
        input.take();
    }
}

#[test]
fn a_port_can_be_bound_again_at_once_after_the_end_twice_in_a_row() {
    let mut server = Server::start(|| Echo);
    for _ in 0..2 {
        // The server's side closes first, which leaves the port in TIME_WAIT.
        let mut client = server.connect();
        client.write_all(b"x").expect("the server reads");
        client.read_exact(&mut [0]).expect("the server echoes");
        let addr = server.addr;
        let _turn = no_fork();
        server.stop();
        let refused = TcpStream::connect(addr).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        server = Server::on(addr, || Echo);
    }
    server.stop();
}

/// Answers once the peer has ended its direction.
struct AfterEnd(usize);

impl Handler<Told> for AfterEnd {
    fn on_input(&mut self, _: &mut Cx<'_>, input: &mut Input<'_>) {
        self.0 += input.take().len();
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        cx.send(format!("{} bytes, ", self.0).as_bytes());
        cx.send(vec![b'.'; 3_000_000]);
        Eof::Close
    }
}

#[test]
fn a_peer_that_ends_its_direction_gets_the_whole_reply() {
    let server = Server::start(|| AfterEnd(0));
    let mut client = server.connect();
    client
        .write_all(&pattern(500_000))
        .expect("the server reads");
    client.shutdown(Shutdown::Write).expect("it is open");
    let reply = read_all(&mut client);
    assert!(reply.starts_with(b"500000 bytes, ..."));
    assert_eq!(reply.len(), b"500000 bytes, ".len() + 3_000_000);
    server.stop();
}

/// Has something to say to the first byte, and no more.
struct Dismissive;

impl Handler<Told> for Dismissive {
    fn on_input(&mut self, cx: &mut Cx<'_>, _: &mut Input<'_>) {
        cx.send(b"-ERR 'no'\r\n");
        cx.close_after_write();
    }
}

#[test]
fn last_words_reach_a_client_that_sends_a_lot_before_it_reads() {
    let server = Server::start(|| Dismissive);
    let lot = pattern(4_000_000);
    for _ in 0..20 {
        let mut client = server.connect();
        // The server soon takes no more of it.
        let _ = client.write_all(&lot);
        let mut said = Vec::new();
        let end = client.read_to_end(&mut said);
        assert_eq!(said, b"-ERR 'no'\r\n", "{end:?}");
    }
    server.stop();
}

#[test]
fn a_reset_is_noticed() {
    let server = Server::start(|| Silent);
    let client = Socket::from(server.connect());
    assert_eq!(server.told(), "open");
    client.set_linger(Some(Duration::ZERO)).expect("it is open");
    drop(client);
    assert_eq!(server.told(), "close: closed by the peer");
    server.stop();
}

#[test]
fn stopping_tells_every_connection() {
    let server = Server::start(|| Silent);
    let clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for _ in &clients {
        assert_eq!(server.told(), "open");
    }
    server.remote.stop().expect("it runs");
    for _ in &clients {
        assert_eq!(server.told(), "close: reactor stopped");
    }
    server.join();
}

#[test]
fn shutdown_delivers_what_is_queued_before_the_reactor_ends() {
    let server = Server::start(|| AfterInput);
    let mut client = server.connect();
    client.write_all(b"x").expect("the server reads");
    let received = read_all(&mut client);
    assert_eq!(received.len(), 8_000_000);
    drop(client);
    server.join();
}

/// Queues a lot at the first byte and shuts the reactor down.
struct AfterInput;

impl Handler<Told> for AfterInput {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        input.take();
        cx.send(vec![b'.'; 8_000_000]);
        cx.io.shutdown(PATIENCE);
    }
}

#[test]
fn signals_arrive_one_by_one_on_the_reactors_thread() {
    let server = Server::start(|| Echo);
    let watch = |cx: &mut Cx<'_>| {
        let on_thread = thread::current().id();
        cx.on_signals(&[signal_hook::consts::SIGUSR1], move |cx, signal| {
            assert_eq!(thread::current().id(), on_thread);
            let _ = cx.state.send(format!("signal {signal}"));
        })
        .expect("this signal can be caught");
        let _ = cx.state.send("watching".to_owned());
    };
    server.remote.post(watch).expect("it runs");
    assert_eq!(server.told(), "watching");
    for _ in 0..3 {
        signal_hook::low_level::raise(signal_hook::consts::SIGUSR1).expect("it can be raised");
        let expected = format!("signal {}", signal_hook::consts::SIGUSR1);
        assert_eq!(server.told(), expected);
    }
    server.stop();
}

#[test]
fn a_signal_that_cannot_be_caught_is_an_error() {
    use signal_hook::consts::{SIGKILL, SIGSEGV};
    let mut reactor = Reactor::new(()).expect("a selector is free");
    for signal in [SIGKILL, SIGSEGV, 0, -1, 100_000] {
        let watched = reactor.with(|cx| cx.on_signals(&[signal], |_, _| {}));
        let error = watched.expect_err("this signal cannot be caught");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "signal {signal}");
    }
}

/// Counts polls on the way to the system.
#[derive(Debug)]
struct Counting {
    inner: MioDriver,
    polls: Arc<AtomicUsize>,
}

impl Driver for Counting {
    fn now(&mut self) -> Time {
        self.inner.now()
    }

    fn seed(&mut self) -> u64 {
        self.inner.seed()
    }

    fn poll(&mut self, events: &mut Vec<Event>, wait: Option<Duration>) -> io::Result<()> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.inner.poll(events, wait)
    }

    fn listen(
        &mut self,
        key: Key,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<SocketAddr> {
        self.inner.listen(key, addr, options)
    }

    fn accept(&mut self, listener: Key) -> io::Result<SocketAddr> {
        self.inner.accept(listener)
    }

    fn adopt(&mut self, key: Key) -> io::Result<SocketAddr> {
        self.inner.adopt(key)
    }

    fn connect(&mut self, key: Key, addr: SocketAddr, options: &ConnectOptions) -> io::Result<()> {
        self.inner.connect(key, addr, options)
    }

    fn finish_connect(&mut self, key: Key) -> io::Result<SocketAddr> {
        self.inner.finish_connect(key)
    }

    fn read(&mut self, key: Key, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(key, buf)
    }

    fn short_read_drains(&self) -> bool {
        self.inner.short_read_drains()
    }

    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write(key, pieces)
    }

    fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        self.inner.shutdown_write(key)
    }

    fn close(&mut self, key: Key) {
        self.inner.close(key);
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.inner.waker()
    }
}

#[test]
fn open_and_idle_connections_cause_no_turns() {
    const TICKS: usize = 20;
    let polls = Arc::new(AtomicUsize::new(0));
    let driver = Counting {
        inner: MioDriver::new().expect("a selector is free"),
        polls: Arc::clone(&polls),
    };
    let mut reactor = Reactor::with_driver((), Box::new(driver));
    let clients = reactor.with(|cx| {
        let listener = cx.listen("127.0.0.1:0", |_: &mut Context<'_>| Quiet)?;
        let addr = cx.listening_on(listener).expect("it listens");
        let clients: io::Result<Vec<_>> = (0..100).map(|_| TcpStream::connect(addr)).collect();
        clients
    });
    let mut clients = clients.expect("the backlog takes a hundred");
    for client in &mut clients {
        client.write_all(b"hello").expect("the kernel takes it");
    }
    while reactor.connections() < clients.len() || reactor.has_work() {
        reactor.turn(None).expect("polling does not fail");
    }
    // Late events of the connections' openings.
    reactor
        .turn(Some(Duration::from_millis(10)))
        .expect("polling does not fail");
    let before = polls.load(Ordering::Relaxed);
    let mut left = TICKS;
    reactor.with(|cx| {
        cx.every(Duration::from_millis(5), move |cx| {
            left -= 1;
            if left == 0 {
                cx.stop();
            }
        });
    });
    reactor.run().expect("polling does not fail");
    let polls = polls.load(Ordering::Relaxed) - before;
    // One that waits, and one more look at the sockets before a timer is taken for due.
    assert!(polls <= 2 * TICKS + 5, "{polls} polls for {TICKS} ticks");
}
