//! Comments: `#` or `//`, to the end of the line.
//!
//! One begins only where a word could: inside a bare word both are letters, as in
//! `nats://host:4222`, and so they are where a value begins: `name: #1` is the text `#1`.

use super::lexer::Lexer;

impl Lexer<'_> {
    /// Skips a comment, but not the end of its line; `false` if there is none here.
    pub(super) fn skip_comment(&mut self) -> bool {
        let is_comment = self.rest().starts_with(b"#") || self.rest().starts_with(b"//");
        if is_comment {
            self.skip_line();
        }
        is_comment
    }

    /// Skips blanks, ends of lines and comments.
    pub(super) fn skip_space(&mut self) {
        loop {
            self.skip_white();
            if !self.skip_comment() {
                return;
            }
        }
    }
}
