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

/// Appends what a whole message says; `None` if it is not compressed as it should be.
pub(crate) fn inflate(message: &[u8], plain: &mut Vec<u8>) -> Option<()> {
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
                match status.ok()? {
                    Status::StreamEnd => return Some(()),
                    _ if !is_full && (rest.is_empty() || is_stuck) => break,
                    _ => {}
                }
            }
        }
        Some(())
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
            inflate(&made[6..], &mut opened).expect("it is good");
            assert!(opened == plain);
        }
        assert_eq!(inflate(b"\xff\xff\xff\xffPING", &mut Vec::new()), None);
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
