//! The block `http_authorization`, midge's own: what monitoring asks for before it answers.

use super::authorization::Secrets;
use super::reader::Reader;
use crate::config::Auth;
use crate::config::language::Pair;

impl Reader<'_> {
    /// A user and a password, as HTTP's `Basic`, or a token, as its `Bearer`.
    pub(super) fn http_authorization(&mut self, pair: &Pair) {
        let Some(map) = self.map(pair) else { return };
        let mut secrets = Secrets::default();
        for pair in map.iter() {
            if !secrets.read(self, pair) && !pair.used {
                self.unknown(pair, "", Secrets::KEYS.iter().copied());
            }
        }
        let Secrets { user, pass, token } = secrets;
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
