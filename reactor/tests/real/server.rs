//! A reactor over the system's sockets in a thread of its own, and a test that talks to it.

use midge_reactor::{Context, Handler, Key, Reactor, Remote};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a test waits for what must come before it fails. Never waited for in a good run.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Handlers tell the test what they see.
pub(crate) type Told = Sender<String>;
pub(crate) type Cx<'a> = Context<'a, Told>;

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) remote: Remote<Told>,
    told: Receiver<String>,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves every connection on a free port with what `make` makes.
    pub(crate) fn start<H: Handler<Told> + 'static>(
        make: impl FnMut() -> H + Send + 'static,
    ) -> Server {
        Server::on(SocketAddr::from(([127, 0, 0, 1], 0)), make)
    }

    /// Serves every connection on `addr` with what `make` makes.
    pub(crate) fn on<H: Handler<Told> + 'static>(
        addr: SocketAddr,
        mut make: impl FnMut() -> H + Send + 'static,
    ) -> Server {
        Server::run(move |cx| cx.listen(addr, move |_: &mut Cx<'_>| make()))
    }

    /// Runs a reactor with the listener that `listen` makes.
    pub(crate) fn run(
        listen: impl FnOnce(&mut Cx<'_>) -> io::Result<Key> + Send + 'static,
    ) -> Server {
        let (tell, told) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut reactor = Reactor::new(tell)?;
            let bound = reactor.with(|cx| {
                let listener = listen(cx)?;
                Ok::<_, io::Error>(cx.listening_on(listener))
            })?;
            let sent = ready.send((bound.expect("it listens"), reactor.remote()));
            sent.expect("the test waits for this");
            reactor.run()
        });
        let (addr, remote) = started.recv().expect("the port is free");
        Server {
            addr,
            remote,
            told,
            thread,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        patient(TcpStream::connect(self.addr).expect("the server listens"))
    }

    pub(crate) fn told(&self) -> String {
        self.told.recv_timeout(PATIENCE).expect("a handler tells")
    }

    pub(crate) fn stop(self) {
        self.remote.stop().expect("it runs");
        self.join();
    }

    /// Waits until the reactor has stopped.
    pub(crate) fn join(self) {
        let ended = self.thread.join().expect("handlers do not panic");
        ended.expect("polling does not fail");
    }
}

/// A socket that does not wait for ever.
pub(crate) fn patient(stream: TcpStream) -> TcpStream {
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&stream, Some(PATIENCE)).expect("a timeout of seconds is valid");
    }
    stream
}

/// Bytes in which every misplaced piece shows.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}
