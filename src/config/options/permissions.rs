//! Permissions of a user: what it may publish, and subscribe to.
//!
//! ```text
//! permissions { publish: X, subscribe: X, allow_responses: true | {max: 1, expires: "2m"} }
//! X: a subject | [subjects] | {allow: .., deny: ..}      to subscribe: "subject", or "subject queue"
//! ```

use super::reader::{Reader, go_type};
use crate::config::duration;
use crate::config::language::{Kind, Pair, Position, Value};
use crate::config::{Grant, Permission, Permissions, Responses, Subscriptions};
use midge_protocol::Subjects;
use std::sync::Arc;
use std::time::Duration;

/// Subjects that a list in a file names, of a kind.
type Parse<T> = fn(&[String]) -> Result<T, String>;

impl Reader<'_> {
    /// Reads permissions; what is wrong in them is told, and the rest is what they come to.
    pub(super) fn permissions(&mut self, pair: &Pair) -> Option<Grant> {
        let Kind::Map(map) = &pair.value.kind else {
            let text = format!(
                "Expected permissions to be a map/struct, got {}",
                pair.value.kind
            );
            return self.wrong(pair, text);
        };
        let mut permissions = Permissions::default();
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "publish" | "pub" | "import" => {
                    permissions.publish = self.permission(pair, subjects);
                }
                "subscribe" | "sub" | "export" => {
                    permissions.subscribe = self.permission(pair, subscriptions);
                }
                "allow_responses" | "publish_allow_responses" => {
                    permissions.responses = self.responses(pair);
                }
                _ if pair.used => {}
                _ => self.unknown_in_permissions(pair),
            }
        }
        Some(permissions.into())
    }

    fn unknown_in_permissions(&mut self, pair: &Pair) {
        let text = format!("Unknown field {:?} parsing permissions", pair.key);
        self.report.error(&pair.at, text);
    }

    fn permission<T: Default>(&mut self, pair: &Pair, parse: Parse<T>) -> Permission<T> {
        let Kind::Map(map) = &pair.value.kind else {
            let allow = self.allowed(pair, parse);
            return Permission {
                allow,
                ..Permission::default()
            };
        };
        let mut permission = Permission::default();
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "allow" => permission.allow = self.allowed(pair, parse),
                "deny" => permission.deny = self.subjects(pair, parse).unwrap_or_default(),
                _ if pair.used => {}
                _ => {
                    let text = format!(
                        "Unknown field name {:?} parsing subject permissions, only 'allow' or 'deny' are permitted",
                        pair.key
                    );
                    self.report.error(&pair.at, text);
                }
            }
        }
        permission
    }

    /// What is allowed; an empty list is as good as none.
    fn allowed<T>(&mut self, pair: &Pair, parse: Parse<T>) -> Option<T> {
        if pair.value.as_list().is_some_and(<[Value]>::is_empty) {
            self.ignore(
                pair,
                "the list is empty, so every subject is allowed; to allow none, write deny: \">\"",
            );
            return None;
        }
        self.subjects(pair, parse)
    }

    fn subjects<T>(&mut self, pair: &Pair, parse: Parse<T>) -> Option<T> {
        let one = std::slice::from_ref(&pair.value);
        let values = pair.value.as_list().unwrap_or(one);
        let texts: Vec<Option<String>> = values
            .iter()
            .map(|value| self.subject(value, parse))
            .collect();
        let texts: Vec<String> = texts.into_iter().collect::<Option<_>>()?;
        // Each was looked at by itself, where it stands.
        parse(&texts).ok()
    }

    /// The text of one subject.
    fn subject<T>(&mut self, value: &Value, parse: Parse<T>) -> Option<String> {
        let text = match value.kind {
            Kind::List(_) | Kind::Map(_) | Kind::Bool(_) => {
                let text = format!(
                    "Expected subject permissions to be a subject, or array of subjects, got {}",
                    go_type(&value.kind)
                );
                return self.wrong_at(&value.at, text);
            }
            _ => value.text.clone(),
        };
        match parse(std::slice::from_ref(&text)) {
            Ok(_) => Some(text),
            Err(wrong) => self.wrong_at(&value.at, wrong),
        }
    }

    fn wrong_at<T>(&mut self, at: &Position, text: String) -> Option<T> {
        self.report.error(at, text);
        None
    }

    fn responses(&mut self, pair: &Pair) -> Option<Responses> {
        let map = match &pair.value.kind {
            Kind::Bool(on) => return on.then(Responses::default),
            Kind::Map(map) => map,
            _ => {
                let text = "error parsing response permissions, expected a boolean or a map";
                return self.wrong(pair, text);
            }
        };
        let mut responses = Responses::default();
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "max" | "max_msgs" | "max_messages" | "max_responses" => match self.integer(pair) {
                    None | Some(0) => {}
                    Some(max) if max < 0 => responses.max = None,
                    Some(max) => responses.max = Some(u32::try_from(max).unwrap_or(u32::MAX)),
                },
                "expires" | "expiration" | "ttl" => match self.expiry(pair) {
                    None | Some(0) => {}
                    Some(time) => {
                        responses.expires = u64::try_from(time).ok().map(Duration::from_nanos);
                    }
                },
                _ if pair.used => {}
                _ => self.unknown_in_permissions(pair),
            }
        }
        Some(responses)
    }

    /// Nanoseconds; below zero it is never.
    fn expiry(&mut self, pair: &Pair) -> Option<i64> {
        let key = &pair.key;
        let is_number = pair.value.text.parse::<i64>().is_ok();
        if is_number || !matches!(pair.value.kind, Kind::Text | Kind::Integer(_)) {
            let text = format!("error parsing {key}, not a duration string; write it as \"2m\"");
            return self.wrong(pair, text);
        }
        match duration::nanoseconds(&pair.value.text) {
            Ok(nanoseconds) => Some(nanoseconds),
            Err(wrong) => self.wrong(pair, format!("error parsing {key}: {wrong}")),
        }
    }
}

