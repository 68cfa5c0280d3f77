//! What may be wrong with a mapping. The texts begin as those of nats-server do.

use std::fmt;

/// Why something is no mapping. Prints as a line that names it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidMapping {
    /// No subject that may be subscribed to can be mapped from this.
    Source(String),
    /// Nothing can be mapped from the one to the other.
    Destination {
        /// The subject that was to be mapped.
        source: String,
        /// What it was to be mapped to.
        destination: String,
        /// What is wrong, and what to write.
        wrong: String,
    },
    /// A weight of more than 100.
    Weight(u8),
    /// The weights of the destinations of one subject are more than 100 together.
    TotalWeight {
        /// The subject.
        source: String,
    },
    /// One subject is mapped to another twice.
    Twice {
        /// The subject.
        source: String,
        /// The other.
        destination: String,
    },
}

impl fmt::Display for InvalidMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidMapping::Source(source) => {
                write!(f, "Subject {source:?} is not a valid subject")
            }
            InvalidMapping::Destination {
                source,
                destination,
                wrong,
            } => {
                write!(
                    f,
                    "Error adding mapping for {source:?} to {destination:?} : {wrong}"
                )
            }
            InvalidMapping::Weight(weight) => {
                write!(
                    f,
                    "Invalid weight {weight} for mapping destination; use 0 to 100"
                )
            }
            InvalidMapping::TotalWeight { source } => {
                write!(
                    f,
                    "Error adding mapping for {source:?} : total weight needs to be <= 100"
                )
            }
            InvalidMapping::Twice {
                source,
                destination,
            } => {
                write!(
                    f,
                    "Error adding mapping for {source:?} : duplicate entry for {destination:?}"
                )
            }
        }
    }
}

impl std::error::Error for InvalidMapping {}
