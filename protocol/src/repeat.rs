//! `Repeat`: the control line of the last publish, for the next one that begins with the same bytes.
//!
//! Most publishers send to one subject, or to few in turn, and many send payloads of one size: their
//! control lines are the same to the byte. Comparing one with the last costs a fraction of reading
//! it, and what was found out about its subject holds still.
//!
//! A line is compared by its first and its last bytes, in blocks of one size that overlap. So no byte behind it
//! has to be left out.
//!
//! ```text
//! PUB greet.joe 5\r\n        17 bytes
//! [     first    ]           16
//!  [     last     ]          16
//! ```

use crate::op::Publish;
use crate::parser::Rules;
use crate::publish::Layout;
use crate::run::Run;

/// Longest control line that is kept, with its line end.
const LINE_BYTES_MAX: usize = 64;

/// A control line, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    /// The line, and whatever stood behind it.
    line: [u8; LINE_BYTES_MAX],
    /// Bytes of a block; zero if there is no line.
    block: usize,
    layout: Layout,
    rules: Rules,
}

impl Default for Repeat {
    /// One that nothing repeats.
    fn default() -> Repeat {
        Repeat {
            line: [0; LINE_BYTES_MAX],
            block: 0,
            layout: Layout::default(),
            rules: Rules::default(),
        }
    }
}

impl Repeat {
    /// Keeps the control line of `publish`, which was read under `rules`, in place of the last one;
    /// none, if it is too long or too little input stands behind it.
    #[inline]
    pub(crate) fn keep(&mut self, publish: &Publish<'_>, rules: &Rules) {
        let block = match publish.layout.line_bytes() {
            8..16 => 8,
            16..32 => 16,
            32..=LINE_BYTES_MAX => 32,
            _ => return self.forget(),
        };
        match publish.input.first_chunk() {
            Some(line) => {
                self.line = *line;
                self.block = block;
                self.layout = publish.layout;
                self.rules = *rules;
            }
            None => self.forget(),
        }
    }

    /// Nothing repeats this any more.
    pub(crate) fn forget(&mut self) {
        *self = Repeat::default();
    }

    /// The publish at the start of `input`, if it has the same control line, is whole, and the rules
    /// are the same too; with as many more as stand right behind it, up to `count_max` altogether.
    #[inline(always)]
    pub(crate) fn read<'a>(
        &self,
        input: &'a [u8],
        rules: &Rules,
        count_max: usize,
    ) -> Option<Run<'a>> {
        let frame = input.get(..self.layout.len())?;
        let is_same = match self.block {
            8 => self.is_at::<8>(frame),
            16 => self.is_at::<16>(frame),
            32 => self.is_at::<32>(frame),
            _ => false,
        };
        if !is_same || self.rules != *rules {
            return None;
        }
        let first = Publish {
            input,
            layout: self.layout,
            repeats: true,
        };
        let more = input.get(frame.len()..).unwrap_or_default();
        Some(Run::new(first, 1 + self.count(more, count_max - 1)))
    }

    /// How many stand at the start of `input`, up to `count_max`.
    #[inline(always)]
    fn count(&self, input: &[u8], count_max: usize) -> usize {
        match self.block {
            8 => self.count_by::<8>(input, count_max),
            16 => self.count_by::<16>(input, count_max),
            _ => self.count_by::<32>(input, count_max),
        }
    }

    /// Not inlined: of its own, this loop has all registers, whatever is around it.
    #[inline(never)]
    fn count_by<const N: usize>(&self, input: &[u8], count_max: usize) -> usize {
        let frames = input.chunks_exact(self.layout.len()).take(count_max);
        frames.take_while(|frame| self.is_at::<N>(frame)).count()
    }

    /// Whether `frame`, which is as long as the publish was, has the same control line, and ends as one does.
    #[inline(always)]
    fn is_at<const N: usize>(&self, frame: &[u8]) -> bool {
        let last = self.layout.line_bytes().wrapping_sub(N);
        // The last ones first: most lines that differ do so there.
        block::<N>(frame, last) == block::<N>(&self.line, last)
            && frame.first_chunk::<N>() == self.line.first_chunk()
            && frame.last_chunk() == Some(b"\r\n")
    }
}

/// The `N` bytes at `start`.
#[inline(always)]
fn block<const N: usize>(bytes: &[u8], start: usize) -> Option<&[u8; N]> {
    bytes.get(start..)?.first_chunk()
}

#[cfg(test)]
mod tests {
    use crate::{Parser, Rules};

    const RULES: Rules = Rules {
        control_line_bytes_max: 4096,
        payload_bytes_max: 1000,
        headers: true,
        pedantic: false,
        connect_required: false,
    };

    /// Whether the second of two publishes is taken for a repetition of the first; what it says must
    /// be the same as if it had come alone.
    #[track_caller]
    fn repeats(first: &str, second: &str, rules: &Rules) -> bool {
        let behind = "PUB what.follows 100\r\n".repeat(5);
        let input = [first, second, &behind].concat();
        let mut parser = Parser::default();
        let (publish, len) = parser
            .next_publish(input.as_bytes(), &RULES)
            .expect("the first one is plain");
        assert!(!publish.repeats() && len == first.len());
        let input = &input.as_bytes()[len..];
        let expected = Parser::default().next(input, rules);
        let again = parser.next_publish(input, rules);
        let repeats = again.is_some_and(|(publish, _)| publish.repeats());
        assert_eq!(parser.next(input, rules), expected);
        repeats
    }

