//! Bytes from one socket to another by way of a pipe, within the kernel.

use crate::Spliced;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};

/// What the pipe is to hold. Where the system allows less, less goes at once.
const PIPE_BYTES: usize = 256 * 1024;

/// One pipe for all relays of a driver: it is empty between two calls, so that what is on its way is
/// in a socket or in a queue, and a relay that stands still holds no descriptor.
#[derive(Debug, Default)]
pub(super) struct Splicer {
    pipe: Option<Pipe>,
}

#[derive(Debug)]
struct Pipe {
    output: OwnedFd,
    input: OwnedFd,
}

impl Pipe {
    fn new() -> io::Result<Pipe> {
        let (output, input) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // It has some size.
        let _ = fcntl_setpipe_size(&input, PIPE_BYTES);
        Ok(Pipe { output, input })
    }
}

impl Splicer {
    pub(super) fn splice(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        max: usize,
        rest: &mut [u8],
    ) -> io::Result<Spliced> {
        let pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            // No descriptor is left: bytes can be copied as well.
            None => Pipe::new().map_err(|_| ErrorKind::Unsupported)?,
        };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let mut done = Spliced::default();
        while done.moved < max {
            let wanted = rest.len().min(max - done.moved);
            let taken = match splice(from, None, &pipe.input, None, wanted, flags) {
                Ok(taken) => taken,
                // The next call will tell again.
                Err(_) if done.moved > 0 => break,
                Err(error) => {
                    self.pipe = Some(pipe);
                    return Err(match error {
                        Errno::INVAL => ErrorKind::Unsupported.into(),
                        error => error.into(),
                    });
                }
            };
            if taken == 0 {
                break;
            }
            let mut left = taken;
            while left > 0 {
                match splice(&pipe.output, None, to, None, left, flags) {
                    Ok(0) => break,
                    Ok(moved) => left -= moved,
                    Err(Errno::INTR) => {}
                    Err(_) => break,
                }
            }
            done.moved += taken - left;
            if left > 0 {
                read_all(&pipe, &mut rest[..left])?;
                done.left = left;
                break;
            }
        }
        self.pipe = Some(pipe);
        Ok(done)
    }
}

/// Takes out of the pipe what is in it. If that failed, the pipe would be closed and not be used again.
fn read_all(pipe: &Pipe, rest: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < rest.len() {
        match rustix::io::read(&pipe.output, &mut rest[filled..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => filled += len,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
