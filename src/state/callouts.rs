//! `Callouts`: who waits until somebody has decided about it, who has been asked about whom, and how many are asked about
//! at once.
//!
//! ```text
//! login ──▶ waiting, by source ──▶ begun ──▶ asked, ASKED_MAX at most ──▶ answered, or late
//!           the newest first                 kept when the client leaves
//! ```
//!
//! Each connection can have a question asked. So few are with the service at once, and half of them at most are about
//! clients of one source; the sources take turns. A question has its place until it is answered or late, though its client
//! be gone: it is still with the service, and to come and go does not bring more of them there. Who waits takes a number
//! here and nothing else: what it has presented stays with its connection.
//!
//! As with passwords the newest client of a source comes first: the oldest may have given up.

use super::State;
use crate::auth::callout::request;
use crate::core::requests::Service;
use crate::door::Source;
use midge_reactor::{Key, TimerId};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Questions that are asked at once, and of these about clients of one source.
const ASKED_MAX: usize = 256;
const OF_SOURCE_MAX: usize = 128;

/// Who waits, and what is asked.
#[derive(Debug, Default)]
pub(crate) struct Callouts {
    entries: HashMap<u64, Entry>,
    /// How many there have been: each has a number of its own.
    made: u64,
    sources: HashMap<Source, OfSource>,
    /// Sources of which somebody waits and may be asked about.
    turns: VecDeque<Source>,
    /// How many have a place.
    taken: usize,
    /// The numbers of questions, by what stands in the subject of their answers.
    tokens: HashMap<[u8; 8], u64>,
    /// The server's part of those subjects, once it is known.
    run: Option<[u8; 8]>,
    /// By whom is asked in an account, and about how many.
    askers: BTreeMap<Box<str>, (Service, usize)>,
    is_scheduled: bool,
    /// Accounts whose callouts have put clients into others that may be there. A name costs a walk over the clients when its
    /// account has another token, and stays if one of them is found.
    deciders: BTreeSet<Box<str>>,
}

#[derive(Debug)]
struct Entry {
    /// The client; `None` if it has left.
    client: Option<Key>,
    source: Source,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    /// It has a place, and is about to be asked about.
    Begun,
    Asked(Question),
}

/// Another client may be asked about by now: one has come that waits, or a place has become free. Whoever is told so has to
/// [start](Callouts::start) the next one, or that would wait until its time is over.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "the next client that waits is to be asked about"]
pub(crate) struct Room(bool);

impl Room {
    /// Whether there may be one to be asked about.
    pub(crate) fn into_bool(self) -> bool {
        self.0
    }
}

/// A question that is with the service.
#[derive(Debug)]
pub(crate) struct Question {
    /// The account in which it was asked.
    pub(crate) account: Box<str>,
    /// The key that was made for it.
    pub(crate) user_key: Box<str>,
    /// What stands in the subject of its answer.
    pub(crate) token: [u8; 8],
    /// When it is late.
    pub(crate) timer: TimerId,
}

/// An answer that was awaited.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) number: u64,
    /// Who still waits for it.
    pub(crate) client: Option<Key>,
    pub(crate) question: Question,
}

#[derive(Debug, Default)]
struct OfSource {
    waiting: BTreeSet<u64>,
    taken: usize,
    /// It is among the turns.
    has_turn: bool,
}

impl Callouts {
    /// A client of a source waits; answers its number. [`start`](Callouts::start) tells when it is its turn.
    pub(crate) fn wait(&mut self, source: Source, client: Key) -> (u64, Room) {
        self.made += 1;
        let number = self.made;
        let entry = Entry {
            client: Some(client),
            source,
            phase: Phase::Waiting,
        };
        self.entries.insert(number, entry);
        let of_source = self.sources.entry(source).or_default();
        of_source.waiting.insert(number);
        self.line_up(source);
        (number, Room(true))
    }

