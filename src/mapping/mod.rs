//! Subject mapping: what clients of an account publish to one subject goes to another.
//!
//! ```text
//! subject ──▶ Mappings ──▶ Mapping ──▶ by chance ──▶ Transform ──▶ subject
//!             which fits   its         a number       tokens put
//!                          source      below 100      together
//! ```
//!
//! A message is mapped once, before anything else is asked about it. What is asked then, and told, is about the
//! subject that it has come to. A mapping whose source is the subject itself goes first, then those with wildcards,
//! in the order of the configuration. nats-server takes the first of all in an order that changes with each start.
//!
//! Nothing here knows of accounts, clients or files: a [`Mapping`] is right once it is made, and [`Mappings`] are
//! made of some.
//!
//! * `choice`: destinations with their weights; `transform`: one source and one destination; `function`: what a
//!   token of a destination may be; `error`: what may be wrong with them
//! * `patterns`: which of many patterns overlap or cover one

mod choice;
mod error;
mod function;
mod patterns;
mod transform;

pub use choice::{Destination, Mapping};
pub use error::InvalidMapping;
pub(crate) use function::wildcard;
pub(crate) use patterns::{Patterns, common};
pub(crate) use transform::{Piece, Transform, is_blank};

use choice::Choice;
use hashbrown::HashMap;
use midge_protocol::{Redirected, Subjects};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes that are kept for the next message that is mapped.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// The mappings of one account. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mappings(Option<Arc<Table>>);

#[derive(Debug)]
struct Table {
    number: u64,
    cluster: Option<Box<str>>,
    /// As they are configured.
    mappings: Vec<Mapping>,
    /// What each does here.
    choices: Vec<Choice>,
    /// Those whose source has no wildcards, by it.
    literal: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    /// The others, in order.
    patterns: Vec<usize>,
    /// The sources of those: most subjects match none, which is known at once.
    sources: Subjects,
}

/// What was found out about a subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Found {
    /// Whether a mapping fits it.
    pub(crate) is_mapped: bool,
    /// Mappings that were looked at, with one for the look itself.
    pub(crate) work: usize,
}

impl Mappings {
    /// These, on a server in this cluster, or in none. Of several with one source the last counts.
    pub(crate) fn new(mappings: &[Mapping], cluster: Option<&str>) -> Mappings {
        if mappings.is_empty() {
            return Mappings(None);
        }
        let choices = mappings.iter().map(|one| one.choice(cluster).clone());
        let (mut literal, mut patterns) = (HashMap::default(), Vec::new());
        for (place, mapping) in mappings.iter().enumerate() {
            let source = mapping.source();
            if mapping.has_wildcard() {
                patterns.retain(|one: &usize| mappings[*one].source() != source);
                patterns.push(place);
            } else {
                literal.insert(source.as_bytes().into(), place);
            }
        }
        let sources = Subjects::new(patterns.iter().map(|place| mappings[*place].source()));
        static MADE: AtomicU64 = AtomicU64::new(0);
        Mappings(Some(Arc::new(Table {
            number: MADE.fetch_add(1, Ordering::Relaxed) + 1,
            cluster: cluster.map(Into::into),
            choices: choices.collect(),
            mappings: mappings.to_vec(),
            literal,
            patterns,
            sources,
        })))
    }

    /// Whether they are these, on a server in this cluster.
    pub(crate) fn are(&self, mappings: &[Mapping], cluster: Option<&str>) -> bool {
        match &self.0 {
            None => mappings.is_empty(),
            Some(table) => table.mappings == mappings && table.cluster.as_deref() == cluster,
        }
    }

    /// Whether there is none.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Their own number in this process: that of no others, though they were equal. Zero if there is none.
    #[inline(always)]
    pub(crate) fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |table| table.number)
    }

    /// Each of them, as it is configured.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.0.iter().flat_map(|table| &table.mappings)
    }

    /// Puts what a message to `subject` is to be published to into `mapped`, if a mapping fits: no subject at all, if
    /// the message is to be lost. `draw` gives a number below its argument by chance.
    ///
    /// Cost: a hash of the subject, and a look into a trie where there are wildcards. Where those match, each of them
    /// in turn up to the first that does.
    pub(crate) fn map(
        &self,
        subject: &[u8],
        draw: impl FnOnce(usize) -> usize,
        mapped: &mut Vec<u8>,
    ) -> Found {
        let Some(table) = &self.0 else {
            return Found {
                is_mapped: false,
                work: 0,
            };
        };
        let mut work = 1;
        let place = table.literal.get(subject).copied().or_else(|| {
            let matches = !table.patterns.is_empty() && table.sources.matches(subject);
            let patterns = table.patterns.iter().filter(|_| matches);
            patterns.copied().find(|place| {
                work += 1;
                table.mappings[*place].matches(subject)
            })
        });
        if let Some(place) = place {
            mapped.clear();
            table.choices[place].put(subject, draw, mapped);
        }
        Found {
            is_mapped: place.is_some(),
            work,
        }
    }
}

/// A message on its way to another subject. Used again for each.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// Where it goes.
    pub(crate) subject: Vec<u8>,
    /// The message as it goes there.
    pub(crate) message: Redirected,
}

impl Way {
    /// Gives back what a long message has taken.
    pub(crate) fn trim(&mut self) {
        if self.message.capacity() > KEPT_BYTES_MAX {
            self.message = Redirected::default();
        }
    }
}

#[cfg(test)]
mod tests;
