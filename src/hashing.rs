//! Questions that take too long for the loop: whether passwords are what hashes were made of.
//!
//! The newest is answered first. When more come than can be answered, somebody has to wait too long;
//! if it is those who have waited the longest, who may have given up already, the others still get
//! in. First come, first served would keep everybody waiting equally long, which is too long.

use crate::auth::Question;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// How long a client may wait for the answer. Clients give up after about two seconds; this is for
/// those that are patient, and for hashes that take long.
pub(crate) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Whoever asks. While it is there, so are its questions.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    alive: Arc<()>,
}

/// A question, and what to do with the answer.
#[derive(Debug)]
struct Asked<T> {
    question: Question,
    then: T,
    asker: Weak<()>,
}

/// Questions that wait for a thread, each with a `T` that says what to do with the answer. Clones
/// share them.
#[derive(Clone, Debug)]
pub(crate) struct Questions<T> {
    waiting: Arc<Mutex<Vec<Asked<T>>>>,
}

impl<T> Questions<T> {
    pub(crate) fn new() -> Questions<T> {
        Questions {
            waiting: Arc::default(),
        }
    }

    /// Adds one. For each, some thread has to call [`answer`](Questions::answer).
    pub(crate) fn ask(&self, asker: &Asker, question: Question, then: T) {
        self.lock().push(Asked {
            question,
            then,
            asker: Arc::downgrade(&asker.alive),
        });
    }

    /// Answers the newest whose asker is still there, if there is one. Takes some tenths of a second.
    pub(crate) fn answer(&self) -> Option<(T, bool)> {
        let Asked { question, then, .. } = self.take()?;
        // Whoever asked must not wait for ever, whatever happens in there.
        let answer = catch_unwind(AssertUnwindSafe(|| question.answer()));
        Some((then, answer.unwrap_or(false)))
    }

    fn take(&self) -> Option<Asked<T>> {
        let mut waiting = self.lock();
        loop {
            let asked = waiting.pop()?;
            if asked.asker.strong_count() > 0 {
                return Some(asked);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Asked<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(guess: &str) -> Question {
        let hash = bcrypt::hash("right", 4).expect("it can be hashed");
        Question::new(hash, guess.to_owned())
    }

    #[test]
    fn the_newest_whose_asker_is_still_there_is_answered_first() {
        let questions = Questions::new();
        let (old, gone, new) = (Asker::default(), Asker::default(), Asker::default());
        questions.ask(&old, question("right"), "old");
        questions.ask(&gone, question("right"), "gone");
        questions.ask(&new, question("wrong"), "new");
        drop(gone);
        assert_eq!(questions.answer(), Some(("new", false)));
        assert_eq!(questions.answer(), Some(("old", true)));
        assert_eq!(questions.answer(), None);
    }
}