    /// The client to ask about next, if there is a place for it, and its number. One that has hung up is not asked about.
    ///
    /// Of those that wait, one more at most may be asked about for each [`Room`].
    pub(crate) fn start(&mut self, has_hung_up: impl Fn(Key) -> bool) -> Option<(u64, Key)> {
        while self.taken < ASKED_MAX {
            let source = self.turns.pop_front()?;
            let Some(of_source) = self.sources.get_mut(&source) else {
                continue;
            };
            of_source.has_turn = false;
            let newest = of_source.waiting.pop_last();
            let client =
                newest.and_then(|number| Some((number, self.entries.get(&number)?.client?)));
            match (newest, client) {
                (_, Some((number, client))) if !has_hung_up(client) => {
                    of_source.taken += 1;
                    self.taken += 1;
                    if let Some(entry) = self.entries.get_mut(&number) {
                        entry.phase = Phase::Begun;
                    }
                    self.line_up(source);
                    return Some((number, client));
                }
                (Some(number), _) => {
                    self.entries.remove(&number);
                }
                (None, _) => {}
            }
            self.line_up(source);
        }
        None
    }

    /// It was asked about a client that has a place.
    pub(crate) fn asked(&mut self, number: u64, question: Question) {
        self.tokens.insert(question.token, number);
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.phase = Phase::Asked(question);
        }
    }

    /// A client waits no longer, or no service was there. What is with the service keeps its place.
    pub(crate) fn withdraw(&mut self, number: u64) -> Room {
        let Some(entry) = self.entries.get_mut(&number) else {
            return Room(false);
        };
        entry.client = None;
        let source = entry.source;
        let room = match entry.phase {
            Phase::Asked(_) => return Room(false),
            Phase::Waiting => {
                if let Some(of_source) = self.sources.get_mut(&source) {
                    of_source.waiting.remove(&number);
                }
                Room(false)
            }
            Phase::Begun => self.free(source),
        };
        self.entries.remove(&number);
        self.line_up(source);
        room
    }

    /// The question to which an answer has come, by what stands in its subject; `None` if it is not awaited.
    fn answered(&mut self, token: &[u8]) -> Option<(Answered, Room)> {
        let number = *self.tokens.get(<&[u8; 8]>::try_from(token).ok()?)?;
        self.end(number)
    }

    /// A question is over. `None` if it was before.
    fn end(&mut self, number: u64) -> Option<(Answered, Room)> {
        if !matches!(self.entries.get(&number)?.phase, Phase::Asked(_)) {
            return None;
        }
        let Entry {
            client,
            source,
            phase,
        } = self.entries.remove(&number)?;
        let Phase::Asked(question) = phase else {
            return None;
        };
        self.tokens.remove(&question.token);
        let room = self.free(source);
        self.line_up(source);
        let answered = Answered {
            number,
            client,
            question,
        };
        Some((answered, room))
    }

    /// By whom is asked in an account, while something is.
    pub(crate) fn asker(&mut self, account: &str) -> Option<&mut Service> {
        let (service, _) = self.askers.get_mut(account)?;
        Some(service)
    }

    fn free(&mut self, source: Source) -> Room {
        self.taken -= 1;
        if let Some(of_source) = self.sources.get_mut(&source) {
            of_source.taken -= 1;
        }
        Room(true)
    }

    /// A source has its turn if somebody of it waits and may be asked about; it is forgotten if nothing is known of it.
    fn line_up(&mut self, source: Source) {
        let Some(of_source) = self.sources.get_mut(&source) else {
            return;
        };
        let waits = !of_source.waiting.is_empty();
        if waits && of_source.taken < OF_SOURCE_MAX && !of_source.has_turn {
            of_source.has_turn = true;
            self.turns.push_back(source);
        } else if !waits && of_source.taken == 0 && !of_source.has_turn {
            self.sources.remove(&source);
        }
    }

    /// The callout of an account has decided about a client, which is in this account therefore.
    pub(crate) fn has_put(&mut self, decider: &str, account: &str) {
        if decider != account && !self.deciders.contains(decider) {
            self.deciders.insert(decider.into());
        }
    }

    /// Whether the callout of an account may have put clients into others that are there. All clients are to be looked at
    /// then: one that is there because of it [says so](Callouts::has_put) again.
    pub(crate) fn take_has_put_elsewhere(&mut self, decider: &str) -> bool {
        self.deciders.remove(decider)
    }

    /// All clients are to be looked at: those that are there because of a callout [say so](Callouts::has_put) again.
    pub(crate) fn forget_deciders(&mut self) {
        self.deciders.clear();
    }

    /// Whether answers are to be taken, and the loop does not know that yet.
    pub(crate) fn is_to_be_scheduled(&mut self) -> bool {
        !std::mem::replace(&mut self.is_scheduled, true)
    }

    /// They are being taken.
    pub(crate) fn begin(&mut self) {
        self.is_scheduled = false;
    }
}

