//! Tables of command lines, and what each must come to.

use super::value::integer;
use super::*;
use crate::User;
use crate::config::settings::SETTINGS;

mod errors;
mod usage;

/// The words of a command line; `''` is an empty one.
fn words(line: &str) -> Vec<OsString> {
    let words = line.split_whitespace();
    words
        .map(|word| OsString::from(if word == "''" { "" } else { word }))
        .collect()
}

/// What differs from the defaults, as `name=value` with blanks between.
fn summary(line: &str) -> String {
    let options = match parse(words(line)) {
        Ok(Command::Run(options)) => *options,
        Ok(Command::Test(_)) => return "test".to_owned(),
        Ok(Command::Help) => return "help".to_owned(),
        Ok(Command::TlsHelp) => return "help about TLS".to_owned(),
        Ok(Command::Version) => return "version".to_owned(),
        Ok(Command::Signal(request)) => return format!("signal: {request:?}"),
        Err(error) => return format!("error: {error}"),
    };
    let setting = SETTINGS.iter().find(|setting| setting.name == "tls");
    let tls = setting.expect("it is one").show(&options);
    let (config, log) = (options.config, options.log);
    let defaults = Config::default();
    let mut found = Vec::new();
    if config.host != defaults.host {
        found.push(format!("host={}", config.host));
    }
    if config.port != defaults.port {
        found.push(format!("port={}", config.port));
    }
    if let Some(name) = config.server_name {
        found.push(format!("name={name}"));
    }
    if let Some(file) = config.pid_file {
        found.push(format!("pid={}", file.display()));
    }
    if let Some(monitor) = &config.monitor {
        let scheme = if monitor.tls { "https" } else { "http" };
        found.push(format!("{scheme}={}", monitor.port));
    }
    if config.tls.is_some() {
        found.push(format!("tls={tls}"));
    }
    match config.auth {
        Auth::None | Auth::Operators(_) => {}
        Auth::Token(token) => found.push(format!("token={}", &*token)),
        Auth::User { user, pass } => found.push(format!("user={user}:{}", &*pass)),
        Auth::Users { users, .. } => found.push(format!("users={users:?}")),
    }
    if config.traced_bytes_max != 0 {
        found.push(format!("traced={}", config.traced_bytes_max));
    }
    if config.busy_poll != Config::default().busy_poll {
        found.push(format!("busy_poll={}", config.busy_poll.as_micros()));
    }
    if let Some(directory) = config.ports_file_dir {
        found.push(format!("ports={}", directory.display()));
    }
    if config.lame_duck_duration != defaults.lame_duck_duration {
        found.push(format!("lame_duck={:?}", config.lame_duck_duration));
    }
    if config.lame_duck_grace_period != defaults.lame_duck_grace_period {
        found.push(format!("grace={:?}", config.lame_duck_grace_period));
    }
    if log.size_limit > 0 {
        found.push(format!("log_size={}", log.size_limit));
    }
    if log.files_max > 0 {
        found.push(format!("log_files={}", log.files_max));
    }
    if log.syslog {
        found.push("syslog".to_owned());
    }
    if let Some(url) = log.remote_syslog {
        found.push(format!("remote={url}"));
    }
    if log.format != LogFormat::Text {
        found.push(format!("format={:?}", log.format));
    }
    if log.utc {
        found.push("utc".to_owned());
    }
    if log.debug {
        found.push("debug".to_owned());
    }
    if log.trace {
        found.push("trace".to_owned());
    }
    if !log.time {
        found.push("notime".to_owned());
    }
    if let Some(file) = log.file {
        found.push(format!("log={}", file.display()));
    }
    if let Some(file) = options.file {
        found.push(format!("file={}", file.display()));
    }
    found.extend(options.notices.iter().map(|notice| format!("~{notice}")));
    found.join(" ")
}

fn check(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(summary(line), *expected, "midge {line}");
    }
}

#[test]
fn no_flags_give_the_defaults() {
    check(&[("", ""), ("--", "")]);
}

