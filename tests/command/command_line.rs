//! The same command lines, given to midge and to a nats-server: how they end, on which stream they say
//! something, and what. Where the two differ it stands here, with the reason.
//!
//! midge is called by a link of the name `nats-server`, as where it takes that one's place. The other
//! plays if there is a `nats-server` in `PATH`, or its executable is in `NATS_SERVER`; else it is said
//! that it does not, and midge is compared with what stands here.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::process::{End, Running, program, scratch, signal, wait_for_file};
use serde_json::Value;

/// One of the two, and the directory in which it runs.
struct Program {
    path: PathBuf,
    directory: PathBuf,
    is_midge: bool,
}

/// midge, and the other if there is one, each in a directory of its own with the same files.
fn programs(test: &str, files: &[(&str, &str)]) -> Vec<Program> {
    let directory = scratch(&format!("command_line/{test}"));
    let link = directory.join("nats-server");
    symlink(env!("CARGO_BIN_EXE_midge"), &link).expect("a link of this test");
    let given = std::env::var_os("NATS_SERVER").unwrap_or_else(|| "nats-server".into());
    let version = Command::new(&given).arg("-v").output();
    let theirs = match version {
        Ok(_) => {
            println!("played against {}", given.display());
            Some(PathBuf::from(given))
        }
        Err(error) => {
            println!("skipped: {} cannot be run: {error}", given.display());
            None
        }
    };
    let ours = Some((link, "midge", true));
    let theirs = theirs.map(|path| (path, "other", false));
    let programs = ours.into_iter().chain(theirs);
    let programs = programs.map(|(path, name, is_midge)| {
        let directory = directory.join(name);
        fs::create_dir(&directory).expect("a directory of this test");
        for (name, text) in files {
            fs::write(directory.join(name), text).expect("a file of this test");
        }
        Program {
            path,
            directory,
            is_midge,
        }
    });
    programs.collect()
}

impl Program {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = program(&self.path);
        command
            .args(words)
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        command
    }

    /// Runs what ends by itself.
    fn end(&self, words: &[&str]) -> End {
        let output = self.command(words).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("it says text");
        End {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Starts a broker on a free port, and waits until it is ready.
    fn start(&self, words: &[&str]) -> Running {
        let mut command = self.command(&["-a", "127.0.0.1", "-p", "-1"]);
        let mut running = Running::start(command.args(words));
        running.wait_for(&["Server is ready"]);
        running
    }
}

/// How a command line ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Ends {
    code: i32,
    /// Whether it says something on standard output, and on standard error.
    says: (bool, bool),
}

/// Success, with an answer on standard output.
const ANSWER: Ends = Ends {
    code: 0,
    says: (true, false),
};
/// Success, with a remark on standard error.
const FINE: Ends = Ends {
    code: 0,
    says: (false, true),
};
/// Failure, told on standard error.
const REFUSED: Ends = Ends {
    code: 1,
    says: (false, true),
};
/// What Go's flags make of a mistake: told on standard error, help on standard output, and success.
const HELPED: Ends = Ends {
    code: 0,
    says: (true, true),
};

