//! How many subscriptions of an account a message would reach, or a subject with wildcards covers.

use crate::core::sublist::{Set, Sublist};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces};
use midge_protocol::{Subjects, subject};

/// A count that goes on for as many turns as it takes.
pub(super) struct Subscribers {
    /// The name of the account.
    account: String,
    subject: Vec<u8>,
    /// With wildcards, all that lies within it counts.
    within: Option<Subjects>,
    /// Members of this queue group alone.
    queue: Option<Vec<u8>>,
    place: usize,
    count: usize,
}

impl Subscribers {
    pub(super) fn of(account: String, subject: &[u8], queue: Option<&[u8]>) -> Subscribers {
        Subscribers {
            account,
            subject: subject.to_owned(),
            within: subject::has_wildcard(subject).then(|| Subjects::new([subject])),
            queue: queue.map(<[u8]>::to_owned),
            place: 0,
            count: 0,
        }
    }

    fn count_in(&self, sublist: &Sublist, set: &Set) -> usize {
        let counts = match &self.within {
            Some(within) => within.covers(set.subject()),
            None => subject::matches(set.subject(), &self.subject),
        };
        if !counts {
            return 0;
        }
        let groups = set.groups().iter();
        match &self.queue {
            None => set.plain().len() + groups.map(|one| one.members.len()).sum::<usize>(),
            Some(queue) => groups
                .filter(|one| sublist.queue_name(one.queue) == &**queue)
                .map(|one| one.members.len())
                .sum(),
        }
    }
}

impl Pieces for Subscribers {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        if let Some(account) = view.state.core.accounts.named(&self.account) {
            let sublist = &view.state.core.accounts[account].sublist;
            while self.place < sublist.set_places() {
                if !budget.take() {
                    return true;
                }
                let set = sublist.set_at(self.place);
                self.count += set.map_or(0, |set| self.count_in(sublist, set));
                self.place += 1;
            }
        }
        out.extend_from_slice(self.count.to_string().as_bytes());
        false
    }
}
