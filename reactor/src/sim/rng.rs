//! Random choices: one stream of numbers for each kind of choice, all from one seed.
//!
//! Streams are apart so that switching one fault off leaves the choices of all others as they were:
//! that is what makes a failure smaller.

/// A small generator: an addition and a mix for each number.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64, stream: u64) -> Rng {
        let mut rng = Rng(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93));
        // Seeds that lie close together are to differ from the first number on.
        rng.next();
        rng
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `max`, both included.
    pub(super) fn up_to(&mut self, max: u64) -> u64 {
        match max.checked_add(1) {
            // So small a bias does not matter here.
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }

    /// A number from `min` to `max`, both included; `min` if they are the wrong way round.
    pub(super) fn between(&mut self, min: u64, max: u64) -> u64 {
        min + self.up_to(max.saturating_sub(min))
    }

    /// As [`between`](Rng::between), for lengths.
    pub(super) fn length(&mut self, min: usize, max: usize) -> usize {
        usize::try_from(self.between(min as u64, max as u64)).unwrap_or(max)
    }

    /// True with probability `chance`. Draws nothing where the answer is certain.
    pub(super) fn chance(&mut self, chance: f64) -> bool {
        chance > 0.0 && (chance >= 1.0 || self.unit() < chance)
    }

    /// A number from 0 up to, not including, 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.length(0, last));
        }
    }
}

/// One stream for each kind of choice.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) schedule: Rng,
    pub(super) seeds: Rng,
    pub(super) latency: Rng,
    pub(super) stall: Rng,
    pub(super) segment: Rng,
    pub(super) window: Rng,
    pub(super) short_read: Rng,
    pub(super) short_write: Rng,
    pub(super) interrupt: Rng,
    pub(super) spurious: Rng,
    pub(super) duplicate: Rng,
    pub(super) shuffle: Rng,
    pub(super) batch: Rng,
    pub(super) extra_edge: Rng,
    pub(super) reset: Rng,
    pub(super) accept: Rng,
    pub(super) connect: Rng,
    pub(super) pause: Rng,
    pub(super) clock: Rng,
    pub(super) outside: Rng,
    pub(super) job: Rng,
    pub(super) lookup: Rng,
    pub(super) partition: Rng,
    pub(super) packet_latency: Rng,
    pub(super) packet_room: Rng,
    pub(super) packet_loss: Rng,
    pub(super) packet_duplicate: Rng,
    pub(super) packet_reorder: Rng,
    pub(super) call_cost: Rng,
}

impl Streams {
    pub(super) fn new(seed: u64) -> Streams {
        let mut stream = 0;
        let mut next = || {
            stream += 1;
            Rng::new(seed, stream)
        };
        Streams {
            schedule: next(),
            seeds: next(),
            latency: next(),
            stall: next(),
            segment: next(),
            window: next(),
            short_read: next(),
            short_write: next(),
            interrupt: next(),
            spurious: next(),
            duplicate: next(),
            shuffle: next(),
            batch: next(),
            extra_edge: next(),
            reset: next(),
            accept: next(),
            connect: next(),
            pause: next(),
            clock: next(),
            outside: next(),
            job: next(),
            lookup: next(),
            partition: next(),
            packet_latency: next(),
            packet_room: next(),
            packet_loss: next(),
            packet_duplicate: next(),
            packet_reorder: next(),
            call_cost: next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_kept_and_reached() {
        let mut rng = Rng::new(1, 1);
        let drawn: Vec<u64> = (0..1000).map(|_| rng.between(3, 5)).collect();
        assert!(drawn.iter().all(|number| (3..=5).contains(number)));
        assert!([3, 4, 5].iter().all(|number| drawn.contains(number)));
        assert_eq!(rng.between(7, 2), 7);
    }

    #[test]
    fn what_is_certain_is_not_drawn() {
        let mut rng = Rng::new(1, 1);
        let before = rng.0;
        assert!(!rng.chance(0.0));
        assert!(rng.chance(1.0));
        assert_eq!(rng.0, before);
    }

    #[test]
    fn streams_of_one_seed_differ() {
        assert_ne!(Rng::new(1, 1).next(), Rng::new(1, 2).next());
    }
}
