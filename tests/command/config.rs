//! What the command makes of configuration files: `configs/good` and `configs/bad`, each with what is
//! said of it beside it, by the real binary.
//!
//! A file `NAME.conf` may begin with comments for this test: `# env: NAME=VALUE` (one a line) and
//! `# flags: -p 5222`. `NAME.txt` is what must be said: of a good file every setting that is not the
//! default and all remarks, as `midge check` tells them, and the last line of `midge -t`; of a bad one
//! all that `midge -t` says. With `MIDGE_BLESS=1` the answers are written instead of compared: read what
//! has changed before you keep it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/configs")
        .join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    files.sort();
    files
}

fn midge(directory: &Path, words: &[&str], env: &BTreeMap<String, String>) -> Answer {
    let output = Command::new(env!("CARGO_BIN_EXE_midge"))
        .current_dir(directory)
        .args(words)
        .env_clear()
        .envs(env)
        .output()
        .expect("midge runs");
    let text = |bytes| String::from_utf8(bytes).expect("midge says text");
    Answer {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// The environment and the flags that a file's first lines ask for.
fn wishes(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut env, mut flags) = (BTreeMap::new(), Vec::new());
    for line in text.lines() {
        if let Some(pair) = line.strip_prefix("# env: ") {
            let (name, value) = pair.split_once('=').expect("# env: NAME=VALUE");
            env.insert(name.to_owned(), value.to_owned());
        } else if let Some(words) = line.strip_prefix("# flags: ") {
            flags.extend(words.split(' ').map(str::to_owned));
        }
    }
    (env, flags)
}

/// Compares every file of a folder with what stands beside it.
fn check_folder(name: &str, at_least: usize, say: fn(&Path, &str, &str) -> String) {
    let folder = folder(name);
    let files = files(&folder);
    assert!(files.len() >= at_least, "{} files in {name}", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let file = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a plain name");
        let text = String::from_utf8_lossy(&fs::read(&path).expect("it can be read")).into_owned();
        let said = say(&folder, file, &text);
        let beside = path.with_extension("txt");
        if std::env::var_os("MIDGE_BLESS").is_some() {
            fs::write(&beside, said).expect("it can be written");
            continue;
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if said != expected {
            wrong.push(format!(
                "{name}/{file}\n--- expected\n{expected}--- said\n{said}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_files_come_to_the_settings_beside_them() {
    check_folder("good", 60, |folder, file, text| {
        let (env, flags) = wishes(text);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let explained = midge(folder, &[&["check", file], &flags[..]].concat(), &env);
        assert_eq!(
            (explained.code, explained.err.as_str()),
            (Some(0), ""),
            "{file}"
        );
        let is_news = |line: &&str| !line.is_empty() && !line.ends_with("  default");
        let news: Vec<&str> = explained.out.lines().skip(1).filter(is_news).collect();
        let mut said: String = news
            .iter()
            .map(|line| {
                line.split("  ")
                    .filter(|part| !part.is_empty())
                    .map(str::trim)
            })
            .map(|parts| parts.collect::<Vec<_>>().join("  ") + "\n")
            .collect();
        let tested = midge(folder, &[&["-t", "-c", file], &flags[..]].concat(), &env);
        assert_eq!(tested.out, "", "{file}");
        assert_eq!(
            tested.code == Some(0),
            tested.err.ends_with(" is valid\n"),
            "{file}"
        );
        said.push_str("-t: ");
        said.push_str(tested.err.lines().last().unwrap_or_default());
        said.push('\n');
        said
    });
}

#[test]
fn bad_files_are_refused_with_the_words_beside_them() {
    check_folder("bad", 40, |folder, file, text| {
        let (env, flags) = wishes(text);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let tested = midge(folder, &[&["-t", "-c", file], &flags[..]].concat(), &env);
        assert_eq!((tested.code, tested.out.as_str()), (Some(1), ""), "{file}");
        // A start is refused for the same reasons, unless there are only warnings.
        let mut child = started(folder, &[&["-c", file], &flags[..]].concat(), &env);
        let mut first = String::new();
        let mut err = child.stderr.take().expect("stderr is a pipe");
        if fs::read_to_string(folder.join(file)).is_ok_and(|text| text.contains("# a warning")) {
            child.kill().expect("it runs");
        } else {
            err.read_to_string(&mut first).expect("midge says text");
            assert_eq!(first, tested.err, "{file}");
        }
        child.wait().expect("it ends");
        tested.err
    });
}

fn started(directory: &Path, words: &[&str], env: &BTreeMap<String, String>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_midge"))
        .current_dir(directory)
        .args(words)
        .args(["-a", "127.0.0.1", "-p", "-1"])
        .env_clear()
        .envs(env)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("midge runs")
}

/// A broker, and what it has said up to being ready.
struct Running {
    child: Child,
    said: Vec<String>,
    info: serde_json::Value,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(words: &[&str], file: &str) -> Running {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let name = format!(
        "config-{}-{:?}.conf",
        std::process::id(),
        std::thread::current().id()
    );
    let name = name.replace(['(', ')'], "");
    let path = directory.join(&name);
    let mut written = fs::File::create(&path).expect("it can be written");
    written
        .write_all(file.as_bytes())
        .expect("it can be written");
    let mut child = started(
        &directory,
        &[&["-c", &name], words].concat(),
        &BTreeMap::new(),
    );
    let err = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
    let mut said = Vec::new();
    for line in err.lines() {
        let line = line.expect("midge says text");
        let is_ready = line.ends_with("Server is ready");
        said.push(line.replace(&name, "FILE"));
        if is_ready {
            break;
        }
    }
    let address = said
        .iter()
        .find_map(|line| line.split_once("client connections on "));
    let address = address
        .unwrap_or_else(|| panic!("it does not listen: {said:?}"))
        .1;
    let mut first = String::new();
    let stream = TcpStream::connect(address).expect("it listens");
    BufReader::new(stream)
        .read_line(&mut first)
        .expect("it says INFO");
    let info = first.strip_prefix("INFO ").expect("it says INFO");
    let info = serde_json::from_str(info).expect("it is JSON");
    fs::remove_file(&path).expect("it is there");
    Running { child, said, info }
}

#[test]
fn a_flag_counts_over_the_file_and_the_file_over_the_default() {
    let file = "server_name: east\nmax_payload: 2mb\ndebug: true\nport: 1\nhost: 0.0.0.0\n";
    let running = run(&["-n", "west", "-D=false"], file);
    assert_eq!(running.info["server_name"], "west");
    assert_eq!(running.info["max_payload"], 2 * 1024 * 1024);
    assert_eq!(running.info["host"], "127.0.0.1");
    assert!(
        !running.said.iter().any(|line| line.contains("[DBG]")),
        "{:?}",
        running.said
    );
    let using = "[INF] Using configuration file: FILE";
    assert!(
        running.said.iter().any(|line| line.ends_with(using)),
        "{:?}",
        running.said
    );
}

#[test]
fn what_has_no_effect_is_one_warning_each() {
    let file = "jetstream {store_dir: /tmp}\nmqtt {port: 1883}\nping_interval: 30\n\
                cluster {port: 6222, routes: []}\n";
    let running = run(&["-js", "-profile", "6060", "-no_advertise", "true"], file);
    let warned: Vec<&str> = running
        .said
        .iter()
        .filter_map(|line| line.split_once("[WRN] "))
        .map(|(_, text)| text)
        .filter(|text| !text.starts_with("The limit of "))
        .collect();
    assert_eq!(
        warned,
        [
            "FILE:3:1: invalid use of field \"ping_interval\": ping_interval should be converted to a duration; write \"30s\"",
            "FILE:1:1: \"jetstream\" has no effect: JetStream is not supported: nothing is stored",
            "FILE:2:1: \"mqtt\" has no effect: MQTT is not supported",
            "FILE:4:1: \"cluster\" has no effect: this server runs alone and does not listen for routes; only the name of a cluster is used",
            "flag -js has no effect: JetStream is not supported: nothing is stored",
            "flag -profile has no effect: midge has no profiler",
            "flag -no_advertise has no effect: this server runs alone and does not listen for routes; only the name of a cluster is used",
        ]
    );
}

#[test]
fn the_name_of_a_cluster_is_what_info_tells() {
    let none = serde_json::Value::Null;
    for (flags, file, name) in [
        (&[][..], "debug: false\n", none.clone()),
        (&[], "cluster { name: X }\n", "X".into()),
        (
            &[],
            "cluster { NAME: \"a b\", port: 6222, routes: [] }\n",
            "a b".into(),
        ),
        (&[], "cluster { name: \"\" }\n", none.clone()),
        (&[], "cluster { port: 6222 }\n", none.clone()),
        (
            &["--cluster_name", "Y"],
            "cluster { name: X }\n",
            "Y".into(),
        ),
        (&["--cluster_name", "Y"], "debug: false\n", "Y".into()),
        (&["--cluster_name="], "cluster { name: X }\n", "X".into()),
        (
            &["--cluster", "nats://127.0.0.1:6222", "--cluster_name", "Y"],
            "debug: false\n",
            "Y".into(),
        ),
    ] {
        let running = run(flags, file);
        assert_eq!(running.info["cluster"], name, "{flags:?} {file}");
        let told = running
            .said
            .iter()
            .any(|line| line.contains("[INF]   Cluster:  "));
        assert_eq!(told, !name.is_null(), "{:?}", running.said);
    }
    // The name alone is all that it takes, so there is nothing to warn of.
    let running = run(&[], "cluster { name: X }\n");
    assert!(!running.said.iter().any(|line| line.contains("no effect")));
}

#[test]
fn an_advertised_address_is_what_info_tells() {
    let running = run(
        &[],
        "client_advertise: \"broker.example:4333\"\nno_header_support: true\n",
    );
    assert_eq!(running.info["host"], "broker.example");
    assert_eq!(running.info["port"], 4333);
    assert_eq!(running.info["headers"], false);
    let running = run(
        &["-client_advertise", "other.example"],
        "client_advertise: h\n",
    );
    assert_eq!(running.info["host"], "other.example");
    assert_ne!(running.info["port"], 0);
}

#[test]
fn whoever_is_user_by_default_is_told_that_nothing_is_asked_for() {
    let users = "authorization {users: [{user: a, password: b}]}\n";
    let running = run(&[], users);
    assert_eq!(running.info["auth_required"], true);
    let plain = "[WRN] Plaintext passwords detected, use nkeys or bcrypt";
    assert!(
        running.said.iter().any(|line| line.ends_with(plain)),
        "{:?}",
        running.said
    );
    let running = run(&[], &format!("{users}no_auth_user: a\n"));
    assert_eq!(running.info["auth_required"], serde_json::Value::Null);
}

#[test]
fn users_that_need_no_password_are_named_at_the_start() {
    let users = "authorization {users: [{user: a}, {user: b, password: b}, {user: c}]}\n";
    let warning = "[WRN] Users without a password come in by their name alone: a, c; \
                   give each a password or an nkey";
    let running = run(&[], users);
    let said = &running.said;
    assert!(said.iter().any(|line| line.ends_with(warning)), "{said:?}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let directory = folder("good");
    for words in [
        &["-c", "nope.conf"][..],
        &["-t", "-c", "nope.conf"],
        &["check", "nope.conf"],
    ] {
        let answer = midge(&directory, words, &BTreeMap::new());
        assert_eq!(
            answer.err,
            "midge: open nope.conf: no such file or directory\n"
        );
        assert_eq!((answer.code, answer.out.as_str()), (Some(1), ""));
    }
    let answer = midge(&directory, &["-t"], &BTreeMap::new());
    assert!(
        answer.err.starts_with("must specify [-c, --config] option"),
        "{}",
        answer.err
    );
    assert_eq!(answer.code, Some(1));
}

#[test]
fn a_test_fails_where_midge_would_not_start_and_where_it_would_not_serve_as_it_is_written() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("config-test-fails");
    fs::create_dir_all(&directory).expect("it can be made");
    let missing = |name: &str| format!("{name}: there is no directory nowhere on this machine");
    let hash = "what begins as a bcrypt hash and is none lets nobody in: that of user \"ann\"";
    let place = "b is to listen on localhost:14222, and a on 127.0.0.1:14222";
    for (text, said, starts) in [
        ("pid_file: nowhere/a.pid", missing("pid_file"), false),
        ("log_file: nowhere/a.log", missing("log_file"), false),
        ("listen: \"unix:nowhere/a.sock\"", missing("listen"), false),
        (
            "listeners { a { listen: \"unix:nowhere/a.sock\" } }",
            missing("listener a"),
            false,
        ),
        (
            "listeners { a { listen: \"127.0.0.1:14222\" }, b { listen: \"localhost:14222\" } }",
            place.to_owned(),
            false,
        ),
        (
            "authorization { users: [ {user: ann, password: \"$2a$11$UXiMdxJCQ\"} ] }",
            hash.to_owned(),
            true,
        ),
        ("ping_interval: 30", "write \"30s\"".to_owned(), true),
    ] {
        fs::write(directory.join("a.conf"), format!("{text}\n")).expect("it can be written");
        let tested = midge(&directory, &["-t", "-c", "a.conf"], &BTreeMap::new());
        assert!(tested.err.contains(&said), "{text}: {}", tested.err);
        assert_eq!(tested.err.lines().count(), 1, "{text}: {}", tested.err);
        assert_eq!((tested.code, tested.out.as_str()), (Some(1), ""), "{text}");
        match starts {
            true => drop(run(&[], text)),
            false => {
                let flags: &[&str] = match text.starts_with("listen:") {
                    true => &[],
                    false => &["-a", "127.0.0.1", "-p", "-1"],
                };
                let words = [&["-c", "a.conf"], flags].concat();
                let started = midge(&directory, &words, &BTreeMap::new());
                assert_eq!(started.code, Some(1), "{text}: {}", started.err);
            }
        }
    }
}

#[test]
fn what_has_no_effect_or_is_done_without_is_told_by_a_test_that_does_not_fail() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("config-test-remarks");
    fs::create_dir_all(&directory).expect("it can be made");
    for (text, said) in [
        (
            "ports_file_dir: nowhere",
            "ports_file_dir: there is no directory nowhere",
        ),
        (
            "jetstream { store_dir: /tmp }",
            "\"jetstream\" has no effect",
        ),
        ("include \"nowhere/*.conf\"\nport: 1", "nowhere/*.conf"),
        (
            "authorization { users: [ {user: a, password: b, allowed_connection_types: [MQTT]} ] }",
            "midge has no connections of these types",
        ),
    ] {
        fs::write(directory.join("a.conf"), format!("{text}\n")).expect("it can be written");
        let tested = midge(&directory, &["-t", "-c", "a.conf"], &BTreeMap::new());
        assert_eq!(tested.code, Some(0), "{text}: {}", tested.err);
        let (remark, valid) = tested.err.split_once('\n').expect("two lines");
        assert!(remark.contains(said), "{text}: {remark}");
        assert_eq!(
            valid, "midge: configuration file a.conf is valid\n",
            "{text}"
        );
    }
}

#[test]
fn a_test_writes_nothing_and_opens_no_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it has one").port();
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("config-test-only");
    fs::create_dir_all(&directory).expect("it can be made");
    let file = format!(
        "listen: 127.0.0.1:{port}\npid_file: a.pid\nlog_file: a.log\nports_file_dir: nowhere\n"
    );
    fs::write(directory.join("a.conf"), file).expect("it can be written");
    let answer = midge(&directory, &["-t", "-c", "a.conf"], &BTreeMap::new());
    assert_eq!(
        answer.err,
        "ports_file_dir: there is no directory nowhere on this machine\nmidge: configuration file a.conf is valid\n"
    );
    assert_eq!(answer.code, Some(0));
    let left: Vec<_> = fs::read_dir(&directory).expect("it is there").collect();
    assert_eq!(left.len(), 1);
}
