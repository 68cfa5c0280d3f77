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
//!
//! A timer that is due may be put off: until what its target has not read yet was read, and, if it is
//! a deadline that a peer has to keep, by all of its length after the loop stood still.

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

impl TimerId {
    /// Names no timer, ever: cancelling it does nothing.
    pub const NONE: TimerId = TimerId {
        id: u64::MAX,
        slot: u32::MAX,
    };
}

/// For how many turns of its target, to read or to write, a timer waits at most: with a read buffer each,
/// that is more than a kernel keeps for one connection. A peer that never stops sending cannot hold it up
/// for ever.
const PUT_OFF_MAX: u8 = 64;

/// Timers put off in a row before there is a look at the clock.
const PUT_OFF_AT_ONCE_MAX: u32 = 256;

/// How often a deadline begins once more, at most.
const BEGUN_MAX: u8 = 64;

#[derive(Debug)]
struct Armed<T> {
    id: u64,
    period: Option<Duration>,
    /// How long a peer had, where the timer judges that and may begin once more.
    timeout: Option<Duration>,
    begun: u8,
    /// When it was due and was put off, to be read on first; how many turns its target has had since, and
    /// the number of the last one.
    due: Option<Time>,
    put_off: u8,
    served: u16,
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

/// What [`Timers::pop`] has found.
#[derive(Debug, PartialEq)]
pub(crate) enum Popped<T> {
    Due(Due<T>),
    /// Many that are due were put off, and there may be others.
    PutOff,
    /// No more are due.
    Nothing,
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
        self.insert(deadline, period, None, target)
    }

    /// Arms a timer for what somebody else has to do within `timeout` from `now`. If the loop stands
    /// still meanwhile, it begins once more after that, with all of its time; and again where that was
    /// for half of the time or longer. A loop that is always a little late has deadlines all the same.
    pub(crate) fn arm_deadline(&mut self, now: Time, timeout: Duration, target: T) -> TimerId {
        self.insert(now + timeout, None, Some(timeout), target)
    }

    fn insert(
        &mut self,
        deadline: Time,
        period: Option<Duration>,
        timeout: Option<Duration>,
        target: T,
    ) -> TimerId {
        let id = self.armings;
        let slot = self.slots.insert(Armed {
            id,
            period,
            timeout,
            begun: 0,
            due: None,
            put_off: 0,
            served: 0,
            target,
        });
        let slot = u32::try_from(slot).expect("2^32 timers do not fit in memory");
        self.push(deadline, slot, id);
        self.invariants();
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
        self.invariants();
        Some(armed.target)
    }

    /// Forgets every timer whose target `wanted` does not hold for. Cost: all of them are looked at.
    pub(crate) fn retain(&mut self, wanted: impl Fn(T) -> bool) {
        self.slots.retain(|_, armed| wanted(armed.target));
        let slots = &self.slots;
        self.heap
            .retain(|Reverse((_, _, slot, id))| is_live(slots, *slot, *id));
        self.dead = 0;
        self.invariants();
    }

    /// The equation of the header.
    #[inline]
    fn invariants(&self) {
        debug_assert!(self.dead <= self.heap.len());
        debug_assert_eq!(
            self.heap.len() - self.dead,
            self.slots.len(),
            "armed timers"
        );
    }

    /// The earliest deadline, if any timer is armed.
    pub(crate) fn next(&mut self) -> Option<Time> {
        self.drop_dead();
        self.heap.peek().map(|Reverse((deadline, ..))| *deadline)
    }

    /// Whether any timer may be due at `now`: a look that costs next to nothing.
    #[inline]
    pub(crate) fn may_be_due(&self, now: Time) -> bool {
        let first = self.heap.peek();
        first.is_some_and(|Reverse((deadline, ..))| *deadline <= now)
    }

    /// A mark for [`pop`](Self::pop): timers armed from now on wait for the next pass.
    pub(crate) fn pass(&self) -> u64 {
        self.armings
    }

