//! What has happened: all of it as one number, the end of it as text.

use crate::{Key, Time};
use std::collections::VecDeque;
use std::fmt;

/// How many records are kept to be printed.
const RECORDS_MAX: usize = 200;

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

/// All that has happened. Two runs that did the same have the same hash.
#[derive(Debug)]
pub(super) struct History {
    hash: u64,
    last: VecDeque<Record>,
    names: Vec<String>,
}

impl History {
    pub(super) fn new() -> History {
        History {
            hash: 0xcbf2_9ce4_8422_2325,
            last: VecDeque::with_capacity(RECORDS_MAX),
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
        if self.last.len() == RECORDS_MAX {
            self.last.pop_front();
        }
        self.last.push_back(Record {
            at,
            host,
            key,
            call,
            amount,
        });
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

/// The last things that happened, a line each.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for record in &self.last {
            let at = Time::from_nanos(record.at);
            let name = self.names.get(record.host).map_or("-", String::as_str);
            write!(f, "{at} {name} {}", record.call)?;
            if record.key != Key::NONE {
                write!(f, " {:?}", record.key)?;
            }
            match record.amount {
                Some(amount) => writeln!(f, " {amount}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept_as_text_and_all_of_it_in_the_hash() {
        let (mut one, mut two) = (History::new(), History::new());
        one.name("alpha");
        one.add(1, 0, Key::NONE, "turn", None);
        for history in [&mut one, &mut two] {
            for at in 0..RECORDS_MAX as u64 {
                history.add(at, 0, Key::new(3, 9), "read", Some(7));
            }
        }
        assert_ne!(one.hash(), two.hash());
        let text = one.to_string();
        assert_eq!(text.lines().count(), RECORDS_MAX);
        assert!(text.starts_with("0.000000000s alpha read Key(3#9) 7\n"));
    }
}
