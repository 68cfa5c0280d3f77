//! What reading a configuration has to tell.

use crate::config::language::{Error, Position};
use std::fmt;

/// All that was found in a configuration, besides its settings.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// With any of these nothing is started.
    pub errors: Vec<Error>,
    /// A broker starts with these, and says so; `-t` takes them for errors, as nats-server does.
    pub warnings: Vec<Error>,
    /// What is accepted and does nothing here. Never an error.
    pub notices: Vec<Error>,
}

impl Report {
    pub(crate) fn error(&mut self, at: &Position, text: impl Into<String>) {
        self.errors.push(Error::new(at, text));
    }

    pub(crate) fn warning(&mut self, at: &Position, text: impl Into<String>) {
        self.warnings.push(Error::new(at, text));
    }

    pub(crate) fn notice(&mut self, at: &Position, text: impl Into<String>) {
        self.notices.push(Error::new(at, text));
    }
}

/// Why a configuration cannot be used. Prints as one line for each thing that is wrong.
#[derive(Clone, Debug)]
pub struct Refused(pub Vec<Error>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Refused {}
