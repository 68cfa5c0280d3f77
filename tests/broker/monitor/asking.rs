//! HTTP: what is answered, refused, and how long a connection lasts.

use super::{monitored, named, start};
use crate::http::{Http, get};
use midge::{Advertise, Auth, Config, Monitor, StartError, WebSocket};

#[test]
fn one_connection_asks_many_times_also_before_it_was_answered() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    let mut http = Http::connect(addr);
    for _ in 0..3 {
        assert_eq!(http.get("/healthz").body, "{\"status\":\"ok\"}");
    }
    let targets = ["/healthz", "/connz", "/nothing", "/varz", "/subsz?subs=1"];
    let many: String = (0..40)
        .map(|number| format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", targets[number % 5]))
        .collect();
    http.send(&many);
    for number in 0..40 {
        let answer = http.response(false).expect("each is answered, in order");
        let expected = if number % 5 == 2 { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{}", targets[number % 5]);
        assert_eq!(answer.body.contains("\"http_req_stats\""), number % 5 == 3);
    }
}

#[test]
fn head_is_answered_without_the_body() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    let mut http = Http::connect(addr);
    for target in ["/healthz", "/connz"] {
        let len = http.get(target).body.len();
        http.send(&format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = http.response(true).expect("an answer comes");
        assert_eq!(head.status, 200);
        let told: usize = head
            .field("content-length")
            .expect("it is short")
            .parse()
            .expect("a number");
        assert!(told.abs_diff(len) < 10, "{told} and {len}");
    }
    assert_eq!(http.get("/healthz").body, "{\"status\":\"ok\"}");
}

#[test]
fn any_method_is_answered_and_a_body_is_passed_over() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    let mut http = Http::connect(addr);
    http.send("POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(http.response(false).expect("an answer comes").status, 200);
    assert_eq!(http.get("/healthz").status, 200);
}

#[test]
fn paths_are_exact_and_doubled_slashes_lead_elsewhere() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    for (target, status) in [
        ("/", 200),
        ("/varz/", 404),
        ("/VARZ", 404),
        ("/x", 404),
        ("//varz", 301),
    ] {
        assert_eq!(get(addr, target).status, status, "{target}");
    }
    assert_eq!(get(addr, "/x").body, "404 page not found\n");
    assert_eq!(get(addr, "//varz?a=1").field("location"), Some("/varz?a=1"));
    let root = get(addr, "/");
    assert_eq!(root.field("content-type"), Some("text/html; charset=utf-8"));
    let links = links(&root.body);
    assert!(links.len() > 15, "{links:?}");
    for link in links {
        let target = link.strip_prefix('.').expect("links are relative");
        assert_eq!(get(addr, target).status, 200, "{target}");
    }
}

/// Where the links of a page to endpoints lead.
fn links(page: &str) -> Vec<&str> {
    let links = page.split("<li><a href=\"").skip(1);
    links.filter_map(|link| link.split('"').next()).collect()
}

#[test]
fn the_root_page_is_whole_and_asks_for_nothing_from_elsewhere() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    let root = get(addr, "/");
    let policy = root.field("content-security-policy").expect("it has one");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = root.body;
    assert!(page.ends_with("</html>\n"));
    for part in [
        "<style>",
        "<script type=\"module\">",
        "<main",
        "data-base=\"./\"",
    ] {
        assert_eq!(page.matches(part).count(), 1, "{part}");
    }
    for part in ["{base}", "{links}", "{version}", " src=", "@import"] {
        assert!(!page.contains(part), "{part}");
    }
    // The names of vocabularies are no requests.
    for (at, _) in page.match_indices("http") {
        let rest = &page[at..];
        assert!(!rest.starts_with("https://"), "{}", &rest[..40]);
        let named = rest.starts_with("http://www.w3.org/2000/svg");
        assert!(named || !rest.starts_with("http://"), "{}", &rest[..40]);
    }
}

#[test]
fn the_root_page_may_open_a_websocket_where_clients_may_and_nowhere_else() {
    let policy = |advertise: Option<&str>, has_any: bool| {
        let websocket = WebSocket {
            host: "127.0.0.1".to_owned(),
            no_tls: true,
            advertise: advertise.and_then(|text| Advertise::parse(text).expect("an address")),
            ..WebSocket::default()
        };
        let (broker, addr) = start(Config {
            websocket: has_any.then_some(websocket),
            ..monitored(Monitor::default())
        });
        let policy = get(addr, "/");
        let policy = policy.field("content-security-policy").expect("it has one");
        let (_, rest) = policy.split_once("connect-src ").expect("a part");
        let asked = rest.split(';').next().expect("its end").trim().to_owned();
        let port = broker.websocket_addr().map_or(0, |addr| addr.port());
        asked.replace(&port.to_string(), "PORT")
    };
    assert_eq!(policy(None, false), "'self'");
    assert_eq!(policy(None, true), "'self' ws://*:PORT wss://*:PORT");
    for (advertised, expected) in [
        (
            "ws.example",
            "'self' ws://ws.example:PORT wss://ws.example:PORT",
        ),
        (
            "ws.example:9",
            "'self' ws://ws.example:9 wss://ws.example:9",
        ),
        ("a; script-src *:9", "'self' ws://*:9 wss://*:9"),
    ] {
        assert_eq!(policy(Some(advertised), true), expected);
    }
}

