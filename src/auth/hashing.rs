//! Questions that take too long for the loop: whether passwords are what hashes were made of.
//!
//! ```text
//! ask ──▶ waiting, the newest on top ──▶ at most JOBS_MAX at once, on other threads ──▶ the answer
//! ```
//!
//! The newest is answered first. When more come than can be answered, somebody has to wait too long;
//! if it is those who have waited the longest, who may have given up already, the others still get
//! in. First come, first served would keep everybody waiting equally long, which is too long. Whoever
//! has hung up meanwhile comes last of all.

use crate::auth::Question;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a client may wait for the answer. Clients give up after about two seconds; this is for
/// those that are patient, and for hashes that take long.
pub(crate) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Most questions on other threads at once: one fewer than the reactor has threads, so that what else
/// is given to them need not wait for passwords.
const JOBS_MAX: usize = 3;

/// Below so many questions it is not worth looking for those whose askers have gone.
const WAITING_MIN: usize = 64;

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

impl<T> Asked<T> {
    fn is_wanted(&self) -> bool {
        self.asker.strong_count() > 0
    }
}

/// Questions that wait for a thread, each with a `T` that says what to do with the answer.
#[derive(Debug)]
pub(crate) struct Questions<T> {
    waiting: Vec<Asked<T>>,
    /// As many as this, and those that nobody wants answered any more are dropped.
    waiting_max: usize,
    jobs: usize,
}

impl<T> Questions<T> {
    pub(crate) fn new() -> Questions<T> {
        Questions {
            waiting: Vec::new(),
            waiting_max: WAITING_MIN,
            jobs: 0,
        }
    }

    /// Adds one. Costs a few nanoseconds on average, whatever waits already.
    pub(crate) fn ask(&mut self, asker: &Asker, question: Question, then: T) {
        if self.waiting.len() >= self.waiting_max {
            self.waiting.retain(Asked::is_wanted);
            self.waiting_max = WAITING_MIN.max(2 * self.waiting.len());
        }
        self.waiting.push(Asked {
            question,
            then,
            asker: Arc::downgrade(&asker.alive),
        });
    }

    /// The question to answer next, if there is one and a thread for it: the newest whose asker is
    /// still there, of those who have not hung up if there are any. [`done`](Questions::done) has to
    /// follow. Costs a look at each that waits, at worst, which is little beside the answer.
    pub(crate) fn start(&mut self, has_hung_up: impl Fn(&T) -> bool) -> Option<(Question, T)> {
        if self.jobs >= JOBS_MAX {
            return None;
        }
        while self.waiting.pop_if(|newest| !newest.is_wanted()).is_some() {}
        let is_first = |asked: &Asked<T>| asked.is_wanted() && !has_hung_up(&asked.then);
        let place = match self.waiting.iter().rposition(is_first) {
            Some(place) => place,
            None => self.waiting.len().checked_sub(1)?,
        };
        let Asked { question, then, .. } = self.waiting.remove(place);
        self.jobs += 1;
        Some((question, then))
    }

    /// One that was started has been answered, or could not be.
    pub(crate) fn done(&mut self) {
        self.jobs -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn questions<'a>(
        asked: impl IntoIterator<Item = (&'a Asker, &'static str)>,
    ) -> Questions<&'static str> {
        let mut questions = Questions::new();
        for (asker, then) in asked {
            let question = Question::new(String::new(), String::new());
            questions.ask(asker, question, then);
        }
        questions
    }

    fn next(questions: &mut Questions<&'static str>) -> Option<&'static str> {
        let hung_up = |then: &&str| then.starts_with("hung up");
        questions.start(hung_up).map(|(_, then)| then)
    }

    #[test]
    fn the_newest_comes_first_and_who_hung_up_last() {
        let asker = Asker::default();
        let all = ["hung up 1", "old", "new", "hung up 2"];
        let mut questions = questions(all.map(|then| (&asker, then)));
        for expected in ["new", "old", "hung up 2", "hung up 1"] {
            assert_eq!(next(&mut questions), Some(expected));
            questions.done();
        }
        assert_eq!(next(&mut questions), None);
    }

    #[test]
    fn so_many_are_answered_at_once_and_no_more() {
        let asker = Asker::default();
        let mut questions = questions([(&asker, "one"); JOBS_MAX + 1]);
        for _ in 0..JOBS_MAX {
            assert!(next(&mut questions).is_some());
        }
        assert!(next(&mut questions).is_none());
        questions.done();
        assert!(next(&mut questions).is_some());
    }

    #[test]
    fn what_nobody_wants_to_know_is_neither_answered_nor_kept() {
        let stays = Asker::default();
        let mut questions = questions([(&stays, "stays")]);
        for _ in 0..10_000 {
            let question = Question::new(String::new(), String::new());
            questions.ask(&Asker::default(), question, "gone");
            assert!(questions.waiting.len() <= WAITING_MIN);
        }
        assert_eq!(next(&mut questions), Some("stays"));
        assert_eq!(next(&mut questions), None);
    }
}
