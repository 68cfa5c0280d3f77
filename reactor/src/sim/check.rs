//! Many seeds, and the same seed twice.

use super::history::grouped;
use super::sites::Sizes;
use super::{Faults, Sim};
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Once;

/// Plays `scenario` once for each seed, with the faults of [`Faults::swarm`]. What a scenario
/// cannot live with it takes out first, with [`Sim::set_faults`].
///
/// The environment may ask for something else: `SIM_SEED` for one seed alone, `SIM_SEEDS` for so
/// many seeds from the first one on, `SIM_SHRINK` for as little as will do: where a seed fails, the
/// kinds of faults without which it fails as well are switched off first, and every
/// [`size`](Sim::size) is halved as far as the failure lasts.
///
/// # Panics
/// When the scenario does; the seed, the faults and the last things that happened are printed.
pub fn check(seeds: Range<u64>, scenario: impl Fn(&mut Sim)) {
    for seed in chosen(seeds, number("SIM_SEED"), number("SIM_SEEDS")) {
        let (faults, sizes) = match std::env::var_os("SIM_SHRINK") {
            Some(_) => silently(|| smallest(seed, &scenario)),
            None => (Faults::swarm(seed), Sizes::default()),
        };
        let mut sim = Sim::with_faults(seed, faults);
        sim.sizes.halvings = sizes.halvings;
        scenario(&mut sim);
    }
}

/// Plays `scenario` twice with one seed, and compares all that has happened.
///
/// # Panics
/// When the scenario does, and when the two runs differ: then some handler reads a clock of its
/// own, or the order of a hash table, or another source of chance.
pub fn check_deterministic(seed: u64, scenario: impl Fn(&mut Sim)) {
    let play = || {
        let mut sim = Sim::with_faults(seed, Faults::swarm(seed));
        scenario(&mut sim);
        sim
    };
    let (one, two) = (play(), play());
    if one.history_hash() != two.history_hash() {
        let (ends, other) = (one.history(), two.history());
        let differ = ends
            .lines()
            .zip(other.lines())
            .find(|(one, two)| one != two);
        panic!("two runs of seed {seed} differ; at their ends, first in {differ:?}");
    }
}

thread_local! {
    /// This thread plays runs whose panics are not told.
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Calls `work`, whose panics are not printed; those of other threads are.
fn silently<R>(work: impl FnOnce() -> R) -> R {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                before(info);
            }
        }));
    });
    SILENT.set(true);
    let result = work();
    SILENT.set(false);
    result
}

/// The faults of a seed, less those without which the scenario fails as well, and as little of
/// everything else as it fails with.
fn smallest(seed: u64, scenario: &impl Fn(&mut Sim)) -> (Faults, Sizes) {
    let runs = Cell::new(0_u64);
    let fails = |faults: &Faults, sizes: &Sizes| {
        runs.set(runs.get() + 1);
        let mut sim = Sim::with_faults(seed, faults.clone());
        sim.quiet = true;
        sim.sizes.halvings = sizes.halvings.clone();
        // Whatever the scenario leaves behind half done is its own, and the next run makes it anew.
        let run = catch_unwind(AssertUnwindSafe(|| scenario(&mut sim)));
        run.is_err().then(|| std::mem::take(&mut sim.sizes))
    };
    let mut faults = Faults::swarm(seed);
    let Some(mut sizes) = fails(&faults, &Sizes::default()) else {
        return (faults, Sizes::default());
    };
    loop {
        let fewer = faults.each_without_one().into_iter();
        let mut fewer = fewer.filter_map(|faults| Some((fails(&faults, &sizes)?, faults)));
        if let Some((found, without)) = fewer.next() {
            (sizes, faults) = (found, without);
            continue;
        }
        let smaller = sizes.each_halved().into_iter();
        let Some(found) = smaller.filter_map(|sizes| fails(&faults, &sizes)).next() else {
            let runs = grouped(runs.get());
            eprintln!("seed {seed}: {runs} runs to make it small; what is left of it:");
            return (faults, sizes);
        };
        sizes = found;
    }
}

fn chosen(seeds: Range<u64>, only: Option<u64>, count: Option<u64>) -> Range<u64> {
    match (only, count) {
        (Some(seed), _) => seed..seed.saturating_add(1),
        (None, Some(count)) => seeds.start..seeds.start.saturating_add(count),
        (None, None) => seeds,
    }
}

fn number<N: FromStr>(name: &str) -> Option<N> {
    let text = std::env::var(name).ok()?;
    match text.trim().parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name}={text} is not a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_before_the_test() {
        assert_eq!(chosen(3..9, None, None), 3..9);
        assert_eq!(chosen(3..9, None, Some(2)), 3..5);
        assert_eq!(chosen(3..9, Some(17), Some(2)), 17..18);
    }

    #[test]
    fn only_the_faults_that_matter_are_left() {
        let seed = (0..).find(|seed| {
            let faults = Faults::swarm(*seed);
            faults.shuffle > 0.0 && faults.pause > 0.0
        });
        let seed = seed.expect("half of all seeds have each");
        let (faults, _) = smallest(seed, &|sim| {
            let faults = sim.faults();
            assert!(faults.shuffle == 0.0 || faults.pause == 0.0);
        });
        let swarm = Faults::swarm(seed);
        let mut wanted = Faults::none();
        (wanted.shuffle, wanted.pause) = (swarm.shuffle, swarm.pause);
        (wanted.stall_max, wanted.pause_max) = (swarm.stall_max, swarm.pause_max);
        assert_eq!(faults, wanted);
        assert_eq!(smallest(seed, &|_| ()), (swarm, Sizes::default()));
    }

    #[test]
    fn only_as_much_is_left_as_the_failure_needs() {
        let fails = |sim: &mut Sim| {
            let (clients, rounds) = (sim.size("clients", 1000), sim.size("rounds", 1000));
            assert!(clients < 9 || rounds == 0);
        };
        let large = |seed: &u64| Sim::new(*seed).size("clients", 1000) > 100;
        let seed = (0..)
            .find(large)
            .expect("most seeds have more than a tenth");
        let (faults, sizes) = smallest(seed, &fails);
        assert!(faults.each_without_one().is_empty(), "no fault is needed");
        assert!((9..18).contains(&sizes.drawn["clients"]), "{sizes:?}");
        assert_eq!(sizes.drawn["rounds"], 1);
        let mut sim = Sim::new(seed);
        sim.sizes.halvings = sizes.halvings;
        assert_eq!(sim.size("clients", 1000), sizes.drawn["clients"]);
    }
}
