//! `Import`: what an account takes from another one.
//!
//! ```text
//! {service: {account: A, subject: tr.*.*}, to: rt.$2.$1}
//!
//! subject     tr.*.*         what A exports, or a part of it
//! local       rt.*.*         where it is in the importer
//! transform   rt.two.one ──▶ tr.one.two     of a service, the way of a request
//!             tr.one.two ──▶ rt.two.one     of a stream, the way of a message
//! ```

use super::activation::Activation;
use super::is_subject;
use crate::mapping::{Piece, Transform, wildcard};
use std::fmt;

/// What an account takes from another one.
///
/// ```
/// use midge::{Account, Import};
///
/// let account = Account {
///     imports: vec![
///         Import::stream("A", "pub.>")?.with_prefix("fromA")?,
///         Import::service("A", "svc.*.*")?.to("local.$2.$1")?,
///     ],
///     ..Account::default()
/// };
/// assert_eq!(account.imports[0].local(), "fromA.pub.>");
/// assert_eq!(account.imports[1].local(), "local.*.*");
/// # Ok::<(), midge::InvalidImport>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Import {
    account: String,
    subject: String,
    kind: ImportKind,
    as_written: Name,
    local: String,
    transform: Option<Transform>,
    /// By which the exporter lets this account have it, as only tokens of accounts say.
    activation: Option<Activation>,
}

/// What is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ImportKind {
    /// Messages.
    Stream,
    /// Answers to requests.
    Service {
        /// Whether the exporter is told who asks (`share`).
        share: bool,
    },
}

/// What it is called in the importer, as it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Name {
    Same,
    To(String),
    Prefix(String),
}

impl Import {
    /// Takes the messages to `subject`, in which there may be wildcards, from `account`.
    ///
    /// # Errors
    /// No subject, or no name of an account.
    pub fn stream(account: &str, subject: &str) -> Result<Import, InvalidImport> {
        Import::new(account, subject, ImportKind::Stream)
    }

    /// Lets clients ask what `account` answers at `subject`, in which there may be wildcards.
    ///
    /// # Errors
    /// No subject, or no name of an account.
    pub fn service(account: &str, subject: &str) -> Result<Import, InvalidImport> {
        Import::new(account, subject, ImportKind::Service { share: false })
    }

    /// Takes it under the subject that the exporter has for it.
    ///
    /// # Errors
    /// No subject, or no name of an account.
    pub fn new(account: &str, subject: &str, kind: ImportKind) -> Result<Import, InvalidImport> {
        let import = Import {
            account: account.to_owned(),
            subject: subject.to_owned(),
            kind,
            as_written: Name::Same,
            local: subject.to_owned(),
            transform: None,
            activation: None,
        };
        if account.is_empty() || subject.is_empty() {
            return Err(InvalidImport::NoName);
        }
        if !is_subject(subject) {
            return Err(import.wrong(
                "sublist: invalid subject; it has no blanks, no empty token, and > at its end only",
            ));
        }
        Ok(import)
    }

    /// Takes it under `to`: there `$1` or `{{wildcard(1)}}` is the token where the first `*` of the subject stands, and
    /// `*` are those in order. Each of them is named; for a service, once.
    ///
    /// # Errors
    /// What is wrong with `to`.
    pub fn to(self, to: &str) -> Result<Import, InvalidImport> {
        if !is_subject(to) {
            return Err(self.wrong(
                "sublist: invalid subject; to has no blanks, no empty token, and > at its end only",
            ));
        }
        let wrong = |wrong| {
            let is_stream = self.kind == ImportKind::Stream;
            let (from, into) = if is_stream {
                (&*self.subject, to)
            } else {
                (to, &*self.subject)
            };
            let word = self.word();
            self.wrong(format!(
                "failed to create mapping transform for {word} import subject from {from:?} to {into:?}: {wrong}"
            ))
        };
        let (local, transform) = self.read(to).map_err(wrong)?;
        Ok(Import {
            as_written: Name::To(to.to_owned()),
            local,
            transform,
            ..self
        })
    }

