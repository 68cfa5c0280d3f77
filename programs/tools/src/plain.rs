//! Text of others, for terminals: what a publisher has put into a subject must not move the cursor.

/// Control characters, and those that turn the direction of what stands behind them.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with a question mark for each character that a terminal obeys.
pub(super) fn line(text: &str) -> String {
    text.chars()
        .map(|c| if is_obeyed(c) { '?' } else { c })
        .collect()
}

/// The same for text of several lines: line feeds and tabs stay.
pub(super) fn lines(text: &str) -> String {
    let is_layout = |c| matches!(c, '\n' | '\t');
    text.chars()
        .map(|c| {
            if is_obeyed(c) && !is_layout(c) {
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
