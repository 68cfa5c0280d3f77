//! A reactor over the scripted driver, and what a script asks of the two.

use super::driver::ScriptedDriver;
use super::peer::Peer;
use super::world::{World, nanos};
use super::{Cx, EMFILE, Log};
use midge_reactor::{Accept, Builder, Handler, Key, ListenOptions, ListenerAddr, Reactor};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// More turns than any script needs before the reactor sleeps.
const TURNS_MAX: usize = 200_000;

type Handlers = Rc<RefCell<VecDeque<Box<dyn Handler<Log>>>>>;

/// Accepts each connection with the next handler of a list.
struct Reception(Handlers);

impl Accept<Log> for Reception {
    fn accept(&mut self, cx: &mut Cx<'_>) -> Box<dyn Handler<Log>> {
        let _inside = cx.state.enter();
        let next = self.0.borrow_mut().pop_front();
        next.expect("more connections than handlers")
    }

    fn on_error(&mut self, cx: &mut Cx<'_>, _: &ListenerAddr, error: &io::Error) {
        let code = error.raw_os_error();
        cx.state.add(|| match code {
            Some(EMFILE) => "listener error: no descriptors".to_owned(),
            _ => format!("listener error: {:?}", error.kind()),
        });
    }
}

/// A reactor in a scripted world, listening on [`Bench::addr`].
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) reactor: Reactor<Log>,
    pub(crate) listener: Key,
    handlers: Hidden,
}

struct Hidden(Handlers);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} handlers", self.0.borrow().len())
    }
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::built(Reactor::builder())
    }

    /// As [`new`](Bench::new), with settings.
    pub(crate) fn built(settings: Builder<Log>) -> Bench {
        let log = Log::default();
        let world = World::new(log.clone());
        let driver = Box::new(ScriptedDriver(world.clone()));
        let mut reactor = settings.build_with_driver(log, driver);
        let handlers = Handlers::default();
        let reception = Reception(Rc::clone(&handlers));
        let listener =
            reactor.with(|cx| cx.listen_with(Bench::addr(), &ListenOptions::default(), reception));
        Bench {
            world,
            reactor,
            listener: listener.expect("the address is free"),
            handlers: Hidden(handlers),
        }
    }

    pub(crate) fn addr() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 4222))
    }

    /// A peer dials; `handler` will get the connection.
    pub(crate) fn dial(&mut self, handler: impl Handler<Log> + 'static) -> Peer {
        self.handlers.0.borrow_mut().push_back(Box::new(handler));
        self.world.dial(Bench::addr())
    }

    /// A peer dials and is accepted; the log is empty again.
    pub(crate) fn client(&mut self, handler: impl Handler<Log> + 'static) -> Peer {
        let peer = self.dial(handler);
        self.settle();
        self.log();
        peer
    }

    /// These have said a little often enough to be new no more, and owe nothing; the log is empty again.
    pub(crate) fn meet(&mut self, peers: &[&Peer]) {
        for _ in 0..4 {
            for peer in peers {
                peer.send(b"x");
            }
            self.settle();
        }
        for peer in peers {
            peer.forget_received();
        }
        self.world.stall(Duration::from_secs(1));
        self.log();
    }

    pub(crate) fn with<R>(&mut self, work: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        self.reactor.with(work)
    }

    /// One turn that does not wait.
    pub(crate) fn turn(&mut self) {
        let turned = self.reactor.turn(Some(Duration::ZERO));
        turned.expect("the scripted poll never fails");
    }

    /// Turns until there is nothing to do now.
    pub(crate) fn settle(&mut self) {
        self.advance(Duration::ZERO);
    }

    /// Turns until the clock is `time` later and there is nothing to do then.
    pub(crate) fn advance(&mut self, time: Duration) {
        {
            let mut net = self.world.0.borrow_mut();
            net.limit = net.now + nanos(time);
            net.asleep = false;
        }
        for _ in 0..TURNS_MAX {
            if self.reactor.is_stopping() || self.world.0.borrow().asleep {
                return;
            }
            let turned = self.reactor.turn(None);
            turned.expect("the scripted poll never fails");
        }
        panic!("the reactor spins");
    }

    /// Turns until the reactor has stopped and ended; the clock goes as far as it must.
    pub(crate) fn run(&mut self) {
        self.world.0.borrow_mut().limit = u64::MAX;
        for _ in 0..TURNS_MAX {
            if self.reactor.is_stopping() {
                let ended = self.reactor.run();
                return ended.expect("the scripted poll never fails");
            }
            let turned = self.reactor.turn(None);
            turned.expect("the scripted poll never fails");
        }
        panic!("the reactor spins");
    }

    /// Takes what was logged, without polls and calls that had to wait.
    pub(crate) fn log(&mut self) -> Vec<String> {
        let mut lines = self.full_log();
        lines.retain(|line| !line.starts_with("poll ") && !line.ends_with(" would block"));
        lines
    }

    /// Takes all that was logged.
    pub(crate) fn full_log(&mut self) -> Vec<String> {
        self.reactor.state.0.lines.take()
    }

    /// Takes what handlers were told: without the driver's calls.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let calls = [
            "accept k",
            "connect k",
            "read k",
            "write k",
            "file k",
            "splice k",
            "end k",
            "close k",
            "receive k",
            "send k",
        ];
        let mut lines = self.log();
        lines.retain(|line| !calls.iter().any(|call| line.starts_with(call)));
        lines
    }

    /// Takes the calls that begin with `prefix`.
    pub(crate) fn calls(&mut self, prefix: &str) -> Vec<String> {
        let mut lines = self.log();
        lines.retain(|line| line.starts_with(prefix));
        lines
    }
}