#[test]
fn every_spelling_of_a_flag_with_a_value_sets_it() {
    for (names, value, expected) in [
        ("a addr net", "127.0.0.1", "host=127.0.0.1"),
        ("p port", "5222", "port=5222"),
        ("n name server_name", "east", "name=east"),
        ("P pid", "/run/midge.pid", "pid=/run/midge.pid"),
        ("l log", "midge.log", "log=midge.log"),
        ("max_traced_msg_len", "80", "traced=80"),
        ("busy_poll", "0", "busy_poll=0"),
        ("user", "ann", "user=ann:"),
        ("auth", "s3cret", "token=s3cret"),
    ] {
        for name in names.split(' ') {
            for dashes in ["-", "--"] {
                for between in [" ", "="] {
                    check(&[(&format!("{dashes}{name}{between}{value}"), expected)]);
                }
            }
        }
    }
}

#[test]
fn every_spelling_of_a_switch_turns_it_on() {
    for (names, on, off) in [
        ("D debug", "debug", ""),
        ("V trace", "trace", ""),
        ("DV", "debug trace", ""),
        ("T logtime", "", "notime"),
        ("h help", "help", ""),
        ("v version", "version", ""),
    ] {
        for name in names.split(' ') {
            for dashes in ["-", "--"] {
                check(&[(&format!("{dashes}{name}"), on)]);
                for value in ["1", "t", "T", "true", "True", "TRUE"] {
                    check(&[(&format!("{dashes}{name}={value}"), on)]);
                }
                for value in ["0", "f", "F", "false", "False", "FALSE"] {
                    check(&[(&format!("{dashes}{name}={value}"), off)]);
                }
            }
        }
    }
}

#[test]
fn the_last_of_a_repeated_flag_wins_whatever_its_spelling() {
    check(&[
        ("-p 1 -p 2", "port=2"),
        ("-p 1 --port=2 -p 3", "port=3"),
        ("-p 1 -p 0", ""),
        ("-D -D=false", ""),
        ("-debug=false -D", "debug"),
        ("-n a -server_name b", "name=b"),
        ("-a 10.0.0.1 -a ''", ""),
        ("-l x -l ''", ""),
        ("-h -h=false", ""),
    ]);
}

#[test]
fn debug_and_trace_together_is_a_flag_of_its_own() {
    check(&[
        ("-D -V", "debug trace"),
        ("-DV -D=false", "debug trace"),
        ("-D=false -DV", "debug trace"),
        ("-DV=false -V", "trace"),
        ("-DV -DV=false", ""),
    ]);
}

#[test]
fn several_flags_are_read_from_left_to_right() {
    check(&[
        (
            "-a 127.0.0.1 -p 5222 -DV -T=false -l x -P y --name=n",
            "host=127.0.0.1 port=5222 name=n pid=y debug trace notime log=x",
        ),
        ("-a= -n= -P= -l= -user= -auth= -p 1", "port=1"),
        ("-n -p", "name=-p"),
        ("-n --", "name=--"),
        ("-n=a=b", "name=a=b"),
        ("-n =", "name=="),
    ]);
}

#[test]
fn port_minus_one_is_any_free_port_and_zero_is_the_default() {
    check(&[
        ("-p -1", "port=0"),
        ("-p=-1", "port=0"),
        ("-p 0", ""),
        ("-p 1", "port=1"),
        ("-p 65535", "port=65535"),
    ]);
}

#[test]
fn http_port_minus_one_is_any_free_port_and_zero_is_none() {
    check(&[
        ("-m 8222", "http=8222"),
        ("--http_port=8222", "http=8222"),
        ("-m -1", "http=0"),
        ("-m 8222 -m 0", ""),
        (
            "-m 70000",
            "error: invalid value \"70000\" for flag -m: value out of range; use 1 to 65535, -1 for \
             any free port, or 0 for none",
        ),
    ]);
}

