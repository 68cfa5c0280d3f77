//! `Promise`: a result that is not there yet.

use crate::{Context, TimerId};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// A result that will be there later, once, and those who wait for it. Clones are the same promise.
///
/// * It is settled once, with a value or an error; what comes later changes nothing.
/// * What waits is called later in the turn, never inside of the call that settles, and in the
///   order in which they began to wait. (From deferred work, `later` is the next turn.)
/// * One who begins to wait when all is settled is called as well, by the same rules.
///
/// A promise belongs to one reactor. If it is dropped unsettled, those who wait are dropped uncalled.
///
/// ```
/// # use midge_reactor::{util::Promise, Context};
/// # fn ask(cx: &mut Context<'_>) {
/// let answer: Promise<u32, &str> = Promise::new();
/// answer.then(cx, |_, answer| match answer {
///     Ok(number) => println!("{number}"),
///     Err(why) => println!("no answer: {why}"),
/// });
/// answer.succeed(cx, 42);
/// # }
/// ```
#[doc(alias = "Deferrable")]
#[doc(alias = "DefaultDeferrable")]
pub struct Promise<T, E, S = ()> {
    /// Taken out for the length of each access, in which no foreign code runs: there is nothing to
    /// be borrowed twice.
    state: Rc<Cell<State<T, E, S>>>,
}

type Then<T, E, S> = Box<dyn FnOnce(&mut Context<'_, S>, &Result<T, E>)>;

enum State<T, E, S> {
    Waiting(Vec<Then<T, E, S>>, Option<TimerId>),
    Settled(Rc<Result<T, E>>),
}

impl<T, E, S> Default for State<T, E, S> {
    fn default() -> Self {
        State::Waiting(Vec::new(), None)
    }
}

impl<T, E, S> Clone for Promise<T, E, S> {
    fn clone(&self) -> Self {
        Promise {
            state: Rc::clone(&self.state),
        }
    }
}

impl<T, E, S> Default for Promise<T, E, S> {
    fn default() -> Self {
        Promise {
            state: Rc::default(),
        }
    }
}

impl<T, E, S> fmt::Debug for Promise<T, E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("is_settled", &self.is_settled())
            .finish_non_exhaustive()
    }
}

impl<T, E, S> Promise<T, E, S> {
    /// A promise that is not settled, and that nothing waits for.
    #[must_use]
    pub fn new() -> Self {
        Promise::default()
    }

    /// Whether its result is there.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.look(|state| matches!(state, State::Settled(_)))
    }

    fn look<R>(&self, look: impl FnOnce(&mut State<T, E, S>) -> R) -> R {
        let mut state = self.state.take();
        let result = look(&mut state);
        self.state.set(state);
        result
    }
}

impl<T: 'static, E: 'static, S: 'static> Promise<T, E, S> {
    /// Calls `then` with the result, when it is there.
    #[doc(alias = "callback")]
    #[doc(alias = "errback")]
    pub fn then(
        &self,
        cx: &mut Context<'_, S>,
        then: impl FnOnce(&mut Context<'_, S>, &Result<T, E>) + 'static,
    ) {
        let mut then = Some(then);
        let settled = self.look(|state| match state {
            State::Settled(result) => Some(Rc::clone(result)),
            State::Waiting(waiting, _) => {
                waiting.extend(then.take().map(|then| Box::new(then) as Then<T, E, S>));
                None
            }
        });
        if let (Some(result), Some(then)) = (settled, then) {
            cx.defer(move |cx| then(cx, &result));
        }
    }

    /// Settles it with a value. `false` if it was settled before: `value` is dropped.
    pub fn succeed(&self, cx: &mut Context<'_, S>, value: T) -> bool {
        self.settle(cx, Ok(value))
    }

    /// Settles it with an error. `false` if it was settled before: `error` is dropped.
    pub fn fail(&self, cx: &mut Context<'_, S>, error: E) -> bool {
        self.settle(cx, Err(error))
    }

    /// Settles it. `false` if it was settled before: `result` is dropped.
    #[doc(alias = "set_deferred_status")]
    pub fn settle(&self, cx: &mut Context<'_, S>, result: Result<T, E>) -> bool {
        if self.is_settled() {
            return false;
        }
        let result = Rc::new(result);
        let before = self.state.replace(State::Settled(Rc::clone(&result)));
        if let State::Waiting(waiting, timer) = before {
            if let Some(timer) = timer {
                cx.io.cancel(timer);
            }
            for then in waiting {
                let result = Rc::clone(&result);
                cx.defer(move |cx| then(cx, &result));
            }
        }
        true
    }

    /// Settles it with `error` if nothing else has within `timeout`. Replaces the timeout set before.
    pub fn timeout(&self, cx: &mut Context<'_, S>, timeout: Duration, error: E) {
        if self.is_settled() {
            return;
        }
        let promise = self.clone();
        let armed = cx.after(timeout, move |cx| {
            promise.fail(cx, error);
        });
        self.replace_timer(cx, Some(armed));
    }

    /// Takes the timeout away.
    pub fn cancel_timeout(&self, cx: &mut Context<'_, S>) {
        self.replace_timer(cx, None);
    }

    fn replace_timer(&self, cx: &mut Context<'_, S>, armed: Option<TimerId>) {
        let before = self.look(|state| match state {
            State::Waiting(_, timer) => std::mem::replace(timer, armed),
            State::Settled(_) => None,
        });
        if let Some(before) = before {
            cx.io.cancel(before);
        }
    }
}
