//! `Interest`: what an account is interested in, and the only doors through which that changes.
//!
//! ```text
//! SUB  ───────────────────▶ add    ─┐
//! UNSUB, max reached, ────▶ remove ─┼─▶ sublist, sids ─▶ Change ─▶ Ledger ─▶ peers
//! a client leaves                   │
//! a client is leaving ────▶ detach ─┘
//! ```
//!
//! Interest is counted for each account, subject and queue group; its *weight* is 1 outside of queue groups,
//! however many have subscribed, and the number of members in a group. A peer (a route or a leaf node; there
//! is none yet) is told of interest that begins or ends and of new weights. So each door answers what it has
//! made of the weight, and the ledger keeps that until a turn tells the peers:
//!
//! ```text
//! for each entry: before != now        what came and went within a turn is no change
//! entries <= kinds of interest that were told, and that there are now
//! ```
//!
//! While there is no peer the ledger is closed, and keeps nothing.

use super::Core;
use super::accounts::AccountId;
use super::receiver::Receiver;
use super::sublist::{ReceiverId, SubId, Sublist, Subscription};
use slab::Slab;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What some of an account are interested in: a subject, outside of queue groups or in one of them.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Interest {
    pub account: AccountId,
    pub subject: Box<[u8]>,
    pub queue: Option<Box<[u8]>>,
}

impl Interest {
    /// The one that a subscription, which must exist, belongs to.
    fn of(account: AccountId, sublist: &Sublist, id: SubId) -> Interest {
        Interest {
            account,
            subject: sublist.subject(id).into(),
            queue: sublist.queue(id).map(Into::into),
        }
    }
}

/// What became of some interest: its weight before, and now. Zero: there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub before: u32,
    pub now: u32,
}

impl Change {
    /// Whether there is nothing to tell.
    pub(crate) fn is_none(self) -> bool {
        self.before == self.now
    }

    fn between(before: usize, now: usize, is_queued: bool) -> Change {
        Change {
            before: weight(before, is_queued),
            now: weight(now, is_queued),
        }
    }
}

/// The weight of interest that a number of members share.
fn weight(members: usize, is_queued: bool) -> u32 {
    match is_queued {
        true => u32::try_from(members).unwrap_or(u32::MAX),
        false => u32::from(members > 0),
    }
}

/// Changes that peers have not been told of yet.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// None while there is no peer.
    changes: Option<BTreeMap<Interest, Change>>,
    /// Subscriptions in all accounts.
    subscriptions: usize,
}

impl Ledger {
    /// Keeps changes from here on.
    pub(crate) fn open(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// Takes out one change.
    pub(crate) fn next(&mut self) -> Option<(Interest, Change)> {
        self.changes.as_mut()?.pop_first()
    }

    /// Subscriptions that were not removed yet, in all accounts.
    pub(super) fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    /// Each entry is something to tell.
    pub(super) fn invariants(&self) {
        for (interest, change) in self.changes.iter().flatten() {
            assert!(!change.is_none(), "{interest:?}: {change:?}");
        }
    }

    fn note(&mut self, interest: impl FnOnce() -> Interest, change: Change) {
        let Some(changes) = self.changes.as_mut().filter(|_| !change.is_none()) else {
            return;
        };
        match changes.entry(interest()) {
            Entry::Vacant(entry) => _ = entry.insert(change),
            Entry::Occupied(mut entry) => {
                debug_assert_eq!(entry.get().now, change.before, "{:?}", entry.key());
                entry.get_mut().now = change.now;
                if entry.get().is_none() {
                    entry.remove();
                }
            }
        }
    }
}

impl Core {
    /// What `id` has subscribed to under this name.
    pub(crate) fn subscription_of(&self, id: ReceiverId, sid: &[u8]) -> Option<SubId> {
        let receiver = self.receiver(id);
        let sublist = &self.accounts[receiver.account].sublist;
        receiver.sids.get(sid, sublist)
    }

