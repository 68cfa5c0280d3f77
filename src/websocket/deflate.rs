//! permessage-deflate (RFC 7692), each message by itself: neither side keeps a context from one to the next.
//!
//! ```text
//! filled <= bytes_max, of each message
//! a portion appends no more than PORTION_BYTES
//! ```

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What a message ends with before it is compressed, and is not sent.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Most bytes that are opened at a time, a tenth of a millisecond with what is in them: what comes may say a
/// thousand times as much as it is.
pub(super) const PORTION_BYTES: usize = 64 * 1024;

/// Room made at a time for what is opened.
const STEP_BYTES: usize = 16 * 1024;

/// Why a message is not opened any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// This is not what it said to be.
    Malformed,
    /// It is longer than it may be.
    TooLong,
}

/// Whether all that came of a message is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opened {
    All,
    /// There is more in it: another call is wanted.
    Part,
}

/// What opens the messages of one connection. It takes memory while one is under way.
pub(super) struct Inflater {
    /// Most bytes of one message.
    bytes_max: usize,
    /// The message that is under way.
    message: Option<Decompress>,
    filled: usize,
    /// What came of it and was not looked at yet.
    rest: Vec<u8>,
    /// Whether that is its end.
    is_last: bool,
}

/// What came is told by its length only, since it may hold a `CONNECT`.
impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater")
            .field("filled", &self.filled)
            .field("rest_bytes", &self.rest.len())
            .finish_non_exhaustive()
    }
}

impl Inflater {
    pub(super) fn new(bytes_max: usize) -> Inflater {
        Inflater {
            bytes_max,
            message: None,
            filled: 0,
            rest: Vec::new(),
            is_last: false,
        }
    }

    /// A piece of a message has come, all before it being opened.
    pub(super) fn push(&mut self, piece: &[u8], is_last: bool) {
        debug_assert!(self.rest.is_empty());
        self.rest.extend_from_slice(piece);
        if is_last {
            self.rest.extend_from_slice(&TAIL);
        }
        self.is_last = is_last;
    }

    /// Appends what that says to `plain`, as far as a portion goes.
    pub(super) fn open(&mut self, plain: &mut Vec<u8>) -> Result<Opened, Fault> {
        if self.rest.is_empty() {
            return Ok(Opened::All);
        }
        let rest = std::mem::take(&mut self.rest);
        let message = self.message.get_or_insert_with(|| Decompress::new(false));
        let (mut at, end) = (0, plain.len() + PORTION_BYTES);
        loop {
            let start = plain.len();
            if start >= end {
                self.rest = rest[at..].to_vec();
                return Ok(Opened::Part);
            }
            let before = (message.total_in(), message.total_out());
            plain.resize(start + STEP_BYTES.min(end - start), 0);
            let status =
                message.decompress(&rest[at..], &mut plain[start..], FlushDecompress::Sync);
            let taken = (message.total_in() - before.0) as usize;
            let made = (message.total_out() - before.1) as usize;
            let is_full = made == plain.len() - start;
            plain.truncate(start + made);
            at += taken;
            self.filled += made;
            if self.filled > self.bytes_max {
                return Err(Fault::TooLong);
            }
            match status {
                Err(_) => return Err(Fault::Malformed),
                // The last block may say that it is the last; a message is over all the same when its frames are.
                Ok(Status::StreamEnd) => break,
                Ok(_) if !is_full && (at == rest.len() || taken + made == 0) => break,
                Ok(_) => {}
            }
        }
        if self.is_last {
            (self.message, self.filled) = (None, 0);
        }
        Ok(Opened::All)
    }
}

/// What makes messages. One serves all connections, since it takes some hundred KiB and keeps nothing.
pub(super) struct Deflater {
    compress: Compress,
    made: Vec<u8>,
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deflater")
    }
}

impl Default for Deflater {
    fn default() -> Deflater {
        Deflater {
            compress: Compress::new(Compression::fast(), false),
            made: Vec::new(),
        }
    }
}

