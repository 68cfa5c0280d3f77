//! What was said of the certificates that are shown, so that it is said once.

use crate::door::Door;
use jiff::Timestamp;
use midge_reactor::TimerId;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct CertificateNotes {
    /// Looks at the files, while there are any.
    pub(crate) timer: Option<TimerId>,
    /// Whether another thread looks at them now.
    pub(crate) is_looking: bool,
    /// How many of the times for a warning have come, for a listener, a file and the end of its certificate.
    pub(crate) warned: BTreeMap<(Door, PathBuf, Timestamp), usize>,
    /// What is wrong with files that have changed, by listener.
    pub(crate) faults: BTreeMap<Door, String>,
}
