//! `Responses`: the answers that are awaited in one account, each by the subject that its request was given.
//!
//! ```text
//! _R_.Zm3xQe.a7Kd0P       a number below 62^6: the place of a slot, and a secret by which the slot is known
//!      |      |
//!      |      token
//!      prefix of the account
//!
//! for each account that asks: waiting <= WAITING_MAX, bytes of their reply subjects and samples <= BYTES_MAX
//! ```
//!
//! An answer that is the only one ends the wait. Of several, each prolongs it, and an empty one ends it. Where an account
//! has asked for more than it may wait for, its own oldest requests are no longer waited for: those of others are.

use super::latency::Sample;
use crate::core::accounts::{AccountId, Born};
use crate::core::random::Random;
use crate::core::small_bytes::SmallBytes;
use hashbrown::HashMap;
use midge_reactor::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Answers that one account may wait for in another one.
const WAITING_MAX: usize = 64 * 1024;

/// Bytes of their reply subjects, and of what is kept of those that are measured.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Places for all accounts that ask.
const SLOTS_MAX: usize = 1 << 20;

/// Letters of a prefix and of a token, and what they may be.
const LETTERS: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The number of secrets, with which the letters of a token are used up.
const SECRETS: u64 = 62_u64.pow(LETTERS as u32) / SLOTS_MAX as u64;

const NAME: &[u8] = b"_R_.";

/// How many answers a request may have, and how long each is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ResponseTerms {
    /// Whether it has one at most.
    pub is_single: bool,
    pub threshold: Duration,
}

/// A reply subject. Those that client libraries make stand where they are kept.
pub(super) type Reply = SmallBytes<54>;

/// Where an answer goes.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) account: Born,
    pub(super) reply: Reply,
    pub(super) terms: ResponseTerms,
    /// What is to be told of it.
    pub(super) sample: Option<Box<Sample>>,
}

/// One answer that is awaited, or several.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Token {
    slot: u32,
    secret: u32,
}

impl Token {
    fn from_letters(letters: &[u8]) -> Option<Token> {
        let digit = |letter: &u8| match letter {
            b'0'..=b'9' => Some(letter - b'0'),
            b'A'..=b'Z' => Some(letter - b'A' + 10),
            b'a'..=b'z' => Some(letter - b'a' + 36),
            _ => None,
        };
        let letters: &[u8; LETTERS] = letters.try_into().ok()?;
        let number = letters.iter().try_fold(0, |number, letter| {
            Some(number * 62 + u64::from(digit(letter)?))
        })?;
        Some(Token {
            slot: (number % SLOTS_MAX as u64) as u32,
            secret: (number / SLOTS_MAX as u64) as u32,
        })
    }

    fn letters(self) -> [u8; LETTERS] {
        let mut number = u64::from(self.secret) * SLOTS_MAX as u64 + u64::from(self.slot);
        let mut letters = [0; LETTERS];
        for letter in letters.iter_mut().rev() {
            *letter = ALPHABET[(number % 62) as usize];
            number /= 62;
        }
        letters
    }
}

/// Those of one account.
#[derive(Debug)]
pub(super) struct Responses {
    prefix: [u8; LETTERS],
    random: Random,
    slots: Vec<Slot>,
    /// Places of those that are over.
    free: Vec<u32>,
    /// The accounts that wait.
    waiting: HashMap<AccountId, Waiting, foldhash::fast::RandomState>,
    /// Samples whose answer is waited for no longer.
    pub(super) lost: Vec<(Token, Box<Sample>)>,
}

#[derive(Debug)]
struct Slot {
    secret: u32,
    /// `None` if it is over.
    awaited: Option<Awaited>,
    until: Time,
    /// What counts of it for the account that waits.
    bytes: usize,
}

/// What one account waits for.
#[derive(Debug, Default)]
struct Waiting {
    /// The oldest first; some are over.
    tokens: VecDeque<Token>,
    count: usize,
    bytes: usize,
}

impl Responses {
    /// None yet, with a prefix and secrets that follow from `random`.
    pub(super) fn new(mut random: Random) -> Responses {
        Responses {
            prefix: std::array::from_fn(|_| ALPHABET[random.below(ALPHABET.len())]),
            random,
            slots: Vec::new(),
            free: Vec::new(),
            waiting: HashMap::default(),
            lost: Vec::new(),
        }
    }

