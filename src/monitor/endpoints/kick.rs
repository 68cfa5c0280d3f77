//! `/kick`, midge's own: closes the connections that a filter of `/connz` finds.
//!
//! `GET` is the dry run: it answers what `/connz` would, and closes nothing. `POST` answers the same, and each
//! connection in the answer is sent the reason as `-ERR`, and closed. The list is bounded by `limit`, as that of
//! `/connz`; `total` says how many were found.
//!
//! Both need a password or a token on the monitoring port, and a filter. What a browser sends from a page of
//! another site is refused, since the browser may add the password by itself.

use super::Content;
use super::connz::Connz;
use crate::Auth;
use crate::monitor::http::request::{Method, Request};
use crate::monitor::http::response::FORBIDDEN;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use crate::monitor::{Budget, Kicked, Pieces};
use std::rc::Rc;

/// Most bytes of a reason: it has to fit into a line of the log.
const REASON_BYTES_MAX: usize = 256;

const NO_PASSWORD: &str = "kick needs a password on the monitoring port; set \
     http_authorization {user: NAME, password: SECRET}, and give both with the request";

const FOREIGN_PAGE: &str = "a page of another site may not kick";

const NO_FILTER: &str = "kick needs a filter; add cid=, user=, acc= or find=, or all=true";

const NO_SUCH_CID: &str = "no connection has the cid 0; give that of /connz";

const BAD_REASON: &str = "the reason must be printable text without ', of at most 256 bytes";

const NOT_OPEN: &str = "only open connections can be kicked; leave state out";

pub(super) fn answer(
    view: &View<'_>,
    request: &Request,
    query: &Query<'_>,
) -> Result<Content, Mistake> {
    let monitor = view.state.config.monitor.as_ref();
    if monitor.is_none_or(|monitor| monitor.auth == Auth::None) {
        return Ok(Content::Refused(FORBIDDEN, NO_PASSWORD));
    }
    if request.is_cross_site {
        return Ok(Content::Refused(FORBIDDEN, FOREIGN_PAGE));
    }
    if query.number("cid")? == Some(0) {
        return Err(NO_SUCH_CID.to_owned());
    }
    let mut filters = ["cid", "user", "acc", "find"].iter();
    let given = |name: &str| query.text(name).is_some_and(|text| !text.is_empty());
    if !filters.any(|name| given(name)) && !query.switch("all")? {
        return Err(NO_FILTER.to_owned());
    }
    let state = query.text("state").unwrap_or_else(|| "open".to_owned());
    if !state.eq_ignore_ascii_case("open") {
        return Err(NOT_OPEN.to_owned());
    }
    let reason = query.text("reason").filter(|reason| !reason.is_empty());
    let reason = reason.as_deref().unwrap_or("no reason given");
    let is_printable = |char: char| !char.is_control() && char != '\'';
    if reason.len() > REASON_BYTES_MAX || !reason.chars().all(is_printable) {
        return Err(BAD_REASON.to_owned());
    }
    Ok(Content::Pieces(Box::new(Kick {
        connz: Connz::of_open(query)?,
        reason: Rc::from(reason),
        is_dry: request.method != Method::Post,
    })))
}

/// The answer, as far as it is.
struct Kick {
    connz: Connz,
    reason: Rc<str>,
    /// Nothing is closed.
    is_dry: bool,
}

impl Pieces for Kick {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        self.connz.next(view, budget, out)
    }

    fn bytes(&self) -> usize {
        self.connz.bytes()
    }

    fn take_kicked(&mut self) -> Option<Kicked> {
        let keys = self.connz.take_told();
        let reason = Rc::clone(&self.reason);
        (!self.is_dry && !keys.is_empty()).then_some(Kicked { keys, reason })
    }
}
