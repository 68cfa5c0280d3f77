//! Child processes.

use super::{Cx, Folder, PATIENCE, Tell, Told, pattern, reactor, settle, until};
use crate::{forking, no_fork};
use midge_reactor::{Close, Context, Eof, Handler, Input, Key, Reactor};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    // One that is left over by a test that fails is not to hold the output of all of them open.
    command.args(["-c", script]).stderr(Stdio::null());
    command
}

/// Does what starts a process.
fn forks<R>(reactor: &mut Reactor<Told>, work: impl FnOnce(&mut Cx<'_>) -> R) -> R {
    let _turn = forking();
    reactor.with(work)
}

/// Starts `command` with its output told.
fn spawn(reactor: &mut Reactor<Told>, command: &mut Command) -> Key {
    let spawned = forks(reactor, |cx| cx.spawn(command, Tell("child")));
    spawned.expect("the program is there")
}

fn id(reactor: &mut Reactor<Told>, key: Key) -> u32 {
    let id = reactor.with(|cx| cx.io.process_id(key));
    id.expect("it is a process")
}

/// Turns until the child's connection has closed, and answers its exit code.
fn code(reactor: &mut Reactor<Told>) -> Option<i32> {
    until(reactor, |told| told.has("child close: closed by the peer"));
    let status = reactor.state.status.expect("it has ended by itself");
    status.code()
}

/// Whether the system still has a process of this number, dead or alive.
fn is_known(id: u32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

#[test]
fn all_output_comes_before_the_end_and_the_exit_status_is_right() {
    let mut reactor = reactor();
    spawn(&mut reactor, &mut sh("head -c 300000 /dev/zero; exit 3"));
    assert_eq!(code(&mut reactor), Some(3));
    assert!(reactor.state.bytes == vec![0; 300_000]);
    assert_eq!(
        reactor.state.lines,
        ["child open", "child eof", "child close: closed by the peer"]
    );
    assert_eq!(reactor.connections(), 0);
}

#[test]
fn arguments_and_paths_with_spaces_and_letters_of_all_kinds_are_left_alone() {
    let folder = Folder::new();
    let script = folder.path("ein Skript für ñ");
    fs::write(&script, "printf '%s|' \"$@\"").expect("the folder is ours");
    let mut reactor = reactor();
    let mut command = Command::new("sh");
    command
        .arg(&script)
        .args(["a b", " ", "", "$HOME", "*", "größe"]);
    spawn(&mut reactor, &mut command);
    assert_eq!(code(&mut reactor), Some(0));
    let said = String::from_utf8_lossy(&reactor.state.bytes);
    assert_eq!(said, "a b| ||$HOME|*|größe|");
}

#[test]
fn a_megabyte_goes_to_a_childs_input_and_comes_back() {
    let mut reactor = reactor();
    let key = spawn(&mut reactor, &mut Command::new("cat"));
    let sent = pattern(1_000_000);
    reactor.with(|cx| {
        assert!(cx.io.send(key, &sent));
        cx.io.shutdown_write(key);
    });
    assert_eq!(code(&mut reactor), Some(0));
    assert!(reactor.state.bytes == sent);
}

/// Reads nothing until it is told to.
struct Waits;

impl Handler<Told> for Waits {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        cx.pause();
        cx.state.lines.push("paused".to_owned());
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.state.bytes.extend(input.take());
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.lines.push(format!("child close: {why}"));
        cx.state.status = cx.exit_status();
    }
}

#[test]
fn a_child_that_says_a_lot_waits_while_it_is_paused_and_loses_nothing() {
    let folder = Folder::new();
    let (first, done) = (folder.path("first"), folder.path("done"));
    let script = format!(
        "printf '' >{}; head -c 1000000 /dev/zero; printf '' >{}",
        first.display(),
        done.display()
    );
    let mut reactor = reactor();
    let key = forks(&mut reactor, |cx| cx.spawn(&mut sh(&script), Waits));
    let key = key.expect("there is a shell");
    until(&mut reactor, |_| first.exists());
    settle(&mut reactor);
    assert!(reactor.state.bytes.is_empty());
    assert!(!done.exists(), "the pipe holds no megabyte");
    reactor.with(|cx| cx.io.resume(key));
    assert_eq!(code(&mut reactor), Some(0));
    assert_eq!(reactor.state.bytes.len(), 1_000_000);
    assert!(done.exists());
}

#[test]
fn the_end_waits_for_a_child_that_closes_its_output_and_goes_on() {
    let mut reactor = reactor();
    // Its input ends when the reactor has seen that its output has.
    spawn(&mut reactor, &mut sh("exec >&-; cat; exit 4"));
    until(&mut reactor, |told| told.has("child eof"));
    assert_eq!(code(&mut reactor), Some(4));
}

#[test]
fn the_end_waits_for_output_that_outlives_the_child() {
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    // The grandchild keeps the output open until somebody opens the FIFO.
    let script = format!(
        "mkfifo {0}; (: <{0}; printf later) & printf now; exit 5",
        fifo.display()
    );
    let mut reactor = reactor();
    let key = spawn(&mut reactor, &mut sh(&script));
    let mut status = None;
    while status.is_none() {
        reactor.turn(Some(PATIENCE)).expect("polling does not fail");
        status = reactor.with(|cx| cx.io.exit_status(key));
    }
    assert_eq!(status.and_then(|status| status.code()), Some(5));
    assert!(reactor.with(|cx| cx.io.is_open(key)), "its output is");
    fs::write(&fifo, "").expect("somebody reads");
    assert_eq!(code(&mut reactor), Some(5));
    assert_eq!(reactor.state.bytes, b"nowlater");
}

#[test]
fn a_signal_ends_a_child_and_shows_in_its_status() {
    let mut reactor = reactor();
    let key = spawn(&mut reactor, &mut Command::new("cat"));
    until(&mut reactor, |told| told.has("child open"));
    reactor.with(|cx| {
        let error = cx.io.kill(key, 1000).expect_err("this is no signal");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(cx.io.exit_status(key), None);
        cx.io.kill(key, 15).expect("it runs");
    });
    assert_eq!(code(&mut reactor), None);
    let status = reactor.state.status.expect("it has ended");
    assert_eq!(status.signal(), Some(15));
    let error = reactor.with(|cx| cx.io.kill(key, 15));
    assert_eq!(error.expect_err("it has ended").kind(), ErrorKind::NotFound);
}

#[test]
fn a_connection_that_is_closed_waits_for_no_child_and_leaves_no_zombie() {
    let mut reactor = reactor();
    // It ignores the end of its input, and the signal that ends others.
    let stubborn =
        &mut sh("trap '' TERM PIPE; echo ready; while :; do read -r _ || kill -STOP $$; done");
    let key = spawn(&mut reactor, stubborn);
    until(&mut reactor, |told| told.bytes == b"ready\n");
    let id = id(&mut reactor, key);
    reactor.with(|cx| cx.io.close(key));
    settle(&mut reactor);
    assert_eq!(reactor.state.lines, ["child open", "child close: closed"]);
    assert_eq!(reactor.state.status, None, "it runs");
    assert!(is_known(id));
    // It can still be reached by the key of its connection.
    reactor.with(|cx| cx.io.kill(key, 9)).expect("it runs");
    until(&mut reactor, |_| !is_known(id));
    assert_eq!(reactor.connections(), 0);
}

/// Keeps the other direction open.
struct Keeps;

impl Handler<Told> for Keeps {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.state.bytes.extend(input.take());
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        cx.state.lines.push("eof".to_owned());
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.lines.push(format!("child close: {why}"));
        cx.state.status = cx.exit_status();
    }
}

