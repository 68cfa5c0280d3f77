//! What both directions share: names, words of a control line, sizes.
//!
//! Two rules are stricter than nats-server's, and no client library writes what they refuse:
//!
//! * A line ends at its line feed, everywhere. nats-server takes a line feed behind `SUB` and a blank for the
//!   first byte of the arguments and reads on into the next line. Two rules for where a line ends are an
//!   invitation to smuggle one; here such a line has no arguments, and the connection closes.
//! * A carriage return separates arguments, in every op. In nats-server it does so in `SUB` and `UNSUB`, and is
//!   a byte like any other in `PUB`; so a publisher can put one into a subject, and the receivers' libraries,
//!   which take it for a blank, give up their connection over the `MSG` they get.

use crate::violation::Violation;

/// Longest number taken for a size.
const SIZE_DIGITS_MAX: usize = 9;

/// How far the name at the start of an op is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Named<N> {
    /// Some name starts like this, and the input ends before it is complete.
    Partial,
    /// No name starts like this.
    Unknown,
    /// The name, and its length.
    Found(N, usize),
}

/// The name at the start of `input`, in any letter case, out of `names`: in capital letters, and none the beginning of
/// another.
///
/// Decides at the first byte that can decide: `PUX` is unknown without a look at what follows.
pub(crate) fn name<N: Copy>(names: &[(N, &[u8])], input: &[u8]) -> Named<N> {
    let Some(first) = input.first().map(u8::to_ascii_uppercase) else {
        return Named::Partial;
    };
    let mut partial = false;
    for &(name, text) in names {
        // Three at most begin alike: the rest are told apart without a loop.
        if text[0] != first {
            continue;
        }
        let len = text.len().min(input.len());
        if input[..len].eq_ignore_ascii_case(&text[..len]) {
            if len == text.len() {
                return Named::Found(name, len);
            }
            partial = true;
        }
    }
    if partial {
        Named::Partial
    } else {
        Named::Unknown
    }
}

/// Space or tab: what may follow a name.
#[inline]
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// What separates arguments: blanks, and CR, which no argument may hold, since a subject is handed
/// on to clients that take it for a separator.
#[inline]
fn is_separator(byte: u8) -> bool {
    is_blank(byte) || byte == b'\r'
}

/// A piece of the input, by position, so that it may be kept while the input grows and moves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// The bytes. Empty if `input` is not the input this was taken from, and too short.
    #[inline]
    pub(crate) fn of<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        input.get(self.start..self.end).unwrap_or_default()
    }
}

/// The words of a span of the input: runs of bytes between runs of separators.
#[derive(Clone, Debug)]
pub(crate) struct Words<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn new(input: &'a [u8], span: Span) -> Self {
        let input = input.get(..span.end).unwrap_or_default();
        Words {
            input,
            at: span.start.min(input.len()),
        }
    }
}

impl Iterator for Words<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let rest = &self.input[self.at..];
        let start = self.at + rest.iter().position(|&byte| !is_separator(byte))?;
        let rest = &self.input[start..];
        let len = rest
            .iter()
            .position(|&byte| is_separator(byte))
            .unwrap_or(rest.len());
        self.at = start + len;
        Some(Span {
            start,
            end: self.at,
        })
    }
}

/// From the end. What is left is between the words that were taken from either end.
impl DoubleEndedIterator for Words<'_> {
    fn next_back(&mut self) -> Option<Span> {
        let rest = &self.input[self.at..];
        let end = self.at + rest.iter().rposition(|&byte| !is_separator(byte))? + 1;
        let rest = &self.input[self.at..end];
        let start = rest
            .iter()
            .rposition(|&byte| is_separator(byte))
            .map_or(self.at, |separator| self.at + separator + 1);
        self.input = &self.input[..start];
        Some(Span { start, end })
    }
}

/// `text` without the single quotes around it, if they are there.
pub(crate) fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"'")
        .and_then(|text| text.strip_suffix(b"'"))
        .unwrap_or(text)
}

/// The number written in `digits`: one to nine of them, leading zeros allowed, nothing else.
#[inline]
pub(crate) fn size(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > SIZE_DIGITS_MAX {
        return None;
    }
    let mut size = 0;
    for &digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        size = size * 10 + usize::from(value);
    }
    Some(size)
}

/// What stands where a CR LF must.
pub(crate) enum Trailer {
    /// Both bytes are there.
    Whole,
    /// Right so far; the next byte to look at makes the input this long.
    Partial { need: usize },
    /// Something else stands there.
    Wrong,
}

