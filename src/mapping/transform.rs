//! `Transform`: from a subject that matches a source to another one.
//!
//! ```text
//! source        orders.*.*.>
//! destination   by.{{wildcard(2)}}.$1.>
//! parts         "by."  token 2  "."  token 1  "."  tokens from 3 on
//! ```
//!
//! A source that ends in `>` needs a destination that does, and the other way round. Not every `*` of a source need be
//! used.
//!
//! A transform is read from a destination as it is written, or made of [`Piece`]s by who has read it: what an import
//! does with a subject is told by two patterns, in which a token such as `$1` may be text.

use super::function::Function;
use midge_protocol::subject;

/// What a subject is put together from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Transform {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    /// One token or more, with their dots.
    Text(Vec<u8>),
    Function(Function),
    /// What is left of the subject from this token on.
    Rest(usize),
}

/// What stands between two dots of a destination; a text may have dots of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Piece<'t> {
    Text(&'t str),
    /// This token of the subject, from 0.
    Token(usize),
    /// All tokens of the subject from this one on.
    Rest(usize),
}

impl Transform {
    /// Puts these together, with dots between them.
    pub(crate) fn of<'t>(pieces: impl IntoIterator<Item = Piece<'t>>) -> Transform {
        let mut parts = Vec::new();
        for piece in pieces {
            if !parts.is_empty() {
                put_text(".", &mut parts);
            }
            match piece {
                Piece::Text(text) => put_text(text, &mut parts),
                Piece::Token(place) => parts.push(Part::Function(Function::Wildcard(place))),
                Piece::Rest(place) => parts.push(Part::Rest(place)),
            }
        }
        Transform { parts }
    }

    /// From `source`, which may be subscribed to.
    ///
    /// # Errors
    /// What is wrong with `destination`.
    pub(crate) fn new(source: &str, destination: &str) -> Result<Transform, String> {
        let sources: Vec<&[u8]> = subject::tokens(source.as_bytes()).collect();
        let places = sources.iter().enumerate();
        let wildcards: Vec<usize> = places
            .filter(|(_, token)| **token == b"*")
            .map(|(place, _)| place)
            .collect();
        let tail = (sources.last() == Some(&&b">"[..])).then(|| sources.len() - 1);
        let invalid = |advice: &str| Err(format!("invalid subject; {advice}"));
        if !subject::is_subscribable(destination.as_bytes()) {
            return invalid("a destination has no empty token, and > at its end only");
        }
        if tail.is_some() != (destination == ">" || destination.ends_with(".>")) {
            return invalid("a destination ends in > if its source does, and in no other case");
        }
        let mut parts = Vec::new();
        for token in destination.split('.') {
            if !parts.is_empty() {
                put_text(".", &mut parts);
            }
            if token == "*" {
                return invalid("a destination names each * of its source by its number: $1");
            }
            let function = Function::read(token, &wildcards)
                .map_err(|wrong| format!("invalid mapping destination: {wrong}"))?;
            match (function, tail) {
                (Some(function), _) => parts.push(Part::Function(function)),
                (None, Some(tail)) if token == ">" => parts.push(Part::Rest(tail)),
                (None, _) if token.contains(is_blank) => {
                    return invalid("a subject has no blanks");
                }
                (None, _) => put_text(token, &mut parts),
            }
        }
        Ok(Transform { parts })
    }

    /// Appends what it makes of `subject`, which matches the source.
    ///
    /// Cost: a look at the tokens of the subject for each function, up to that which it is of.
    pub(crate) fn put(&self, subject: &[u8], out: &mut Vec<u8>) {
        let token = |place: usize| subject::tokens(subject).nth(place).unwrap_or_default();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Function(function) => function.put(token, out),
                Part::Rest(place) => {
                    let before: usize = subject::tokens(subject)
                        .take(*place)
                        .map(|token| token.len() + 1)
                        .sum();
                    out.extend_from_slice(subject.get(before..).unwrap_or_default());
                }
            }
        }
    }
}

/// Whether a byte would end a subject on the wire, or could.
pub(crate) fn is_blank(character: char) -> bool {
    character.is_ascii_whitespace() || character.is_ascii_control()
}

/// Text that stands together is one part.
fn put_text(text: &str, parts: &mut Vec<Part>) {
    match parts.last_mut() {
        Some(Part::Text(before)) => before.extend_from_slice(text.as_bytes()),
        _ => parts.push(Part::Text(text.into())),
    }
}