impl State {
    /// The subject to which the answer with this token goes, in an account in which there is somebody who
    /// [asks](Callouts::asker) from here on, as long as something is asked: [`callout_ends`](State::callout_ends) or
    /// [`end_of_question`](State::end_of_question) has to follow.
    ///
    /// `None`: the system has no random bytes.
    pub(crate) fn await_answer(&mut self, account: &str, token: &[u8; 8]) -> Option<Vec<u8>> {
        if self.callouts.run.is_none() {
            self.callouts.run = Some(request::letters()?);
        }
        let run = self.callouts.run?;
        let prefix = [crate::auth::callout::INBOXES.as_bytes(), &run, b"."].concat();
        if !self.callouts.askers.contains_key(account) {
            let id = self.open_account(account);
            let service = Service::asking(&mut self.core, id);
            let all = [&prefix[..], b"*"].concat();
            self.core.subscribe(service.receiver, &all, None, b"1");
            self.callouts.askers.insert(account.into(), (service, 0));
        }
        let (_, count) = self.callouts.askers.get_mut(account)?;
        *count += 1;
        Some([&prefix[..], token].concat())
    }

    /// An answer has come to a subject; what it answers, if that is awaited.
    pub(crate) fn callout_answered(&mut self, subject: &[u8]) -> Option<(Answered, Room)> {
        let token = subject.last_chunk::<8>()?;
        let (answered, room) = self.callouts.answered(token)?;
        self.end_of_question(&answered.question.account);
        Some((answered, room))
    }

    /// It was waited long enough for an answer.
    pub(crate) fn callout_ends(&mut self, number: u64) -> Room {
        let Some((late, room)) = self.callouts.end(number) else {
            return Room(false);
        };
        self.end_of_question(&late.question.account);
        room
    }