#[test]
fn traced_length_of_zero_or_less_is_no_limit() {
    check(&[
        ("-max_traced_msg_len 0", ""),
        ("-max_traced_msg_len -4", ""),
        ("-max_traced_msg_len 1_000", "traced=1000"),
    ]);
}

#[test]
fn numbers_are_read_as_go_reads_them() {
    for (text, expected) in [
        ("0", Ok(0)),
        ("4222", Ok(4222)),
        ("+7", Ok(7)),
        ("-7", Ok(-7)),
        ("-0", Ok(0)),
        ("0x10", Ok(16)),
        ("0XfF", Ok(255)),
        ("-0x10", Ok(-16)),
        ("0b101", Ok(5)),
        ("0B1", Ok(1)),
        ("0o17", Ok(15)),
        ("0O17", Ok(15)),
        ("017", Ok(15)),
        ("00", Ok(0)),
        ("1_000", Ok(1000)),
        ("0_7", Ok(7)),
        ("0x_f_f", Ok(255)),
        ("9223372036854775807", Ok(i64::MAX)),
        ("-9223372036854775808", Ok(i64::MIN)),
        ("", Err(NumberFault::Syntax)),
        ("-", Err(NumberFault::Syntax)),
        ("+", Err(NumberFault::Syntax)),
        ("--1", Err(NumberFault::Syntax)),
        ("abc", Err(NumberFault::Syntax)),
        ("1.5", Err(NumberFault::Syntax)),
        ("1e3", Err(NumberFault::Syntax)),
        (" 1", Err(NumberFault::Syntax)),
        ("08", Err(NumberFault::Syntax)),
        ("0x", Err(NumberFault::Syntax)),
        ("0xg", Err(NumberFault::Syntax)),
        ("0b2", Err(NumberFault::Syntax)),
        ("0o8", Err(NumberFault::Syntax)),
        ("_1", Err(NumberFault::Syntax)),
        ("1_", Err(NumberFault::Syntax)),
        ("1__0", Err(NumberFault::Syntax)),
        ("0_", Err(NumberFault::Syntax)),
        ("0x_", Err(NumberFault::Syntax)),
        ("_", Err(NumberFault::Syntax)),
        ("\u{661}", Err(NumberFault::Syntax)),
        ("9223372036854775808", Err(NumberFault::Range)),
        ("-9223372036854775809", Err(NumberFault::Range)),
        (
            "99999999999999999999999999999999999999999",
            Err(NumberFault::Range),
        ),
    ] {
        assert_eq!(integer(text), expected, "{text}");
    }
    check(&[
        ("-p 0x10", "port=16"),
        ("-p 0b1", "port=1"),
        ("-p 0o7", "port=7"),
        ("-p 1_000", "port=1000"),
    ]);
}

#[test]
fn a_token_wins_over_user_and_password() {
    check(&[
        ("-user a -pass b", "user=a:b"),
        ("-user a", "user=a:"),
        ("-user a -pass ''", "user=a:"),
        ("-auth t", "token=t"),
        ("-auth t -user a -pass b", "token=t"),
        ("-user a -pass b -auth t", "token=t"),
        ("-pass b -auth t", "token=t"),
        ("-user a -auth ''", "user=a:"),
        ("-user '' -auth '' -pass ''", ""),
    ]);
}

#[test]
fn a_password_without_user_is_refused_rather_than_ignored() {
    const REFUSED: &str = "error: flag -pass needs a user name; add -user NAME, or use -auth \
                           TOKEN instead";
    check(&[
        ("-pass b", REFUSED),
        ("-pass b -user ''", REFUSED),
        ("-user a -user '' -pass b", REFUSED),
    ]);
}

#[test]
fn the_words_help_and_version_are_understood() {
    check(&[
        ("help", "help"),
        ("HELP", "help"),
        ("version", "version"),
        ("Version", "version"),
        ("-D help", "help"),
        ("-- version", "version"),
        ("version --bogus", "version"),
        ("-pass b help", "help"),
    ]);
}

