//! Deadlines: arm, cancel, next, expired.
//!
//! ```text
//! heap   (deadline, order, slot, id), earliest first; an entry whose slot holds another id is dead
//! slots  what each armed timer is for
//!
//! dead <= heap.len(), and heap.len() - dead == slots.len()
//! ```
//!
//! Cancelling frees the slot at once and leaves a dead entry in the heap, which is dropped when it
//! surfaces; when more than half of the heap is dead it is rebuilt. `order` counts armings, so two
//! timers with one deadline fire in the order in which they were armed, in every run.

use crate::Time;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Names one armed timer, for ever: the id of a timer that has fired or was cancelled finds nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TimerId {
    id: u64,
    slot: u32,
}

#[derive(Debug)]
struct Armed<T> {
    id: u64,
    period: Option<Duration>,
    target: T,
}

/// Orders by deadline, then by order of arming; the rest only completes the tuple.
type Entry = Reverse<(Time, u64, u32, u64)>;

#[derive(Debug)]
pub(crate) struct Timers<T> {
    heap: BinaryHeap<Entry>,
    slots: Slab<Armed<T>>,
    dead: usize,
    armings: u64,
}

/// A timer that is due, as [`Timers::pop`] hands it out.
#[derive(Debug, PartialEq)]
pub(crate) struct Due<T> {
    pub(crate) target: T,
    /// The timer itself if it will come again.
    pub(crate) again: Option<TimerId>,
}

impl<T: Copy> Timers<T> {
    pub(crate) fn new() -> Self {
        Timers {
            heap: BinaryHeap::new(),
            slots: Slab::new(),
            dead: 0,
            armings: 0,
        }
    }

    /// Arms a timer for `deadline`; with a `period` it comes again that much after each deadline.
    ///
    /// A period of zero is taken as one nanosecond: once a turn.
    pub(crate) fn arm(&mut self, deadline: Time, period: Option<Duration>, target: T) -> TimerId {
        let period = period.map(|period| period.max(Duration::from_nanos(1)));
        let id = self.armings;
        let slot = self.slots.insert(Armed { id, period, target });
        let slot = u32::try_from(slot).expect("2^32 timers do not fit in memory");
        self.push(deadline, slot, id);
        TimerId { id, slot }
    }

    /// Forgets a timer and answers its target, or `None` if it had fired or was cancelled before.
    pub(crate) fn cancel(&mut self, timer: TimerId) -> Option<T> {
        let slot = timer.slot as usize;
        if self.slots.get(slot)?.id != timer.id {
            return None;
        }
        let armed = self.slots.remove(slot);
        self.dead += 1;
        if self.dead > 64 && self.dead > self.heap.len() / 2 {
            self.retain(|_| true);
        }
        Some(armed.target)
    }

    /// Forgets every timer whose target `wanted` does not hold for. Cost: all of them are looked at.
    pub(crate) fn retain(&mut self, wanted: impl Fn(T) -> bool) {
        self.slots.retain(|_, armed| wanted(armed.target));
        let slots = &self.slots;
        self.heap
            .retain(|Reverse((_, _, slot, id))| is_live(slots, *slot, *id));
        self.dead = 0;
    }

    /// The earliest deadline, if any timer is armed.
    pub(crate) fn next(&mut self) -> Option<Time> {
        self.drop_dead();
        self.heap.peek().map(|Reverse((deadline, ..))| *deadline)
    }

    /// A mark for [`pop`](Self::pop): timers armed from now on wait for the next pass.
    pub(crate) fn pass(&self) -> u64 {
        self.armings
    }

