//! Calls from one handler to another.

use super::Context;
use crate::{Handler, Key};
use std::any::{TypeId, type_name};

impl<S> Context<'_, S> {
    /// Runs `work` on the handler of `key`, which is a `T`, right after the present callback has
    /// returned: before any other connection has its turn, in the order of asking.
    ///
    /// `T` is the type that was given to the reactor: for a handler in an adapter the adapter, as
    /// [`Lines`](crate::codec::Lines)`<Chat>`. In `work`, [`key`](Context::key) is that of the
    /// called connection. A connection may call itself.
    ///
    /// Answers whether there is such a connection, with such a handler. `false` for one that has
    /// gone or is closing, or is no connection; and for one whose handler is of another type, which is a mistake of the
    /// program and is logged at `debug`. After `true` the call comes, unless the connection is told
    /// to close first. Of a connection that was made in the present callback only the existence is
    /// known yet: a handler of another type is noticed, and logged, when the call is due.
    ///
    /// Handlers that call each other without end do not stop the loop: after 64 calls the others
    /// have their turn, and the rest comes next. Allocates a box for `work`.
    #[doc(alias = "spawn")]
    #[doc(alias = "notify")]
    pub fn call<T: Handler<S> + 'static>(
        &mut self,
        key: Key,
        work: impl FnOnce(&mut T, &mut Context<'_, S>) + 'static,
    ) -> bool {
        if !self.io.core.is_open(key) {
            return false;
        }
        let handler_type = self.io.core.conn(key).and_then(|conn| conn.handler_type);
        if handler_type.is_some_and(|handler_type| handler_type != TypeId::of::<T>()) {
            log_mismatch::<T>(key);
            return false;
        }
        let call = move |handler: &mut dyn Handler<S>, cx: &mut Context<'_, S>| match handler
            .as_any()
            .downcast_mut::<T>()
        {
            Some(handler) => work(handler, cx),
            None => log_mismatch::<T>(key),
        };
        self.tasks.calls.push_back((key, Box::new(call)));
        true
    }
}

fn log_mismatch<T>(key: Key) {
    log::debug!("{key:?}: called as {}, which it is not", type_name::<T>());
}
