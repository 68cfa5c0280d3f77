//! What the system says, as operators of nats-server know it.

use std::fmt::Display;

/// The system's own words for an error, as Go prints them: without a number, in lower case.
///
/// ```
/// use midge_text::system_words;
///
/// let error = std::fs::File::open("/no/such/file").unwrap_err();
/// assert_eq!(error.to_string(), "No such file or directory (os error 2)");
/// assert_eq!(system_words(&error), "no such file or directory");
/// ```
///
/// It is for errors of the system, of any type; text of a program's own stays as it is, but for a
/// capital at its beginning.
pub fn system_words(cause: &(impl Display + ?Sized)) -> String {
    let text = cause.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => text,
    }
}
