//! Authorization callouts: a service in the test decides who clients are.
//!
//! * `service`: the service, and what it is asked; `settings`: by the settings; `operators`: by the JWT of an account;
//!   `pushed`: by one that is another meanwhile

mod operators;
mod pushed;
mod service;
mod settings;
