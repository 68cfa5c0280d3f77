//! Work for other threads: from the call that hands it over to the closure that gets its result.
//!
//! ```text
//! the reactor's thread                      a thread of the pool
//!
//! offload(work, then) ───── OffloadJob ───▶ work()
//!    `then` waits here, under a ticket        │
//! then(cx, result) ◀── a posted job ── Answer ┘
//! ```
//!
//! Only `work`, its result and a ticket cross; `then` and the shared state stay where they are, and
//! so need not be `Send`. A ticket is used once: one that comes late finds nothing.

use crate::{Context, Remote};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Threads that work at once, unless a reactor is told otherwise.
pub(crate) const THREADS: usize = 4;

/// Jobs that may wait for a thread, unless a reactor is told otherwise. More than any burst of
/// lookups; what waits behind these is not worth waiting for.
pub(crate) const WAITING_MAX: usize = 1024;

/// Why work on another thread has no result: it has panicked, and with what message.
///
/// The program's panic hook has run by then, as for every panic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Panic {
    message: String,
}

impl Panic {
    /// What the panic said; a remark in its place where it said nothing that is text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    fn of(payload: &(dyn Any + Send)) -> Panic {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Panic {
            message: text.unwrap_or("a panic without a text").to_owned(),
        }
    }

    pub(crate) fn of_dropped_job() -> Panic {
        Panic {
            message: "the job was dropped before it had run".to_owned(),
        }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl std::error::Error for Panic {}

/// One piece of work for another thread, as a [`Driver`](crate::Driver) gets it.
///
/// Dropped without having been run, it tells the reactor so: what waits for it gets an error.
pub struct OffloadJob(Box<dyn FnOnce() + Send>);

impl OffloadJob {
    /// A job that runs `work`, which must not panic.
    pub fn new(work: impl FnOnce() + Send + 'static) -> OffloadJob {
        OffloadJob(Box::new(work))
    }

    /// Does the work, on the thread that calls, and tells the reactor. Blocks for as long as the
    /// work does. Does not panic where a reactor has made the job. Does nothing if the reactor has
    /// ended meanwhile.
    pub fn run(self) {
        (self.0)();
    }
}

impl fmt::Debug for OffloadJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffloadJob").finish_non_exhaustive()
    }
}

/// A question's one answer, to be given from any thread.
///
/// Dropped without having been given, it tells the reactor so: what waits gets an error.
pub struct Answer<T> {
    slot: Slot<T>,
    ticket: u64,
    home: Box<dyn Home>,
}

impl<T> Answer<T> {
    /// Gives the answer; what waits for it is called in the reactor's next turn.
    pub fn give(self, value: T) {
        *self.slot.lock() = Some(value);
    }

    /// Whether anybody can still be told: the reactor has not ended.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.home.is_running()
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.home.settle(self.ticket);
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

/// Where a result lies between the thread that made it and the one that wants it.
pub(crate) struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Slot<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Slot<T> {
        Slot(Arc::clone(&self.0))
    }
}

/// The reactor that asked, whatever the type of its state.
trait Home: Send + Sync {
    fn is_running(&self) -> bool;
    fn settle(&self, ticket: u64);
}

impl<S: 'static> Home for Remote<S> {
    fn is_running(&self) -> bool {
        !self.is_ended()
    }

    fn settle(&self, ticket: u64) {
        // A reactor that has ended has dropped all that waited.
        let _ = self.post(move |cx| {
            if let Some(then) = cx.tasks.offloads.take(ticket) {
                then(cx);
            }
        });
    }
}

/// What becomes of `work`: a panic is caught, whose hook has run.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    // Whatever `work` owned goes with it; nothing half done is seen again.
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panic::of(&*payload))
}

type Then<S> = Box<dyn FnOnce(&mut Context<'_, S>)>;

/// Who waits for results, and how much may be asked.
pub(crate) struct Offloads<S> {
    waiting: BTreeMap<u64, Then<S>>,
    tickets: u64,
    /// At least 1.
    threads: usize,
    pub(crate) waiting_max: usize,
}

impl<S> Offloads<S> {
    pub(crate) fn new(threads: usize, waiting_max: usize) -> Offloads<S> {
        Offloads {
            waiting: BTreeMap::new(),
            tickets: 0,
            threads: threads.max(1),
            waiting_max,
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    pub(crate) fn set_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }

    /// Jobs whose closures have not been called yet.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether one more job may be handed over.
    pub(crate) fn admit(&self) -> io::Result<()> {
        let max = self.threads.saturating_add(self.waiting_max);
        if self.waiting.len() < max {
            return Ok(());
        }
        let text = format!(
            "{} jobs wait for {} threads already",
            self.waiting.len(),
            self.threads
        );
        Err(io::Error::new(io::ErrorKind::QuotaExceeded, text))
    }

    pub(crate) fn take(&mut self, ticket: u64) -> Option<Then<S>> {
        self.waiting.remove(&ticket)
    }

    /// The reactor has ended: nothing waits any longer.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }
}

impl<S: 'static> Context<'_, S> {
    /// Keeps `then` until an answer has been given or dropped; `None` stands for the latter.
    /// Answers the answer to be given, its ticket and its slot.
    pub(crate) fn await_answer<T: Send + 'static>(
        &mut self,
        then: impl FnOnce(&mut Context<'_, S>, Option<T>) + 'static,
    ) -> (Answer<T>, u64, Slot<T>) {
        let slot = Slot(Arc::default());
        let offloads = &mut self.tasks.offloads;
        offloads.tickets += 1;
        let ticket = offloads.tickets;
        let given = slot.clone();
        let then = move |cx: &mut Context<'_, S>| {
            let value = given.lock().take();
            then(cx, value);
        };
        offloads.waiting.insert(ticket, Box::new(then));
        let answer = Answer {
            slot: slot.clone(),
            ticket,
            home: Box::new(self.tasks.remote.clone()),
        };
        (answer, ticket, slot)
    }
}
