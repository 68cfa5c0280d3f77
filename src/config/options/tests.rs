//! Tables of files, and what each must come to.

use super::settings;
use crate::config::language::{System, parse};
use crate::config::settings::SETTINGS;

/// What differs from the defaults, or what is told: errors, or warnings and notices behind a `~`.
pub(super) fn outcome(text: &str) -> String {
    let document = match parse("f".as_ref(), text.as_bytes(), &System) {
        Ok(document) => document,
        Err(errors) => return format!("{errors:?}"),
    };
    let found = settings(&document);
    if !found.report.errors.is_empty() {
        let lines: Vec<String> = found
            .report
            .errors
            .iter()
            .map(ToString::to_string)
            .collect();
        return lines.join("\n");
    }
    let defaults = crate::config::Options::default();
    let differ = SETTINGS
        .iter()
        .filter(|s| !s.is_same(&defaults, &found.options));
    let mut parts: Vec<String> = differ
        .map(|setting| format!("{}={}", setting.name, setting.show(&found.options)))
        .collect();
    let told = found.report.warnings.iter().chain(&found.report.notices);
    parts.extend(told.map(|told| format!("~{told}")));
    parts.join(" ")
}

pub(super) fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(outcome(text), *expected, "{text}");
    }
}

#[test]
fn a_port_beside_a_unix_socket_is_an_error() {
    for text in [
        "port: 5222\nunix {path: /run/m}",
        "listen: \"h:1\"\nunix {path: /run/m}",
        "listeners {a {port: 1, unix {path: /run/m}}}",
        "listeners {a {listen: unix:/run/m, port: 1}}",
    ] {
        let told = outcome(text);
        assert!(
            told.contains("cannot be both a port and a Unix socket"),
            "{text}: {told}"
        );
    }
}

#[test]
fn a_pattern_of_include_that_no_file_matches_is_told() {
    check(&[(
        "port: 5222\ninclude \"no such directory/*.conf\"",
        "port=5222 ~f:2:1: no file matches include 'no such directory/*.conf'; nothing is included here",
    )]);
}

