//! Whether a broker is there, and what it takes: its `INFO`, before anything is set up.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use midge_dial::{Address, Fault, Greeted, Server, greet};

use super::Error;
use crate::check::shown;

/// Connects, in the way that the load will, and hears what the broker says first.
///
/// # Errors
/// No peer answers at `addr`, or not as a broker does within `patience`.
pub(super) fn hear(server: &Server, addr: &Address, patience: Duration) -> Result<Greeted, Error> {
    greet(server, Some(Instant::now() + patience)).map_err(|fault| {
        let addr = addr.clone();
        let silent = |addr, error| Error::NoGreeting { addr, error };
        match fault {
            Fault::Connect(error) => Error::NoBroker { addr, error },
            Fault::Foreign(bytes) => silent(addr, format!("it sends {}", shown(&bytes))),
            Fault::Io(error) => silent(
                addr,
                match error.kind() {
                    ErrorKind::TimedOut => format!("silent for {} s", patience.as_secs_f64()),
                    ErrorKind::UnexpectedEof => "it closes the connection".to_owned(),
                    _ => error.to_string(),
                },
            ),
            Fault::Tls(_) | Fault::WebSocket(_) => Error::NoWay {
                addr,
                text: fault.to_string(),
            },
        }
    })
}
