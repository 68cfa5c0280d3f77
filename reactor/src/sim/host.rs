//! Hosts, whatever the type of their state.

use crate::{Reactor, Time};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

/// Names a host of one simulation; `S` is the state of its reactor.
pub struct HostId<S = ()> {
    index: usize,
    state: PhantomData<fn() -> S>,
}

impl<S> HostId<S> {
    pub(super) fn new(index: usize) -> HostId<S> {
        HostId {
            index,
            state: PhantomData,
        }
    }

    pub(super) fn index(self) -> usize {
        self.index
    }
}

impl<S> Clone for HostId<S> {
    fn clone(&self) -> HostId<S> {
        *self
    }
}

impl<S> Copy for HostId<S> {}

impl<S> fmt::Debug for HostId<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostId({})", self.index)
    }
}

/// A reactor of some type.
pub(super) trait Machine: Any {
    fn turn(&mut self);
    fn deadline(&mut self) -> Option<Time>;
    fn has_work(&self) -> bool;
    fn is_stopping(&self) -> bool;
    fn connection_count(&self) -> usize;
    fn timer_count(&self) -> usize;
    /// It has stopped: its handlers learn of it.
    fn end(&mut self);
}

impl<S: 'static> Machine for Reactor<S> {
    fn turn(&mut self) {
        let turned = Reactor::turn(self, Some(std::time::Duration::ZERO));
        turned.expect("a simulated poll never fails");
    }

    fn deadline(&mut self) -> Option<Time> {
        self.next_deadline()
    }

    fn has_work(&self) -> bool {
        Reactor::has_work(self)
    }

    fn is_stopping(&self) -> bool {
        Reactor::is_stopping(self)
    }

    fn connection_count(&self) -> usize {
        self.connections()
    }

    fn timer_count(&self) -> usize {
        Reactor::timer_count(self)
    }

    fn end(&mut self) {
        let ended = self.run();
        ended.expect("it is stopping, and polls no more");
    }
}

/// One host, as the scheduler sees it.
pub(super) struct Node {
    pub(super) name: String,
    /// `None` while the host is down.
    pub(super) machine: Option<Box<dyn Machine>>,
    /// Its program has stopped of its own accord.
    pub(super) ended: bool,
    pub(super) paused_until: u64,
    /// It has left itself something to do: its next turn waits for nothing.
    pub(super) awake: bool,
    /// Turns without a cause, less those with one.
    pub(super) idle_turns: usize,
}

impl Node {
    pub(super) fn new(name: &str) -> Node {
        Node {
            name: name.to_owned(),
            machine: None,
            ended: false,
            paused_until: 0,
            awake: false,
            idle_turns: 0,
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .field("is_up", &self.machine.is_some())
            .finish_non_exhaustive()
    }
}
