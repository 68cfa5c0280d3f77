//! `About`: what is told of a client to accounts that it is to be known to.
//!
//! An account that imports with `share` tells who of its clients asks, and a service that is measured tells who has
//! answered. Delivery knows no names. So the clients of such an account, and of no other one, leave here what is told of
//! them, when they log in or when their account becomes one.

use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::sublist::ReceiverId;

/// What is told of a client beside its account and its round trip: the fields of a JSON object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct About {
    /// Before the account, with a comma at the end.
    pub first: Box<str>,
    /// Behind it, each with a comma before it.
    pub middle: Box<str>,
    /// Behind the round trip.
    pub last: Box<str>,
}

impl About {
    pub(super) fn parts(&self) -> [&str; 3] {
        [&self.first, &self.middle, &self.last]
    }
}

impl Core {
    /// Whether something is told of the clients of an account.
    #[inline]
    pub(crate) fn tells_of_clients(&self, account: AccountId) -> bool {
        let border = self.accounts[account].border.as_ref();
        border.is_some_and(|border| border.told > 0)
    }

    /// This is told of a client from here on.
    pub(crate) fn set_about(&mut self, client: ReceiverId, about: About) {
        self.imports.about.insert(client, Box::new(about));
    }

    /// A receiver has gone.
    #[inline]
    pub(in crate::core) fn forget_about(&mut self, receiver: ReceiverId) {
        if !self.imports.about.is_empty() {
            self.imports.about.remove(&receiver);
        }
    }
}
