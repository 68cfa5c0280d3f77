//! What may be published and subscribed to, as claims have it.

use serde::Deserialize;

/// What a user may publish, and subscribe to.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Permissions {
    /// What it may publish.
    #[serde(rename = "pub")]
    pub publish: Lists,
    /// What it may subscribe to; `subject queue` is for members of that queue group.
    #[serde(rename = "sub")]
    pub subscribe: Lists,
    /// Which responses it may publish whatever else is said.
    #[serde(rename = "resp")]
    pub responses: Option<Responses>,
}

/// Subjects that are allowed, and of those which are denied. No allowed one is all.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Lists {
    /// What is allowed; if this is empty, everything.
    pub allow: Vec<String>,
    /// What is denied all the same.
    pub deny: Vec<String>,
}

/// Responses: how many, and for how long.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Responses {
    /// How many to each message; 0 is one, fewer than that any number.
    pub max: i64,
    /// Nanoseconds; 0 is two minutes, less than that for ever.
    pub ttl: i64,
}