    /// A question that was asked in an account is over. After the last one the account has no asker.
    pub(crate) fn end_of_question(&mut self, account: &str) {
        let Some((_, count)) = self.callouts.askers.get_mut(account) else {
            return;
        };
        *count -= 1;
        if *count == 0
            && let Some((service, _)) = self.callouts.askers.remove(account)
        {
            service.end(&mut self.core);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn source(last: u8) -> Source {
        Source::Address(IpAddr::from([127, 0, 0, last]))
    }

    fn client(number: usize) -> Key {
        Key::new(number, 1)
    }

    fn question(token: u64) -> Question {
        Question {
            account: "A".into(),
            user_key: "U".into(),
            token: token.to_le_bytes(),
            timer: TimerId::NONE,
        }
    }

    fn wait(callouts: &mut Callouts, source: Source, client: Key) -> u64 {
        let (number, room) = callouts.wait(source, client);
        assert!(room.into_bool());
        number
    }

    /// The clients that are asked about now, with their numbers.
    fn started(callouts: &mut Callouts) -> Vec<(u64, usize)> {
        let mut all = Vec::new();
        while let Some((number, client)) = callouts.start(|_| false) {
            callouts.asked(number, question(number));
            all.push((number, client.index()));
        }
        all
    }

    #[test]
    fn a_source_takes_half_of_the_places_and_another_one_has_its_turn() {
        let mut callouts = Callouts::default();
        for number in 0..1000 {
            wait(&mut callouts, source(1), client(number));
        }
        let first = started(&mut callouts);
        assert_eq!(first.len(), OF_SOURCE_MAX);
        assert_eq!(first[0].1, 999, "the newest comes first");
        wait(&mut callouts, source(2), client(5000));
        assert_eq!(started(&mut callouts).len(), 1);
        for number in 0..1000 {
            wait(&mut callouts, source(3), client(2000 + number));
        }
        assert_eq!(started(&mut callouts).len(), ASKED_MAX - OF_SOURCE_MAX - 1);
        // A place that is free is for the next client that waits, in turns.
        wait(&mut callouts, source(4), client(6000));
        for (number, _) in &first[..2] {
            let (_, room) = callouts.end(*number).expect("it was asked");
            assert!(room.into_bool());
        }
        let next: Vec<usize> = started(&mut callouts).iter().map(|one| one.1).collect();
        assert_eq!(next.len(), 2);
        assert!(next.contains(&6000), "{next:?}");
    }

    #[test]
    fn what_is_asked_keeps_its_place_when_the_client_leaves() {
        let mut callouts = Callouts::default();
        for number in 0..OF_SOURCE_MAX {
            wait(&mut callouts, source(1), client(number));
        }
        let asked = started(&mut callouts);
        for (number, _) in &asked {
            assert!(
                !callouts.withdraw(*number).into_bool(),
                "it keeps its place"
            );
        }
        wait(&mut callouts, source(1), client(7));
        assert_eq!(started(&mut callouts), []);
        let (number, _) = asked[0];
        let answered = callouts.answered(&number.to_le_bytes());
        let (answered, room) = answered.expect("it was asked");
        assert!(room.into_bool());
        assert_eq!((answered.number, answered.client), (number, None));
        assert!(callouts.answered(&number.to_le_bytes()).is_none());
        assert_eq!(started(&mut callouts).len(), 1);
    }

    #[test]
    fn who_has_decided_is_known_as_long_as_a_client_says_so() {
        let mut callouts = Callouts::default();
        callouts.has_put("A", "A");
        assert!(!callouts.take_has_put_elsewhere("A"), "it is its own");
        callouts.has_put("A", "B");
        callouts.has_put("C", "B");
        assert!(callouts.take_has_put_elsewhere("A"));
        assert!(!callouts.take_has_put_elsewhere("A"), "no client was found");
        callouts.forget_deciders();
        assert!(callouts.deciders.is_empty());
    }

    #[test]
    fn nothing_is_left_of_those_who_left_or_were_answered() {
        let mut callouts = Callouts::default();
        let numbers: Vec<u64> = (0..10)
            .map(|number| wait(&mut callouts, source(number as u8 % 3), client(number)))
            .collect();
        let gone = |key: Key| key.index() == 9;
        let (begun, _) = callouts.start(gone).expect("there is a place");
        while let Some((number, _)) = callouts.start(gone) {
            callouts.asked(number, question(number));
        }
        assert!(
            !callouts.entries.contains_key(&numbers[9]),
            "it has hung up"
        );
        assert!(callouts.withdraw(begun).into_bool(), "it had a place");
        assert!(!callouts.withdraw(begun).into_bool(), "it has none");
        for number in numbers {
            let _ = callouts.withdraw(number);
            let _ = callouts.end(number);
        }
        assert!(callouts.entries.is_empty() && callouts.tokens.is_empty());
        assert_eq!(callouts.taken, 0);
        assert!(callouts.sources.values().all(|one| one.has_turn));
        assert!(callouts.start(|_| false).is_none());
        assert!(callouts.sources.is_empty() && callouts.turns.is_empty());
    }
}
