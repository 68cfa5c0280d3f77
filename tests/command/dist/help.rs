//! A page of help, taken apart.

use std::process::Command;

/// Where explanations begin in the help of the broker itself, whose flags may be longer than the
/// blanks before them.
const BROKER_COLUMN: usize = 37;

/// One flag, with all its spellings.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// With their dashes.
    pub(crate) names: Vec<String>,
    /// What stands for its value.
    pub(crate) value: Option<String>,
    pub(crate) help: String,
}

/// Flags under one heading.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) flags: Vec<Flag>,
}

/// The help of the broker or of a subcommand.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The words that lead to it, without `midge`.
    pub(crate) path: Vec<String>,
    /// What it is for; empty for the broker.
    pub(crate) about: String,
    /// How it is called.
    pub(crate) usage: String,
    pub(crate) groups: Vec<Group>,
    /// Its subcommands.
    pub(crate) commands: Vec<String>,
}

impl Page {
    /// Asks the binary.
    pub(crate) fn of(path: &[&str]) -> Page {
        let done = Command::new(env!("CARGO_BIN_EXE_midge"))
            .args(path)
            .arg("-h")
            .output()
            .expect("midge runs");
        assert!(done.status.success(), "{path:?}");
        let text = String::from_utf8(done.stdout).expect("help is text");
        let column = path.is_empty().then_some(BROKER_COLUMN);
        Page::parse(path, &text, column)
    }

    fn parse(path: &[&str], text: &str, column: Option<usize>) -> Page {
        let mut page = Page {
            path: path.iter().map(|&word| word.to_owned()).collect(),
            about: text.lines().next().unwrap_or_default().to_owned(),
            usage: String::new(),
            groups: Vec::new(),
            commands: Vec::new(),
        };
        let mut heading = String::new();
        for line in text.lines() {
            if let Some(usage) = line.strip_prefix("Usage: ") {
                page.usage = usage.to_owned();
            } else if !line.starts_with(' ') {
                heading = line.strip_suffix(':').unwrap_or_default().to_owned();
            } else if heading == "Commands" {
                page.add_commands(line);
            } else if !heading.is_empty() && heading != "Arguments" {
                page.add_flag(&heading, line, column);
            }
        }
        page
    }

    pub(crate) fn flags(&self) -> impl Iterator<Item = &Flag> {
        self.groups.iter().flat_map(|group| &group.flags)
    }

    fn add_commands(&mut self, line: &str) {
        // A line that goes on is indented further.
        if line.starts_with("      ") {
            return;
        }
        let names = line.trim_start().split("  ").next().unwrap_or_default();
        let names = names.split(", ").filter(|name| *name != "help");
        self.commands.extend(names.map(str::to_owned));
    }

    fn add_flag(&mut self, heading: &str, line: &str, column: Option<usize>) {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if !(trimmed.starts_with('-') && indent <= 8) {
            let flags = self.groups.last_mut().map(|group| &mut group.flags);
            if let Some(flag) = flags.and_then(|flags| flags.last_mut()) {
                let space = if flag.help.is_empty() { "" } else { " " };
                flag.help.push_str(space);
                flag.help.push_str(trimmed);
            }
            return;
        }
        let (names, help) = match column {
            Some(column) => line.split_at(column),
            None => line.split_at(indent + trimmed.find("  ").unwrap_or(trimmed.len())),
        };
        let names = names.trim();
        let value = names.split_once('<').map(|(_, value)| {
            let value = value.replace('<', "");
            value.replace('>', "")
        });
        let names = names.split([',', ' ']).filter(|name| name.starts_with('-'));
        let flag = Flag {
            names: names.map(str::to_owned).collect(),
            value,
            help: help.trim().to_owned(),
        };
        match self.groups.last_mut() {
            Some(group) if group.title == heading => group.flags.push(flag),
            _ => self.groups.push(Group {
                title: heading.to_owned(),
                flags: vec![flag],
            }),
        }
    }
}
