//! Values of flags: counts, bytes and seconds, with units. What makes no sense is refused here, since
//! then the message names the flag.

pub(crate) use midge_text::quantity::{bytes, some as number};
use midge_text::{duration, quantity};

/// Bytes per second at which a subscriber reads.
pub(crate) fn read_rate(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        0 => Err("write 1 or more; --stalled is for those that read nothing".to_owned()),
        rate => Ok(rate),
    }
}

/// A count: digits and perhaps `k`, `M` or `G`, in thousands. May be 0.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    quantity::count(text).map(|count| count as usize)
}

/// A count of things without which there is nothing to measure.
pub(crate) fn some(text: &str) -> Result<usize, String> {
    number(text).map(|count| count as usize)
}

/// A count of subscribers.
pub(crate) fn subscribers(text: &str) -> Result<usize, String> {
    match count(text)? {
        0 => Err(
            "write 1 or more; \"midge bench pub\" is for messages without a subscriber".to_owned(),
        ),
        count => Ok(count),
    }
}

/// A number per second.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    match quantity::count(text)? {
        0 => Err("write 1 or more, or leave it out".to_owned()),
        rate => Ok(rate),
    }
}

/// Seconds, which may be 0.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let time = duration(text).ok_or("write a time as 2, 10s, 500ms or 1m30s")?;
    Ok(time.as_secs_f64())
}

/// Seconds above 0, to the millisecond.
pub(crate) fn some_seconds(text: &str) -> Result<f64, String> {
    match seconds(text)? {
        seconds if seconds < 1e-3 => Err("write 0.001 or more".to_owned()),
        seconds => Ok(seconds),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Sizes as they are written, and in bytes.
    pub(in super::super) const SIZES: [(&str, u64); 6] = [
        ("0", 0),
        ("16", 16),
        ("1k", 1024),
        ("64KiB", 65536),
        ("1MiB", 1 << 20),
        ("1.5k", 1536),
    ];

    #[test]
    fn numbers_have_units() {
        for (text, size) in SIZES {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        assert_eq!(number("1.5M"), Ok(1_500_000));
        assert_eq!(count("0"), Ok(0));
        assert_eq!(seconds("0.5"), Ok(0.5));
        assert_eq!(some_seconds("10s"), Ok(10.0));
        assert_eq!(some_seconds("500ms"), Ok(0.5));
        assert_eq!(seconds("1m"), Ok(60.0));
        for bad in ["", "x", "1x", "-1", "1 2", "9999999G"] {
            assert!(bytes(bad).is_err() && count(bad).is_err(), "{bad}");
        }
        for bad in ["", "-1", "x", "1x", "inf", "NaN", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_refused_where_it_makes_no_sense() {
        let errors = [
            number("0").expect_err("no messages"),
            number("0.4").expect_err("less than one message"),
            rate("0k").expect_err("a rate of nothing"),
            some("0").expect_err("no connection"),
            subscribers("0").expect_err("no subscriber"),
            read_rate("0").expect_err("never reads"),
            some_seconds("0").expect_err("no time"),
        ];
        for text in errors {
            assert!(text.contains("or more"), "{text}");
        }
    }
}
