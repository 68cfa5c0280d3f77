//! A thread for each core, all on one port: `cargo run --example per_core`, then `nc 127.0.0.1 8085`
//! a few times. Each thread has a reactor of its own, and the kernel shares the connections out.
//!
//! With `reuse_port` every listener has a queue of its own in the kernel, chosen by a hash of the
//! connection's addresses; no thread wakes for a connection of another, and nothing is locked. What
//! the threads have in common goes through atomics, channels, or [`Remote::post`].
//!
//! [`Remote::post`]: midge_reactor::Remote::post

use midge_reactor::{Context, Handler, Input, ListenOptions, Reactor, Remote};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

/// What the handlers of one thread share.
struct Worker {
    number: usize,
    served: u64,
}

struct Greeter;

impl Handler<Worker> for Greeter {
    fn on_open(&mut self, cx: &mut Context<'_, Worker>) {
        cx.state.served += 1;
        let Worker { number, served } = *cx.state;
        write!(cx, "thread {number} serves you, its visitor {served}\r\n");
    }

    fn on_input(&mut self, cx: &mut Context<'_, Worker>, input: &mut Input<'_>) {
        cx.send(input.take());
    }
}

/// Starts a thread that serves `addr`, and waits until it does; answers where, and how to reach it.
fn start(number: usize, addr: SocketAddr) -> io::Result<(SocketAddr, Remote<Worker>)> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let serve = || -> io::Result<(SocketAddr, Reactor<Worker>)> {
            let mut reactor = Reactor::new(Worker { number, served: 0 })?;
            let options = ListenOptions::default().reuse_port(true);
            let listener = reactor
                .with(|cx| cx.listen_with(addr, &options, |_: &mut Context<'_, Worker>| Greeter))?;
            let bound = reactor.with(|cx| cx.listening_on(listener));
            Ok((bound.unwrap_or(addr), reactor))
        };
        match serve() {
            Ok((bound, mut reactor)) => {
                let _ = tell.send(Ok((bound, reactor.remote())));
                if let Err(error) = reactor.run() {
                    eprintln!("thread {number}: {error}");
                }
            }
            Err(error) => drop(tell.send(Err(error))),
        }
    });
    told.recv().map_err(io::Error::other)?
}

/// `per_core [address [threads]]`
fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let addr = args.next().unwrap_or("127.0.0.1:8085".into());
    let mut addr: SocketAddr = addr.parse().map_err(io::Error::other)?;
    let threads = match args.next() {
        Some(threads) => threads.parse().map_err(io::Error::other)?,
        None => thread::available_parallelism()?.get(),
    };
    let mut workers = Vec::new();
    for number in 0..threads {
        // Where the system picks the port, the others take the first one's.
        let (bound, remote) = start(number, addr)?;
        addr = bound;
        workers.push(remote);
    }
    println!("listening on {addr}");
    // They are reached by their remotes, for as long as the program runs.
    loop {
        thread::park();
    }
}