/// Looks for the CR LF that must stand at `end`, as early as a byte of it is there.
#[inline]
pub(crate) fn trailer(input: &[u8], end: usize) -> Trailer {
    match (input.get(end), input.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => Trailer::Whole,
        (None, _) => Trailer::Partial { need: end + 1 },
        (Some(b'\r'), None) => Trailer::Partial { need: end + 2 },
        _ => Trailer::Wrong,
    }
}

/// What follows the subject (and the sid) on the control line of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) reply: Option<Span>,
    pub(crate) header_size: Option<Span>,
    pub(crate) size: Span,
    pub(crate) header_bytes: usize,
    pub(crate) body_bytes: usize,
}

impl Sizes {
    /// Reads `[reply] [header size] <size>`, which must be all that is left of `words`.
    pub(crate) fn read(
        input: &[u8],
        mut words: Words<'_>,
        with_header: bool,
    ) -> Result<Self, Violation<'static>> {
        let (reply, header_size, size) = match (
            with_header,
            words.next(),
            words.next(),
            words.next(),
            words.next(),
        ) {
            (false, Some(size), None, None, None) => (None, None, size),
            (false, reply, Some(size), None, None) => (reply, None, size),
            (true, header_size, Some(size), None, None) => (None, header_size, size),
            (true, reply, header_size, Some(size), None) => (reply, header_size, size),
            _ => return Err(Violation::Parse),
        };
        let header_bytes = match header_size {
            Some(digits) => self::size(digits.of(input)).ok_or(Violation::Parse)?,
            None => 0,
        };
        let body_bytes = self::size(size.of(input)).ok_or(Violation::Parse)?;
        if header_bytes > body_bytes {
            return Err(Violation::Parse);
        }
        Ok(Sizes {
            reply,
            header_size,
            size,
            header_bytes,
            body_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[(char, &[u8])] = &[('p', b"PING"), ('o', b"PONG"), ('k', b"+OK")];

    #[test]
    fn names_are_decided_at_the_first_byte_that_can() {
        let table = [
            ("", Named::Partial),
            ("p", Named::Partial),
            ("Pi", Named::Partial),
            ("pInG", Named::Found('p', 4)),
            ("PINGS", Named::Found('p', 4)),
            ("ponG\r\n", Named::Found('o', 4)),
            ("+oK", Named::Found('k', 3)),
            ("PX", Named::Unknown),
            ("x", Named::Unknown),
            (" PING", Named::Unknown),
            ("\r", Named::Unknown),
        ];
        for (input, expected) in table {
            assert_eq!(name(NAMES, input.as_bytes()), expected, "{input:?}");
        }
    }

    #[test]
    fn words_are_runs_between_runs() {
        #[track_caller]
        fn check(line: &str, expected: &[&str]) {
            let span = Span {
                start: 0,
                end: line.len(),
            };
            let words: Vec<&[u8]> = Words::new(line.as_bytes(), span)
                .map(|word| word.of(line.as_bytes()))
                .collect();
            let expected: Vec<&[u8]> = expected.iter().map(|word| word.as_bytes()).collect();
            assert_eq!(words, expected, "{line:?}");

            // From the end, and from both ends in turn.
            let all: Vec<Span> = Words::new(line.as_bytes(), span).collect();
            let mut backwards: Vec<Span> = Words::new(line.as_bytes(), span).rev().collect();
            backwards.reverse();
            assert_eq!(backwards, all, "{line:?}");
            let mut words = Words::new(line.as_bytes(), span);
            let (mut front, mut back) = (Vec::new(), Vec::new());
            while let Some(word) = words.next() {
                front.push(word);
                back.extend(words.next_back());
            }
            assert_eq!(words.next_back(), None);
            front.extend(back.into_iter().rev());
            assert_eq!(front, all, "{line:?}");
        }
        check("", &[]);
        check(" \t ", &[]);
        check("a", &["a"]);
        check(" a\t\tbc  d ", &["a", "bc", "d"]);
        check("a\rb c\r", &["a", "b", "c"]);
        check("a\0\x7f\x0bb", &["a\0\x7f\x0bb"]);
    }

    #[test]
    fn sizes_are_one_to_nine_digits() {
        let table = [
            ("0", Some(0)),
            ("7", Some(7)),
            ("007", Some(7)),
            ("999999999", Some(999_999_999)),
            ("000000001", Some(1)),
            ("0000000001", None),
            ("", None),
            ("-1", None),
            ("+3", None),
            ("3x", None),
            ("3\r", None),
            ("/", None),
            (":", None),
        ];
        for (digits, expected) in table {
            assert_eq!(size(digits.as_bytes()), expected, "{digits:?}");
        }
    }
}
