//! The man page.

use std::fmt::Write;

use super::help::{Flag, Page};

const DESCRIPTION: &str = "\
midge is a NATS message broker in one thread. Programs connect to it with any NATS client library, and \
communicate by publish and subscribe, queue groups, or request and reply. It has the flags of nats-server. A \
flag takes one dash or two; its value is the next word, or stands behind an equals sign.";

/// Signal, effect.
const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGINT",
        "Shutdown, status 0. A second signal ends the process at once.",
    ),
    (
        "SIGTERM",
        "Shutdown, status 1, as in nats-server 2.10. Ignored in lame duck mode.",
    ),
    ("SIGHUP", "Reads the configuration file again."),
    ("SIGUSR1", "Opens the log file again, after a rename."),
    (
        "SIGUSR2",
        "Lame duck mode: no new clients are accepted, connected clients are told and are closed one by one \
         over --lame_duck_duration, and the process ends with status 0.",
    ),
];

const CODES: &[(&str, &str)] = &[
    ("0", "Success."),
    (
        "1",
        "The start or the command failed, or SIGTERM ended the broker.",
    ),
    ("2", "The command line of a command is wrong."),
    ("3", "Timeout (pub, sub, req)."),
    ("4", "No subscriber answers the request (req)."),
];

/// The whole page.
pub(crate) fn page(pages: &[Page]) -> String {
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION");
    line(&mut out, &format!(".TH MIDGE 1 \"\" \"midge {version}\""));
    line(&mut out, ".SH NAME");
    line(&mut out, "midge \\- a NATS message broker");
    line(&mut out, ".SH SYNOPSIS");
    for (number, page) in pages.iter().filter(|page| page.path.len() < 2).enumerate() {
        if number > 0 {
            line(&mut out, ".br");
        }
        text(&mut out, &page.usage);
    }
    line(&mut out, ".SH DESCRIPTION");
    text(&mut out, DESCRIPTION);
    line(&mut out, ".SH OPTIONS");
    for group in &pages[0].groups {
        line(&mut out, &format!(".SS {}", group.title));
        group.flags.iter().for_each(|one| flag(&mut out, one));
    }
    line(&mut out, ".SH COMMANDS");
    for page in pages.iter().skip(1) {
        line(&mut out, &format!(".SS midge {}", page.path.join(" ")));
        text(&mut out, &page.about);
        page.flags().for_each(|one| flag(&mut out, one));
    }
    for (title, entries) in [("SIGNALS", SIGNALS), ("EXIT STATUS", CODES)] {
        line(&mut out, &format!(".SH {title}"));
        for (name, what) in entries {
            line(&mut out, ".TP");
            line(&mut out, &format!(".B {name}"));
            text(&mut out, what);
        }
    }
    out
}

fn flag(out: &mut String, flag: &Flag) {
    line(out, ".TP");
    let names: Vec<String> = flag
        .names
        .iter()
        .map(|name| format!("\\fB{}\\fR", escape(name)))
        .collect();
    let value = flag
        .value
        .as_ref()
        .map(|value| format!(" \\fI{}\\fR", escape(value)));
    line(
        out,
        &format!("{}{}", names.join(", "), value.unwrap_or_default()),
    );
    text(out, &flag.help);
}

fn line(out: &mut String, line: &str) {
    let _ = writeln!(out, "{line}");
}

/// A paragraph: no line of it may be taken for a request.
fn text(out: &mut String, text: &str) {
    let text = escape(text);
    let guard = if text.starts_with(['.', '\'']) {
        "\\&"
    } else {
        ""
    };
    line(out, &format!("{guard}{text}"));
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