#[test]
fn every_name_of_an_option_sets_it() {
    check(&[
        ("listen: 127.0.0.1:5222", "host=127.0.0.1 port=5222"),
        ("listen: 5222", "port=5222"),
        ("listen: \":5222\"", "port=5222"),
        ("listen: \"[::1]:-1\"", "host=::1 port=-1"),
        ("Port: -1", "port=-1"),
        ("PORT: 0\nnet: localhost", "host=localhost"),
        (
            "listen: unix:/run/m",
            "unix=/run/m mode 0660 unix users=others log in",
        ),
        (
            "listen: \"unix:///run/m\"",
            "unix=/run/m mode 0660 unix users=others log in",
        ),
        (
            "unix {path: /run/m, mode: 600, users_by_uid {7: a}, users_by_gid {4294967294: b}, other_peers: refuse}",
            "unix=/run/m mode 0600 unix users=uid 7: a, gid 4294967294: b, others are refused",
        ),
        (
            "proxy_protocol {trusted: [10.0.0.0/8, \"::1\"], others: direct}",
            "proxy_protocol=trusted [10.0.0.0/8, ::1/128], others direct",
        ),
        (
            "listeners {a {listen: \"h:1\", no_auth_user: u, timeout: 3, max_conn: 5, advertise: b}, c {port: -1}}",
            "listeners=[a: h:1, c: 0.0.0.0:-1] listeners advertise=[a: b] \
             listeners authorization=[a: no_auth_user u, timeout 3s] listeners max_connections=[a: 5]",
        ),
        (
            "listeners {a {listen: unix:/run/m, unix {mode: 0666}}}",
            "listeners=[a: /run/m mode 0666] listeners unix users=[a: others log in]",
        ),
        (
            "client_advertise: \"example.org:9\"",
            "client_advertise=example.org:9",
        ),
        (
            "client_advertise: example.org",
            "client_advertise=example.org",
        ),
        ("client_advertise: \"h:-1\"", "client_advertise=h"),
        ("server_name: 5", "server_name=5"),
        ("server_name: \"\"", ""),
        ("server_tags: [A, b]", "server_tags=[a, b]"),
        ("server_tags: x:1", "server_tags=[x:1]"),
        (
            "server_metadata {a: b, c: 1}",
            "server_metadata={a: b, c: 1}",
        ),
        ("http: 8222", "http_port=8222"),
        (
            "http: \"127.0.0.1:-1\"\nhttp_base_path: nats/",
            "http_port=127.0.0.1:-1 http_base_path=/nats",
        ),
        (
            "http_base_path: /nats\nmonitor_port: 1",
            "http_port=1 http_base_path=/nats",
        ),
        ("http_port: 0", ""),
        (
            "http_port: 1\nhttp_authorization {user: ann, password: a}",
            "http_port=1 http_authorization=user ann",
        ),
        (
            "http_authorization {token: t}\nhttp_port: 1",
            "http_port=1 http_authorization=a token",
        ),
        ("http_authorization {token: t}", ""),
        ("max_conn: 5", "max_connections=5"),
        ("max_connections: 0", ""),
        ("max_connections: -1", "max_connections=none"),
        ("max_subs: 5", "max_subscriptions=5"),
        ("max_subs: 0", ""),
        ("max_sub_tokens: 255", "max_sub_tokens=255"),
        ("max_control_line: 1KB", "max_control_line=1024"),
        ("max_payload: 2mb", "max_payload=2097152"),
        (
            "max_payload: 0\nmax_pending: 0\nmax_control_line: 0\nping_max: 0",
            "",
        ),
        ("max_pending: 1g", "max_pending=1000000000"),
        ("write_deadline: \"3s\"", "write_deadline=3s"),
        ("ping_interval: 50s", "ping_interval=50s"),
        (
            "ping_interval: \"1m30s\"\nping_max: 5",
            "ping_interval=1m30s ping_max=5",
        ),
        ("max_traced_msg_len: 10", "max_traced_msg_len=10"),
        (
            "no_fast_producer_stall: true",
            "no_fast_producer_stall=true",
        ),
        ("no_header_support: yes", "no_header_support=true"),
        (
            "websocket {listen: \"h:1\", no_tls: true}",
            "websocket=ws://h:1 websocket origins=none websocket handshake_timeout=2s \
             websocket compression=false websocket authorization=none websocket cookies=none",
        ),
        (
            "ws {port: -1, net: h, advertise: a, same_origin: on, origins: [\"http://b\"], \
             compress: true, authorization {token: t, timeout: 3}, no_auth_user: u, \
             handshake_timeout: 5s, user_cookie: c}",
            "websocket=ws://h:-1 websocket advertise=a websocket origins=the same, and of [http://b] \
             websocket handshake_timeout=5s websocket compression=true \
             websocket authorization=a token within 3s, or nothing as u websocket cookies=[user: c]",
        ),
        (
            "websocket {listen: \"h:1\", tls {cert_file: c, key_file: k, handshake_first: auto}}",
            "websocket=wss://h:1 websocket tls={cert_file: c, key_file: k, verify: false, timeout: 2s, \
             min_version: 1.2, handshake_first: 50ms} websocket origins=none \
             websocket handshake_timeout=2s websocket compression=false \
             websocket authorization=none websocket cookies=none \
             ~f:1:59: \"handshake_first\" has no effect: the TLS of WebSocket begins with the first byte",
        ),
        (
            "websocket {no_tls: true}",
            "~f:1:1: \"websocket\" has no effect: there is no port in it, so nothing listens; add port: 8080",
        ),
        (
            "lame_duck_duration: 1m\nlame_duck_grace_period: \"5s\"",
            "lame_duck_duration=1m0s lame_duck_grace_period=5s",
        ),
        (
            "connect_error_reports: 5\nreconnect_error_reports: 2",
            "connect_error_reports=5 reconnect_error_reports=2",
        ),
        (
            "pidfile: a.pid\nports_file_dir: /tmp",
            "pid_file=a.pid ports_file_dir=/tmp",
        ),
        (
            "debug: on\ntrace: true\nlogtime: off\nlogtime_utc: true",
            "debug=true trace=true logtime=false logtime_utc=true",
        ),
        ("trace_verbose: true\ntrace: false", "trace=true"),
        ("trace_verbose: false", ""),
        (
            "logfile: a.log\nlog_size_limit: 1mb\nlog_max_num: 3",
            "log_file=a.log logfile_size_limit=1048576 logfile_max_num=3",
        ),
        (
            "syslog: true\nremote_syslog: \"udp://h:1\"",
            "syslog=true remote_syslog=udp://h:1",
        ),
        (
            "lame_duck_duration: 60\nlame_duck_grace_period: 5\nbusy_poll: 70us\nturn_time: 3000",
            "busy_poll=70µs turn_time=3ms lame_duck_duration=1m0s lame_duck_grace_period=5s",
        ),
        (
            "busy_poll: 0\nturn_time: 1ms\nlog_format: json",
            "busy_poll=0s turn_time=1ms log_format=json",
        ),
        (
            "no_system: true\nallow_non_tls: false\nprof_block_rate: 1\nwrite_timeout: close",
            "",
        ),
        ("X: 5222\nport: $X", "port=5222"),
        ("port: 1\nport: 2", "port=2"),
    ]);
}

