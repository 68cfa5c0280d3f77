//! `Cache`: what subjects have reached lately, those without a subscriber among them.
//!
//! A table of pairs, two cache lines each; a subject stands in one pair, in one of its two ways:
//!
//! ```text
//! way 0: tag, filled, lengths   way 1: the same   candidate │ room of way 0   │ room of way 1
//!                                                           │ subject  sets   │ subject  sets
//! ```
//!
//! What does not fit into half the room takes all of it, in way 0, and then way 1 is empty.
//!
//! It holds sets and not subscriptions: a member that joins or leaves a set changes nothing here. A set with
//! a literal subject that appears or disappears drops the one entry it could be in. One with a
//! wildcard makes old all entries with its first token (with one of the 256 classes into which
//! their hashes fall), or just all, if its first token is a wildcard. They are not searched for:
//! each entry remembers when it was filled, each class when it was last changed, in a time that
//! counts these changes.
//!
//! Replies go to subjects that are used once. They must not drive out others, so an entry is filled
//! by the second miss for a subject: the first makes it the candidate of its pair, for a while.
//!
//! A client takes all its replies by one wildcard, as `_INBOX.x.*`, and which of them it is makes no difference in the
//! trie. Then the subjects that differ in their last token only are *siblings*, and one entry, under `_INBOX.x.*`, has
//! what all of them reach there. As the subject that it is, it has that too.
//!
//! There is a cache for each of maybe ten thousand accounts, and most have few subjects. So it begins small, and grows
//! when subjects come back that it could not keep. That is found out by a sample: one subject that was missed is
//! watched until [`WATCHED_MISSES_MAX`] others were. Misses for it are its first and its second one; a third tells that it was lost.
//! Replies do not come back, and so do not make it grow.

use super::SetId;
use super::index::Hashing;

/// What fits into an entry: a subject, and 4 bytes for each set.
const ROOM_BYTES: usize = 96;

/// What fits into an entry that leaves room for another.
const HALF_BYTES: usize = ROOM_BYTES / 2;

/// The classes of first tokens.
const CLASSES: usize = 256;

/// Fewest and most pairs: 2 KiB and 8 MiB.
const PAIRS: [usize; 2] = [1 << 4, 1 << 16];

/// Most pairs that there are for the sake of subjects that were lost, however few sets there are: 128 KiB.
const GROWN_PAIRS_MAX: usize = 1 << 10;

/// The factor by which it grows then.
const GROWTH: usize = 8;

/// Misses for which a sample is watched: three rounds of as many subjects as the largest of these sizes holds.
const WATCHED_MISSES_MAX: u16 = 6 << 10;

/// Misses for others that a candidate outlasts. Some subjects in turn must not keep each other
/// from being asked for twice.
const OTHERS_MAX: u8 = 3;

#[derive(Clone, Debug)]
#[repr(align(128))]
struct Pair {
    ways: [Way; 2],
    /// The tag of a subject that was missed here once; 0 if there is none.
    candidate: u32,
    /// Misses for others since then.
    others: u8,
    room: [u8; ROOM_BYTES],
}

#[derive(Clone, Debug)]
struct Way {
    /// Half of the subject's hash.
    tag: u32,
    /// When it was filled; 0 if it holds nothing.
    filled: u32,
    /// The class of the subject's first token.
    class: u8,
    /// Bytes of the subject.
    len: u8,
    /// How many sets it reaches.
    count: u8,
    /// Whether its siblings reach the same in the trie.
    is_for_all: bool,
}

const EMPTY: Pair = Pair {
    ways: [const {
        Way {
            tag: 0,
            filled: 0,
            class: 0,
            len: 0,
            count: 0,
            is_for_all: false,
        }
    }; 2],
    candidate: 0,
    others: 0,
    room: [0; ROOM_BYTES],
};

/// What subjects have reached lately.
#[derive(Debug)]
pub(super) struct Cache {
    /// None until there is something to keep, then a power of two.
    pairs: Vec<Pair>,
    /// Counts the changes; never 0.
    time: u32,
    /// When something last changed for all subjects; never 0.
    changed: u32,
    sample: Sample,
    /// When something last changed for the subjects of a class; none until something has that is known. An account
    /// that is empty has no kibibyte for it.
    classes: Option<Box<[u32; CLASSES]>>,
}

/// A subject that was missed, and is watched.
#[derive(Debug, Default)]
struct Sample {
    /// Half of its hash.
    tag: u32,
    /// Misses for it; with 0 there is none.
    own: u8,
    /// Misses for all subjects since its first one.
    all: u16,
}

