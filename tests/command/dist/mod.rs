//! What is packaged beside the binary is made of its help, and so names every flag there is: the man
//! page and the completions for three shells. After a change of flags write them anew:
//!
//! ```sh
//! MIDGE_WRITE_DIST=1 cargo test --test command dist
//! ```
//!
//! And the container image: what it starts, with arguments and without.

mod help;
mod image;
mod man;
mod shells;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use help::Page;

/// All pages of help, the broker's first.
fn pages() -> Vec<Page> {
    let broker = Page::of(&[]);
    let mut pages = vec![broker];
    let mut at = 0;
    while at < pages.len() {
        let path = pages[at].path.clone();
        for command in pages[at].commands.clone() {
            let words: Vec<&str> = path.iter().chain([&command]).map(String::as_str).collect();
            pages.push(Page::of(&words));
        }
        at += 1;
    }
    pages
}

fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("dist")
        .join(name)
}

fn files() -> Vec<(PathBuf, String)> {
    let pages = pages();
    vec![
        (dist("midge.1"), man::page(&pages)),
        (dist("completions/midge.bash"), shells::bash(&pages)),
        (dist("completions/_midge"), shells::zsh(&pages)),
        (dist("completions/midge.fish"), shells::fish(&pages)),
    ]
}

#[test]
fn the_man_page_and_the_completions_are_those_of_the_present_flags() {
    let write = std::env::var_os("MIDGE_WRITE_DIST").is_some();
    for (path, text) in files() {
        if write {
            let directory = path.parent().expect("a directory");
            fs::create_dir_all(directory).expect("it can be made");
            fs::write(&path, &text).expect("it can be written");
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == text,
            "{} is not made of the present flags: MIDGE_WRITE_DIST=1 cargo test --test command dist",
            path.display()
        );
    }
}

#[test]
fn help_lists_flags_in_groups_and_commands() {
    let pages = pages();
    let broker = &pages[0];
    assert_eq!(
        broker.commands,
        [
            "check", "digest", "pub", "sub", "req", "top", "kick", "passwd", "nkey", "bench"
        ]
    );
    let flag = |page: &Page, name: &str| {
        let found = page
            .flags()
            .find(|flag| flag.names.iter().any(|n| n == name));
        found
            .unwrap_or_else(|| panic!("{name} is not in {page:?}"))
            .clone()
    };
    let port = flag(broker, "-p");
    assert_eq!(port.names, ["-p", "--port"]);
    assert_eq!(port.value.as_deref(), Some("port"));
    assert_eq!(flag(broker, "-DV").value, None);
    assert!(
        flag(broker, "--busy_poll")
            .help
            .contains("; 0 sleeps at once (default: ")
    );
    let fanout = pages.iter().find(|page| page.path == ["bench", "fanout"]);
    let window = flag(fanout.expect("a page"), "--window");
    assert!(
        window.help.ends_with("0 is no bound [default: 16MiB]"),
        "{window:?}"
    );
}

#[test]
fn bash_completes_flags_and_commands() {
    let script = dist("completions/midge.bash");
    let complete = |words: &[&str]| {
        let line = words.join(" ");
        let code = format!(
            "source '{}'; COMP_WORDS=(midge {line} ''); COMP_CWORD={}; \
             [ -n '{line}' ] && unset 'COMP_WORDS[-1]'; _midge; echo \"${{COMPREPLY[*]}}\"",
            script.display(),
            words.len().max(1),
        );
        let done = Command::new("bash").args(["-c", &code]).output();
        let done = done.expect("bash runs");
        assert!(
            done.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout)
            .expect("text")
            .trim()
            .to_owned()
    };
    assert_eq!(complete(&["--por"]), "--port --ports_file_dir");
    assert_eq!(complete(&["-D", "--log_f"]), "--log_format");
    assert_eq!(complete(&["p"]), "pub passwd");
    assert_eq!(complete(&["pub", "--rep"]), "--reply");
    assert_eq!(complete(&["bench", "fano"]), "fanout");
    assert_eq!(complete(&["bench", "fanout", "--wild"]), "--wildcards");
}
