//! A reactor on a thread of its own.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use midge_reactor::{Context, Key, Reactor, Remote};

use super::board::Board;

/// What the handlers of one load thread share.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) board: Arc<Board>,
    /// The connections of this thread.
    pub(crate) keys: Vec<Key>,
}

/// A load thread.
#[derive(Debug)]
pub(crate) struct Thread {
    remote: Remote<Shard>,
    join: Option<JoinHandle<io::Result<()>>>,
}

impl Thread {
    /// Starts a thread whose reactor begins with `setup`.
    ///
    /// # Errors
    /// Those of the system: no more threads or files.
    pub(crate) fn spawn(
        name: &str,
        board: Arc<Board>,
        setup: impl FnOnce(&mut Context<'_, Shard>) + Send + 'static,
    ) -> io::Result<Thread> {
        let (sender, receiver) = mpsc::channel();
        let keys = Vec::new();
        let join = thread::Builder::new().name(name.into()).spawn(move || {
            let mut reactor = match Reactor::new(Shard { board, keys }) {
                Ok(reactor) => reactor,
                Err(error) => {
                    let _ = sender.send(Err(error));
                    return Ok(());
                }
            };
            let _ = sender.send(Ok(reactor.remote()));
            reactor.with(setup);
            reactor.run()
        })?;
        let gone = || Err(io::Error::other("a load thread ended at its start"));
        let remote = receiver.recv().unwrap_or_else(|_| gone())?;
        Ok(Thread {
            remote,
            join: Some(join),
        })
    }

    /// Calls `on_timer` of every connection of this thread with this number.
    pub(crate) fn command(&self, number: u64) {
        // A reactor that has ended has failed, and has told why.
        let _ = self.remote.post(move |cx| {
            for key in &cx.state.keys {
                cx.io.set_timer(*key, Duration::ZERO, number);
            }
        });
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let _ = self.remote.stop();
        if let Some(join) = self.join.take() {
            let _ = join.join();
        }
    }
}
