//! JSON as nats-server writes it: indented by two blanks, with Go's escapes and Go's numbers.

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// Appends `value`, which stands `depth` levels deep.
pub(super) fn put(out: &mut Vec<u8>, value: &impl Serialize, depth: usize) {
    let formatter = Indented {
        depth,
        has_value: false,
    };
    let mut serializer = Serializer::with_formatter(out, formatter);
    value
        .serialize(&mut serializer)
        .expect("writing to memory does not fail, and all keys are texts");
}

/// Appends an object without its last brace, so that more fields may follow: [`begin_list`] first.
pub(super) fn put_open(out: &mut Vec<u8>, object: &impl Serialize, depth: usize) {
    put(out, object, depth);
    let end = "\n}".len() + 2 * depth;
    debug_assert!(
        out.ends_with(b"}") && out.len() > end,
        "an object with fields"
    );
    out.truncate(out.len() - end);
}

/// Appends the name of a field to an object that was left open. Its value has to follow, one level deeper.
pub(super) fn begin_field(out: &mut Vec<u8>, name: &str, depth: usize) {
    out.extend_from_slice(b",");
    new_line(out, depth + 1);
    out.extend_from_slice(format!("\"{name}\": ").as_bytes());
}

/// Appends a field that is a list, up to its bracket, to an object that was left open.
pub(super) fn begin_list(out: &mut Vec<u8>, name: &str, depth: usize) {
    begin_field(out, name, depth);
    out.push(b'[');
}

/// Appends an element of a list that stands in an object at `depth`.
pub(super) fn put_element(
    out: &mut Vec<u8>,
    is_first: bool,
    element: &impl Serialize,
    depth: usize,
) {
    begin_element(out, is_first, depth);
    put(out, element, depth + 2);
}

/// Appends what stands in front of an element.
pub(super) fn begin_element(out: &mut Vec<u8>, is_first: bool, depth: usize) {
    if !is_first {
        out.push(b',');
    }
    new_line(out, depth + 2);
}

/// Appends the end of a list.
pub(super) fn end_list(out: &mut Vec<u8>, is_empty: bool, depth: usize) {
    if !is_empty {
        new_line(out, depth + 1);
    }
    out.push(b']');
}

/// Appends the end of an object that was left open.
pub(super) fn end_object(out: &mut Vec<u8>, depth: usize) {
    new_line(out, depth);
    out.push(b'}');
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', 2 * depth));
}

struct Indented {
    depth: usize,
    /// Whether the innermost list or object has anything in it.
    has_value: bool,
}

impl Indented {
    fn begin<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        writer.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.has_value {
            self.line(writer, b"\n")?;
        }
        self.has_value = true;
        writer.write_all(bracket)
    }

    fn line<W: ?Sized + Write>(&mut self, writer: &mut W, before: &[u8]) -> io::Result<()> {
        writer.write_all(before)?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Indented {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.line(writer, if first { b"\n" } else { b",\n" })
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.line(writer, if first { b"\n" } else { b",\n" })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    /// A whole number has no point in Go.
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value}")
    }

    /// Go escapes what would end a script in a page.
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        let special = ['<', '>', '&', '\u{2028}', '\u{2029}'];
        while let Some(at) = rest.find(special) {
            let char = rest[at..].chars().next().unwrap_or_default();
            writer.write_all(&rest.as_bytes()[..at])?;
            write!(writer, "\\u{:04x}", u32::from(char))?;
            rest = &rest[at + char.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn text(value: &Value, depth: usize) -> String {
        let mut out = Vec::new();
        put(&mut out, value, depth);
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn it_looks_as_gos_library_writes_it() {
        let value =
            json!({"a": [], "b": {}, "c": [1, {"d": 2.0}], "e": 0.25, "f": "<&>\u{2028}\n"});
        let expected = "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n      \"d\": 2\n    }\n  ],\n  \
                        \"e\": 0.25,\n  \"f\": \"\\u003c\\u0026\\u003e\\u2028\\n\"\n}";
        assert_eq!(text(&value, 0), expected);
    }

    #[test]
    fn an_object_in_pieces_is_the_same_as_in_one() {
        for elements in [
            vec![],
            vec![json!(1)],
            vec![json!({"x": [true]}), json!("y")],
        ] {
            for depth in [0, 2] {
                let mut out = Vec::new();
                put_open(&mut out, &json!({"a": {"b": 1}}), depth);
                begin_list(&mut out, "list", depth);
                for (number, element) in elements.iter().enumerate() {
                    put_element(&mut out, number == 0, element, depth);
                }
                end_list(&mut out, elements.is_empty(), depth);
                end_object(&mut out, depth);
                let whole = text(&json!({"a": {"b": 1}, "list": elements}), depth);
                assert_eq!(String::from_utf8_lossy(&out), whole);
            }
        }
    }
}