/// How nats-server ends.
enum Theirs {
    /// As midge.
    Same,
    /// Otherwise, and why midge does not.
    Differs(Ends, &'static str),
    /// As midge, or in some releases otherwise.
    Varies(Ends),
}

use Theirs::{Differs, Same, Varies};

const MISTAKE: Theirs = Differs(
    HELPED,
    "a script that mistypes a flag must not be told that all is well",
);

const FILES: &[(&str, &str)] = &[
    ("good.conf", "max_payload: 2MB\n"),
    ("unknown.conf", "max_paylod: 2MB\n"),
    ("syntax.conf", "port: {\n"),
    ("type.conf", "max_payload: true\n"),
    ("warning.conf", "ping_interval: 30\n"),
    ("cross.conf", "max_payload: 2MB\nmax_pending: 1MB\n"),
    ("empty.conf", ""),
    ("include.conf", "include nope.conf\n"),
    // A process of this number there cannot be.
    ("dead.pid", "999999999"),
    ("junk.pid", "abc"),
];

/// Words, how midge ends, how the other does, and what both say: on standard error, or else on
/// standard output. `BUSY` stands for a port that is taken.
const LINES: &[(&str, Ends, Theirs, &str)] = &[
    ("-v", ANSWER, Same, "nats-server: v2."),
    ("--version", ANSWER, Same, "nats-server: v2."),
    ("version", ANSWER, Same, "nats-server: v2."),
    ("-h", ANSWER, Same, "-p, --port <port>"),
    ("--help", ANSWER, Same, "-p, --port <port>"),
    ("help", ANSWER, Same, "-c, --config <file>"),
    (
        "--bogus",
        REFUSED,
        MISTAKE,
        "flag provided but not defined: -bogus",
    ),
    (
        "-p abc",
        REFUSED,
        MISTAKE,
        "invalid value \"abc\" for flag -p: parse error",
    ),
    ("-p", REFUSED, MISTAKE, "flag needs an argument: -p"),
    (
        "-D=maybe",
        REFUSED,
        MISTAKE,
        "invalid boolean value \"maybe\" for -D: parse error",
    ),
    ("---p", REFUSED, MISTAKE, "bad flag syntax: ---p"),
    ("foo", REFUSED, Same, "unrecognized command: \"foo\""),
    ("-a 127.0.0.1 -p 70000", REFUSED, Same, "70000"),
    (
        "-t",
        REFUSED,
        Same,
        "must specify [-c, --config] option to check configuration file syntax",
    ),
    (
        "-t -c good.conf",
        FINE,
        Same,
        "nats-server: configuration file good.conf is valid",
    ),
    (
        "--config=good.conf -t",
        FINE,
        Same,
        "nats-server: configuration file good.conf is valid",
    ),
    (
        "-t -c unknown.conf",
        REFUSED,
        Same,
        "unknown field \"max_paylod\"",
    ),
    ("-t -c syntax.conf", REFUSED, Same, "Parse error on line "),
    (
        "-t -c type.conf",
        REFUSED,
        Same,
        "nats-server: type.conf:1:",
    ),
    (
        "-t -c warning.conf",
        REFUSED,
        Same,
        "invalid use of field \"ping_interval\"",
    ),
    (
        "-t -c cross.conf",
        REFUSED,
        Differs(FINE, "a file that passes the test must start"),
        "cross.conf",
    ),
    ("-t -c empty.conf", REFUSED, Varies(FINE), "empty.conf"),
    (
        "-t -c nope.conf",
        REFUSED,
        Same,
        "nats-server: open nope.conf: no such file or directory",
    ),
    (
        "-t -c include.conf",
        REFUSED,
        Same,
        "error parsing include file 'nope.conf', open nope.conf: no such file or directory",
    ),
    (
        "-c unknown.conf",
        REFUSED,
        Same,
        "unknown field \"max_paylod\"",
    ),
    ("-c syntax.conf", REFUSED, Same, "Parse error on line "),
    (
        "-c nope.conf",
        REFUSED,
        Same,
        "nats-server: open nope.conf: no such file or directory",
    ),
    (
        "-a 127.0.0.1 -p -1 -c cross.conf",
        REFUSED,
        Same,
        "max_payload (2097152) cannot be higher than max_pending (1048576)",
    ),
    (
        "-a 127.0.0.1 -p BUSY",
        REFUSED,
        Same,
        "[FTL] Error listening on port: 127.0.0.1:BUSY, \"listen tcp 127.0.0.1:BUSY: bind: address already in use\"",
    ),
    (
        "-a 127.0.0.1 -p -1 -m BUSY",
        REFUSED,
        Same,
        "[FTL] Can't start monitoring: can't listen to the monitor port: listen tcp 127.0.0.1:BUSY: bind: address \
         already in use",
    ),
    (
        "-a 127.0.0.1 -p -1 -P /no/such/file.pid",
        REFUSED,
        Same,
        "[FTL] Could not write pidfile: open /no/such/file.pid: no such file or directory",
    ),
    (
        "-a 127.0.0.1 -p -1 -l /no/such/file.log",
        REFUSED,
        Same,
        "error opening file: open /no/such/file.log: no such file or directory",
    ),
    (
        "-a 127.0.0.1 -p -1 -r foo://h:1",
        REFUSED,
        Same,
        "error invalid network type: \"foo\"",
    ),
    (
        "-a 127.0.0.1 -p -1 --routes nats://127.0.0.1:1",
        REFUSED,
        Same,
        "cluster",
    ),
    ("-a 127.0.0.1 -p -1 --tls", REFUSED, Same, "TLS"),
    ("--help_tls", ANSWER, Same, "TLS"),
    (
        "--signal bogus=1",
        REFUSED,
        Same,
        "unknown signal \"bogus\"",
    ),
    ("--signal quit=999999999", REFUSED, Same, "no such process"),
    ("--signal quit=dead.pid", REFUSED, Same, "no such process"),
    ("--signal quit=abc", REFUSED, Same, "invalid pid: abc"),
    ("-sl quit=junk.pid", REFUSED, Same, "invalid pid: abc"),
    (
        "--signal=quit=1=2",
        REFUSED,
        Same,
        "invalid signal parameters: [2]",
    ),
];

#[test]
fn a_command_line_ends_as_nats_server_ends_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let busy = taken.local_addr().expect("it has one").port().to_string();
    let mut wrong = Vec::new();
    for program in programs("lines", FILES) {
        for (line, ours, theirs, text) in LINES {
            let (line, text) = (line.replace("BUSY", &busy), text.replace("BUSY", &busy));
            let words: Vec<&str> = line.split(' ').collect();
            let end = program.end(&words);
            let says = if end.err.is_empty() {
                &end.out
            } else {
                &end.err
            };
            let found = Ends {
                code: end.code.unwrap_or(-1),
                says: (!end.out.is_empty(), !end.err.is_empty()),
            };
            let is_right = match theirs {
                _ if program.is_midge => found == *ours,
                Same => found == *ours,
                Differs(theirs, _) => found == *theirs,
                Varies(other) => found == *ours || found == *other,
            };
            if let (Differs(_, reason), false) = (theirs, program.is_midge) {
                println!("differs: {line}: {reason}");
            }
            if !is_right || !says.contains(&text) {
                let path = program.path.display();
                wrong.push(format!(
                    "{path} {line}: {found:?}, wanted {text:?}\n{end:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How a process ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    Code(i32),
    /// By a signal of this number, that nobody caught.
    Signal(i32),
}

use Ending::{Code, Signal};

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Ending {
        match status.code() {
            Some(code) => Code(code),
            None => Signal(status.signal().unwrap_or_default()),
        }
    }
}

/// Signals one after the other; how midge ends then; and how nats-server may.
const SIGNALS: &[(&[&str], Ending, &[Ending])] = &[
    (&["INT"], Code(0), &[Code(0)]),
    // 1 in releases 2.2 to 2.10, 0 in those after.
    (&["TERM"], Code(1), &[Code(1), Code(0)]),
    (&["USR2"], Code(0), &[Code(0)]),
    (&["KILL"], Signal(9), &[Signal(9)]),
    // Go's runtime catches it, and prints what its threads do; here the system ends the process.
    (&["QUIT"], Signal(3), &[Code(2)]),
    (&["HUP", "INT"], Code(0), &[Code(0)]),
    (&["USR1", "INT"], Code(0), &[Code(0)]),
];

#[test]
fn a_signal_ends_it_with_the_same_code() {
    for program in programs("signals", &[]) {
        for (signals, ours, theirs) in SIGNALS {
            let mut running = program.start(&[]);
            let (last, before) = signals.split_last().expect("one at least");
            for name in before {
                signal(running.child.id(), name);
                running.wait_for(&["Failed to reload", "File log re-open ignored"]);
            }
            let found = Ending::from(running.ends_on(last));
            let wanted = match program.is_midge {
                true => std::slice::from_ref(ours),
                false => theirs,
            };
            let path = program.path.display();
            assert!(wanted.contains(&found), "{path} {signals:?}: {found:?}");
        }
    }
}

/// The only file in a directory.
fn only_file(directory: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(directory).expect("it is there");
    let file = entries.next().map(|entry| entry.expect("an entry").path());
    assert!(entries.next().is_none(), "one file and no more");
    file
}

#[test]
fn ports_and_pid_files_have_the_same_names_and_shape_and_stay_as_long() {
    for program in programs("files", &[]) {
        let ports = program.directory.join("ports");
        fs::create_dir(&ports).expect("a directory of this test");
        let flags = ["-m", "-1", "--ports_file_dir", "ports", "-P", "it.pid"];
        for (name, stays) in [
            ("INT", false),
            ("TERM", false),
            ("USR2", false),
            ("KILL", true),
        ] {
            let running = program.start(&flags);
            let pid = running.child.id();
            let pid_file = program.directory.join("it.pid");
            wait_for_file(&pid_file, &pid.to_string());
            let written = fs::read_to_string(&pid_file).expect("it is there");
            assert_eq!(written, pid.to_string());
            let mode = fs::metadata(&pid_file)
                .expect("it is there")
                .permissions()
                .mode();
            // As far as the mask of this process lets it be.
            assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");

            let file = ports.join(format!("nats-server_{pid}.ports"));
            // nats-server writes it once it is ready.
            wait_for_file(&file, "}");
            let text = fs::read_to_string(&file).expect("it is there");
            let json: Value = serde_json::from_str(&text).expect("it is JSON");
            let lists = json.as_object().expect("an object");
            let keys: Vec<&str> = lists.keys().map(String::as_str).collect();
            assert_eq!(keys, ["monitoring", "nats"], "{text}");
            for (key, beginning) in [
                ("nats", "nats://127.0.0.1:"),
                ("monitoring", "http://127.0.0.1:"),
            ] {
                let list = json[key].as_array().expect("a list");
                let first = list[0].as_str().and_then(|url| url.strip_prefix(beginning));
                let port = first.and_then(|port| port.parse::<u16>().ok());
                assert!(
                    list.len() == 1 && port.is_some_and(|port| port > 0),
                    "{text}"
                );
            }
            assert!(!text.trim_end().contains('\n'), "{text}");

            running.ends_on(name);
            let left = only_file(&ports);
            assert_eq!(left.is_some(), stays, "{}: {name}", program.path.display());
            if let Some(left) = left {
                fs::remove_file(left).expect("it is there");
            }
            let written = fs::read_to_string(&pid_file).expect("it stays behind");
            assert_eq!(written, pid.to_string());
        }
    }
}
