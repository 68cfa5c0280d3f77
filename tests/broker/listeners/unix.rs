//! Unix sockets: who may use one, as whom, and what becomes of its file.

use super::{connz, info, line, settings};
use crate::raw::{PATIENCE, start};
use midge::{Config, Listener, Running, UnixGroup, UnixSocket};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A path of one test's own.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("midge-{name}-{}.sock", std::process::id()))
}

/// The user and the group that this test runs as.
fn own(path: &Path) -> (u32, u32) {
    let file = fs::metadata(path).expect("it was made by this process");
    (file.uid(), file.gid())
}

/// A broker with a Unix socket beside its port.
fn broker(unix: UnixSocket) -> Running {
    start(Config {
        listeners: vec![Listener {
            name: "local".to_owned(),
            unix: Some(unix),
            ..Listener::default()
        }],
        ..settings()
    })
}

fn dial(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("some time");
    stream
}

/// What is said to a `CONNECT` with these fields and a `PING` behind it.
fn answer(stream: &mut UnixStream, fields: &str) -> String {
    let connect = format!("CONNECT {{\"verbose\":false{fields}}}\r\nPING\r\n");
    stream.write_all(connect.as_bytes()).expect("it reads");
    line(stream)
}

#[test]
fn a_process_is_the_user_that_it_is_mapped_to_unless_it_presents_another() {
    let path = path("mapped");
    let broker = broker(UnixSocket {
        users_by_uid: BTreeMap::from([(own_uid(), "ann".to_owned())]),
        ..UnixSocket::at(&path)
    });
    let mut stream = dial(&path);
    let info = info(&mut stream);
    assert!(info.get("auth_required").is_none(), "{info}");
    assert!(info.get("client_ip").is_none(), "{info}");
    assert_eq!(answer(&mut stream, ""), "PONG");
    let told = connz(&broker, "");
    assert_eq!(told[0]["authorized_user"], "ann");
    let shown = format!("pid:{}/uid:{}", std::process::id(), own(&path).0);
    assert_eq!(told[0]["ip"], *shown);
    assert_eq!(told[0]["port"], 0);
    assert_eq!(told[0]["listener"], "local");
    let mut other = dial(&path);
    super::info(&mut other);
    assert_eq!(
        answer(&mut other, r#","user":"bob","pass":"secret""#),
        "PONG"
    );
    let mut wrong = dial(&path);
    super::info(&mut wrong);
    let refused = "-ERR 'Authorization Violation'";
    assert_eq!(answer(&mut wrong, r#","user":"bob","pass":"x""#), refused);
}

/// The user that this process runs as.
fn own_uid() -> u32 {
    fs::metadata("/proc/self").expect("it is there").uid()
}

#[test]
fn a_process_that_is_mapped_to_nobody_logs_in_or_is_refused() {
    let path = path("others");
    let somebody = BTreeMap::from([(own_uid() + 1, "ann".to_owned())]);
    for refuse_others in [false, true] {
        let _broker = broker(UnixSocket {
            users_by_uid: somebody.clone(),
            refuse_others,
            ..UnixSocket::at(&path)
        });
        let mut stream = dial(&path);
        assert_eq!(info(&mut stream)["auth_required"], true);
        let bob = answer(&mut stream, r#","user":"bob","pass":"secret""#);
        let refused = "-ERR 'Authorization Violation'";
        assert_eq!(bob, if refuse_others { refused } else { "PONG" });
    }
}

#[test]
fn a_group_tells_who_a_process_is_where_its_user_does_not() {
    let path = path("group");
    let (_, gid) = own(Path::new("/proc/self"));
    let broker = broker(UnixSocket {
        users_by_gid: vec![UnixGroup {
            gid,
            user: "bob".to_owned(),
            ..UnixGroup::default()
        }],
        ..UnixSocket::at(&path)
    });
    let mut stream = dial(&path);
    info(&mut stream);
    assert_eq!(answer(&mut stream, ""), "PONG");
    assert_eq!(connz(&broker, "")[0]["authorized_user"], "bob");
}

#[test]
fn a_reload_closes_a_process_that_is_mapped_to_nobody_any_more() {
    let path = path("reload");
    let with = |uid: u32| Config {
        listeners: vec![Listener {
            name: "local".to_owned(),
            unix: Some(UnixSocket {
                users_by_uid: BTreeMap::from([(uid, "ann".to_owned())]),
                ..UnixSocket::at(&path)
            }),
            ..Listener::default()
        }],
        ..settings()
    };
    let broker = start(with(own_uid()));
    let mut stream = dial(&path);
    info(&mut stream);
    assert_eq!(answer(&mut stream, ""), "PONG");
    let reloaded = broker.handle().reload(with(own_uid() + 1));
    reloaded.expect("they are good");
    assert_eq!(line(&mut stream), "-ERR 'Authorization Violation'");
}

#[test]
fn a_reload_after_which_others_are_refused_closes_those_that_are_there_and_no_mapped_one() {
    let path = path("narrowed");
    let with = |uid: u32, refuse_others| Config {
        listeners: vec![Listener {
            name: "local".to_owned(),
            unix: Some(UnixSocket {
                users_by_uid: BTreeMap::from([(uid, "ann".to_owned())]),
                refuse_others,
                ..UnixSocket::at(&path)
            }),
            ..Listener::default()
        }],
        ..settings()
    };
    for (uid, stays) in [(own_uid() + 1, false), (own_uid(), true)] {
        let broker = start(with(uid, false));
        // One that has presented what all must, and one that has not begun.
        let mut known = dial(&path);
        info(&mut known);
        let bob = answer(&mut known, r#","user":"bob","pass":"secret""#);
        assert_eq!(bob, "PONG");
        let mut silent = dial(&path);
        info(&mut silent);
        let reloaded = broker.handle().reload(with(uid, true));
        reloaded.expect("they are good");
        for stream in [&mut known, &mut silent] {
            let said = match stays {
                true => answer(stream, r#","user":"bob","pass":"secret""#),
                false => line(stream),
            };
            let expected = match stays {
                true => "PONG",
                false => "-ERR 'Authorization Violation'",
            };
            assert_eq!(said, expected);
        }
    }
}

#[test]
fn the_file_has_the_permissions_that_were_asked_for_and_goes_with_the_broker() {
    let path = path("file");
    // One that a broker has left behind which was killed.
    drop(UnixListener::bind(&path).expect("the path is free"));
    for mode in [0o600, 0o666] {
        let broker = broker(UnixSocket {
            mode,
            ..UnixSocket::at(&path)
        });
        let file = fs::metadata(&path).expect("it is there");
        assert_eq!(file.permissions().mode() & 0o777, mode);
        broker.shutdown().expect("it ends well");
        assert!(!path.exists());
    }
}

#[test]
fn a_socket_that_somebody_listens_on_and_a_file_that_is_none_are_left_alone() {
    let path = path("taken");
    let config = || Config {
        unix: Some(UnixSocket::at(&path)),
        ..settings()
    };
    let _listens = UnixListener::bind(&path).expect("the path is free");
    for _ in 0..2 {
        let error = midge::Broker::bind(config()).expect_err("it is taken");
        let begin = format!(
            "Error listening on Unix socket: listen unix {}: bind: address already in use; ",
            path.display()
        );
        assert!(error.to_string().starts_with(&begin), "{error}");
        assert!(path.exists());
        fs::remove_file(&path).expect("it is there");
        fs::write(&path, "a file").expect("a file of this test");
    }
    fs::remove_file(&path).expect("it is there");
}

#[test]
fn the_only_listener_may_be_a_unix_socket() {
    let path = path("only");
    let broker = midge::Broker::spawn(Config {
        unix: Some(UnixSocket::at(&path)),
        auth: midge::Auth::None,
        ..settings()
    });
    let broker = broker.expect("the path is free");
    assert!(broker.addrs().is_empty());
    let mut stream = dial(&path);
    info(&mut stream);
    assert_eq!(answer(&mut stream, ""), "PONG");
    broker.shutdown().expect("it ends well");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("it ends");
}
