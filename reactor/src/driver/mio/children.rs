//! Child processes: started, watched, and cleared away when they have ended.
//!
//! Linux gives a descriptor for a process, which becomes readable when it ends. Elsewhere, and where
//! the kernel is too old for it, `SIGCHLD` tells that some process has ended, and each one started
//! here is asked.

use crate::{Event, Key};
use mio::{Registry, Token};
use rustix::process::{Pid, Signal, kill_process};
use slab::Slab;
use std::io::{self, ErrorKind};
use std::process::{Child, Command};
use std::thread;

/// The token of the first child; far beyond any socket's.
const FIRST_TOKEN: usize = usize::MAX / 2;

#[derive(Debug)]
struct Running {
    key: Key,
    child: Child,
    /// Tells of its end, unless the signal must.
    #[cfg(target_os = "linux")]
    exit: Option<std::os::fd::OwnedFd>,
}

/// The processes started by one driver that have not ended.
#[derive(Debug, Default)]
pub(super) struct Children {
    running: Slab<Running>,
    /// Use the signal even where there is something better.
    #[cfg(test)]
    signal_only: bool,
}

impl Children {
    /// Starts a process. Answers it, and whether `SIGCHLD` is needed to learn of its end.
    pub(super) fn spawn(
        &mut self,
        key: Key,
        command: &mut Command,
        registry: &Registry,
    ) -> io::Result<(&mut Child, bool)> {
        let child = command.spawn()?;
        let entry = self.running.vacant_entry();
        let token = Token(FIRST_TOKEN + entry.key());
        #[cfg(not(target_os = "linux"))]
        let (by_signal, running) = (true, entry.insert(Running { key, child }));
        #[cfg(target_os = "linux")]
        let (by_signal, running) = {
            let exit = watch_exit(&child, registry, token);
            #[cfg(test)]
            let exit = exit.filter(|_| !self.signal_only);
            let by_signal = exit.is_none();
            (by_signal, entry.insert(Running { key, child, exit }))
        };
        let _ = (token, registry);
        Ok((&mut running.child, by_signal))
    }

    /// The descriptor of a process has become readable.
    pub(super) fn ready(&mut self, token: Token, registry: &Registry, out: &mut Vec<Event>) {
        if let Some(slot) = token.0.checked_sub(FIRST_TOKEN) {
            self.reap(slot, registry, out);
        }
    }

    /// Some process has ended.
    pub(super) fn signalled(&mut self, registry: &Registry, out: &mut Vec<Event>) {
        let slots: Vec<usize> = self.running.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.reap(slot, registry, out);
        }
    }

    /// Asks a process whether it has ended, which clears it from the system's table.
    fn reap(&mut self, slot: usize, registry: &Registry, out: &mut Vec<Event>) {
        let Some(running) = self.running.get_mut(slot) else {
            return;
        };
        let status = match running.child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => Some(status),
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            // Another part of the program has waited for it.
            Err(_) => None,
        };
        let running = self.running.remove(slot);
        #[cfg(target_os = "linux")]
        if let Some(exit) = &running.exit {
            use std::os::fd::AsRawFd;
            let _ = registry.deregister(&mut mio::unix::SourceFd(&exit.as_raw_fd()));
        }
        let _ = registry;
        let key = running.key;
        out.push(Event::Exited { key, status });
    }

    pub(super) fn kill(&self, key: Key, signal: i32) -> io::Result<()> {
        let mut running = self.running.iter().map(|(_, running)| running);
        let found = running.find(|running| running.key == key);
        let running = found.ok_or(ErrorKind::NotFound)?;
        let signal = Signal::from_named_raw(signal).ok_or(ErrorKind::InvalidInput)?;
        #[cfg(target_os = "linux")]
        if let Some(exit) = &running.exit {
            return Ok(rustix::process::pidfd_send_signal(exit, signal)?);
        }
        // A process that has not been waited for keeps its number, so this can hit no other.
        Ok(kill_process(Pid::from_child(&running.child), signal)?)
    }
}

/// A process that outlives the reactor is waited for by a thread, lest it be a zombie when it ends.
impl Drop for Children {
    fn drop(&mut self) {
        let running = std::mem::take(&mut self.running);
        let left = |(_, mut running): (usize, Running)| match running.child.try_wait() {
            Ok(None) => Some(running.child),
            _ => None,
        };
        let left: Vec<Child> = running.into_iter().filter_map(left).collect();
        if !left.is_empty() {
            let wait = move || {
                for mut child in left {
                    let _ = child.wait();
                }
            };
            // Without a thread they are zombies until this program ends.
            let _ = thread::Builder::new()
                .name("child-reaper".to_owned())
                .spawn(wait);
        }
    }
}

/// A descriptor that is readable when the process has ended, registered; `None` if there is none.
#[cfg(target_os = "linux")]
fn watch_exit(child: &Child, registry: &Registry, token: Token) -> Option<std::os::fd::OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    use std::os::fd::AsRawFd;
    let exit = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok()?;
    let mut source = mio::unix::SourceFd(&exit.as_raw_fd());
    registry
        .register(&mut source, token, mio::Interest::READABLE)
        .ok()?;
    Some(exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Close, Context, Handler, Input, MioDriver, Reactor};
    use std::process::ExitStatus;
    use std::time::Duration;

    struct Silent;

    impl Handler<Vec<Option<ExitStatus>>> for Silent {
        fn on_input(&mut self, _: &mut Context<'_, Vec<Option<ExitStatus>>>, _: &mut Input<'_>) {}

        fn on_close(&mut self, cx: &mut Context<'_, Vec<Option<ExitStatus>>>, _: &Close) {
            let status = cx.exit_status();
            cx.state.push(status);
            if cx.state.len() == 10 {
                cx.stop();
            }
        }
    }

    #[test]
    fn where_a_process_is_no_descriptor_the_signal_tells_of_every_end() {
        let mut driver = MioDriver::new().expect("a selector is free");
        driver.children.signal_only = true;
        let mut reactor = Reactor::with_driver(Vec::new(), Box::new(driver));
        reactor.with(|cx| {
            for code in 0..10 {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("exit {code}")]);
                cx.spawn(&mut command, Silent).expect("there is a shell");
            }
            cx.after(Duration::from_secs(60), |_| panic!("an end was not told"));
        });
        reactor.run().expect("polling does not fail");
        let codes = |status: &Option<ExitStatus>| status.and_then(|status| status.code());
        let mut codes: Vec<_> = reactor.state.iter().map(codes).collect();
        codes.sort_unstable();
        assert!(codes.into_iter().eq((0..10).map(Some)));
    }
}
