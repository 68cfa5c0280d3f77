//! Subject mappings.
//!
//! ```text
//! mappings {
//!   foo: bar
//!   "orders.*": [ {destination: "by.$1", weight: 90%}, {destination: "trial.$1", weight: 10} ]
//!   x: {destination: y, weight: 100, cluster: east}
//! }
//! ```

use super::reader::{Reader, go_type};
use crate::config::language::{Kind, Map, Pair, Value};
use crate::mapping::{Destination, Mapping};

/// What a mapping leads to, as it may be written.
const WANTED: &str = "Expected an entry for the mapping destination; write a subject, or a list of \
                      {destination: SUBJECT, weight: PERCENT}";

impl Reader<'_> {
    /// Reads mappings; `None` if anything is wrong with them.
    pub(super) fn mappings(&mut self, pair: &Pair) -> Option<Vec<Mapping>> {
        let map = self.map(pair)?;
        let all: Vec<Option<Mapping>> = map.iter().map(|pair| self.mapping(pair)).collect();
        all.into_iter().collect()
    }

    fn mapping(&mut self, pair: &Pair) -> Option<Mapping> {
        let destinations = match &pair.value.kind {
            Kind::Text => vec![Destination::to(&pair.value.text)],
            Kind::Map(map) => vec![self.destination(pair, map)?],
            Kind::List(list) => {
                let all: Vec<Option<Destination>> = list
                    .iter()
                    .map(|value| self.destination_in(pair, value))
                    .collect();
                all.into_iter().collect::<Option<_>>()?
            }
            _ => return self.wrong(pair, WANTED),
        };
        match Mapping::new(&pair.key, destinations) {
            Ok(mapping) => Some(mapping),
            Err(wrong) => self.wrong(pair, wrong.to_string()),
        }
    }

    fn destination_in(&mut self, pair: &Pair, value: &Value) -> Option<Destination> {
        if let Kind::Map(map) = &value.kind {
            return self.destination(pair, map);
        }
        self.report.error(&value.at, WANTED);
        None
    }

    /// One of those that `mapping` leads to.
    fn destination(&mut self, mapping: &Pair, map: &Map) -> Option<Destination> {
        let (mut subject, mut weight, mut cluster) = (None, None, None);
        let mut is_wrong = false;
        for pair in map.iter() {
            let key = pair.key.to_ascii_lowercase();
            match key.as_str() {
                "dest" | "destination" => subject = self.text(pair),
                "weight" => weight = self.weight(pair),
                "cluster" => cluster = self.text(pair),
                _ if pair.used => continue,
                _ => {
                    let text = format!(
                        "Unknown field {:?} for mapping destination; use destination, weight or cluster",
                        pair.key
                    );
                    self.report.error(&pair.at, text);
                    is_wrong = true;
                }
            }
            is_wrong |= match key.as_str() {
                "dest" | "destination" => subject.is_none(),
                "weight" => weight.is_none(),
                "cluster" => cluster.is_none(),
                _ => false,
            };
        }
        if is_wrong {
            return None;
        }
        let Some(subject) = subject else {
            let text = format!("Missing destination for mapping {:?}", mapping.key);
            return self.wrong(mapping, text);
        };
        let Some(weight) = weight else {
            let text = format!(
                "Missing weight for mapping destination {subject:?}; write weight: 100 for all messages"
            );
            return self.wrong(mapping, text);
        };
        Some(Destination {
            subject,
            weight,
            cluster,
        })
    }

    /// A number of percent, with or without the sign.
    fn weight(&mut self, pair: &Pair) -> Option<u8> {
        let number = match &pair.value.kind {
            Kind::Integer(number) => Some(*number),
            Kind::Text => pair.value.text.trim_end_matches('%').parse().ok(),
            kind => {
                let text = format!(
                    "Unknown entry type for weight of {}; use a whole number from 0 to 100",
                    match kind {
                        Kind::Float(_) | Kind::Bool(_) | Kind::TooLarge => &pair.value.text,
                        _ => go_type(kind),
                    }
                );
                return self.wrong(pair, text);
            }
        };
        let number = number.and_then(|number| u8::try_from(number).ok());
        number.filter(|number| *number <= 100).or_else(|| {
            let text = &pair.value.text;
            let text = format!(
                "Invalid weight {text} for mapping destination; use 0 to 100, or 0% to 100%"
            );
            self.wrong(pair, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    /// Mappings, and what they come to or is told of them.
    fn mappings(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            check(&[(&format!("mappings {{{text}}}"), expected)]);
        }
    }

    #[test]
    fn mappings_are_read_in_all_forms() {
        mappings(&[
            ("", ""),
            ("foo: bar", "mappings=[foo -> bar]"),
            (
                "\"a.*.>\": \"b.$1.>\", 5: \"6\", c: []",
                "mappings=[a.*.> -> b.$1.>, 5 -> 6, c -> []]",
            ),
            (
                "a: {dest: b, weight: 50}, c: [{Destination: d, Weight: 50%}, {dest: e, weight: \"5\"}]",
                "mappings=[a -> [b 50%], c -> [d 50%, e 5%]]",
            ),
            (
                "a: {dest: b, weight: 100, cluster: east}",
                "mappings=[a -> [b 100% in cluster east]]",
            ),
            ("a: b, a: c", "mappings=[a -> c]"),
        ]);
        check(&[("MAPS {a: b}", "mappings=[a -> b]")]);
    }

    #[test]
    fn what_is_wrong_in_mappings_is_told_where_it_stands() {
        mappings(&[
            (
                "a: 5, b: [c]",
                "f:1:11: Expected an entry for the mapping destination; write a subject, or a list of \
                 {destination: SUBJECT, weight: PERCENT}\n\
                 f:1:21: Expected an entry for the mapping destination; write a subject, or a list of \
                 {destination: SUBJECT, weight: PERCENT}",
            ),
            (
                "a: {dest: b}, c: {weight: 5}, d: {dest: e, weight: 101}, f: {dest: g, weight: \"x%\"}",
                "f:1:11: Missing weight for mapping destination \"b\"; write weight: 100 for all messages\n\
                 f:1:25: Missing destination for mapping \"c\"\n\
                 f:1:54: Invalid weight 101 for mapping destination; use 0 to 100, or 0% to 100%\n\
                 f:1:81: Invalid weight x% for mapping destination; use 0 to 100, or 0% to 100%",
            ),
            (
                "a: {dest: b, weight: 33.3}, c: {dest: [], weight: 5, foo: 1}",
                "f:1:24: Unknown entry type for weight of 33.3; use a whole number from 0 to 100\n\
                 f:1:43: interface conversion: interface {} is []interface {}, not string; dest takes text, not a list\n\
                 f:1:64: Unknown field \"foo\" for mapping destination; use destination, weight or cluster",
            ),
            (
                "\"a..b\": c, d: [{dest: e, weight: 60}, {dest: f, weight: 41}], g: \"h..i\"",
                "f:1:11: Subject \"a..b\" is not a valid subject\n\
                 f:1:22: Error adding mapping for \"d\" : total weight needs to be <= 100\n\
                 f:1:73: Error adding mapping for \"g\" to \"h..i\" : invalid subject; a destination has no empty \
                 token, and > at its end only",
            ),
        ]);
        check(&[(
            "maps: 5",
            "f:1:1: interface conversion: interface {} is int64, not map[string]interface {}; maps takes a map in \
             { }, not a whole number",
        )]);
    }
}