impl Sample {
    /// A subject was missed that is not known, nor was a moment ago; answers whether it is the one that is watched and
    /// was lost.
    fn has_lost(&mut self, tag: u32) -> bool {
        if self.own == 0 || self.all == WATCHED_MISSES_MAX {
            (self.tag, self.own, self.all) = (tag, 1, 0);
            return false;
        }
        self.all += 1;
        self.own += u8::from(self.tag == tag);
        let is_lost = self.own == 3;
        if is_lost {
            self.own = 0;
        }
        is_lost
    }
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            pairs: Vec::new(),
            time: 1,
            changed: 1,
            sample: Sample::default(),
            classes: None,
        }
    }
}

impl Cache {
    /// Appends what `subject` reaches; answers whether it knew.
    pub(super) fn get(&self, hash: u64, subject: &[u8], found: &mut Vec<SetId>) -> bool {
        let known = self.find(hash, subject);
        if let Some((pair, number)) = known {
            found.extend(pair.sets(number));
        }
        known.is_some()
    }

    /// Appends what `subject` reaches in the trie, if that is known of its siblings; answers whether it is.
    pub(super) fn get_of_siblings(
        &self,
        subject: &[u8],
        found: &mut Vec<SetId>,
        hashing: &Hashing,
    ) -> bool {
        let Some(siblings) = Siblings::of(subject) else {
            return false;
        };
        let known = self.find(hashing.of(siblings.subject()), siblings.subject());
        let known = known.filter(|(pair, number)| pair.ways[*number].is_for_all);
        if let Some((pair, number)) = known {
            found.extend(pair.sets(number));
        }
        known.is_some()
    }

    #[inline(always)]
    fn find(&self, hash: u64, subject: &[u8]) -> Option<(&Pair, usize)> {
        let pair = self.pairs.get(self.place(hash))?;
        let number = (0..2).find(|number| {
            let way = &pair.ways[*number];
            way.tag == tag(hash) && self.is_good(way) && pair.subject(*number) == subject
        })?;
        Some((pair, number))
    }

    /// Learns what `subject` reaches, which was missed; of a sublist of `sets` sets.
    pub(super) fn learn(
        &mut self,
        hash: u64,
        subject: &[u8],
        reached: &[SetId],
        sets: usize,
        hashing: &Hashing,
    ) {
        self.fill(hash, subject, (reached, false), sets, hashing);
    }

    /// Learns what `subject` and its siblings reach in the trie. It has no empty token.
    pub(super) fn learn_of_siblings(
        &mut self,
        subject: &[u8],
        reached: &[SetId],
        sets: usize,
        hashing: &Hashing,
    ) {
        if let Some(siblings) = Siblings::of(subject) {
            let subject = siblings.subject();
            self.fill(hashing.of(subject), subject, (reached, true), sets, hashing);
        }
    }

    /// `is_for_all` of `reached` tells whether siblings reach the same in the trie.
    fn fill(
        &mut self,
        hash: u64,
        subject: &[u8],
        (reached, is_for_all): (&[SetId], bool),
        sets: usize,
        hashing: &Hashing,
    ) {
        let bytes = subject.len() + 4 * reached.len();
        if bytes > ROOM_BYTES {
            return;
        }
        self.fit(sets);
        let place = self.place(hash);
        let is_old = (0..2).any(|number| self.pairs[place].is_of(number, hash, subject));
        if !is_old && self.pairs.len() < GROWN_PAIRS_MAX && self.sample.has_lost(tag(hash)) {
            let larger = GROWTH * self.pairs.len();
            self.pairs = vec![EMPTY; larger.min(GROWN_PAIRS_MAX)];
            return;
        }
        let good = [0, 1].map(|number| self.is_good(&self.pairs[place].ways[number]));
        let pair = &mut self.pairs[place];
        let number = match (0..2).find(|number| pair.is_of(*number, hash, subject)) {
            // It was only made old, and has been asked for before.
            Some(number) => number,
            None if !pair.is_second_miss(tag(hash)) => return,
            None if !good[0] => 0,
            None if !good[1] && !pair.is_long() => 1,
            None => (hash >> 31) as usize & 1,
        };
        let is_long = bytes > HALF_BYTES;
        if is_long || pair.is_long() {
            pair.ways.iter_mut().for_each(|way| way.filled = 0);
        }
        let number = if is_long { 0 } else { number };
        let (text, rest) = pair.room[number * HALF_BYTES..].split_at_mut(subject.len());
        text.copy_from_slice(subject);
        for (bytes, set) in rest.chunks_exact_mut(4).zip(reached) {
            bytes.copy_from_slice(&set.0.to_le_bytes());
        }
        pair.ways[number] = Way {
            tag: tag(hash),
            filled: self.time,
            class: class(first_token(subject), hashing),
            // Both fit, since the room is smaller than that.
            len: subject.len() as u8,
            count: reached.len() as u8,
            is_for_all,
        };
    }

