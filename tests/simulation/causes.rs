//! Why the broker says it has closed each connection, and of what it warns: read from its log, where an operator would.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;

thread_local! {
    // A simulation lives on one thread, and so does its broker.
    static CAUSES: RefCell<BTreeMap<u64, String>> = const { RefCell::new(BTreeMap::new()) };
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static NEWS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Journal;

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "midge" && metadata.level() <= Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = record.args().to_string();
        if let Some((label, cause)) = line.split_once(" - Client connection closed: ") {
            let cid = label.rsplit(':').next().map(str::parse);
            let cid = cid.expect("a label").expect("a label ends with a number");
            // What comes behind it tells how much there was.
            let cause = cause.split(';').next().unwrap_or_default();
            CAUSES.with_borrow_mut(|causes| causes.insert(cid, cause.to_owned()));
        }
        if record.level() <= Level::Warn {
            WARNINGS.with_borrow_mut(|warnings| warnings.push(line));
        } else if record.level() == Level::Info {
            NEWS.with_borrow_mut(|news| news.push(line));
        }
    }

    fn flush(&self) {}
}

/// Forgets what this thread's brokers have logged, and listens from here on.
pub(crate) fn listen() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        log::set_logger(&Journal).expect("nobody else sets one");
        log::set_max_level(LevelFilter::Debug);
    });
    CAUSES.with_borrow_mut(BTreeMap::clear);
    WARNINGS.with_borrow_mut(Vec::clear);
    NEWS.with_borrow_mut(Vec::clear);
}

/// Why the connection with that number was closed; empty if it was not.
pub(crate) fn of(cid: u64) -> String {
    CAUSES.with_borrow(|causes| causes.get(&cid).cloned().unwrap_or_default())
}

/// The warnings and errors since the last time, or since [`listen`].
pub(crate) fn warnings() -> Vec<String> {
    WARNINGS.with_borrow_mut(std::mem::take)
}

/// What it has told since the last time, or since [`listen`], that is no warning.
pub(crate) fn news() -> Vec<String> {
    NEWS.with_borrow_mut(std::mem::take)
}
