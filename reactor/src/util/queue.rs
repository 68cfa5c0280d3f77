//! `Queue`: items for closures that ask for one.

use crate::Context;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

/// Items on one side, closures that each want one on the other; whichever side comes first waits.
/// First come, first served, on both sides. Clones are the same queue.
///
/// A closure is never called inside of `push` or `pop`, but later in the turn, in the order of
/// asking. (From deferred work, `later` is the next turn.)
///
/// A queue belongs to one reactor. Other threads reach it through the shared state, by
/// [`Remote::post`](crate::Remote::post), or send values by
/// [`Remote::channel`](crate::Remote::channel).
///
/// ```
/// # use midge_reactor::{util::Queue, Context};
/// # fn work(cx: &mut Context<'_>) {
/// let jobs = Queue::new(1000);
/// jobs.pop(cx, |_, job: &str| println!("{job}"));
/// jobs.push(cx, "sweep").expect("less than a thousand wait");
/// # }
/// ```
#[doc(alias = "EM::Queue")]
pub struct Queue<T, S = ()> {
    /// Taken out for the length of each access, in which no foreign code runs: there is nothing to
    /// be borrowed twice.
    sides: Rc<Cell<Sides<T, S>>>,
    items_max: usize,
}

type Pop<T, S> = Box<dyn FnOnce(&mut Context<'_, S>, T)>;

/// One side is always empty.
struct Sides<T, S> {
    items: VecDeque<T>,
    pops: VecDeque<Pop<T, S>>,
}

impl<T, S> Default for Sides<T, S> {
    fn default() -> Self {
        Sides {
            items: VecDeque::new(),
            pops: VecDeque::new(),
        }
    }
}

impl<T, S> Clone for Queue<T, S> {
    fn clone(&self) -> Self {
        Queue {
            sides: Rc::clone(&self.sides),
            items_max: self.items_max,
        }
    }
}

impl<T, S> fmt::Debug for Queue<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("items", &self.len())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl<T, S> Queue<T, S> {
    /// An empty queue in which at most `items_max` items may wait.
    #[must_use]
    pub fn new(items_max: usize) -> Self {
        Queue {
            sides: Rc::default(),
            items_max,
        }
    }

    /// Items that wait for a taker.
    #[doc(alias = "size")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.look(|sides| sides.items.len())
    }

    /// Whether no item waits.
    #[doc(alias = "empty?")]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closures that wait for an item.
    #[doc(alias = "num_waiting")]
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.look(|sides| sides.pops.len())
    }

    fn look<R>(&self, look: impl FnOnce(&mut Sides<T, S>) -> R) -> R {
        let mut sides = self.sides.take();
        let result = look(&mut sides);
        self.sides.set(sides);
        result
    }
}

impl<T: 'static, S: 'static> Queue<T, S> {
    /// Puts `item` behind those that wait, or gives it to the closure that has waited longest.
    ///
    /// # Errors
    /// The item, if as many wait as may.
    pub fn push(&self, cx: &mut Context<'_, S>, item: T) -> Result<(), T> {
        match self.look(|sides| sides.pops.pop_front()) {
            Some(pop) => cx.defer(move |cx| pop(cx, item)),
            None if self.len() >= self.items_max => return Err(item),
            None => self.look(|sides| sides.items.push_back(item)),
        }
        Ok(())
    }

    /// Calls `pop` with the item that has waited longest, or with the next one that comes.
    pub fn pop(&self, cx: &mut Context<'_, S>, pop: impl FnOnce(&mut Context<'_, S>, T) + 'static) {
        match self.look(|sides| sides.items.pop_front()) {
            Some(item) => cx.defer(move |cx| pop(cx, item)),
            None => self.look(|sides| sides.pops.push_back(Box::new(pop))),
        }
    }
}
