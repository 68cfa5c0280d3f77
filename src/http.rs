//! The head of a request of HTTP/1, by `httparse`: what monitoring and the upgrade to WebSocket have in common.
//!
//! Pure: bytes in, a head or what is wrong with it out. "Not yet" is a value.

/// Most bytes of a head.
pub(crate) const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Most fields in a head.
pub(crate) const FIELDS_MAX: usize = 64;

/// Why there is no head in what came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// This is no HTTP.
    Malformed,
    /// It has more bytes or fields than it may.
    TooLarge,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    Version,
}

/// Has `read` look at the head with which `input` begins, and at how many bytes it has; `None` if it does not end
/// there.
///
/// # Errors
/// What is wrong with it, whatever comes behind.
pub(crate) fn head<T>(
    input: &[u8],
    read: impl FnOnce(&httparse::Request<'_, '_>, usize) -> T,
) -> Result<Option<T>, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let looked_at = &input[..input.len().min(HEAD_BYTES_MAX)];
    match head.parse(looked_at) {
        Ok(httparse::Status::Complete(len)) => Ok(Some(read(&head, len))),
        Ok(httparse::Status::Partial) if input.len() >= HEAD_BYTES_MAX => Err(Fault::TooLarge),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(Fault::TooLarge),
        Err(httparse::Error::Version) => Err(Fault::Version),
        Err(_) => Err(Fault::Malformed),
    }
}

/// The path and query of a target that may be written as a whole URL, as for a proxy.
pub(crate) fn origin_form(target: &str) -> &str {
    match target
        .strip_prefix("http://")
        .or_else(|| target.strip_prefix("https://"))
    {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    }
}

/// Whether a field with a list of words has this one.
pub(crate) fn has_word(value: &[u8], word: &[u8]) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(word))
}
