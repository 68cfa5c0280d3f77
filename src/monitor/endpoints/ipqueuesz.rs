//! `/ipqueuesz`: queues between threads. There is one thread.

use super::Content;
use super::varz::Nothing;

pub(super) fn answer() -> Content {
    Content::json(&Nothing {})
}
