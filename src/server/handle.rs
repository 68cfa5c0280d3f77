//! `Handle` and `Running`: a broker as other threads have it.

use crate::config::Config;

use crate::records::Stats;
use crate::server::broker::{Addrs, Broker};
use crate::server::preflight::{self, StartError};
use crate::server::stopping::shut_down;
use crate::server::{lame_duck, reload};
use crate::state::{State, Stop};
use midge_reactor::Remote;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

/// Stops a broker, from any thread.
#[derive(Clone, Debug)]
pub struct Handle(pub(super) Remote<State>);

impl Handle {
    /// Stops the broker in good order: no new clients, what is queued is sent, then all
    /// connections close. Returns at once; does nothing if it has ended already.
    pub fn shutdown(&self) {
        let _ = self.0.post(shut_down);
    }

    /// Gives the broker [new settings](Broker::reload). Returns at once.
    ///
    /// # Errors
    /// As [`Broker::reload`].
    pub fn reload(&self, config: Config) -> Result<(), StartError> {
        let config = preflight::check(config)?;
        let _ = self.0.post(|cx| {
            reload::take_over(cx, config);
        });
        Ok(())
    }

    /// Begins [lame duck mode](Broker::lame_duck), at whose end the broker stops. Returns at once.
    pub fn lame_duck(&self) {
        let _ = self.0.post(lame_duck::enter);
    }
}

/// A broker on a thread of its own. Dropping it stops the broker and waits for its end.
#[derive(Debug)]
pub struct Running {
    addrs: Addrs,
    handle: Handle,
    thread: Option<JoinHandle<io::Result<Stop>>>,
}

impl Running {
    /// The address it listens on: see [`Broker::addr`].
    ///
    /// # Panics
    /// If it listens on a Unix socket.
    pub fn addr(&self) -> SocketAddr {
        self.addrs.clients[0]
    }

    /// All addresses it listens on: see [`Broker::addrs`].
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs.clients
    }

    /// The address on which monitoring is served: see [`Broker::monitor_addr`].
    pub fn monitor_addr(&self) -> Option<SocketAddr> {
        self.addrs.monitor.first().copied()
    }

    /// The address on which clients are accepted by WebSocket: see [`Broker::websocket_addr`].
    pub fn websocket_addr(&self) -> Option<SocketAddr> {
        self.addrs.websocket.first().copied()
    }

    /// The address of one of `listeners`: see [`Broker::listener_addr`].
    pub fn listener_addr(&self, name: &str) -> Option<SocketAddr> {
        self.addrs.listener(name)
    }

    /// A handle that stops it without waiting.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What the broker has done and has; `None` if it has ended.
    ///
    /// Asks the broker's thread and waits for the answer, a turn of its loop.
    pub fn stats(&self) -> Option<Stats> {
        let (sender, answer) = mpsc::channel();
        let ask = self.handle.0.post(move |cx| {
            let _ = sender.send(cx.state.stats());
        });
        ask.ok().and_then(|()| answer.recv().ok())
    }

    /// Whether the broker has ended, by itself or because it was told to.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops the broker in good order and waits for its end.
    ///
    /// # Errors
    /// Those of [`Broker::run`].
    ///
    /// # Panics
    /// If the broker's thread has.
    pub fn shutdown(self) -> io::Result<Stop> {
        self.handle.shutdown();
        self.join()
    }

    /// Waits for the end of a broker that is about to end by itself, as in lame duck mode.
    ///
    /// # Errors
    /// As [`shutdown`](Running::shutdown), whose panics it has too.
    pub fn join(mut self) -> io::Result<Stop> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(Stop::Requested),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; a second one here would abort the process.
            let _ = thread.join();
        }
    }
}

impl Broker {
    /// Starts a broker on a thread of its own.
    ///
    /// # Errors
    /// As [`bind`](Broker::bind).
    pub fn spawn(config: Config) -> Result<Running, StartError> {
        let (sender, outcome) = mpsc::channel();
        let serve = move || match Broker::bind(config) {
            Ok(broker) => {
                // If the other end is gone, the handle is dropped, and the broker with it.
                let known = sender.send(Ok((broker.addrs.clone(), broker.handle())));
                known.map_or(Ok(Stop::Requested), |()| broker.run())
            }
            Err(error) => {
                let _ = sender.send(Err(error));
                Ok(Stop::Requested)
            }
        };
        let thread = thread::Builder::new().name("midge".to_owned());
        let thread = thread.spawn(serve).map_err(StartError::System)?;
        match outcome.recv() {
            Ok(Ok((addrs, handle))) => Ok(Running {
                addrs,
                handle,
                thread: Some(thread),
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StartError::System(io::Error::other(
                "its thread has panicked",
            ))),
        }
    }
}
