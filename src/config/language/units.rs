//! What a bare word is: a truth value, a number with or without a unit of size, or just text.
//!
//! ```text
//! true yes on   false no off    truth values, in any case
//! 4222  -1                      whole numbers of 64 bits
//! 3k 3m 3g 3t 3p 3e             times 1000, once, twice ... in any case
//! 3kb 3ki 3kib, 3mb ...         times 1024, likewise
//! 1.5  -0.25                    numbers with a point
//! 50s  2h  1e3  0x10  1.5k      text, as is everything else
//! ```
//!
//! nats-server stops at words that begin like a number and go on otherwise (`1.5k`, `1234-abcd`,
//! `.5`, `-x`), or loses them (`1kbb`). Here they are text: a password may look like that, and an
//! option that wants a number refuses them by name.

use super::values::Kind;

/// What a bare word is. Never a list or a map.
pub fn kind(word: &str) -> Kind {
    if let Some(value) = truth(word) {
        return Kind::Bool(value);
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    if len == 0 {
        return Kind::Text;
    }
    let (number, suffix) = word.split_at(word.len() - digits.len() + len);
    if let Some(decimals) = suffix.strip_prefix('.')
        && !decimals.is_empty()
        && decimals.bytes().all(|byte| byte.is_ascii_digit())
    {
        return word.parse().map_or(Kind::Text, Kind::Float);
    }
    let Some(factor) = factor(suffix) else {
        return Kind::Text;
    };
    let number = number.parse::<i64>().ok();
    let product = number.and_then(|number| number.checked_mul(factor));
    product.map_or(Kind::TooLarge, Kind::Integer)
}

/// A truth value in any of its spellings and any case.
pub fn truth(word: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 3]| words.iter().any(|other| other.eq_ignore_ascii_case(word));
    if is_one_of(["true", "yes", "on"]) {
        Some(true)
    } else if is_one_of(["false", "no", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// What a suffix multiplies by.
fn factor(suffix: &str) -> Option<i64> {
    let Some(&letter) = suffix.as_bytes().first() else {
        return Some(1);
    };
    let power = b"kmgtpe"
        .iter()
        .position(|unit| letter.eq_ignore_ascii_case(unit))?;
    let base: i64 = match &suffix[1..] {
        "" => 1000,
        unit if ["b", "i", "ib"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(unit)) =>
        {
            1024
        }
        _ => return None,
    };
    Some(base.pow(power as u32 + 1))
}
