//! Which workloads `versus` runs: `--only`.

use std::fmt::Write;

use crate::run::Error;
use crate::suite::{Case, Scale, suite};

/// Least likeness of a name that is offered in place of an unknown one; 1 is the same.
const LIKENESS_MIN: f64 = 0.7;

/// For the help of `versus`: all names, behind the subcommands that they belong to.
pub(crate) fn names() -> String {
    let cases = suite(Scale {
        seconds: 1.0,
        quick: false,
    });
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for case in &cases {
        let name = &*case.workload.name;
        match commands.iter_mut().find(|one| one.0 == case.command) {
            Some((_, names)) => names.push(name),
            None => commands.push((case.command, vec![name])),
        }
    }
    let mut text =
        "Workloads, behind the subcommand that runs one of the kind by itself; --only takes \
                    either:\n"
            .to_owned();
    for (command, names) in commands {
        let _ = write!(text, "\n  {command:<10}{}", names.join(", "));
    }
    text
}

/// The cases that `words` name, in their own order: by name, by subcommand, or by the beginning
/// of a name. Without words, all cases.
///
/// # Errors
/// [`Error::Usage`]: one of `words` is no name.
pub(super) fn choose(cases: Vec<Case>, words: &[String]) -> Result<Vec<Case>, Error> {
    if words.is_empty() {
        return Ok(cases);
    }
    let mut chosen = vec![false; cases.len()];
    for word in words {
        let found = find(&cases, word);
        if found.is_empty() {
            return Err(Error::Usage(unknown(&cases, word)));
        }
        for place in found {
            chosen[place] = true;
        }
    }
    let both = cases.into_iter().zip(chosen);
    Ok(both
        .filter(|(_, chosen)| *chosen)
        .map(|(case, _)| case)
        .collect())
}

/// The places of the cases that `word` names.
fn find(cases: &[Case], word: &str) -> Vec<usize> {
    let places = |is: &dyn Fn(&Case) -> bool| -> Vec<usize> {
        let all = cases.iter().enumerate();
        all.filter(|(_, case)| is(case))
            .map(|(place, _)| place)
            .collect()
    };
    let ways: [&dyn Fn(&Case) -> bool; 3] = [
        &|case| case.workload.name == word,
        &|case| case.command == word,
        &|case| !word.is_empty() && case.workload.name.starts_with(word),
    ];
    let found = ways.iter().map(|way| places(*way));
    found
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

fn unknown(cases: &[Case], word: &str) -> String {
    let candidates = cases
        .iter()
        .flat_map(|case| [&*case.workload.name, case.command]);
    let likeness = |name: &str| strsim::jaro_winkler(word, name);
    let nearest = candidates
        .filter(|name| likeness(name) >= LIKENESS_MIN)
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let hint = nearest
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default();
    format!(
        "--only {word}: there is no such workload{hint}\n\n{}",
        names()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(words: &str) -> Result<Vec<String>, String> {
        let scale = Scale {
            seconds: 1.0,
            quick: false,
        };
        let words: Vec<String> = words.split(',').map(str::to_owned).collect();
        let chosen = choose(suite(scale), &words).map_err(|error| error.to_string())?;
        Ok(chosen.into_iter().map(|case| case.workload.name).collect())
    }

    #[test]
    fn a_workload_goes_by_its_name_its_beginning_and_its_subcommand() {
        for (words, names) in [
            ("1-to-1", &["1-to-1"][..]),
            (
                "1-to-1-",
                &["1-to-1-headers", "1-to-1-1k", "1-to-1-4k", "1-to-1-64k"],
            ),
            ("pub", &["pub-only"]),
            ("fanin", &["8-to-1"]),
            ("slow", &["stalled"]),
            (
                "queue,subjects",
                &["queue-2-to-4", "subjects-100k", "permissions-1000"],
            ),
            ("permissions", &["permissions"]),
            ("handshakes", &["tls-handshakes", "tls-resumed"]),
            (
                "request,pub-only",
                &[
                    "pub-only",
                    "request-1",
                    "request-32",
                    "import-request-1",
                    "import-request-32",
                ],
            ),
            ("crowd-1", &["crowd-1"]),
        ] {
            assert_eq!(
                chosen(words).as_deref(),
                Ok(&*names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>()),
                "{words}"
            );
        }
        let fanout = chosen("fanout").expect("it is a subcommand");
        assert!(
            fanout.contains(&"1-to-64".to_owned()) && fanout.len() > 5,
            "{fanout:?}"
        );
    }

    #[test]
    fn one_unknown_name_is_an_error_and_the_nearest_is_offered() {
        for (words, hint) in [
            (
                "1-to-1,nonsense",
                "--only nonsense: there is no such workload\n",
            ),
            ("fanuot", "did you mean fanout?"),
            ("staled", "did you mean stalled?"),
            ("", "no such workload"),
        ] {
            let error = chosen(words).expect_err("it is no name");
            assert!(error.contains(hint), "{words}: {error}");
            assert!(error.contains("queue-2-to-4"), "{error}");
        }
    }

    #[test]
    fn the_subcommands_are_those_that_there_are() {
        use clap::CommandFactory;
        let cli = crate::cli::Cli::command();
        let there: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
        for case in suite(Scale {
            seconds: 1.0,
            quick: false,
        }) {
            assert!(there.contains(&case.command), "{}", case.command);
        }
    }
}
