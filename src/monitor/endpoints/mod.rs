//! Which endpoint a path is, who may ask it, and how its answer becomes a response.

mod accountz;
mod accstatz;
mod connz;
mod detail;
mod gatewayz;
mod healthz;
mod ipqueuesz;
mod jsz;
mod kick;
mod leafz;
mod livez;
mod loopz;
mod memz;
mod metrics;
mod root;
mod routez;
mod slowz;
mod subsz;
mod topz;
mod varz;

use crate::monitor::Pieces;
use crate::monitor::http::request::Request;
use crate::monitor::http::response::{BAD_REQUEST, MOVED, NOT_FOUND, OK, Status, UNAUTHORIZED};
use crate::monitor::json;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use crate::records::slow::Episode;
use crate::state::State;
use crate::{Auth, User};
use accstatz::Statz;
use data_encoding::BASE64;
use serde::Serialize;
use std::borrow::Cow;

/// A field of an answer's head.
pub(super) type Field = (&'static str, Cow<'static, str>);

/// Text for people.
pub(super) const PLAIN: Field = content_type("text/plain; charset=utf-8");
const JSON: Field = content_type("application/json");
const SCRIPT: Field = content_type("application/javascript");
const METRICS: Field = content_type("application/openmetrics-text; version=1.0.0; charset=utf-8");
const HTML: Field = content_type("text/html; charset=utf-8");

/// Any page may read what is monitored, as with nats-server from 2.10 on.
const ANY_ORIGIN: Field = ("Access-Control-Allow-Origin", Cow::Borrowed("*"));
const NO_SNIFFING: Field = ("X-Content-Type-Options", Cow::Borrowed("nosniff"));

/// What a page may do: run what it contains, and ask the server it came from, or what else it `may_ask`. What clients call
/// themselves is shown in it.
fn only_itself(may_ask: &str) -> Field {
    let policy = format!(
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
         connect-src 'self' {may_ask}; base-uri 'none'; form-action 'none'"
    );
    ("Content-Security-Policy", Cow::Owned(policy))
}

const fn content_type(value: &'static str) -> Field {
    ("Content-Type", Cow::Borrowed(value))
}

/// What can be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Endpoint {
    Root,
    Varz,
    Jsz,
    Connz,
    Accountz,
    Accstatz,
    Subsz,
    Routez,
    Leafz,
    Gatewayz,
    Healthz,
    Ipqueuesz,
    Livez,
    Readyz,
    Loopz,
    Memz,
    Slowz,
    Topz,
    Metrics,
    Kick,
}

/// Each with its paths; the first is the one that is counted. The order is that of the root page.
const ENDPOINTS: &[(Endpoint, &[&str])] = &[
    (Endpoint::Root, &["/"]),
    (Endpoint::Varz, &["/varz"]),
    (Endpoint::Jsz, &["/jsz"]),
    (Endpoint::Connz, &["/connz"]),
    (Endpoint::Accountz, &["/accountz"]),
    (Endpoint::Accstatz, &["/accstatz"]),
    (Endpoint::Subsz, &["/subsz", "/subscriptionsz"]),
    (Endpoint::Routez, &["/routez"]),
    (Endpoint::Leafz, &["/leafz"]),
    (Endpoint::Gatewayz, &["/gatewayz"]),
    (Endpoint::Healthz, &["/healthz"]),
    (Endpoint::Ipqueuesz, &["/ipqueuesz"]),
    // From here on midge's own.
    (Endpoint::Livez, &["/livez"]),
    (Endpoint::Readyz, &["/readyz"]),
    (Endpoint::Loopz, &["/loopz"]),
    (Endpoint::Memz, &["/memz"]),
    (Endpoint::Slowz, &["/slowz"]),
    (Endpoint::Topz, &["/topz"]),
    (Endpoint::Metrics, &["/metrics"]),
    (Endpoint::Kick, &["/kick"]),
];

impl Endpoint {
    /// The endpoint that a path is, below the base path.
    pub(super) fn of(state: &State, path: &str) -> Option<Endpoint> {
        let base = base_path(state);
        let below = path.strip_prefix(base.as_str())?;
        let below = match below {
            "" => "/",
            // The root page of a base path has no slash behind it.
            "/" if !base.is_empty() => return None,
            below => below,
        };
        let is_it = |(_, names): &&(Endpoint, &[&str])| names.contains(&below);
        ENDPOINTS.iter().find(is_it).map(|(endpoint, _)| *endpoint)
    }

