//! The logger as a whole: which records become lines, and what becomes of those.

use super::*;
use log::Level;
use std::io::Read as _;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use syslog::Daemon;

/// A logger into memory, and the lines it has written.
fn logger(options: &LogOptions) -> (Logger, impl Fn() -> Vec<String> + use<>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let logger = Logger::new(options, Output::Memory(Arc::clone(&lines)));
    let texts = move || {
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        lines.iter().map(text).collect()
    };
    (logger, texts)
}

fn options(debug: bool, trace: bool) -> LogOptions {
    LogOptions {
        debug,
        trace,
        time: false,
        ..LogOptions::default()
    }
}

fn log(logger: &Logger, level: Level, target: &str, text: &str) {
    let args = format_args!("{text}");
    let mut record = Record::builder();
    logger.log(&record.level(level).target(target).args(args).build());
}

#[test]
fn debug_and_trace_lines_are_turned_on_independently() {
    for (debug, trace, expected) in [
        (false, false, "FTL ERR WRN INF"),
        (true, false, "FTL ERR WRN INF DBG"),
        (false, true, "FTL ERR WRN INF TRC"),
        (true, true, "FTL ERR WRN INF DBG TRC"),
    ] {
        let (logger, texts) = logger(&options(debug, trace));
        log(&logger, Level::Error, FATAL, "x");
        for level in Level::iter() {
            log(&logger, level, "midge::client", "x");
        }
        let pid = process::id();
        let expected: Vec<String> = expected
            .split(' ')
            .map(|letters| format!("[{pid}] [{letters}] x\n"))
            .collect();
        assert_eq!(texts(), expected, "debug {debug}, trace {trace}");
    }
}

#[test]
fn a_log_that_is_changed_changes_from_the_next_line_on() {
    let (logger, texts) = logger(&options(false, false));
    log(&logger, Level::Debug, "midge", "unwanted");
    let wanted = LogOptions {
        format: midge::cli::LogFormat::Json,
        ..options(true, false)
    };
    let change = logger.prepare(&wanted).expect("it stays in memory");
    log(&logger, Level::Debug, "midge", "not yet wanted");
    logger.take_over(change);
    log(&logger, Level::Debug, "midge", "wanted");
    let nowhere = LogOptions {
        file: Some("/no/such/directory/midge.log".into()),
        ..LogOptions::default()
    };
    assert!(logger.prepare(&nowhere).is_err());
    log(&logger, Level::Debug, "midge", "still wanted");
    let pid = process::id();
    let line = |text| format!("{{\"level\":\"debug\",\"pid\":{pid},\"msg\":\"{text}\"}}\n");
    assert_eq!(texts(), [line("wanted"), line("still wanted")]);
}

#[test]
fn other_crates_are_heard_when_they_warn() {
    let (logger, texts) = logger(&options(true, true));
    for level in Level::iter() {
        log(&logger, level, "mio::poll", "mio");
        log(&logger, level, "midge_reactor", "reactor");
    }
    let heard = |text: &str| texts().iter().filter(|line| line.contains(text)).count();
    assert_eq!((heard("mio"), heard("reactor")), (2, 5));
}

#[test]
fn a_line_is_one_write() {
    let (logger, texts) = logger(&LogOptions::default());
    for text in ["short", "", "\x1b[31m \t é", &"long".repeat(100_000)] {
        log(&logger, Level::Info, "midge", text);
        let texts = texts();
        let last = texts.last().expect("a write");
        assert!(last.ends_with(&format!("] {text}\n")));
    }
    assert_eq!(texts().len(), 4);
}

/// Sockets for daemons, in a directory of one test.
fn sockets(test: &str) -> PathBuf {
    let name = format!("midge-{test}-{}", process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).expect("a directory of this test");
    directory
}

#[test]
fn the_daemon_of_this_machine_is_found_where_it_listens() {
    use std::os::unix::net::UnixDatagram;

    let directory = sockets("local");
    let [nobody, first, second] = ["nobody", "first", "second"].map(|name| directory.join(name));
    let bind = |path| UnixDatagram::bind(path).expect("a path of this test");
    let (socket, other) = (bind(&first), bind(&second));
    let daemon = Daemon::Local(vec![nobody, first, second]);
    let output = Output::to_daemon(daemon, &options(true, false)).expect("one listens");
    let logger = Logger::new(&options(true, false), output);
    for (level, priority) in [
        (Level::Error, 27),
        (Level::Warn, 28),
        (Level::Info, 29),
        (Level::Debug, 31),
    ] {
        log(&logger, level, "midge", "told");
        let mut packet = [0; 200];
        let len = socket.recv(&mut packet).expect("a packet");
        let packet = String::from_utf8_lossy(&packet[..len]);
        let beginning = format!("<{priority}>");
        let ending = format!(" {}[{}]: told\n", midge::cli::executable(), process::id());
        let time = packet
            .strip_prefix(&beginning)
            .and_then(|rest| rest.strip_suffix(&ending))
            .unwrap_or_else(|| panic!("{packet}"));
        // `Nov 26 02:04:23`, and no name of this machine, which its daemon knows.
        let shape = |(at, c): (usize, char)| match at {
            3 | 6 => c == ' ',
            9 | 12 => c == ':',
            _ => c.is_ascii_alphanumeric() || c == ' ',
        };
        assert!(
            time.len() == 15 && time.chars().enumerate().all(shape),
            "{packet}"
        );
    }
    other.set_nonblocking(true).expect("a socket");
    assert!(other.recv(&mut [0; 10]).is_err(), "only one is told");
    std::fs::remove_dir_all(&directory).expect("it is there");
}

