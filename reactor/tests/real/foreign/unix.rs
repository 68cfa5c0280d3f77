//! Unix sockets.

use super::{Cx, Echo, Folder, Tell, echo_at, pattern, reactor, settle, until};
use crate::no_fork;
use midge_reactor::{Accept, Context, Handler, Key, ListenOptions, ListenerAddr};
use std::cell::Cell;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;

#[test]
fn a_unix_socket_echoes_a_megabyte_and_has_no_addresses() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let mut reactor = reactor();
    let listener = echo_at(&mut reactor, &path);
    let sent = pattern(1_000_000);
    let key = reactor.with(|cx| {
        assert_eq!(cx.listening_on(listener), None);
        let key = cx.connect_unix(&path, Tell("client"));
        assert!(cx.io.send(key, &sent), "what is sent early waits");
        key
    });
    until(&mut reactor, |told| told.bytes.len() >= sent.len());
    assert!(reactor.state.bytes == sent);
    reactor.with(|cx| {
        assert_eq!(cx.io.peer_addr(key), None);
        assert_eq!(cx.io.local_addr(key), None);
        cx.io.shutdown_write(key);
    });
    until(&mut reactor, |told| {
        told.has("client close: closed by the peer")
    });
    assert_eq!(
        reactor.state.lines,
        [
            "client open",
            "client eof",
            "client close: closed by the peer"
        ]
    );
}

#[test]
fn a_unix_connection_has_hung_up_when_its_peer_has_gone_and_not_before() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let mut reactor = reactor();
    let accepted = Rc::new(Cell::new(Key::NONE));
    let told = Rc::clone(&accepted);
    let listened = reactor.with(|cx| {
        cx.listen_unix(&path, move |cx: &mut Cx<'_>| {
            told.set(cx.key());
            cx.io.pause(cx.key());
            Echo
        })
    });
    listened.expect("the path is free");
    let mut peer = UnixStream::connect(&path).expect("it listens");
    peer.write_all(b"unread").expect("it is taken");
    settle(&mut reactor);
    let has_hung_up = |cx: &mut Context<'_, _>| cx.io.has_hung_up(accepted.get());
    assert!(!reactor.with(has_hung_up));
    let _turn = no_fork();
    drop(peer);
    settle(&mut reactor);
    assert!(reactor.with(has_hung_up));
}

#[test]
fn a_path_that_is_taken_is_an_error_that_says_what_to_do() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let mut reactor = reactor();
    echo_at(&mut reactor, &path);
    let again = reactor.with(|cx| cx.listen_unix(&path, |_: &mut Cx<'_>| Echo));
    let error = again.expect_err("somebody listens there");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains(path.to_str().expect("it is text")), "{text}");
    assert!(
        text.contains("remove it") && text.contains("unlink_stale"),
        "{text}"
    );
    assert_eq!(reactor.connections(), 0);
}

#[test]
fn a_stale_socket_is_removed_when_that_is_asked_for_and_nothing_else_ever_is() {
    let folder = Folder::new();
    let mut reactor = reactor();
    let options = ListenOptions::default().unlink_stale(true);
    let accept = |_: &mut Cx<'_>| Echo;

    let stale = folder.path("stale");
    drop(UnixListener::bind(&stale).expect("the path is free"));
    let refused = reactor.with(|cx| cx.listen_unix(&stale, accept));
    assert_eq!(
        refused.expect_err("it stands there").kind(),
        ErrorKind::AddrInUse
    );
    let listened = reactor.with(|cx| cx.listen_unix_with(&stale, &options, accept));
    listened.expect("nobody listens there");
    UnixStream::connect(&stale).expect("now somebody does");

    let live = folder.path("live");
    let other = UnixListener::bind(&live).expect("the path is free");
    let refused = reactor.with(|cx| cx.listen_unix_with(&live, &options, accept));
    assert_eq!(refused.expect_err("it lives").kind(), ErrorKind::AddrInUse);
    UnixStream::connect(&live).expect("it lives on");
    drop(other);

    let file = folder.path("file");
    fs::write(&file, "precious").expect("the folder is ours");
    let refused = reactor.with(|cx| cx.listen_unix_with(&file, &options, accept));
    assert_eq!(
        refused.expect_err("it is a file").kind(),
        ErrorKind::AddrInUse
    );
    assert_eq!(fs::read(&file).expect("it is still there"), b"precious");
}

