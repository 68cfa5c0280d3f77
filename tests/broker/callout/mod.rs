//! Authorization callouts: a service in the test decides who clients are.
//!
//! * `service`: the service, and what it is asked; `settings`: by the settings; `operators`: by the JWT of an account;
//!   `pushed`: by one that is another meanwhile; `reference`: the same of a nats-server

mod operators;
mod pushed;
mod reference;
mod service;
mod settings;
