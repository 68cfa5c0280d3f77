//! The container image: what its files say is what midge does. No image is built here.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::dist;

/// The words of an instruction of the Dockerfile that is a list in JSON.
fn instruction(name: &str) -> Vec<String> {
    let text = fs::read_to_string(dist("Dockerfile")).expect("it is there");
    let mut lines = text.lines();
    let list = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let list = list.unwrap_or_else(|| panic!("no {name} in the Dockerfile"));
    serde_json::from_str(list).expect("a list of words")
}

/// A broker that is killed in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts midge as the image would with these arguments, but on free ports of this machine, and answers
/// what it logs until it is ready.
fn log_of(arguments: &[String]) -> Vec<String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_midge"))
        .args(arguments)
        .args(["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-T=false"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("midge starts");
    let log = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
    let running = Running(child);
    let pid = format!("[{}] ", running.0.id());
    let mut lines = Vec::new();
    for line in log.lines() {
        let line = line.expect("the log is text").replace(&pid, "");
        let is_ready = line == "[INF] Server is ready";
        // What this machine allows is not the file's doing.
        if !line.contains("The limit of ") {
            lines.push(line);
        }
        if is_ready {
            return lines;
        }
    }
    panic!("it does not start: {lines:#?}");
}

#[test]
fn without_arguments_the_image_starts_with_its_own_file() {
    let command = instruction("CMD");
    assert_eq!(command, ["--config", "/etc/nats/nats-server.conf"]);
    assert_eq!(instruction("ENTRYPOINT"), ["/midge"]);
    let dockerfile = fs::read_to_string(dist("Dockerfile")).expect("it is there");
    let placed = "cp dist/nats-server.conf /image/etc/nats/nats-server.conf";
    assert!(dockerfile.contains(placed), "{dockerfile}");
    let ignored = Path::new(env!("CARGO_MANIFEST_DIR")).join(".dockerignore");
    let ignored = fs::read_to_string(ignored).expect("it is there");
    assert!(!ignored.lines().any(|line| line.starts_with("dist")));

    let file = dist("nats-server.conf").display().to_string();
    let log = log_of(&[command[0].clone(), file.clone()]);
    assert!(log.contains(&format!("[INF] Using configuration file: {file}")));
    assert!(
        log.iter().all(|line| line.starts_with("[INF] ")),
        "{log:#?}"
    );
    let explained = Command::new(env!("CARGO_BIN_EXE_midge"))
        .args(["check", &file])
        .output()
        .expect("midge runs");
    let explained = String::from_utf8(explained.stdout).expect("text");
    let set: Vec<&str> = explained
        .lines()
        .filter(|line| line.contains(&file))
        .filter_map(|line| line.split(&file).next())
        .map(str::trim)
        .collect();
    let words = |line: &&str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let set: Vec<String> = set.iter().map(words).collect();
    assert_eq!(set, ["port 4222", "http_port 8222"]);
}

#[test]
fn arguments_stand_in_for_the_file_as_in_the_image_of_nats_server() {
    let log = log_of(&["-js".to_owned()]);
    assert!(!log.iter().any(|line| line.contains("configuration file")));
    let warned: Vec<&String> = log.iter().filter(|line| line.contains("[WRN]")).collect();
    assert_eq!(
        warned,
        ["[WRN] flag -js has no effect: JetStream is not supported: nothing is stored"]
    );
}

#[test]
fn a_file_for_the_image_of_nats_server_starts_and_warns_of_its_cluster() {
    let file = "tests/configs/good/image.conf";
    let log = log_of(&["--config".to_owned(), file.to_owned()]);
    let warned: Vec<&String> = log.iter().filter(|line| line.contains("[WRN]")).collect();
    assert_eq!(
        warned,
        [
            "[WRN] tests/configs/good/image.conf:6:1: \"cluster\" has no effect: this server runs alone \
          and does not listen for routes; only the name of a cluster is used"
        ]
    );
}
