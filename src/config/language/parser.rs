//! Pairs, maps and lists.
//!
//! ```text
//! file  := { pair end }          braces at the top are ignored: JSON has them, others have not
//! pair  := key [":" | "="] value | "include" name
//! value := "{" { pair end } "}"  |  "[" { value end } "]"  |  quoted  |  block  |  word
//! end   := new line | "," | ";"  (in a list new line | ","), or what closes the whole
//! ```
//!
//! A line that is wrong is told and skipped, so that one run tells all.

use super::error::{Error, Position};
use super::includes::Reading;
use super::lexer::Lexer;
use super::units;
use super::values::{Kind, Map, Origin, Pair, Value};
use std::path::Path;

/// How deep maps, lists, included files and values from the environment may stand in one another, all
/// together; options need five. Each level is one of the thread's stack.
pub(super) const DEPTH_MAX: usize = 64;

/// One text being read.
pub(super) struct Parser<'t, 'r, 'w> {
    pub(super) reading: &'r mut Reading<'w>,
    lexer: Lexer<'t>,
    path: &'t Path,
    /// The maps around, from the outside in: the last one is being filled.
    pub(super) scopes: Vec<Map>,
    /// The key that was read last, for a hint.
    key: String,
    /// Whether the end of the text was complained about: once is enough.
    end_told: bool,
}

/// What is closed by what.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Top,
    Map,
}

