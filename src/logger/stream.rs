//! What lines are written to: standard error, a file, a FIFO, a terminal.
//!
//! A file is waited for. Anything else may have a reader, who may have stopped or be slow: for
//! room there lines wait as long as [`WaitBudget`] lasts, and then they are lost until there is room
//! again. The broker's clients do not stand still for a reader of its log.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::wait_budget::WaitBudget;

/// What fits into a pipe that has room: the system does not cut it, and does not wait.
const PIECE_BYTES: usize = libc::PIPE_BUF;

/// Something that is open for writing, with a limit to how long it is waited for.
#[derive(Debug)]
pub(super) struct Stream {
    out: File,
    /// A regular file always has room, or will never have.
    is_file: bool,
    /// Whether the last line that was begun has no end.
    is_cut: bool,
    wait_budget: WaitBudget,
    /// Why the last line that was lost is: what the system said, if it was not for want of room.
    fault: Option<io::Error>,
}

impl Stream {
    /// Standard error, as it is now.
    pub(super) fn stderr() -> io::Result<Stream> {
        let same = io::stderr().as_fd().try_clone_to_owned()?;
        Stream::of(same.into())
    }

    /// Opens `path` for appending. It is made, with mode 0640, if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Stream> {
        // Opened for writing alone, a FIFO would wait for a reader, for ever perhaps; and it would be
        // of no more use when that reader has gone.
        let is_fifo = fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
        let mut options = OpenOptions::new();
        options.read(is_fifo).append(true).create(true).mode(0o640);
        let out = match options.open(path) {
            // One that others alone may read must have a reader already.
            Err(error) if is_fifo && error.kind() == ErrorKind::PermissionDenied => {
                let options = options.read(false).custom_flags(libc::O_NONBLOCK);
                options.open(path)?
            }
            opened => opened?,
        };
        Stream::of(out)
    }

    fn of(out: File) -> io::Result<Stream> {
        Ok(Stream {
            is_file: out.metadata()?.is_file(),
            out,
            is_cut: false,
            wait_budget: WaitBudget::new(Instant::now()),
            fault: None,
        })
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.out.metadata()
    }

    pub(super) fn is_file(&self) -> bool {
        self.is_file
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.out.is_terminal()
    }

    /// Whether a line would not have to wait.
    pub(super) fn has_room(&self) -> bool {
        self.is_file || self.becomes_writable(Duration::ZERO)
    }

    /// Writes one line: in one piece, unless it is longer than what a pipe takes in one. Answers
    /// whether it is all there; if not, it is lost, and what is there of it ends before the next one.
    pub(super) fn write(&mut self, line: &[u8]) -> bool {
        if self.is_cut {
            self.is_cut = !self.write_all(b"\n");
        }
        !self.is_cut && self.write_all(line)
    }

    /// What the system said when the last line was lost, asked for once; `None` if there was no room for
    /// it.
    pub(super) fn take_fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }

    fn write_all(&mut self, bytes: &[u8]) -> bool {
        let mut left = bytes;
        while !left.is_empty() {
            let piece = if self.is_file {
                left
            } else {
                &left[..left.len().min(PIECE_BYTES)]
            };
            let written = if self.wait_for_room() {
                self.out.write(piece)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
            match written {
                Ok(len) if len > 0 => left = &left[len..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // No room, a full disk, a file of the greatest size, or a reader that has gone.
                failed => {
                    self.is_cut |= left.len() < bytes.len();
                    self.fault = failed
                        .err()
                        .filter(|error| error.kind() != ErrorKind::WouldBlock);
                    return false;
                }
            }
        }
        true
    }

    fn wait_for_room(&mut self) -> bool {
        if self.has_room() {
            return true;
        }
        let begun = Instant::now();
        let left = self.wait_budget.left(begun);
        let has_room = self.becomes_writable(left);
        let now = Instant::now();
        self.wait_budget.spend(now - begun, now);
        has_room
    }

    fn becomes_writable(&self, wait_max: Duration) -> bool {
        let begun = (!wait_max.is_zero()).then(Instant::now);
        loop {
            let waited = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
            let left = wait_max.saturating_sub(waited);
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            match poll(
                &mut [PollFd::new(self.out.as_fd(), PollFlags::POLLOUT)],
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::{PipeReader, Read};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// A stream into a pipe.
    pub(in super::super) fn pipe() -> (Stream, PipeReader) {
        let (reader, writer) = io::pipe().expect("a pipe");
        let out = File::from(OwnedFd::from(writer));
        (Stream::of(out).expect("a stream"), reader)
    }

    /// Writes lines until one is lost.
    pub(in super::super) fn fill(stream: &mut Stream) {
        while stream.write(&[b'x'; PIECE_BYTES]) {}
    }

    #[test]
    fn a_wait_budget_that_is_spent_does_not_come_back_with_the_first_room() {
        let (mut stream, mut reader) = pipe();
        // None comes back before that hour.
        let later = Instant::now() + Duration::from_secs(3600);
        stream.wait_budget.spend(Duration::MAX, later);
        fill(&mut stream);
        for _ in 0..100 {
            reader.read_exact(&mut [0; PIECE_BYTES]).expect("a piece");
            assert!(stream.write(&[b'y'; PIECE_BYTES]));
            assert!(!stream.write(&[b'z'; PIECE_BYTES]));
            assert_eq!(stream.wait_budget.left(later), Duration::ZERO);
        }
    }

    #[test]
    fn a_line_that_was_cut_ends_before_the_next_one() {
        let (mut stream, mut reader) = pipe();
        let mut long = vec![b'x'; 1 << 20];
        long.push(b'\n');
        assert!(!stream.write(&long));
        let mut begun = vec![0; 1 << 20];
        let len = reader.read(&mut begun).expect("the pipe is full");
        assert!(begun[..len].iter().all(|byte| *byte == b'x'));
        assert!(stream.write(b"next\n"));
        drop(stream);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("text");
        assert!(rest.ends_with("\nnext\n"), "{rest}");
    }

    #[test]
    fn a_line_that_a_full_disk_has_cut_ends_before_the_next_one() {
        // A socket takes a part of what is too much for it, and then says no, as a disk does.
        let (disk, mut reader) = UnixStream::pair().expect("sockets");
        disk.set_nonblocking(true).expect("a socket");
        let mut stream = Stream::of(File::from(OwnedFd::from(disk))).expect("a stream");
        stream.is_file = true;
        assert!(!stream.write(&vec![b'x'; 8 << 20]));
        reader.set_nonblocking(true).expect("a socket");
        let mut begun = Vec::new();
        let all = reader.read_to_end(&mut begun).expect_err("no end");
        assert_eq!(all.kind(), ErrorKind::WouldBlock);
        assert!(begun.iter().all(|byte| *byte == b'x'));
        assert!(stream.write(b"next\n"));
        drop(stream);
        // A process that another test starts may hold the socket for a moment.
        reader.set_nonblocking(false).expect("a socket");
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "\nnext\n");
    }

    #[test]
    fn a_fifo_is_opened_without_a_reader_and_is_no_file() {
        let path = std::env::temp_dir().join(format!("midge-fifo-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo runs").success());
        let mut stream = Stream::open(&path).expect("it need not wait");
        assert!(!stream.is_file());
        fill(&mut stream);
        let mut reader = File::open(&path).expect("a reader");
        reader.read_exact(&mut [0; PIECE_BYTES]).expect("a line");
        assert!(stream.write(b"heard\n"));
        fs::remove_file(&path).expect("it is there");
    }
}