    /// The path by which it is counted.
    pub(super) fn name(self) -> &'static str {
        let found = ENDPOINTS.iter().find(|(endpoint, _)| *endpoint == self);
        found.map_or("/", |(_, names)| names[0])
    }

    /// All of them but the root page.
    pub(super) fn all() -> impl Iterator<Item = Endpoint> {
        ENDPOINTS.iter().skip(1).map(|(endpoint, _)| *endpoint)
    }

    /// Whether it is asked by those who start and stop programs, which have no password and get no
    /// more than a word.
    pub(super) fn is_probe(self) -> bool {
        matches!(self, Endpoint::Healthz | Endpoint::Livez | Endpoint::Readyz)
    }
}

/// The base path with one slash in front and none behind, or nothing.
pub(super) fn base_path(state: &State) -> String {
    let monitor = state.config.monitor.as_ref();
    let path = monitor.map_or("", |monitor| monitor.base_path.trim_matches('/'));
    if path.is_empty() {
        String::new()
    } else {
        format!("/{path}")
    }
}

/// What goes back.
pub(super) struct Response {
    pub(super) status: Status,
    pub(super) fields: Vec<Field>,
    pub(super) body: Body,
}

/// What goes back behind the head.
pub(super) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Made a piece at a time.
    Pieces {
        /// What stands before the first.
        first: Vec<u8>,
        pieces: Box<dyn Pieces>,
        /// What stands behind the last.
        last: &'static [u8],
    },
}

