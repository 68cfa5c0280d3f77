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
use wide::u8x16;

/// A piece of the input, in half the size of a [`Span`]: an op is shorter than 4 GiB, since a size
/// has nine digits and a control line a limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Place {
    #[inline]
    fn new(start: usize, end: usize) -> Place {
        debug_assert!(start <= end && u32::try_from(end).is_ok());
        Place {
            start: start as u32,
            end: end as u32,
        }
    }

    /// The same place, as many bytes further.
    #[inline(always)]
    pub(crate) fn behind(self, bytes: usize) -> Place {
        Place {
            start: self.start + bytes as u32,
            end: self.end + bytes as u32,
        }
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The bytes. Empty if `input` is not the input this was taken from, and too short.
    #[inline]
    pub(crate) fn of(self, input: &[u8]) -> &[u8] {
        let place = self.start as usize..self.end as usize;
        input.get(place).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// The input from here on.
    #[inline(always)]
    pub(crate) fn onward_in(self, input: &[u8]) -> &[u8] {
        input.get(self.start as usize..).unwrap_or_default()
    }

    /// The bytes, and what stands behind them.
    #[inline(always)]
    pub(crate) fn piece_of(self, input: &[u8]) -> Piece<'_> {
        Piece::new(input, self.start, self.end)
    }
}

impl From<Span> for Place {
    #[inline]
    fn from(span: Span) -> Place {
        Place::new(span.start, span.end)
    }
}

/// Where the parts of a publish stand, from the first byte of its op.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Layout {
    pub(crate) subject: Place,
    /// Empty if there is none.
    pub(crate) reply: Place,
    /// Empty if there is no header.
    pub(crate) header_size: Place,
    pub(crate) size: Place,
    pub(crate) header_bytes: u32,
    pub(crate) body_bytes: u32,
    /// Length of the control line with its line end.
    line_bytes: u32,
    /// Where the tail starts; 0 if the line has none worth copying.
    tail: u32,
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
        let tail = canonical_start(input, tail, line_bytes).filter(|_| header_is_plain);
        Ok(Layout {
            subject: subject.into(),
            reply: reply.unwrap_or_default().into(),
            header_size: header_size
                .filter(|_| header_bytes > 0)
                .unwrap_or_default()
                .into(),
            size: size.into(),
            header_bytes: header_bytes as u32,
            body_bytes: body_bytes as u32,
            line_bytes: line_bytes as u32,
            tail: tail.unwrap_or_default() as u32,
        })
    }

    /// Of a publish whose parts stand there, one blank apart, with sizes of `[header, body]`.
    pub(crate) fn composed(
        subject: Span,
        reply: Span,
        header_size: Span,
        size: Span,
        [header_bytes, body_bytes]: [usize; 2],
    ) -> Layout {
        Layout {
            subject: subject.into(),
            reply: reply.into(),
            header_size: header_size.into(),
            size: size.into(),
            header_bytes: header_bytes as u32,
            body_bytes: body_bytes as u32,
            line_bytes: size.end as u32 + 2,
            tail: subject.end as u32 + 1,
        }
    }

    /// Of a message from another broker: `parts` are its subject, its reply and its queue names, `sizes` are of
    /// `[header, body]`. An absent part is empty.
    ///
    /// Its tail is what a delivery carries: there is none where the names of queues, or a header size of 0, stand in
    /// the midst of that.
    pub(crate) fn between_brokers(
        input: &[u8],
        [subject, reply, queues]: [Span; 3],
        header_size: Option<Span>,
        size: Span,
        [header_bytes, body_bytes]: [usize; 2],
        line_bytes: usize,
    ) -> Layout {
        let shown = header_size.filter(|_| header_bytes > 0);
        let is_broken = queues != Span::default() || shown != header_size;
        let tail = if reply == Span::default() {
            Some(shown.unwrap_or(size))
        } else {
            Some(reply).filter(|_| !is_broken)
        };
        let tail = tail.and_then(|Span { start, .. }| {
            let words = Span {
                start,
                end: size.end,
            };
            canonical_start(input, Words::new(input, words), line_bytes)
        });
        Layout {
            subject: subject.into(),
            reply: reply.into(),
            header_size: shown.unwrap_or_default().into(),
            size: size.into(),
            header_bytes: header_bytes as u32,
            body_bytes: body_bytes as u32,
            line_bytes: line_bytes as u32,
            tail: tail.unwrap_or_default() as u32,
        }
    }

    /// Whether a pedantic client is to be told about this subject.
    pub(crate) fn deserves_warning(&self, input: &[u8]) -> bool {
        !subject::is_literal_form(self.subject.of(input))
    }

    /// Where the CR LF behind the body starts.
    #[inline]
    pub(crate) fn body_end(&self) -> usize {
        self.line_bytes as usize + self.body_bytes as usize
    }

    /// Length of the control line with its line end.
    #[inline]
    pub(crate) fn line_bytes(&self) -> usize {
        self.line_bytes as usize
    }

    /// Length of the op.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.body_end() + 2
    }

    pub(crate) fn header(&self) -> Place {
        let start = self.line_bytes as usize;
        Place::new(start, start + self.header_bytes as usize)
    }

    pub(crate) fn payload(&self) -> Place {
        let start = self.line_bytes as usize + self.header_bytes as usize;
        Place::new(start, self.body_end())
    }

    /// The subject with the blank behind it, and the tail; `None` if the one does not follow right
    /// behind the other.
    #[inline(always)]
    pub(crate) fn hand_on(&self, input: &[u8]) -> Option<(Place, Place)> {
        let Place { start, end } = self.subject;
        let is_one_blank = self.tail == end + 1 && input.get(end as usize) == Some(&b' ');
        let end = end + 1;
        is_one_blank.then(|| (Place { start, end }, self.tail()))
    }

    /// Empty if there is none.
    #[inline(always)]
    pub(crate) fn tail(&self) -> Place {
        if self.tail == 0 {
            return Place::default();
        }
        Place::new(self.tail as usize, self.len())
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
#[inline(always)]
pub(crate) fn canonical<'a>(input: &'a [u8], rules: &Rules) -> Option<(Publish<'a>, usize)> {
    let with_header = match input.first_chunk()? {
        b"PUB " => false,
        b"HPUB" if rules.headers && input.get(4) == Some(&b' ') => true,
        _ => return None,
    };
    let mut line = Line {
        blanks: Blanks::of(input),
        at: if with_header { 5 } else { 4 },
    };
    let start = line.at;
    // The subject, up to three more words, each behind one space; then CR LF.
    let (subject, b' ') = line.word()? else {
        return None;
    };
    let tail = line.at;
    let (mut reply, mut header_size) = (Span::default(), Span::default());
    let (mut size, mut stop) = line.word()?;
    if with_header {
        if stop != b' ' {
            return None;
        }
        header_size = size;
        (size, stop) = line.word()?;
    }
    if stop == b' ' {
        reply = if with_header {
            std::mem::replace(&mut header_size, size)
        } else {
            size
        };
        (size, stop) = line.word()?;
    }
    let line_bytes = line.at + 1;
    let is_ended = stop == b'\r' && input.get(line.at) == Some(&b'\n');
    if !is_ended || size.end - start > rules.control_line_bytes_max {
        return None;
    }
    let body_bytes = line::size(size.of(input))?;
    let header_bytes = if with_header {
        line::size(header_size.of(input)).filter(|&bytes| bytes > 0)?
    } else {
        0
    };
    if header_bytes > body_bytes || body_bytes > rules.payload_bytes_max {
        return None;
    }
    if rules.pedantic && !subject::is_literal_form(subject.of(input)) {
        return None;
    }
    let body_end = line_bytes + body_bytes;
    if input.get(body_end..)?.first_chunk() != Some(b"\r\n") {
        return None;
    }
    let layout = Layout {
        subject: subject.into(),
        reply: reply.into(),
        header_size: header_size.into(),
        size: size.into(),
        header_bytes: header_bytes as u32,
        body_bytes: body_bytes as u32,
        line_bytes: line_bytes as u32,
        tail: tail as u32,
    };
    let publish = Publish {
        input,
        layout,
        repeats: false,
    };
    Some((publish, body_end + 2))
}

