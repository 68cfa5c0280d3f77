//! How long threads have wanted a processor and had none, as Linux tells it.
//!
//! On a machine with few processors, and on one whose host lends them, that is most of the longest waits: a processor that is
//! idle may be woken milliseconds late. None of it is what a broker does, and on a machine of its own there is none.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The schedule of a thread.
#[derive(Debug)]
struct Schedule(File);

impl Schedule {
    fn open(path: &str) -> Option<Schedule> {
        File::open(path).ok().map(Schedule)
    }

    /// How long it has run, and how long it has wanted to.
    fn times(&self) -> [Duration; 2] {
        let mut told = [0; 96];
        let len = self.0.read_at(&mut told, 0).unwrap_or(0);
        let told = String::from_utf8_lossy(&told[..len]);
        let mut nanos = told
            .split_whitespace()
            .map(|nanos| nanos.parse().unwrap_or(0));
        [(); 2].map(|()| Duration::from_nanos(nanos.next().unwrap_or(0)))
    }
}

/// How long the thread of this process has run, and how long it has wanted to.
pub(crate) fn times_of(pid: Option<u32>) -> [Duration; 2] {
    let schedule = pid.and_then(|pid| Schedule::open(&format!("/proc/{pid}/schedstat")));
    schedule.map_or([Duration::ZERO; 2], |schedule| schedule.times())
}

/// What the broker's thread and an honest client's have wanted in vain until some instant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted([Duration; 2]);

impl Wanted {
    /// What was wanted in vain since `before`: the longer of both, since they may have wanted at once.
    pub(crate) fn since(self, before: Wanted) -> Duration {
        let passed = |at: usize| self.0[at].saturating_sub(before.0[at]);
        passed(0).max(passed(1))
    }
}

/// A look at both.
#[derive(Debug)]
pub(crate) struct Wanting([Option<Schedule>; 2]);

impl Wanting {
    /// Of a broker and of the thread that calls this.
    pub(crate) fn of(pid: Option<u32>) -> Wanting {
        let broker = pid.map(|pid| format!("/proc/{pid}/schedstat"));
        let own = Some("/proc/thread-self/schedstat".to_owned());
        Wanting([broker, own].map(|path| Schedule::open(&path?)))
    }

    pub(crate) fn until_now(&self) -> Wanted {
        let wanted = |schedule: &Schedule| schedule.times()[1];
        let [broker, own] = &self.0;
        Wanted([broker, own].map(|schedule| schedule.as_ref().map_or(Duration::ZERO, wanted)))
    }
}
