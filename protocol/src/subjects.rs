//! `Subjects`: many subjects at once, and what of others they match, cover and overlap.
//!
//! A trie by token. After `a.b`, `a.*`, `a.>` and `c`, where `[.]` is a subject that ends there:
//!
//! ```text
//! root ─┬─ a ─┬─ b [.]
//!       │     ├─ * [.]
//!       │     └─ >
//!       └─ c [.]
//! ```
//!
//! At a place, a token leads to two others at most: that of the same token, and that of `*`. What is asked here is
//! answered by one subject alone: `a.*` and `a.*.>` together do not cover `a.>`.

use crate::subject;
use std::fmt;

/// A set of subjects, with wildcards or without. Subjects that are not
/// [subscribable](subject::is_subscribable) match nothing, and are left out.
///
/// ```
/// use midge_protocol::Subjects;
///
/// let subjects = Subjects::new(["orders.*", "stock.>"]);
/// assert!(subjects.matches(b"orders.eu") && !subjects.matches(b"orders.eu.1"));
/// assert!(subjects.covers(b"stock.*.eu") && !subjects.covers(b"*.eu"));
/// assert!(subjects.overlaps(b"*.eu") && !subjects.overlaps(b"orders"));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Subjects {
    /// The first is the root. Made in the order of the subjects, so that equal sets are equal.
    places: Vec<Place>,
}

/// A place of the trie: what the tokens up to it lead to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Place {
    /// By token, in order.
    literals: Vec<(Box<[u8]>, usize)>,
    /// Behind `*`; the root is behind nothing, so its number is that of no place.
    any: usize,
    /// Whether `>` follows.
    is_full: bool,
    /// Whether a subject ends here.
    is_end: bool,
}

impl Place {
    fn literal(&self, token: &[u8]) -> Option<usize> {
        let found = self
            .literals
            .binary_search_by(|(one, _)| (**one).cmp(token));
        found.ok().map(|at| self.literals[at].1)
    }

    fn any(&self) -> Option<usize> {
        (self.any > 0).then_some(self.any)
    }
}

impl Default for Subjects {
    fn default() -> Subjects {
        Subjects {
            places: vec![Place::default()],
        }
    }
}

impl Subjects {
    /// The set of these.
    pub fn new<S: AsRef<[u8]>>(subjects: impl IntoIterator<Item = S>) -> Subjects {
        let mut sorted: Vec<S> = subjects.into_iter().collect();
        sorted.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        let mut set = Subjects::default();
        for one in &sorted {
            if subject::is_subscribable(one.as_ref()) {
                set.insert(one.as_ref());
            }
        }
        set
    }

    fn insert(&mut self, subject: &[u8]) {
        let mut at = 0;
        for token in subject::tokens(subject) {
            let next = self.places.len();
            let place = &mut self.places[at];
            at = match token {
                b">" => {
                    place.is_full = true;
                    return;
                }
                b"*" if place.any > 0 => place.any,
                b"*" => {
                    place.any = next;
                    next
                }
                _ => match place
                    .literals
                    .binary_search_by(|(one, _)| (**one).cmp(token))
                {
                    Ok(found) => place.literals[found].1,
                    Err(free) => {
                        place.literals.insert(free, (token.into(), next));
                        next
                    }
                },
            };
            if at == next {
                self.places.push(Place::default());
            }
        }
        self.places[at].is_end = true;
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        let root = &self.places[0];
        root.literals.is_empty() && root.any == 0 && !root.is_full
    }

    /// Whether a message published to `subject` reaches a subscription to one of them, as
    /// [`subject::matches`] says. Looks at each of them at worst, and at one or two for each token mostly.
    pub fn matches(&self, subject: &[u8]) -> bool {
        self.has(0, Some(subject), true)
    }

    /// Whether all that a subscription to `subject` is sent reaches a subscription to one of them too.
    pub fn covers(&self, subject: &[u8]) -> bool {
        self.has(0, Some(subject), false)
    }

    /// `rest` is what is left of the subject, of a message or of a subscription.
    fn has(&self, mut at: usize, mut rest: Option<&[u8]>, is_message: bool) -> bool {
        loop {
            let place = &self.places[at];
            let Some(left) = rest else {
                return place.is_end;
            };
            if place.is_full {
                return !subject::has_empty_token(left);
            }
            let (token, behind) = split(left);
            if !is_message && token == b">" && behind.is_none() {
                return false;
            }
            // No place is behind an empty token, which is not passed by `*` either.
            at = match (place.literal(token), place.any()) {
                (None, Some(any)) if !token.is_empty() => any,
                (Some(literal), None) => literal,
                (Some(literal), Some(any)) => {
                    if self.has(literal, behind, is_message) {
                        return true;
                    }
                    any
                }
                _ => return false,
            };
            rest = behind;
        }
    }

    /// Whether some message reaches both a subscription to `subject` and one to one of them. Looks at each of them
    /// at worst.
    pub fn overlaps(&self, subject: &[u8]) -> bool {
        subject::is_subscribable(subject) && self.meets(0, Some(subject))
    }