/// What an endpoint has to say.
pub(super) enum Content {
    /// JSON.
    Json(Vec<u8>),
    /// JSON, made a piece at a time.
    Pieces(Box<dyn Pieces>),
    /// JSON, and what it says is bad.
    Failure(Status, Vec<u8>),
    /// Why it is not done, in words.
    Refused(Status, &'static str),
    /// A page, and where it may open connections besides the server that it comes from, as a policy says it.
    Page { text: String, may_ask: String },
    /// OpenMetrics, made a piece at a time.
    Metrics(Box<dyn Pieces>),
}

impl Content {
    /// All of a value.
    pub(super) fn json(value: &impl Serialize) -> Content {
        let mut body = Vec::with_capacity(2048);
        json::put(&mut body, value, 0);
        Content::Json(body)
    }
}

/// Answers a request.
pub(super) fn answer(view: &View<'_>, request: &Request) -> Response {
    if let Some(path) = cleaned(&request.path) {
        return moved(&path, &request.query);
    }
    let Some(endpoint) = Endpoint::of(view.state, &request.path) else {
        return Response {
            status: NOT_FOUND,
            fields: vec![PLAIN, NO_SNIFFING],
            body: Body::Whole(b"404 page not found\n".to_vec()),
        };
    };
    let monitor = view.state.config.monitor.as_ref();
    let auth = monitor.map_or(&Auth::None, |monitor| &monitor.auth);
    if !endpoint.is_probe() && !is_allowed(auth, request.authorization.as_deref()) {
        return unauthorized(auth);
    }
    let query = Query::new(&request.query);
    let asked = || Ok((callback(&query)?, ask(endpoint, view, request, &query)?));
    match asked() {
        Ok((callback, content)) => response(content, callback),
        Err(mistake) => refused(BAD_REQUEST, mistake),
    }
}

fn refused(status: Status, mistake: Mistake) -> Response {
    Response {
        status,
        fields: vec![PLAIN],
        body: Body::Whole(mistake.into_bytes()),
    }
}

fn ask(
    endpoint: Endpoint,
    view: &View<'_>,
    request: &Request,
    query: &Query<'_>,
) -> Result<Content, Mistake> {
    match endpoint {
        Endpoint::Root => Ok(root::answer(view)),
        Endpoint::Varz => Ok(varz::answer(view)),
        Endpoint::Jsz => Ok(jsz::answer(view)),
        Endpoint::Connz => connz::answer(query),
        Endpoint::Accountz => accountz::answer(view, query),
        Endpoint::Accstatz => accstatz::answer(view, query),
        Endpoint::Subsz => subsz::answer(view, query),
        Endpoint::Routez => routez::answer(view, query),
        Endpoint::Leafz => leafz::answer(view, query),
        Endpoint::Gatewayz => gatewayz::answer(view, query),
        Endpoint::Healthz => healthz::answer(view, query),
        Endpoint::Ipqueuesz => Ok(ipqueuesz::answer()),
        Endpoint::Livez => Ok(livez::live()),
        Endpoint::Readyz => Ok(livez::ready(view)),
        Endpoint::Loopz => Ok(loopz::answer(view)),
        Endpoint::Memz => Ok(memz::answer()),
        Endpoint::Slowz => Ok(slowz::answer(view)),
        Endpoint::Topz => topz::answer(query),
        Endpoint::Metrics => Ok(metrics::answer()),
        Endpoint::Kick => kick::answer(view, request, query),
    }
}

/// JSON that was asked for by a message.
pub(super) enum Asked {
    Whole(Vec<u8>),
    Pieces(Box<dyn Pieces>),
}

/// What an endpoint says that changes nothing, without HTTP.
pub(super) fn asked(
    endpoint: Endpoint,
    view: &View<'_>,
    query: &Query<'_>,
) -> Result<Asked, Mistake> {
    match ask(endpoint, view, &Request::default(), query)? {
        Content::Json(body) | Content::Failure(_, body) => Ok(Asked::Whole(body)),
        Content::Pieces(pieces) => Ok(Asked::Pieces(pieces)),
        Content::Refused(..) | Content::Page { .. } | Content::Metrics(_) => {
            Err(format!("{} is asked over HTTP", endpoint.name()))
        }
    }
}

/// Why no clients may come, if they may not.
pub(super) fn not_ready(view: &View<'_>) -> Option<&'static str> {
    view.state.lame_duck.then_some(healthz::NOT_READY)
}

/// What an account is, which there must be.
pub(super) fn account(name: String) -> Asked {
    Asked::Pieces(accountz::detail(name))
}

/// What an account does; nothing, if it is not open.
pub(super) fn figures<'a>(view: &View<'a>, name: &'a str) -> Statz<'a> {
    let account = view.state.core.accounts.named(name);
    account.map_or_else(
        || Statz::unused(view, name),
        |one| accstatz::accstatz(view, one),
    )
}

/// A client that is or was behind, as it is told.
pub(super) fn slow<'a>(view: &View<'a>, episode: &'a Episode) -> slowz::One<'a> {
    slowz::One::of(view, episode)
}

/// The name of the function that a script wants its JSON given to. It stands in what a browser runs,
/// so it must be a name.
fn callback(query: &Query<'_>) -> Result<Option<String>, Mistake> {
    let Some(name) = query.text("callback") else {
        return Ok(None);
    };
    let is_part = |char: char| char.is_ascii_alphanumeric() || "_$.[]".contains(char);
    if name.chars().all(is_part) {
        Ok(Some(name))
    } else {
        Err("invalid callback, must be the name of a function".to_owned())
    }
}

fn response(content: Content, callback: Option<String>) -> Response {
    let whole = |status, fields, body| Response {
        status,
        fields,
        body: Body::Whole(body),
    };
    let pieces = |fields, first, pieces, last| Response {
        status: OK,
        fields,
        body: Body::Pieces {
            first,
            pieces,
            last,
        },
    };
    let (fields, first, last) = match callback {
        None => (vec![JSON, ANY_ORIGIN], Vec::new(), &b""[..]),
        Some(name) => (vec![SCRIPT], (name + "(").into_bytes(), &b")"[..]),
    };
    match content {
        Content::Json(body) => whole(OK, fields, [&first, &*body, last].concat()),
        Content::Failure(status, body) => whole(status, fields, [&first, &*body, last].concat()),
        Content::Refused(status, text) => refused(status, text.to_owned()),
        Content::Pieces(made) => pieces(fields, first, made, last),
        Content::Page { text, may_ask } => {
            let fields = vec![HTML, NO_SNIFFING, only_itself(&may_ask)];
            whole(OK, fields, text.into_bytes())
        }
        Content::Metrics(made) => pieces(vec![METRICS], Vec::new(), made, b""),
    }
}

/// The path without empty parts and dots, if it has any. None that a browser would take for the
/// name of another host: `\` is as good as `/` to them.
fn cleaned(path: &str) -> Option<String> {
    if path.contains('\\') {
        return None;
    }
    let has_any = path.contains("//") || path.split('/').any(|part| matches!(part, "." | ".."));
    if !has_any {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = if path.ends_with('/') && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    Some(format!("/{}{end}", parts.join("/")))
}

fn moved(path: &str, query: &str) -> Response {
    let mark = if query.is_empty() { "" } else { "?" };
    let location = format!("{path}{mark}{query}");
    let shown = location
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;");
    Response {
        status: MOVED,
        body: Body::Whole(format!("<a href=\"{shown}\">Moved Permanently</a>.\n\n").into_bytes()),
        fields: vec![HTML, ("Location", location.into())],
    }
}

fn unauthorized(auth: &Auth) -> Response {
    let scheme = match auth {
        Auth::Token(_) => "Bearer realm=\"midge\"",
        _ => "Basic realm=\"midge\", charset=\"UTF-8\"",
    };
    Response {
        status: UNAUTHORIZED,
        fields: vec![PLAIN, ("WWW-Authenticate", scheme.into())],
        body: Body::Whole(b"401 unauthorized".to_vec()),
    }
}

fn is_allowed(auth: &Auth, authorization: Option<&[u8]>) -> bool {
    let (scheme, given) = authorization
        .and_then(|field| std::str::from_utf8(field).ok())
        .and_then(|field| field.trim().split_once(' '))
        .unwrap_or_default();
    match auth {
        Auth::None => true,
        Auth::Token(token) => scheme.eq_ignore_ascii_case("Bearer") && token.is(given.trim()),
        Auth::User { user, pass } => is_basic(scheme, given, |name, secret| {
            user == name && pass.is(secret)
        }),
        Auth::Users { users, .. } => is_basic(scheme, given, |name, secret| {
            let known = users.iter().find(|user| user.name == name);
            let password = known.and_then(User::password);
            password.is_some_and(|password| password.is(secret))
        }),
        // No broker starts so.
        Auth::Operators(_) => false,
    }
}

/// Whether `given` is a name and a password as HTTP's `Basic` has them, and good ones.
fn is_basic(scheme: &str, given: &str, good: impl FnOnce(&str, &str) -> bool) -> bool {
    let decoded = BASE64.decode(given.trim().as_bytes()).unwrap_or_default();
    let decoded = String::from_utf8(decoded).unwrap_or_default();
    let parts = decoded.split_once(':');
    scheme.eq_ignore_ascii_case("Basic") && parts.is_some_and(|(name, secret)| good(name, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cleaned_only_if_it_needs_it() {
        for (path, expected) in [
            ("/varz", None),
            ("/varz/", None),
            ("/", None),
            ("//varz", Some("/varz")),
            ("/a/../varz", Some("/varz")),
            ("/./varz/", Some("/varz/")),
            ("/../..", Some("/")),
            ("//", Some("/")),
            (r"/./\host", None),
        ] {
            assert_eq!(cleaned(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn only_the_right_credentials_are_let_in() {
        let user = Auth::User {
            user: "ann".to_owned(),
            pass: "a:b".into(),
        };
        let basic = |text: &str| format!("Basic {}", BASE64.encode(text.as_bytes()));
        let token = Auth::Token("t".into());
        for (auth, field, expected) in [
            (&user, Some(basic("ann:a:b")), true),
            (&user, Some(basic("ann:a:c")), false),
            (&user, Some(basic("ann")), false),
            (&user, Some("Basic !".to_owned()), false),
            (&user, Some("Bearer t".to_owned()), false),
            (&user, None, false),
            (&token, Some("bearer t".to_owned()), true),
            (&token, Some("Bearer tt".to_owned()), false),
            (&token, None, false),
            (&Auth::None, None, true),
        ] {
            let field = field.as_deref().map(str::as_bytes);
            assert_eq!(is_allowed(auth, field), expected, "{field:?}");
        }
    }
}
