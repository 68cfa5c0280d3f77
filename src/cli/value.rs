//! `Given`: the value of one flag, in the syntax that nats-server has from Go's `flag` package.

use super::{LogFormat, NumberFault, UsageError};
use crate::Config;
use midge_text::duration;
use std::ffi::{OsStr, OsString};
use std::iter::Peekable;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

const PORTS: &str = "1 to 65535, or -1 for any free port";
const HTTP_PORTS: &str = "1 to 65535, -1 for any free port, or 0 for none";
const MICROSECONDS: &str = "a number of microseconds, or a time such as 50us, 0 to 1s";
const LENGTHS: &str = "a number of bytes, or 0 for no limit";
const COUNTS: &str = "a number, or 0 for no limit";
const DURATIONS: &str = "a time such as 30s, 2m or 1m30s, or a number of seconds";
const FORMATS: &str = "text or json";

/// One known flag where it stands on the command line.
pub(super) struct Given<'a, A: Iterator> {
    pub(super) name: &'static str,
    /// What stood behind an `=`.
    pub(super) value: Option<OsString>,
    /// The words that follow.
    pub(super) args: &'a mut Peekable<A>,
    /// Whether the value was there and empty.
    pub(super) is_empty: bool,
}

impl<A: Iterator<Item = OsString>> Given<'_, A> {
    /// On, unless something else is said behind an `=` or, beyond nats-server, in the next word.
    pub(super) fn switch(&mut self) -> Result<bool, UsageError> {
        let is_value = |word: &OsString| word == "true" || word == "false";
        let value = self.value.take().or_else(|| self.args.next_if(is_value));
        let Some(value) = value else {
            return Ok(true);
        };
        boolean(&value).ok_or_else(|| UsageError::NotBoolean {
            name: self.name,
            value: value.to_string_lossy().into_owned(),
        })
    }

    /// The value, even if it looks like a flag: `-p -1`.
    pub(super) fn value(&mut self) -> Result<OsString, UsageError> {
        let value = self.value.take().or_else(|| self.args.next());
        let value = value.ok_or(UsageError::NoValue { name: self.name })?;
        self.is_empty = value.is_empty();
        Ok(value)
    }

    pub(super) fn text(&mut self) -> Result<String, UsageError> {
        let name = self.name;
        let text = self.value()?.into_string();
        text.map_err(|_| UsageError::NotText { name })
    }

    /// A text that says something.
    pub(super) fn some_text(&mut self) -> Result<Option<String>, UsageError> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()))
    }

    pub(super) fn file(&mut self) -> Result<Option<PathBuf>, UsageError> {
        let file = self.value()?;
        Ok((!file.is_empty()).then(|| file.into()))
    }

    /// In nats-server -1 is any free port, which sockets spell 0, and 0 is the default.
    pub(super) fn port(&mut self) -> Result<u16, UsageError> {
        self.number(PORTS, |number| match number {
            -1 => Some(0),
            0 => Some(Config::default().port),
            _ => u16::try_from(number).ok(),
        })
    }

    /// As a port, but 0 is none.
    pub(super) fn http_port(&mut self) -> Result<Option<u16>, UsageError> {
        self.number(HTTP_PORTS, |number| match number {
            -1 => Some(Some(0)),
            0 => Some(None),
            _ => u16::try_from(number).ok().map(Some),
        })
    }

    /// Nothing below zero is a limit either.
    pub(super) fn length(&mut self) -> Result<usize, UsageError> {
        self.number(LENGTHS, |number| usize::try_from(number.max(0)).ok())
    }

    pub(super) fn count(&mut self) -> Result<usize, UsageError> {
        self.number(COUNTS, |number| usize::try_from(number.max(0)).ok())
    }

    pub(super) fn duration(&mut self) -> Result<Duration, UsageError> {
        let name = self.name;
        let value = self.text()?;
        duration(&value).ok_or(UsageError::BadWord {
            name,
            value,
            allowed: DURATIONS,
        })
    }

    pub(super) fn log_format(&mut self) -> Result<Option<LogFormat>, UsageError> {
        let name = self.name;
        let value = self.text()?;
        match value.to_ascii_lowercase().as_str() {
            "" => Ok(None),
            "text" => Ok(Some(LogFormat::Text)),
            "json" => Ok(Some(LogFormat::Json)),
            _ => Err(UsageError::BadWord {
                name,
                value,
                allowed: FORMATS,
            }),
        }
    }

    /// A number without a unit is one of microseconds.
    pub(super) fn microseconds(&mut self) -> Result<Duration, UsageError> {
        let value = self.value()?.to_string_lossy().into_owned();
        let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        let time = match integer(&value) {
            Ok(number) => u64::try_from(number).map_err(|_| NumberFault::Range),
            Err(fault) if value.bytes().all(is_number) => Err(fault),
            Err(fault) => duration(&value)
                .ok_or(fault)
                .map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        };
        let in_range = |micros: &u64| *micros <= 1_000_000;
        time.and_then(|micros| Some(micros).filter(in_range).ok_or(NumberFault::Range))
            .map(Duration::from_micros)
            .map_err(|fault| UsageError::BadNumber {
                name: self.name,
                value,
                fault,
                allowed: MICROSECONDS,
            })
    }

    pub(super) fn number<T>(
        &mut self,
        allowed: &'static str,
        convert: impl Fn(i64) -> Option<T>,
    ) -> Result<T, UsageError> {
        let value = self.value()?.to_string_lossy().into_owned();
        let number = integer(&value);
        number
            .and_then(|number| convert(number).ok_or(NumberFault::Range))
            .map_err(|fault| UsageError::BadNumber {
                name: self.name,
                value,
                fault,
                allowed,
            })
    }
}

/// A truth value in any of Go's spellings.
fn boolean(value: &OsStr) -> Option<bool> {
    match value.as_bytes() {
        b"1" | b"t" | b"T" | b"true" | b"True" | b"TRUE" => Some(true),
        b"0" | b"f" | b"F" | b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number in Go's syntax.
///
/// Shape: a sign or none, then `0x`, `0o` or `0`, `0b` or nothing for base 16, 8, 2 or 10, then
/// digits; one underscore may stand between two digits, or between the prefix and a digit.
pub(super) fn integer(text: &str) -> Result<i64, NumberFault> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', digits @ ..] if !digits.is_empty() => (16, digits),
        [b'0', b'o' | b'O', digits @ ..] if !digits.is_empty() => (8, digits),
        [b'0', b'b' | b'B', digits @ ..] if !digits.is_empty() => (2, digits),
        [b'0', digits @ ..] => (8, digits),
        digits => (10, digits),
    };
    let mut number: i128 = 0;
    let mut after_digit = radix != 10;
    for &byte in digits {
        if byte == b'_' && after_digit {
            after_digit = false;
            continue;
        }
        let digit = char::from(byte).to_digit(radix);
        number = number * i128::from(radix) + i128::from(digit.ok_or(NumberFault::Syntax)?);
        if number > i128::from(u64::MAX) {
            return Err(NumberFault::Range);
        }
        after_digit = true;
    }
    if !after_digit {
        return Err(NumberFault::Syntax);
    }
    i64::try_from(sign * number).map_err(|_| NumberFault::Range)
}
