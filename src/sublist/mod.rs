//! Which subscriptions a published subject reaches.
//!
//! Subscriptions with one subject share a [`Set`]. A subject without wildcards is found in a hash
//! table; the others in a trie by token, which is walked only when there is a wildcard at all.
//! After `SUB c`, `SUB a.b`, `SUB a.*` and `SUB a.>` (`[n]` subscriptions end there):
//!
//! ```text
//! literals   c [1]   a.b [1]
//! trie       root ── a ─┬─ * [1]
//!                       └─ > [1]
//! ```
//!
//! A match is a list of sets, so that its cost does not grow with the number of subscribers, and so
//! that a caller may change subscriptions while it walks the sets. Sets keep their subscriptions in
//! vectors; each subscription knows its place there, so that leaving moves one other and searches
//! nothing. No socket, no clock, no lock.

mod index;
mod queues;
mod set;
mod short;
mod sid;
mod sids;
mod subscription;

pub use queues::{Group, QueueId};
pub use set::Set;
pub use sid::Sid;
pub use sids::Sids;
pub use subscription::Subscription;

use foldhash::quality::RandomState;
use index::Hashing;
use midge_protocol::subject;
use queues::Queues;
use slab::Slab;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// A subscription of this sublist. Used again after it has ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SubId(u32);

impl SubId {
    /// Its place among the subscriptions that [`Sublist::set`] lends.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of this sublist: all subscriptions with one subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SetId(u32);

/// Who gets what a subscription matches. Opaque here.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ReceiverId(pub u32);

/// A place in the trie.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<[u8]>, u32, RandomState>,
    /// Below `*`.
    partial: Option<u32>,
    /// What `>` as the next token subscribes to.
    full: Option<SetId>,
    /// What ends here.
    set: Option<SetId>,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.literals.is_empty()
            && self.partial.is_none()
            && self.full.is_none()
            && self.set.is_none()
    }
}

const ROOT: u32 = 0;

/// All subscriptions of one account.
#[derive(Debug)]
pub struct Sublist {
    literals: HashMap<Box<[u8]>, SetId, RandomState>,
    nodes: Slab<Node>,
    sets: Slab<Set>,
    subscriptions: Slab<Subscription>,
    queues: Queues,
    hashing: Hashing,
}

impl Default for Sublist {
    /// With a seed of its own.
    fn default() -> Sublist {
        Sublist::seeded(RandomState::default().hash_one(0))
    }
}

