//! `LengthPrefixed`: units behind their length.
//!
//! ```text
//! [ length: 1, 2 or 4 bytes, big-endian, or a varint ] [ unit ] [ length ] [ unit ] ...
//! ```

use super::{FrameError, each_unit};
use crate::{Close, Context, Eof, Handler, Input, Io, Key, ProxyEnd, StreamEnd};

/// Longest unit, in bytes, unless another bound is set.
pub const UNIT_BYTES_MAX: usize = 1024 * 1024;

/// Most bytes of a varint: ten times seven bits are more than 64.
const VARINT_BYTES_MAX: usize = 10;

/// How the length of a unit is written in front of it. It counts the unit's bytes, not its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Prefix {
    /// One byte.
    U8,
    /// Two bytes, big-endian.
    U16,
    /// Four bytes, big-endian.
    U32,
    /// One to ten bytes of seven bits each, the lowest first; all but the last have the high bit
    /// set (unsigned LEB128, as in Protocol Buffers).
    Varint,
}

impl Prefix {
    /// Queues `unit` for the connection `key`, behind its length.
    ///
    /// Answers `false`, and queues nothing, where [`Io::send`] does, and for a unit whose length
    /// cannot be written so. Copies the unit once and allocates as little as `send`.
    #[doc(alias = "send_object")]
    pub fn send(self, io: &mut Io<'_>, key: Key, unit: &[u8]) -> bool {
        let mut bytes = [0; VARINT_BYTES_MAX];
        let Some(prefix) = self.write(unit.len(), &mut bytes) else {
            return false;
        };
        match io.writer(key, prefix.len() + unit.len()) {
            Some(mut writer) => {
                writer.put(prefix);
                writer.put(unit);
                true
            }
            None => false,
        }
    }

    /// The length as it is written, or `None` if it does not fit.
    fn write(self, len: usize, bytes: &mut [u8; VARINT_BYTES_MAX]) -> Option<&[u8]> {
        let count = match self.fixed_bytes() {
            Some(count) => {
                let len = u64::try_from(len).ok()?.to_be_bytes();
                let (zeros, tail) = len.split_at(len.len() - count);
                if zeros.iter().any(|byte| *byte != 0) {
                    return None;
                }
                bytes[..count].copy_from_slice(tail);
                count
            }
            None => {
                let (mut left, mut count) = (len, 0);
                while left >= 0x80 {
                    bytes[count] = (left % 0x80) as u8 | 0x80;
                    left /= 0x80;
                    count += 1;
                }
                bytes[count] = left as u8;
                count + 1
            }
        };
        Some(&bytes[..count])
    }

    fn fixed_bytes(self) -> Option<usize> {
        match self {
            Prefix::U8 => Some(1),
            Prefix::U16 => Some(2),
            Prefix::U32 => Some(4),
            Prefix::Varint => None,
        }
    }
}

/// One connection's side of a conversation in units. What holds for a [`Handler`] holds here.
pub trait UnitHandler<S = ()> {
    /// A whole unit has come, handed on without its length. It may be empty.
    #[doc(alias = "receive_object")]
    fn on_unit(&mut self, cx: &mut Context<'_, S>, unit: &[u8]);

    /// The peer has ended amid a unit or its length. `part` is what has come behind the length.
    fn on_cut(&mut self, cx: &mut Context<'_, S>, part: &[u8]) {
        let _ = (cx, part);
    }

    other_callbacks!();
}

/// Makes a [`Handler`] of a [`UnitHandler`]. [`Prefix::send`] is the other direction.
#[doc(alias = "ObjectProtocol")]
#[derive(Debug)]
pub struct LengthPrefixed<H> {
    handler: H,
    prefix: Prefix,
    unit_bytes_max: usize,
    /// The bytes of a varint so far: their value, and how many they are.
    varint: (u64, usize),
    /// The length of the present unit, which has been read.
    len: Option<usize>,
}

impl<H> LengthPrefixed<H> {
    /// Units of up to [`UNIT_BYTES_MAX`].
    pub fn new(handler: H, prefix: Prefix) -> LengthPrefixed<H> {
        LengthPrefixed {
            handler,
            prefix,
            unit_bytes_max: UNIT_BYTES_MAX,
            varint: (0, 0),
            len: None,
        }
    }