    fn meets(&self, at: usize, rest: Option<&[u8]>) -> bool {
        let place = &self.places[at];
        let Some(left) = rest else {
            return place.is_end;
        };
        if place.is_full {
            return true;
        }
        let (token, behind) = split(left);
        let mut next = place.any().into_iter();
        match token {
            b">" => !place.literals.is_empty() || place.any > 0,
            b"*" => {
                let mut literals = place.literals.iter();
                literals.any(|(_, next)| self.meets(*next, behind))
                    || next.any(|next| self.meets(next, behind))
            }
            _ => {
                let mut next = next.chain(place.literal(token));
                next.any(|next| self.meets(next, behind))
            }
        }
    }

    /// Each of them, in the order of the trie.
    pub fn texts(&self) -> Vec<Vec<u8>> {
        let mut texts = Vec::new();
        self.put_texts(0, &[], &mut texts);
        texts
    }

    fn put_texts(&self, at: usize, before: &[u8], texts: &mut Vec<Vec<u8>>) {
        let place = &self.places[at];
        if place.is_end {
            texts.push(before.to_vec());
        }
        let dot: &[u8] = if before.is_empty() { b"" } else { b"." };
        let behind = |token: &[u8]| [before, dot, token].concat();
        for (token, next) in &place.literals {
            self.put_texts(*next, &behind(token), texts);
        }
        if let Some(next) = place.any() {
            self.put_texts(next, &behind(b"*"), texts);
        }
        if place.is_full {
            texts.push(behind(b">"));
        }
    }
}

/// The first token, and what is behind its dot, if it has one.
#[inline]
fn split(subject: &[u8]) -> (&[u8], Option<&[u8]>) {
    match subject.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&subject[..dot], Some(&subject[dot + 1..])),
        None => (subject, None),
    }
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.texts();
        let texts = texts.iter().map(|text| text.escape_ascii().to_string());
        f.debug_set().entries(texts).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(subjects: &[&str], ask: impl Fn(&Subjects, &[u8]) -> bool, yes: &[&str], no: &[&str]) {
        let set = Subjects::new(subjects);
        for (subject, expected) in yes
            .iter()
            .map(|s| (s, true))
            .chain(no.iter().map(|s| (s, false)))
        {
            let answer = ask(&set, subject.as_bytes());
            assert_eq!(answer, expected, "{subject} and {subjects:?}");
        }
    }

    #[test]
    fn a_message_matches_as_it_does_one_by_one() {
        check(
            &["a.b", "a.*.c", "d.>", "e"],
            Subjects::matches,
            &["a.b", "a.x.c", "a.b.c", "d.x", "d.x.y", "d.>", "a.*.c", "e"],
            &[
                "a", "a.x", "a.b.d", "d", "f", "", "d.x.", "d..x", "a..c", "e.",
            ],
        );
        check(
            &[">"],
            Subjects::matches,
            &["a", "*", ">"],
            &["", "a..b", "."],
        );
        check(&[], Subjects::matches, &[], &["a", ""]);
        check(
            &["a..b", "", ">.a"],
            Subjects::matches,
            &[],
            &["a", "a..b", "x.a"],
        );
    }

    #[test]
    fn a_subscription_is_covered_if_one_subject_has_all_of_it() {
        check(
            &["a.*", "b.>", "c"],
            Subjects::covers,
            &["a.x", "a.*", "b.*", "b.>", "b.*.>", "c"],
            &["a.>", "*.x", ">", "*", "b", "a.x.y", "b..x", "c.>"],
        );
        check(&["a.*", "a.*.>"], Subjects::covers, &["a.*.>"], &["a.>"]);
        check(&[">"], Subjects::covers, &[">", "*", "a.>"], &["a..b", ""]);
        check(
            &["*.x", "a.*"],
            Subjects::covers,
            &["a.x", "a.*", "*.x"],
            &["*.*"],
        );
    }

    #[test]
    fn a_subscription_overlaps_if_some_message_reaches_both() {
        check(
            &["a.*", "b.x.>", "c"],
            Subjects::overlaps,
            &[
                "*.x", "a.>", ">", "*", "*.*", "b.>", "b.*.*", "b.x.y", "*.x.y", "c",
            ],
            &[
                "a", "a.x.y", "b", "b.x", "b.y.>", "*.y.*", "d.>", "a..x", ">.a",
            ],
        );
        check(&[], Subjects::overlaps, &[], &[">", "*"]);
    }

    #[test]
    fn equal_sets_are_equal_whatever_their_order() {
        let set = Subjects::new(["b", "a.>", "a.*", "a.>"]);
        assert_eq!(set, Subjects::new(["a.*", "a.>", "b"]));
        assert_eq!(set.texts(), [&b"a.*"[..], b"a.>", b"b"]);
        assert_ne!(set, Subjects::new(["a.*", "b"]));
        assert!(Subjects::new(["", "a.>.b"]).is_empty() && !set.is_empty());
    }
}
