//! What is wrong with a command line, and how that is told.

use super::check;
use crate::cli::{FLAGS, Flag, parse};
use std::ffi::OsString;

fn takes_value(flag: Flag) -> bool {
    !matches!(
        flag,
        Flag::LogTime
            | Flag::LogTimeUtc
            | Flag::Syslog
            | Flag::Debug
            | Flag::Trace
            | Flag::DebugTrace
            | Flag::Test
            | Flag::Tls
            | Flag::TlsVerify
            | Flag::TlsHelp
            | Flag::IgnoredSwitch
            | Flag::Help
            | Flag::Version
    )
}

#[test]
fn any_other_word_is_an_error() {
    check(&[
        (
            "foo",
            "error: unrecognized command: \"foo\"; midge --help lists all flags",
        ),
        (
            "foo help",
            "error: unrecognized command: \"foo\"; midge --help lists all flags",
        ),
        (
            "-",
            "error: unrecognized command: \"-\"; midge --help lists all flags",
        ),
        (
            "''",
            "error: unrecognized command: \"\"; midge --help lists all flags",
        ),
        (
            "-- -p 5222",
            "error: unrecognized command: \"-p\"; midge --help lists all flags",
        ),
        (
            "-D false true",
            "error: unrecognized command: \"true\"; midge --help lists all flags",
        ),
        (
            "-D 1",
            "error: unrecognized command: \"1\"; midge --help lists all flags",
        ),
    ]);
}

#[test]
fn a_flag_without_a_name_is_bad_syntax() {
    check(&[
        (
            "---p 1",
            "error: bad flag syntax: ---p; write a flag as -name or --name",
        ),
        (
            "---",
            "error: bad flag syntax: ---; write a flag as -name or --name",
        ),
        (
            "--=x",
            "error: bad flag syntax: --=x; write a flag as -name or --name",
        ),
        (
            "-=x",
            "error: bad flag syntax: -=x; write a flag as -name or --name",
        ),
    ]);
}

#[test]
fn a_flag_at_the_end_that_lacks_its_value_is_an_error() {
    for (_, names) in FLAGS.iter().filter(|(flag, _)| takes_value(*flag)) {
        for name in *names {
            let expected = format!("error: flag needs an argument: -{name}; write -{name} VALUE");
            check(&[
                (&format!("-{name}"), &expected),
                (&format!("-D --{name}"), &expected),
            ]);
        }
    }
}

#[test]
fn a_switch_that_is_neither_true_nor_false_is_an_error() {
    for (_, names) in FLAGS.iter().filter(|(flag, _)| !takes_value(*flag)) {
        for name in *names {
            for value in ["", "maybe", "yes", "tRUE", "2"] {
                let expected = format!(
                    "error: invalid boolean value \"{value}\" for -{name}: parse error; use \
                     true or false"
                );
                check(&[(&format!("--{name}={value}"), &expected)]);
            }
        }
    }
}

#[test]
fn a_bad_number_is_an_error_that_says_what_is_allowed() {
    for (name, value, fault) in [
        ("p", "abc", "parse error"),
        ("port", "80.5", "parse error"),
        ("p", "", "parse error"),
        ("p", "-2", "value out of range"),
        ("p", "65536", "value out of range"),
        ("port", "70000", "value out of range"),
        ("p", "99999999999999999999", "value out of range"),
    ] {
        let expected = format!(
            "error: invalid value \"{value}\" for flag -{name}: {fault}; use 1 to 65535, or \
             -1 for any free port"
        );
        check(&[(&format!("-{name}={value}"), &expected)]);
    }
    for (value, fault) in [
        ("all", "parse error"),
        ("9223372036854775808", "value out of range"),
    ] {
        let expected = format!(
            "error: invalid value \"{value}\" for flag -max_traced_msg_len: {fault}; use a \
             number of bytes, or 0 for no limit"
        );
        check(&[(&format!("-max_traced_msg_len {value}"), &expected)]);
    }
}

#[test]
fn the_first_error_is_the_one_that_is_told() {
    check(&[
        (
            "-p 1 -p abc -bogus",
            "error: invalid value \"abc\" for flag -p: parse error; use 1 to 65535, or -1 for \
             any free port",
        ),
        (
            "-h -bogus",
            "error: flag provided but not defined: -bogus; midge --help lists all flags",
        ),
    ]);
}

#[test]
fn an_unknown_flag_brings_the_nearest_known_one() {
    for (name, nearest) in [
        ("bogus", None),
        ("x", None),
        ("host", None),
        ("foo", None),
        ("password_file", Some("-pass")),
        ("prot", Some("-port")),
        ("prt", Some("-port")),
        ("ports", Some("-port")),
        ("Port", Some("-port")),
        ("p4222", Some("-p 4222")),
        ("d", Some("-D")),
        ("dv", Some("-DV")),
        ("VD", None),
        ("debgu", Some("-debug")),
        ("traec", Some("-trace")),
        ("sever_name", Some("-server_name")),
        ("server-name", Some("-server_name")),
        ("username", Some("-user")),
        ("password", Some("-pass")),
        ("passwd", Some("-pass")),
        ("max_traced", Some("-max_traced_msg_len")),
        ("versoin", Some("-version")),
        ("hlep", Some("-help")),
        ("\u{e9}t\u{e9}", None),
    ] {
        let hint = nearest.map_or(String::new(), |near| format!("did you mean {near}? "));
        let expected = format!(
            "error: flag provided but not defined: -{name}; {hint}midge --help lists all flags"
        );
        check(&[
            (&format!("--{name}"), &expected),
            (&format!("-{name}=1"), &expected),
        ]);
    }
}

#[test]
fn a_flag_that_only_nats_server_has_is_named_and_refused() {
    check(&[
        (
            "-cluster nats://127.0.0.1:6222 -routes nats://127.0.0.1:6223",
            "error: flag -routes (cluster) is not supported yet; midge --help lists all flags",
        ),
        (
            "-routes=nats://127.0.0.1:6222",
            "error: flag -routes (cluster) is not supported yet; midge --help lists all flags",
        ),
        // What they turn off there is not.
        ("--tls=false -tlsverify false -routes '' -cluster=", ""),
    ]);
}

#[test]
fn an_error_is_one_line_whatever_the_operator_typed() {
    for word in ["-bo\ngus", "---p\n", "-p=\n", "-D=\n", "wo\nrd", "\n"] {
        let error = parse([OsString::from(word)]).expect_err("not a command line");
        assert_eq!(error.to_string().lines().count(), 1, "{word:?}");
    }
}