#[test]
fn who_may_connect_is_a_token_one_user_or_many() {
    check(&[
        ("authorization {token: 12345}", "authorization=a token"),
        (
            "authorization {user: a, password: 1e3, timeout: 0.5}",
            "authorization=user a authorization timeout=500ms",
        ),
        ("authorization {username: a}", "authorization=user a"),
        (
            "authorization {timeout: \"5s\"}",
            "authorization timeout=5s",
        ),
        ("authorization {}", ""),
        (
            "authorization {users: [{user: a, pass: b}\n{username: c, password: d}]}",
            "authorization=users a, c",
        ),
        (
            "authorization {users: [{user: a, connection_types: [standard, MQTT]}]}\nno_auth_user: a",
            "authorization=users a no_auth_user=a",
        ),
        (
            "authorization {users: [{user: a, connection_types: WEBSOCKET}]}",
            "authorization=users a",
        ),
        (
            "authorization {users: [{user: a, clients: [MQTT, leafnode_ws]}]}",
            "authorization=users a ~f:1:34: midge has no connections of these types, so this user cannot come in",
        ),
        (
            "authorization {users: [{nkey: UBCXCMGAZQZN55X5TTTWMB5CZNZIKJHEDZJOJ3TV63NKPJ6FRXSR2ZO4}, {user: a}]}",
            "authorization=users UBCXCMGAZQZN55X5TTTWMB5CZNZIKJHEDZJOJ3TV63NKPJ6FRXSR2ZO4, a",
        ),
        (
            "authorization {users: []}",
            "~f:1:16: \"users\" has no effect: the list is empty, so every client is accepted",
        ),
        (
            "authorization {P: x, user: a, pass: $P}",
            "authorization=user a",
        ),
    ]);
}

