//! permessage-deflate (RFC 7692) as a client has it, each message by itself: neither side keeps a context.
//!
//! What makes and what opens messages takes some hundred KiB and keeps nothing from one to the next: one of each serves
//! all connections of a thread.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What a client offers.
pub(crate) const OFFER: &str =
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover";

/// What a message ends with before it is compressed, and is not sent.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Room made at a time.
const STEP_BYTES: usize = 64 * 1024;

thread_local! {
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// Whether an answer to the [`OFFER`] grants it: both sides without a context.
pub(crate) fn is_granted(extensions: &str) -> bool {
    let all: Vec<&str> = extensions.split(';').map(str::trim).collect();
    all.first() == Some(&"permessage-deflate")
        && ["client_no_context_takeover", "server_no_context_takeover"]
            .iter()
            .all(|word| all.contains(word))
}

/// Appends the message that says these pieces; `None` if it could not be made, and `out` is as before.
pub(crate) fn deflate<'p>(pieces: impl Iterator<Item = &'p [u8]>, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let made = COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        for piece in pieces {
            feed(compress, piece, FlushCompress::None, out)?;
        }
        feed(compress, &[], FlushCompress::Sync, out)
    });
    if made.is_none() || !out[start..].ends_with(&TAIL) {
        out.truncate(start);
        return None;
    }
    out.truncate(out.len() - TAIL.len());
    Some(())
}

fn feed(
    compress: &mut Compress,
    mut piece: &[u8],
    flush: FlushCompress,
    out: &mut Vec<u8>,
) -> Option<()> {
    loop {
        out.reserve(STEP_BYTES.min(piece.len() + 64));
        let before = compress.total_in();
        compress.compress_vec(piece, out, flush).ok()?;
        piece = &piece[(compress.total_in() - before) as usize..];
        if piece.is_empty() && out.len() < out.capacity() {
            return Some(());
        }
    }
}

/// Why a message cannot be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// It is not compressed as it should be.
    Malformed,
    /// It says more than it may.
    TooLong,
}

/// Appends what a whole message says, which may be `max` bytes. What was opened of one that is wrong is appended too.
pub(crate) fn inflate(message: &[u8], max: usize, plain: &mut Vec<u8>) -> Result<(), Fault> {
    let start = plain.len();
    DECOMPRESS.with_borrow_mut(|decompress| {
        decompress.reset(false);
        for part in [message, &TAIL] {
            let mut rest = part;
            loop {
                plain.reserve(STEP_BYTES);
                let before = (decompress.total_in(), plain.len());
                let status = decompress.decompress_vec(rest, plain, FlushDecompress::Sync);
                rest = &rest[(decompress.total_in() - before.0) as usize..];
                let is_full = plain.len() == plain.capacity();
                let is_stuck = decompress.total_in() == before.0 && plain.len() == before.1;
                if plain.len() - start > max {
                    return Err(Fault::TooLong);
                }
                match status.map_err(|_| Fault::Malformed)? {
                    // Behind a final block stands the beginning of an empty one, if anything, so that the tail fits.
                    Status::StreamEnd if matches!(rest, [] | [0]) => return Ok(()),
                    Status::StreamEnd => return Err(Fault::Malformed),
                    _ if !is_full && (rest.is_empty() || is_stuck) => break,
                    _ => {}
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_opened_as_it_was_made() {
        let long = b"MSG a 1 16\r\n0123456789abcdef\r\n".repeat(10_000);
        for plain in [&b"PING\r\n"[..], b"", &long, &[0; 1 << 20]] {
            let mut made = b"before".to_vec();
            let pieces = plain.chunks(1000);
            deflate(pieces, &mut made).expect("it is made");
            let mut opened = Vec::new();
            inflate(&made[6..], plain.len(), &mut opened).expect("it is good");
            assert!(opened == plain);
        }
        let opened = inflate(b"\xff\xff\xff\xffPING", 1000, &mut Vec::new());
        assert_eq!(opened, Err(Fault::Malformed));
    }

    #[test]
    fn a_message_says_as_much_as_it_may_and_a_little_makes_no_more_than_that() {
        let mut made = Vec::new();
        let pieces = std::iter::repeat_n(&[0; 1 << 16][..], 1 << 10);
        deflate(pieces, &mut made).expect("it is made");
        let mut opened = b"before".to_vec();
        let bomb = inflate(&made, 1 << 20, &mut opened);
        assert_eq!(bomb, Err(Fault::TooLong));
        assert!(opened.len() < 4 << 20, "{} bytes", opened.len());
    }

    #[test]
    fn behind_a_final_block_stands_nothing_but_the_beginning_of_an_empty_one() {
        // "Hello" in one final block, as in RFC 7692, 7.2.3.4.
        let hello = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
        for (behind, expected) in [
            (&b"\0"[..], Ok(())),
            (b"", Ok(())),
            (b"\x01", Err(Fault::Malformed)),
            (b"\0\0", Err(Fault::Malformed)),
            (hello, Err(Fault::Malformed)),
        ] {
            let mut opened = Vec::new();
            let answer = inflate(&[&hello[..], behind].concat(), 5, &mut opened);
            assert_eq!((answer, &*opened), (expected, &b"Hello"[..]), "{behind:?}");
        }
    }

    #[test]
    fn an_answer_grants_it_where_no_side_keeps_a_context() {
        for (answer, is) in [
            (OFFER, true),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                true,
            ),
            ("permessage-deflate;server_no_context_takeover", false),
            ("permessage-deflate", false),
            ("", false),
        ] {
            assert_eq!(is_granted(answer), is, "{answer}");
        }
    }
}
