//! `/livez` and `/readyz`: whether to leave the process alone, and whether to send it clients. A lame
//! duck is alive and not ready.

use super::Content;
use super::healthz::{Healthz, NOT_READY};
use crate::monitor::http::response::UNAVAILABLE;
use crate::monitor::view::View;

/// An answer means that the loop turns.
pub(super) fn live() -> Content {
    Content::Json(Healthz::good().body())
}

pub(super) fn ready(view: &View<'_>) -> Content {
    if view.state.lame_duck {
        Content::Failure(UNAVAILABLE, Healthz::bad(NOT_READY).body())
    } else {
        Content::Json(Healthz::good().body())
    }
}

#[cfg(test)]
mod tests {
    use super::super::healthz;
    use super::*;
    use crate::monitor::http::response::{INTERNAL_ERROR, Status};
    use crate::monitor::query::Query;
    use crate::monitor::view::fake;

    fn check(made: Content, status: Option<Status>, body: &str) {
        let (told, text) = match made {
            Content::Json(text) => (None, text),
            Content::Failure(status, text) => (Some(status), text),
            _ => panic!("a probe is answered with a word"),
        };
        assert_eq!(
            (told, String::from_utf8_lossy(&text).as_ref()),
            (status, body)
        );
    }

    #[test]
    fn a_lame_duck_is_alive_and_not_ready() {
        let (mut state, records) = fake::broker();
        let health = |view: &View<'_>| healthz::answer(view, &Query::new("")).expect("no mistake");
        let good = r#"{"status":"ok"}"#;
        check(ready(&fake::view(&state, &records)), None, good);
        check(health(&fake::view(&state, &records)), None, good);
        state.lame_duck = true;
        let bad =
            r#"{"status":"error","error":"failed to be ready for connections after 1ms: server"}"#;
        check(live(), None, good);
        check(ready(&fake::view(&state, &records)), Some(UNAVAILABLE), bad);
        check(
            health(&fake::view(&state, &records)),
            Some(INTERNAL_ERROR),
            bad,
        );
    }
}
