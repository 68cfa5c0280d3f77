//! Peer bytes in double quotes, in the escaping of Go's `%q`, which clients undo.
//!
//! ```text
//! "  \            \"  \\
//! BEL BS FF ...   \a  \b  \f  \n  \r  \t  \v
//! other ASCII     \x00 .. \x1f, \x7f
//! not UTF-8       \xff, byte by byte
//! not printable   \u200b, \U000e0001
//! all else        itself
//! ```

use crate::encode::Sink;

/// Appends `bytes` in double quotes. What is appended is UTF-8, each piece of it too.
pub(crate) fn put(out: &mut impl Sink, bytes: &[u8]) {
    out.put(b"\"");
    put_bare(out, bytes);
    out.put(b"\"");
}

/// As [`put`], without the quotes.
pub(crate) fn put_bare(out: &mut impl Sink, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            put_char(out, c);
        }
        for &byte in chunk.invalid() {
            put_hex(out, b'x', u32::from(byte), 2);
        }
    }
}

fn put_char(out: &mut impl Sink, c: char) {
    match c {
        '"' => out.put(b"\\\""),
        '\\' => out.put(b"\\\\"),
        '\x07' => out.put(b"\\a"),
        '\x08' => out.put(b"\\b"),
        '\x0c' => out.put(b"\\f"),
        '\n' => out.put(b"\\n"),
        '\r' => out.put(b"\\r"),
        '\t' => out.put(b"\\t"),
        '\x0b' => out.put(b"\\v"),
        '\0'..='\x1f' | '\x7f' => put_hex(out, b'x', u32::from(c), 2),
        ' '..='~' => out.put(&[c as u8]),
        c if is_printable(c) => out.put(c.encode_utf8(&mut [0; 4]).as_bytes()),
        '\0'..='\u{ffff}' => put_hex(out, b'u', u32::from(c), 4),
        _ => put_hex(out, b'U', u32::from(c), 8),
    }
}

fn put_hex(out: &mut impl Sink, kind: u8, value: u32, digits: usize) {
    out.put(&[b'\\', kind]);
    for place in (0..digits).rev() {
        let nibble = (value >> (place * 4)) & 0xf;
        out.put(&[b"0123456789abcdef"[nibble as usize]]);
    }
}

/// A letter, mark, number, punctuation, symbol or the ASCII blank. The standard library keeps that
/// table behind `escape_debug`, which leaves a printable character alone; asked about the second
/// of two, as it escapes a leading combining mark for a reason of its own. Not for ASCII: it escapes
/// the single quote too.
fn is_printable(c: char) -> bool {
    let mut pair = [b'a', 0, 0, 0, 0];
    let len = 1 + c.encode_utf8(&mut pair[1..]).len();
    str::from_utf8(&pair[..len]).is_ok_and(|pair| pair.escape_debug().nth(1) == Some(c))
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(bytes: &[u8], quoted: &str) {
        let mut out = Vec::new();
        super::put(&mut out, bytes);
        assert_eq!(String::from_utf8_lossy(&out), quoted);
    }

    #[test]
    fn printable_text_stays() {
        check(b"", r#""""#);
        check(b"a b'*>$~", r#""a b'*>$~""#);
        check("grüße.日本.🦟".as_bytes(), r#""grüße.日本.🦟""#);
        check("\u{301}e\u{301}".as_bytes(), "\"\u{301}e\u{301}\"");
    }

    #[test]
    fn all_else_is_escaped_as_go_does() {
        check(b"a\"b\\c", r#""a\"b\\c""#);
        check(b"\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#);
        check(b"\x00\x1f\x7f", r#""\x00\x1f\x7f""#);
        check(b"\xff\xe2\x82", r#""\xff\xe2\x82""#);
        check(
            "\u{a0}\u{200b}\u{feff}\u{85}".as_bytes(),
            r#""\u00a0\u200b\ufeff\u0085""#,
        );
        check("\u{e0001}".as_bytes(), r#""\U000e0001""#);
        check("\u{fffd}".as_bytes(), "\"\u{fffd}\"");
    }
}
