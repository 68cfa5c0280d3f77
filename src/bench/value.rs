//! Values of flags: counts, bytes and seconds, with units. What makes no sense is refused here, since
//! then the message names the flag.

/// A number of bytes: digits and a unit. `k` and `KiB` are both 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    scaled(text, 1024).ok_or_else(|| "write bytes as 16, 1k, 64KiB or 1MiB".to_owned())
}

/// Bytes a second at which somebody reads.
pub(crate) fn read_rate(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        0 => Err("write 1 or more; --stalled is for those that read nothing".to_owned()),
        rate => Ok(rate),
    }
}

/// A count: digits and perhaps `k`, `M` or `G`, in thousands. May be 0.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    thousands(text).map(|count| count as usize)
}

/// A count of things without which there is nothing to measure.
pub(crate) fn some(text: &str) -> Result<usize, String> {
    number(text).map(|count| count as usize)
}

/// A count of subscribers.
pub(crate) fn subscribers(text: &str) -> Result<usize, String> {
    match count(text)? {
        0 => {
            Err("write 1 or more; \"midge bench pub\" is for messages that nobody wants".to_owned())
        }
        count => Ok(count),
    }
}

/// A number above 0.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    match thousands(text)? {
        0 => Err("write 1 or more".to_owned()),
        number => Ok(number),
    }
}

/// So many a second.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    match thousands(text)? {
        0 => Err("write 1 or more, or leave it out".to_owned()),
        rate => Ok(rate),
    }
}

/// Seconds, which may be 0.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.strip_suffix('s').unwrap_or(text).parse::<f64>() {
        Ok(seconds) if (0.0..1e9).contains(&seconds) => Ok(seconds),
        _ => Err("write seconds as 2, 0.5 or 10s".to_owned()),
    }
}

/// Seconds above 0, to the millisecond.
pub(crate) fn some_seconds(text: &str) -> Result<f64, String> {
    match seconds(text)? {
        seconds if seconds < 1e-3 => Err("write 0.001 or more".to_owned()),
        seconds => Ok(seconds),
    }
}

fn thousands(text: &str) -> Result<u64, String> {
    scaled(text, 1000).ok_or_else(|| "write a count as 100000, 100k or 1.5M".to_owned())
}

fn scaled(text: &str, base: u64) -> Option<u64> {
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    let end = text.find(|c| !is_digit(c)).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = match base {
        1024 => unit
            .strip_suffix("ib")
            .or(unit.strip_suffix('b'))
            .unwrap_or(&unit),
        _ => &unit,
    };
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    let number = number * base.pow(power) as f64;
    (number < 1e15).then_some(number as u64)
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
        for bad in ["", "x", "1x", "-1", "1 2", "9999999G"] {
            assert!(bytes(bad).is_err() && count(bad).is_err(), "{bad}");
        }
        for bad in ["", "-1", "x", "1m", "inf", "NaN", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_refused_where_it_makes_no_sense() {
        let told = [
            number("0").expect_err("no messages"),
            number("0.4").expect_err("less than one message"),
            rate("0k").expect_err("a rate of nothing"),
            some("0").expect_err("no connection"),
            subscribers("0").expect_err("no subscriber"),
            read_rate("0").expect_err("never reads"),
            some_seconds("0").expect_err("no time"),
        ];
        for text in told {
            assert!(text.contains("or more"), "{text}");
        }
    }
}