impl Sublist {
    /// One without subscriptions. `seed` goes into all hashes: whoever does not know it cannot
    /// choose subjects that fall together.
    pub fn seeded(seed: u64) -> Sublist {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::default());
        debug_assert_eq!(root, ROOT as usize);
        Sublist {
            literals: HashMap::default(),
            nodes,
            sets: Slab::new(),
            subscriptions: Slab::new(),
            queues: Queues::default(),
            hashing: Hashing::new(seed),
        }
    }

    /// Subscribes `receiver` to `subject`, which must be
    /// [subscribable](midge_protocol::subject::is_subscribable).
    pub fn insert(
        &mut self,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        receiver: ReceiverId,
    ) -> SubId {
        let set_id = self.set_for(subject);
        let queue = queue.map(|name| self.queues.acquire(name));
        let id = SubId(index(self.subscriptions.vacant_key()));
        let place = self.sets[set_id.0 as usize].join(queue, id);
        let subscription = Subscription::new(receiver, sid, set_id, queue, place);
        self.subscriptions.insert(subscription);
        id
    }

    /// Ends a subscription, which must exist.
    pub fn remove(&mut self, id: SubId) -> Subscription {
        let subscription = self.subscriptions.remove(id.0 as usize);
        let set = &mut self.sets[subscription.set.0 as usize];
        if let Some(moved) = set.leave(subscription.queue, subscription.place) {
            self.subscriptions[moved.0 as usize].place = subscription.place;
        }
        if let Some(queue) = subscription.queue {
            self.queues.release(queue);
        }
        if set.is_empty() {
            self.forget(subscription.set);
        }
        subscription
    }

    /// Appends to `found` the sets that a message to `subject` reaches, in no particular order;
    /// answers how many places it looked at, which is what the search has cost.
    ///
    /// Wildcards in `subject` are ordinary tokens; a subject with an empty token reaches nothing.
    pub fn matches(&mut self, subject: &[u8], found: &mut Vec<SetId>) -> usize {
        if subject::has_empty_token(subject) {
            return 1;
        }
        found.extend(self.literals.get(subject));
        if self.nodes[ROOT as usize].is_empty() {
            return 1;
        }
        1 + self.walk(ROOT, subject, found)
    }

    fn walk(&self, node: u32, rest: &[u8], found: &mut Vec<SetId>) -> usize {
        let node = &self.nodes[node as usize];
        found.extend(node.full);
        let (token, rest) = split_token(rest);
        let children = [node.literals.get(token).copied(), node.partial];
        let mut places = 1;
        for child in children.into_iter().flatten() {
            match rest {
                Some(rest) => places += self.walk(child, rest, found),
                None => found.extend(self.nodes[child as usize].set),
            }
        }
        places
    }

    /// A set, and the subscriptions that its ids name.
    pub fn set(&mut self, id: SetId) -> (&Set, &mut Slab<Subscription>) {
        (&self.sets[id.0 as usize], &mut self.subscriptions)
    }

    /// A subscription, which must exist.
    pub fn subscription(&self, id: SubId) -> &Subscription {
        &self.subscriptions[id.0 as usize]
    }

    /// A subscription, which must exist, for changing its limits.
    pub fn subscription_mut(&mut self, id: SubId) -> &mut Subscription {
        &mut self.subscriptions[id.0 as usize]
    }

    /// What a subscription is for.
    pub fn subject(&self, id: SubId) -> &[u8] {
        self.sets[self.subscription(id).set.0 as usize].subject()
    }

    /// Subscriptions there are.
    pub fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// Subjects, places of the trie and names of queue groups that are kept: none, if there is no
    /// subscription.
    pub fn kept(&self) -> usize {
        let root = 1;
        let names = self.literals.len() + self.queues.len();
        self.sets.len() + self.nodes.len() - root + names
    }

    /// The set for `subject`, made if need be.
    fn set_for(&mut self, subject: &[u8]) -> SetId {
        let new = SetId(index(self.sets.vacant_key()));
        let set = if subject::has_wildcard(subject) {
            *self.end_of(subject).get_or_insert(new)
        } else if let Some(set) = self.literals.get(subject) {
            *set
        } else {
            self.literals.insert(subject.into(), new);
            new
        };
        if set == new {
            self.sets.insert(Set::new(subject));
        }
        set
    }

    /// Where a subject with a wildcard ends in the trie; the way there is made if need be.
    fn end_of(&mut self, subject: &[u8]) -> &mut Option<SetId> {
        let mut node = ROOT;
        let mut tokens = subject::tokens(subject).peekable();
        while let Some(token) = tokens.next() {
            if token == b">" && tokens.peek().is_none() {
                return &mut self.nodes[node as usize].full;
            }
            node = self.child(node, token);
        }
        &mut self.nodes[node as usize].set
    }

    /// The place below `node` for `token`, made if need be.
    fn child(&mut self, node: u32, token: &[u8]) -> u32 {
        let new = index(self.nodes.vacant_key());
        let parent = &mut self.nodes[node as usize];
        let child = if token == b"*" {
            *parent.partial.get_or_insert(new)
        } else if let Some(child) = parent.literals.get(token) {
            *child
        } else {
            parent.literals.insert(token.into(), new);
            new
        };
        if child == new {
            self.nodes.insert(Node::default());
        }
        child
    }

    /// Removes a set that is empty, and the places of the trie that then lead nowhere.
    fn forget(&mut self, id: SetId) {
        let set = self.sets.remove(id.0 as usize);
        let subject = set.subject();
        if !subject::has_wildcard(subject) {
            self.literals.remove(subject);
            return;
        }
        let mut path = vec![(ROOT, &b""[..])];
        let mut node = ROOT;
        let mut tokens = subject::tokens(subject).peekable();
        while let Some(token) = tokens.next() {
            if token == b">" && tokens.peek().is_none() {
                break;
            }
            node = self.child(node, token);
            path.push((node, token));
        }
        *self.end_of(subject) = None;
        while let Some((node, token)) = path.pop() {
            if node == ROOT || !self.nodes[node as usize].is_empty() {
                break;
            }
            self.nodes.remove(node as usize);
            let parent = path.last().map_or(ROOT, |(parent, _)| *parent);
            let parent = &mut self.nodes[parent as usize];
            if token == b"*" {
                parent.partial = None;
            } else {
                parent.literals.remove(token);
            }
        }
    }
}

/// The first token, and what follows its dot.
fn split_token(subject: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'.', subject) {
        Some(dot) => (&subject[..dot], Some(&subject[dot + 1..])),
        None => (subject, None),
    }
}

