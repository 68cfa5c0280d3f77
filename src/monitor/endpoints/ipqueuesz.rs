//! `/ipqueuesz`: queues between threads. There is one thread.

use super::Made;
use super::varz::Nothing;

pub(super) fn answer() -> Made {
    Made::json(&Nothing {})
}
