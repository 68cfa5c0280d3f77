//! `subject::matches` against an oracle that works differently: patterns as sets.

use midge_protocol::subject;
use proptest::prelude::*;

/// Matches from the back to the front of a table: `table[i][j]` is whether the pattern's tokens
/// from `i` on match the subject's tokens from `j` on.
fn oracle(pattern: &str, published: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let published: Vec<&str> = published.split('.').collect();
    if pattern.contains(&"") || published.contains(&"") {
        return false;
    }
    if pattern.iter().rev().skip(1).any(|&token| token == ">") {
        return false;
    }
    let (rows, columns) = (pattern.len(), published.len());
    let mut table = vec![vec![false; columns + 1]; rows + 1];
    table[rows][columns] = true;
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            table[i][j] = match pattern[i] {
                ">" => true,
                "*" => table[i + 1][j + 1],
                token => token == published[j] && table[i + 1][j + 1],
            };
        }
    }
    table[0][0]
}

/// Few letters and many dots, so that a random pair often matches.
fn pattern_or_subject() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "(a|b|\\*|>|a\\*)(\\.(a|b|\\*)){0,4}(\\.>)?",
        1 => "[ab*>.]{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn matches_agrees_with_the_oracle(
        pattern in pattern_or_subject(),
        published in pattern_or_subject(),
    ) {
        prop_assert_eq!(
            subject::matches(pattern.as_bytes(), published.as_bytes()),
            oracle(&pattern, &published)
        );
    }

    #[test]
    fn literal_reaches_itself_and_the_full_wildcard(published in pattern_or_subject()) {
        let bytes = published.as_bytes();
        prop_assert_eq!(subject::matches(b">", bytes), !subject::has_empty_token(bytes));
        prop_assert_eq!(subject::matches(bytes, bytes), subject::is_subscribable(bytes));
    }

    #[test]
    fn forms_follow_from_one_another(text in pattern_or_subject()) {
        let text = text.as_bytes();
        let literal = subject::is_literal_form(text);
        prop_assert_eq!(literal, !subject::has_empty_token(text) && !subject::has_wildcard(text));
        prop_assert!(!literal || subject::is_subscribable(text));
        prop_assert!(!subject::is_subscribable(text) || !subject::has_empty_token(text));
    }
}
