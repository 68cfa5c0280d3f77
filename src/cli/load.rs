//! A file and the flags over it: all that a broker is started with, or refused for.

use super::{Command, parse_over};
use crate::config::Auth;
use crate::config::Options;
use crate::config::language::{self, Error, World};
use crate::config::options::{self, LONE_PASSWORD, Refused, Report, Written};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Settings that a broker can be started with, and how they came about.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The defaults, over them the file, and over that the flags.
    pub options: Options,
    /// What the file sets, and where, by the names of [`settings`](crate::config::settings).
    pub written: BTreeMap<&'static str, Written>,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    /// What is worth telling. Without errors.
    pub report: Report,
}

/// Reads the file at `path`, puts the flags of `args` over it, and checks all as before a start.
/// Nothing is opened but files to include.
///
/// ```
/// use midge::{cli::load, config::language::System};
///
/// let refused = load("no such file".as_ref(), &["-D".into()], &System).expect_err("there is none");
/// assert_eq!(refused.to_string(), "open no such file: no such file or directory");
/// ```
///
/// # Errors
/// Everything that is wrong. Warnings and notices are lost.
pub fn load(path: &Path, args: &[OsString], world: &dyn World) -> Result<Loaded, Refused> {
    let document = language::read(path, world).map_err(Refused)?;
    let settings = options::settings(&document);
    let (mut report, written) = (settings.report, settings.written);
    let base = Options {
        file: Some(path.to_owned()),
        filled: document.filled,
        ..settings.options
    };
    let mut options = match parse_over(base, args.iter().cloned()) {
        Ok(Command::Run(options) | Command::Test(options)) => *options,
        Ok(_) => Options::default(),
        Err(error) => {
            report.errors.push(Error {
                at: None,
                text: error.to_string(),
            });
            return Err(Refused(report.errors));
        }
    };
    // A flag that says where to listen counts over a path in the file.
    if options
        .by_flag
        .iter()
        .any(|name| ["host", "port"].contains(name))
    {
        options.config.unix = None;
    }
    // No flag sets these two, whichever sets the port.
    if let Some(monitor) = &mut options.config.monitor {
        monitor.host = settings.monitor.host;
        monitor.base_path = settings.monitor.base_path;
        monitor.auth = settings.monitor.auth;
    }
    if matches!(&options.config.auth, Auth::User { user, .. } if !user.is_empty()) {
        // A flag has brought the user.
        report.errors.retain(|error| error.text != LONE_PASSWORD);
    }
    let has_errors = !report.errors.is_empty();
    for fault in crate::config::check::faults(&options.config) {
        // What is wrong with the block was told by its parts.
        if has_errors
            && ["authorization", "exports and imports", "operator", "tls"].contains(&fault.setting)
        {
            continue;
        }
        // The place of either setting helps; a flag has none.
        let is_by_flag = options.by_flag.contains(&fault.setting);
        let place = written.get(fault.setting).filter(|_| !is_by_flag);
        report.errors.push(Error {
            at: place.map(|written| written.at.clone()),
            text: fault.text,
        });
    }
    let Options {
        config, by_flag, ..
    } = &mut options;
    for (setting, tls) in config.each_tls_mut() {
        if report.errors.is_empty()
            && let Err(text) = tls.load()
        {
            let place = written.get(setting).filter(|_| !by_flag.contains(&setting));
            let at = place.map(|written| written.at.clone());
            report.errors.push(Error { at, text });
        }
    }
    if report.errors.is_empty()
        && let Err(text) = config.can_ask()
    {
        let at = written
            .get("resolver_tls")
            .map(|written| written.at.clone());
        report.errors.push(Error { at, text });
    }
    if !report.errors.is_empty() {
        return Err(Refused(report.errors));
    }
    Ok(Loaded {
        options,
        written,
        files: document.files,
        report,
    })
}

impl Loaded {
    /// What is worth telling when a broker starts, a line for each.
    pub fn remarks(&self) -> Vec<String> {
        let lines = self.report.warnings.iter().chain(&self.report.notices);
        let flags = self.options.notices.iter().cloned();
        lines.map(ToString::to_string).chain(flags).collect()
    }

    /// Why a broker would not start on this machine or at this time, or would start and not serve as written, a line for
    /// each: a test of the configuration fails with these.
    pub fn obstacles(&self) -> Vec<String> {
        let (config, now) = (&self.options.config, Timestamp::now());
        [
            config.broken_hashes(),
            config.untimely(now),
            config.unusable_accounts(now),
            self.missing_directories(),
        ]
        .concat()
    }

