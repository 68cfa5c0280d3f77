//! Operators and the accounts that are known from the start.
//!
//! ```text
//! operator: "/etc/midge/operator.jwt"
//! resolver: MEMORY
//! resolver_preload { A...: eyJ... }
//! ```
//!
//! Tokens are read here, so that what is wrong with one has a place in the file. What contradicts other settings is
//! told by the [check](crate::config::check) between them.

use super::reader::Reader;
use crate::config::language::{Kind, Map, Pair, Position};
use crate::config::{
    AccountToken, Auth, Cache, Deletes, Directory, OperatorToken, Operators, Resolver,
};
use crate::jwt;
use midge_protocol::nkey::{Kind as Key, public_key};
use midge_text::system_words;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// What stands in the file of operators.
#[derive(Default)]
pub(super) struct Operated {
    operators: Operators,
    /// Where it says that there is one, whether or not what it says is right.
    operator: Option<Position>,
    trusted_keys: Option<Position>,
    /// Where `resolver` stands, and whether it is in memory.
    resolver: Option<Position>,
    preload: Option<Position>,
}

/// What nats-server says of a resolver that it does not know.
const RESOLVER: &str = "error parsing account resolver, should be MEM or  URL(\"url\") or a map containing dir and type \
                        state=[FULL|CACHE])";

