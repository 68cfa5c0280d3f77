//! Durations in flags.

use std::time::Duration;

/// Longest time that a flag takes: 30 years. A clock can be read and that much be added to it.
const DURATION_MAX: Duration = Duration::from_secs(1_000_000_000);

/// A time as every flag takes it: `5`, `0.5` in seconds, `5s`, `500ms`, `2m`, `1m30s`. `None` if it is
/// written otherwise, below zero, or longer than 30 years.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(midge_text::duration("1m30s"), Some(Duration::from_secs(90)));
/// ```
pub fn duration(text: &str) -> Option<Duration> {
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let duration = if is_number {
        Duration::try_from_secs_f64(text.parse().ok()?).ok()?
    } else {
        text.parse::<jiff::SignedDuration>().ok()?.try_into().ok()?
    };
    (duration <= DURATION_MAX).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_of_seconds_or_has_units() {
        for (text, millis) in [
            ("5", 5_000),
            ("0", 0),
            ("0.5", 500),
            (".5", 500),
            ("5s", 5_000),
            ("0s", 0),
            ("500ms", 500),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("1000000000", 1_000_000_000_000),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "",
            ".",
            "1.2.3",
            "-1",
            "-1s",
            "x",
            "5x",
            "s",
            "inf",
            "NaN",
            "1e3",
            "5 5",
            "1000000001",
            "9999999999999h",
            "99999999999999999999999",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