    /// Takes the earliest timer that is due at `now` and was armed before the mark `pass`.
    ///
    /// A periodic timer is armed again at once, at the first multiple of its period after `now`:
    /// it does not drift, and periods that were missed altogether are left out.
    pub(crate) fn pop(&mut self, now: Time, pass: u64) -> Option<Due<T>> {
        self.drop_dead();
        let Reverse((deadline, order, slot, id)) = *self.heap.peek()?;
        if deadline > now || order >= pass {
            return None;
        }
        self.heap.pop();
        let armed = &self.slots[slot as usize];
        let target = armed.target;
        let Some(period) = armed.period else {
            self.slots.remove(slot as usize);
            return Some(Due {
                target,
                again: None,
            });
        };
        let late = (now - deadline).as_nanos() % period.as_nanos();
        let late = u64::try_from(late).expect("no more than the time since the deadline");
        self.push(now + (period - Duration::from_nanos(late)), slot, id);
        Some(Due {
            target,
            again: Some(TimerId { id, slot }),
        })
    }

    /// Timers armed and not cancelled.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    fn push(&mut self, deadline: Time, slot: u32, id: u64) {
        self.heap.push(Reverse((deadline, self.armings, slot, id)));
        self.armings += 1;
    }

    fn drop_dead(&mut self) {
        while self.dead > 0 {
            match self.heap.peek() {
                Some(Reverse((_, _, slot, id))) if !is_live(&self.slots, *slot, *id) => {
                    self.heap.pop();
                    self.dead -= 1;
                }
                _ => break,
            }
        }
    }
}

fn is_live<T>(slots: &Slab<Armed<T>>, slot: u32, id: u64) -> bool {
    slots.get(slot as usize).is_some_and(|armed| armed.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    fn fired(timers: &mut Timers<char>, now: u64) -> String {
        let pass = timers.pass();
        std::iter::from_fn(|| timers.pop(at(now), pass))
            .map(|due| due.target)
            .collect()
    }

    #[test]
    fn timers_fire_by_deadline_then_in_order_of_arming_and_never_early() {
        let mut timers = Timers::new();
        for (deadline, name) in [(30, 'c'), (10, 'a'), (20, 'b'), (10, 'A')] {
            timers.arm(at(deadline), None, name);
        }
        assert_eq!(fired(&mut timers, 9), "");
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(fired(&mut timers, 20), "aAb");
        assert_eq!(fired(&mut timers, 100), "c");
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_cancelled_timer_never_fires_and_its_id_never_hits_another() {
        let mut timers = Timers::new();
        let first = timers.arm(at(5), None, 'x');
        assert_eq!(timers.cancel(first), Some('x'));
        let second = timers.arm(at(5), None, 'y');
        assert_eq!(
            timers.cancel(first),
            None,
            "the slot is used again, the id is not"
        );
        assert_eq!(timers.len(), 1);
        assert_eq!(fired(&mut timers, 5), "y");
        assert_eq!(timers.cancel(second), None, "it has fired");
    }

    #[test]
    fn a_period_does_not_drift_and_skips_what_was_missed() {
        let mut timers = Timers::new();
        let id = timers.arm(at(10), Some(Duration::from_nanos(10)), 'p');
        assert_eq!(fired(&mut timers, 13), "p");
        assert_eq!(timers.next(), Some(at(20)));
        assert_eq!(fired(&mut timers, 57), "p");
        assert_eq!(timers.next(), Some(at(60)));
        assert_eq!(timers.cancel(id), Some('p'));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_timer_armed_during_a_pass_waits_for_the_next() {
        let mut timers = Timers::new();
        timers.arm(at(1), None, 'a');
        let pass = timers.pass();
        assert_eq!(timers.pop(at(1), pass).map(|due| due.target), Some('a'));
        timers.arm(at(1), None, 'b');
        assert_eq!(timers.pop(at(1), pass), None);
        assert_eq!(fired(&mut timers, 1), "b");
    }

    #[test]
    fn cancelling_for_ever_does_not_grow_the_heap() {
        let mut timers = Timers::new();
        for i in 0..100_000 {
            let id = timers.arm(at(1_000_000 + i), None, 'z');
            timers.cancel(id);
        }
        assert!(
            timers.heap.len() <= 130,
            "{} entries for no timer",
            timers.heap.len()
        );
    }
}
