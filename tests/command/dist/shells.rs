//! Completions for bash, zsh and fish.

use std::fmt::Write;

use super::help::{Flag, Page};

/// All that may come next: flags, then commands.
fn words(page: &Page) -> String {
    let flags = page.flags().flat_map(|flag| &flag.names);
    let words: Vec<&str> = flags.chain(&page.commands).map(String::as_str).collect();
    words.join(" ")
}

/// The pages of subcommands, the longest paths first.
fn subcommands(pages: &[Page]) -> Vec<&Page> {
    let mut subcommands: Vec<&Page> = pages.iter().skip(1).collect();
    subcommands.sort_by_key(|page| std::cmp::Reverse(page.path.len()));
    subcommands
}

/// A pattern for the words before the one that is completed, each with a blank behind it.
fn pattern(page: &Page) -> String {
    format!("\"{} \"*", page.path.join(" "))
}

pub(crate) fn bash(pages: &[Page]) -> String {
    let mut out = String::from(
        "# Completions of midge for bash; made of its help.\n\n_midge() {\n    \
         local before words\n    \
         before=\"${COMP_WORDS[*]:1:COMP_CWORD-1} \"\n    \
         case $before in\n",
    );
    for page in subcommands(pages) {
        let _ = writeln!(out, "        {}) words='{}' ;;", pattern(page), words(page));
    }
    let _ = write!(
        out,
        "        *) words='{}' ;;\n    esac\n    \
         COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\n\n\
         # What is not a flag may be a file.\ncomplete -o default -F _midge midge\n",
        words(&pages[0])
    );
    out
}

pub(crate) fn zsh(pages: &[Page]) -> String {
    let mut out = String::from(
        "#compdef midge\n# Completions of midge for zsh; made of its help.\n\n_midge() {\n  \
         local before=\"${words[2,CURRENT-1]} \"\n  \
         local -a flags commands\n  \
         case $before in\n",
    );
    let arm = |out: &mut String, pattern: &str, page: &Page| {
        let _ = writeln!(out, "    {pattern})\n      flags=(");
        for flag in page.flags() {
            for name in &flag.names {
                let _ = writeln!(out, "        {}", zsh_flag(name, flag));
            }
        }
        let _ = writeln!(out, "      )\n      commands=({})", page.commands.join(" "));
        let _ = writeln!(out, "      ;;");
    };
    for page in subcommands(pages) {
        arm(&mut out, &pattern(page), page);
    }
    arm(&mut out, "*", &pages[0]);
    out.push_str(
        "  esac\n  _describe -o option flags\n  _describe command commands\n  _files\n}\n\n\
         _midge \"$@\"\n",
    );
    out
}

/// `name:explanation`, quoted.
fn zsh_flag(name: &str, flag: &Flag) -> String {
    let help = flag.help.replace('\'', "'\\''").replace(':', "\\:");
    format!("'{name}:{help}'")
}

pub(crate) fn fish(pages: &[Page]) -> String {
    let mut out = String::from(
        "# Completions of midge for fish; made of its help.\n\n\
         # Whether the words before are these.\nfunction __midge_after\n    \
         set -l before (commandline -opc)\n    \
         test (count $before) -gt (count $argv)\n    \
         and test \"$before[2..(math 1 + (count $argv))]\" = \"$argv\"\nend\n\n\
         # Whether they are flags of the broker.\nfunction __midge_broker\n    \
         set -l before (commandline -opc)\n    ",
    );
    let _ = writeln!(
        out,
        "not contains -- \"$before[2]\" {}\nend\n",
        pages[0].commands.join(" ")
    );
    for page in pages {
        let condition = match page.path.as_slice() {
            [] => "__midge_broker".to_owned(),
            path => format!("__midge_after {}", path.join(" ")),
        };
        for flag in page.flags() {
            let _ = write!(out, "complete -c midge -n '{condition}'");
            for name in &flag.names {
                match name.strip_prefix("--") {
                    Some(long) => write!(out, " -l {long}"),
                    None if name.len() == 2 => write!(out, " -s {}", &name[1..]),
                    None => write!(out, " -o {}", &name[1..]),
                }
                .expect("a string takes all");
            }
            if flag.value.is_some() {
                out.push_str(" -r");
            }
            let help = flag.help.replace('\\', "\\\\").replace('\'', "\\'");
            let _ = writeln!(out, " -d '{help}'");
        }
        for command in &page.commands {
            let about = pages
                .iter()
                .find(|one| one.path.split_last() == Some((command, page.path.as_slice())));
            let about = about.map_or("", |page| &page.about).replace('\'', "\\'");
            let _ = writeln!(
                out,
                "complete -c midge -n '{condition}' -f -a {command} -d '{about}'"
            );
        }
    }
    out
}