    /// Takes it under its subject with these tokens before it.
    ///
    /// # Errors
    /// It is a service, or the prefix has wildcards, blanks or an empty token.
    pub fn with_prefix(self, prefix: &str) -> Result<Import, InvalidImport> {
        if self.kind != ImportKind::Stream {
            return Err(self.wrong("only streams have a prefix; use to"));
        }
        let prefix = prefix.strip_suffix('.').unwrap_or(prefix);
        if prefix.split('.').any(|token| ["*", ">"].contains(&token)) {
            return Err(self.wrong("stream import prefix can not contain wildcard tokens"));
        }
        if !is_subject(prefix) {
            return Err(self.wrong("invalid subject; a prefix has no blanks and no empty token"));
        }
        let tokens = self.subject.split('.').enumerate();
        let tokens = tokens.map(|(place, token)| match token {
            "*" => Piece::Token(place),
            ">" => Piece::Rest(place),
            _ => Piece::Text(token),
        });
        let transform = Transform::of([Piece::Text(prefix)].into_iter().chain(tokens));
        Ok(Import {
            as_written: Name::Prefix(prefix.to_owned()),
            local: format!("{prefix}.{}", self.subject),
            transform: Some(transform),
            ..self
        })
    }

    /// Tells the exporter of the service who asks.
    ///
    /// # Errors
    /// It is a stream, which has no requests.
    pub fn shared(self) -> Result<Import, InvalidImport> {
        match self.kind {
            ImportKind::Service { .. } => Ok(Import {
                kind: ImportKind::Service { share: true },
                ..self
            }),
            ImportKind::Stream => Err(self.wrong("only services have share; leave it out")),
        }
    }

    /// Takes it by an activation of the exporter.
    pub(super) fn with_activation(self, activation: Activation) -> Import {
        Import {
            activation: Some(activation),
            ..self
        }
    }

    /// By which the exporter lets this account have it.
    pub(crate) fn activation(&self) -> Option<&Activation> {
        self.activation.as_ref()
    }

    /// The name of the account that exports it.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The subject in the exporter, with wildcards.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The subject in the importer, with wildcards.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// Whether it is messages or answers.
    pub fn kind(&self) -> ImportKind {
        self.kind
    }

    /// The subject in the importer, as it is written: with `$1` where [`local`](Import::local) has `*`.
    pub(super) fn named(&self) -> &str {
        match &self.as_written {
            Name::To(to) => to,
            Name::Same | Name::Prefix(_) => &self.local,
        }
    }

    pub(crate) fn is_service(&self) -> bool {
        self.kind != ImportKind::Stream
    }

    /// What it does with a subject that matches where the message comes from: of a service, from
    /// [`local`](Import::local) to [`subject`](Import::subject); of a stream, the other way round. `None` leaves each
    /// as it is.
    pub(crate) fn transform(&self) -> Option<&Transform> {
        self.transform.as_ref()
    }

