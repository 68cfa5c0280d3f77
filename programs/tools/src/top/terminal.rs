//! The screen, and keys as they are pressed.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use terminal_size::terminal_size;

use super::page::Size;

/// What the user wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    Quit,
    NextColumn,
    /// A new sample, now.
    Other,
}

/// A terminal whose other screen is ours. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    /// How keys were read before; `None` where there are no keys.
    before: Option<Termios>,
}

impl Terminal {
    pub(super) fn open() -> io::Result<Terminal> {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut keys = before.clone();
            // Ctrl-C as well is a key, so that the screen is given back.
            let line = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
            keys.local_flags.remove(line);
            tcsetattr(io::stdin(), SetArg::TCSANOW, &keys)?;
        }
        let terminal = Terminal { before };
        // The other screen, without a cursor.
        write("\x1b[?1049h\x1b[?25l")?;
        Ok(terminal)
    }

    pub(super) fn size(&self) -> Size {
        let (columns, lines) =
            terminal_size().map_or((80, 24), |(width, height)| (width.0, height.0));
        Size {
            columns: columns.into(),
            lines: lines.into(),
        }
    }

    /// Replaces what is there. Each line is cleared as it is written, so that nothing flickers.
    pub(super) fn show(&mut self, text: &str) -> io::Result<()> {
        let text = text.replace('\n', "\x1b[K\r\n");
        write(&format!("\x1b[H{text}\x1b[J"))
    }

    /// Waits for a key, so long.
    pub(super) fn key(&mut self, timeout: Duration) -> io::Result<Option<Key>> {
        if self.before.is_none() {
            std::thread::sleep(timeout);
            return Ok(None);
        }
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        let stdin = io::stdin();
        match poll(
            &mut [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)],
            timeout,
        ) {
            // A signal, of a window that has changed its size perhaps.
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut byte = [0];
        let key = match stdin.lock().read(&mut byte)? {
            0 => Key::Quit,
            _ => match byte[0] {
                b'q' | b'Q' | 0x03 | 0x04 => Key::Quit,
                b's' | b'S' => Key::NextColumn,
                _ => Key::Other,
            },
        };
        Ok(Some(key))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If it is gone, so is the need.
        let _ = write("\x1b[?25h\x1b[?1049l");
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
