//! Certificates of the settings: for whom each is, and those that clients refuse, since their time is over or has not come.
//! The broker starts with them all the same: they can be renewed while it runs, and a clock can be wrong.

use super::Config;
use crate::door::Door;

impl Config {
    /// Behind the name of a certificate: for which listener it is, where that is not the one that all brokers have.
    pub(crate) fn certificate_place(&self, door: Door) -> String {
        match door {
            Door::Main => String::new(),
            _ => format!(" for {}", self.called(door)),
        }
    }

    /// A line for each certificate that clients refuse at this time.
    #[cfg(feature = "command")]
    pub(crate) fn untimely(&self, now: jiff::Timestamp) -> Vec<String> {
        let each = self.each_tls();
        let each = each.filter_map(|(door, tls)| Some((door, tls.certificates()?)));
        let each = each.flat_map(|(door, held)| held.shown().iter().map(move |one| (door, one)));
        let faults = each.filter_map(|(door, shown)| {
            let name = shown.called(&self.certificate_place(door));
            Some(format!("{name} {}", shown.untimely(now)?))
        });
        faults.collect()
    }
}
