//! `Secret`: a password, a token, a hash of one, a signature.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Stands in a log where a secret stood.
pub(crate) const REDACTED: &str = "[REDACTED]";

/// A text that is never shown.
///
/// `Debug` shows whether there is one, and nothing of it. How long a comparison takes tells the length, and no
/// more. The memory is overwritten when the last copy is dropped; a copy costs no more than a counter.
///
/// ```
/// use midge_protocol::Secret;
///
/// let secret = Secret::from("hunter2");
/// assert!(secret.is("hunter2") && !secret.is("hunter1"));
/// assert_eq!(format!("{secret:?}"), "[REDACTED]");
/// ```
#[derive(Clone, Default)]
pub struct Secret(Option<Arc<Zeroizing<String>>>);

impl Secret {
    /// Whether it is this text.
    pub fn is(&self, guess: &str) -> bool {
        self.as_bytes().ct_eq(guess.as_bytes()).into()
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_deref().map_or("", |text| text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret((!text.is_empty()).then(|| Arc::new(Zeroizing::new(text))))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        text.to_owned().into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.is(other)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "" } else { REDACTED })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_its_text_alone_and_shows_nothing_of_it() {
        let secret = Secret::from("hunter2");
        for (guess, expected) in [
            ("hunter2", true),
            ("hunter", false),
            ("hunter22", false),
            ("Hunter2", false),
            ("", false),
        ] {
            assert_eq!(secret.is(guess), expected, "{guess}");
            assert_eq!(secret == Secret::from(guess), expected, "{guess}");
        }
        assert!(Secret::default().is("") && Secret::default() == Secret::from(""));
        assert_eq!(format!("{secret:?} {:?}", Secret::default()), "[REDACTED] ");
    }
}
