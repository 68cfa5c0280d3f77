//! A line of the table, and whether all was as it was promised.

use std::time::Duration;

use crate::broker::Health;
use crate::honest::Seen;
use crate::kinds::Kind;

/// The longest that anyone honest may wait for an answer. A bound for hangs, not for speed.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(10);

/// What came of one kind.
pub(crate) struct Row {
    pub(crate) seen: Seen,
    pub(crate) health: Option<Health>,
    pub(crate) closed: u64,
    /// Memory of the broker in bytes, if its process is known.
    pub(crate) peak: u64,
    pub(crate) after: Option<u64>,
    pub(crate) before: u64,
    pub(crate) took: Duration,
    pub(crate) note: String,
    pub(crate) faults: Vec<String>,
}

pub(crate) fn heading() {
    println!(
        "{:13} {:>26} {:>9} {:>9} {:>15} {:>15} {:>13} {:>7} {:>11} {:>5}",
        "",
        "PING of others, ms",
        "publisher",
        "delivery",
        "requests",
        "messages",
        "/healthz",
        "hostile",
        "memory, MB",
        ""
    );
    println!(
        "{:13} {:>8} {:>8} {:>8} {:>9} {:>9} {:>15} {:>15} {:>13} {:>7} {:>5} {:>5} {:>5}",
        "kind",
        "p50",
        "p99",
        "max",
        "max, ms",
        "max, ms",
        "lost/of",
        "lost/of",
        "max ms, lost",
        "closed",
        "peak",
        "after",
        "s"
    );
}

impl Row {
    /// Prints the line, and behind it what was not as promised; answers whether all was.
    pub(crate) fn print(mut self, kind: &Kind, judges: bool) -> bool {
        let seen = &mut self.seen;
        let health = self.health.as_ref();
        let health = health.map_or("-".to_owned(), |health| {
            format!("{:.0}, {}/{}", ms(health.max), health.failed, health.asked)
        });
        println!(
            "{:13} {:8.2} {:8.1} {:8.1} {:9.0} {:9.0} {:>15} {:>15} {:>13} {:>7} {:>5} {:>5} {:5.1}  {}",
            kind.name,
            ms(seen.pings.most(50)),
            ms(seen.pings.most(99)),
            ms(seen.pings.most(100)),
            ms(seen.publisher_max),
            ms(seen.delivery_max),
            format!("{}/{}", seen.requests_lost, seen.requests),
            format!("{}/{}", seen.messages_lost, seen.messages),
            health,
            self.closed,
            mb(self.peak),
            self.after
                .map_or("-".to_owned(), |bytes| mb(bytes).to_string()),
            self.took.as_secs_f64(),
            self.note,
        );
        let faults = self.judged(kind);
        for fault in faults.iter().take(8) {
            let word = if judges { "BROKEN" } else { "seen" };
            println!("  {word}: {fault}");
        }
        if faults.len() > 8 {
            println!("  and {} more", faults.len() - 8);
        }
        faults.is_empty()
    }

    fn judged(self, kind: &Kind) -> Vec<String> {
        let mut faults = self.faults;
        let mut seen = self.seen;
        let ping_max = seen.pings.most(100);
        let mut must = |is_kept: bool, text: String| {
            if !is_kept {
                faults.push(text);
            }
        };
        let lost = (seen.requests_lost, seen.messages_lost);
        must(
            lost.0 == 0,
            format!("{} requests were not answered", lost.0),
        );
        must(lost.1 == 0, format!("{} messages did not arrive", lost.1));
        let waits = [
            ("a PING", ping_max),
            ("the publisher", seen.publisher_max),
            ("a delivery", seen.delivery_max),
        ];
        for (who, wait) in waits {
            must(wait <= WAIT_MAX, format!("{who} waited {:.0} ms", ms(wait)));
        }
        if let Some(health) = &self.health {
            let text = format!(
                "/healthz failed {} times: {}",
                health.failed, health.failure
            );
            must(health.failed == 0, text);
        }
        // What a broker that others have used before had from the start does not count.
        let peak = mb(self.peak.saturating_sub(self.before));
        let after = mb(self.after.unwrap_or(0).saturating_sub(self.before));
        must(
            peak <= kind.peak_mb,
            format!("{peak} MB of memory, not {}", kind.peak_mb),
        );
        must(
            after <= kind.after_mb,
            format!("{after} MB stay, not {}", kind.after_mb),
        );
        faults.extend(seen.wrongs);
        faults
    }
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub(crate) fn mb(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}
