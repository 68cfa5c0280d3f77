//! Subjects with wildcards against each other: which of many cover one or overlap it, and what two have in common.
//!
//! `midge_protocol::Subjects` answers whether there is one. Here it matters which.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Many patterns, each with a number. A trie by token; what is looked for goes down it with a stack of its own, since
/// a subject in a file may be as long as it likes. Tokens are kept as `T`: borrowed, or their own copies.
#[derive(Debug)]
pub(crate) struct Patterns<T> {
    /// The first is the root.
    places: Vec<Place<T>>,
}

#[derive(Debug)]
struct Place<T> {
    literals: HashMap<T, usize>,
    /// Behind `*`.
    any: Option<usize>,
    /// Those whose `>` is the next token.
    full: Vec<usize>,
    /// Those that end here.
    end: Vec<usize>,
}

impl<T> Default for Place<T> {
    fn default() -> Place<T> {
        Place {
            literals: HashMap::new(),
            any: None,
            full: Vec::new(),
            end: Vec::new(),
        }
    }
}

impl<T> Default for Patterns<T> {
    fn default() -> Patterns<T> {
        Patterns {
            places: vec![Place::default()],
        }
    }
}

impl<T: Borrow<str> + Eq + Hash> Patterns<T> {
    /// These, numbered by the second of each pair.
    pub(crate) fn new<'p>(patterns: impl IntoIterator<Item = (&'p str, usize)>) -> Patterns<T>
    where
        T: From<&'p str>,
    {
        let mut all = Patterns::default();
        for (pattern, number) in patterns {
            all.insert(pattern, number);
        }
        all
    }

    /// Adds one.
    pub(crate) fn insert<'p>(&mut self, pattern: &'p str, number: usize)
    where
        T: From<&'p str>,
    {
        let places = &mut self.places;
        let mut at = 0;
        let mut is_full = false;
        for token in pattern.split('.') {
            if token == ">" {
                is_full = true;
                break;
            }
            let next = places.len();
            let place = &mut places[at];
            at = match token {
                "*" => *place.any.get_or_insert(next),
                _ => match place.literals.get(token) {
                    Some(child) => *child,
                    None => *place.literals.entry(token.into()).or_insert(next),
                },
            };
            if at == next {
                places.push(Place::default());
            }
        }
        match is_full {
            true => places[at].full.push(number),
            false => places[at].end.push(number),
        }
    }

    /// Those that some subject matches that matches `pattern` too, in order; no more than `max`, whichever those are.
    pub(crate) fn overlapping(&self, pattern: &str, max: usize) -> Vec<usize> {
        self.overlapping_within(pattern, max, usize::MAX).0
    }

    /// As [`overlapping`](Patterns::overlapping), for no more work than `work_max`; and how much it was. A place of the trie
    /// is one, and so is what is found. It is more than `work_max` if there was more to do.
    pub(crate) fn overlapping_within(
        &self,
        pattern: &str,
        max: usize,
        work_max: usize,
    ) -> (Vec<usize>, usize) {
        let tokens: Vec<&str> = pattern.split('.').collect();
        let mut found = Vec::new();
        let mut places = 0;
        // With `None` all that is below is wanted.
        let mut ahead = vec![(0, Some(&tokens[..]))];
        while let Some((at, tokens)) = ahead.pop() {
            let place = &self.places[at];
            let children = place.literals.values().copied().chain(place.any);
            places += 1;
            // One more than may be, which tells that there was more.
            let left = work_max.saturating_add(1).saturating_sub(places);
            let wanted = max.min(left).saturating_sub(found.len());
            match tokens {
                Some([]) => found.extend(place.end.iter().take(wanted)),
                None => found.extend(place.full.iter().chain(&place.end).take(wanted)),
                Some(_) => found.extend(place.full.iter().take(wanted)),
            }
            if found.len() >= max || places + found.len() > work_max {
                break;
            }
            match tokens {
                Some([]) => {}
                None | Some([">", ..]) => ahead.extend(children.map(|child| (child, None))),
                Some(["*", rest @ ..]) => ahead.extend(children.map(|child| (child, Some(rest)))),
                Some([token, rest @ ..]) => {
                    let literal = place.literals.get(token).copied();
                    let both = literal.into_iter().chain(place.any);
                    ahead.extend(both.map(|child| (child, Some(rest))));
                }
            }
        }
        found.sort_unstable();
        let work = places + found.len();
        (found, work)
    }

    /// Those that every subject matches that matches `pattern`.
    pub(crate) fn covering(&self, pattern: &str) -> Vec<usize> {
        let tokens: Vec<&str> = pattern.split('.').collect();
        let mut found = Vec::new();
        let mut ahead = vec![(0, &tokens[..])];
        while let Some((at, tokens)) = ahead.pop() {
            let place = &self.places[at];
            let Some((token, rest)) = tokens.split_first() else {
                found.extend(&place.end);
                continue;
            };
            found.extend(&place.full);
            let literal = match *token {
                ">" => continue,
                "*" => None,
                token => place.literals.get(token).copied(),
            };
            let both = literal.into_iter().chain(place.any);
            ahead.extend(both.map(|child| (child, rest)));
        }
        found.sort_unstable();
        found
    }
}