    /// Takes the earliest timer that is due at `now` and was armed before the mark `pass`.
    ///
    /// Put off are those whose target is `behind`, for some of its turns, which are numbered by what `behind`
    /// answers, and deadlines that were armed before `resumed`, the end of the last time in which the loop
    /// stood still.
    ///
    /// A periodic timer is armed again at once, at the first multiple of its period after `now`:
    /// it does not drift, and periods that were missed altogether are left out.
    pub(crate) fn pop(
        &mut self,
        now: Time,
        pass: u64,
        resumed: Time,
        behind: impl Fn(T) -> Option<u16>,
    ) -> Popped<T> {
        for _ in 0..PUT_OFF_AT_ONCE_MAX {
            self.drop_dead();
            let Some(&Reverse((deadline, order, slot, id))) = self.heap.peek() else {
                return Popped::Nothing;
            };
            if deadline > now || order >= pass {
                return Popped::Nothing;
            }
            self.heap.pop();
            let armed = &mut self.slots[slot as usize];
            let target = armed.target;
            if let Some(served) = behind(target) {
                if armed.due.is_none() {
                    armed.due = Some(deadline);
                } else if armed.served != served {
                    armed.put_off += 1;
                }
                armed.served = served;
                if armed.put_off < PUT_OFF_MAX {
                    // Behind all that are due, or none of those would be found in this pass.
                    self.push(now, slot, id);
                    continue;
                }
            }
            armed.put_off = 0;
            let deadline = armed.due.take().unwrap_or(deadline);
            if let Some(timeout) = armed.timeout
                && deadline < resumed + timeout
            {
                armed.begun += 1;
                if now - deadline < timeout / 2 || armed.begun >= BEGUN_MAX {
                    armed.timeout = None;
                }
                self.push(now + timeout, slot, id);
                continue;
            }
            let Some(period) = armed.period else {
                self.slots.remove(slot as usize);
                self.invariants();
                return Popped::Due(Due {
                    target,
                    again: None,
                });
            };
            let late = (now - deadline).as_nanos() % period.as_nanos();
            let late = u64::try_from(late).expect("no more than the time since the deadline");
            self.push(now + (period - Duration::from_nanos(late)), slot, id);
            return Popped::Due(Due {
                target,
                again: Some(TimerId { id, slot }),
            });
        }
        Popped::PutOff
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
        fired_after(timers, now, 0, "")
    }

    /// As [`fired`], when the loop stood still until `resumed`; those of `behind` have yet to read on, and
    /// have had a turn since the last call.
    fn fired_after(timers: &mut Timers<char>, now: u64, resumed: u64, behind: &str) -> String {
        let served = u16::try_from(now).expect("tests are short");
        fired_behind(timers, now, resumed, |target| {
            behind.contains(target).then_some(served)
        })
    }

    fn fired_behind(
        timers: &mut Timers<char>,
        now: u64,
        resumed: u64,
        behind: impl Fn(char) -> Option<u16>,
    ) -> String {
        let (pass, mut fired) = (timers.pass(), String::new());
        loop {
            match timers.pop(at(now), pass, at(resumed), &behind) {
                Popped::Due(due) => fired.push(due.target),
                Popped::PutOff => {}
                Popped::Nothing => return fired,
            }
        }
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
        let pop = |timers: &mut Timers<char>| timers.pop(at(1), pass, at(0), |_| None);
        assert!(matches!(pop(&mut timers), Popped::Due(due) if due.target == 'a'));
        timers.arm(at(1), None, 'b');
        assert_eq!(pop(&mut timers), Popped::Nothing);
        assert_eq!(fired(&mut timers, 1), "b");
    }

