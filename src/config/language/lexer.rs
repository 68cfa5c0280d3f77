//! A place in the text of one file, and the words that begin there.
//!
//! ```text
//! 0 <= at <= bytes.len();  line: ends of lines before `at`, plus one;  line_start <= at
//! ```
//!
//! All that has a meaning is ASCII, so the text is bytes until a word is taken out of it: only words
//! must be UTF-8, not what comments say.

use super::error::{Error, Position};
use std::sync::Arc;

/// The escapes that are known, as nats-server lists them.
const ESCAPES: &str =
    r#"Only the following escape characters are allowed: \xXX, \t, \n, \r, \", \\."#;

/// The rest of a text.
#[derive(Debug)]
pub struct Lexer<'t> {
    file: Arc<str>,
    bytes: &'t [u8],
    at: usize,
    line: u32,
    line_start: usize,
    /// Where everything stands, for text that is in no file.
    fixed: Option<Position>,
}

impl<'t> Lexer<'t> {
    /// At the beginning of a file. A byte order mark is skipped.
    pub(super) fn new(file: Arc<str>, bytes: &'t [u8]) -> Lexer<'t> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Lexer {
            file,
            bytes,
            at: 0,
            line: 1,
            line_start: 0,
            fixed: None,
        }
    }

    /// At the beginning of a text that stands for what is at `place`.
    pub(super) fn elsewhere(place: &Position, bytes: &'t [u8]) -> Lexer<'t> {
        let lexer = Lexer::new(place.file.clone(), bytes);
        Lexer {
            fixed: Some(place.clone()),
            ..lexer
        }
    }

    /// Where it is.
    pub(super) fn position(&self) -> Position {
        if let Some(place) = &self.fixed {
            return place.clone();
        }
        let before = &self.bytes[self.line_start..self.at];
        let letters = before.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        Position {
            file: self.file.clone(),
            line: self.line,
            column: u32::try_from(letters + 1).unwrap_or(u32::MAX),
        }
    }

    /// What follows.
    pub(super) fn rest(&self) -> &'t [u8] {
        &self.bytes[self.at..]
    }

    /// The next byte.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// The next letter, as text for a message.
    pub(super) fn letter(&self) -> String {
        let next = &self.rest()[..self.rest().len().min(4)];
        let text = String::from_utf8_lossy(next);
        text.chars().next().map(String::from).unwrap_or_default()
    }

