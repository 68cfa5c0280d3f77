//! `Sid`: a client's own name for a subscription.

use super::small_bytes::SmallBytes;
use std::fmt;

/// A client's own name for a subscription: opaque bytes, kept with the blank that follows them on
/// the wire.
///
/// Client libraries count, so nearly all are short: up to 15 bytes stand inline, and a copy
/// of them may be one of a block of a fixed size.
#[derive(Clone)]
pub struct Sid(SmallBytes<{ Sid::BLOCK_BYTES }>);

impl Sid {
    /// Bytes of a [`block`](Sid::block).
    pub const BLOCK_BYTES: usize = 16;

    /// Copies `sid`. Allocates if it has more than 15 bytes.
    pub fn new(sid: &[u8]) -> Sid {
        Sid(SmallBytes::new([sid, b" "]))
    }

    /// The name.
    pub fn as_slice(&self) -> &[u8] {
        let spaced = self.spaced();
        &spaced[..spaced.len() - 1]
    }

    /// The name and one blank.
    pub fn spaced(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// [`spaced`](Sid::spaced) and what follows it in its block, which means nothing; `None` if it
    /// is longer than a block.
    pub fn block(&self) -> Option<&[u8; Sid::BLOCK_BYTES]> {
        self.0.inline()
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_followed_by_one_blank() {
        for sid in [&b""[..], b"1", b"123456789012345", b"1234567890123456"] {
            let kept = Sid::new(sid);
            assert_eq!(kept.as_slice(), sid);
            assert_eq!(kept.spaced(), [sid, b" "].concat());
            assert_eq!(kept.block().is_some(), sid.len() <= 15, "{kept:?}");
            if let Some(block) = kept.block() {
                assert!(block.starts_with(kept.spaced()));
            }
        }
    }
}