    /// Forgets one subject: what it reaches has changed.
    pub(super) fn forget(&mut self, hash: u64) {
        let place = self.place(hash);
        if let Some(pair) = self.pairs.get_mut(place) {
            let ways = pair.ways.iter_mut().filter(|way| way.tag == tag(hash));
            ways.for_each(|way| way.filled = 0);
        }
    }

    /// Forgets all that a subject with a wildcard could reach.
    pub(super) fn forget_like(&mut self, subject: &[u8], hashing: &Hashing) {
        match first_token(subject) {
            b"*" | b">" => self.forget_all(),
            first => {
                self.tick();
                if !self.pairs.is_empty() {
                    let classes = self.classes.get_or_insert_with(|| Box::new([0; CLASSES]));
                    classes[usize::from(class(first, hashing))] = self.time;
                }
            }
        }
    }

    /// Forgets all.
    pub(super) fn forget_all(&mut self) {
        self.tick();
        self.changed = self.time;
    }

    /// Bytes that are reserved.
    pub(super) fn bytes(&self) -> usize {
        let classes = self.classes.as_ref().map_or(0, |all| size_of_val(&**all));
        self.pairs.capacity() * size_of::<Pair>() + classes
    }

    /// How many pairs there are.
    pub(super) fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Subjects whose answer a pair knows.
    pub(super) fn known_by(&self, pair: usize) -> usize {
        let ways = self.pairs.get(pair).map_or(&[][..], |pair| &pair.ways);
        ways.iter().filter(|way| self.is_good(way)).count()
    }

    /// An entry that is not old holds what `search` finds now, if that does so; each stands where it is looked
    /// for, is no larger than its room, and is not from the future.
    ///
    /// ```text
    /// filled, classes, changed <= time       pairs: 0, or a power of two within PAIRS
    /// ```
    pub(super) fn invariants(
        &self,
        hashing: &Hashing,
        search: impl Fn(&[u8]) -> Option<Vec<SetId>>,
    ) {
        let len = self.pairs.len();
        let is_in_limits = len.is_power_of_two() && len >= PAIRS[0] && len <= PAIRS[1];
        assert!(len == 0 || is_in_limits, "{len} pairs");
        assert!(self.changed >= 1 && self.changed <= self.time);
        let mut classes = self.classes.iter().flat_map(|all| all.iter());
        assert!(classes.all(|class| *class <= self.time));
        for (place, pair) in self.pairs.iter().enumerate() {
            assert!(!pair.is_long() || pair.ways[1].filled == 0);
            for (number, way) in pair.ways.iter().enumerate() {
                assert!(way.filled <= self.time);
                if way.filled == 0 || !self.is_good(way) {
                    continue;
                }
                let subject = pair.subject(number);
                let hash = hashing.of(subject);
                assert_eq!((self.place(hash), tag(hash)), (place, way.tag));
                assert_eq!(class(first_token(subject), hashing), way.class);
                self.agrees(subject, hashing, &search);
            }
        }
    }

    /// What is known of a subject is what `search` finds now, if that does so.
    pub(super) fn agrees(
        &self,
        subject: &[u8],
        hashing: &Hashing,
        search: impl Fn(&[u8]) -> Option<Vec<SetId>>,
    ) {
        let mut known = Vec::new();
        if self.get(hashing.of(subject), subject, &mut known)
            && let Some(mut found) = search(subject)
        {
            known.sort_unstable();
            found.sort_unstable();
            assert_eq!(known, found, "of {}", subject.escape_ascii());
        }
    }

    /// Forgets all, and gives all memory back.
    pub(super) fn empty(&mut self) {
        self.forget_all();
        (self.pairs, self.classes) = (Vec::new(), None);
    }

    /// Gives memory back if it has become too large for this number of sets.
    pub(super) fn shrink(&mut self, sets: usize) {
        if self.pairs.len() > GROWN_PAIRS_MAX && sets < self.pairs.len() / 16 {
            self.pairs = Vec::new();
        }
    }

