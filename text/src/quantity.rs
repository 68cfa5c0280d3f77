//! Counts and sizes in flags: digits and a unit.

/// A count: digits and perhaps `k`, `M` or `G`, in thousands.
///
/// # Errors
/// How to write one.
pub fn count(text: &str) -> Result<u64, String> {
    scaled(text, 1000).ok_or_else(|| "write a count as 100000, 100k or 1.5M".to_owned())
}

/// A count of things without which there is nothing to do.
///
/// # Errors
/// How to write one, if it is 0 too.
pub fn some(text: &str) -> Result<u64, String> {
    match count(text)? {
        0 => Err("write 1 or more".to_owned()),
        number => Ok(number),
    }
}

/// A number of bytes. `k` and `KiB` are both 1024.
///
/// # Errors
/// How to write one.
pub fn bytes(text: &str) -> Result<u64, String> {
    scaled(text, 1024).ok_or_else(|| "write bytes as 16, 1k, 64KiB or 1MiB".to_owned())
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

/// A number of a thing: `1 round`, `3 rounds`.
pub fn plural(count: u64, thing: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_no_s() {
        assert_eq!(plural(0, "message"), "0 messages");
        assert_eq!(plural(1, "message"), "1 message");
        assert_eq!(plural(2, "message"), "2 messages");
    }
}
