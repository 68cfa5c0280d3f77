//! `SmallBytes`: bytes that mostly are few, and then stand where they are named.

use std::fmt;

/// Bytes that do not change: at most `N` of them inline, more in a box.
///
/// Shape: a byte that tells the two apart, the length, and `N` bytes; so `N` of 22, 38 and 54 waste
/// nothing.
#[derive(Clone)]
pub(crate) enum SmallBytes<const N: usize> {
    Inline { len: u8, bytes: [u8; N] },
    Boxed(Box<[u8]>),
}

impl<const N: usize> SmallBytes<N> {
    /// Copies the pieces, one behind the other. Allocates if they are more than `N` bytes.
    pub(crate) fn new<const PIECES: usize>(pieces: [&[u8]; PIECES]) -> SmallBytes<N> {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        if len > N {
            return SmallBytes::Boxed(pieces.concat().into());
        }
        let mut bytes = [0; N];
        let mut rest = &mut bytes[..];
        for piece in pieces {
            let (start, end) = rest.split_at_mut(piece.len());
            start.copy_from_slice(piece);
            rest = end;
        }
        let len = u8::try_from(len).expect("few enough to stand inline");
        SmallBytes::Inline { len, bytes }
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            SmallBytes::Inline { len, bytes } => &bytes[..usize::from(*len)],
            SmallBytes::Boxed(bytes) => bytes,
        }
    }

    /// How many bytes.
    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// The room in which they stand, if they do so inline.
    pub(crate) fn inline(&self) -> Option<&[u8; N]> {
        match self {
            SmallBytes::Inline { bytes, .. } => Some(bytes),
            SmallBytes::Boxed(_) => None,
        }
    }
}

impl<const N: usize> fmt::Debug for SmallBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_whether_or_not_they_fit() {
        let text = b"abcdefghijklmnopqrstuvwxyz";
        for len in 0..=text.len() {
            let (start, end) = text[..len].split_at(len / 3);
            let small = SmallBytes::<22>::new([start, end]);
            assert_eq!(small.as_slice(), &text[..len]);
            assert_eq!(small.inline().is_some(), len <= 22, "{len} bytes");
        }
    }

    #[test]
    fn nothing_is_wasted() {
        assert_eq!(size_of::<SmallBytes<22>>(), 24);
        assert_eq!(size_of::<Option<SmallBytes<38>>>(), 40);
    }
}
