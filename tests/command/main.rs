//! Promises of the command `midge`: each test runs the real binary, in a process of its own.

#[cfg(feature = "bench")]
#[path = "../support/faulty.rs"]
mod faulty;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../../src/jwt/fixtures.rs"]
mod tokens;

mod cli;
mod command_line;
mod config;
mod kept_accounts;

mod lame_duck;
mod log;
mod memory_given_back;
mod operate;
mod reload;
mod signals;
mod syslog;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "bench")]
mod bench;
#[cfg(all(feature = "bench", feature = "tls", feature = "tools"))]
mod dial;
#[cfg(all(feature = "bench", feature = "tools"))]
mod dist;
#[cfg(feature = "tools")]
mod secrets;
#[cfg(feature = "tools")]
mod tools;