fn index(place: usize) -> u32 {
    u32::try_from(place).expect("2^32 subscriptions do not fit in memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Who is reached, as a sorted list of sids: what a naive loop can say as well.
    fn reached(sublist: &mut Sublist, subject: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        sublist.matches(subject, &mut found);
        let mut sids = Vec::new();
        for set in found {
            let (set, subscriptions) = sublist.set(set);
            let queued = set.groups().iter().flat_map(|group| &group.members);
            for id in set.plain().iter().chain(queued) {
                sids.push(subscriptions[id.index()].sid.as_slice().to_vec());
            }
        }
        sids.sort();
        sids
    }

    fn check(subjects: &[&str], published: &str, expected: &[&str]) {
        let mut sublist = Sublist::default();
        for subject in subjects {
            sublist.insert(subject.as_bytes(), None, subject.as_bytes(), ReceiverId(0));
        }
        let mut expected: Vec<Vec<u8>> =
            expected.iter().map(|sid| sid.as_bytes().to_vec()).collect();
        expected.sort();
        assert_eq!(
            reached(&mut sublist, published.as_bytes()),
            expected,
            "published {published}"
        );
    }

    #[test]
    fn literals_and_wildcards_are_found_together() {
        let all = [
            "c", "a.b", "a.*", "a.>", ">", "*", "*.b", "a.*.c", "*.*.>", "a.b>", "a.*x",
        ];
        check(&all, "a.b", &["a.b", "a.*", "a.>", ">", "*.b"]);
        check(&all, "a.x.c", &["a.>", ">", "a.*.c", "*.*.>"]);
        check(&all, "c", &["c", ">", "*"]);
        check(&all, "a", &[">", "*"]);
        check(&all, "a.b>", &["a.b>", "a.*", "a.>", ">"]);
        check(&all, "a.*x", &["a.*x", "a.*", "a.>", ">"]);
    }

    #[test]
    fn wildcards_in_a_published_subject_are_ordinary_tokens() {
        let all = ["foo.*", "foo.>", ">", "foo.bar", "foo.*.x"];
        check(&all, "foo.*", &["foo.*", "foo.>", ">"]);
        check(&all, "foo.>", &["foo.*", "foo.>", ">"]);
    }

    #[test]
    fn a_subject_with_an_empty_token_reaches_nothing() {
        for subject in ["", ".", "a..b", ".a", "a."] {
            check(&[">", "a.>", "*", "*.*", "a.*"], subject, &[]);
        }
    }

    #[test]
    fn leaving_frees_every_level_of_the_trie_and_every_name() {
        let mut sublist = Sublist::default();
        let subjects = ["a.b.c.*", "a.b.>", "*.*", "x", "a.b.c.*", ">"];
        let ids = subjects
            .map(|subject| sublist.insert(subject.as_bytes(), Some(b"q"), b"1", ReceiverId(0)));
        for id in ids {
            sublist.remove(id);
        }
        assert!(sublist.is_empty());
        assert_eq!((sublist.nodes.len(), sublist.sets.len()), (1, 0));
        assert!(sublist.nodes[ROOT as usize].is_empty());
        assert!(sublist.literals.is_empty());
        assert_eq!(sublist.kept(), 0);
    }

    #[test]
    fn members_of_one_group_stand_together_and_groups_apart() {
        let mut sublist = Sublist::default();
        for (queue, sid) in [("q", "1"), ("r", "2"), ("q", "3")] {
            sublist.insert(
                b"job",
                Some(queue.as_bytes()),
                sid.as_bytes(),
                ReceiverId(0),
            );
        }
        let mut found = Vec::new();
        sublist.matches(b"job", &mut found);
        let (set, _) = sublist.set(found[0]);
        let sizes: Vec<usize> = set
            .groups()
            .iter()
            .map(|group| group.members.len())
            .collect();
        assert_eq!((found.len(), sizes), (1, vec![2, 1]));
    }

    fn token() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "b", "c", "*", ">", "b>", ""]).prop_map(str::to_owned)
    }

    fn subject() -> impl Strategy<Value = String> {
        prop::collection::vec(token(), 1..5).prop_map(|tokens| tokens.join("."))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Subscribe(String, Option<u8>),
        Unsubscribe(prop::sample::Index),
        Publish(String),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (subject(), prop::option::of(0..3u8)).prop_map(|(s, q)| Step::Subscribe(s, q)),
            2 => any::<prop::sample::Index>().prop_map(Step::Unsubscribe),
            3 => subject().prop_map(Step::Publish),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn the_sublist_answers_as_a_loop_over_all_subscriptions(
            steps in prop::collection::vec(step(), 1..120)
        ) {
            let mut sublist = Sublist::default();
            let mut naive: Vec<(SubId, Vec<u8>, Vec<u8>)> = Vec::new();
            for (number, step) in steps.iter().enumerate() {
                match step {
                    Step::Subscribe(subject, queue) => {
                        let subject = subject.as_bytes();
                        if !subject::is_subscribable(subject) {
                            continue;
                        }
                        let sid = format!("{number:04}").into_bytes();
                        let queue = queue.map(|queue| [queue]);
                        let queue = queue.as_ref().map(<[u8; 1]>::as_slice);
                        let id = sublist.insert(subject, queue, &sid, ReceiverId(7));
                        naive.push((id, subject.to_vec(), sid));
                    }
                    Step::Unsubscribe(which) if !naive.is_empty() => {
                        let (id, subject, sid) = naive.remove(which.index(naive.len()));
                        prop_assert_eq!(sublist.subject(id), &subject[..]);
                        let ended = sublist.remove(id);
                        prop_assert_eq!(ended.sid.as_slice(), &sid[..]);
                    }
                    Step::Unsubscribe(_) => {}
                    Step::Publish(published) => {
                        let mut expected: Vec<Vec<u8>> = naive
                            .iter()
                            .filter(|(_, subject, _)| subject::matches(subject, published.as_bytes()))
                            .map(|(_, _, sid)| sid.clone())
                            .collect();
                        expected.sort();
                        prop_assert_eq!(reached(&mut sublist, published.as_bytes()), expected);
                    }
                }
                prop_assert_eq!(sublist.len(), naive.len());
            }
        }
    }
}
