//! What has happened: all of it as one number, the end of it as text.

use crate::{Key, Time};
use std::collections::VecDeque;
use std::fmt;

/// How many lines are kept to be printed, where what repeats is folded.
const LINES_MAX: usize = 200;

/// Longest run of records that is known as the same again: what a periodic timer brings about on a
/// host or two.
const ROUND_MAX: usize = 16;

/// One thing that happened.
#[derive(Clone, Debug)]
struct Record {
    at: u64,
    host: usize,
    key: Key,
    call: &'static str,
    /// A length, a port or the like.
    amount: Option<u64>,
}

impl Record {
    /// Whether it is the same but for its time.
    fn repeats(&self, other: &Record) -> bool {
        (self.host, self.key, self.amount) == (other.host, other.key, other.amount)
            && self.call == other.call
    }
}

/// A record, and how often it came at a stretch.
#[derive(Clone, Debug)]
struct Line {
    first: Record,
    times: u64,
    last_at: u64,
}

/// Lines that came again and again, in the same order; most often one, once.
#[derive(Clone, Debug)]
struct Round {
    /// The first time.
    lines: Vec<Line>,
    times: u64,
    last_at: u64,
}

impl Round {
    /// The line, if it is one that has come once.
    fn single(&self) -> Option<&Line> {
        match &self.lines[..] {
            [line] if self.times == 1 => Some(line),
            _ => None,
        }
    }
}

/// All that has happened. Two runs that did the same have the same hash.
#[derive(Debug)]
pub(super) struct History {
    hash: u64,
    last: VecDeque<Round>,
    names: Vec<String>,
}

impl History {
    pub(super) fn new() -> History {
        History {
            hash: 0xcbf2_9ce4_8422_2325,
            last: VecDeque::with_capacity(LINES_MAX),
            names: Vec::new(),
        }
    }

    /// Names the next host.
    pub(super) fn name(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// The name of a host.
    pub(super) fn name_of(&self, host: usize) -> Option<&str> {
        self.names.get(host).map(String::as_str)
    }

    pub(super) fn add(
        &mut self,
        at: u64,
        host: usize,
        key: Key,
        call: &'static str,
        amount: Option<u64>,
    ) {
        self.mix(at);
        self.mix(host as u64);
        self.mix(key.index() as u64);
        self.mix_bytes(call.as_bytes());
        self.mix(amount.map_or(u64::MAX, |amount| amount));
        let record = Record {
            at,
            host,
            key,
            call,
            amount,
        };
        match self.last.back_mut() {
            Some(round)
                if round
                    .single()
                    .is_some_and(|line| line.first.repeats(&record)) =>
            {
                round.lines[0].times += 1;
                round.lines[0].last_at = at;
                round.last_at = at;
            }
            _ => self.last.push_back(Round {
                lines: vec![Line {
                    first: record,
                    times: 1,
                    last_at: at,
                }],
                times: 1,
                last_at: at,
            }),
        }
        if !self.fold() && self.last.len() > LINES_MAX {
            self.last.pop_front();
        }
    }

    /// Folds the newest lines if they are the same as those before them.
    fn fold(&mut self) -> bool {
        (2..=ROUND_MAX).any(|len| self.fold_into_round(len) || self.fold_two(len))
    }

    /// One more of the round that stands before the last `len` lines.
    fn fold_into_round(&mut self, len: usize) -> bool {
        let Some(at) = self.last.len().checked_sub(len + 1) else {
            return false;
        };
        let round = &self.last[at];
        let same = round.lines.len() == len
            && (round.lines.iter().zip(self.last.range(at + 1..)))
                .all(|(one, other)| is_same(Some(one), other.single()));
        if same {
            self.end_round(at);
        }
        same
    }

    /// The last `len` lines are the same as the `len` before them: from now on a round.
    fn fold_two(&mut self, len: usize) -> bool {
        let Some(at) = self.last.len().checked_sub(2 * len) else {
            return false;
        };
        let single = |place: usize| self.last[place].single();
        let same = (at..at + len)
            .rev()
            .all(|place| is_same(single(place), single(place + len)));
        if same {
            let rest: Vec<Round> = self.last.drain(at + 1..at + len).collect();
            let lines = rest.into_iter().flat_map(|round| round.lines);
            self.last[at].lines.extend(lines);
            self.end_round(at);
        }
        same
    }

    /// Counts all that stands behind the round for it.
    fn end_round(&mut self, at: usize) {
        let last_at = self.last.back().map_or(0, |round| round.last_at);
        self.last.truncate(at + 1);
        self.last[at].times += 1;
        self.last[at].last_at = last_at;
    }

    /// Bytes that a host has written are a part of what it did.
    pub(super) fn mix_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    fn mix(&mut self, word: u64) {
        let mixed = (self.hash ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.hash = mixed ^ (mixed >> 32);
    }
}

/// The last things that happened, a line each; what has come again and again stands once.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for round in &self.last {
            for line in &round.lines {
                let record = &line.first;
                let at = Time::from_nanos(record.at);
                let name = self.names.get(record.host).map_or("-", String::as_str);
                write!(f, "{at} {name} {}", record.call)?;
                if record.key != Key::NONE {
                    write!(f, " {:?}", record.key)?;
                }
                if let Some(amount) = record.amount {
                    write!(f, " {amount}")?;
                }
                if line.times > 1 {
                    let (times, end) = (grouped(line.times), Time::from_nanos(line.last_at));
                    write!(f, "  x {times}, until {end}")?;
                }
                writeln!(f)?;
            }
            if round.times > 1 {
                let (lines, times) = (round.lines.len(), grouped(round.times));
                let end = Time::from_nanos(round.last_at);
                writeln!(f, "  the {lines} lines above x {times}, until {end}")?;
            }
        }
        Ok(())
    }
}

