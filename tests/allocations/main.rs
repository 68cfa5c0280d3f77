//! What is allocated: linking the counting allocator makes it that of the whole process, so these tests
//! are a program of their own.

#[path = "../support/raw.rs"]
mod raw;

mod messages;
mod subscriptions;
