//! `Cache`: what subjects have reached lately, those that reach nobody among them.
//!
//! A table in which each subject has two places, side by side. An entry is a cache line:
//!
//! ```text
//! tag  filled  candidate  first  len  count │ subject          │ sets         │ nothing
//! ```
//!
//! It holds sets and not subscriptions: who joins or leaves a set changes nothing here. A set with
//! a literal subject that appears or disappears drops the one entry it could be in. One with a
//! wildcard makes old all entries with its first token (with one of the 256 classes into which
//! their hashes fall), or just all, if its first token is a wildcard. Entries are not searched for that:
//! each remembers when it was filled, each class when it was last changed, in a time that counts
//! these changes.
//!
//! Replies go to subjects that are used once. They must not drive out others, so an entry is filled
//! by the second miss in a row for a subject: the first makes it the candidate for its places.

use super::SetId;
use super::index::Hashing;

/// What fits into an entry: a subject, and 4 bytes for each set.
const ROOM_BYTES: usize = 48;

/// The classes of first tokens.
const CLASSES: usize = 256;

/// Fewest and most entries: 128 KiB and 8 MiB.
const ENTRIES: [usize; 2] = [1 << 11, 1 << 17];

#[derive(Clone, Debug)]
#[repr(align(64))]
struct Entry {
    /// Half of the subject's hash.
    tag: u32,
    /// When it was filled; 0 if it holds nothing.
    filled: u32,
    /// The tag of the last subject that was missed here and in the place beside.
    candidate: u32,
    /// The class of the subject's first token.
    first: u8,
    /// Bytes of the subject.
    len: u8,
    /// How many sets it reaches.
    count: u8,
    room: [u8; ROOM_BYTES],
}

const EMPTY: Entry = Entry {
    tag: 0,
    filled: 0,
    candidate: 0,
    first: 0,
    len: 0,
    count: 0,
    room: [0; ROOM_BYTES],
};

/// What subjects have reached lately.
#[derive(Debug)]
pub(super) struct Cache {
    /// None until there is something to keep, then a power of two.
    entries: Vec<Entry>,
    /// Counts the changes; never 0.
    time: u32,
    /// When something last changed for all subjects.
    changed: u32,
    /// When something last changed for the subjects of a class.
    classes: Box<[u32; CLASSES]>,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            entries: Vec::new(),
            time: 1,
            changed: 1,
            classes: Box::new([0; CLASSES]),
        }
    }
}

impl Cache {
    /// Appends what `subject` reaches; answers whether it knew.
    pub(super) fn get(&self, hash: u64, subject: &[u8], found: &mut Vec<SetId>) -> bool {
        let places = self.places(hash).into_iter();
        let mut entries = places.filter_map(|place| self.entries.get(place));
        let Some(entry) = entries.find(|entry| entry.is_of(hash, subject) && self.is_good(entry))
        else {
            return false;
        };
        found.extend(entry.sets());
        true
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
        if subject.len() + reached.len() * 4 > ROOM_BYTES {
            return;
        }
        self.fit(sets);
        let places = self.places(hash);
        let is_known = |place: &usize| self.entries[*place].is_of(hash, subject);
        let place = match places.into_iter().find(is_known) {
            // It was only made old, and has been asked for before.
            Some(place) => place,
            None => {
                let candidate = &mut self.entries[places[0] & !1].candidate;
                if *candidate != tag(hash) {
                    *candidate = tag(hash);
                    return;
                }
                let is_free = |place: &usize| !self.is_good(&self.entries[*place]);
                places.into_iter().find(is_free).unwrap_or(places[0])
            }
        };
        let entry = &mut self.entries[place];
        let (text, rest) = entry.room.split_at_mut(subject.len());
        text.copy_from_slice(subject);
        for (bytes, set) in rest.chunks_exact_mut(4).zip(reached) {
            bytes.copy_from_slice(&set.0.to_le_bytes());
        }
        entry.tag = tag(hash);
        entry.filled = self.time;
        entry.first = class(first_token(subject), hashing);
        // Both fit, since the room is smaller than that.
        entry.len = subject.len() as u8;
        entry.count = reached.len() as u8;
    }

    /// Forgets one subject: what it reaches has changed.
    pub(super) fn forget(&mut self, hash: u64) {
        for place in self.places(hash) {
            if let Some(entry) = self.entries.get_mut(place)
                && entry.tag == tag(hash)
            {
                entry.filled = 0;
            }
        }
    }

    /// Forgets all that a subject with a wildcard could reach.
    pub(super) fn forget_like(&mut self, subject: &[u8], hashing: &Hashing) {
        match first_token(subject) {
            b"*" | b">" => self.forget_all(),
            first => {
                self.tick();
                self.classes[usize::from(class(first, hashing))] = self.time;
            }
        }
    }

    /// Forgets all.
    pub(super) fn forget_all(&mut self) {
        self.tick();
        self.changed = self.time;
    }

    /// Gives memory back if it has become too large for so many sets.
    pub(super) fn shrink(&mut self, sets: usize) {
        if self.entries.len() > ENTRIES[0] && sets < self.entries.len() / 16 {
            self.entries = Vec::new();
        }
    }

    /// Has room for two subjects for each set, within limits. What it knew is lost when that changes.
    fn fit(&mut self, sets: usize) {
        let wanted = (2 * sets).next_power_of_two().clamp(ENTRIES[0], ENTRIES[1]);
        if self.entries.len() < wanted {
            self.entries = vec![EMPTY; wanted];
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

    fn is_good(&self, entry: &Entry) -> bool {
        let changed = self.classes[usize::from(entry.first)].max(self.changed);
        entry.filled >= changed
    }

    /// Where an entry may stand: which is tried first, is by chance.
    fn places(&self, hash: u64) -> [usize; 2] {
        let place = hash as usize & self.entries.len().wrapping_sub(1);
        [place, place ^ 1]
    }
}

impl Entry {
    /// Whether it is of this subject, be it good or old.
    fn is_of(&self, hash: u64, subject: &[u8]) -> bool {
        self.tag == tag(hash) && self.filled != 0 && self.subject() == subject
    }

    fn subject(&self) -> &[u8] {
        &self.room[..usize::from(self.len)]
    }

    fn sets(&self) -> impl Iterator<Item = SetId> {
        let start = usize::from(self.len);
        let bytes = &self.room[start..start + 4 * usize::from(self.count)];
        let (sets, _) = bytes.as_chunks();
        sets.iter().map(|set| SetId(u32::from_le_bytes(*set)))
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
    fn an_entry_is_a_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
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
        assert_eq!(bench.cache.entries.len(), 0);
        for (sets, entries) in [(1, 2048), (3000, 8192), (10, 8192), (1_000_000, 131_072)] {
            bench.cache.fit(sets);
            assert_eq!(bench.cache.entries.len(), entries, "{sets} sets");
        }
        bench.cache.shrink(131_072 / 16);
        assert_eq!(bench.cache.entries.len(), 131_072);
        bench.cache.shrink(131_072 / 16 - 1);
        assert_eq!(bench.cache.entries.len(), 0);
    }
}