fn subjects(texts: &[String]) -> Result<Subjects, String> {
    let all = subscriptions(texts)?;
    match all.queues.is_empty() {
        true => Ok(Arc::unwrap_or_clone(all.plain)),
        false => Err(format!(
            "{} names a queue group, which is for subscriptions only",
            texts.join(", ")
        )),
    }
}

fn subscriptions(texts: &[String]) -> Result<Subscriptions, String> {
    let parsed = Subscriptions::parse(texts.iter().map(String::as_str));
    parsed.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    /// Permissions of a user, and what they come to or is told of them.
    fn permissions(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let text = format!("authorization {{default_permissions: {text}}}");
            check(&[(&text, expected)]);
        }
    }

    #[test]
    fn permissions_are_read_in_all_forms_and_by_all_names() {
        permissions(&[
            ("{}", "default_permissions={}"),
            (
                "{publish: a, subscribe: [b, \"c q\"]}",
                "default_permissions={publish: {allow: [a]}, subscribe: {allow: [b, c q]}}",
            ),
            (
                "{pub: {Allow: [a.>, \"b\"], deny: 5}, sub {deny: \"c q.*\"}}",
                "default_permissions={publish: {allow: [a.>, b], deny: [5]}, subscribe: {deny: [c q.*]}}",
            ),
            (
                "{import: a, export: a}",
                "default_permissions={publish: {allow: [a]}, subscribe: {allow: [a]}}",
            ),
            (
                "{allow_responses: true}",
                "default_permissions={allow_responses: {max: 1, expires: 2m0s}}",
            ),
            ("{allow_responses: false}", "default_permissions={}"),
            (
                "{publish_allow_responses {max_msgs: 5, ttl: \"1m\"}}",
                "default_permissions={allow_responses: {max: 5, expires: 1m0s}}",
            ),
            (
                "{allow_responses {max: -1, expires: \"-1s\"}}",
                "default_permissions={allow_responses: {max: -1, expires: -1s}}",
            ),
            (
                "{allow_responses {max_responses: 0, expiration: 5m}}",
                "default_permissions={allow_responses: {max: 1, expires: 5m0s}}",
            ),
            (
                "{publish: [], subscribe {allow: [], deny: []}}",
                "default_permissions={} \
                 ~f:1:38: \"publish\" has no effect: the list is empty, so every subject is allowed; \
                 to allow none, write deny: \">\" \
                 ~f:1:62: \"allow\" has no effect: the list is empty, so every subject is allowed; \
                 to allow none, write deny: \">\"",
            ),
        ]);
    }

    #[test]
    fn what_is_wrong_in_permissions_is_told_where_it_stands() {
        permissions(&[
            (
                "5",
                "f:1:16: Expected permissions to be a map/struct, got a whole number",
            ),
            (
                "{foo: y}",
                "f:1:38: Unknown field \"foo\" parsing permissions",
            ),
            (
                "{pub: {alow: a}}",
                "f:1:44: Unknown field name \"alow\" parsing subject permissions, only 'allow' or 'deny' are permitted",
            ),
            (
                "{pub: [a, foo..bar, \"\"]}",
                "f:1:47: subject \"foo..bar\" is not a valid subject\n\
                 f:1:57: subject \"\" is not a valid subject",
            ),
            (
                "{sub: \"a.>.b q\"}",
                "f:1:43: subject \"a.>.b\" is not a valid subject",
            ),
            (
                "{sub: \"a b c\"}",
                "f:1:43: subject \"a b c\" is not a valid subject",
            ),
            (
                "{pub: \"a b\"}",
                "f:1:43: a b names a queue group, which is for subscriptions only",
            ),
            (
                "{pub: true}",
                "f:1:43: Expected subject permissions to be a subject, or array of subjects, got bool",
            ),
            (
                "{pub: {deny: [[a]]}}",
                "f:1:51: Expected subject permissions to be a subject, or array of subjects, got []interface {}",
            ),
            (
                "{allow_responses: 5}",
                "f:1:38: error parsing response permissions, expected a boolean or a map",
            ),
            (
                "{allow_responses: {foo: 1, max: x, ttl: 5}}",
                "f:1:56: Unknown field \"foo\" parsing permissions\n\
                 f:1:64: interface conversion: interface {} is string, not int64; max takes a whole number, not text\n\
                 f:1:72: error parsing ttl, not a duration string; write it as \"2m\"",
            ),
            (
                "{allow_responses: {expires: \"5x\"}}",
                "f:1:56: error parsing expires: time: unknown unit \"x\" in duration \"5x\"",
            ),
        ]);
    }
}
