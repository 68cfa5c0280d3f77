//! The control line of a publish: by position for the complete parser, and in one pass for the
//! frame that is whole and written the way every client library writes it.
//!
//! ```text
//! HPUB greet _INBOX.1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n
//!      ^     ^        ^  ^     ^               ^        ^
//!      |     |        |  size  line_bytes      |        frame end
//!      |     |        header_size              header_bytes further
//!      |     reply, and where the tail starts
//!      subject
//! ```

use crate::line::{self, Sizes, Span, Words};
use crate::op::Publish;
use crate::parser::Rules;
use crate::piece::Piece;
use crate::subject;
use crate::violation::Violation;

/// Where the parts of a publish stand, from the first byte of its op.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Layout {
    subject: Span,
    reply: Option<Span>,
    header_size: Span,
    size: Span,
    header_bytes: usize,
    body_bytes: usize,
    /// Length of the control line with its line end.
    line_bytes: usize,
    /// Where the tail starts, if the line has one worth copying.
    tail: Option<usize>,
}

impl Layout {
    /// Reads a complete control line. `argument` is what follows the name and its blanks, without
    /// the line end; `line_bytes` is behind the line end.
    pub(crate) fn read(
        input: &[u8],
        with_header: bool,
        argument: Span,
        line_bytes: usize,
        rules: &Rules,
    ) -> Result<Self, Violation<'static>> {
        if with_header && !rules.headers {
            return Err(Violation::HeadersNotSupported);
        }
        let mut words = Words::new(input, argument);
        let subject = words.next().ok_or(Violation::Parse)?;
        let tail = words.clone();
        let Sizes {
            reply,
            header_size,
            size,
            header_bytes,
            body_bytes,
        } = Sizes::read(input, words, with_header)?;
        if body_bytes > rules.payload_bytes_max {
            return Err(Violation::PayloadTooLarge);
        }
        let header_is_plain = header_size.is_some() == (header_bytes > 0);
        Ok(Layout {
            subject,
            reply,
            header_size: header_size.filter(|_| header_bytes > 0).unwrap_or_default(),
            size,
            header_bytes,
            body_bytes,
            line_bytes,
            tail: canonical_start(input, tail, line_bytes).filter(|_| header_is_plain),
        })
    }

    /// Whether a pedantic client is to be told about this subject.
    pub(crate) fn deserves_warning(&self, input: &[u8]) -> bool {
        !subject::is_literal_form(self.subject.of(input))
    }

    /// Where the CR LF behind the body starts.
    pub(crate) fn body_end(&self) -> usize {
        self.line_bytes + self.body_bytes
    }

    /// The op and its length, from the `input` that holds it whole.
    pub(crate) fn publish<'a>(&self, input: &'a [u8]) -> (Publish<'a>, usize) {
        let header_end = self.line_bytes + self.header_bytes;
        let len = self.body_end() + 2;
        let publish = Publish {
            subject: self.subject.of(input),
            reply: self.reply.map(|reply| reply.of(input)),
            header_size: self.header_size.of(input),
            size: self.size.of(input),
            header: Span {
                start: self.line_bytes,
                end: header_end,
            }
            .of(input),
            payload: Span {
                start: header_end,
                end: self.body_end(),
            }
            .of(input),
            tail: self.tail.map(|start| Piece::new(input, start, len)),
            subject_piece: Piece::new(input, self.subject.start, self.subject.end),
        };
        (publish, len)
    }
}

/// Where the first of `words` starts, if they stand one space apart and right before a CR LF.
fn canonical_start(input: &[u8], words: Words<'_>, line_bytes: usize) -> Option<usize> {
    let mut start = None;
    let mut end = 0;
    for word in words {
        if start.is_none() {
            start = Some(word.start);
        } else if word.start != end + 1 || input.get(end) != Some(&b' ') {
            return None;
        }
        end = word.end;
    }
    start.filter(|_| end + 2 == line_bytes && input.get(end) == Some(&b'\r'))
}

/// A publish at the start of `input`, if it is whole, breaks no rule and is written canonically:
/// upper-case name, single spaces, CR LF, no control bytes in its arguments. `None` says nothing:
/// the complete parser decides.
///
/// Cost: one pass over the control line, 32 bytes at first and then eight at a time; the body is
/// jumped over.
#[inline]
pub(crate) fn canonical<'a>(input: &'a [u8], rules: &Rules) -> Option<(Publish<'a>, usize)> {
    let with_header = match input.first_chunk()? {
        b"PUB " => false,
        b"HPUB" if rules.headers && input.get(4) == Some(&b' ') => true,
        _ => return None,
    };
    let start = if with_header { 5 } else { 4 };
    let blanks = Blanks::of(input);
    let subject = Span {
        start,
        end: blanks.next(start),
    };

    // Up to three more words, each behind one space; then CR LF.
    let mut words = [Span::default(); 3];
    let mut count = 0;
    let mut last = subject;
    loop {
        if last.start == last.end {
            return None;
        }
        match input.get(last.end)? {
            b' ' if count < words.len() => {}
            b'\r' => break,
            _ => return None,
        }
        let start = last.end + 1;
        last = Span {
            start,
            end: blanks.next(start),
        };
        words[count] = last;
        count += 1;
    }
    if input.get(last.end + 1) != Some(&b'\n') || last.end - start > rules.control_line_bytes_max {
        return None;
    }
    let line_bytes = last.end + 2;
    let (reply, header_size) = match (with_header, count) {
        (false, 1) => (None, None),
        (false, 2) => (Some(words[0]), None),
        (true, 2) => (None, Some(words[0])),
        (true, 3) => (Some(words[0]), Some(words[1])),
        _ => return None,
    };
    let body_bytes = line::size(last.of(input))?;
    let header_bytes = match header_size {
        Some(digits) => line::size(digits.of(input)).filter(|&bytes| bytes > 0)?,
        None => 0,
    };
    if header_bytes > body_bytes || body_bytes > rules.payload_bytes_max {
        return None;
    }
    if rules.pedantic && !subject::is_literal_form(subject.of(input)) {
        return None;
    }
    let body_end = line_bytes + body_bytes;
    let len = body_end + 2;
    if input.get(body_end..len)? != b"\r\n" {
        return None;
    }
    let (header, payload) = input[line_bytes..body_end].split_at(header_bytes);
    let publish = Publish {
        subject: &input[subject.start..subject.end],
        reply: reply.map(|reply| &input[reply.start..reply.end]),
        header_size: header_size.map_or(b"", |digits| &input[digits.start..digits.end]),
        size: &input[last.start..last.end],
        header,
        payload,
        tail: Some(Piece::new(input, words[0].start, len)),
        subject_piece: Piece::new(input, subject.start, subject.end),
    };
    Some((publish, len))
}