impl Reader<'_> {
    /// `operator`: tokens, or files with one each.
    pub(super) fn operator(&mut self, pair: &Pair) {
        self.operated.operator = Some(pair.at.clone());
        self.operated.operators.tokens.clear();
        for text in self.texts(pair).unwrap_or_default() {
            let found = match text.starts_with("eyJ") {
                true => Ok(text),
                false => token_of_file(&text),
            };
            let told = found
                .and_then(|text| OperatorToken::parse(&text).map_err(|fault| fault.to_string()));
            match told {
                Ok(token) => self.operated.operators.tokens.push(token),
                Err(told) => {
                    let text = format!("error parsing operator JWT: {told}");
                    self.report.error(&pair.at, text);
                }
            }
        }
    }

    /// `trusted_keys`: public keys of operators.
    pub(super) fn trusted_keys(&mut self, pair: &Pair) {
        self.operated.trusted_keys = Some(pair.at.clone());
        let keys = self.texts(pair).unwrap_or_default();
        for key in &keys {
            if public_key(Key::Operator, key).is_none() {
                let text = format!("trust key {key:?} required to be a valid public operator nkey");
                self.report.error(&pair.at, text);
            }
        }
        self.operated.operators.keys = keys;
    }

    /// `resolver`: where tokens of accounts are kept.
    pub(super) fn resolver(&mut self, pair: &Pair) {
        self.operated.resolver = Some(pair.at.clone());
        match &pair.value.kind {
            Kind::Text => {
                let text = pair.value.text.to_ascii_uppercase();
                let url = pair
                    .value
                    .text
                    .get("URL(".len()..pair.value.text.len().max(5) - 1);
                if text.starts_with("URL(") && text.ends_with(')') {
                    let url = url.unwrap_or_default().trim().trim_matches(['"', '\'']);
                    let slash = if url.ends_with('/') { "" } else { "/" };
                    self.operated.operators.resolver = Resolver::Url(format!("{url}{slash}"));
                } else if !["MEM", "MEMORY"].contains(&text.as_str()) {
                    self.report.error(&pair.at, RESOLVER);
                }
            }
            Kind::Map(map) => self.resolver_map(pair, map),
            _ => self.report.error(&pair.at, RESOLVER),
        }
    }

    fn resolver_map(&mut self, pair: &Pair, map: &Map) {
        let kind = map.get("type").and_then(|kind| kind.value.as_text());
        let resolver = match kind.unwrap_or_default().to_ascii_uppercase().as_str() {
            "MEM" | "MEMORY" => return self.resolver_in_memory(map),
            "FULL" => Resolver::Directory(self.resolver_directory(pair, map)),
            "CACHE" => Resolver::Cache(self.resolver_cache(pair, map)),
            _ => return self.report.error(&pair.at, RESOLVER),
        };
        self.operated.operators.resolver = resolver;
    }

    fn resolver_directory(&mut self, pair: &Pair, map: &Map) -> Directory {
        let mut directory = Directory::default();
        let (mut deletes, mut hard) = (false, None);
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "dir" => directory.path = self.text(pair).unwrap_or_default().into(),
                "allow_delete" => deletes = self.switch(pair).unwrap_or_default(),
                "hard_delete" => hard = self.switch(pair).map(|is_on| (is_on, pair)),
                "limit" => directory.accounts_max = self.limit(pair).flatten(),
                // There are no other servers that could be asked, or could answer too late.
                "interval" | "timeout" => {
                    let _ = self.duration(pair);
                }
                "ttl" => self
                    .report
                    .error(&pair.at, "FULL does not accept ttl; remove it"),
                _ => self.resolver_unknown(
                    pair,
                    &[
                        "type",
                        "dir",
                        "allow_delete",
                        "hard_delete",
                        "limit",
                        "interval",
                        "timeout",
                    ],
                ),
            }
        }
        if let Some((true, pair)) = hard
            && !deletes
        {
            let text = "hard_delete has no effect without delete; add allow_delete: true";
            self.report.error(&pair.at, text);
        }
        self.is_directory(pair, &directory.path);
        directory.deletes = match (deletes, hard) {
            (false, _) => Deletes::No,
            (true, Some((true, _))) => Deletes::Remove,
            (true, _) => Deletes::Rename,
        };
        directory
    }

    fn resolver_cache(&mut self, pair: &Pair, map: &Map) -> Cache {
        let mut cache = Cache::default();
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "dir" => cache.path = self.text(pair).unwrap_or_default().into(),
                // As in nats-server 0 is the default, and not none at all.
                "limit" => {
                    cache.accounts_max = self.limit(pair).flatten().unwrap_or(cache.accounts_max);
                }
                "ttl" => cache.ttl = self.duration(pair).filter(|ttl| !ttl.is_zero()),
                "timeout" => {
                    let timeout = self.duration(pair).filter(|timeout| !timeout.is_zero());
                    cache.timeout = timeout.unwrap_or(cache.timeout);
                }
                "interval" => self
                    .report
                    .error(&pair.at, "CACHE does not accept sync; remove interval"),
                "allow_delete" | "hard_delete" => {
                    let text = format!(
                        "CACHE does not accept {}; remove it: operators may delete accounts there",
                        pair.key
                    );
                    self.report.error(&pair.at, text);
                }
                _ => self.resolver_unknown(pair, &["type", "dir", "limit", "ttl", "timeout"]),
            }
        }
        self.is_directory(pair, &cache.path);
        cache
    }

    fn resolver_unknown(&mut self, pair: &Pair, known: &[&'static str]) {
        if !pair.key.eq_ignore_ascii_case("type") && !pair.used {
            let known = known.iter().copied();
            self.unknown(pair, "error parsing account resolver, ", known);
        }
    }

    /// Complains of a path that cannot be that of a directory.
    fn is_directory(&mut self, pair: &Pair, path: &Path) {
        if path.as_os_str().is_empty() {
            let text = "dir has no value and needs to point to a directory";
            self.report.error(&pair.at, text);
        } else if path.exists() && !path.is_dir() {
            let text = format!(
                "dir {} needs to point to an accessible directory",
                path.display()
            );
            self.report.error(&pair.at, text);
        }
    }

    fn resolver_in_memory(&mut self, map: &Map) {
        for pair in map.iter() {
            self.resolver_unknown(pair, &["type"]);
        }
    }

    /// `resolver_tls`: what is trusted, and shown, where the resolver is asked by HTTPS.
    pub(super) fn resolver_tls(&mut self, pair: &Pair) {
        if let Kind::Map(map) = &pair.value.kind {
            for pair in map.iter() {
                self.resolver_tls_option(pair);
            }
        }
        let tls = self.tls_block(pair);
        if tls.as_ref().is_some_and(|tls| tls.certs.len() > 1) {
            let text = "resolver_tls shows one certificate; remove the others";
            self.report.error(&pair.at, text);
        }
        self.operated.operators.resolver_tls = tls;
    }

    /// Says what an option of the block is not, where the broker is the one that asks.
    fn resolver_tls_option(&mut self, pair: &Pair) {
        let is_on = pair.value.kind == Kind::Bool(true);
        match pair.key.to_ascii_lowercase().as_str() {
            "insecure" if is_on => {
                let text = "anybody could answer for the resolver; name in ca_file who vouches for it, and remove insecure";
                self.report.error(&pair.at, text);
            }
            "pinned_certs" => self.refuse(
                pair,
                "the resolver's key is not looked at, but who vouches for it",
            ),
            "verify_and_map"
            | "timeout"
            | "connection_rate_limit"
            | "handshake_first"
            | "first"
            | "immediate" => {
                self.ignore(pair, "it is for clients that come in");
            }
            _ => {}
        }
    }

    /// `resolver_preload`: tokens of accounts, by their keys.
    pub(super) fn resolver_preload(&mut self, pair: &Pair) {
        self.operated.preload = Some(pair.at.clone());
        let Kind::Map(map) = &pair.value.kind else {
            let text = "preload should be a map of account_public_key:account_jwt";
            return self.report.error(&pair.at, text);
        };
        let mut preload = Vec::with_capacity(map.iter().count());
        for pair in map.iter().filter(|pair| !pair.used) {
            let Some(text) = self.text(pair) else {
                continue;
            };
            match AccountToken::parse(&text) {
                Ok(token) => preload.push((pair.key.clone(), token)),
                Err(fault) => {
                    let text = format!("invalid account JWT: {fault}");
                    self.report.error(&pair.at, text);
                }
            }
        }
        self.operated.operators.preload = preload.into_iter().collect();
    }

    /// `resolver_pinned_accounts`: the only accounts that may log in.
    pub(super) fn resolver_pinned_accounts(&mut self, pair: &Pair) {
        self.operated.operators.pinned = self.texts(pair).unwrap_or_default();
    }

    /// Puts together what the file says of operators, once what it says of users is known.
    pub(super) fn operators_are(&mut self) {
        let Operated {
            operators,
            operator,
            trusted_keys,
            resolver,
            preload,
        } = std::mem::take(self.operated);
        let Some(at) = operator.or(trusted_keys) else {
            // A broker that was told of accounts' tokens must not let in those without one.
            if let Some(at) = resolver.or(preload) {
                let text = "a resolver is of no use without an operator; name one with operator, or with trusted_keys";
                self.report.error(&at, text);
            }
            return;
        };
        let config = &mut self.options.config;
        if config.auth != Auth::None {
            let text = "operators do not allow users to be configured directly; remove the users, or the operator";
            self.report.error(&at, text);
        }
        if resolver.is_none() {
            match preload {
                Some(at) => self.report.error(
                    &at,
                    "resolver preloads only available for writeable resolver types MEM/DIR/CACHE_DIR; \
                     add resolver: MEMORY",
                ),
                None => self.report.error(
                    &at,
                    "an operator needs a resolver, by which accounts are found; add resolver: MEMORY, and \
                     resolver_preload with their JWTs, or resolver {type: full, dir: DIRECTORY}",
                ),
            }
        }
        if config.system_account.is_none() {
            config.system_account = operators.system_account().map(str::to_owned);
        }
        config.auth = Auth::Operators(Arc::new(operators));
    }
}

/// The token in a file.
fn token_of_file(path: &str) -> Result<String, String> {
    let said = |error: std::io::Error| format!("open {path}: {}", system_words(&error));
    let mut text = String::new();
    let file = File::open(path).map_err(said)?;
    let bounded = file.take(jwt::TOKEN_BYTES_MAX as u64 + 1);
    { bounded }.read_to_string(&mut text).map_err(said)?;
    let token = jwt::find(&text);
    Ok(token.unwrap_or_default().to_owned())
}