    /// Subscribes `id` to `subject`, which must be subscribable, under a `sid` that is free.
    pub(crate) fn subscribe(
        &mut self,
        id: ReceiverId,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
    ) -> Change {
        let receiver = &mut self.receivers[id.0 as usize];
        let account = receiver.account;
        let sublist = &mut self.accounts[account].sublist;
        let subscription = sublist.insert(subject, queue, sid, id);
        receiver.sids.insert(subscription, sublist);
        let members = sublist.members_with(subscription);
        let change = Change::between(members - 1, members, queue.is_some());
        let interest = || Interest::of(account, sublist, subscription);
        self.interest.note(interest, change);
        self.interest.subscriptions += 1;
        debug_assert_eq!(self.subscription_of(id, sid), Some(subscription));
        self.changed();
        change
    }

    /// All interest there is, with its weight.
    fn all_interest(&self) -> impl Iterator<Item = (Interest, u32)> {
        self.accounts.ids().flat_map(|account| {
            let all = self.accounts[account].sublist.interest();
            all.map(move |(subject, queue, members)| {
                let weight = weight(members, queue.is_some());
                let interest = Interest {
                    account,
                    subject: subject.into(),
                    queue: queue.map(Into::into),
                };
                (interest, weight)
            })
        })
    }

    /// Ends a subscription, which must exist.
    pub(crate) fn unsubscribe(&mut self, id: ReceiverId, subscription: SubId) -> Change {
        let account = self.receiver(id).account;
        let sublist = &mut self.accounts[account].sublist;
        let (receivers, ledger) = (&mut self.receivers, &mut self.interest);
        let (_, change) = remove(subscription, sublist, receivers, ledger);
        self.changed();
        change
    }
}

/// Ends a subscription, which must exist, of one of the `receivers`.
pub(crate) fn remove(
    id: SubId,
    sublist: &mut Sublist,
    receivers: &mut Slab<Receiver>,
    ledger: &mut Ledger,
) -> (Subscription, Change) {
    let change = lose(id, sublist, receivers, ledger);
    let ended = sublist.remove(id);
    ledger.subscriptions -= 1;
    let receiver = &mut receivers[ended.receiver.0 as usize];
    receiver.forget(id);
    // What is left of those that leave has no names any more.
    if !receiver.is_clearing {
        receiver.sids.remove(id, ended.sid.as_slice(), sublist);
    }
    (ended, change)
}

/// Takes a subscription, which must exist, out of the lists of those who get messages, until it is removed.
pub(crate) fn detach(
    id: SubId,
    sublist: &mut Sublist,
    receivers: &Slab<Receiver>,
    ledger: &mut Ledger,
) -> Change {
    let change = lose(id, sublist, receivers, ledger);
    sublist.detach(id);
    change
}

/// A subscription is about to leave its list, unless it has done so before.
fn lose(id: SubId, sublist: &Sublist, receivers: &Slab<Receiver>, ledger: &mut Ledger) -> Change {
    let subscription = sublist.subscription(id);
    let members = sublist.members_with(id);
    let left = members - usize::from(!subscription.is_detached());
    let change = Change::between(members, left, subscription.is_queued());
    let account = receivers[subscription.receiver.0 as usize].account;
    ledger.note(|| Interest::of(account, sublist, id), change);
    change
}

/// What a peer knows that was told of all interest once, and then of changes only. Tests keep one beside a
/// broker.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Mirror {
    /// Weights; none before the first look.
    known: Option<BTreeMap<Interest, u32>>,
}