/// A control line on its way through `canonical`.
struct Line<'a> {
    blanks: Blanks<'a>,
    at: usize,
}

impl Line<'_> {
    /// The next word, which starts here and is not empty, and the byte that ends it, which is passed.
    #[inline(always)]
    fn word(&mut self) -> Option<(Span, u8)> {
        let start = self.at;
        let end = self.blanks.next(start);
        let stop = *self.blanks.input.get(end)?;
        if start == end {
            return None;
        }
        self.at = end + 1;
        Some((Span { start, end }, stop))
    }
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
    #[inline(always)]
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

/// A bit for each byte of `0x00..=0x20`.
#[inline(always)]
fn blanks_of_block(block: &[u8; 32]) -> u32 {
    let [low, high] = [0, 16].map(|at| {
        let bytes: [u8; 16] = *block[at..].first_chunk().expect("there are 32 bytes");
        let bytes = u8x16::new(bytes);
        bytes.min(u8x16::splat(b' ')).simd_eq(bytes).to_bitmask()
    });
    high << 16 | low
}

/// Where the first byte up to the blank (`0x00..=0x20`) stands, from `at` on; the end of the input
/// if there is none.
fn visible_end(input: &[u8], mut at: usize) -> usize {
    // A byte below 0x21 borrows in the subtraction, and so gets its high bit set where it had none
    // itself. A borrow may spoil the bytes above it, never those below: the lowest hit is right.
    const LOW: u64 = 0x2121_2121_2121_2121;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = input.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let hits = word.wrapping_sub(LOW) & !word & HIGH;
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
    fn only_one_blank_is_handed_on() {
        let rules = Rules::default();
        for (input, handed_on) in [
            ("PUB a 2\r\nhi\r\n", true),
            ("pub  a 2\r\nhi\r\n", true),
            ("PUB a\t2\r\nhi\r\n", false),
            ("PUB a  2\r\nhi\r\n", false),
            ("PUB a\r2\r\nhi\r\n", false),
        ] {
            let step = crate::Parser::default().next(input.as_bytes(), &rules);
            let Ok(crate::Step::Op {
                op: crate::ClientOp::Publish(publish),
                ..
            }) = step
            else {
                panic!("{input:?} gave {step:?}");
            };
            let expected = handed_on.then_some((&b"a "[..], &b"2\r\nhi\r\n"[..]));
            let got = publish.hand_on();
            let got = got.map(|(subject, tail)| (subject.as_slice(), tail.as_slice()));
            assert_eq!(got, expected, "{input:?}");
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
            let got = publish.tail().map(|tail| tail.as_slice());
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