    #[test]
    fn only_the_same_line_repeats() {
        for (first, second, expected) in [
            ("PUB a 2\r\nhi\r\n", "PUB a 2\r\nho\r\n", true),
            ("PUB a r 2\r\nhi\r\n", "PUB a r 2\r\nho\r\n", true),
            ("HPUB a 1 2\r\nhi\r\n", "HPUB a 1 2\r\nho\r\n", true),
            ("PUB a 0\r\n\r\n", "PUB a 0\r\n\r\n", true),
            ("PUB a 2\r\nhi\r\n", "PUB a 3\r\nhoo\r\n", false),
            ("PUB a 2\r\nhi\r\n", "PUB b 2\r\nho\r\n", false),
            ("PUB a 2\r\nhi\r\n", "PUB a.a 2\r\nho\r\n", false),
            ("PUB a 2\r\nhi\r\n", "pub a 2\r\nho\r\n", false),
            ("PUB a 2\r\nhi\r\n", "PUB a 2\r\nhoPUB", false),
            ("PUB a 2\r\nhi\r\n", "PUB a 2\nho\r\n", false),
            ("PUB a 2\r\nhi\r\n", "PING\r\n", false),
        ] {
            assert_eq!(
                repeats(first, second, &RULES),
                expected,
                "{first:?}, {second:?}"
            );
        }
        for len in 50..70 {
            // `PUB `, the subject, ` 2` and CR LF.
            let subject = "s".repeat(len - 8);
            let frame = format!("PUB {subject} 2\r\nhi\r\n");
            let other = format!("PUB {}S 2\r\nhi\r\n", &subject[1..]);
            assert_eq!(repeats(&frame, &frame, &RULES), len <= 64, "{len}");
            assert!(!repeats(&frame, &other, &RULES), "{len}");
        }
    }

    #[test]
    fn a_run_is_what_its_publishes_are_one_by_one() {
        let frame = |line: &str, body: &str| format!("{line}\r\n{body}\r\n");
        let frames = [
            frame("PUB a 2", "h1"),
            frame("PUB a 2", "h2"),
            frame("PUB a 2", "h3"),
            frame("PUB b 2", "h4"),
            frame("HPUB b r 2 4", "h5h5"),
            frame("HPUB b r 2 4", "h6h6"),
            frame("PUB b 2", "h7"),
        ];
        for copies in 1..5 {
            for count_max in 1..4 {
                let frames: String = frames.iter().map(|frame| frame.repeat(copies)).collect();
                let input = [frames.as_bytes(), &[b'.'; 100]].concat();
                let (mut by_runs, mut one_by_one) = (Parser::default(), Parser::default());
                let mut rest = &input[..];
                while rest.len() > 100 {
                    let run = by_runs
                        .next_run(rest, &RULES, count_max)
                        .expect("all are plain");
                    assert!(run.count() <= count_max);
                    assert_eq!(
                        (run.messages().count(), run.tails().count()),
                        (run.count(), run.count())
                    );
                    let mut behind = rest;
                    for (publish, tail) in run.messages().zip(run.tails()) {
                        let (expected, len) =
                            one_by_one.next_publish(behind, &RULES).expect("it is");
                        assert_eq!((publish, Some(tail)), (expected, expected.tail()));
                        assert_eq!(publish.repeats(), expected.repeats());
                        behind = &behind[len..];
                    }
                    assert_eq!(run.bytes(), rest.len() - behind.len());
                    assert_eq!(run.up_to(1).bytes(), run.bytes_each());
                    rest = behind;
                }
            }
        }
    }

    #[test]
    fn nothing_repeats_what_was_forgotten() {
        let kept = format!("PUB a 100\r\n{}\r\n", "p".repeat(100));
        let long = format!("PUB {} 2\r\nhi\r\n", "s".repeat(100));
        for payload_bytes in 0..120 {
            let zeros = "\0".repeat(payload_bytes) + "\r\n" + &"\0".repeat(200);
            let input = [&*kept, &*long, &*zeros].concat();
            let mut parser = Parser::default();
            let mut input = input.as_bytes();
            for _ in 0..2 {
                let (_, len) = parser.next_publish(input, &RULES).expect("it is plain");
                input = &input[len..];
            }
            assert_eq!(parser.next_publish(input, &RULES), None);
            let unknown = Err(crate::Violation::UnknownOperation);
            assert_eq!(parser.next(input, &RULES), unknown);
        }
    }

    #[test]
    fn under_other_rules_nothing_repeats() {
        let frame = "HPUB a 1 2\r\nhi\r\n";
        let plain = "PUB a 2\r\nhi\r\n";
        for rules in [
            Rules {
                payload_bytes_max: 1,
                ..RULES
            },
            Rules {
                control_line_bytes_max: 1,
                ..RULES
            },
            Rules {
                headers: false,
                ..RULES
            },
            Rules {
                pedantic: true,
                ..RULES
            },
            Rules {
                connect_required: true,
                ..RULES
            },
        ] {
            assert!(!repeats(frame, frame, &rules));
            assert!(!repeats(plain, plain, &rules));
        }
    }
}