    /// How many are awaited.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.values().map(|one| one.count).sum()
    }

    /// What to subscribe to for all answers.
    pub(super) fn subject(&self) -> Vec<u8> {
        [NAME, &self.prefix, b".*"].concat()
    }

    /// Puts the reply subject of a request into `subject`.
    pub(super) fn write(&self, token: Token, subject: &mut Vec<u8>) {
        subject.clear();
        subject.extend_from_slice(NAME);
        subject.extend_from_slice(&self.prefix);
        subject.push(b'.');
        subject.extend_from_slice(&token.letters());
    }

    /// Waits for an answer. `None` if there is no place for it.
    pub(super) fn put(&mut self, awaited: Awaited, now: Time) -> Option<Token> {
        let sample = awaited.sample.as_ref().map_or(0, |sample| sample.bytes());
        let (account, bytes) = (awaited.account.id, awaited.reply.len() + sample);
        self.make_room(account, bytes, now);
        if self.free.is_empty() && self.slots.len() == SLOTS_MAX {
            return None;
        }
        let until = now + awaited.terms.threshold;
        let secret = self.random.below(SECRETS as usize) as u32;
        let slot = Slot {
            secret,
            awaited: Some(awaited),
            until,
            bytes,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        let token = Token {
            slot: place,
            secret,
        };
        let waiting = self.waiting.entry(account).or_default();
        waiting.tokens.push_back(token);
        waiting.count += 1;
        waiting.bytes += bytes;
        Some(token)
    }

    /// Ends the oldest of an account that are over, or expired, or too many with one of `bytes` more.
    fn make_room(&mut self, account: AccountId, bytes: usize, now: Time) {
        while let Some(waiting) = self.waiting.get_mut(&account)
            && let Some(&oldest) = waiting.tokens.front()
        {
            let slot = &self.slots[oldest.slot as usize];
            let is_there = slot.awaited.is_some() && slot.secret == oldest.secret;
            let is_full = waiting.count >= WAITING_MAX || waiting.bytes + bytes > BYTES_MAX;
            if is_there && now < slot.until && !is_full {
                break;
            }
            waiting.tokens.pop_front();
            if is_there {
                self.lose(oldest);
            }
        }
    }

    /// It is no longer waited for, and there was no answer.
    fn lose(&mut self, token: Token) {
        let sample = self.end(token).and_then(|over| over.sample);
        self.lost.extend(sample.map(|sample| (token, sample)));
    }

    /// Where an answer to `subject` goes, and by which token it was awaited. If it `is_empty`, or the only
    /// one, there is no further one.
    pub(super) fn take(
        &mut self,
        subject: &[u8],
        now: Time,
        is_empty: bool,
    ) -> Option<(Token, Awaited)> {
        let letters = subject.get(subject.len().checked_sub(LETTERS)?..)?;
        let token = Token::from_letters(letters)?;
        let slot = self.slots.get_mut(token.slot as usize)?;
        let awaited = slot
            .awaited
            .as_mut()
            .filter(|_| slot.secret == token.secret)?;
        if slot.until <= now {
            self.lose(token);
            return None;
        }
        if awaited.terms.is_single || is_empty {
            return self.end(token).map(|over| (token, over));
        }
        slot.until = now + awaited.terms.threshold;
        let back = Awaited {
            account: awaited.account,
            reply: awaited.reply.clone(),
            terms: awaited.terms,
            sample: None,
        };
        Some((token, back))
    }

    /// It is no longer waited for.
    pub(super) fn end(&mut self, token: Token) -> Option<Awaited> {
        let slot = self.slots.get_mut(token.slot as usize)?;
        if slot.secret != token.secret {
            return None;
        }
        let (over, bytes) = (slot.awaited.take()?, slot.bytes);
        self.free.push(token.slot);
        let waiting = self.waiting.get_mut(&over.account.id)?;
        waiting.count -= 1;
        waiting.bytes -= bytes;
        if waiting.count == 0 {
            self.waiting.remove(&over.account.id);
        } else if waiting.tokens.len() > 2 * waiting.count + KEPT {
            // The oldest may be waited for much longer than those behind it.
            let slots = &self.slots;
            waiting.tokens.retain(|token| {
                let slot = &slots[token.slot as usize];
                slot.awaited.is_some() && slot.secret == token.secret
            });
        }
        if self.waiting.is_empty() && self.slots.len() > KEPT {
            (self.slots, self.free) = (Vec::new(), Vec::new());
        }
        Some(over)
    }
}

