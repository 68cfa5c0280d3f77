//! Watched descriptors: told, asked whether there is more, told again.

use super::Reactor;
use crate::context::{Context, Slot};
use crate::{Again, Key, Watch};

impl<S> Reactor<S> {
    pub(super) fn watch_is_ready(&mut self, key: Key) {
        let Some(watching) = self.core.watching_mut(key) else {
            return;
        };
        let now = watching.ready & watching.wanted;
        if now.is_none() || watching.closing {
            return;
        }
        let answer = self.call_watch(key, "on_ready", |watch, cx| watch.on_ready(cx, now));
        let Some(watching) = self.core.watching_mut(key) else {
            return;
        };
        if answer == Some(Again::No) {
            watching.ready = watching.ready - now;
        }
        if !(watching.ready & watching.wanted).is_none() {
            self.core.enqueue(key);
        }
    }

    /// Calls a watch's handler.
    pub(super) fn call_watch<R>(
        &mut self,
        key: Key,
        name: &'static str,
        f: impl FnOnce(&mut dyn Watch<S>, &mut Context<'_, S>) -> R,
    ) -> Option<R> {
        self.core.watching(key)?;
        self.enter(key, key, name, |slot, cx| match slot {
            Slot::Watch(watch) => Some(f(&mut **watch, cx)),
            _ => None,
        })
    }
}