#[test]
fn version_counts_before_help_and_both_before_a_word() {
    check(&[
        ("-h -v", "version"),
        ("-v -h", "version"),
        ("-h foo", "help"),
        ("-v foo", "version"),
        ("-h version", "help"),
        ("-pass b -h", "help"),
    ]);
}

#[test]
fn flags_for_tls_turn_it_on_and_name_its_files() {
    check(&[
        (
            "--tls",
            "tls={verify: false, timeout: 2s, min_version: 1.2}",
        ),
        (
            "-tls -tlscert=c.pem --tlskey k.pem",
            "tls={cert_file: c.pem, key_file: k.pem, verify: false, timeout: 2s, min_version: 1.2}",
        ),
        (
            "-tlsverify --tlscacert ca.pem",
            "tls={ca_file: ca.pem, verify: true, timeout: 2s, min_version: 1.2}",
        ),
        ("-tls -tls=false", ""),
        (
            "--tlscert c.pem",
            "error: flag -tlscert needs TLS, or clients would speak in clear; add -tls",
        ),
        (
            "--tlscacert ca.pem -p 1",
            "error: flag -tlscacert needs TLS, or clients would speak in clear; add -tls",
        ),
        ("-tlscert=", ""),
        ("--help_tls", "help about TLS"),
        ("-ms 8443", "https=8443"),
        ("--https_port=8443 -m 0", ""),
        (
            "-m 8222 -ms 8443",
            "error: Can't start monitoring: can't specify both HTTP and HTTPs ports; leave one of them out",
        ),
    ]);
    let help = tls_help();
    for name in ["TLS_AES_256_GCM_SHA384", "X25519", "cert_file"] {
        assert!(help.contains(name), "{name}");
    }
}

#[test]
fn a_flag_for_what_nobody_misses_is_accepted_and_told() {
    let stored = "has no effect: JetStream is not supported: nothing is stored";
    let alone = "has no effect: this server runs alone and does not listen for \
                 routes; only the name of a cluster is used";
    for (line, expected) in [
        ("-js", format!("~flag -js {stored}")),
        ("-jetstream=false -profile 0", String::new()),
        (
            "-p 5222 --store_dir /tmp -D",
            format!("port=5222 debug ~flag -store_dir {stored}"),
        ),
        (
            "-profile 6060",
            "~flag -profile has no effect: midge has no profiler".to_owned(),
        ),
        (
            "--no_advertise true -cluster_name x",
            format!("~flag -no_advertise {alone}"),
        ),
        (
            "-cluster_listen nats://0.0.0.0:6222 -routes=",
            format!("~flag -cluster_listen {alone}"),
        ),
    ] {
        check(&[(line, &expected)]);
    }
}

#[test]
fn a_file_is_named_and_may_be_tested() {
    check(&[
        ("-c x.conf -p 5222", "port=5222 file=x.conf"),
        ("--config=x.conf", "file=x.conf"),
        ("-c ''", ""),
        ("-t -c x.conf", "test"),
        ("-c x.conf -t=false", "file=x.conf"),
        (
            "-t",
            "error: must specify [-c, --config] option to check configuration file syntax",
        ),
        // The user may be in the file.
        ("-c x.conf -pass y", "file=x.conf"),
    ]);
}

