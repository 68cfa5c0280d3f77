//! What a configuration comes to, for people: every setting, its value, and where that came from.

use super::load::Loaded;
use crate::config::language::Origin;
use crate::config::settings::SETTINGS;

/// One line for each setting, with secrets left out; above them the files, below them what is worth
/// telling.
///
/// ```text
/// setting       value     from
/// host          0.0.0.0   default
/// port          5222      flag
/// max_payload   2097152   midge.conf:3:1
/// server_name   east      midge.conf:4:1, environment variable NAME
/// ```
pub fn explain(loaded: &Loaded) -> String {
    let mut rows = vec![["setting".to_owned(), "value".to_owned(), "from".to_owned()]];
    rows.extend(SETTINGS.iter().map(|setting| {
        let name = setting.name.to_owned();
        [
            name,
            setting.show(&loaded.options),
            from(loaded, setting.name),
        ]
    }));
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        // One long value must not push all others aside.
        widths.filter(|&width| width <= 40).max().unwrap_or(0)
    };
    let (names, values) = (width(0), width(1));
    let mut lines: Vec<String> = rows
        .iter()
        .map(|[name, value, from]| format!("{name:names$}  {value:values$}  {from}"))
        .collect();
    let remarks: Vec<String> = loaded
        .remarks()
        .into_iter()
        .chain(loaded.doubts())
        .chain(loaded.obstacles())
        .collect();
    if !remarks.is_empty() {
        lines.push(String::new());
        lines.extend(remarks);
    }
    if loaded.files.len() > 1 {
        let files = loaded.files.iter().map(|file| file.display().to_string());
        lines.push(String::new());
        lines.push(format!("files: {}", files.collect::<Vec<_>>().join(", ")));
    }
    lines.join("\n") + "\n"
}

fn from(loaded: &Loaded, name: &str) -> String {
    if loaded.options.by_flag.contains(&name) {
        return "flag".to_owned();
    }
    let Some(written) = loaded.written.get(name) else {
        return "default".to_owned();
    };
    let named = written.origins.iter().filter_map(|origin| match origin {
        Origin::Written => None,
        Origin::Variable(name) => Some(format!(", variable {name}")),
        Origin::Environment(name) => Some(format!(", environment variable {name}")),
    });
    written.at.to_string() + &named.collect::<String>()
}