#[test]
fn what_does_not_fit_is_told_by_place_and_name() {
    check(&[
        (
            "foo: 1\nprot: 2\nport: x",
            "f:1:1: unknown field \"foo\"\nf:2:1: unknown field \"prot\"; did you mean port?\nf:3:1: interface conversion: interface {} is string, not int64; port takes a whole number, not text",
        ),
        (
            "port: 99999999999999999999",
            "f:1:1: integer '99999999999999999999' is out of the range",
        ),
        (
            "port: 99999",
            "f:1:1: address 99999: invalid port; use 1 to 65535, or -1 for any free port",
        ),
        (
            "listen: true",
            "f:1:1: expected port or host:port, got bool; write \"127.0.0.1:4222\" or 4222",
        ),
        (
            "listen: abc",
            "f:1:1: could not parse address string \"abc\"; write host:port or just a port",
        ),
        ("listen: \"h:b\"", "f:1:1: could not parse port \"b\""),
        (
            "host: [a]",
            "f:1:1: interface conversion: interface {} is []interface {}, not string; host takes text, not a list",
        ),
        (
            "debug: \"true\"",
            "f:1:1: interface conversion: interface {} is string, not bool; debug takes true or false, without quotes, not text",
        ),
        (
            "max_sub_tokens: 0",
            "f:1:1: max_sub_tokens value can not be negative; use 1 to 255",
        ),
        (
            "max_sub_tokens: 256",
            "f:1:1: max_sub_tokens value is too big; use 1 to 255",
        ),
        ("max_payload: 3g", "f:1:1: max_payload value is too big"),
        (
            "max_payload: -1",
            "f:1:1: max_payload is -1; it must be 1 or more",
        ),
        (
            "ping_interval: \"30x\"",
            "f:1:1: error parsing ping_interval: time: unknown unit \"x\" in duration \"30x\"; write it as \"2m\"",
        ),
        (
            "ping_interval: \"-1s\"",
            "f:1:1: invalid ping_interval, needs to be positive",
        ),
        (
            "lame_duck_duration: \"10s\"",
            "f:1:1: invalid lame_duck_duration of 10s, minimum is 30 seconds",
        ),
        (
            "busy_poll: 1000001",
            "f:1:1: busy_poll takes a number of microseconds, or a duration such as \"50us\", 0 to 1s",
        ),
        (
            "busy_poll: -1",
            "f:1:1: invalid busy_poll, needs to be positive",
        ),
        (
            "turn_time: \"99us\"",
            "f:1:1: turn_time takes a number of microseconds, or a duration such as \"4ms\", 100us to 1s",
        ),
        (
            "lame_duck_grace_period: \"-1s\"",
            "f:1:1: invalid lame_duck_grace_period, needs to be positive",
        ),
        (
            "lame_duck_duration: 10",
            "f:1:1: invalid lame_duck_duration of 10s, minimum is 30 seconds",
        ),
        (
            "authorization: x",
            "f:1:1: interface conversion: interface {} is string, not map[string]interface {}; authorization takes a map in { }, not text",
        ),
        (
            "authorization {user: a, pass: b, token: c}",
            "f:1:1: Cannot have a user/pass and token",
        ),
        (
            "authorization {user: a, users: [{user: b}]}",
            "f:1:1: Can not have a single user/pass and a users array",
        ),
        (
            "authorization {token: a, users: [{user: b}]}",
            "f:1:1: Can not have a token and a users array",
        ),
        (
            "authorization {pass: a}",
            "f:1:1: the block has a password and no user, so every client would be accepted; add user: NAME",
        ),
        (
            "authorization {token: \"\"}",
            "f:1:16: token is empty, so every client would be accepted; set a token, or leave the block out",
        ),
        (
            "authorization {users: a}",
            "f:1:16: Expected users field to be an array, got text; write users = [ {user: NAME, password: SECRET} ]",
        ),
        (
            "authorization {users: [a]}",
            "f:1:24: Expected user entry to be a map/struct, got text",
        ),
        (
            "authorization {users: [{pass: a}]}",
            "f:1:24: User entry requires a user",
        ),
        (
            "authorization {users: [{user: a}, {user: a}]}",
            "f:1:35: Duplicate user \"a\" detected",
        ),
        (
            "authorization {users: [{user: a, foo: 1}]}",
            "f:1:34: unknown field \"foo\"",
        ),
        (
            "http_authorization {user: ann}",
            "f:1:1: http_authorization takes a user and a password, or a token; write {user: NAME, password: SECRET} or {token: SECRET}",
        ),
        (
            "http_authorization {token: t, usr: a}",
            "f:1:31: unknown field \"usr\"; did you mean user?",
        ),
        (
            "authorization {usr: a}",
            "f:1:16: unknown field \"usr\"; did you mean user?",
        ),
        (
            "authorization {timeout: x}",
            "f:1:16: error parsing authorization config, 'timeout' time: invalid duration \"x\"",
        ),
        (
            "authorization {timeout: true}",
            "f:1:16: error parsing authorization config, 'timeout' wrong type; write a number of seconds, or a duration such as \"2s\"",
        ),
        (
            "authorization {timeout: 0}",
            "f:1:16: the authorization timeout is 0 or less, so no client could be in time; it must be longer",
        ),
        (
            "authorization {users: [{nkey: foo}]}",
            "f:1:25: Not a valid public nkey for a user; it is the one of 56 letters that begins with U",
        ),
        (
            "authorization {users: [{nkey: UBCXCMGAZQZN55X5TTTWMB5CZNZIKJHEDZJOJ3TV63NKPJ6FRXSR2ZO4}, {nkey: UBCXCMGAZQZN55X5TTTWMB5CZNZIKJHEDZJOJ3TV63NKPJ6FRXSR2ZO4}]}",
            "f:1:90: Duplicate nkey \"UBCXCMGAZQZN55X5TTTWMB5CZNZIKJHEDZJOJ3TV63NKPJ6FRXSR2ZO4\" detected",
        ),
        (
            "authorization {users: [{nkey: UBCXCMGAZQZN55X5TTTWMB5CZNZIKJHEDZJOJ3TV63NKPJ6FRXSR2ZO4, pass: a}]}",
            "f:1:24: Nkey users do not take usernames or passwords; make them two users",
        ),
        (
            "authorization {users: [{nkey: UBCXCMGAZQZN55X5TTTWMB5CZNZIKJHEDZJOJ3TV63NKPJ6FRXSR2ZO4, user: a}]}",
            "f:1:24: Nkey users do not take usernames or passwords; make them two users",
        ),
        (
            "authorization {users: [{user: a, connection_types: [FOO]}]}",
            "f:1:34: invalid connection types [\"FOO\"]; known are STANDARD, WEBSOCKET, LEAFNODE, LEAFNODE_WS, MQTT, MQTT_WS, IN_PROCESS",
        ),
    ]);
}

