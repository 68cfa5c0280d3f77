//! Which records are logged.

use log::{Level, LevelFilter, Log as _, Metadata};
use midge::cli::LogOptions;

use super::FATAL;

/// The least urgent level that is logged.
pub(super) fn level(options: &LogOptions) -> LevelFilter {
    match options {
        LogOptions { trace: true, .. } => LevelFilter::Trace,
        LogOptions { debug: true, .. } => LevelFilter::Debug,
        _ => LevelFilter::Info,
    }
}

/// What is logged: env_logger's filter, for which each level includes those above it, with `DBG`
/// taken out when only `TRC` was asked for.
pub(super) struct Filter {
    levels: env_logger::Logger,
    debug: bool,
}

impl Filter {
    pub(super) fn new(options: &LogOptions) -> Filter {
        let mut levels = env_logger::Builder::new();
        // Other crates' view of the world is of interest when it is a warning.
        levels.filter_level(LevelFilter::Warn);
        levels.filter_module("midge", level(options));
        levels.filter_module(FATAL, LevelFilter::Error);
        Filter {
            levels: levels.build(),
            debug: options.debug,
        }
    }

    pub(super) fn passes(&self, metadata: &Metadata<'_>) -> bool {
        (self.debug || metadata.level() != Level::Debug) && self.levels.enabled(metadata)
    }
}
