//! Running a command for its output.

use super::Gathering;
use crate::{Close, Context, Handler, Input, Key, Transport};
use std::io::{self, ErrorKind};
use std::process::{Command, Output, Stdio};

/// Most bytes of output collected from one command, of both streams together.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;

impl<S: 'static> Context<'_, S> {
    /// Runs a command that reads nothing, and calls `then` with its exit status and all that it wrote,
    /// once it has ended and both its outputs have.
    ///
    /// `then` gets an error if there is more output than [`OUTPUT_BYTES_MAX`], in which case the
    /// command is killed, or if the reactor is shut down meanwhile. It is not called if the reactor
    /// stops first.
    ///
    /// # Errors
    /// As [`spawn`](Context::spawn): the command has not begun, and `then` is not called.
    #[doc(alias = "EM.system")]
    #[doc(alias = "DeferrableChildProcess")]
    pub fn run_command(
        &mut self,
        command: &mut Command,
        then: impl FnOnce(&mut Context<'_, S>, io::Result<Output>) + 'static,
    ) -> io::Result<()> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let slot = self.tasks.commands.insert(Gathering {
            stdout: Vec::new(),
            stderr: Vec::new(),
            status: None,
            open: 2,
            keys: [Key::NONE; 2],
            error: None,
            then: Box::new(then),
        });
        let gather = |is_error| Gather { slot, is_error };
        let (key, errors) = match self.start(command, gather(false)) {
            Ok(started) => started,
            Err(error) => {
                self.tasks.commands.remove(slot);
                return Err(error);
            }
        };
        let adopted = self.adopt(Transport::pipes(errors, None), gather(true));
        let command = &mut self.tasks.commands[slot];
        match adopted {
            Ok(second) => {
                command.keys = [key, second];
                Ok(())
            }
            Err(error) => {
                // The first stream's handler still names the slot, and frees it when it closes.
                command.open = 1;
                command.then = Box::new(|_, _| {});
                self.abandon(key);
                Err(error)
            }
        }
    }
}

/// Collects one of a command's two outputs.
struct Gather {
    slot: usize,
    is_error: bool,
}

impl<S: 'static> Handler<S> for Gather {
    fn on_input(&mut self, cx: &mut Context<'_, S>, input: &mut Input<'_>) {
        let Some(command) = cx.tasks.commands.get_mut(self.slot) else {
            return;
        };
        let len = command.stdout.len() + command.stderr.len() + input.len();
        if len > OUTPUT_BYTES_MAX {
            let text = format!("more than {OUTPUT_BYTES_MAX} bytes of output");
            command.error = Some(io::Error::new(ErrorKind::FileTooLarge, text));
            let keys = command.keys;
            // It fails only if it has ended already.
            let _ = cx.io.kill(keys[0], super::SIGKILL);
            for key in keys {
                cx.io.close(key);
            }
            return;
        }
        match self.is_error {
            false => command.stdout.extend_from_slice(input.take()),
            true => command.stderr.extend_from_slice(input.take()),
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, S>, why: &Close) {
        let status = cx.exit_status();
        let Some(command) = cx.tasks.commands.get_mut(self.slot) else {
            return;
        };
        command.open -= 1;
        command.status = command.status.or(status);
        if !matches!(why, Close::Peer) && command.error.is_none() {
            command.error = Some(io::Error::other(why.to_string()));
        }
        if command.open > 0 {
            return;
        }
        let command = cx.tasks.commands.remove(self.slot);
        let output = match (command.error, command.status) {
            (Some(error), _) => Err(error),
            (None, Some(status)) => Ok(Output {
                status,
                stdout: command.stdout,
                stderr: command.stderr,
            }),
            (None, None) => Err(io::Error::other("the exit status was taken elsewhere")),
        };
        cx.defer(move |cx| (command.then)(cx, output));
    }
}
