//! What a configuration needs to know its users by. Each of these makes it or shows it, and asks no broker.
//!
//! A secret comes by the terminal, by standard input or out of a file, never by the command line, which every process of
//! the machine may read. What holds one here is overwritten when it is dropped.
//!
//! * `input.rs`: how a secret comes in, and goes out.
//! * `passwd.rs`: the hash of a password.
//! * `nkey.rs`: a key for a user.

mod input;
pub(super) mod nkey;
pub(super) mod passwd;
