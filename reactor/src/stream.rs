//! A stream: a reader whose bytes are queued for a connection, as fast as it takes them.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};

/// How to stream: see [`Io::stream`](crate::Io::stream).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamOptions {
    /// Most bytes read at one go, and so in one turn. Default 64 KiB; 128 KiB is the most.
    pub piece: usize,
    /// The next piece is read when no more bytes than this are queued. Default none: the low
    /// [mark](crate::Io::watermarks) of the connection.
    pub low: Option<usize>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        StreamOptions {
            piece: 64 * 1024,
            low: None,
        }
    }
}

/// How a stream has ended: see [`Handler::on_stream`](crate::Handler::on_stream).
#[derive(Debug)]
pub enum StreamEnd {
    /// The reader has come to its end.
    Complete {
        /// Bytes it gave, all of them queued.
        bytes: u64,
    },
    /// The reader has failed, or nothing can be sent any more (`BrokenPipe`).
    Failed {
        /// Bytes queued before that.
        bytes: u64,
        /// What the reader said.
        error: io::Error,
    },
}

/// Why a stream was not begun. The reader is dropped, and nothing else has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamError {
    /// The connection has gone, is closing, or its outgoing direction has ended.
    NotOpen,
    /// Another stream is under way there.
    Busy,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamError::NotOpen => "the connection is not open for output",
            StreamError::Busy => "a stream to the connection is under way",
        })
    }
}

impl Error for StreamError {}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> io::Error {
        let kind = match error {
            StreamError::NotOpen => ErrorKind::NotConnected,
            StreamError::Busy => ErrorKind::ResourceBusy,
        };
        io::Error::new(kind, error)
    }
}

/// What a queue is filled from.
pub(crate) struct Stream {
    reader: Reader,
    pub(crate) piece: usize,
    pub(crate) low: Option<usize>,
}

enum Reader {
    Any(Box<dyn Read>),
    /// A file whose bytes the system can send by itself.
    File(File),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("piece", &self.piece)
            .field("low", &self.low)
            .finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn new(reader: impl Read + 'static, options: &StreamOptions) -> Stream {
        Stream {
            reader: Reader::Any(Box::new(reader)),
            piece: options.piece.max(1),
            low: options.low,
        }
    }

    /// Of a file. What is none in fact, a device or a file of `/proc`, is read as any reader.
    pub(crate) fn of_file(file: File, options: &StreamOptions) -> Stream {
        let plain = file
            .metadata()
            .is_ok_and(|about| about.is_file() && about.len() > 0);
        let mut stream = Stream::new(io::empty(), options);
        stream.reader = match plain {
            true => Reader::File(file),
            false => Reader::Any(Box::new(file)),
        };
        stream
    }

    /// The file, if the system may send from it by itself.
    pub(crate) fn file(&self) -> Option<&File> {
        match &self.reader {
            Reader::File(file) => Some(file),
            Reader::Any(_) => None,
        }
    }

    /// From now on the file is read as any reader is.
    pub(crate) fn read_file(self) -> Stream {
        let reader = match self.reader {
            Reader::File(file) => Reader::Any(Box::new(file)),
            any => any,
        };
        Stream { reader, ..self }
    }

    /// Fills `buf` as far as the reader goes: how much that was, and how the reader has ended if it
    /// has.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> (usize, Option<io::Result<()>>) {
        let mut filled = 0;
        while filled < buf.len() {
            let read = match &mut self.reader {
                Reader::Any(reader) => reader.read(&mut buf[filled..]),
                Reader::File(file) => file.read(&mut buf[filled..]),
            };
            match read {
                Ok(0) => return (filled, Some(Ok(()))),
                Ok(len) => filled += len,
                // Tried again with the next piece: a loop here would have no bound.
                Err(error) if error.kind() == ErrorKind::Interrupted => break,
                Err(error) => return (filled, Some(Err(error))),
            }
        }
        (filled, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_of_small_pieces_fills_the_buffer_and_its_end_is_told_with_the_last_bytes() {
        let mut rest = &b"abcdefg"[..];
        let two_at_a_time = move |buf: &mut [u8]| {
            let len = buf.len().min(2);
            rest.read(&mut buf[..len])
        };
        let mut stream = Stream::new(Piecewise(two_at_a_time), &StreamOptions::default());
        let mut buf = [0; 5];
        assert!(matches!(stream.read(&mut buf), (5, None)));
        assert_eq!(&buf, b"abcde");
        assert!(matches!(stream.read(&mut buf), (2, Some(Ok(())))));
        assert_eq!(&buf[..2], b"fg");
    }

    struct Piecewise<F>(F);

    impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for Piecewise<F> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            (self.0)(buf)
        }
    }
}
