//! Durations as Go writes them: `300ms`, `2m`, `1m30s`, `1.5h`, `-5s`.
//!
//! ```text
//! [sign] (number [. digits] unit)+     unit: ns us µs ms s m h;   or just "0"
//! ```
//!
//! The crates for durations read other texts and refuse with other words.

use std::time::Duration;

/// Nanoseconds in `text`, which is at most 292 years.
///
/// # Errors
/// The words of Go's `time.ParseDuration`.
#[cfg(any(feature = "command", test))]
pub(crate) fn nanoseconds(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut sum: i128 = 0;
    while !rest.is_empty() {
        let end = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, behind) = rest.split_at(end(rest));
        let (decimals, behind) = match behind.strip_prefix('.') {
            Some(behind) => behind.split_at(end(behind)),
            None => ("", behind),
        };
        if whole.is_empty() && decimals.is_empty() {
            return Err(invalid());
        }
        let len = behind.find(|letter: char| letter == '.' || letter.is_ascii_digit());
        let (unit, behind) = behind.split_at(len.unwrap_or(behind.len()));
        let each: i128 = match unit {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => {
                return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
            }
        };
        if whole.len() > 19 {
            return Err(invalid());
        }
        sum += whole.parse::<i128>().unwrap_or(0) * each;
        let mut part = each;
        for digit in decimals.bytes() {
            part /= 10;
            sum += i128::from(digit - b'0') * part;
        }
        if sum > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = behind;
    }
    i64::try_from(if negative { -sum } else { sum }).map_err(|_| invalid())
}

/// A duration as Go prints it: `2m0s`, `1.5s`, `300ms`, `0s`.
pub(crate) fn show(time: Duration) -> String {
    let (hours, seconds) = (time.as_secs() / 3600, time.as_secs() % 3600);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let nanoseconds = time.subsec_nanos();
    if time.as_secs() == 0 && nanoseconds > 0 {
        return match nanoseconds {
            0..1_000 => format!("{nanoseconds}ns"),
            1_000..1_000_000 => format!("{}µs", decimal(nanoseconds, 1_000)),
            _ => format!("{}ms", decimal(nanoseconds, 1_000_000)),
        };
    }
    let mut text = String::new();
    if hours > 0 {
        text = format!("{hours}h");
    }
    if hours > 0 || minutes > 0 {
        text = format!("{text}{minutes}m");
    }
    let part = decimal(nanoseconds, 1_000_000_000);
    let part = part.strip_prefix('0').unwrap_or_default();
    format!("{text}{seconds}{part}s")
}

/// `number / unit`, with as many digits behind the point as it takes.
fn decimal(number: u32, unit: u32) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", number / unit, number % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{nanoseconds, show};
    use std::time::Duration;

    #[test]
    fn durations_are_printed_as_go_does() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (120_000_000_000, "2m0s"),
            (10_000_000_000, "10s"),
            (1_500_000_000, "1.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (60_500_000_000, "1m0.5s"),
            (1, "1ns"),
            (999, "999ns"),
            (1_000, "1µs"),
            (100_000, "100µs"),
            (798_500, "798.5µs"),
            (1_405_645, "1.405645ms"),
            (300_000_000, "300ms"),
            (1_250_000, "1.25ms"),
            (7, "7ns"),
        ] {
            assert_eq!(show(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in [
            ("0", 0),
            ("300ms", 300_000_000),
            ("2m", 120_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("-5s", -5_000_000_000),
            ("+5s", 5_000_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("1µs", 1000),
        ] {
            assert_eq!(nanoseconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_are_those_of_go() {
        for (text, expected) in [
            ("", "time: invalid duration \"\""),
            ("x", "time: invalid duration \"x\""),
            ("-", "time: invalid duration \"-\""),
            ("5", "time: missing unit in duration \"5\""),
            ("30x", "time: unknown unit \"x\" in duration \"30x\""),
            ("1m30", "time: missing unit in duration \"1m30\""),
            ("2 m", "time: unknown unit \" m\" in duration \"2 m\""),
            ("1.2.3s", "time: missing unit in duration \"1.2.3s\""),
            ("99999999h", "time: invalid duration \"99999999h\""),
        ] {
            assert_eq!(nanoseconds(text), Err(expected.to_owned()), "{text}");
        }
    }
}
