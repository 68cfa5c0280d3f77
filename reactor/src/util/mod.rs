//! Coordination: what EventMachine has for it, where plain closures and the shared state are not
//! enough.
//!
//! None of it is needed to serve connections. Handlers share [`Context::state`](crate::Context), and
//! to tell many connections something is a loop over their keys.
//!
//! * [`Reconnect`] keeps a connection up, with longer and longer waits between attempts.
//! * [`Relayed`] is the handler of a connection whose input goes to another: half of a proxy.
//! * [`Promise`] is a result that is not there yet; any number of closures wait for it.
//! * [`Queue`] hands items to closures that ask for one, in the order of asking.
//! * [`Sender`] carries values from other threads to the reactor, with a bound; made by
//!   [`Remote::channel`](crate::Remote::channel).

pub use channel::Sender;
pub use promise::Promise;
pub use queue::Queue;
pub use reconnect::{Attempt, Reconnect};
pub use relayed::Relayed;

mod channel;
mod promise;
mod queue;
mod reconnect;
mod relayed;