/// Where the bytes up to the blank (`0x00..=0x20`) stand in an input: the first 32 bytes, which
/// hold most control lines, are looked at all at once.
struct Blanks<'a> {
    input: &'a [u8],
    /// A bit for each of the first bytes.
    first: u32,
    /// How many bytes `first` tells of.
    known: usize,
}

impl<'a> Blanks<'a> {
    #[inline]
    fn of(input: &'a [u8]) -> Blanks<'a> {
        match input.first_chunk::<32>() {
            Some(block) => Blanks {
                input,
                first: blanks_of_block(block),
                known: 32,
            },
            None => Blanks {
                input,
                first: 0,
                known: 0,
            },
        }
    }

    /// Where the first one from `at` on is; the end of the input if there is none.
    #[inline]
    fn next(&self, at: usize) -> usize {
        if at < self.known {
            let rest = self.first >> at;
            if rest != 0 {
                return at + rest.trailing_zeros() as usize;
            }
        }
        visible_end(self.input, at.max(self.known))
    }
}

const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// A bit for each byte of `0x00..=0x20`.
#[inline]
fn blanks_of_block(block: &[u8; 32]) -> u32 {
    let mut mask = 0;
    for (place, chunk) in block.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        // The sum sets the high bit of each byte whose low bits are above 0x20, and carries nothing
        // into the next byte.
        let visible = ((word & LOW_BITS) + 0x5f5f_5f5f_5f5f_5f5f) | word;
        let blanks = (!visible & HIGH_BITS) >> 7;
        // The multiplication gathers the lowest bit of each byte in the uppermost byte.
        mask |= ((blanks.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32) << (8 * place);
    }
    mask
}

/// Where the first byte up to the blank (`0x00..=0x20`) stands, from `at` on; the end of the input
/// if there is none.
#[inline]
fn visible_end(input: &[u8], mut at: usize) -> usize {
    // A byte below 0x21 borrows in the subtraction, and so gets its high bit set where it had none
    // itself. A borrow may spoil the bytes above it, never those below: the lowest hit is right.
    const LOW: u64 = 0x2121_2121_2121_2121;
    while let Some(chunk) = input.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let hits = word.wrapping_sub(LOW) & !word & HIGH_BITS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while input.get(at).is_some_and(|&byte| byte > b' ') {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_end_is_the_first_byte_up_to_the_blank() {
        for len in 0..40 {
            for stop in [0x00, b'\t', b'\n', b'\r', b' '] {
                for fill in [0x21, b'a', 0x7f, 0x80, 0xa0, 0xff] {
                    let mut input = vec![fill; len];
                    assert_eq!(visible_end(&input, 0), len);
                    input.push(stop);
                    input.extend_from_slice(&[fill, 0, fill, fill, 0x20, fill, fill, fill, fill]);
                    assert_eq!(visible_end(&input, 0), len, "{fill:#x} then {stop:#x}");
                    assert_eq!(visible_end(&input, len / 2), len);
                    assert_eq!(Blanks::of(&input).next(0), len);
                    assert_eq!(Blanks::of(&input).next(len / 2), len);
                    assert_eq!(Blanks::of(&input).next(len + 1), len + 2);
                }
            }
        }
    }

    #[test]
    fn tail_is_there_only_when_it_can_be_copied() {
        #[track_caller]
        fn check(input: &str, tail: Option<&str>) {
            let rules = Rules {
                headers: true,
                ..Rules::default()
            };
            let step = crate::Parser::default().next(input.as_bytes(), &rules);
            let Ok(crate::Step::Op {
                op: crate::ClientOp::Publish(publish),
                ..
            }) = step
            else {
                panic!("{input:?} gave {step:?}");
            };
            let got = publish.tail.map(|tail| tail.as_slice());
            assert_eq!(got, tail.map(str::as_bytes), "{input:?}");
        }
        check("PUB a 2\r\nhi\r\n", Some("2\r\nhi\r\n"));
        check("pub a 2\r\nhi\r\n", Some("2\r\nhi\r\n"));
        check("PUB\t a\t\t2\r\nhi\r\n", Some("2\r\nhi\r\n"));
        check("PUB a r 02\r\nhi\r\n", Some("r 02\r\nhi\r\n"));
        check("HPUB a r 1 2\r\nhi\r\n", Some("r 1 2\r\nhi\r\n"));
        check("PUB a r  2\r\nhi\r\n", None);
        check("PUB a r\t2\r\nhi\r\n", None);
        check("PUB a 2 \r\nhi\r\n", None);
        check("PUB a 2\nhi\r\n", None);
        check("PUB a 2 \nhi\r\n", None);
        check("HPUB a 0 2\r\nhi\r\n", None);
    }
}