    #[test]
    fn a_timer_waits_for_its_target_to_read_on_but_not_for_ever() {
        let mut timers = Timers::new();
        let nanos = Duration::from_nanos;
        timers.arm(at(5), None, 'x');
        timers.arm(at(5), Some(nanos(10)), 'p');
        timers.arm(at(6), None, 'y');
        assert_eq!(
            fired_after(&mut timers, 7, 0, "xp"),
            "y",
            "it waits for nobody else"
        );
        assert_eq!(timers.next(), Some(at(7)), "they are due at once");
        assert_eq!(fired(&mut timers, 8), "xp");
        assert_eq!(timers.next(), Some(at(15)), "a period does not drift by it");
        let id = timers.arm(at(9), None, 'z');
        for now in 10..10 + u64::from(PUT_OFF_MAX) {
            assert_eq!(fired_after(&mut timers, now, 0, "zp"), "");
        }
        assert_eq!(fired_after(&mut timers, 100, 0, "z"), "zp");
        assert_eq!(timers.cancel(id), None);
    }

    #[test]
    fn a_pass_in_which_its_target_has_no_turn_brings_a_timer_no_nearer() {
        let mut timers = Timers::new();
        timers.arm(at(5), None, 'x');
        for now in 10..10_000 {
            assert_eq!(fired_behind(&mut timers, now, 0, |_| Some(7)), "");
        }
        for turn in 0..u16::from(PUT_OFF_MAX) - 1 {
            let turn = 65_500_u16.wrapping_add(turn);
            assert_eq!(fired_behind(&mut timers, 10_000, 0, |_| Some(turn)), "");
        }
        assert_eq!(fired_behind(&mut timers, 10_000, 0, |_| Some(9)), "x");
    }

    #[test]
    fn a_pass_over_many_that_wait_is_interrupted_and_goes_on_with_the_others() {
        let mut timers = Timers::new();
        for _ in 0..1000 {
            timers.arm(at(5), None, 'x');
        }
        timers.arm(at(6), None, 'y');
        let (mut pass, mut interrupted) = (timers.pass(), 0);
        let mut now = 10;
        let behind = |target| (target == 'x').then_some(1);
        loop {
            match timers.pop(at(now), pass, at(0), behind) {
                Popped::Due(due) => break assert_eq!(due.target, 'y'),
                Popped::PutOff => {
                    interrupted += 1;
                    // The others come first, also in a pass that is another.
                    (pass, now) = (timers.pass(), now + 1);
                }
                Popped::Nothing => panic!("one is due"),
            }
        }
        assert_eq!(interrupted, 3);
    }

    #[test]
    fn a_deadline_that_the_loop_has_slept_through_comes_once_more() {
        let mut timers = Timers::new();
        let ten = Duration::from_nanos(10);
        let id = timers.arm_deadline(at(0), ten, 'd');
        timers.arm(at(10), None, 't');
        assert_eq!(
            fired_after(&mut timers, 50, 50, ""),
            "t",
            "it is no deadline"
        );
        assert_eq!(timers.next(), Some(at(60)));
        assert_eq!(fired_after(&mut timers, 90, 90, ""), "", "and again");
        assert_eq!(timers.next(), Some(at(100)));
        // But not where the loop is a little late each time.
        assert_eq!(fired_after(&mut timers, 104, 104, ""), "");
        assert_eq!(fired_after(&mut timers, 118, 118, ""), "d");
        assert_eq!(timers.cancel(id), None);
        let id = timers.arm_deadline(at(120), ten, 'e');
        assert_eq!(
            fired_after(&mut timers, 131, 120, ""),
            "e",
            "it was armed after that"
        );
        assert_eq!(timers.cancel(id), None);
        let id = timers.arm_deadline(at(140), ten, 'f');
        assert_eq!(fired_after(&mut timers, 170, 170, ""), "");
        assert_eq!(timers.cancel(id), Some('f'), "it is the same timer");
        timers.arm_deadline(at(170), Duration::MAX, 'g');
        assert_eq!(fired_after(&mut timers, 200, 200, ""), "");
        timers.arm_deadline(at(200), ten, 'h');
        let times = (1..)
            .take_while(|n| fired_after(&mut timers, 200 + n * 100, 200 + n * 100, "").is_empty());
        assert_eq!(times.count(), usize::from(BEGUN_MAX), "not for ever");
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
