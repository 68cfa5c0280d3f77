//! `Sampler`: which messages are looked at, where they are too many to look at each.

use crate::core::random::Random;

/// Where messages are sampled, one of this number is looked at, and stands for all of them.
pub(crate) const SAMPLE_EVERY: u64 = 64;

/// This number of runs at the beginning of a client's turn is counted in full: by then what the turn itself
/// costs, with its read from a socket, is more than what counting does. Who sends little at a time is
/// so never estimated.
const RUNS_IN_FULL: u32 = 8;

/// Chooses among messages that stand in a row, those of all clients one behind the other:
///
/// ```text
/// |......x.............|..........x.........|x...................|     x is looked at
///  SAMPLE_EVERY          SAMPLE_EVERY         SAMPLE_EVERY
/// ```
///
/// One of each block, by chance, so that each message has the same chance, and no pattern in which
/// they come can hide from it, as one could from every 64th.
#[derive(Debug)]
pub(super) struct Sampler {
    /// Runs that are still counted in full.
    in_full: u32,
    /// Messages before the next that is looked at.
    skip: u64,
    /// Messages of its block behind that one.
    behind: u64,
    random: Random,
}

/// How the messages of a run count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Draw {
    /// Each for itself.
    InFull,
    /// How many they stand for; none of them may have been looked at.
    For(u64),
}

impl Sampler {
    pub(super) fn new(seed: u64) -> Sampler {
        let mut sampler = Sampler {
            in_full: 0,
            skip: 0,
            behind: 0,
            random: Random::seeded(seed),
        };
        sampler.next_block();
        sampler
    }

    /// The turn of a client begins.
    pub(super) fn begin_turn(&mut self) {
        self.in_full = RUNS_IN_FULL;
    }

    /// How a run of `count` messages counts, which came right behind the last.
    #[inline(always)]
    pub(super) fn draw(&mut self, count: u64) -> Draw {
        if self.in_full == 0 && count <= self.skip && count < SAMPLE_EVERY {
            self.skip -= count;
            return Draw::For(0);
        }
        self.look(count)
    }

    #[inline(never)]
    fn look(&mut self, mut count: u64) -> Draw {
        if self.in_full > 0 || count >= SAMPLE_EVERY {
            self.in_full = self.in_full.saturating_sub(1);
            return Draw::InFull;
        }
        let mut stand_for = 0;
        while count > self.skip {
            count -= self.skip + 1;
            stand_for += SAMPLE_EVERY;
            self.skip = self.behind;
            self.next_block();
        }
        self.skip -= count;
        Draw::For(stand_for)
    }

    /// Chooses one of the block that begins `skip` messages from here.
    fn next_block(&mut self) {
        let place = self.random.below(SAMPLE_EVERY as usize) as u64;
        self.skip += place;
        self.behind = SAMPLE_EVERY - 1 - place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_runs_of_a_turn_and_long_ones_are_counted_in_full() {
        let mut sampler = Sampler::new(7);
        for _ in 0..3 {
            sampler.begin_turn();
            for _ in 0..RUNS_IN_FULL {
                assert_eq!(sampler.draw(1), Draw::InFull);
            }
            assert_ne!(sampler.draw(1), Draw::InFull);
            assert_eq!(sampler.draw(SAMPLE_EVERY), Draw::InFull);
            assert_ne!(sampler.draw(SAMPLE_EVERY - 1), Draw::InFull);
        }
    }

    #[test]
    fn each_block_has_one_that_is_looked_at_however_the_runs_are_cut() {
        for run in 1..SAMPLE_EVERY {
            let mut sampler = Sampler::new(run);
            let blocks = 1000;
            let (mut seen, mut sent) = (0, 0);
            while sent + run <= blocks * SAMPLE_EVERY {
                let Draw::For(count) = sampler.draw(run) else {
                    panic!("a short run is sampled");
                };
                (seen, sent) = (seen + count, sent + run);
            }
            let missing = sent.abs_diff(seen);
            assert!(missing <= SAMPLE_EVERY, "runs of {run}: {seen} for {sent}");
        }
    }

    #[test]
    fn a_pattern_of_the_length_of_a_block_does_not_hide_from_it() {
        let mut sampler = Sampler::new(11);
        let rounds = 20_000;
        let mut seen = [0; SAMPLE_EVERY as usize];
        for number in 0..rounds * SAMPLE_EVERY {
            if let Draw::For(count) = sampler.draw(1) {
                seen[(number % SAMPLE_EVERY) as usize] += count;
            }
        }
        // The deviation of each is below the root of `SAMPLE_EVERY * rounds`, 1132.
        for (place, count) in seen.iter().enumerate() {
            let off = rounds.abs_diff(*count);
            assert!(off < 5 * 1132, "place {place}: {count} for {rounds}");
        }
    }
}