#[test]
fn a_daemon_of_this_machine_may_want_a_stream() {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;

    let directory = sockets("stream");
    let path = directory.join("log");
    let listener = UnixListener::bind(&path).expect("a path of this test");
    let daemon = Daemon::Local(vec![path]);
    let output = Output::to_daemon(daemon, &options(false, false)).expect("it listens");
    let logger = Logger::new(&options(false, false), output);
    log(&logger, Level::Info, "midge", "one");
    log(&logger, Level::Info, "midge", "two");
    logger.flush();
    let (stream, _) = listener.accept().expect("it has connected");
    let lines: Vec<String> = BufReader::new(stream)
        .lines()
        .take(2)
        .map_while(Result::ok)
        .collect();
    assert!(
        lines[0].ends_with(": one") && lines[1].ends_with(": two"),
        "{lines:?}"
    );
    std::fs::remove_dir_all(&directory).expect("it is there");
}

#[test]
fn a_machine_without_a_daemon_is_told_so() {
    let nowhere = Daemon::Local(vec!["/no/such/socket".into()]);
    let text = match Output::to_daemon(nowhere, &LogOptions::default()) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("opened"),
    };
    let expected = "error connecting to syslog: \"Unix syslog delivery error\"; ";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn lost_lines_are_told_when_there_is_room_again_and_counted_until_then() {
    let (mut stream, mut reader) = stream::tests::pipe();
    stream::tests::fill(&mut stream);
    let (options, line) = (options(false, false), "a line");
    let logger = Logger::new(&options, Output::Stream(stream));
    log(&logger, Level::Info, "midge", line);
    log(&logger, Level::Info, "midge", line);
    let mut taken = vec![0; 1 << 20];
    let len = reader.read(&mut taken).expect("the pipe is full");
    assert!(taken[..len].iter().all(|byte| *byte == b'x'));
    log(&logger, Level::Info, "midge", line);
    drop(logger);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("text");
    let rest = rest.trim_start_matches('x');
    let pid = process::id();
    let told = format!("[{pid}] [WRN] 2 log lines were lost: the reader of this log was too slow");
    assert!(rest.starts_with(&told), "{rest}");
    assert!(
        rest.ends_with(&format!("\n[{pid}] [INF] {line}\n")),
        "{rest}"
    );
}

#[test]
fn lines_that_find_the_disk_full_are_counted_until_that_can_be_told() {
    let options = LogOptions {
        file: Some("/dev/full".into()),
        ..options(false, false)
    };
    let Ok(output) = Output::open(&options) else {
        return;
    };
    let logger = Logger::new(&options, output);
    for _ in 0..3 {
        log(&logger, Level::Info, "midge", "a line");
    }
    let lines = Arc::default();
    logger.take_over(Change {
        options,
        output: Some(Output::Memory(Arc::clone(&lines))),
    });
    for _ in 0..2 {
        log(&logger, Level::Info, "midge", "a line");
    }
    let lines: Vec<Vec<u8>> = std::mem::take(&mut *lines.lock().expect("nobody panics"));
    let told = String::from_utf8_lossy(&lines[0]).into_owned();
    assert!(
        told.contains("[WRN] 3 log lines were lost: no space left on device"),
        "{told}"
    );
    assert_eq!(lines.len(), 3, "it is told once");
}

#[test]
fn standard_error_has_one_wait_budget_however_often_it_is_told_of_a_disk_that_is_full() {
    let options = LogOptions {
        file: Some("/dev/full".into()),
        ..options(false, false)
    };
    let Ok(output) = Output::open(&options) else {
        return;
    };
    let mut writer = Writer::new(&options, output);
    let (mut stream, mut reader) = stream::tests::pipe();
    stream::tests::fill(&mut stream);
    writer.tell_to(stream);
    for _ in 0..3 {
        writer.forget_told();
        let args = format_args!("x");
        writer.log(&Record::builder().level(Level::Info).args(args).build());
    }
    // It was the same stream each time: with room in it, the next is told there.
    writer.forget_told();
    reader.read_exact(&mut [0; 4096]).expect("a full pipe");
    writer.log(&Record::builder().args(format_args!("x")).build());
    drop(writer);
    let mut told = Vec::new();
    reader.read_to_end(&mut told).expect("text");
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.contains("Log file /dev/full: no space left"), "{told}");
}
