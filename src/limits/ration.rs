//! `Ration`: what one client may still send in its turn, and what it has.
//!
//! Made before the turn out of the buckets of its address and of its user, and settled with them after it: while
//! messages pass, nothing but these numbers changes.

use crate::config::Exceeded;

/// What a client may still send in this turn.
#[derive(Debug)]
pub(crate) struct Ration {
    pub(super) messages: Share,
    pub(super) bytes: Share,
    /// Bytes of the last message; zero before the first one.
    each: u64,
    /// Messages that were dropped.
    pub(crate) dropped: u64,
    /// Whether what comes next has to wait.
    pub(crate) must_wait: bool,
    /// Whether all of its input was carried out, but for what has not come whole.
    pub(crate) is_drained: bool,
}

/// What is left of messages or bytes, and what was spent.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) left: u64,
    pub(super) spent: u64,
    /// What becomes of what comes when nothing is left.
    pub(super) then: Exceeded,
}

impl Share {
    /// Of what has no limit.
    const ENDLESS: Share = Share {
        left: u64::MAX,
        spent: 0,
        then: Exceeded::Slow,
    };

    fn spend(&mut self, units: u64) {
        self.left = self.left.saturating_sub(units);
        self.spent += units;
    }
}

impl Ration {
    /// That of a client without limits.
    pub(crate) const ENDLESS: Ration = Ration {
        messages: Share::ENDLESS,
        bytes: Share::ENDLESS,
        each: 0,
        dropped: 0,
        must_wait: false,
        is_drained: false,
    };

    /// How many messages with one control line may be taken together, `max` at most. The last one may be longer than
    /// what is left: that is owed.
    #[inline]
    pub(crate) fn messages_max(&self, max: usize) -> usize {
        let by_bytes = match self.bytes.left {
            0 => 0,
            u64::MAX => u64::MAX,
            // How long they are is known after the first.
            left if self.each > 0 => left.div_ceil(self.each),
            _ => 1,
        };
        let count = self.messages.left.min(by_bytes);
        usize::try_from(count).map_or(max, |count| count.min(max))
    }

    /// Whether messages are dropped from here on, and none of them has to be answered.
    pub(crate) fn drops(&self, is_answered: bool) -> bool {
        !is_answered && self.refuses(true) == Some(Exceeded::Error)
    }

    /// Messages were taken, or none: an op of another kind.
    #[inline]
    pub(crate) fn spend(&mut self, messages: usize, bytes: usize) {
        self.messages.spend(messages as u64);
        self.bytes.spend(bytes as u64);
        if let Some(each) = bytes.checked_div(messages) {
            self.each = each as u64;
        }
    }

    /// What becomes of the op that comes next, if it may not be carried out.
    pub(crate) fn refuses(&self, is_message: bool) -> Option<Exceeded> {
        let of = |share: &Share| (share.left == 0).then_some(share.then);
        let messages = of(&self.messages).filter(|_| is_message);
        // There is nothing to drop of an op that is no message.
        let may_pass = |exceeded: &Exceeded| *exceeded == Exceeded::Error && !is_message;
        messages.max(of(&self.bytes)).filter(|one| !may_pass(one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ration(messages: (u64, Exceeded), bytes: (u64, Exceeded)) -> Ration {
        let share = |(left, then)| Share {
            left,
            spent: 0,
            then,
        };
        Ration {
            messages: share(messages),
            bytes: share(bytes),
            ..Ration::ENDLESS
        }
    }

    #[test]
    fn what_is_spent_is_left_no_more_and_the_strictest_answer_counts() {
        use Exceeded::{Disconnect, Error, Slow};
        let mut one = ration((10, Slow), (100, Error));
        assert_eq!((one.messages_max(256), one.refuses(true)), (1, None));
        one.spend(1, 10);
        assert_eq!((one.messages_max(256), one.refuses(true)), (9, None));
        one.spend(8, 80);
        assert_eq!((one.messages_max(256), one.refuses(true)), (1, None));
        let mut few = ration((1000, Slow), (100, Slow));
        few.spend(1, 26);
        assert_eq!(few.messages_max(256), 3, "the last of them is owed in part");
        few.spend(3, 78);
        assert_eq!(few.refuses(true), Some(Slow));
        assert_eq!(Ration::ENDLESS.messages_max(256), 256);
        one.spend(1, 5);
        assert_eq!(one.refuses(true), Some(Slow));
        assert_eq!(
            one.refuses(false),
            None,
            "no message is left, and bytes are"
        );
        one.spend(0, 1000);
        assert_eq!(one.messages_max(256), 0);
        assert_eq!(one.refuses(true), Some(Error));
        assert_eq!(one.refuses(false), None, "there is nothing to drop");
        assert_eq!(
            ration((0, Error), (0, Disconnect)).refuses(true),
            Some(Disconnect)
        );
        assert_eq!(ration((1, Error), (0, Slow)).refuses(false), Some(Slow));
        assert_eq!(Ration::ENDLESS.refuses(true), None);
    }
}
