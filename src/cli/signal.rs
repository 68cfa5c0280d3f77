//! `--signal`: what is to be sent, and to whom. Pure; the command finds the process.

use std::error::Error;
use std::fmt;

/// A signal, by what it makes a broker do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGKILL: end at once.
    Stop,
    /// SIGINT: end in good order, with code 0.
    Quit,
    /// SIGTERM: end in good order.
    Term,
    /// SIGUSR1: open the log file again.
    Reopen,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR2: lame duck mode.
    LameDuck,
}

/// Who gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SignalTarget {
    /// The only broker there is.
    Only,
    /// This process, by its id or by its pid file.
    Process(String),
    /// All brokers whose process id begins so.
    All(String),
}

/// What `--signal` asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignalRequest {
    /// What to send.
    pub signal: Signal,
    /// To whom.
    pub target: SignalTarget,
}

/// Why the value of `--signal` cannot be understood.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignalError {
    /// No such command.
    Unknown(String),
    /// More than a command and a process.
    Parameters(Vec<String>),
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignalError::Unknown(command) => write!(
                f,
                "unknown signal {command:?}; use stop, quit, term, reopen, reload or ldm"
            ),
            SignalError::Parameters(words) => write!(
                f,
                "invalid signal parameters: [{}]; write CMD or CMD=PID",
                words.join(" ")
            ),
        }
    }
}

impl Error for SignalError {}

impl SignalRequest {
    /// Reads `CMD`, `CMD=PID`, `CMD=FILE`, `CMD=*` or `CMD=12*`.
    ///
    /// # Errors
    /// See [`SignalError`].
    pub(super) fn parse(value: &str) -> Result<SignalRequest, SignalError> {
        let mut words = value.split('=');
        let command = words.next().unwrap_or_default();
        let process = words.next().unwrap_or_default();
        let more: Vec<String> = words.map(str::to_owned).collect();
        if !more.is_empty() {
            return Err(SignalError::Parameters(more));
        }
        let signal = match command {
            "stop" => Signal::Stop,
            "quit" => Signal::Quit,
            "term" => Signal::Term,
            "reopen" => Signal::Reopen,
            "reload" => Signal::Reload,
            "ldm" => Signal::LameDuck,
            _ => return Err(SignalError::Unknown(command.to_owned())),
        };
        let target = match process.strip_suffix('*') {
            Some(beginning) => SignalTarget::All(beginning.to_owned()),
            None if process.is_empty() => SignalTarget::Only,
            None => SignalTarget::Process(process.to_owned()),
        };
        Ok(SignalRequest { signal, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_stands_alone_or_with_a_process() {
        let process = |text: &str| SignalTarget::Process(text.to_owned());
        let all = |text: &str| SignalTarget::All(text.to_owned());
        for (value, signal, target) in [
            ("stop", Signal::Stop, SignalTarget::Only),
            ("quit=", Signal::Quit, SignalTarget::Only),
            ("term=12", Signal::Term, process("12")),
            ("reopen=/run/m.pid", Signal::Reopen, process("/run/m.pid")),
            ("reload=*", Signal::Reload, all("")),
            ("ldm=12*", Signal::LameDuck, all("12")),
        ] {
            let request = SignalRequest { signal, target };
            assert_eq!(SignalRequest::parse(value), Ok(request));
        }
    }

    #[test]
    fn everything_else_is_named() {
        for (value, text) in [
            ("bogus", "unknown signal \"bogus\"; "),
            ("=1", "unknown signal \"\"; "),
            ("stop=1=2=3", "invalid signal parameters: [2 3]; "),
        ] {
            let error = SignalRequest::parse(value).expect_err(value).to_string();
            assert!(error.starts_with(text), "{error}");
        }
    }
}
