//! The block `http_authorization`, midge's own: what monitoring asks for before it answers.

use super::reader::Reader;
use crate::config::Auth;
use crate::config::language::Pair;

const KEYS: [&str; 5] = ["user", "username", "pass", "password", "token"];

impl Reader<'_> {
    /// A user and a password, as HTTP's `Basic`, or a token, as its `Bearer`.
    pub(super) fn http_authorization(&mut self, pair: &Pair) {
        let Some(map) = self.map(pair) else { return };
        let (mut user, mut pass, mut token) = (None, None, None);
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "user" | "username" => user = self.text(pair),
                "pass" | "password" => pass = self.text(pair),
                "token" => token = self.text(pair),
                _ if pair.used => {}
                _ => self.unknown(pair, "", KEYS.iter().copied()),
            }
        }
        self.monitor.auth = match (user, pass, token) {
            (Some(user), Some(pass), None) => Auth::User {
                user,
                pass: pass.into(),
            },
            (None, None, Some(token)) => Auth::Token(token.into()),
            _ => {
                let text = "http_authorization takes a user and a password, or a token; write \
                            {user: NAME, password: SECRET} or {token: SECRET}";
                self.report.error(&pair.at, text);
                return;
            }
        };
    }
}
