//! Subjects as they are typed, looked at before anything is sent: the broker takes what reaches no subscriber
//! without a word.

use midge_protocol::subject;

/// Where a message may go: a subject that can be subscribed to, without wildcards.
pub(super) fn literal(text: &str) -> Result<String, String> {
    whole(text)?;
    if subject::has_wildcard(text.as_bytes()) {
        return Err("a message has one subject; * and > are only for subscriptions".to_owned());
    }
    Ok(text.to_owned())
}

/// What may be subscribed to.
pub(super) fn pattern(text: &str) -> Result<String, String> {
    whole(text)?;
    if !subject::is_subscribable(text.as_bytes()) {
        return Err("> stands for all following tokens, so it must be at the end".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a queue group, which is no subject.
pub(super) fn queue(text: &str) -> Result<String, String> {
    word(text, "the name of a queue group")
}

fn whole(text: &str) -> Result<(), String> {
    word(text, "a subject")?;
    if subject::has_empty_token(text.as_bytes()) {
        return Err(
            "an empty token; write no dot at the beginning, at the end or beside another"
                .to_owned(),
        );
    }
    Ok(())
}

/// What can be one word of a control line.
fn word(text: &str, what: &str) -> Result<String, String> {
    let bad = |c: char| c.is_whitespace() || c.is_control();
    if text.is_empty() || text.contains(bad) {
        return Err(format!("{what} has no blanks, and is not empty"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_subject_is_said() {
        for (text, to_publish, to_subscribe) in [
            ("a", "", ""),
            ("a.b-c.$d", "", ""),
            ("a*.b>", "", ""),
            ("a.*", "one subject", ""),
            ("*", "one subject", ""),
            ("a.>", "one subject", ""),
            (">.a", "one subject", "at the end"),
            ("a.>.>", "one subject", "at the end"),
            ("a..b", "empty token", "empty token"),
            (".a", "empty token", "empty token"),
            ("a.", "empty token", "empty token"),
            (".", "empty token", "empty token"),
            ("a..*", "empty token", "empty token"),
            ("", "no blanks", "no blanks"),
            ("a b", "no blanks", "no blanks"),
            ("a\r\nPUB b 0", "no blanks", "no blanks"),
            ("a\u{a0}b", "no blanks", "no blanks"),
        ] {
            for (found, expected) in [(literal(text), to_publish), (pattern(text), to_subscribe)] {
                match found {
                    Ok(same) => assert_eq!((same.as_str(), expected), (text, "")),
                    Err(error) => assert!(
                        !expected.is_empty() && error.contains(expected),
                        "{text:?}: {error}"
                    ),
                }
            }
        }
        assert!(queue("g.*").is_ok() && queue("g h").is_err() && queue("").is_err());
    }
}
