//! What is told of operators when a broker starts, in nats-server's words.

use super::preflight::StartError;
use crate::config::Config;
use crate::state::{State, directory, fetching};
use jiff::Timestamp;
use midge_reactor::Context;
use std::collections::HashMap;

/// Tells whom the broker trusts.
pub(super) fn tell(config: &Config) {
    let Some(operators) = config.operators() else {
        return;
    };
    log::info!(target: "midge", "Trusted Operators");
    for token in &operators.tokens {
        let claims = &token.claims;
        let date = |second: i64| match Timestamp::from_second(second) {
            Ok(date) if second > 0 => date.to_string(),
            _ => "Never".to_owned(),
        };
        let system = &claims.body.system_account;
        log::info!(target: "midge", "  System  : {system:?}");
        log::info!(target: "midge", "  Operator: {:?}", claims.name);
        log::info!(target: "midge", "  Issued  : {}", date(claims.issued_at));
        log::info!(target: "midge", "  Expires : {}", date(claims.expires));
    }
    for key in &operators.keys {
        log::info!(target: "midge", "  Key     : {key}");
    }
    if config.system_account.is_none() {
        log::warn!(target: "midge", "Trusted Operators should utilize a System Account");
    }
}

/// Reads the accounts that are kept in a directory, and keeps those of the settings there that are newer.
///
/// # Errors
/// What is wrong with the directory.
pub(super) fn open(cx: &mut Context<'_, State>) -> Result<(), StartError> {
    let Some(operators) = cx.state.config.operators() else {
        return Ok(());
    };
    if let Some(source) = operators.source() {
        // What does not answer at the start is more likely misspelt than away.
        let answer = fetching::get(&source, "");
        return answer.map(drop).map_err(StartError::Config);
    }
    let Some(store) = operators.store() else {
        return Ok(());
    };
    let some = match operators.cache() {
        Some(_) => "some",
        None => "all",
    };
    let path = store.path.display().to_string();
    let wanted = cx.state.known.wanted(operators);
    let held = directory::read(store.path, &HashMap::new(), &wanted);
    let held = held.map_err(StartError::Config)?;
    for line in &held.doubts {
        log::warn!(target: "midge", "{line}");
    }
    for token in held.tokens {
        let now = cx.now();
        cx.state.keep_account(token, now);
    }
    log::info!(target: "midge", "Managing {some} jwt in exclusive directory {path}");
    Ok(())
}
