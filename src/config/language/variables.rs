//! Variables: `$NAME`, bare and whole, stands for the value of a pair above, or of the environment.
//!
//! The maps around are asked from the inside out, and only for what was written earlier. A name is
//! compared letter by letter. There is no `${NAME}`, and nothing is replaced inside of text.
//!
//! A hash of bcrypt needs no quotes: `$2a$...` is text, and so are `$2b$...`, `$2x$...` and `$2y$...`
//! unless there is a variable of that name.

use super::error::{Error, Position};
use super::parser::{DEPTH_MAX, Parser};
use super::values::{Kind, Origin, Value};

/// How hashes of bcrypt begin, behind the `$`.
const BCRYPT: [&str; 3] = ["2b$", "2x$", "2y$"];

/// Most values that the variables of one file may stand for: lists of lists could double at each
/// line.
const COPIES_MAX: usize = 100_000;

impl Parser<'_, '_, '_> {
    /// The value that `$name` stands for.
    ///
    /// # Errors
    /// There is no such variable, it names itself, or it is one too many.
    pub(super) fn variable(&mut self, name: &str, at: &Position) -> Result<Value, Error> {
        let value = self.looked_up(name, at)?;
        // Bounded, as every value is, or to look would be a recursion without end.
        if self.reading.depth + value.depth() > DEPTH_MAX {
            let text = format!(
                "maps and lists stand more than {DEPTH_MAX} deep in one another, at '{name}'"
            );
            return Err(Error::new(at, text));
        }
        self.reading.copied += value.size();
        if self.reading.copied > COPIES_MAX {
            let text = format!("variables stand for more than {COPIES_MAX} values, at '{name}'");
            return Err(Error::new(at, text));
        }
        Ok(value)
    }

    fn looked_up(&mut self, name: &str, at: &Position) -> Result<Value, Error> {
        let hash = || Value {
            kind: Kind::Text,
            text: format!("${name}"),
            at: at.clone(),
            origin: Origin::Written,
        };
        if name.starts_with("2a$") {
            return Ok(hash());
        }
        let around = self.scopes.iter_mut().rev();
        if let Some(value) = around.filter_map(|map| map.name(name)).next() {
            let origin = match &value.origin {
                // It is the environment that an operator has to look at.
                Origin::Environment(outer) => Origin::Environment(outer.clone()),
                _ => Origin::Variable(name.into()),
            };
            return Ok(Value {
                at: at.clone(),
                origin,
                ..value.clone()
            });
        }
        if let Some(value) = self.environment(name, at)? {
            return Ok(value);
        }
        if BCRYPT.iter().any(|begin| name.starts_with(begin)) {
            return Ok(hash());
        }
        let line = at.line;
        let text = format!("variable reference for '{name}' on line {line} can not be found");
        Err(Error::new(at, text))
    }
}