#[test]
fn input_can_be_sent_to_a_child_whose_output_has_ended() {
    let folder = Folder::new();
    let file = folder.path("file");
    let script = format!("exec >&-; cat >{}; exit 6", file.display());
    let mut reactor = reactor();
    let key = forks(&mut reactor, |cx| cx.spawn(&mut sh(&script), Keeps));
    let key = key.expect("there is a shell");
    until(&mut reactor, |told| told.has("eof"));
    assert!(reactor.with(|cx| cx.io.send(key, b"for the file")));
    reactor.with(|cx| cx.io.shutdown_write(key));
    assert_eq!(code(&mut reactor), Some(6));
    assert_eq!(fs::read(&file).expect("it was written"), b"for the file");
}

#[test]
fn the_wait_for_a_child_ends_when_its_connection_is_closed() {
    let mut reactor = reactor();
    let key = spawn(&mut reactor, &mut sh("exec >&-; kill -STOP $$"));
    until(&mut reactor, |told| told.has("child eof"));
    settle(&mut reactor);
    assert_eq!(reactor.connections(), 1, "it waits");
    let id = id(&mut reactor, key);
    assert!(reactor.with(|cx| cx.io.close(key)));
    assert!(!reactor.with(|cx| cx.io.close(key)));
    settle(&mut reactor);
    assert_eq!(reactor.state.lines.len(), 3, "{:?}", reactor.state.lines);
    assert_eq!(reactor.state.status, None);
    assert_eq!(reactor.connections(), 0);
    reactor
        .with(|cx| cx.io.kill(key, 9))
        .expect("it is only stopped");
    until(&mut reactor, |_| !is_known(id));
    assert_eq!(reactor.state.lines.len(), 3, "told once");
}

