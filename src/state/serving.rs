//! `Serve`: what answers requests to the broker itself.
//!
//! A client brings them, and monitoring knows the answers. Neither room enters the other, so the one leaves the other's
//! function here.

use crate::state::State;
use midge_reactor::Context;

/// Answers what waits in [`Requests`](crate::core::requests::Requests), and tells what waits in
/// [`Events`](crate::state::events::Events).
pub(crate) type Serve = fn(&mut Context<'_, State>);