    /// As files call it.
    pub(crate) fn word(&self) -> &'static str {
        match self.kind {
            ImportKind::Stream => "stream",
            ImportKind::Service { .. } => "service",
        }
    }

    /// What is told of it.
    pub(crate) fn wrong(&self, wrong: impl Into<String>) -> InvalidImport {
        InvalidImport::Import {
            kind: self.word(),
            subject: self.subject.clone(),
            wrong: wrong.into(),
        }
    }

    /// What `to` comes to: the pattern in the importer, and the transform.
    fn read(&self, to: &str) -> Result<(String, Option<Transform>), String> {
        let subject: Vec<&str> = self.subject.split('.').collect();
        let wildcards: Vec<usize> = places(&subject, "*");
        let has_rest = subject.last() == Some(&">");
        let is_literal = wildcards.is_empty() && !has_rest;
        let tokens: Vec<&str> = to.split('.').collect();
        // All requests to a pattern may go to one subject; messages of one subject go to one.
        let is_constant = is_literal && self.is_service();
        if has_rest != (tokens.last() == Some(&">")) && !is_constant {
            return Err(
                "invalid subject; to ends in > if the subject does, and in no other case"
                    .to_owned(),
            );
        }
        // Which `*` of the subject each token is.
        let mut named: Vec<Option<usize>> = Vec::with_capacity(tokens.len());
        let mut stars = 0;
        for token in &tokens {
            named.push(match *token {
                "*" if is_constant => None,
                "*" => {
                    stars += 1;
                    read_wildcard(&format!("${stars}"), wildcards.len())?
                }
                _ => read_wildcard(token, wildcards.len())?,
            });
        }
        let uses = |number| {
            named
                .iter()
                .filter(move |one| **one == Some(number))
                .count()
        };
        if (0..wildcards.len()).any(|number| uses(number) == 0) {
            return Err(format!(
                "{BAD}: not using all of the token wildcard(s) in {to}; name each * of {:?}: $1",
                self.subject
            ));
        }
        if self.is_service() && (0..wildcards.len()).any(|number| uses(number) > 1) {
            return Err(format!(
                "{BAD}: a wildcard is named twice in {to}; a request has one token for each * of {:?}",
                self.subject
            ));
        }
        let local: Vec<&str> = (tokens.iter().zip(&named))
            .map(|(token, named)| if named.is_some() { "*" } else { *token })
            .collect();
        let local = local.join(".");
        let is_same =
            local == self.subject && (0..).zip(named.iter().flatten()).all(|(a, b)| a == *b);
        let transform = if self.is_service() {
            let mut number = 0;
            Transform::of(subject.iter().map(|token| match *token {
                "*" => {
                    let place = named.iter().position(|one| *one == Some(number));
                    number += 1;
                    Piece::Token(place.unwrap_or_default())
                }
                ">" => Piece::Rest(tokens.len() - 1),
                _ => Piece::Text(token),
            }))
        } else {
            let pieces = tokens.iter().zip(&named);
            Transform::of(pieces.map(|(token, named)| match (named, *token) {
                (Some(number), _) => Piece::Token(wildcards[*number]),
                (None, ">") => Piece::Rest(subject.len() - 1),
                _ => Piece::Text(token),
            }))
        };
        Ok((local, (!is_same).then_some(transform)))
    }
}

const BAD: &str = "invalid mapping destination";

fn read_wildcard(token: &str, wildcards: usize) -> Result<Option<usize>, String> {
    wildcard(token, wildcards).map_err(|wrong| format!("{BAD}: {wrong}"))
}

/// Where this token stands.
fn places(tokens: &[&str], wanted: &str) -> Vec<usize> {
    let places = tokens.iter().enumerate();
    let places = places.filter(|(_, token)| **token == wanted);
    places.map(|(place, _)| place).collect()
}

/// As it stands in a file.
impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Import {
            account, subject, ..
        } = self;
        write!(
            f,
            "{{{}: {{account: {account}, subject: {subject}}}",
            self.word()
        )?;
        match &self.as_written {
            Name::Same => {}
            Name::To(to) => write!(f, ", to: {to}")?,
            Name::Prefix(prefix) => write!(f, ", prefix: {prefix}")?,
        }
        if self.kind == (ImportKind::Service { share: true }) {
            f.write_str(", share: true")?;
        }
        f.write_str("}")
    }
}

/// Why something is no import. Prints as a line that names it; the texts begin as those of nats-server do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidImport {
    /// Account or subject is missing.
    NoName,
    /// One of the subjects, or something that its kind does not have.
    Import {
        /// `stream` or `service`.
        kind: &'static str,
        /// What was to be taken.
        subject: String,
        /// What is wrong, and what to write.
        wrong: String,
    },
}

impl fmt::Display for InvalidImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidImport::NoName => f.write_str("Expect an account name and a subject"),
            InvalidImport::Import {
                kind,
                subject,
                wrong,
            } => write!(f, "Error adding {kind} import {subject:?}: {wrong}"),
        }
    }
}

impl std::error::Error for InvalidImport {}

#[cfg(test)]
mod tests;