    /// Has two pairs for each set, within limits: with one, a quarter of as many subjects as there are sets would
    /// share a pair with two others. What it knew is lost when that changes.
    fn fit(&mut self, sets: usize) {
        let wanted = (2 * sets).next_power_of_two().clamp(PAIRS[0], PAIRS[1]);
        if self.pairs.len() < wanted {
            self.pairs = vec![EMPTY; wanted];
        }
    }

    /// Time goes on. Should it come to its end, all is forgotten and it begins again: an entry from
    /// before must not pass for a new one.
    fn tick(&mut self) {
        match self.time.checked_add(1) {
            Some(time) => self.time = time,
            None => *self = Cache::default(),
        }
    }

    fn is_good(&self, way: &Way) -> bool {
        let classes = self.classes.as_ref();
        let changed = classes.map_or(0, |all| all[usize::from(way.class)]);
        way.filled >= changed.max(self.changed)
    }

    fn place(&self, hash: u64) -> usize {
        hash as usize & self.pairs.len().wrapping_sub(1)
    }
}

impl Pair {
    fn subject(&self, number: usize) -> &[u8] {
        let start = number * HALF_BYTES;
        &self.room[start..start + usize::from(self.ways[number].len)]
    }

    fn sets(&self, number: usize) -> impl Iterator<Item = SetId> {
        let way = &self.ways[number];
        let start = number * HALF_BYTES + usize::from(way.len);
        let bytes = &self.room[start..start + 4 * usize::from(way.count)];
        let (sets, _) = bytes.as_chunks();
        sets.iter().map(|set| SetId(u32::from_le_bytes(*set)))
    }

    /// Whether a way is of this subject, be it good or old.
    fn is_of(&self, number: usize, hash: u64, subject: &[u8]) -> bool {
        let way = &self.ways[number];
        way.tag == tag(hash) && way.filled != 0 && self.subject(number) == subject
    }

    /// Whether way 0 takes all the room.
    fn is_long(&self) -> bool {
        let way = &self.ways[0];
        way.filled != 0 && usize::from(way.len) + 4 * usize::from(way.count) > HALF_BYTES
    }

    /// Whether this one has been missed before, as far as it is remembered.
    fn is_second_miss(&mut self, tag: u32) -> bool {
        if self.candidate == tag {
            (self.candidate, self.others) = (0, 0);
            return true;
        }
        if self.candidate != 0 && self.others < OTHERS_MAX {
            self.others += 1;
        } else {
            (self.candidate, self.others) = (tag, 0);
        }
        false
    }
}

/// The subject under which siblings stand: `a.b.*` for `a.b.c`.
struct Siblings {
    bytes: [u8; ROOM_BYTES],
    len: usize,
}

impl Siblings {
    /// `None` if a subject has none, or its last token is empty, or it is too long.
    fn of(subject: &[u8]) -> Option<Siblings> {
        let before = memchr::memrchr(b'.', subject)? + 1;
        if before == subject.len() || before >= ROOM_BYTES {
            return None;
        }
        let mut bytes = [0; ROOM_BYTES];
        bytes[..before].copy_from_slice(&subject[..before]);
        bytes[before] = b'*';
        let len = before + 1;
        Some(Siblings { bytes, len })
    }

    fn subject(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The half of a hash that does not choose the place.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn first_token(subject: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'.', subject);
    &subject[..end.unwrap_or(subject.len())]
}

fn class(first: &[u8], hashing: &Hashing) -> u8 {
    hashing.of(first) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        cache: Cache,
        hashing: Hashing,
    }

    impl Bench {
        fn new() -> Bench {
            Bench {
                cache: Cache::default(),
                hashing: Hashing::new(5),
            }
        }

        fn learn(&mut self, subject: &str, reached: &[u32]) {
            let reached: Vec<SetId> = reached.iter().copied().map(SetId).collect();
            let hash = self.hashing.of(subject.as_bytes());
            self.cache
                .learn(hash, subject.as_bytes(), &reached, 1, &self.hashing);
        }

        fn get(&self, subject: &str) -> Option<Vec<u32>> {
            let mut found = Vec::new();
            let hash = self.hashing.of(subject.as_bytes());
            let knew = self.cache.get(hash, subject.as_bytes(), &mut found);
            knew.then(|| found.iter().map(|set| set.0).collect())
        }

        fn forget_like(&mut self, subject: &str) {
            self.cache.forget_like(subject.as_bytes(), &self.hashing);
        }
    }