    /// Takes the next byte.
    pub(super) fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.advance(1);
        Some(byte)
    }

    /// Takes the next byte if it is this one.
    pub(super) fn take_if(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.advance(1);
        }
        found
    }

    /// Goes on by `len` bytes, which must be there.
    pub(super) fn advance(&mut self, len: usize) {
        let passed = &self.bytes[self.at..self.at + len];
        for newline in memchr::memchr_iter(b'\n', passed) {
            self.line += 1;
            self.line_start = self.at + newline + 1;
        }
        self.at += len;
    }

    /// Skips blanks and tabs.
    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.advance(1);
        }
    }

    /// Skips everything that only separates, ends of lines included.
    pub(super) fn skip_white(&mut self) {
        while let Some(len) = self.white() {
            self.advance(len);
        }
    }

    /// Goes to the end of the line.
    pub(super) fn skip_line(&mut self) {
        let rest = self.rest();
        self.advance(memchr::memchr(b'\n', rest).unwrap_or(rest.len()));
    }

    /// Length of the white space here, if there is any: blanks of every alphabet.
    fn white(&self) -> Option<usize> {
        let first = self.peek()?;
        if first.is_ascii() {
            let white = first.is_ascii_whitespace() || first == 0x0b;
            return white.then_some(1);
        }
        let next = &self.rest()[..self.rest().len().min(4)];
        let letter = next.utf8_chunks().next()?.valid().chars().next()?;
        letter.is_whitespace().then(|| letter.len_utf8())
    }

    /// A key without quotes: to white space, `:` or `=`.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub(super) fn key(&mut self) -> Result<String, Error> {
        let (began, from) = (self.position(), self.at);
        while !matches!(self.peek(), None | Some(b':' | b'=')) && self.white().is_none() {
            self.advance(1);
        }
        self.text(&began, self.bytes[from..self.at].to_vec())
    }

    /// What stands between two quotes of the kind that is next, letter by letter.
    ///
    /// # Errors
    /// They are never closed, or it is not UTF-8.
    pub(super) fn quoted(&mut self) -> Result<String, Error> {
        let began = self.position();
        let quote = self.take().expect("a quote is next");
        let rest = self.rest();
        let Some(len) = memchr::memchr(quote, rest) else {
            return self.unclosed(&began);
        };
        self.advance(len + 1);
        self.text(&began, rest[..len].to_vec())
    }

    /// What stands between two double quotes, the first of which is next, with escapes.
    ///
    /// # Errors
    /// They are never closed, an escape is unknown, or it is not UTF-8.
    pub(super) fn escaped(&mut self) -> Result<String, Error> {
        let began = self.position();
        self.take();
        let mut bytes = Vec::new();
        // The first unknown escape is told once the string is over.
        let mut wrong = None;
        loop {
            match self.peek() {
                None => return self.unclosed(&began),
                Some(b'"') => break,
                Some(b'\\') => match self.escape() {
                    Ok(byte) => bytes.push(byte),
                    Err(error) => wrong = wrong.or(Some(error)),
                },
                Some(byte) => {
                    bytes.push(byte);
                    self.advance(1);
                }
            }
        }
        self.take();
        match wrong {
            Some(error) => Err(error),
            None => self.text(&began, bytes),
        }
    }

    /// A word without quotes: to the end of the line, a blank or one of `,;]}'`. The last one is taken
    /// as well. Empty where one of these is next.
    ///
    /// # Errors
    /// An escape is unknown, or it is not UTF-8.
    pub(super) fn word(&mut self) -> Result<String, Error> {
        let began = self.position();
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None | Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b';' | b']' | b'}') => break,
                Some(b'\'') => {
                    self.take();
                    break;
                }
                Some(b'\\') => bytes.push(self.escape()?),
                Some(byte) => {
                    bytes.push(byte);
                    self.advance(1);
                }
            }
        }
        self.text(&began, bytes)
    }

    /// The byte that an escape stands for; a backslash is next.
    fn escape(&mut self) -> Result<u8, Error> {
        let at = self.position();
        self.take();
        let wrong = |text: &str| Err(Error::syntax(&at, text));
        match self.peek() {
            Some(b'x') => {
                let digits = &self.rest()[1..];
                let byte = digits
                    .first_chunk()
                    .and_then(|&[high, low]| Some(hex(high)? << 4 | hex(low)?));
                if let Some(byte) = byte {
                    self.advance(3);
                    return Ok(byte);
                }
                self.advance(1);
                let line = digits.split(|&byte| byte == b'\n').next().unwrap_or(digits);
                let found = String::from_utf8_lossy(&line[..line.len().min(2)]);
                let said = if line.len() < 2 {
                    "hit end of line".to_owned()
                } else {
                    format!("got '{found}'")
                };
                wrong(&format!(
                    r"Expected two hexadecimal digits after '\x', but {said}"
                ))
            }
            Some(letter @ (b't' | b'n' | b'r' | b'"' | b'\\')) => {
                self.take();
                Ok(match letter {
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'r' => b'\r',
                    other => other,
                })
            }
            _ => {
                let letter = self.letter().escape_debug().to_string();
                wrong(&format!("Invalid escape character '{letter}'. {ESCAPES}"))
            }
        }
    }

    /// Ends a text that a quote has begun and none has ended.
    fn unclosed(&mut self, began: &Position) -> Result<String, Error> {
        self.advance(self.rest().len());
        Err(Error::syntax(
            began,
            "Unexpected EOF.; the quote that stands here is never closed",
        ))
    }

    /// The bytes of a word that began at `began`, as text.
    ///
    /// # Errors
    /// They are not UTF-8.
    pub(super) fn text(&self, began: &Position, bytes: Vec<u8>) -> Result<String, Error> {
        // It is not repeated: it may be a password.
        String::from_utf8(bytes).map_err(|_| Error::syntax(began, "The text here is not UTF-8"))
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}