/// Places that are kept in any case.
const KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::accounts::Accounts;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn awaited(account: AccountId, reply: &str, is_single: bool, seconds: u64) -> Awaited {
        let threshold = Duration::from_secs(seconds);
        Awaited {
            account: Born {
                id: account,
                number: 0,
            },
            reply: Reply::new([reply.as_bytes()]),
            terms: ResponseTerms {
                is_single,
                threshold,
            },
            sample: None,
        }
    }

    fn subject(responses: &Responses, token: Token) -> Vec<u8> {
        let mut subject = Vec::new();
        responses.write(token, &mut subject);
        subject
    }

    #[test]
    fn a_token_is_known_by_its_letters_and_no_other_ones() {
        for (slot, secret) in [(0, 0), (SLOTS_MAX as u32 - 1, SECRETS as u32 - 1), (5, 77)] {
            let token = Token { slot, secret };
            assert_eq!(Token::from_letters(&token.letters()), Some(token));
        }
        for letters in [&b"12345"[..], b"1234567", b"12345-", b""] {
            assert_eq!(Token::from_letters(letters), None);
        }
    }

    #[test]
    fn who_asks_without_end_loses_its_own_oldest_requests_and_nobody_elses() {
        let mut accounts = Accounts::default();
        let (hostile, honest) = (accounts.open("A"), accounts.open("B"));
        let mut responses = Responses::new(Random::seeded(3));
        let put = |responses: &mut Responses, account, reply: &str| {
            let token = responses.put(awaited(account, reply, true, 100), Time::ZERO);
            token.expect("there is a place")
        };
        let kept = put(&mut responses, honest, "kept");
        let first = put(&mut responses, hostile, "first");
        for _ in 0..WAITING_MAX {
            put(&mut responses, hostile, "x");
        }
        assert_eq!(responses.len(), 1 + WAITING_MAX);
        let long = "l".repeat(4000);
        for _ in 0..2000 {
            put(&mut responses, hostile, &long);
        }
        assert!(responses.waiting[&hostile].bytes <= BYTES_MAX);
        let subjects = [first, kept].map(|token| subject(&responses, token));
        let found = subjects.map(|subject| responses.take(&subject, at(99), false));
        assert!(found[0].is_none());
        let kept = found[1].as_ref().map(|(_, one)| one.reply.as_slice());
        assert_eq!(kept, Some(&b"kept"[..]));
    }

    #[test]
    fn one_that_is_waited_for_long_does_not_keep_the_places_of_those_behind_it() {
        let mut accounts = Accounts::default();
        let account = accounts.open("A");
        let mut responses = Responses::new(Random::seeded(3));
        let stream = responses.put(awaited(account, "s", false, 1000), Time::ZERO);
        let stream = subject(&responses, stream.expect("there is a place"));
        for _ in 0..10_000 {
            let token = responses.put(awaited(account, "r", true, 10), Time::ZERO);
            let subject = subject(&responses, token.expect("there is a place"));
            assert!(responses.take(&subject, at(1), false).is_some());
            assert!(responses.take(&subject, at(1), false).is_none());
        }
        assert_eq!((responses.len(), responses.slots.len()), (1, 2));
        assert!(responses.waiting[&account].tokens.len() <= 2 + KEPT);
        // Each answer prolongs it; when it has expired, it and all that came to nothing make room.
        assert!(responses.take(&stream, at(999), false).is_some());
        for _ in 0..100 {
            responses.put(awaited(account, "r", true, 10), at(1000));
        }
        assert!(responses.take(&stream, at(1998), false).is_some());
        assert!(responses.take(&stream, at(2998), false).is_none());
        responses.put(awaited(account, "r", true, 10), at(3000));
        assert_eq!(responses.len(), 1);
    }
}
