//! `Filter`: what a subscription has subscribed to, and does not get all the same.

use midge_protocol::Subjects;
use std::sync::Arc;

/// Subjects of messages that one subscription does not get.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Filter(Box<[Arc<Subjects>]>);

impl Filter {
    /// One for all of these; `None` if there are none.
    pub(crate) fn of(lists: impl Iterator<Item = Arc<Subjects>>) -> Option<Filter> {
        let lists: Box<[Arc<Subjects>]> = lists.collect();
        (!lists.is_empty()).then_some(Filter(lists))
    }

    /// Whether a message to `subject` is kept from it.
    pub(crate) fn denies(&self, subject: &[u8]) -> bool {
        self.0.iter().any(|list| list.matches(subject))
    }
}