#[test]
fn a_child_that_reads_no_more_is_heard_to_its_end() {
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    // It goes on when somebody opens the FIFO.
    let script = format!(
        "mkfifo {0}; exec <&-; echo closed; : <{0}; echo done; exit 7",
        fifo.display()
    );
    let mut reactor = reactor();
    let key = spawn(&mut reactor, &mut sh(&script));
    until(&mut reactor, |told| told.bytes == b"closed\n");
    let turn = no_fork();
    assert!(reactor.with(|cx| cx.io.send(key, vec![0; 500_000])));
    settle(&mut reactor);
    drop(turn);
    reactor.with(|cx| {
        assert!(!cx.io.send(key, b"x"), "nobody reads");
        assert_eq!(cx.io.queued(key), 0);
    });
    fs::write(&fifo, "").expect("somebody reads");
    assert_eq!(code(&mut reactor), Some(7));
    assert_eq!(reactor.state.bytes, b"closed\ndone\n");
}

#[test]
fn standard_error_is_a_connection_of_its_own() {
    let mut reactor = reactor();
    let script = "echo out; echo err >&2; exec 2>&-; cat";
    let spawned = forks(&mut reactor, |cx| {
        cx.spawn_with_stderr(&mut sh(script), Tell("child"), Tell("errors"))
    });
    let (key, errors) = spawned.expect("there is a shell");
    until(&mut reactor, |told| {
        told.has("errors close: closed by the peer")
    });
    assert_eq!(
        reactor.state.status, None,
        "the status belongs to the first"
    );
    reactor.with(|cx| {
        assert!(cx.io.is_open(key));
        assert_eq!(cx.io.process_id(errors), None);
        cx.io.shutdown_write(key);
    });
    assert_eq!(code(&mut reactor), Some(0));
    let mut lines: Vec<_> = reactor.state.bytes.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    assert_eq!(lines, [&b""[..], b"err", b"out"]);
}

#[test]
fn a_program_that_is_not_there_is_an_error_with_its_name() {
    let mut reactor = reactor();
    let mut command = Command::new("/nowhere/such a program");
    let spawned = forks(&mut reactor, |cx| cx.spawn(&mut command, Tell("child")));
    let error = spawned.expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().starts_with("/nowhere/such a program: "),
        "{error}"
    );
    let run = reactor.with(|cx| cx.run_command(&mut command, |_, _| panic!("it has not begun")));
    assert_eq!(
        run.expect_err("it is not there").kind(),
        ErrorKind::NotFound
    );
    settle(&mut reactor);
    assert_eq!(reactor.connections(), 0);
    assert!(reactor.state.lines.is_empty());
}