impl Mirror {
    /// Takes the changes out of the ledger.
    ///
    /// # Panics
    /// If one of them does not begin where the last one ended, or if what is known then is not what there is.
    pub(crate) fn follow(&mut self, core: &mut Core) {
        let there_is: BTreeMap<Interest, u32> = core.all_interest().collect();
        let Some(known) = &mut self.known else {
            core.interest.open();
            self.known = Some(there_is);
            return;
        };
        let noted = core.interest.changes.as_ref().map_or(0, BTreeMap::len);
        assert!(noted <= known.len() + there_is.len(), "{noted} changes");
        while let Some((interest, change)) = core.interest.next() {
            let before = match change.now {
                0 => known.remove(&interest),
                now => known.insert(interest.clone(), now),
            };
            assert_eq!(before.unwrap_or(0), change.before, "{interest:?}");
        }
        assert_eq!(*known, there_is);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::delivery::{Publisher, Quota, Tally, publish_one};
    use crate::core::outbox::fake::FakeOutbox;
    use midge_protocol::{Publish, Run};
    use midge_reactor::Key;
    use proptest::prelude::*;
    use proptest::sample::Index;

    /// A broker without sockets, and who is there.
    struct Bench {
        core: Core,
        out: FakeOutbox,
        clients: Vec<ReceiverId>,
        sids: usize,
        /// Subscriptions there are, those aside that go in pieces.
        present: Vec<(ReceiverId, String)>,
    }

    impl Bench {
        fn new() -> Bench {
            let mut core = Core::new(usize::MAX);
            core.seed(3);
            Bench {
                core,
                out: FakeOutbox::default(),
                clients: Vec::new(),
                sids: 0,
                present: Vec::new(),
            }
        }

        fn join(&mut self) -> ReceiverId {
            let cid = self.core.receivers.vacant_key() as u64;
            let key = Key::new(usize::try_from(cid).expect("few"), 1);
            let (account, peer) = (self.core.accounts.global(), ([127, 0, 0, 1], 1).into());
            let id = self.core.join(account, key, peer, cid);
            self.clients.push(id);
            id
        }

        fn subscribe(&mut self, id: ReceiverId, subject: &str, queue: Option<&str>) -> Change {
            self.sids += 1;
            let sid = self.sids.to_string();
            let queue = queue.map(str::as_bytes);
            let change = self
                .core
                .subscribe(id, subject.as_bytes(), queue, sid.as_bytes());
            self.present.push((id, sid));
            change
        }

        fn unsubscribe(&mut self, place: usize) -> Option<Change> {
            let (client, sid) = self.present.swap_remove(place);
            let id = self.core.subscription_of(client, sid.as_bytes())?;
            Some(self.core.unsubscribe(client, id))
        }

        fn end_after(&mut self, place: usize, max: u64) {
            let (client, sid) = &self.present[place];
            if let Some(id) = self.core.subscription_of(*client, sid.as_bytes()) {
                let account = self.core.receiver(*client).account;
                let sublist = self.core.sublist(account);
                sublist.subscription_mut(id).end_after(max);
            }
        }

        fn leave(&mut self, place: usize) {
            let id = self.clients.swap_remove(place);
            self.core.leave(id);
            self.present.retain(|(client, _)| *client != id);
        }

        /// What reaches many goes in pieces, and detaches what it meets of clients that are leaving.
        fn publish(&mut self, from: ReceiverId, subject: &str) {
            let mut buffer = Vec::new();
            let message = Publish::compose(&mut buffer, subject.as_bytes(), None, b"", b"");
            let mut publisher = Publisher::new(self.core.receiver(from).origin(from));
            let (core, out, tally) = (&mut self.core, &mut self.out, &mut Tally::default());
            let run = Run::from(message);
            publish_one(core, &mut publisher, &run, tally, |_| {}, out);
            publisher.go_on(core, &message, Quota::ONE, tally, out);
        }
    }

    fn change(before: u32, now: u32) -> Change {
        Change { before, now }
    }

    #[test]
    fn each_door_answers_what_it_has_made_of_the_weight() {
        let mut bench = Bench::new();
        let id = bench.join();
        for (queue, changes) in [
            (
                None,
                [change(0, 1), change(1, 1), change(1, 1), change(1, 0)],
            ),
            (
                Some("q"),
                [change(0, 1), change(1, 2), change(2, 1), change(1, 0)],
            ),
        ] {
            assert_eq!(bench.subscribe(id, "a.*", queue), changes[0]);
            // The same subject in another group, and another subject in the same one, are others.
            assert_eq!(bench.subscribe(id, "a.*", Some("r")), change(0, 1));
            assert_eq!(bench.subscribe(id, "a.b", queue), change(0, 1));
            assert_eq!(bench.subscribe(id, "a.*", queue), changes[1]);
            assert_eq!(bench.unsubscribe(0), Some(changes[2]));
            assert_eq!(bench.unsubscribe(0), Some(changes[3]));
            bench.unsubscribe(0);
            bench.unsubscribe(0);
        }
        assert_eq!(bench.core.retained(), 0);
    }

    #[test]
    fn what_comes_and_goes_within_a_turn_is_no_change_and_takes_no_room() {
        let mut bench = Bench::new();
        let id = bench.join();
        bench.subscribe(id, "stays", Some("q"));
        let mut mirror = Mirror::default();
        mirror.follow(&mut bench.core);
        for number in 0..1000 {
            bench.subscribe(id, &format!("inbox.{number}"), None);
            bench.subscribe(id, "stays", Some("q"));
            bench.unsubscribe(2);
            bench.unsubscribe(1);
            let changes = bench.core.interest.changes.as_ref();
            assert_eq!(changes.map(BTreeMap::len), Some(0));
        }
        bench.subscribe(id, "stays", Some("q"));
        bench.subscribe(id, "stays", Some("q"));
        let (interest, told) = bench.core.interest.next().expect("the weight has changed");
        assert_eq!((&*interest.subject, told), (&b"stays"[..], change(1, 3)));
        assert_eq!(bench.core.interest.next(), None);
    }

    #[test]
    fn a_ledger_that_is_closed_keeps_nothing() {
        let mut bench = Bench::new();
        let id = bench.join();
        bench.subscribe(id, "a", None);
        assert!(bench.core.interest.changes.is_none());
        assert_eq!(bench.core.interest.next(), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join,
        Leave(Index),
        Subscribe(Index, &'static str, Option<&'static str>),
        /// So many more than are removed at once.
        SubscribeMany(Index, &'static str, Option<&'static str>),
        Unsubscribe(Index),
        EndAfter(Index, u64),
        Publish(Index, &'static str),
        Piece,
        Tell,
    }

    const SUBJECTS: [&str; 5] = ["a", "a.b", "a.*", "*.b", ">"];
    const QUEUES: [Option<&str>; 3] = [None, Some("q"), Some("r")];

    fn step() -> impl Strategy<Value = Step> {
        use prop::sample::select;
        let which = any::<Index>;
        prop_oneof![
            2 => Just(Step::Join),
            2 => which().prop_map(Step::Leave),
            8 => (which(), select(&SUBJECTS[..]), select(&QUEUES[..]))
                .prop_map(|(client, subject, queue)| Step::Subscribe(client, subject, queue)),
            1 => (which(), select(&SUBJECTS[..]), select(&QUEUES[..]))
                .prop_map(|(client, subject, queue)| Step::SubscribeMany(client, subject, queue)),
            3 => which().prop_map(Step::Unsubscribe),
            3 => (which(), 0..3_u64).prop_map(|(one, max)| Step::EndAfter(one, max)),
            4 => (which(), select(vec!["a", "a.b", "b.b"]))
                .prop_map(|(client, subject)| Step::Publish(client, subject)),
            2 => Just(Step::Piece),
            4 => Just(Step::Tell),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn who_is_told_of_changes_only_knows_all_interest(
            steps in prop::collection::vec(step(), 1..80)
        ) {
            let mut bench = Bench::new();
            let mut mirror = Mirror::default();
            bench.join();
            for step in steps {
                let clients = bench.clients.len();
                let present = bench.present.len();
                match step {
                    Step::Join => _ = bench.join(),
                    Step::Leave(which) if clients > 1 => bench.leave(which.index(clients)),
                    Step::Subscribe(which, subject, queue) => {
                        let id = bench.clients[which.index(clients)];
                        bench.subscribe(id, subject, queue);
                    }
                    Step::SubscribeMany(which, subject, queue) => {
                        let id = bench.clients[which.index(clients)];
                        (0..1200).for_each(|_| _ = bench.subscribe(id, subject, queue));
                    }
                    Step::Unsubscribe(which) if present > 0 => {
                        bench.unsubscribe(which.index(present));
                    }
                    Step::EndAfter(which, max) if present > 0 => {
                        bench.end_after(which.index(present), max);
                    }
                    Step::Publish(which, subject) => {
                        bench.publish(bench.clients[which.index(clients)], subject);
                    }
                    Step::Piece => _ = bench.core.clear_a_piece(),
                    Step::Tell => mirror.follow(&mut bench.core),
                    Step::Leave(_) | Step::Unsubscribe(_) | Step::EndAfter(..) => {}
                }
                bench.core.invariants();
            }
            while !bench.clients.is_empty() {
                bench.leave(0);
                mirror.follow(&mut bench.core);
            }
            while bench.core.clear_a_piece() {
                mirror.follow(&mut bench.core);
            }
            mirror.follow(&mut bench.core);
            prop_assert_eq!(mirror.known, Some(BTreeMap::new()));
        }
    }
}
