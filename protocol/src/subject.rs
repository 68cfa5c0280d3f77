//! Subject grammar: tokens between dots, two wildcards, and the obvious way to match.
//!
//! ```text
//! orders.*.eu.>      tokens: "orders"  "*"  "eu"  ">"
//!        |    |
//!        |    any number of tokens, at least one; only as the last token
//!        any one token
//! ```
//!
//! `*` and `>` are wildcards only as a whole token; `a*` and `b>` are ordinary text. Comparison is
//! by bytes, so letter case counts and UTF-8 is not required.

/// The tokens of `subject`, in order. Always at least one, which may be empty.
pub fn tokens(subject: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    subject.split(|&byte| byte == b'.')
}

/// How many tokens `subject` has, empty ones included.
pub fn token_count(subject: &[u8]) -> usize {
    subject.iter().filter(|&&byte| byte == b'.').count() + 1
}

/// Whether a client may subscribe to `subject`: no empty token, and `>` at most as the last one.
pub fn is_subscribable(subject: &[u8]) -> bool {
    let mut full_seen = false;
    for token in tokens(subject) {
        if token.is_empty() || full_seen {
            return false;
        }
        full_seen = token == b">";
    }
    true
}

/// Whether `subject` names exactly one subject: no empty token and no wildcard. What a pedantic
/// client must publish to.
pub fn is_literal_form(subject: &[u8]) -> bool {
    tokens(subject).all(|token| !token.is_empty() && !is_wildcard(token))
}

/// Whether some token of `subject` is empty. A message published there reaches no subscription.
pub fn has_empty_token(subject: &[u8]) -> bool {
    let [first, .., last] = subject else {
        return matches!(subject, [] | [b'.']);
    };
    // All of them, since that takes many at once: to stop at the first would take them one by one.
    let neighbours = subject.iter().zip(&subject[1..]);
    let is_one = neighbours.fold(false, |is_one, (one, next)| {
        is_one | ((*one == b'.') & (*next == b'.'))
    });
    is_one | (*first == b'.') | (*last == b'.')
}

/// Whether some whole token of `subject` is `*` or `>`.
pub fn has_wildcard(subject: &[u8]) -> bool {
    tokens(subject).any(is_wildcard)
}

/// Whether a message published to `subject` reaches a subscription to `pattern`, the obvious way.
///
/// Wildcards mean something in `pattern` only: in a published subject they are ordinary tokens, so
/// `foo.*` as a subject reaches `foo.*`, `foo.>` and `>`, but not `foo.bar`. A subject with an
/// empty token reaches nothing, not even `>`. A pattern that no client may subscribe to
/// ([`is_subscribable`]) matches nothing.
///
/// Cost: one pass, no allocation; but one pass per pattern. The broker's trie answers for all
/// patterns at once and is tested against this.
///
/// ```
/// use midge_protocol::subject::matches;
///
/// assert!(matches(b"foo.*", b"foo.bar"));
/// assert!(matches(b"foo.>", b"foo.bar.baz"));
/// assert!(!matches(b"foo.>", b"foo"));
/// ```
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    if !is_subscribable(pattern) || has_empty_token(subject) {
        return false;
    }
    let mut wanted = tokens(pattern);
    let mut given = tokens(subject);
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(b">"), Some(_)) => return true,
            (Some(want), Some(token)) if want == b"*" || want == token => {}
            _ => return false,
        }
    }
}

fn is_wildcard(token: &[u8]) -> bool {
    matches!(token, b"*" | b">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, reached: &[&str], missed: &[&str]) {
        for subject in reached {
            assert!(
                matches(pattern.as_bytes(), subject.as_bytes()),
                "{subject} must reach {pattern}"
            );
        }
        for subject in missed {
            assert!(
                !matches(pattern.as_bytes(), subject.as_bytes()),
                "{subject} must not reach {pattern}"
            );
        }
    }

    #[test]
    fn literal_matches_only_itself() {
        check("foo.bar", &["foo.bar"], &["foo", "foo.bar.baz", "FOO.BAR"]);
    }

    #[test]
    fn star_matches_exactly_one_token() {
        check("foo.*", &["foo.a"], &["foo", "foo.a.b"]);
        check("*", &["a", "*", ">"], &["a.b"]);
        check("foo.*.bar", &["foo.x.bar"], &["foo.bar", "foo.x.y.bar"]);
        check("*.b.*", &["a.b.c"], &["a.b", "a.b.c.d"]);
    }

    #[test]
    fn full_wildcard_matches_one_token_or_more() {
        check("foo.>", &["foo.a", "foo.a.b.c"], &["foo"]);
        check(">", &["a", "$SYS.x", "_INBOX.x"], &[]);
        check("foo.*.>", &["foo.a.b"], &["foo.a"]);
    }

    #[test]
    fn wildcard_bytes_inside_a_longer_token_are_text() {
        check("foo.*bar", &["foo.*bar"], &["foo.xbar"]);
        check("foo.b>", &["foo.b>"], &["foo.bx", "foo.b.x"]);
    }

    #[test]
    fn wildcards_in_a_published_subject_are_ordinary_tokens() {
        for pattern in ["foo.*", "foo.>", ">"] {
            check(pattern, &["foo.*", "foo.>"], &[]);
        }
        check("foo.bar", &[], &["foo.*", "foo.>"]);
    }

    #[test]
    fn subject_with_an_empty_token_reaches_nothing() {
        for pattern in [">", "*", "a.>", "*.*", "a.*.b", "a..b", ".", ""] {
            check(pattern, &[], &["a..b", ".a", "a.", ".", ""]);
        }
    }

    #[test]
    fn forms_are_told_apart() {
        //       subject     subscribable literal  empty  wildcard
        let table: &[(&str, bool, bool, bool, bool)] = &[
            ("a", true, true, false, false),
            ("a.b.c", true, true, false, false),
            ("a.*", true, false, false, true),
            ("*", true, false, false, true),
            (">", true, false, false, true),
            ("a.>", true, false, false, true),
            ("a.>.b", false, false, false, true),
            (">.a", false, false, false, true),
            (">.>", false, false, false, true),
            ("foo.*bar", true, true, false, false),
            ("b>", true, true, false, false),
            ("", false, false, true, false),
            (".", false, false, true, false),
            (".a", false, false, true, false),
            ("a.", false, false, true, false),
            ("a..b", false, false, true, false),
            ("a..*", false, false, true, true),
        ];
        for &(subject, subscribable, literal, empty, wildcard) in table {
            let bytes = subject.as_bytes();
            assert_eq!(
                is_subscribable(bytes),
                subscribable,
                "subscribable {subject}"
            );
            assert_eq!(is_literal_form(bytes), literal, "literal {subject}");
            assert_eq!(has_empty_token(bytes), empty, "empty {subject}");
            assert_eq!(has_wildcard(bytes), wildcard, "wildcard {subject}");
        }
    }

    #[test]
    fn tokens_are_counted_with_the_empty_ones() {
        for (subject, count) in [("", 1), ("a", 1), ("a.b", 2), ("..", 3), ("a.>", 2)] {
            assert_eq!(token_count(subject.as_bytes()), count, "{subject}");
            assert_eq!(tokens(subject.as_bytes()).count(), count, "{subject}");
        }
    }
}
