//! An account that is asked for by HTTP or HTTPS. This waits, so it is done on other threads while the broker serves.

use crate::config::{AccountToken, Source};
#[cfg(feature = "nkeys")]
use std::time::Duration;

/// Questions at once: the reactor's other threads are for what else there is.
pub(crate) const ASKED_MAX: usize = 2;

/// Time for one question, as in nats-server.
#[cfg(feature = "nkeys")]
const TIMEOUT: Duration = Duration::from_millis(1900);

/// Asks for an account. Whose token the answer is has to be looked at. Waits.
///
/// # Errors
/// Why there is none, as nats-server tells it.
pub(crate) fn fetch(source: &Source, key: &str) -> Result<AccountToken, String> {
    let text = get(source, key)?;
    AccountToken::parse(text.trim()).map_err(|fault| fault.to_string())
}

/// What is said of an account; of none, what is at the address itself. Waits.
///
/// # Errors
/// As [`fetch`].
#[cfg(feature = "nkeys")]
pub(crate) fn get(source: &Source, key: &str) -> Result<String, String> {
    use ureq::Agent;

    let url = &format!("{}{key}", source.base);
    let config = Agent::config_builder();
    // The files are read each time: those that were renewed count.
    #[cfg(feature = "tls")]
    let config = config.tls_config(source.tls()?);
    let config = config
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .user_agent(concat!("midge/", env!("CARGO_PKG_VERSION")))
        .build();
    let said = |error: ureq::Error| format!("could not fetch <{url:?}>: {error}");
    let answer = Agent::new_with_config(config).get(url).call();
    let mut body = answer.map_err(said)?.into_body();
    let bounded = body.with_config().limit(AccountToken::BYTES_MAX as u64);
    bounded.read_to_string().map_err(said)
}

/// No broker asks.
#[cfg(not(feature = "nkeys"))]
pub(crate) fn get(_: &Source, _: &str) -> Result<String, String> {
    Err("account missing".to_owned())
}