#[test]
fn a_base_path_stands_before_everything() {
    for base_path in ["/nats", "nats/"] {
        let base_path = base_path.to_owned();
        let (_broker, addr) = start(monitored(Monitor {
            base_path: base_path.clone(),
            ..Monitor::default()
        }));
        for (target, status) in [
            ("/nats", 200),
            ("/nats/varz", 200),
            ("/nats/", 404),
            ("/varz", 404),
            ("/", 404),
            ("/natsvarz", 404),
        ] {
            assert_eq!(get(addr, target).status, status, "{base_path} {target}");
        }
        let root = get(addr, "/nats").body;
        assert!(root.contains("data-base=\"./nats/\""), "{base_path}");
        assert!(links(&root).contains(&"./nats/varz"), "{base_path}");
        let varz = get(addr, "/nats/varz").json();
        assert_eq!(varz["http_base_path"], base_path.as_str());
        assert_eq!(varz["http_req_stats"]["/varz"], 2);
    }
}

#[test]
fn what_is_no_good_request_is_answered_once_and_ends_the_connection() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000));
    for (bytes, status) in [
        ("CONNECT {}\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
            413,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            501,
        ),
        (&long, 431),
    ] {
        let mut http = Http::connect(addr);
        http.send(bytes);
        let answer = http.response(false).expect("an answer comes");
        assert_eq!(answer.status, status, "{bytes:.40}");
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(!answer.body.is_empty() && http.is_at_end(), "{bytes:.40}");
    }
}

#[test]
fn a_connection_ends_when_it_is_asked_to() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    for request in [
        "GET /connz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /varz HTTP/1.0\r\n\r\n",
    ] {
        let mut http = Http::connect(addr);
        http.send(request);
        http.response(false).expect("an answer comes").json();
        assert!(http.is_at_end());
    }
}

#[test]
fn a_request_that_has_begun_keeps_no_place_from_others() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    let mut slow: Vec<Http> = (0..64).map(|_| Http::connect(addr)).collect();
    for http in &mut slow {
        http.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /he");
        assert_eq!(http.response(false).expect("an answer comes").status, 200);
    }
    assert_eq!(Http::connect(addr).get("/healthz").status, 200);
    assert!(
        slow[0].response(false).is_err(),
        "it had waited for longest"
    );
    slow[1].send("althz HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = slow[1].response(false).expect("an answer comes");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_kept_connection_gives_its_place_to_whoever_asks_next() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    let mut kept: Vec<Http> = (0..64).map(|_| Http::connect(addr)).collect();
    for http in &mut kept {
        assert_eq!(http.get("/healthz").status, 200);
    }
    // It has asked again, so that the second has been silent for longest.
    assert_eq!(kept[0].get("/healthz").status, 200);
    let mut probe = Http::connect(addr);
    assert_eq!(probe.get("/livez").status, 200);
    assert!(kept[1].is_at_end());
    assert_eq!(kept[0].get("/healthz").status, 200);
    assert_eq!(kept[2].get("/healthz").status, 200);
}

#[test]
fn credentials_are_asked_for_where_they_are_set_and_not_of_probes() {
    let user = Auth::User {
        user: "ann".to_owned(),
        pass: "pw".into(),
    };
    for (auth, field, scheme) in [
        (user, "Basic YW5uOnB3", "Basic"),
        (Auth::Token("tok".into()), "Bearer tok", "Bearer"),
    ] {
        let (_broker, addr) = start(monitored(Monitor {
            auth,
            ..Monitor::default()
        }));
        let refused = get(addr, "/varz");
        assert_eq!(refused.status, 401);
        let asked = refused.field("www-authenticate").unwrap_or_default();
        assert!(asked.starts_with(scheme), "{asked}");
        for probe in ["/healthz", "/livez", "/readyz"] {
            assert_eq!(get(addr, probe).status, 200, "{probe}");
        }
        let mut http = Http::connect(addr);
        http.send(&format!(
            "GET /varz HTTP/1.1\r\nHost: a\r\nAuthorization: {field}\r\n\r\n"
        ));
        assert_eq!(http.response(false).expect("an answer comes").status, 200);
    }
}

#[test]
fn a_port_that_is_taken_is_told_as_nats_server_does_and_nothing_is_left_behind() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let taken = monitored(Monitor {
        port: addr.port(),
        ..Monitor::default()
    });
    let error = midge::Broker::bind(taken).expect_err("the port is taken");
    assert!(matches!(error, StartError::Monitor { .. }));
    let text = error.to_string();
    let expected = format!(
        "Can't start monitoring: can't listen to the monitor port: listen tcp {addr}: bind: address \
         already in use"
    );
    assert!(text.starts_with(&expected), "{text}");
    let empty = monitored(Monitor {
        auth: Auth::Token("".into()),
        ..Monitor::default()
    });
    assert!(
        midge::Broker::bind(empty).is_err_and(|error| error.to_string().contains("monitoring"))
    );
    named(broker.addr(), "still").sync();
}
