//! Panics of handlers and closures: how the reactor stays whole, and who is told.
//!
//! Between two calls everything that is yet to be done stands in a queue, so a panic between them
//! can lose only what a step holds in its hands: the item itself and the shared read buffer. Under [`PanicPolicy::Propagate`] the one guard around a turn puts these back.

use super::Reactor;
use crate::Key;
use crate::builder::PanicPolicy;
use crate::context::{Context, PanicHook, Slot};
use crate::handler::Close;
use crate::io::Io;
use crate::layer::ROOM_BYTES;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub(super) type Payload = Box<dyn Any + Send>;

/// What is to be known when a panic comes.
pub(super) struct Panics<S> {
    /// Catch at every call, and go on.
    pub(super) caught: bool,
    pub(super) hook: Option<PanicHook<S>>,
    /// Whose handler is running.
    pub(super) inside: Key,
    /// The listener whose connections are being accepted: no edge tells of those behind a panic.
    pub(super) accepting: Key,
    /// What is being closed: taken from the list, and not yet forgotten.
    pub(super) closing: Key,
    /// A connection that was accepted and has no handler yet.
    pub(super) admitting: Option<Key>,
}

impl<S> Panics<S> {
    pub(super) fn new(policy: PanicPolicy, hook: Option<PanicHook<S>>) -> Panics<S> {
        Panics {
            caught: policy == PanicPolicy::CloseConnection,
            hook,
            inside: Key::NONE,
            accepting: Key::NONE,
            closing: Key::NONE,
            admitting: None,
        }
    }
}

/// No packet is longer than this.
const RECEIVE_BYTES: usize = 64 * 1024;

/// The read buffer that all share: room for one read, also for a layer, and for the largest packet.
pub(super) fn scratch(read_bytes: usize) -> Box<[u8]> {
    vec![0; ROOM_BYTES + read_bytes.max(RECEIVE_BYTES)].into()
}

/// Calls `work` and answers the panic that has ended it.
#[inline(never)]
pub(super) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(work))
}

/// What the panic said.
fn message_of(payload: Payload) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(payload) => {
                // Dropping a value of an unknown type might panic once more.
                std::mem::forget(payload);
                "a panic without a message".to_owned()
            }
        },
    }
}

impl<S> Reactor<S> {
    /// Runs `work`; if a panic leaves it, makes the reactor whole before the panic goes on.
    pub(super) fn guarded<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(result) => result,
            Err(payload) => {
                self.recover();
                resume_unwind(payload)
            }
        }
    }

    #[cold]
    fn recover(&mut self) {
        self.core.stats.panics += 1;
        self.install();
        if self.scratch.is_empty() {
            self.scratch = scratch(self.read_bytes);
        }
        let now = self.core.now;
        self.core.end_slice(0, now);
        self.core.turn.end_slices(now);
        if let Some(key) = self.panics.admitting.take() {
            self.forget(key);
        }
        let listener = std::mem::replace(&mut self.panics.accepting, Key::NONE);
        self.core.enqueue(listener);
        let owner = std::mem::replace(&mut self.panics.inside, Key::NONE);
        self.abandon(owner, String::new());
        // What was being closed has had its last call, whatever panicked in it.
        let closing = std::mem::replace(&mut self.panics.closing, Key::NONE);
        self.close_again(closing);
    }

    fn close_again(&mut self, key: Key) {
        self.abandon(key, String::new());
        if let Some(conn) = self.core.conn_mut(key) {
            conn.why = Some(Close::Panicked(String::new()));
        } else if self.core.udp(key).is_none() && self.core.watching(key).is_none() {
            return;
        }
        if !self.core.closing.contains(&key) {
            self.core.closing.push_back(key);
        }
    }

    /// The handler of `owner` has panicked: drops it and closes its connection. An acceptor stays.
    pub(super) fn abandon(&mut self, owner: Key, message: String) {
        let Some(place) = self.slots.get_mut(owner.index()) else {
            return;
        };
        if let Some(Slot::Listener(_)) = place {
            return;
        }
        let Some(handler) = place.take() else {
            return;
        };
        self.core.close(owner, Close::Panicked(message));
        if let Err(payload) = caught(|| drop(handler)) {
            let message = message_of(payload);
            log::error!("{owner:?}: dropping the handler panicked again: {message}");
        }
    }

    /// Drops a handler whose connection is over.
    pub(super) fn drop_handler(&mut self, key: Key, handler: Slot<S>) {
        if !self.panics.caught {
            return drop(handler);
        }
        if let Err(payload) = caught(|| drop(handler)) {
            self.panicked(key, payload);
        }
    }

    /// Calls `work`, which belongs to no connection; what it made is in place even after a panic.
    pub(super) fn attempt<R>(
        &mut self,
        work: impl FnOnce(&mut Context<'_, S>) -> R,
    ) -> Result<R, Payload> {
        self.core.begin_call();
        self.record(Key::NONE, "closure");
        let mut cx = Context {
            state: &mut self.state,
            io: Io {
                core: &mut self.core,
                driver: &mut *self.driver,
            },
            key: Key::NONE,
            tasks: &mut self.tasks,
        };
        let result = caught(|| work(&mut cx));
        self.install();
        result
    }

    /// As [`attempt`](Self::attempt), with what the policy says done about a panic.
    pub(super) fn run_work(&mut self, work: impl FnOnce(&mut Context<'_, S>)) {
        if let Err(payload) = self.attempt(work) {
            self.panicked(Key::NONE, payload);
        }
        self.after_callback();
    }

    /// A handler of `key`, or a closure, has panicked: the panic goes on, or the hook is told.
    #[cold]
    pub(super) fn panicked(&mut self, key: Key, payload: Payload) {
        if !self.panics.caught {
            resume_unwind(payload);
        }
        self.tell_hook(key, &message_of(payload));
    }

    /// A handler has panicked under [`PanicPolicy::CloseConnection`].
    #[cold]
    pub(super) fn handler_panicked(&mut self, owner: Key, key: Key, payload: Payload) {
        let message = message_of(payload);
        self.abandon(owner, message.clone());
        self.tell_hook(key, &message);
    }

    fn tell_hook(&mut self, key: Key, message: &str) {
        self.core.stats.panics += 1;
        let Some(mut hook) = self.panics.hook.take() else {
            log::error!("{key:?}: a handler panicked: {message}");
            return;
        };
        let told = self.attempt(|cx| hook(cx, key, message));
        self.panics.hook = Some(hook);
        if let Err(payload) = told {
            let again = message_of(payload);
            log::error!("{key:?}: a handler panicked: {message}; so did the hook: {again}");
        }
    }
}
