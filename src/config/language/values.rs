//! What a file comes to: a tree of values, each with its place, its text and its origin.

use super::error::Position;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// One value. Where text is wanted, it is [`text`](Value::text), however the word looks: `12345`, `1e3`
/// and `on` are good passwords.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// A scalar's text: what quotes and escapes stand for, and a bare word letter by letter. Empty
    /// for lists and maps.
    pub text: String,
    /// Where it stands; for one that was named by `$NAME`, where the name stands.
    pub at: Position,
    /// Where it came from.
    pub origin: Origin,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text: in quotes, in a block, or a bare word that is nothing else.
    Text,
    /// `true yes on` or `false no off`, bare, in any case.
    Bool(bool),
    /// A whole number, multiplied by its suffix if it has one.
    Integer(i64),
    /// A whole number that does not fit into 64 bits.
    TooLarge,
    /// A number with a decimal point.
    Float(f64),
    /// Values in `[ ]`.
    List(Vec<Value>),
    /// Pairs in `{ }`.
    Map(Map),
}

/// Where a value came from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Origin {
    /// It is written where it stands.
    #[default]
    Written,
    /// `$NAME`, and a pair of that name stands above.
    Variable(Arc<str>),
    /// `$NAME`, and the environment has it.
    Environment(Arc<str>),
}

impl Value {
    /// The pairs, if it is a map.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The values, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match &self.kind {
            Kind::List(list) => Some(list),
            _ => None,
        }
    }

    /// How many values it is, itself and all within. Looks at each.
    pub(super) fn size(&self) -> usize {
        let within: usize = match &self.kind {
            Kind::List(list) => list.iter().map(Value::size).sum(),
            Kind::Map(map) => map.pairs.iter().map(|pair| pair.value.size()).sum(),
            _ => 0,
        };
        within + 1
    }

    /// How deep lists and maps stand in one another in it; a scalar has no depth. Looks at each value.
    pub(super) fn depth(&self) -> usize {
        let within = match &self.kind {
            Kind::List(list) => list.iter().map(Value::depth).max(),
            Kind::Map(map) => map.pairs.iter().map(|pair| pair.value.depth()).max(),
            _ => return 0,
        };
        within.unwrap_or(0) + 1
    }

    /// The text, if it is a scalar of any kind.
    pub fn as_text(&self) -> Option<&str> {
        match self.kind {
            Kind::List(_) | Kind::Map(_) => None,
            _ => Some(&self.text),
        }
    }
}

impl fmt::Display for Kind {
    /// What an operator calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Text => "text",
            Kind::Bool(_) => "a truth value",
            Kind::Integer(_) | Kind::TooLarge => "a whole number",
            Kind::Float(_) => "a number with a point",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        })
    }
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The key, as it was written but for its quotes.
    pub key: String,
    /// Where the key stands.
    pub at: Position,
    /// The value.
    pub value: Value,
    /// Whether a `$KEY` has named it: then it need not be an option.
    pub used: bool,
}

/// Pairs in the order in which they stand. Of several with one key the last counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    pairs: Vec<Pair>,
}

impl Map {
    /// The pair of this key, letter by letter. Looks at all.
    pub fn get(&self, key: &str) -> Option<&Pair> {
        self.pairs.iter().rev().find(|pair| pair.key == key)
    }

    /// The pairs that count, in the order in which they stand. Looks at each once.
    pub fn iter(&self) -> impl Iterator<Item = &Pair> {
        let mut later = HashSet::with_capacity(self.pairs.len());
        let pairs = self.pairs.iter().rev();
        let counting: Vec<&Pair> = pairs.filter(|pair| later.insert(&*pair.key)).collect();
        counting.into_iter().rev()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub(super) fn push(&mut self, pair: Pair) {
        self.pairs.push(pair);
    }

    pub(super) fn append(&mut self, mut other: Map) {
        self.pairs.append(&mut other.pairs);
    }

    /// The value of this key, which is from now on one that was named.
    pub(super) fn name(&mut self, key: &str) -> Option<&Value> {
        let pair = self.pairs.iter_mut().rev().find(|pair| pair.key == key)?;
        pair.used = true;
        Some(&pair.value)
    }
}
