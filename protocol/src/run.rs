//! `Run`: publishes with the same control line, one right behind the other.

use crate::op::Publish;
use crate::piece::Piece;
use crate::tails::Tails;

/// Publishes one right behind the other whose control lines are the same to the byte: one subject,
/// one reply, one size. Whatever is found out about the first holds for all.
///
/// ```
/// use midge_protocol::{Parser, Rules};
///
/// let input = b"PUB greet 2\r\nhi\r\n".repeat(20);
/// let (mut parser, rules) = (Parser::default(), Rules::default());
/// let first = parser.next_run(&input, &rules, 100).unwrap();
/// assert_eq!((first.count(), first.bytes()), (1, 17));
/// // Now that the control line is known.
/// let run = parser.next_run(&input[17..], &rules, 100).unwrap();
/// assert_eq!((run.count(), run.bytes()), (19, 19 * 17));
/// assert!(run.messages().all(|publish| publish.payload() == b"hi"));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run<'a> {
    first: Publish<'a>,
    /// At least one.
    count: usize,
}

/// A run of one.
impl<'a> From<Publish<'a>> for Run<'a> {
    fn from(publish: Publish<'a>) -> Run<'a> {
        Run::new(publish, 1)
    }
}

impl<'a> Run<'a> {
    /// `first` and those behind it, `count` altogether, which stand in the input of the first.
    #[inline(always)]
    pub(crate) fn new(first: Publish<'a>, count: usize) -> Run<'a> {
        debug_assert!(count >= 1 && count * first.layout.len() <= first.input.len());
        Run { first, count }
    }

    /// The first of them.
    #[inline]
    pub fn first(&self) -> &Publish<'a> {
        &self.first
    }

    /// How many there are: at least one.
    #[inline]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of all of them, to drop before the next call of the parser.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.count * self.bytes_each()
    }

    /// Bytes of each of them, with its control line.
    #[inline]
    pub fn bytes_each(&self) -> usize {
        self.first.layout.len()
    }

    /// The first `count` of them.
    ///
    /// # Panics
    /// If there are fewer, or `count` is zero.
    #[inline]
    #[must_use]
    pub fn up_to(self, count: usize) -> Run<'a> {
        assert!((1..=self.count).contains(&count), "{count} of {self:?}");
        Run { count, ..self }
    }

    /// Drops the first `count`, if more than those are left; answers whether that is so.
    #[inline(always)]
    pub fn advance(&mut self, count: usize) -> bool {
        let is_left = count < self.count;
        if is_left && count > 0 {
            let input = self.first.input;
            self.count -= count;
            self.first.input = input.get(count * self.bytes_each()..).unwrap_or_default();
            self.first.repeats = true;
        }
        is_left
    }

    /// Each of them.
    #[inline]
    pub fn messages(&self) -> impl Iterator<Item = Publish<'a>> + use<'a> {
        let mut next = Some(*self);
        std::iter::from_fn(move || {
            let mut run = next?;
            let first = run.first;
            next = run.advance(1).then_some(run);
            Some(first)
        })
    }

    /// The [tail](Publish::tail) of the one at `place`; empty if they have none.
    #[inline(always)]
    pub fn tail(&self, place: usize) -> Piece<'a> {
        let start = place * self.bytes_each();
        let tail = self.first.layout.tail();
        tail.behind(start).piece_of(self.first.input)
    }

    /// The [tail](Publish::tail) of each of them; nothing at all if they have none.
    #[inline(always)]
    pub fn tails(&self) -> Tails<'a> {
        let tail = self.first.layout.tail();
        let count = if tail.is_empty() { 0 } else { self.count };
        let input = tail.onward_in(self.first.input);
        Tails::new(input, tail.len(), self.bytes_each(), count)
    }
}
