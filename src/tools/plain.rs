//! Text of others, for terminals: what a publisher has put into a subject must not move the cursor.

/// The text with a question mark for each control character.
pub(super) fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// The same for text of several lines: line feeds and tabs stay.
pub(super) fn lines(text: &str) -> String {
    let is_layout = |c| matches!(c, '\n' | '\t');
    text.chars()
        .map(|c| {
            if c.is_control() && !is_layout(c) {
                '?'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(line("a\x1b]0;pwn\x07b\r\n\tü\u{9b}"), "a?]0;pwn?b???ü?");
        assert_eq!(lines("a\x1b[2J\r\n\tb"), "a?[2J?\n\tb");
    }
}
