//! `Origin`: where a message came from, and so who may get it and who waits.
//!
//! ```text
//! from │ to    client   route   spoke   hub   account
//! client       yes      yes     yes     yes   yes
//! broker       yes      yes     yes     yes   yes
//! stream       yes      no      no      no    no        what an account imports it does not hand on
//! route        yes      no      yes     no    yes       a message crosses one route at most
//! spoke        yes      yes     yes     yes   yes       but never goes back where it came from
//! hub          yes      no      yes     yes   yes       likewise
//! ```
//!
//! A spoke is a leaf node that has connected to this broker, a hub a broker to which this one has
//! connected as a leaf node. What the broker itself says is handed on as if a client had. A stream is what an account
//! imports from another one.

use crate::core::accounts::AccountId;
use crate::core::sublist::ReceiverId;

/// What a connection is among brokers and clients.
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "only clients connect as yet; the table is held to by a test"
    )
)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Client,
    /// A part of this broker.
    Broker,
    /// Another account, of which a stream is imported.
    Stream,
    Route,
    Spoke,
    Hub,
}

impl Role {
    /// Whether what came from such a connection may be handed on to another one that is a `to`.
    #[inline(always)]
    pub(crate) const fn hands_on_to(self, to: Role) -> bool {
        match (self, to) {
            (_, Role::Client | Role::Broker) => true,
            (Role::Stream, _) => false,
            (_, Role::Stream) => true,
            (_, Role::Spoke) => true,
            (Role::Client | Role::Broker | Role::Spoke, Role::Route | Role::Hub) => true,
            (Role::Hub, Role::Hub) => true,
            (Role::Route, Role::Route | Role::Hub) | (Role::Hub, Role::Route) => false,
        }
    }

    /// Whether such a connection is not read while a receiver of its messages is far behind. What comes
    /// from another broker is that of all its clients, who must not wait for one slow subscriber; and the broker itself
    /// never waits.
    #[inline]
    pub(crate) const fn is_held(self) -> bool {
        match self {
            Role::Client => true,
            Role::Stream | Role::Broker | Role::Route | Role::Spoke | Role::Hub => false,
        }
    }
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    /// The receiver that is the other direction of the same connection.
    pub receiver: ReceiverId,
    pub role: Role,
    /// The account in which it was published, or has come to.
    pub account: AccountId,
    /// How many accounts it has come from.
    pub crossed: u8,
    /// Whether it [waits](Role::is_held) for receivers that are far behind, also where it has crossed.
    pub is_held: bool,
    /// Whether the accounts that it has come from tell who has published it.
    pub is_told: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 5] = [
        Role::Client,
        Role::Stream,
        Role::Route,
        Role::Spoke,
        Role::Hub,
    ];

    #[test]
    fn a_message_crosses_one_route_and_comes_back_from_no_hub_to_the_cluster() {
        let table = ROLES.map(|from| ROLES.map(|to| from.hands_on_to(to)));
        assert_eq!(
            table,
            [
                [true, true, true, true, true],
                [true, false, false, false, false],
                [true, true, false, true, false],
                [true, true, true, true, true],
                [true, true, false, true, true],
            ]
        );
    }

    #[test]
    fn only_a_client_is_held() {
        assert_eq!(ROLES.map(Role::is_held), [true, false, false, false, false]);
    }
}