impl<'t, 'r, 'w> Parser<'t, 'r, 'w> {
    pub(super) fn of_file(
        reading: &'r mut Reading<'w>,
        path: &'t Path,
        text: &'t [u8],
    ) -> Parser<'t, 'r, 'w> {
        let file = path.display().to_string().into();
        Parser {
            reading,
            lexer: Lexer::new(file, text),
            path,
            scopes: vec![Map::default()],
            key: String::new(),
            end_told: false,
        }
    }

    pub(super) fn of_environment(
        reading: &'r mut Reading<'w>,
        at: &Position,
        text: &'t [u8],
    ) -> Parser<'t, 'r, 'w> {
        Parser {
            reading,
            lexer: Lexer::elsewhere(at, text),
            path: Path::new(""),
            scopes: Vec::new(),
            key: String::new(),
            end_told: false,
        }
    }

    /// The pairs of a whole file.
    pub(super) fn file(mut self) -> Map {
        loop {
            self.lexer.skip_space();
            match self.lexer.peek() {
                None => break,
                Some(b'{' | b'}') => self.lexer.advance(1),
                Some(_) => {
                    let outcome = self.pair(Place::Top).and_then(|()| self.end_of_pair());
                    self.go_on_after(outcome, None);
                }
            }
        }
        self.scopes.pop().unwrap_or_default()
    }

    /// The value that is all of the text but for comments; `None` for anything else.
    ///
    /// # Errors
    /// It names a variable that there is not.
    pub(super) fn only_value(mut self) -> Result<Option<Value>, Error> {
        let before = self.reading.errors.len();
        self.lexer.skip_blanks();
        let value = match self.lexer.peek() {
            None | Some(b'\n' | b'\r') => return Ok(None),
            Some(_) => self.value(),
        };
        self.lexer.skip_space();
        let is_all = self.lexer.peek().is_none();
        // What is no value in the language is text, whatever is wrong with it as a value. The name of
        // a variable is one.
        let inner = self.reading.errors.split_off(before);
        match value {
            Ok(value) if is_all && inner.is_empty() => Ok(Some(value)),
            Err(error) if is_all && error.text.starts_with("variable reference") => Err(error),
            _ => Ok(None),
        }
    }

    /// One pair, up to the end of its value, or the pairs of an included file.
    fn pair(&mut self, place: Place) -> Result<(), Error> {
        let at = self.lexer.position();
        let key = match self.lexer.peek() {
            Some(sign @ (b':' | b'=')) => {
                let text = format!("Unexpected key separator '{}'", char::from(sign));
                return Err(Error::syntax(&at, &text));
            }
            Some(b'"' | b'\'') => self.lexer.quoted()?,
            _ => {
                let key = self.lexer.key()?;
                let is_separated = matches!(self.lexer.peek(), Some(b':' | b'='));
                if key.eq_ignore_ascii_case("include") && !is_separated {
                    return self.include(&at);
                }
                key
            }
        };
        self.lexer.skip_white();
        if matches!(self.lexer.peek(), Some(b':' | b'=')) {
            self.lexer.advance(1);
            self.lexer.skip_blanks();
            if matches!(self.lexer.peek(), Some(b'\n' | b'\r')) {
                let text = format!("Expected value but found new line; key {key:?} has none");
                return Err(Error::syntax(&at, &text));
            }
        } else if self.lexer.peek().is_none() {
            return Err(Error::new(
                &at,
                format!("config is invalid ({at}); key {key:?} has no value"),
            ));
        }
        if place == Place::Map && self.lexer.peek() == Some(b',') {
            let text = r#"Unexpected map value terminator ","."#;
            return Err(Error::syntax(&self.lexer.position(), text));
        }
        self.key.clone_from(&key);
        let value = self.value()?;
        let pair = Pair {
            key,
            at,
            value,
            used: false,
        };
        self.scope().push(pair);
        Ok(())
    }

    /// What may follow a value at the top, and is taken with it.
    fn end_of_pair(&mut self) -> Result<(), Error> {
        self.lexer.skip_blanks();
        if self.lexer.skip_comment() {
            return Ok(());
        }
        match self.lexer.peek() {
            None => Ok(()),
            Some(b'\n' | b'\r' | b',' | b';' | b'}') => {
                self.lexer.advance(1);
                Ok(())
            }
            Some(_) => Err(self
                .unexpected("Expected a top-level value to end with a new line, comment or EOF")),
        }
    }

    /// One value.
    fn value(&mut self) -> Result<Value, Error> {
        let at = self.lexer.position();
        let (kind, text) = match self.lexer.peek() {
            Some(b'[') => (Kind::List(self.nested(Self::list)?), String::new()),
            Some(b'{') => (Kind::Map(self.nested(Self::map)?), String::new()),
            Some(b'"') => (Kind::Text, self.lexer.escaped()?),
            Some(b'\'') => (Kind::Text, self.lexer.quoted()?),
            Some(b'(') => (Kind::Text, self.lexer.block()?),
            _ => {
                let word = self.lexer.word()?;
                if let Some(name) = word.strip_prefix('$') {
                    return self.variable(name, &at);
                }
                (units::kind(&word), word)
            }
        };
        Ok(Value {
            kind,
            text,
            at,
            origin: Origin::Written,
        })
    }

    /// What `inner` reads, one level further in.
    fn nested<T>(&mut self, inner: fn(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.reading.depth == DEPTH_MAX {
            let text = format!("Maps and lists stand more than {DEPTH_MAX} deep in one another");
            let error = Error::syntax(&self.lexer.position(), &text);
            // Whatever follows makes no sense.
            self.lexer.advance(self.lexer.rest().len());
            self.end_told = true;
            return Err(error);
        }
        self.reading.depth += 1;
        let read = inner(self);
        self.reading.depth -= 1;
        read
    }

    fn map(&mut self) -> Result<Map, Error> {
        let began = self.lexer.position();
        self.lexer.take();
        self.scopes.push(Map::default());
        loop {
            self.lexer.skip_space();
            match self.lexer.peek() {
                None => {
                    let text = "Unexpected EOF processing map.; the { that stands here needs a }";
                    self.at_the_end(&began, text);
                    return Ok(self.scopes.pop().unwrap_or_default());
                }
                Some(b'}') => break,
                Some(_) => {
                    let outcome = self.pair(Place::Map).and_then(|()| self.end_in_map());
                    self.go_on_after(outcome, Some(b'}'));
                }
            }
        }
        self.lexer.take();
        Ok(self.scopes.pop().unwrap_or_default())
    }

    /// What may follow a value in a map, and is taken with it; but not the end of the map.
    fn end_in_map(&mut self) -> Result<(), Error> {
        self.lexer.skip_blanks();
        if self.lexer.skip_comment() {
            return Ok(());
        }
        match self.lexer.peek() {
            None | Some(b'}') => Ok(()),
            Some(b'\n' | b'\r' | b',' | b';') => {
                self.lexer.advance(1);
                Ok(())
            }
            Some(_) => {
                Err(self
                    .unexpected(r#"Expected a map value terminator "," or a map terminator "}""#))
            }
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, Error> {
        let began = self.lexer.position();
        self.lexer.take();
        let mut list = Vec::new();
        loop {
            self.lexer.skip_space();
            match self.lexer.peek() {
                None => {
                    let text = "Unexpected EOF processing array.; the [ that stands here needs a ]";
                    self.at_the_end(&began, text);
                    return Ok(list);
                }
                Some(b']') => break,
                Some(b',') => {
                    let text = "Unexpected array value terminator ','.";
                    let at = self.lexer.position();
                    self.lexer.advance(1);
                    self.reading.wrong(Error::syntax(&at, text));
                }
                Some(_) => {
                    let outcome = match self.value() {
                        Ok(value) => {
                            list.push(value);
                            self.end_in_list()
                        }
                        Err(error) => Err(error),
                    };
                    self.go_on_after(outcome, Some(b']'));
                }
            }
        }
        self.lexer.take();
        Ok(list)
    }

    /// What may follow a value in a list, and is taken with it; but not the end of the list.
    fn end_in_list(&mut self) -> Result<(), Error> {
        self.lexer.skip_blanks();
        if self.lexer.skip_comment() {
            return Ok(());
        }
        match self.lexer.peek() {
            None | Some(b']') => Ok(()),
            Some(b'\n' | b'\r' | b',') => {
                self.lexer.advance(1);
                Ok(())
            }
            Some(_) => Err(self.unexpected(
                r#"Expected an array value terminator "," or an array terminator "]""#,
            )),
        }
    }

    /// Puts the pairs of other files in this place.
    fn include(&mut self, at: &Position) -> Result<(), Error> {
        self.lexer.skip_blanks();
        let wrong = |what: &str| {
            let text = format!("Expected include value but found {what}");
            Err(Error::syntax(at, &text))
        };
        let name = match self.lexer.peek() {
            Some(b'"' | b'\'') => self.lexer.quoted()?,
            Some(b'[') => return wrong("start of an array"),
            Some(b'{') => return wrong("start of a map"),
            Some(b'(') => return wrong("start of a block"),
            Some(b'\\') => return wrong("escape sequence"),
            None | Some(b'\n' | b'\r') => return wrong("new line"),
            Some(_) => self.include_word()?,
        };
        let path = self.path;
        let pairs = self.reading.include(&name, path, at);
        self.scope().append(pairs);
        Ok(())
    }

    /// A file's name without quotes: to the end of the line, a blank or one of `;}'`. Patterns may
    /// hold brackets and commas.
    fn include_word(&mut self) -> Result<String, Error> {
        let at = self.lexer.position();
        let rest = self.lexer.rest();
        let end = rest.iter().position(|byte| b" \t\r\n;}'".contains(byte));
        let len = end.unwrap_or(rest.len());
        self.lexer.advance(len);
        self.lexer.take_if(b'\'');
        self.lexer.text(&at, rest[..len].to_vec())
    }

    /// Notes what is wrong with a line, and leaves the rest of it, but not what closes the whole.
    fn go_on_after(&mut self, outcome: Result<(), Error>, close: Option<u8>) {
        let Err(mut error) = outcome else { return };
        // A key swallows a brace that touches it; then what is told makes sense only with this.
        if let Some(name) = self.key.strip_suffix('{') {
            error.text = format!("{}; put a blank between {name:?} and {{", error.text);
        }
        self.key.clear();
        self.end_told |= self.lexer.peek().is_none();
        self.reading.wrong(error);
        let rest = self.lexer.rest();
        let stops = |&byte: &u8| byte == b'\n' || Some(byte) == close;
        self.lexer
            .advance(rest.iter().position(stops).unwrap_or(rest.len()));
    }

    /// Complains about the end of the text, inside of what began at `began`.
    fn at_the_end(&mut self, began: &Position, text: &str) {
        if !std::mem::replace(&mut self.end_told, true) {
            self.reading.wrong(Error::syntax(began, text));
        }
    }

    fn unexpected(&self, expected: &str) -> Error {
        let letter = self.lexer.letter().escape_debug().to_string();
        let text = format!("{expected}, but got '{letter}' instead.");
        Error::syntax(&self.lexer.position(), &text)
    }

    fn scope(&mut self) -> &mut Map {
        self.scopes.last_mut().expect("a file is a map")
    }
}