#[test]
fn a_connect_to_a_path_where_nobody_listens_ends_without_on_open() {
    let folder = Folder::new();
    let (stale, nothing) = (folder.path("stale"), folder.path("nothing"));
    drop(UnixListener::bind(&stale).expect("the path is free"));
    let mut reactor = reactor();
    reactor.with(|cx| {
        cx.connect_unix(&stale, Tell("stale"));
        cx.connect_unix(&nothing, Tell("nothing"));
        assert!(cx.state.lines.is_empty(), "nothing is told inside the call");
    });
    until(&mut reactor, |told| told.lines.len() == 2);
    let [told_stale, told_nothing] = &reactor.state.lines[..] else {
        panic!("two were waited for");
    };
    for (told, name, path, said) in [
        (told_stale, "stale", &stale, "Connection refused"),
        (told_nothing, "nothing", &nothing, "No such file"),
    ] {
        let begin = format!("{name} close: connect failed: {}: {said}", path.display());
        assert!(told.starts_with(&begin), "{told}");
    }
}

#[test]
fn a_listener_that_closes_leaves_its_path_and_refuses_connects() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let mut reactor = reactor();
    let listener = echo_at(&mut reactor, &path);
    let _turn = no_fork();
    reactor.with(|cx| cx.io.close(listener));
    settle(&mut reactor);
    assert!(path.exists());
    let refused = UnixStream::connect(&path).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

/// Tells how a listener that has no descriptors left is named.
struct Named;

impl Accept<super::Told> for Named {
    fn accept(&mut self, cx: &mut Cx<'_>) -> Box<dyn Handler<super::Told>> {
        cx.state.lines.push("accepted".to_owned());
        Box::new(Echo)
    }

    fn on_error(&mut self, _: &mut Context<'_, super::Told>, _: &ListenerAddr, _: &io::Error) {}
}

#[test]
fn an_adopted_unix_listener_accepts_and_its_duplicate_listens_on() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let socket = UnixListener::bind(&path).expect("the path is free");
    let kept = socket.try_clone().expect("a descriptor is free");
    let mut before = UnixStream::connect(&path).expect("the backlog takes it");
    before.write_all(b"early").expect("the kernel takes it");
    let mut reactor = reactor();
    let listener = reactor.with(|cx| cx.adopt_listener(socket, Named));
    let listener = listener.expect("it listens");
    until(&mut reactor, |told| told.has("accepted"));
    settle(&mut reactor);
    let mut echoed = [0; 5];
    before.read_exact(&mut echoed).expect("it is served");
    assert_eq!(&echoed, b"early");
    reactor.with(|cx| cx.io.close(listener));
    settle(&mut reactor);
    let _waiting = UnixStream::connect(&path).expect("the duplicate listens");
    kept.set_nonblocking(false).expect("it is open");
    kept.accept().expect("it waits in the backlog");
}

#[test]
fn a_listener_is_shown_by_its_address_or_path() {
    let addr = ListenerAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
    assert_eq!(addr.to_string(), "127.0.0.1:80");
    assert_eq!(ListenerAddr::Unix("/a/b".into()).to_string(), "/a/b");
}

/// Where the system tells of it.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_unix_socket_tells_who_is_at_its_far_end_and_tcp_does_not() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    let path = folder.path("socket");
    let own = fs::metadata(&folder.0).expect("it was made");
    let mut reactor = reactor();
    let tell = |cx: &mut Cx<'_>| {
        let there = cx.peer_credentials();
        cx.state.lines.push(format!("{there:?}"));
        Echo
    };
    let addr = reactor.with(|cx| {
        cx.listen_unix(&path, tell).expect("the path is free");
        let tcp = cx.listen("127.0.0.1:0", tell).expect("a port is free");
        cx.listening_on(tcp).expect("it is TCP")
    });
    let _unix = UnixStream::connect(&path).expect("it listens");
    until(&mut reactor, |told| told.lines.len() == 1);
    let _tcp = std::net::TcpStream::connect(addr).expect("it listens");
    until(&mut reactor, |told| told.lines.len() == 2);
    let (pid, uid, gid) = (Some(std::process::id()), own.uid(), own.gid());
    let this = midge_reactor::Credentials { pid, uid, gid };
    assert_eq!(
        reactor.state.lines,
        [format!("{:?}", Some(this)), "None".to_owned()]
    );
}

#[test]
fn the_permissions_of_a_unix_socket_are_those_that_are_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    for mode in [0o600, 0o666, 0o770] {
        let path = folder.path(&format!("{mode:o}"));
        let options = ListenOptions::default().unix_mode(mode);
        let mut reactor = reactor();
        let listened = reactor.with(|cx| cx.listen_unix_with(&path, &options, Named));
        listened.expect("the path is free");
        let file = fs::metadata(&path).expect("it is there");
        assert_eq!(file.permissions().mode() & 0o777, mode);
    }
}
