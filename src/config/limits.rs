//! What all clients of one address, and all of one user, may have together.

use super::Network;
use std::fmt;
use std::net::IpAddr;

/// What some clients may have together: those of one address, or those of one user.
///
/// The limits of a rate have a burst of one second: who was silent for that long may send as much at once.
///
/// ```
/// let limits = midge::Limits { messages_per_second_max: Some(1000), ..midge::Limits::default() };
/// let config = midge::Config { user_limits: limits, ..midge::Config::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Most connections at once (`max_connections`). Default: no limit. One more is told so and closed.
    pub connections_max: Option<usize>,
    /// Most new connections in a second (`connections_per_second`). Default: no limit. One more is told so and
    /// closed.
    pub connections_per_second_max: Option<u64>,
    /// Most messages published in a second (`messages_per_second`). Default: no limit.
    pub messages_per_second_max: Option<u64>,
    /// Most bytes sent to the broker in a second, control lines included (`bytes_per_second`). Default: no limit.
    pub bytes_per_second_max: Option<u64>,
    /// Most subscriptions at once (`max_subscriptions`). Default: no limit. One more is refused.
    pub subscriptions_max: Option<usize>,
    /// Most bytes of headers and payload in one message (`max_payload`), where that is less than
    /// [`Config::payload_bytes_max`](crate::Config::payload_bytes_max). Default: no limit of its own.
    pub payload_bytes_max: Option<usize>,
    /// What becomes of a client that sends more messages or bytes in a second (`exceeded`). Default: it is slowed
    /// down.
    pub exceeded: Exceeded,
}

/// What becomes of a client that sends more in a second than it may.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Exceeded {
    /// It is not read until it may send again (`slow`). Nothing is lost.
    #[default]
    Slow,
    /// Its messages are dropped, and it is told so once a second (`error`).
    Error,
    /// It is told so and closed (`disconnect`).
    Disconnect,
}

impl Exceeded {
    /// All there are.
    pub const ALL: [Exceeded; 3] = [Exceeded::Slow, Exceeded::Error, Exceeded::Disconnect];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Exceeded::Slow => "slow",
            Exceeded::Error => "error",
            Exceeded::Disconnect => "disconnect",
        }
    }

    /// The one of this name, in any letter case.
    pub fn named(name: &str) -> Option<Exceeded> {
        let mut all = Exceeded::ALL.into_iter();
        all.find(|one| one.name().eq_ignore_ascii_case(name))
    }
}

/// What the clients of each address may have together, and of which addresses they may have anything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddressLimits {
    /// What those of one address may have.
    pub limits: Limits,
    /// Networks whose addresses have no such limits (`except`). Default: none.
    pub except: Vec<Network>,
}

impl Limits {
    /// Each by its name in a file, if it is set.
    pub(crate) fn each(&self) -> [(&'static str, Option<u64>); 6] {
        let number = |limit: Option<usize>| limit.map(|limit| limit as u64);
        [
            ("max_connections", number(self.connections_max)),
            ("connections_per_second", self.connections_per_second_max),
            ("messages_per_second", self.messages_per_second_max),
            ("bytes_per_second", self.bytes_per_second_max),
            ("max_subscriptions", number(self.subscriptions_max)),
            ("max_payload", number(self.payload_bytes_max)),
        ]
    }

    /// Whether anything is limited.
    pub(crate) fn is_any(&self) -> bool {
        self.each().iter().any(|(_, limit)| limit.is_some())
    }

    /// The first limit with which nothing would be possible, by its name.
    pub(crate) fn zero(&self) -> Option<&'static str> {
        let mut each = self.each().into_iter();
        each.find(|(_, limit)| *limit == Some(0))
            .map(|(name, _)| name)
    }
}

impl AddressLimits {
    /// Whether clients from there are limited.
    pub(crate) fn bind(&self, address: IpAddr) -> bool {
        self.limits.is_any() && !self.except.iter().any(|network| network.has(address))
    }
}

impl fmt::Display for Limits {
    /// As it stands in a file; `none` without any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_any() {
            return f.write_str("none");
        }
        f.write_str("{")?;
        for (name, limit) in self.each() {
            if let Some(limit) = limit {
                write!(f, "{name}: {limit}, ")?;
            }
        }
        write!(f, "exceeded: {}}}", self.exceeded.name())
    }
}

impl fmt::Display for AddressLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.limits)?;
        if self.limits.is_any() && !self.except.is_empty() {
            let except: Vec<String> = self.except.iter().map(ToString::to_string).collect();
            write!(f, " except [{}]", except.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shown_as_they_are_written() {
        let mut terms = AddressLimits::default();
        assert_eq!(terms.to_string(), "none");
        terms.limits.connections_max = Some(7);
        terms.limits.exceeded = Exceeded::Error;
        terms.except = vec![Network::parse("127.0.0.0/8").expect("it is a network")];
        let shown = "{max_connections: 7, exceeded: error} except [127.0.0.0/8]";
        assert_eq!(terms.to_string(), shown);
    }

    #[test]
    fn an_excepted_network_is_not_limited_in_whatever_form_its_address_comes() {
        let terms = AddressLimits {
            limits: Limits {
                connections_max: Some(1),
                ..Limits::default()
            },
            except: vec![Network::parse("10.0.0.0/8").expect("it is a network")],
        };
        for (address, bound) in [
            ("10.1.2.3", false),
            ("::ffff:10.1.2.3", false),
            ("11.1.2.3", true),
            ("fd00::1", true),
        ] {
            assert_eq!(
                terms.bind(address.parse().expect("one")),
                bound,
                "{address}"
            );
        }
        let none = AddressLimits::default();
        assert!(!none.bind("11.1.2.3".parse().expect("one")));
    }
}
