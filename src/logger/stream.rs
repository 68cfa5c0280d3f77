//! The log on standard error, which may be a pipe that nobody reads.
//!
//! A line waits for room [`PATIENCE`] at most. Then it is lost, and those behind it at once, until
//! there is room again: the broker's clients do not stand still for a reader of its log.

use std::fs::File;
use std::io::{self, IsTerminal, Stderr, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long one line waits for room. A reader that is merely slow comes back sooner.
const PATIENCE: Duration = Duration::from_millis(100);

/// What fits into a pipe that has room: the system does not cut it, and does not wait.
const PIECE_BYTES: usize = libc::PIPE_BUF;

/// Standard error, with a limit to how long it is waited for.
#[derive(Debug)]
pub(super) struct Stream {
    stderr: Stderr,
    /// A file always has room.
    is_file: bool,
    /// Whether there was no room for the last line.
    is_full: bool,
    /// Whether the last line that was begun has no end.
    is_cut: bool,
    /// Lines lost since this was last told.
    lost: u64,
}

impl Stream {
    pub(super) fn stderr() -> Stream {
        let stderr = io::stderr();
        let same = stderr.as_fd().try_clone_to_owned().map(File::from);
        let metadata = same.and_then(|file| file.metadata());
        Stream {
            is_file: metadata.is_ok_and(|metadata| metadata.is_file()),
            stderr,
            is_full: false,
            is_cut: false,
            lost: 0,
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.stderr.is_terminal()
    }

    /// How many lines were lost, once there is room again to tell.
    pub(super) fn take_lost(&mut self) -> Option<u64> {
        let tell = self.lost > 0 && self.has_room(Duration::ZERO);
        tell.then(|| std::mem::take(&mut self.lost))
    }

    /// Writes one line: in one piece, unless it is longer than what a pipe takes in one.
    pub(super) fn write(&mut self, line: &[u8]) {
        if self.is_file {
            let _ = self.stderr.write_all(line);
            return;
        }
        let mut patience = if self.is_full {
            Duration::ZERO
        } else {
            PATIENCE
        };
        if self.is_cut && self.has_room(patience) {
            self.is_cut = self.stderr.write_all(b"\n").is_err();
        }
        for (number, piece) in line.chunks(PIECE_BYTES).enumerate() {
            self.is_full = !self.has_room(patience);
            if self.is_full {
                self.lost += 1;
                self.is_cut |= number > 0;
                return;
            }
            patience = PATIENCE;
            // If the reader is gone, the line is lost and nobody misses it.
            let _ = self.stderr.write_all(piece);
        }
    }

    /// Waits until the next piece would not have to wait.
    fn has_room(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            match poll(
                &mut [PollFd::new(self.stderr.as_fd(), PollFlags::POLLOUT)],
                timeout,
            ) {
                Ok(0) => return false,
                Err(Errno::EINTR) if !left.is_zero() => {}
                Err(Errno::EINTR) => return false,
                // Room, or an error that the write will meet.
                Ok(_) | Err(_) => return true,
            }
        }
    }
}
