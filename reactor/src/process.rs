//! Child processes: their standard streams are a connection, their exit is told, none is waited for.
//!
//! ```
//! use midge_reactor::{Close, Context, Handler, Input, run};
//! use std::process::Command;
//!
//! /// Counts the lines of what a child says.
//! struct Lines(usize);
//!
//! impl Handler for Lines {
//!     fn on_input(&mut self, _: &mut Context<'_>, input: &mut Input<'_>) {
//!         self.0 += input.take().iter().filter(|byte| **byte == b'\n').count();
//!     }
//!
//!     fn on_close(&mut self, cx: &mut Context<'_>, _: &Close) {
//!         assert_eq!(self.0, 3);
//!         assert!(cx.exit_status().expect("it has ended").success());
//!         cx.stop();
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     run(|cx| {
//!         let child = cx.spawn(Command::new("sort").arg("-r"), Lines(0))?;
//!         cx.io.send(child, b"a\nb\nc\n");
//!         cx.io.shutdown_write(child);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # When the end is told
//!
//! A child ends twice: its output ends, and the process does. `on_eof` tells of the first. `on_close`
//! comes when both have happened, so that [`exit_status`](crate::Context::exit_status) is always there
//! for a child that was left to end by itself. Between the two, the child's standard input is closed
//! (unless `on_eof` has answered [`Eof::KeepOpen`](crate::Eof::KeepOpen)) and timers of the connection
//! do not fire; [`Io::close`](crate::Io::close) ends the waiting.
//!
//! A connection that this program closes itself, by `close`, a timeout or a stop, closes at once,
//! and there is a status only if the child has ended before. The child is not killed by that, though
//! most end when what they write has no reader: see [`Io::kill`](crate::Io::kill). It is never waited
//! for, and when it ends its entry in the system's table of processes is cleared.
//!
//! A process to which the child has passed on its output, as a shell does with `&`, holds the output
//! open beyond the child's end.

use crate::{Context, Key};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Output};

pub use command::OUTPUT_BYTES_MAX;

mod command;
mod spawn;

/// The signal that cannot be ignored.
const SIGKILL: i32 = 9;

/// A process as its connection knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    pub(crate) id: u32,
    /// It has not ended yet, as far as is known.
    pub(crate) running: bool,
    pub(crate) status: Option<ExitStatus>,
    /// Its output has ended, and the connection's end waits for its own.
    pub(crate) awaited: bool,
}

/// A process just started: its number, and the ends of its pipes that are ours. A stream that is no
/// pipe is `None`.
#[derive(Debug)]
#[non_exhaustive]
pub struct ChildPipes {
    /// The process's number.
    pub id: u32,
    /// What it reads from.
    pub stdin: Option<OwnedFd>,
    /// What it writes to.
    pub stdout: Option<OwnedFd>,
    /// What it complains to.
    pub stderr: Option<OwnedFd>,
}

impl ChildPipes {
    /// Takes the pipes of a child, which then has none.
    #[must_use]
    pub fn of(child: &mut std::process::Child) -> ChildPipes {
        ChildPipes {
            id: child.id(),
            stdin: child.stdin.take().map(OwnedFd::from),
            stdout: child.stdout.take().map(OwnedFd::from),
            stderr: child.stderr.take().map(OwnedFd::from),
        }
    }
}

type Then<S> = Box<dyn FnOnce(&mut Context<'_, S>, io::Result<Output>)>;

/// A command whose output is being collected.
pub(crate) struct Gathering<S> {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: Option<ExitStatus>,
    /// Streams that have not ended.
    open: usize,
    /// The connection of its output, and that of its errors.
    keys: [Key; 2],
    error: Option<io::Error>,
    then: Then<S>,
}

impl<S> fmt::Debug for Gathering<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering")
            .field("stdout", &self.stdout.len())
            .field("stderr", &self.stderr.len())
            .finish_non_exhaustive()
    }
}