#[test]
fn what_is_not_supported_yet_is_checked_and_refused_by_name() {
    check(&[
        (
            "cluster {name: x, prot: 1}",
            "f:1:19: unknown field \"prot\"; did you mean port?",
        ),
        (
            "cluster {name: x, routes: [\"nats://h:6222\"]}",
            "f:1:1: \"cluster\" is not supported yet: this server runs alone and cannot connect to routes; remove it",
        ),
        (
            "cluster {Routes: \"nats://h:6222\"}",
            "f:1:1: \"cluster\" is not supported yet: this server runs alone and cannot connect to routes; remove it",
        ),
        (
            "cluster: abc",
            "f:1:1: Expected map to define cluster, got string\nf:1:1: \"cluster\" is not supported yet: this server runs alone and cannot connect to routes; remove it",
        ),
        (
            "leaf {remotes: [{url: a, bar: 1}]}",
            "f:1:1: \"leaf\" is not supported yet: leaf nodes are not implemented; remove it\nf:1:26: unknown field \"bar\"",
        ),
        (
            "leafnodes {port: x}",
            "f:1:1: \"leafnodes\" is not supported yet: leaf nodes are not implemented; remove it\nf:1:12: interface conversion: interface {} is string, not int64; port takes a whole number, not text",
        ),
        (
            "accounts {A {users: [{user: a, pss: b}]}}",
            "f:1:32: unknown field \"pss\"; did you mean pass?",
        ),
        (
            "system_account: 5",
            "f:1:1: system account name must be a string",
        ),
        ("proxy_protocol: false", ""),
        (
            "proxy_protocol: true",
            "f:1:1: proxy_protocol needs to know which proxies to believe; write proxy_protocol { trusted: [\"10.0.0.0/8\"] }",
        ),
    ]);
}

#[test]
fn what_has_no_effect_is_accepted_and_told() {
    check(&[
        (
            "jetstream: true",
            "~f:1:1: \"jetstream\" has no effect: JetStream is not supported: nothing is stored",
        ),
        (
            "jetstream {store_dir: /tmp, max_mem: 1g}",
            "~f:1:1: \"jetstream\" has no effect: JetStream is not supported: nothing is stored",
        ),
        ("jetstream: disabled", ""),
        ("jetstream {enabled: false}", ""),
        (
            "jetstream: x",
            "f:1:1: Expected 'enabled' or 'disabled' for string value, got 'x'",
        ),
        ("jetstream {foo: 1}", "f:1:12: unknown field \"foo\""),
        (
            "mqtt {port: 1883}",
            "~f:1:1: \"mqtt\" has no effect: MQTT is not supported",
        ),
        (
            "prof_port: 6060",
            "~f:1:1: \"prof_port\" has no effect: midge has no profiler",
        ),
        (
            "no_sublist_cache: true",
            "~f:1:1: \"no_sublist_cache\" has no effect: the cache cannot be disabled",
        ),
        ("", "~f:1:1: config has no values or is empty"),
        (
            "ping_interval: 30",
            "ping_interval=30s ~f:1:1: invalid use of field \"ping_interval\": ping_interval should be converted to a duration; write \"30s\"",
        ),
        (
            "ping_interval: 5m",
            "ping_interval=5m0s ~f:1:1: invalid use of field \"ping_interval\": ping_interval should be converted to a duration; write \"5m\" in quotes, which is how it is read here, since nats-server takes it for a number of seconds",
        ),
    ]);
}

#[test]
fn settings_know_where_they_came_from() {
    let text = b"P: 5\nlisten: 1\nping_max: $P";
    let document = parse("f".as_ref(), text, &System).expect("it is right");
    let written = settings(&document).written;
    let names: Vec<&str> = written.keys().copied().collect();
    assert_eq!(names, ["host", "ping_max", "port"]);
    assert_eq!(written["port"].at.to_string(), "f:2:1");
}

#[test]
fn the_table_of_settings_names_whatever_an_option_sets() {
    for name in super::table::TABLE.iter().flat_map(|entry| entry.sets) {
        assert!(
            SETTINGS.iter().any(|setting| setting.name == *name),
            "{name}"
        );
    }
}