    /// What is as it was written, and seldom meant so, a line for each.
    pub fn doubts(&self) -> Vec<String> {
        let directory = self.options.config.ports_file_dir.as_deref();
        // A broker starts without the file, and says so.
        let missing = directory.and_then(|directory| missing("ports_file_dir", directory));
        self.unused().into_iter().chain(missing).collect()
    }

    /// Settings that never apply, since another one goes before them, a line for each. A broker says so when it starts.
    pub fn unused(&self) -> Vec<String> {
        self.options.config.unused()
    }

    /// Directories in which a broker has to write before it serves, and that are not there, a line for each.
    pub fn missing_directories(&self) -> Vec<String> {
        let Options { config, log, .. } = &self.options;
        let files = [
            ("pid_file", config.pid_file.as_deref()),
            ("log_file", log.file.as_deref()),
        ];
        let files = files
            .into_iter()
            .filter_map(|(name, file)| Some((name.to_owned(), file?)));
        let named = files.chain(config.sockets());
        let missing = named.filter_map(|(name, file)| {
            let directory = file.parent()?;
            let is_here = directory.as_os_str().is_empty();
            (!is_here).then(|| missing(&name, directory)).flatten()
        });
        missing.collect()
    }
}

/// That a setting names a directory which is not there, if so.
fn missing(setting: &str, directory: &Path) -> Option<String> {
    let is_missing = !directory.is_dir();
    is_missing.then(|| {
        let directory = directory.display();
        format!("{setting}: there is no directory {directory} on this machine")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{changes, reload};
    use crate::config::language::System;
    use crate::config::settings::SETTINGS;

    /// Every setting that a file can have, none at its default.
    const FULL: &str = r#"
        listen: "127.0.0.2:1111"
        client_advertise: "h:1"
        server_name: n
        cluster { name: c }
        server_tags: [a, b]
        authorization { user: u, password: p, timeout: 7, permissions { publish: a } }
        accounts: [A, B]
        system_account: A
        mappings { a: b }
        allow_non_tls: true
        max_connections: 11
        max_subscriptions: 12
        max_sub_tokens: 13
        limits { per_address { max_connections: 9 }, per_user { messages_per_second: 10 } }
        max_control_line: 2000
        max_payload: 3000
        max_pending: 4000000
        max_pending_total: 9000000
        write_deadline: "5s"
        ping_interval: "6s"
        ping_max: 7
        no_fast_producer_stall: true
        no_header_support: true
        max_closed_clients: 8
        busy_poll: 9
        turn_time: 10ms
        http: "127.0.0.3:2222"
        http_base_path: /path
        http_authorization { token: m }
        websocket {
            listen: "127.0.0.4:4444", no_tls: true, advertise: "w:1", same_origin: true, compression: true
            handshake_timeout: "8s", authorization { token: t }, user_cookie: u
            proxy_protocol { trusted: 10.0.0.1 }
        }
        proxy_protocol { trusted: 10.0.0.1 }
        listeners {
            a { listen: "127.0.0.5:5555", advertise: "l:1", timeout: 9, max_connections: 5, proxy_protocol { trusted: "::1" } }
            b { listen: unix:/tmp/midge.sock }
        }
        lame_duck_duration: "40s"
        lame_duck_grace_period: "5s"
        connect_error_reports: 21
        reconnect_error_reports: 22
        pid_file: /tmp/pid
        ports_file_dir: /tmp/ports
        debug: true
        trace: true
        max_traced_msg_len: 23
        logtime: false
        logtime_utc: true
        log_format: json
        log_file: /tmp/log
        logfile_size_limit: 24
        logfile_max_num: 25
        syslog: true
        remote_syslog: "udp://h:1"
    "#;

    /// Each flag that sets something, with another value than the file's; and that value, as it is told.
    const FLAGS: &[(&str, &str)] = &[
        ("-a=1.2.3.4", "host=1.2.3.4"),
        ("--net=1.2.3.4", "host=1.2.3.4"),
        ("-p=3333", "port=3333"),
        ("-n=m", "server_name=m"),
        ("--cluster_name=d", "cluster_name=d"),
        ("--client_advertise=i:2", "client_advertise=i:2"),
        ("-P=/tmp/q", "pid_file=/tmp/q"),
        ("--ports_file_dir=/tmp/q", "ports_file_dir=/tmp/q"),
        ("-m=3333", "http_port=127.0.0.3:3333"),
        ("-m=-1", "http_port=127.0.0.3:-1"),
        ("--busy_poll=1", "busy_poll=1µs"),
        ("--busy_poll=70us", "busy_poll=70µs"),
        ("--busy_poll=1s", "busy_poll=1s"),
        ("--lame_duck_duration=50", "lame_duck_duration=50s"),
        ("--lame_duck_duration=50s", "lame_duck_duration=50s"),
        ("--lame_duck_grace_period=6s", "lame_duck_grace_period=6s"),
        ("-l=/tmp/q", "log_file=/tmp/q"),
        ("--log_size_limit=1", "logfile_size_limit=1"),
        ("--log_max_num=1", "logfile_max_num=1"),
        ("-s=false", "syslog=false"),
        ("-r=udp://i:1", "remote_syslog=udp://i:1"),
        ("--log_format=text", "log_format=text"),
        ("-T=true", "logtime=true"),
        ("--logtime_utc=false", "logtime_utc=false"),
        ("-D=false", "debug=false"),
        ("-V=false", "trace=false"),
        ("--max_traced_msg_len=1", "max_traced_msg_len=1"),
        ("--user=v", "authorization=user v"),
        ("--auth=t", "authorization=a token"),
    ];

    /// Each flag that takes a text: an empty one is the same as the flag not given.
    const TEXTS: &[&str] = &[
        "-a",
        "-n",
        "--cluster_name",
        "--client_advertise",
        "-P",
        "--ports_file_dir",
        "-l",
        "-r",
        "--log_format",
        "--user",
        "--pass",
        "--auth",
        "-c",
        "--signal",
        "--tlscert",
        "--tlskey",
        "--tlscacert",
        "--routes",
    ];

    /// A file of this test, which goes with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, text: &str) -> Scratch {
            let name = format!("midge-load-{name}-{}.conf", std::process::id());
            let file = std::env::temp_dir().join(name);
            std::fs::write(&file, text).expect("a file of this test");
            Scratch(file)
        }

        #[track_caller]
        fn load(&self, flags: &[&str]) -> Loaded {
            let args: Vec<OsString> = flags.iter().map(Into::into).collect();
            load(&self.0, &args, &System).unwrap_or_else(|refused| panic!("{flags:?}: {refused}"))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_flag_counts_over_its_own_value_of_the_file_and_over_no_other() {
        let file = Scratch::new("full", FULL);
        let plain = file.load(&[]).options;
        let default = Options::default();
        for setting in SETTINGS {
            let is_left_out = [
                "server_metadata",
                "no_auth_user",
                "websocket tls",
                "listeners tls",
                "unix",
                "unix users",
                "tls",
                "https_port",
                // They are instead of users.
                "operator",
                "trusted_keys",
                "resolver",
                "resolver_tls",
                "resolver_preload",
                "resolver_pinned_accounts",
                // It needs users.
                "auth_callout",
            ]
            .contains(&setting.name);
            assert!(
                is_left_out || !setting.is_same(&plain, &default),
                "{}",
                setting.name
            );
        }
        for &(flag, expected) in FLAGS {
            let options = file.load(&[flag]).options;
            let (name, value) = expected.split_once('=').expect("name=value");
            for setting in SETTINGS {
                if setting.name == name {
                    assert_eq!(setting.show(&options), value, "{flag}");
                } else {
                    assert!(
                        setting.is_same(&plain, &options),
                        "{flag}: {}",
                        setting.name
                    );
                }
            }
            // Read again with the same flags nothing is new; and from one to the other it is that value.
            let args = [flag.into()];
            let again = reload(&options, &args, &System).expect("it is right");
            assert_eq!(again.changes, [], "{flag}");
            let names: Vec<&str> = changes(&plain, &options).iter().map(|c| c.name).collect();
            assert_eq!(names, [name], "{flag}");
        }
    }

    #[test]
    fn an_empty_text_behind_a_flag_is_the_same_as_the_flag_not_given() {
        let file = Scratch::new("empty-texts", FULL);
        let plain = file.load(&[]).options;
        for flag in TEXTS {
            let with_equals = format!("{flag}=");
            for words in [&[*flag, ""][..], &[&with_equals]] {
                let options = file.load(words).options;
                assert_eq!(changes(&plain, &options), [], "{words:?}");
                assert_eq!((&options.file, &options.by_flag), (&plain.file, &vec![]));
            }
        }
    }

    #[test]
    fn what_the_file_says_beside_a_flag_counts_where_the_block_lacks_what_the_flag_brings() {
        for (text, flags, name, value) in [
            (
                "http_base_path: /x",
                &["-m", "8222"][..],
                "http_base_path",
                "/x",
            ),
            (
                "http_base_path: /x\nhttp: 'h:0'",
                &["-m", "8222"],
                "http_base_path",
                "/x",
            ),
            (
                "http: '127.0.0.1:0'",
                &["-m", "8222"],
                "http_port",
                "127.0.0.1:8222",
            ),
            (
                "http: '127.0.0.1:1'",
                &["-m", "0", "-m", "8222"],
                "http_port",
                "127.0.0.1:8222",
            ),
            (
                "http: '127.0.0.1:1'\nhttp_port: 2",
                &[],
                "http_port",
                "127.0.0.1:2",
            ),
            (
                "http_port: 2\nhttp_base_path: x/",
                &[],
                "http_base_path",
                "/x",
            ),
            (
                "authorization {timeout: 7}",
                &["--auth", "t"],
                "authorization timeout",
                "7s",
            ),
            (
                "authorization {timeout: 7}",
                &["--user", "u"],
                "authorization timeout",
                "7s",
            ),
            (
                "authorization {password: p}",
                &["--user", "u"],
                "authorization",
                "user u",
            ),
            (
                "logfile_size_limit: 9",
                &["-l", "x.log"],
                "logfile_size_limit",
                "9",
            ),
            (
                "cluster {port: 6222}",
                &["--cluster_name", "c"],
                "cluster_name",
                "c",
            ),
            ("port: 1", &["-a", "127.0.0.1"], "port", "1"),
            ("host: 127.0.0.2", &["-p", "7"], "host", "127.0.0.2"),
        ] {
            let file = Scratch::new("part", text);
            let options = file.load(flags).options;
            let setting = SETTINGS.iter().find(|setting| setting.name == name);
            let shown = setting.expect(name).show(&options);
            assert_eq!(shown, value, "{text} {flags:?}");
        }
        let file = Scratch::new("alone", "authorization {password: p}");
        let refused = load(&file.0, &[], &System)
            .expect_err("a password alone")
            .to_string();
        assert!(refused.contains(LONE_PASSWORD), "{refused}");
    }

    #[test]
    fn a_file_that_is_gone_is_refused_by_a_reload_where_it_had_the_credentials() {
        let folder = std::env::temp_dir().join(format!("midge-load-gone-{}.d", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder of this test");
        let (users, limits) = (folder.join("a.conf"), folder.join("b.conf"));
        let write = |file: &Path, text: &str| std::fs::write(file, text).expect("a file");
        let credentials = "authorization {user: u, password: p}";
        write(&users, credentials);
        write(&limits, "max_payload: 2048");
        let whole = Scratch::new(
            "gone",
            &format!("include \"{}/*.conf\"\n", folder.display()),
        );
        let running = whole.load(&[]).options;
        let again = || reload(&running, &[], &System);
        std::fs::remove_file(&users).expect("it is there");
        let refused = again().expect_err("it is gone").to_string();
        let begin = format!("{} is gone, had values", users.display());
        assert!(refused.starts_with(&begin), "{refused}");
        // Credentials of another file will do.
        write(&folder.join("c.conf"), credentials);
        assert_eq!(again().expect("as before").changes, []);
        // One without credentials may go.
        std::fs::remove_file(&limits).expect("it is there");
        assert_eq!(again().expect("it is right").changes.len(), 1);
        std::fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn a_file_that_was_emptied_is_refused_by_a_reload_and_no_other_is() {
        let part = Scratch::new("included", "authorization {user: u, password: p}");
        let name = part
            .0
            .file_name()
            .and_then(|name| name.to_str())
            .expect("text");
        let whole = Scratch::new("whole", &format!("port: 1\ninclude {name}\n"));
        let running = whole.load(&[]).options;
        let again = || reload(&running, &[], &System);
        std::fs::write(&part.0, "# to be written\n").expect("a file of this test");
        let refused = again().expect_err("half written").to_string();
        let begin = format!("{} is empty now and was not", part.0.display());
        assert!(refused.starts_with(&begin), "{refused}");
        std::fs::write(&part.0, "authorization {user: u, password: q}")
            .expect("a file of this test");
        assert_eq!(again().expect("it is whole").changes.len(), 1);
        // To take settings out is another matter.
        std::fs::write(&whole.0, "port: 1").expect("a file of this test");
        assert_eq!(again().expect("it is whole").changes.len(), 1);
        // One that never said anything may go on so.
        let empty = Scratch::new("empty", "# nothing yet\n");
        let running = empty.load(&[]).options;
        assert_eq!(
            reload(&running, &[], &System).expect("as before").changes,
            []
        );
    }
}
