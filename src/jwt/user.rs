//! What a token says of a user: what it may do, how much, from where and when.

use super::Permissions;
use serde::{Deserialize, Deserializer};

/// A user. A number that is missing is 0, and -1 is any number.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct User {
    /// What it may publish, and subscribe to.
    #[serde(flatten)]
    pub permissions: Permissions,
    /// Subscriptions of one connection.
    pub subs: i64,
    /// Bytes of one message.
    pub payload: i64,
    /// Nothing looks at it, here as in nats-server.
    pub data: i64,
    /// Networks from which it may come, each as `10.0.0.0/8`. None is all.
    #[serde(deserialize_with = "networks")]
    pub src: Vec<String>,
    /// When it may be connected. None is always.
    pub times: Vec<TimeRange>,
    /// The time zone of `times`, by its name. None is that of the server.
    pub times_location: String,
    /// Whether the token is enough, without a signature.
    pub bearer_token: bool,
    /// How it may be connected, by name. None is in any way.
    pub allowed_connection_types: Vec<String>,
    /// The account, if it is a signing key of that which has signed.
    pub issuer_account: String,
    /// Whether it has to come through a proxy that is trusted.
    pub proxy_required: bool,
}

/// A part of the day, as `08:00:00` to `17:00:00`. One that ends before it begins goes over midnight.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct TimeRange {
    /// Its first second.
    pub start: String,
    /// The second in which it is over.
    pub end: String,
}

impl User {
    /// Whether it says nothing of what it may do: as it must be where a scope says that.
    pub fn is_bare(&self) -> bool {
        let User {
            issuer_account: _,
            proxy_required: _,
            ..
        } = self;
        let nothing = User {
            issuer_account: self.issuer_account.clone(),
            proxy_required: self.proxy_required,
            ..User::default()
        };
        *self == nothing
    }
}

impl TimeRange {
    /// Its first second, in seconds since midnight; `None` if it is no time.
    pub fn starts(&self) -> Option<u32> {
        seconds(&self.start)
    }

    /// The second in which it is over, in seconds since midnight; `None` if it is no time.
    pub fn ends(&self) -> Option<u32> {
        seconds(&self.end)
    }
}

/// Reads `HH:MM:SS`.
fn seconds(text: &str) -> Option<u32> {
    let bytes = text.as_bytes();
    let (8, Some(b':'), Some(b':')) = (bytes.len(), bytes.get(2), bytes.get(5)) else {
        return None;
    };
    let part = |at: usize, max: u32| {
        let digits = text.get(at..at + 2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u32 = digits.parse().ok()?;
        (number < max).then_some(number)
    };
    Some(part(0, 24)? * 3600 + part(3, 60)? * 60 + part(6, 60)?)
}

/// A list, or one text with commas.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::List(list) => list,
        Written::Text(text) => {
            let each = text.split(',').map(str::trim);
            each.filter(|one| !one.is_empty())
                .map(str::to_owned)
                .collect()
        }
    })
}
