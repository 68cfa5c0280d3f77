//! What signals make of a broker.
//!
//! | signal | effect |
//! | --- | --- |
//! | SIGINT, SIGTERM | the end, in good order; a second one: at once |
//! | SIGUSR2 | lame duck mode, in which SIGTERM does nothing |
//! | SIGUSR1, SIGHUP | what the program has given: opening its log again, reading its configuration |

use crate::broker::Broker;
use crate::lame_duck;
use crate::state::{State, Stop};
use midge_reactor::{Context, Io};
use std::io;
use std::time::Duration;

/// How long a stopping broker waits for clients to take what is queued for them.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// The numbers of these two are the same on every Unix; those of the others are not.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGHUP: i32 = nix::libc::SIGHUP;
const SIGUSR1: i32 = nix::libc::SIGUSR1;
const SIGUSR2: i32 = nix::libc::SIGUSR2;

impl Broker {
    /// Stops in good order when SIGINT or SIGTERM comes, and at once when a second one does. SIGUSR2
    /// begins [lame duck mode](Broker::lame_duck), in which SIGTERM is ignored.
    ///
    /// # Errors
    /// Those of the system.
    pub fn stop_on_signals(&mut self) -> io::Result<()> {
        self.with(|cx| {
            let mut stopping = false;
            cx.on_signals(&[SIGINT, SIGTERM], move |cx, signal| {
                let (name, stop) = match signal {
                    SIGTERM => ("terminated", Stop::Terminated),
                    _ => ("interrupt", Stop::Interrupted),
                };
                trapped(name);
                if signal == SIGTERM && cx.state.lame_duck {
                    return;
                }
                cx.state.stop = stop;
                if std::mem::replace(&mut stopping, true) {
                    cx.stop();
                } else {
                    shut_down(&mut cx.io);
                }
            })?;
            cx.on_signals(&[SIGUSR2], |cx, _| {
                trapped("user defined signal 2");
                lame_duck::enter(cx);
            })
        })
    }

    /// Calls `reopen` when SIGUSR1 comes, which asks for the log file to be opened again.
    ///
    /// # Errors
    /// Those of the system.
    pub fn reopen_on_signal(&mut self, mut reopen: impl FnMut() + 'static) -> io::Result<()> {
        self.with(|cx| {
            cx.on_signals(&[SIGUSR1], move |_, _| {
                trapped("user defined signal 1");
                reopen();
            })
        })
    }

    /// Calls `reload` when SIGHUP comes, which asks for the configuration to be read again.
    ///
    /// # Errors
    /// Those of the system.
    pub fn reload_on_signal(
        &mut self,
        mut reload: impl FnMut(&mut Context<'_, State>) + 'static,
    ) -> io::Result<()> {
        self.with(|cx| {
            cx.on_signals(&[SIGHUP], move |cx, _| {
                trapped("hangup");
                reload(cx);
            })
        })
    }
}

/// Ends the broker in good order.
pub(crate) fn shut_down(io: &mut Io<'_>) {
    log::info!(target: "midge", "Initiating Shutdown...");
    io.shutdown(SHUTDOWN_GRACE);
}

fn trapped(name: &str) {
    log::info!(target: "midge", "Trapped \"{name}\" signal");
}