#[test]
fn a_child_that_outlives_its_reactor_is_no_zombie_when_it_ends() {
    let mut reactor = reactor();
    let mut command = Command::new("cat");
    let key = spawn(&mut reactor, command.stderr(Stdio::null()));
    until(&mut reactor, |told| told.has("child open"));
    let id = id(&mut reactor, key);
    assert!(is_known(id));
    // Its input ends, and so it does.
    drop(reactor);
    let late = Instant::now() + PATIENCE;
    while is_known(id) {
        assert!(Instant::now() < late, "a zombie");
        thread::yield_now();
    }
}

#[test]
fn a_reactor_that_stops_tells_its_children_without_waiting() {
    let mut reactor = reactor();
    let key = spawn(&mut reactor, &mut sh("exec >&-; kill -STOP $$"));
    until(&mut reactor, |told| told.has("child eof"));
    settle(&mut reactor);
    reactor.with(|cx| cx.io.stop());
    reactor.run().expect("polling does not fail");
    assert_eq!(reactor.state.lines.len(), 3, "{:?}", reactor.state.lines);
    reactor
        .with(|cx| cx.io.kill(key, 9))
        .expect("it is only stopped");
}

/// The outputs of commands, as they came.
type Outputs = Vec<Output>;

#[test]
fn commands_run_side_by_side_and_each_answers_once_with_all_it_said() {
    const COMMANDS: usize = 20;
    let mut reactor = Reactor::new(Outputs::new()).expect("a selector is free");
    reactor.with(|cx| {
        for number in 0..COMMANDS {
            let script = format!("printf {number}; head -c 100000 /dev/zero >&2; exit {number}");
            let then = |cx: &mut Context<'_, Outputs>, output: std::io::Result<Output>| {
                assert_eq!(cx.key(), Key::NONE);
                cx.state.push(output.expect("it ends by itself"));
            };
            cx.run_command(&mut sh(&script), then)
                .expect("there is a shell");
        }
        assert!(cx.state.is_empty(), "nothing is told inside the call");
    });
    until(&mut reactor, |outputs| outputs.len() == COMMANDS);
    let mut codes = Vec::new();
    for output in &reactor.state {
        let code = output.status.code().expect("it was not killed");
        assert_eq!(output.stdout, code.to_string().as_bytes());
        assert!(output.stderr == vec![0; 100_000]);
        codes.push(usize::try_from(code).expect("it is small"));
    }
    codes.sort_unstable();
    assert!(codes.iter().copied().eq(0..COMMANDS));
    assert_eq!(reactor.connections(), 0);
}

#[test]
fn a_command_that_says_too_much_is_killed_and_is_an_error() {
    let mut reactor = reactor();
    let then = |cx: &mut Cx<'_>, output: std::io::Result<Output>| {
        let error = output.expect_err("it never ends by itself");
        cx.state.lines.push(error.to_string());
    };
    reactor
        .with(|cx| cx.run_command(&mut Command::new("yes"), then))
        .expect("the program is there");
    until(&mut reactor, |told| !told.lines.is_empty());
    assert_eq!(reactor.state.lines, ["more than 67108864 bytes of output"]);
    settle(&mut reactor);
    assert_eq!(reactor.connections(), 0);
}

#[test]
fn a_command_reads_nothing() {
    let mut reactor = reactor();
    let then = |cx: &mut Cx<'_>, output: std::io::Result<Output>| {
        let output = output.expect("it ends by itself");
        cx.state
            .lines
            .push(format!("{} {}", output.status, output.stdout.len()));
    };
    reactor
        .with(|cx| cx.run_command(&mut Command::new("cat"), then))
        .expect("the program is there");
    until(&mut reactor, |told| !told.lines.is_empty());
    assert_eq!(reactor.state.lines, ["exit status: 0 0"]);
}
