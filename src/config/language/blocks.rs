//! Blocks: text over several lines, as it stands.
//!
//! ```text
//! banner: (
//! say what "you" like
//! )
//! ```
//!
//! The text is all between the parentheses: it begins with the end of the first line and ends with
//! that of the last. The closing one is alone on its line; blanks behind it do not count.

use super::error::Error;
use super::lexer::Lexer;

impl Lexer<'_> {
    /// The text of the block that begins here, with `(`.
    ///
    /// # Errors
    /// It never ends.
    pub(super) fn block(&mut self) -> Result<String, Error> {
        let began = self.position();
        self.take();
        let body = self.rest();
        let mut from = 0;
        while let Some(newline) = memchr::memchr(b'\n', &body[from..]) {
            let line = &body[from + newline + 1..];
            if let Some(behind) = line.strip_prefix(b")") {
                let end = memchr::memchr(b'\n', behind).unwrap_or(behind.len());
                if behind[..end].iter().all(|byte| b" \t\r".contains(byte)) {
                    let len = from + newline + 1;
                    let text = self.text(&began, body[..len].to_vec())?;
                    self.advance(len + 1);
                    return Ok(text);
                }
            }
            from += newline + 1;
        }
        self.advance(body.len());
        Err(Error::syntax(
            &began,
            "Unexpected EOF processing block.; the block that begins here needs a ) on a line of its own",
        ))
    }
}
