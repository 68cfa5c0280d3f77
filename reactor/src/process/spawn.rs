//! Starting, killing, and asking how it ended.

use super::{Child, SIGKILL};
use crate::core::{Conn, Core};
use crate::{Context, Handler, Io, Key, Transport};
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus, Stdio};

impl<S> Context<'_, S> {
    /// Starts a process. What it writes to its standard output is the handler's input; what is sent
    /// goes to its standard input, which [`shutdown_write`](Io::shutdown_write) closes. Its standard
    /// error is this program's own, or what `command` says, but not a pipe: see
    /// [`spawn_with_stderr`](Context::spawn_with_stderr).
    ///
    /// `command` is left with its standard input and output set to pipes. When `on_close` comes:
    /// [see the module](crate::process).
    ///
    /// Cost: this thread waits until the program has been found and begun, most often for less than
    /// a millisecond.
    ///
    /// # Errors
    /// Those of the system, with the program named: there is none of that name, no right to run it,
    /// too many processes or open files. `Unsupported` where the driver has no processes, as in a
    /// simulation.
    #[doc(alias = "EM.popen")]
    pub fn spawn(
        &mut self,
        command: &mut Command,
        handler: impl Handler<S> + 'static,
    ) -> io::Result<Key> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let (key, _) = self.start(command, handler)?;
        Ok(key)
    }

    /// As [`spawn`](Context::spawn), with the child's standard error as a second connection, of
    /// which the key is the second. Either ends without the other; the exit status and
    /// [`kill`](Io::kill) belong to the first.
    ///
    /// # Errors
    /// As [`spawn`](Context::spawn).
    pub fn spawn_with_stderr(
        &mut self,
        command: &mut Command,
        handler: impl Handler<S> + 'static,
        stderr: impl Handler<S> + 'static,
    ) -> io::Result<(Key, Key)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        let (key, errors) = self.start(command, handler)?;
        let second = self.adopt(Transport::pipes(errors, None), stderr);
        match second {
            Ok(second) => Ok((key, second)),
            Err(error) => {
                self.abandon(key);
                Err(error)
            }
        }
    }

    /// Starts a process with its input and output as a connection; answers its standard error as well.
    pub(super) fn start(
        &mut self,
        command: &mut Command,
        handler: impl Handler<S> + 'static,
    ) -> io::Result<(Key, Option<OwnedFd>)> {
        let key = self.io.core.reserve();
        let pipes = match self.io.driver.spawn(key, command) {
            Ok(pipes) => pipes,
            Err(error) => {
                self.io.core.release(key);
                let program = command.get_program().display();
                let text = format!("{program}: {error}");
                return Err(io::Error::new(error.kind(), text));
            }
        };
        let stream = Transport::pipes(pipes.stdout, pipes.stdin);
        if let Err(error) = self.take_over(key, stream, handler) {
            let _ = self.io.driver.kill(key, SIGKILL);
            return Err(error);
        }
        if let Some(conn) = self.io.core.conn_mut(key) {
            conn.child = Some(Child {
                id: pipes.id,
                running: true,
                status: None,
                awaited: false,
            });
        }
        Ok((key, pipes.stderr))
    }

    /// Ends a process that was started in vain.
    pub(super) fn abandon(&mut self, key: Key) {
        // It fails only if it has ended already.
        let _ = self.io.driver.kill(key, SIGKILL);
        self.io.close(key);
    }

    /// How this connection's process ended: see [`Io::exit_status`].
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.io.exit_status(self.key)
    }
}

impl Io<'_> {
    /// How the process of a connection made with [`Context::spawn`] ended; `None` while it runs, for
    /// other connections, and if something else in this program has taken the status.
    #[doc(alias = "get_status")]
    #[must_use]
    pub fn exit_status(&self, key: Key) -> Option<ExitStatus> {
        self.core.conn(key)?.child?.status
    }

    /// The number of a connection's process.
    #[doc(alias = "get_pid")]
    #[must_use]
    pub fn process_id(&self, key: Key) -> Option<u32> {
        Some(self.core.conn(key)?.child?.id)
    }

    /// Sends the signal with the number `signal` to a connection's process: 15 (`SIGTERM`) asks it
    /// to end, 9 (`SIGKILL`) makes it. Also after the connection was closed, while the process runs.
    /// Never hits a process that has come by the same number later.
    ///
    /// # Errors
    /// `NotFound` if it has ended; `InvalidInput` if `signal` is none; `Unsupported` where the driver
    /// has no processes.
    pub fn kill(&mut self, key: Key, signal: i32) -> io::Result<()> {
        self.driver.kill(key, signal)
    }
}

impl Core {
    /// A process has ended; if its connection waits for that, it closes now.
    pub(crate) fn note_exit(&mut self, key: Key, status: Option<ExitStatus>) {
        let Some(conn) = self.conn_mut(key) else {
            return;
        };
        let Some(child) = &mut conn.child else {
            return;
        };
        child.running = false;
        child.status = status;
        if std::mem::take(&mut child.awaited) {
            self.closing.push_back(key);
        }
    }
}

impl Conn {
    /// Ends the waiting for the process; `false` if nothing waited.
    pub(crate) fn give_up_child(&mut self) -> bool {
        let child = self.child.as_mut().filter(|child| child.awaited);
        child.is_some_and(|child| {
            (child.running, child.awaited) = (false, false);
            true
        })
    }
}