/// The pattern of the subjects that match both; `None` if there are none.
pub(crate) fn common(one: &str, other: &str) -> Option<String> {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    let mut common: Vec<&str> = Vec::new();
    loop {
        let both = (ones.next(), others.next());
        common.push(match both {
            (None, None) => return Some(common.join(".")),
            (None, _) | (_, None) => return None,
            (Some(">"), Some(token)) => {
                common.push(token);
                common.extend(others);
                return Some(common.join("."));
            }
            (Some(token), Some(">")) => {
                common.push(token);
                common.extend(ones);
                return Some(common.join("."));
            }
            (Some("*"), Some(token)) | (Some(token), Some("*")) => token,
            (Some(token), Some(same)) if token == same => token,
            _ => return None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use midge_protocol::{Subjects, subject};
    use proptest::prelude::*;

    #[test]
    fn what_two_patterns_have_in_common_is_a_pattern() {
        for (one, other, expected) in [
            ("a", "a", Some("a")),
            ("a", "b", None),
            ("a.*", "a.b", Some("a.b")),
            ("a.*", "*.b", Some("a.b")),
            ("a.*", "a", None),
            ("a.>", "a", None),
            ("a.>", "a.*", Some("a.*")),
            ("a.>", "*.b.*.>", Some("a.b.*.>")),
            (">", ">", Some(">")),
            (">", "a.*.c", Some("a.*.c")),
        ] {
            assert_eq!(common(one, other).as_deref(), expected, "{one} {other}");
            assert_eq!(common(other, one).as_deref(), expected, "{other} {one}");
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        let tokens = proptest::collection::vec(prop_oneof!["[ab]", Just("*".to_owned())], 1..4);
        (tokens, any::<bool>()).prop_map(|(mut tokens, is_full)| {
            if is_full {
                tokens.push(">".to_owned());
            }
            tokens.join(".")
        })
    }

    proptest! {
        #[test]
        fn which_patterns_overlap_or_cover_is_as_each_alone_says(
            all in proptest::collection::vec(pattern(), 0..8),
            asked in prop_oneof![pattern(), Just(">".to_owned())],
        ) {
            let patterns = Patterns::<&str>::new(all.iter().enumerate().map(|(number, one)| (one.as_str(), number)));
            let those = |is: &dyn Fn(&Subjects) -> bool| -> Vec<usize> {
                let each = all.iter().enumerate();
                let each = each.filter(|(_, one)| is(&Subjects::new([one.as_str()])));
                each.map(|(number, _)| number).collect()
            };
            let overlapping = those(&|one| one.overlaps(asked.as_bytes()));
            let some = patterns.overlapping(&asked, 2);
            prop_assert_eq!(some.len(), overlapping.len().min(2));
            prop_assert!(some.iter().all(|one| overlapping.contains(one)));
            prop_assert_eq!(patterns.overlapping(&asked, usize::MAX), overlapping);
            prop_assert_eq!(patterns.covering(&asked), those(&|one| one.covers(asked.as_bytes())));
        }

        #[test]
        fn a_subject_matches_what_is_common_if_it_matches_both(
            one in pattern(), other in pattern(), given in "[ab](\\.[ab]){0,4}",
        ) {
            let matches = |pattern: &str| subject::matches(pattern.as_bytes(), given.as_bytes());
            let common = common(&one, &other);
            prop_assert_eq!(common.is_some_and(|common| matches(&common)), matches(&one) && matches(&other));
        }
    }
}
