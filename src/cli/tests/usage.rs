//! The texts of `--help` and `--version`.

use crate::ANNOUNCED_VERSION;
use crate::cli::{FLAGS, Flag, USAGE, version};

fn does_nothing(flag: Flag) -> bool {
    matches!(flag, Flag::Routes | Flag::IgnoredSwitch | Flag::IgnoredText)
}

#[test]
fn usage_lists_the_flags_there_are_and_no_other() {
    let listed: Vec<&str> = USAGE
        .lines()
        .filter(|line| line.starts_with("    "))
        .flat_map(|line| line[..37].split([' ', ',']))
        .filter_map(|word| word.strip_prefix('-'))
        .map(|name| name.trim_start_matches('-'))
        .collect();
    // Those that do nothing are left out.
    let mut known: Vec<&str> = FLAGS
        .iter()
        .filter(|(flag, _)| !does_nothing(*flag))
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    known.sort_unstable();
    let mut sorted = listed;
    sorted.sort_unstable();
    assert_eq!(sorted, known);
}

#[test]
fn usage_explains_each_flag_from_column_38_within_100_columns() {
    assert!(USAGE.starts_with("\nUsage: midge [options]\n\n"));
    for line in USAGE.lines().filter(|line| line.starts_with("    ")) {
        assert_eq!(&line[36..37], " ", "{line}");
        assert_ne!(&line[37..38], " ", "{line}");
        assert!(line.len() <= 100, "{line}");
    }
}

#[test]
fn the_first_line_of_the_version_is_that_of_nats_server() {
    assert_eq!(
        version(),
        format!(
            "nats-server: v{ANNOUNCED_VERSION}\nmidge: v{}\n",
            env!("CARGO_PKG_VERSION")
        )
    );
}
