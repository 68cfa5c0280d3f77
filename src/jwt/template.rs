//! Templates: the subjects of a scoped signing key, for one user.
//!
//! ```text
//! u.{{name()}}.>          u.joe.>                 the user's name
//! t.{{tag(team)}}.in      t.red.in, t.blue.in     each value of the user's tags `team:value`
//! ```
//!
//! What a user's token says goes into subjects here, and whoever signs it chooses that. So a value with a wildcard, or
//! with a blank, fills nothing: it would let the user in to more than the scope says. (nats-server takes such values
//! as they are.) A dot makes two tokens, as there.
//!
//! A subject that cannot be filled allows nothing, and where none is left to be allowed everything is denied. One that
//! was to deny something cannot be left out: then there are no permissions.

use super::{Lists, Permissions};
use midge_protocol::subject;

/// Most subjects that one list comes to, as in nats-server: tags multiply.
const SUBJECTS_MAX: usize = 4096;

/// What templates stand for.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// `name()`: what people call the user.
    pub name: &'a str,
    /// `subject()`: the user's key.
    pub subject: &'a str,
    /// `tag(key)`: the user's tags, as `key:value`.
    pub tags: &'a [String],
    /// `account-name()`: what people call the account.
    pub account_name: &'a str,
    /// `account-subject()`: the account's key.
    pub account_subject: &'a str,
    /// `account-tag(key)`: the account's tags.
    pub account_tags: &'a [String],
}

/// Why a subject is not filled.
enum Unfilled {
    /// There is no such value, or no such function.
    Missing,
    /// A value is no part of a subject, or there are too many.
    Invalid,
}

/// The permissions with all templates filled in; `None` if something cannot be denied that is to be, or a value is no
/// part of a subject.
pub fn expand(permissions: &Permissions, names: &Names<'_>) -> Option<Permissions> {
    Some(Permissions {
        publish: lists(&permissions.publish, names)?,
        subscribe: lists(&permissions.subscribe, names)?,
        responses: permissions.responses,
    })
}

fn lists(lists: &Lists, names: &Names<'_>) -> Option<Lists> {
    let mut filled = Lists::default();
    for text in &lists.allow {
        match fill(text, names) {
            Ok(subjects) => filled.allow.extend(subjects),
            Err(Unfilled::Missing) => {}
            Err(Unfilled::Invalid) => return None,
        }
    }
    for text in &lists.deny {
        filled.deny.extend(fill(text, names).ok()?);
    }
    // No list at all would be everything.
    if filled.allow.is_empty() && !lists.allow.is_empty() {
        filled.deny.push(">".to_owned());
    }
    let count = filled.allow.len().max(filled.deny.len());
    (count <= SUBJECTS_MAX).then_some(filled)
}

/// Each subject that a text comes to.
fn fill(text: &str, names: &Names<'_>) -> Result<Vec<String>, Unfilled> {
    let mut filled = vec![String::new()];
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (function, behind) = behind.split_once("}}").ok_or(Unfilled::Missing)?;
        let values = values(function, names).ok_or(Unfilled::Missing)?;
        if values.is_empty() {
            return Err(Unfilled::Missing);
        }
        if values.iter().any(|value| !is_part(value)) || filled.len() * values.len() > SUBJECTS_MAX
        {
            return Err(Unfilled::Invalid);
        }
        let each = |begun: &String| {
            let with = |value: &&str| format!("{begun}{before}{value}");
            values.iter().map(with).collect::<Vec<_>>()
        };
        filled = filled.iter().flat_map(each).collect();
        rest = behind;
    }
    filled.iter_mut().for_each(|subject| subject.push_str(rest));
    Ok(filled)
}

/// Whether a value may stand in a subject, where it stands for itself alone.
fn is_part(value: &str) -> bool {
    let is_blank = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control();
    !value.is_empty()
        && !value.bytes().any(is_blank)
        && subject::tokens(value.as_bytes()).all(|token| !token.is_empty())
        && !value.bytes().any(|byte| b"*>".contains(&byte))
}

/// The values of a function; `None` if there is no such function.
fn values<'a>(function: &str, names: &Names<'a>) -> Option<Vec<&'a str>> {
    let (name, argument) = function.trim().split_once('(')?;
    let argument = argument.trim_end().strip_suffix(')')?.trim();
    let tagged = |tags: &'a [String]| {
        let pairs = tags.iter().filter_map(|tag| tag.split_once(':'));
        let of_key = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(argument));
        of_key.map(|(_, value)| value).collect()
    };
    match (name.trim_end().to_ascii_lowercase().as_str(), argument) {
        ("name", "") => Some(vec![names.name]),
        ("subject", "") => Some(vec![names.subject]),
        ("account-name", "") => Some(vec![names.account_name]),
        ("account-subject", "") => Some(vec![names.account_subject]),
        ("tag", _) => Some(tagged(names.tags)),
        ("account-tag", _) => Some(tagged(names.account_tags)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn filled(allow: &[&str], deny: &[&str]) -> Option<Lists> {
        let tags = ["team:red", "team:blue", "wild:>", "dot:a.b"].map(str::to_owned);
        let names = Names {
            name: "Joe",
            subject: "U1",
            tags: &tags,
            account_name: "acc",
            account_subject: "A1",
            account_tags: &["env:test".to_owned()],
        };
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let lists = Lists {
            allow: texts(allow),
            deny: texts(deny),
        };
        super::lists(&lists, &names)
    }

    #[test]
    fn functions_stand_for_what_tokens_say_and_tags_multiply() {
        for (text, expected) in [
            ("a.b", vec!["a.b"]),
            ("u.{{name()}}.>", vec!["u.Joe.>"]),
            ("{{ Subject() }}.{{ACCOUNT-NAME()}}", vec!["U1.acc"]),
            ("x-{{account-subject()}} q", vec!["x-A1 q"]),
            ("{{account-tag(ENV)}}", vec!["test"]),
            (
                "{{tag(team)}}.{{tag(team)}}",
                vec!["red.red", "red.blue", "blue.red", "blue.blue"],
            ),
            ("{{tag(dot)}}", vec!["a.b"]),
        ] {
            let lists = filled(&[text], &[]).expect(text);
            assert_eq!(lists.allow, expected, "{text}");
            let lists = filled(&[], &[text]).expect(text);
            assert_eq!(lists.deny, expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_allows_nothing_and_must_not_be_what_denies() {
        for text in [
            "a.{{tag(none)}}",
            "a.{{who()}}",
            "a.{{name(x)}}",
            "a.{{name()",
        ] {
            let lists = filled(&["b", text], &[]).expect(text);
            assert_eq!((lists.allow, lists.deny.len()), (vec!["b".to_owned()], 0));
            let lists = filled(&[text], &[]).expect(text);
            assert_eq!((lists.allow.len(), lists.deny), (0, vec![">".to_owned()]));
            assert_eq!(filled(&["b"], &[text]), None, "{text}");
        }
    }

    #[test]
    fn a_value_with_a_wildcard_fills_nothing() {
        assert_eq!(filled(&["p.{{tag(wild)}}"], &[]), None);
        for value in ["", "*", ">", "a.*", "a b", "a\t", ".a", "a..b"] {
            assert!(!is_part(value), "{value:?}");
        }
        assert!(is_part("a.b-c"));
    }

    #[test]
    fn a_subject_of_very_many_tags_is_refused() {
        assert_eq!(filled(&[&"{{tag(team)}}.".repeat(13)], &[]), None);
    }
}
