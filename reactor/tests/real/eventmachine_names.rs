//! Whoever searches the documentation for a name of EventMachine finds what there is instead.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// All source of this crate.
fn source(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let texts = paths.map(|path| match path.is_dir() {
        true => source(&path),
        false => fs::read_to_string(&path).expect("it is text"),
    });
    texts.collect()
}

/// What stands behind each `before` in `text`, up to the first character that `ends` it.
fn behind<'a>(
    text: &'a str,
    before: &'a str,
    ends: fn(char) -> bool,
) -> impl Iterator<Item = &'a str> {
    let rests = text.split(before).skip(1);
    rests.map(move |rest| rest.split(ends).next().unwrap_or(rest))
}

/// A name without the module it is in: `EM.run` and `EM::Timer` are searched for as `run` and `Timer`.
fn bare(name: &str) -> &str {
    let name = name.rsplit("::").next().unwrap_or(name);
    name.rsplit('.').next().unwrap_or(name)
}

#[test]
fn every_name_in_the_table_is_an_alias_or_the_name_of_an_item() {
    let source = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let aliases = behind(&source, "doc(alias = \"", |c| c == '"').map(bare);
    let ends = |c: char| !c.is_alphanumeric() && c != '_';
    let items =
        ["fn ", "struct ", "trait ", "enum ", "pub "].map(|kind| behind(&source, kind, ends));
    let known: BTreeSet<&str> = aliases.chain(items.into_iter().flatten()).collect();

    let table = include_str!("../../docs/eventmachine.md");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split('`').step_by(2));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 80, "the table is read wrongly: {names:?}");
    let unknown = names.iter().filter(|name| !known.contains(bare(name)));
    let unknown: Vec<_> = unknown.collect();
    assert!(unknown.is_empty(), "not to be found: {unknown:?}");
}
