//! Values from other threads, with a bound on how many may wait.
//!
//! ```text
//! 0 <= values that wait <= max
//! a drain is posted, or runs, whenever a value waits
//! ```

use crate::{Context, Ended, Refused, Remote};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The sending end of a channel from any thread to a reactor. Made by [`Remote::channel`].
pub struct Sender<T, S = ()> {
    shared: Arc<Shared<T, S>>,
}

type OnValue<T, S> = Box<dyn FnMut(&mut Context<'_, S>, T) + Send>;

struct Shared<T, S> {
    values: Mutex<Values<T>>,
    /// There is room again, or never will be.
    room: Condvar,
    max: usize,
    /// Locked by the reactor's thread alone.
    on_value: Mutex<OnValue<T, S>>,
    remote: Remote<S>,
}

struct Values<T> {
    queue: VecDeque<T>,
    /// A drain is posted or runs.
    draining: bool,
    ended: bool,
}

impl<T> Values<T> {
    /// What the header says.
    #[inline]
    fn invariants(&self, max: usize) {
        let waiting = self.queue.len();
        debug_assert!(waiting <= max, "{waiting} values wait, of {max}");
        debug_assert!(self.draining || waiting == 0, "no drain is posted");
    }
}

impl<S: 'static> Remote<S> {
    /// A channel that hands each value to `on_value`, on the reactor's thread, in order of sending.
    /// At most `max` values wait, and at least one may.
    ///
    /// A value costs a lock and no allocation; many that come together are handed over in one turn,
    /// those that come meanwhile in the next.
    #[doc(alias = "EM::Channel")]
    pub fn channel<T: Send + 'static>(
        &self,
        max: usize,
        on_value: impl FnMut(&mut Context<'_, S>, T) + Send + 'static,
    ) -> Sender<T, S> {
        let values = Values {
            queue: VecDeque::new(),
            draining: false,
            ended: false,
        };
        Sender {
            shared: Arc::new(Shared {
                values: Mutex::new(values),
                room: Condvar::new(),
                max: max.max(1),
                on_value: Mutex::new(Box::new(on_value)),
                remote: self.clone(),
            }),
        }
    }
}

impl<T, S> Clone for Sender<T, S> {
    fn clone(&self) -> Self {
        Sender {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T, S> fmt::Debug for Sender<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("max", &self.shared.max)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static, S: 'static> Sender<T, S> {
    /// Sends `value`, if there is room; never waits.
    ///
    /// # Errors
    /// [`Refused`], with the value.
    #[doc(alias = "push")]
    pub fn try_send(&self, value: T) -> Result<(), Refused<T>> {
        self.put(self.shared.lock(), value)
    }

    /// Sends `value`, and waits for room. Not for handlers: on the reactor's own thread it would
    /// wait for ever.
    ///
    /// # Errors
    /// [`Ended`] if the reactor has ended, or ends meanwhile; `value` is dropped.
    pub fn send(&self, value: T) -> Result<(), Ended> {
        let has_room =
            |values: &mut Values<T>| values.ended || values.queue.len() < self.shared.max;
        let values = self.shared.lock();
        let values = self
            .shared
            .room
            .wait_while(values, |values| !has_room(values))
            .unwrap_or_else(PoisonError::into_inner);
        self.put(values, value).map_err(|_| Ended)
    }

    /// Values that wait for the reactor.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().queue.len()
    }

    fn put(&self, mut values: MutexGuard<'_, Values<T>>, value: T) -> Result<(), Refused<T>> {
        if !values.ended && values.queue.len() >= self.shared.max {
            return Err(Refused::Full(value));
        }
        if !values.draining && !values.ended {
            // A drain that cannot be posted is dropped when the lock is free: it takes it.
            let refused = Drain::post(&self.shared);
            values.draining = refused.is_ok();
            values.ended = refused.is_err();
            if refused.is_err() {
                drop(values);
                return Err(Refused::Ended(value));
            }
        }
        if values.ended {
            return Err(Refused::Ended(value));
        }
        values.queue.push_back(value);
        values.invariants(self.shared.max);
        Ok(())
    }
}

impl<T, S> Shared<T, S> {
    fn lock(&self) -> MutexGuard<'_, Values<T>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands over what waits. Whatever becomes of it, what is left has a drain of its own.
struct Drain<T: Send + 'static, S: 'static>(Arc<Shared<T, S>>);

impl<T: Send + 'static, S: 'static> Drain<T, S> {
    /// Answers the job if it cannot be posted: the reactor has ended.
    fn post(shared: &Arc<Shared<T, S>>) -> Result<(), crate::remote::Job<S>> {
        let drain = Drain(Arc::clone(shared));
        shared.remote.post_boxed(Box::new(move |cx| drain.run(cx)))
    }

    fn run(self, cx: &mut Context<'_, S>) {
        let shared = &*self.0;
        let mut on_value = shared
            .on_value
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // What comes meanwhile waits for the next turn.
        let count = shared.lock().queue.len();
        for _ in 0..count {
            let Some(value) = shared.lock().queue.pop_front() else {
                break;
            };
            shared.room.notify_one();
            on_value(cx, value);
        }
    }
}

impl<T: Send + 'static, S: 'static> Drop for Drain<T, S> {
    fn drop(&mut self) {
        let mut values = self.0.lock();
        values.draining = false;
        if self.0.remote.is_ended() {
            values.ended = true;
            let dropped = std::mem::take(&mut values.queue);
            drop(values);
            self.0.room.notify_all();
            // Outside of the lock: what a value owns may send when it is dropped.
            drop(dropped);
        } else if !values.queue.is_empty() {
            let refused = Drain::post(&self.0);
            values.draining = refused.is_ok();
            drop(values);
            // The reactor has ended in between: it is told so by this one's drop.
            drop(refused);
        }
    }
}