impl Deflater {
    /// The message that says these pieces; `None` if it could not be made, and is to be sent as it is.
    pub(super) fn deflate<'p>(&mut self, pieces: impl Iterator<Item = &'p [u8]>) -> Option<&[u8]> {
        self.compress.reset();
        self.made.clear();
        for piece in pieces {
            self.feed(piece, FlushCompress::None)?;
        }
        self.feed(&[], FlushCompress::Sync)?;
        self.made.strip_suffix(&TAIL)
    }

    fn feed(&mut self, mut piece: &[u8], flush: FlushCompress) -> Option<()> {
        loop {
            self.made.reserve(STEP_BYTES.min(piece.len() + 64));
            let before = self.compress.total_in();
            let status = self.compress.compress_vec(piece, &mut self.made, flush);
            status.ok()?;
            piece = &piece[(self.compress.total_in() - before) as usize..];
            if piece.is_empty() && self.made.len() < self.made.capacity() {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn message(plain: &[u8]) -> Vec<u8> {
        let mut deflater = Deflater::default();
        deflater
            .deflate([plain].into_iter())
            .expect("it is made")
            .to_vec()
    }

    /// All that these pieces of a message say, and in how many portions.
    fn open(inflater: &mut Inflater, pieces: &[&[u8]]) -> Result<(Vec<u8>, usize), Fault> {
        let (mut plain, mut portions) = (Vec::new(), 0);
        for (place, piece) in pieces.iter().enumerate() {
            inflater.push(piece, place + 1 == pieces.len());
            loop {
                let before = plain.len();
                let opened = inflater.open(&mut plain)?;
                assert!(plain.len() - before <= PORTION_BYTES);
                portions += 1;
                if opened == Opened::All {
                    break;
                }
            }
        }
        Ok((plain, portions))
    }

    proptest! {
        #[test]
        fn a_message_is_opened_as_it_was_made_wherever_it_is_cut(
            plain in vec(0..4u8, 0..3000),
            times in prop_oneof![Just(1usize), Just(300)],
            cut in 1..500usize,
        ) {
            let plain = plain.repeat(times);
            let made = message(&plain);
            let mut inflater = Inflater::new(1 << 20);
            let cuts: Vec<&[u8]> = made.chunks(cut).collect();
            // Twice: nothing is left of the first.
            for _ in 0..2 {
                let (opened, _) = open(&mut inflater, &cuts).expect("it is good");
                prop_assert!(opened == plain);
                prop_assert!(inflater.message.is_none());
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_say_more_than_they_may(pieces in vec(vec(any::<u8>(), 0..100), 1..5)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let _ = open(&mut Inflater::new(1000), &pieces);
        }
    }

    #[test]
    fn a_message_that_says_very_much_comes_in_portions_and_ends_at_its_bound() {
        let made = message(&vec![0; 8 << 20]);
        assert!(made.len() < 100_000, "{}", made.len());
        let (plain, portions) = open(&mut Inflater::new(8 << 20), &[&made]).expect("it may");
        assert_eq!((plain.len(), portions >= 32), (8 << 20, true));
        let bomb = open(&mut Inflater::new((8 << 20) - 1), &[&made]);
        assert_eq!(bomb, Err(Fault::TooLong));
    }

    #[test]
    fn what_is_not_compressed_is_told() {
        let opened = open(&mut Inflater::new(1000), &[b"\xff\xff\xff\xffPING"]);
        assert_eq!(opened, Err(Fault::Malformed));
    }

    #[test]
    fn several_pieces_are_one_message() {
        let mut deflater = Deflater::default();
        let made = deflater.deflate([&b"one "[..], b"two"].into_iter());
        let made = made.expect("it is made").to_vec();
        let opened = open(&mut Inflater::new(1000), &[&made]).expect("it is good");
        assert_eq!(opened.0, b"one two");
    }
}
