//! Values from the environment.
//!
//! One is read as if it had been written in the file: `4222` is a number, `[a, b]` a list, and it may
//! name further variables. nats-server leaves it at that, and so stumbles over blanks, or a `-` after
//! four digits. Here what is not exactly one value is text, as it stands: a password need not be put
//! in quotes inside of its quotes.

use super::error::{Error, Position};
use super::parser::{DEPTH_MAX, Parser};
use super::values::{Kind, Origin, Value};

impl Parser<'_, '_, '_> {
    /// The value of the environment variable `name`, if there is one. `at` is where its name stands.
    ///
    /// # Errors
    /// It names itself, by whatever detour, or a variable that there is not.
    pub(super) fn environment(
        &mut self,
        name: &str,
        at: &Position,
    ) -> Result<Option<Value>, Error> {
        if self.reading.variables.iter().any(|outer| &**outer == name) {
            let text = format!("variable reference cycle for '{name}'");
            return Err(Error::new(at, text));
        }
        let Some(text) = self.reading.world.variable(name) else {
            return Ok(None);
        };
        if self.reading.depth == DEPTH_MAX {
            let text = format!(
                "variable references stand more than {DEPTH_MAX} deep in one another, at '{name}'"
            );
            return Err(Error::new(at, text));
        }
        let origin = Origin::Environment(name.into());
        self.reading.variables.push(name.into());
        self.reading.depth += 1;
        let read = Parser::of_environment(self.reading, at, text.as_bytes()).only_value();
        self.reading.depth -= 1;
        self.reading.variables.pop();
        let value = match read {
            Ok(Some(value)) => value,
            Ok(None) => Value {
                kind: Kind::Text,
                text,
                at: at.clone(),
                origin: Origin::Written,
            },
            Err(error) => return Err(error),
        };
        Ok(Some(Value { origin, ..value }))
    }
}