    /// Bounds units, in bytes. [`FrameError::TooLong`] comes before a longer one is read.
    #[must_use]
    pub fn unit_bytes_max(mut self, max: usize) -> LengthPrefixed<H> {
        self.unit_bytes_max = max;
        self
    }

    /// Hands on one unit; answers whether there may be another.
    fn step<S>(
        &mut self,
        cx: &mut Context<'_, S>,
        input: &mut Input<'_>,
    ) -> Result<bool, FrameError>
    where
        H: UnitHandler<S>,
    {
        if self.len.is_none() {
            self.len = match self.prefix.fixed_bytes() {
                Some(count) => fixed(input, count),
                None => self.varint(input)?,
            };
        }
        let Some(len) = self.len else {
            return Ok(false);
        };
        let max = self.unit_bytes_max;
        if len > max {
            return Err(FrameError::TooLong { len, max });
        }
        if input.len() < len {
            input.need(len);
            return Ok(false);
        }
        self.len = None;
        self.handler.on_unit(cx, input.consume(len));
        Ok(true)
    }

    /// The peer has ended: what is left is the part of a unit, or of its length.
    fn cut<S>(&mut self, cx: &mut Context<'_, S>, rest: &mut Input<'_>)
    where
        H: UnitHandler<S>,
    {
        if self.len.is_some() {
            self.handler.on_cut(cx, rest.peek());
        } else if self.varint.1 > 0 || !rest.is_empty() {
            self.handler.on_cut(cx, &[]);
        }
    }

    fn restart(&mut self) {
        self.varint = (0, 0);
        self.len = None;
    }

    /// Reads the bytes of a varint that are there: its value, once all are.
    fn varint(&mut self, input: &mut Input<'_>) -> Result<Option<usize>, FrameError> {
        while let [byte] = *input.consume(1) {
            let (value, count) = self.varint;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if count + 1 == VARINT_BYTES_MAX && byte > 1 {
                return Err(FrameError::InvalidLength);
            }
            self.varint = (value | bits << (7 * count), count + 1);
            if byte < 0x80 {
                let (value, _) = std::mem::take(&mut self.varint);
                return Ok(Some(usize::try_from(value).unwrap_or(usize::MAX)));
            }
        }
        Ok(None)
    }
}

/// Reads a big-endian number of `count` bytes, once all are there.
fn fixed(input: &mut Input<'_>, count: usize) -> Option<usize> {
    if input.len() < count {
        input.need(count);
        return None;
    }
    let bytes = input.consume(count).iter();
    Some(bytes.fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

impl<S, H: UnitHandler<S> + 'static> Handler<S> for LengthPrefixed<H> {
    handle_by_units!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(prefix: Prefix, len: usize) -> Option<Vec<u8>> {
        let mut bytes = [0; VARINT_BYTES_MAX];
        prefix.write(len, &mut bytes).map(<[u8]>::to_vec)
    }

    #[test]
    fn a_length_is_written_in_as_many_bytes_as_its_prefix_has_or_not_at_all() {
        assert_eq!(written(Prefix::U8, 255), Some(vec![255]));
        assert_eq!(written(Prefix::U8, 256), None);
        assert_eq!(written(Prefix::U16, 258), Some(vec![1, 2]));
        assert_eq!(written(Prefix::U16, 65_536), None);
        assert_eq!(written(Prefix::U32, 5), Some(vec![0, 0, 0, 5]));
        assert_eq!(written(Prefix::U32, u32::MAX as usize + 1), None);
        assert_eq!(written(Prefix::Varint, 0), Some(vec![0]));
        assert_eq!(written(Prefix::Varint, 300), Some(vec![0xac, 2]));
        let most = written(Prefix::Varint, u64::MAX as usize);
        assert_eq!(most.map(|bytes| bytes.len()), Some(VARINT_BYTES_MAX));
    }
}