    #[test]
    fn a_pair_is_two_cache_lines() {
        assert_eq!(size_of::<Pair>(), 128);
    }

    #[test]
    fn a_subject_is_known_from_its_second_miss_on() {
        let mut bench = Bench::new();
        for (subject, reached) in [("a.b", &[7, 9][..]), ("nobody", &[])] {
            assert_eq!(bench.get(subject), None);
            bench.learn(subject, reached);
            assert_eq!(bench.get(subject), None);
            bench.learn(subject, reached);
            assert_eq!(bench.get(subject).as_deref(), Some(reached));
        }
    }

    #[test]
    fn siblings_are_known_by_one_entry_and_no_others_are() {
        let mut bench = Bench::new();
        let siblings = |bench: &Bench, subject: &str| {
            let (mut found, text) = (Vec::new(), subject.as_bytes());
            let knew = bench
                .cache
                .get_of_siblings(text, &mut found, &bench.hashing);
            knew.then_some(found)
        };
        for subject in ["a.b.1", "a.b.2"] {
            assert_eq!(siblings(&bench, subject), None);
            let (text, hashing) = (subject.as_bytes(), &bench.hashing);
            bench.cache.learn_of_siblings(text, &[SetId(7)], 1, hashing);
        }
        assert_eq!(siblings(&bench, "a.b.3"), Some(vec![SetId(7)]));
        for other in ["a.b.", "a.b", "a.b.c.d", "b.b.1", "b", ""] {
            assert_eq!(siblings(&bench, other), None, "{other:?}");
        }
        bench.forget_like("a.>");
        assert_eq!(siblings(&bench, "a.b.3"), None);
        // What is known of such a subject alone holds for no sibling.
        for _ in 0..2 {
            bench.learn("c.*", &[1]);
        }
        assert_eq!(bench.get("c.*"), Some(vec![1]));
        assert_eq!(siblings(&bench, "c.x"), None);
    }

    #[test]
    fn as_many_subjects_as_there_are_sets_nearly_all_stay_known() {
        let mut bench = Bench::new();
        for seed in 0..20 {
            bench.cache = Cache::default();
            bench.hashing = Hashing::new(seed);
            let subjects: Vec<String> = (0..1000).map(|n| format!("bench.{n}")).collect();
            // The candidates of a pair may take turns.
            for subject in subjects.iter().chain(&subjects).chain(&subjects) {
                let hash = bench.hashing.of(subject.as_bytes());
                let (text, hashing) = (subject.as_bytes(), &bench.hashing);
                bench.cache.learn(hash, text, &[SetId(1)], 1000, hashing);
            }
            let known = subjects.iter().filter(|one| bench.get(one).is_some());
            let known = known.count();
            assert!(known > 940, "{known} of 1000");
        }
    }

    #[test]
    fn subjects_that_are_used_once_drive_nothing_out() {
        let mut bench = Bench::new();
        for _ in 0..2 {
            bench.learn("hot", &[1]);
        }
        for number in 0..100_000 {
            bench.learn(&format!("_INBOX.{number}"), &[2]);
        }
        assert_eq!(bench.get("hot"), Some(vec![1]));
    }

    #[test]
    fn it_grows_when_subjects_come_back_that_it_could_not_keep_and_not_for_others() {
        let mut bench = Bench::new();
        let ask = |bench: &mut Bench, subject: &str| {
            if bench.get(subject).is_none() {
                bench.learn(subject, &[1]);
            }
        };
        for number in 0..20_000 {
            ask(&mut bench, &format!("_INBOX.{number}"));
            ask(&mut bench, &format!("few.{}", number % 8));
        }
        assert_eq!(bench.cache.pairs.len(), PAIRS[0]);
        // Samples that are kept take up most of the rounds.
        for number in (0..60).flat_map(|_| 0..1000) {
            ask(&mut bench, &format!("s.{number}"));
        }
        let is_known = |number: &i32| bench.get(&format!("s.{number}")).is_some();
        assert!((0..1000).filter(is_known).count() > 800);
        assert_eq!(bench.cache.pairs.len(), GROWN_PAIRS_MAX);
    }

    #[test]
    fn subjects_of_one_pair_are_kept_also_if_they_are_asked_for_in_turn() {
        let mut bench = Bench::new();
        bench.cache.fit(GROWN_PAIRS_MAX / 2);
        // Of the subjects in turn, some fall together.
        let subjects: Vec<String> = (0..1000).map(|number| format!("s.{number}")).collect();
        for _ in 0..6 {
            for subject in &subjects {
                if bench.get(subject).is_none() {
                    bench.learn(subject, &[1]);
                }
            }
        }
        let known = subjects
            .iter()
            .filter(|subject| bench.get(subject).is_some());
        assert!(known.count() > 800);
    }

