//! What the process takes: memory and processor.

use midge_reactor::Time;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A share of less time than this is not worth telling: the clocks are not exact.
const PERIOD_MIN: Duration = Duration::from_secs(1);

/// What the process has taken when it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Process {
    /// When and how much processor time; `None` before the first look.
    last: Option<(Time, Duration)>,
    cpu_percent: f64,
    resident_bytes: usize,
}

impl Process {
    /// Looks at what was taken since the last look, or since the beginning, `age` ago. The share is
    /// that of the time between two looks, a second at least.
    pub(crate) fn look(&mut self, now: Time, age: Duration) {
        // Two reads from the kernel's memory.
        let resident = memory_stats::memory_stats().map_or(0, |stats| stats.physical_mem);
        self.resident_bytes = resident;
        let spent = processor_time();
        let (period, before) = match self.last {
            Some((at, before)) => (now - at, before),
            None => (age, Duration::ZERO),
        };
        if period >= PERIOD_MIN {
            let share = spent.saturating_sub(before).as_secs_f64() / period.as_secs_f64();
            self.cpu_percent = (share * 1000.0).round() / 10.0;
            self.last = Some((now, spent));
        }
    }

    /// Per cent of one processor.
    pub(crate) fn cpu_percent(&self) -> f64 {
        self.cpu_percent
    }

    /// Bytes of memory that are the process's own at present.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.resident_bytes
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_of_a_second_at_least() {
        let mut process = Process::default();
        let at = |millis: u64| Time::from_nanos(millis * 1_000_000);
        process.look(at(500), Duration::from_millis(500));
        assert_eq!((process.last, process.cpu_percent()), (None, 0.0));
        process.look(at(2000), Duration::from_millis(2000));
        let (when, spent) = process.last.expect("two seconds have passed");
        assert_eq!(when, at(2000));
        assert!(spent > Duration::ZERO && process.cpu_percent() >= 0.0);
        let before = process.cpu_percent();
        process.look(at(2500), Duration::from_millis(2500));
        assert_eq!(process.cpu_percent(), before);
        assert!(process.resident_bytes() > 100_000);
    }
}
