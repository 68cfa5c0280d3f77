//! Sockets in memory and a clock that moves when told: the reactor over something that is not mio.
//!
//! Readiness is edge-triggered without mercy: an event comes when something changes after a call has
//! answered `WouldBlock`, once, and never again because something is still there. All that the loop
//! asks of the driver and all that it tells handlers goes to one [`Log`], in order.

use midge_reactor::Context;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

mod world;

mod driver;
mod peer;

mod datagrams;
mod probe;

mod bench;

pub(crate) use bench::Bench;
pub(crate) use datagrams::Catcher;
pub(crate) use peer::Peer;
pub(crate) use probe::Probe;
pub(crate) use world::{Outcome, World};

/// Too many open files, as the system numbers it.
const EMFILE: i32 = 24;

/// What happened, a line each. The shared state of every scripted reactor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Rc<Pages>);

#[derive(Debug, Default)]
struct Pages {
    lines: RefCell<Vec<String>>,
    quiet: Cell<bool>,
    inside: Cell<bool>,
}

impl Log {
    pub(crate) fn add(&self, line: impl FnOnce() -> String) {
        if !self.0.quiet.get() {
            self.0.lines.borrow_mut().push(line());
        }
    }

    /// Records nothing from now on.
    pub(crate) fn quiet(&self) {
        self.0.quiet.set(true);
    }

    /// A handler is being called; no other may be.
    fn enter(&self) -> Inside {
        assert!(!self.0.inside.replace(true), "a handler was re-entered");
        Inside(self.clone())
    }
}

struct Inside(Log);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.inside.set(false);
    }
}

pub(crate) type Cx<'a> = Context<'a, Log>;