    #[test]
    fn a_long_subject_and_the_short_ones_of_its_pair_drive_each_other_out() {
        let subject = |first: char, bytes: usize| format!("{first:s<bytes$}");
        let subjects = [
            (subject('a', HALF_BYTES - 4), 1),
            (subject('b', HALF_BYTES - 3), 2),
            (subject('c', HALF_BYTES - 4), 3),
            (subject('d', ROOM_BYTES - 4), 4),
        ];
        let hashing = Hashing::new(1);
        for (first, second) in subjects
            .iter()
            .flat_map(|one| subjects.iter().map(move |two| (one, two)))
        {
            if first == second {
                continue;
            }
            // The way that is taken by chance.
            for chance in [0, 1 << 31] {
                let mut cache = Cache::default();
                let hash = |tag: u32| u64::from(tag) << 32 | chance;
                for (subject, tag) in [first, first, second, second] {
                    let reached = [SetId(*tag)];
                    cache.learn(hash(*tag), subject.as_bytes(), &reached, 1, &hashing);
                }
                let mut known = Vec::new();
                for (subject, tag) in [first, second] {
                    if cache.get(hash(*tag), subject.as_bytes(), &mut known) {
                        assert_eq!(known.last(), Some(&SetId(*tag)));
                    }
                }
                let are_short = first.0.len().max(second.0.len()) == HALF_BYTES - 4;
                let expected = if are_short { 2 } else { 1 };
                assert_eq!(known.len(), expected, "{first:?}, then {second:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let mut bench = Bench::new();
        let fits = "s".repeat(ROOM_BYTES - 4);
        let too_long = "s".repeat(ROOM_BYTES - 3);
        for _ in 0..2 {
            bench.learn(&fits, &[1]);
            bench.learn(&too_long, &[1]);
        }
        assert_eq!(bench.get(&fits), Some(vec![1]));
        assert_eq!(bench.get(&too_long), None);
    }

    #[test]
    fn a_wildcard_makes_old_what_begins_as_it_does() {
        let mut bench = Bench::new();
        // Tokens of different classes.
        let class = |token: &str| class(token.as_bytes(), &bench.hashing);
        assert_ne!(class("a"), class("b"));
        for _ in 0..2 {
            bench.learn("a.x", &[1]);
            bench.learn("b.x", &[2]);
        }
        bench.forget_like("a.*");
        assert_eq!(bench.get("a.x"), None);
        assert_eq!(bench.get("b.x"), Some(vec![2]));
        bench.learn("a.x", &[3]);
        assert_eq!(bench.get("a.x"), Some(vec![3]), "it was known before");
        for leading in ["*.x", ">"] {
            bench.forget_like(leading);
            for subject in ["a.x", "b.x"] {
                assert_eq!(bench.get(subject), None, "{subject} after {leading}");
                bench.learn(subject, &[4]);
                assert_eq!(bench.get(subject), Some(vec![4]));
            }
        }
    }

    #[test]
    fn nothing_from_before_the_end_of_time_is_taken_for_new() {
        let mut bench = Bench::new();
        for _ in 0..2 {
            bench.learn("a.x", &[1]);
        }
        bench.cache.time = u32::MAX - 1;
        for _ in 0..2 {
            bench.learn("b.x", &[2]);
        }
        for _ in 0..3 {
            bench.forget_like("c.*");
        }
        assert!(bench.cache.time < 10);
        assert_eq!(bench.get("a.x"), None);
        assert_eq!(bench.get("b.x"), None);
    }

    #[test]
    fn it_grows_with_the_sets_and_is_given_back() {
        let mut bench = Bench::new();
        assert_eq!(bench.cache.pairs.len(), 0);
        for (sets, pairs) in [
            (1, 16),
            (300, 1024),
            (3000, 8192),
            (10, 8192),
            (1_000_000, 65_536),
        ] {
            bench.cache.fit(sets);
            assert_eq!(bench.cache.pairs.len(), pairs, "{sets} sets");
        }
        bench.cache.shrink(65_536 / 16);
        assert_eq!(bench.cache.pairs.len(), 65_536);
        bench.cache.shrink(65_536 / 16 - 1);
        assert_eq!(bench.cache.pairs.len(), 0);
    }
}
