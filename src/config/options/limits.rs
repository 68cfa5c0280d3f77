//! The block `limits`: what the clients of one address, and those of one user, may have together. A user may have a
//! block of its own.
//!
//! ```text
//! limits { per_address { max_connections: 100, except: ["127.0.0.0/8"] }, per_user { messages_per_second: 1000 } }
//! ```

use super::reader::Reader;
use crate::config::language::{Map, Pair};
use crate::config::{AddressLimits, Exceeded, Limits};

const KEYS: [&str; 11] = [
    "max_connections",
    "max_conn",
    "connections_per_second",
    "messages_per_second",
    "bytes_per_second",
    "max_subscriptions",
    "max_subs",
    "max_payload",
    "max_pay",
    "exceeded",
    // Of addresses:
    "except",
];

/// How many of [`KEYS`] are for users.
const USER_KEYS: usize = 10;

impl Reader<'_> {
    /// Reads the block at the top.
    pub(super) fn limits(&mut self, pair: &Pair) {
        let Some(map) = self.map(pair) else { return };
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "per_address" => {
                    if let Some(limits) = self.address_limits(pair) {
                        self.options.config.address_limits = limits;
                    }
                }
                "per_user" => {
                    if let Some(limits) = self.user_limits(pair) {
                        self.options.config.user_limits = limits;
                    }
                }
                _ if pair.used => {}
                _ => self.unknown(pair, "", ["per_address", "per_user"].into_iter()),
            }
        }
    }

    /// Those of one user, or of each.
    pub(super) fn user_limits(&mut self, pair: &Pair) -> Option<Limits> {
        let map = self.map(pair)?;
        let mut limits = Limits::default();
        for pair in map.iter() {
            if !self.limit_of(pair, &mut limits) && !pair.used {
                self.unknown(pair, "", KEYS[..USER_KEYS].iter().copied());
            }
        }
        Some(limits)
    }

    fn address_limits(&mut self, pair: &Pair) -> Option<AddressLimits> {
        let map: &Map = self.map(pair)?;
        let mut terms = AddressLimits::default();
        for pair in map.iter() {
            if self.limit_of(pair, &mut terms.limits) {
                continue;
            }
            match pair.key.to_ascii_lowercase().as_str() {
                "except" => terms.except = self.networks(pair),
                _ if pair.used => {}
                _ => self.unknown(pair, "", KEYS.iter().copied()),
            }
        }
        Some(terms)
    }

    /// Reads one limit; answers whether it is one.
    fn limit_of(&mut self, pair: &Pair, limits: &mut Limits) -> bool {
        let rate = |limit: Option<usize>| limit.map(|limit| limit as u64);
        match pair.key.to_ascii_lowercase().as_str() {
            "max_connections" | "max_conn" => {
                limits.connections_max = self.limit(pair).flatten();
            }
            "connections_per_second" => {
                limits.connections_per_second_max = rate(self.limit(pair).flatten());
            }
            "messages_per_second" => {
                limits.messages_per_second_max = rate(self.limit(pair).flatten());
            }
            "bytes_per_second" => {
                limits.bytes_per_second_max = rate(self.limit(pair).flatten());
            }
            "max_subscriptions" | "max_subs" => {
                limits.subscriptions_max = self.limit(pair).flatten();
            }
            "max_payload" | "max_pay" => {
                limits.payload_bytes_max = self.limit(pair).flatten();
            }
            "exceeded" => {
                let text = self.text(pair).unwrap_or_default();
                match Exceeded::named(&text) {
                    Some(exceeded) => limits.exceeded = exceeded,
                    None => {
                        let text = format!("unknown {text:?}; use slow, error or disconnect");
                        self.report.error(&pair.at, text);
                    }
                }
            }
            _ => return false,
        }
        true
    }
}
