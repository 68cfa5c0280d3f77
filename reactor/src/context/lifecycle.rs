//! The life of the reactor, as a handler sees it: its end, and work for each of its turns.

use super::Context;
use std::cell::Cell;
use std::fmt;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

/// Work that is done once in each turn: made by [`Context::each_turn`]. Dropping it changes nothing.
#[doc(alias = "TickLoop")]
#[derive(Clone)]
pub struct EachTurn(Rc<Cell<bool>>);

impl fmt::Debug for EachTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EachTurn")
            .field("is_stopped", &self.is_stopped())
            .finish()
    }
}

impl EachTurn {
    /// Ends it: the closure is not called again, and is dropped with the end of the turn or in the
    /// next one.
    pub fn stop(&self) {
        self.0.set(false);
    }

    /// Whether it has ended: by [`stop`](EachTurn::stop), by its own answer, by a panic, or with
    /// the reactor.
    #[doc(alias = "stopped?")]
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        !self.0.get()
    }
}

/// Tells the handles when the closure is dropped, whatever the reason.
struct Alive(Rc<Cell<bool>>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

type Work<S> = Box<dyn FnMut(&mut Context<'_, S>) -> ControlFlow<()>>;

fn once_more<S: 'static>(cx: &mut Context<'_, S>, mut work: Work<S>, alive: Alive) {
    // No turn follows the last one.
    let goes_on = |cx: &Context<'_, S>| alive.0.get() && !cx.io.is_stopping();
    if alive.0.get() && work(cx).is_continue() && goes_on(cx) {
        cx.defer(move |cx| once_more(cx, work, alive));
    }
}

impl<S> Context<'_, S> {
    /// Runs `work` once in this turn and in each that follows, with the deferred work, until it
    /// answers [`ControlFlow::Break`] or is [stopped](EachTurn::stop).
    ///
    /// The loop spins meanwhile: it polls without waiting, and one processor is busy. For work that
    /// is there in plenty, to be done in pieces between which sockets get their turn; use
    /// [`every`](Context::every) for work that comes now and then. Costs a small allocation in each
    /// turn. A simulation takes a reactor that does this for long and nothing else for one that
    /// spins by mistake, and fails.
    #[doc(alias = "tick_loop")]
    pub fn each_turn(
        &mut self,
        work: impl FnMut(&mut Context<'_, S>) -> ControlFlow<()> + 'static,
    ) -> EachTurn
    where
        S: 'static,
    {
        let alive = Rc::new(Cell::new(true));
        let handle = EachTurn(Rc::clone(&alive));
        let (work, alive): (Work<S>, _) = (Box::new(work), Alive(alive));
        self.defer(move |cx| once_more(cx, work, alive));
        handle
    }

    /// Runs `work` when the reactor has ended its last turn, before the connections that are left
    /// are told [`Close::Shutdown`](crate::Close::Shutdown): the last one given runs first.
    ///
    /// What it sends is not sent any more, and what it defers is not run. It runs once, when
    /// [`Reactor::run`](crate::Reactor::run) ends; not if the reactor is dropped without that, and
    /// not when a panic leaves `run` before the reactor was stopped.
    #[doc(alias = "add_shutdown_hook")]
    pub fn on_shutdown(&mut self, work: impl FnOnce(&mut Context<'_, S>) + 'static) {
        self.tasks.on_shutdown.push(Box::new(work));
    }

    /// Stops the reactor in good order, within `grace`: see [`Io::shutdown`](crate::Io::shutdown).
    pub fn shutdown(&mut self, grace: Duration) {
        self.io.shutdown(grace);
    }

    /// Whether the reactor has been stopped: see [`Io::is_stopping`](crate::Io::is_stopping).
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.io.is_stopping()
    }
}