#[test]
fn flags_count_over_a_file() {
    let users = || Auth::Users {
        users: vec![User {
            name: "ann".to_owned(),
            proof: "x".into(),
            ..User::default()
        }]
        .into(),
        token: None,
    };
    let user = || Auth::User {
        user: "ann".to_owned(),
        pass: "x".into(),
    };
    let token = || Auth::Token("t".into());
    let over = |auth: Auth, line: &str| {
        let mut base = Options {
            file: Some("x.conf".into()),
            ..Options::default()
        };
        (base.config.auth, base.config.port, base.log.debug) = (auth, 5222, true);
        match parse_over(base, words(line)) {
            Ok(Command::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    };
    let options = over(Auth::None, "-D=false -n east");
    assert_eq!((options.config.port, options.log.debug), (5222, false));
    assert_eq!(options.by_flag, ["debug", "server_name"]);
    for (auth, line, expected, notices) in [
        (users(), "", users(), 0),
        (users(), "-user bob -pass y", users(), 1),
        (
            user(),
            "-pass y",
            Auth::User {
                user: "ann".into(),
                pass: "y".into(),
            },
            0,
        ),
        (
            user(),
            "-user bob",
            Auth::User {
                user: "bob".into(),
                pass: "x".into(),
            },
            0,
        ),
        (user(), "-auth t", token(), 0),
        (token(), "-user bob -pass y", token(), 1),
        (token(), "-auth u", Auth::Token("u".into()), 0),
        (Auth::None, "-user ann -pass x", user(), 0),
    ] {
        let options = over(auth, line);
        assert!(options.config.auth == expected, "{line}");
        assert_eq!(options.notices.len(), notices, "{line}");
    }
    match over(users(), "-auth t").config.auth {
        Auth::Users { token, .. } => assert_eq!(token.as_deref(), Some("t")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_name_may_be_any_bytes_and_a_text_may_not() {
    let odd = OsStr::from_bytes(b"\xff.log");
    for args in [
        vec![OsString::from("-l"), odd.to_owned()],
        vec![OsStr::from_bytes(b"--log=\xff.log").to_owned()],
    ] {
        let Ok(Command::Run(options)) = parse(args) else {
            panic!("a file name was refused");
        };
        assert_eq!(options.log.file.as_deref(), Some(odd.as_ref()));
    }
    for name in ["a", "n", "user", "pass", "auth"] {
        let error = parse([OsString::from(format!("-{name}")), odd.to_owned()]);
        assert_eq!(
            error.expect_err("not UTF-8").to_string(),
            format!("invalid value for flag -{name}: not UTF-8; use UTF-8 text")
        );
    }
}

#[test]
fn no_secret_appears_when_options_are_printed() {
    for line in ["-auth s3cret", "-user ann -pass s3cret"] {
        let printed = format!("{:?}", parse(words(line)));
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}

#[test]
fn what_an_operator_sets_beside_the_limits() {
    check(&[
        ("--ports_file_dir /run/m", "ports=/run/m"),
        ("-ports_file_dir=", ""),
        ("--lame_duck_duration 1m30s", "lame_duck=90s"),
        ("--lame_duck_grace_period=250ms", "grace=250ms"),
        ("-log_size_limit 1_000", "log_size=1000"),
        ("-log_size_limit -1", ""),
        ("-log_max_num 3", "log_files=3"),
        ("-s", "syslog"),
        ("--syslog=false", ""),
        ("-r udp://h:514", "remote=udp://h:514"),
        ("--remote_syslog=tcp://h:1", "remote=tcp://h:1"),
        ("--log_format json", "format=Json"),
        ("--log_format=TEXT", ""),
        ("--logtime_utc", "utc"),
        (
            "--lame_duck_duration soon",
            "error: invalid value \"soon\" for flag -lame_duck_duration: parse error; use a time such \
             as 30s, 2m or 1m30s, or a number of seconds",
        ),
        (
            "--lame_duck_duration -5s",
            "error: invalid value \"-5s\" for flag -lame_duck_duration: parse error; use a time such as \
             30s, 2m or 1m30s, or a number of seconds",
        ),
        (
            "--log_format xml",
            "error: invalid value \"xml\" for flag -log_format: parse error; use text or json",
        ),
    ]);
}

#[test]
fn a_signal_to_another_broker_is_sent_and_nothing_else_done() {
    check(&[
        (
            "-sl=ldm=/run/m.pid",
            "signal: SignalRequest { signal: LameDuck, target: Process(\"/run/m.pid\") }",
        ),
        (
            "--signal stop -p 4222",
            "signal: SignalRequest { signal: Stop, target: Only }",
        ),
        ("--signal quit -v", "version"),
        ("--signal=", ""),
        (
            "--signal bogus",
            "error: unknown signal \"bogus\"; use stop, quit, term, reopen, reload or ldm",
        ),
    ]);
}