/// Whether two lines are the same but for their times.
fn is_same(one: Option<&Line>, other: Option<&Line>) -> bool {
    matches!((one, other), (Some(one), Some(other))
        if one.times == other.times && one.first.repeats(&other.first))
}

/// A number with a comma at each thousand.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::new();
        history.name("alpha");
        history
    }

    #[test]
    fn only_the_end_is_kept_as_text_and_all_of_it_in_the_hash() {
        let (mut one, mut two) = (history(), history());
        one.add(1, 0, Key::NONE, "turn", None);
        for history in [&mut one, &mut two] {
            for at in 0..LINES_MAX as u64 {
                history.add(at, 0, Key::new(3, 9), "read", Some(at));
            }
        }
        assert_ne!(one.hash(), two.hash());
        let text = one.to_string();
        assert_eq!(text.lines().count(), LINES_MAX);
        assert!(text.starts_with("0.000000000s alpha read Key(3#9) 0\n"));
    }

    #[test]
    fn what_comes_again_and_again_stands_once_with_its_number() {
        let mut history = history();
        history.add(0, 0, Key::new(1, 1), "listen", Some(7));
        for at in 1..=1_204 {
            history.add(at * 1_000_000_000, 0, Key::NONE, "turn", None);
            history.add(at * 1_000_000_000, 0, Key::NONE, "closure", None);
        }
        for at in 0..3 {
            history.add(2_000_000_000_000 + at, 0, Key::new(1, 1), "accept", Some(1));
        }
        history.add(3_000_000_000_000, 0, Key::NONE, "turn", None);
        let wanted = "\
            0.000000000s alpha listen Key(1#1) 7\n\
            1.000000000s alpha turn\n\
            1.000000000s alpha closure\n  \
              the 2 lines above x 1,204, until 1204.000000000s\n\
            2000.000000000s alpha accept Key(1#1) 1  x 3, until 2000.000000002s\n\
            3000.000000000s alpha turn\n";
        assert_eq!(history.to_string(), wanted);
    }

    #[test]
    fn what_came_before_a_timer_that_fires_for_ever_is_still_told() {
        let mut history = history();
        history.name("beta");
        history.add(0, 1, Key::new(1, 1), "on_close", None);
        for at in 0..2_000 {
            for call in [
                "turn", "turn", "on_timer", "write", "closure", "read", "on_input",
            ] {
                history.add(at, at as usize % 2, Key::NONE, call, None);
            }
        }
        let text = history.to_string();
        assert!(text.contains("beta on_close"), "{text}");
        assert!(text.lines().count() < 30, "{text}");
    }

    #[test]
    fn long_numbers_are_cut_at_each_thousand() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
