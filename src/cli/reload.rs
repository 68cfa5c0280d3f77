//! What changes when a file is read again.

use super::load::{Loaded, load};
use crate::config::Options;
use crate::config::language::{Error, World};
use crate::config::options::Refused;
use crate::config::settings::{SETTINGS, Setting, Takes};
use crate::config::{Auth, Config, User};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// One setting that is not what it was. Prints as nats-server's log line for it, with what it was
/// before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Its name, as in [`settings`](crate::config::settings).
    pub name: &'static str,
    /// Its value before, without secrets.
    pub old: String,
    /// Its value now, without secrets.
    pub new: String,
    /// What is another where both values show the same; empty where they do not.
    pub hidden: String,
    /// Whether it can be taken over, or needs a restart.
    pub takes: Takes,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change {
            name,
            old,
            new,
            hidden,
            ..
        } = self;
        match self.takes {
            Takes::Restart => {
                let field = field(name);
                write!(
                    f,
                    "config reload not supported for {field}: old={old}, new={new}"
                )
            }
            Takes::Reload => {
                match *name {
                    "client_advertise" => write!(f, "Reload: {name} = {new}"),
                    "authorization" => write!(f, "Reloaded: authorization users = {new}"),
                    "server_tags" => write!(f, "Reloaded: tags = {new}"),
                    _ => write!(f, "Reloaded: {name} = {new}"),
                }?;
                if old == new {
                    write!(f, " ({hidden} changed)")
                } else {
                    write!(f, " (was {old})")
                }
            }
        }
    }
}

/// What nats-server calls a setting that it refuses to change.
fn field(name: &str) -> &str {
    match name {
        "host" => "Host",
        "port" => "Port",
        "server_name" => "ServerName",
        "no_header_support" => "NoHeaderSupport",
        "http_port" => "HTTPPort",
        "https_port" => "HTTPSPort",
        other => other,
    }
}

/// What reading a file again has come to.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// The settings now.
    pub loaded: Loaded,
    /// What is not as it was, in the order of [`SETTINGS`]; empty if nothing is.
    pub changes: Vec<Change>,
}

impl Reloaded {
    /// Those changes for which the broker would have to be started anew. While there are any, none of
    /// the others should be taken over either.
    pub fn refused(&self) -> impl Iterator<Item = &Change> {
        let refused = |change: &&Change| change.takes == Takes::Restart;
        self.changes.iter().filter(refused)
    }
}

/// Every setting whose value differs, secrets included.
///
/// ```
/// use midge::cli::Options;
/// use midge::{cli::changes, config::settings::Takes};
///
/// let old = Options::default();
/// let mut new = old.clone();
/// (new.config.port, new.log.debug) = (5222, true);
/// let changes = changes(&old, &new);
/// assert_eq!(changes[0].to_string(), "config reload not supported for Port: old=4222, new=5222");
/// assert_eq!(changes[1].to_string(), "Reloaded: debug = true (was false)");
/// assert_eq!(changes[1].takes, Takes::Reload);
/// ```
pub fn changes(old: &Options, new: &Options) -> Vec<Change> {
    let differs = |setting: &&Setting| !setting.is_same(old, new);
    let change = |setting: &Setting| {
        let (before, after) = (setting.show(old), setting.show(new));
        let hidden = match before == after {
            true => hidden(setting.name, &old.config, &new.config),
            false => String::new(),
        };
        Change {
            name: setting.name,
            old: before,
            new: after,
            hidden,
            takes: setting.takes,
        }
    };
    SETTINGS.iter().filter(differs).map(change).collect()
}

/// Most users that a line about changes names for one thing.
const USERS_NAMED_MAX: usize = 5;

/// What is another about a setting that shows the same: of users, what of whom.
fn hidden(name: &str, old: &Config, new: &Config) -> String {
    match (name, &old.auth, &new.auth) {
        (
            "authorization",
            Auth::Users { users: old, token },
            Auth::Users {
                users: new,
                token: new_token,
            },
        ) => {
            let is_other =
                |(old, new): (&User, &User)| old.name != new.name || old.account != new.account;
            if old.iter().zip(new.iter()).any(is_other) {
                return "users that are not shown".to_owned();
            }
            // They are the same users in the same order.
            let of = |what: &str, differs: fn(&User, &User) -> bool| {
                let pairs = old.iter().zip(new.iter());
                let differing = pairs.filter(|(old, new)| differs(old, new));
                let names: Vec<&str> = differing.map(|(_, new)| new.name.as_str()).collect();
                let named = names.iter().take(USERS_NAMED_MAX).copied();
                let more = match names.len().saturating_sub(USERS_NAMED_MAX) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let text = format!("{what} of {}{more}", named.collect::<Vec<_>>().join(", "));
                (!names.is_empty()).then_some(text)
            };
            let changed = [
                (token != new_token).then(|| "token".to_owned()),
                of("secrets", |old, new| old.proof != new.proof),
                of("permissions", |old, new| old.permissions != new.permissions),
                of("allowed_connection_types", |old, new| {
                    old.connections != new.connections
                }),
                of("limits", |old, new| old.limits != new.limits),
            ];
            changed.into_iter().flatten().collect::<Vec<_>>().join("; ")
        }
        ("authorization" | "http_authorization", ..) => "secrets".to_owned(),
        _ => "what it does not show".to_owned(),
    }
}

/// Reads the file that `running` was read from once more, with the same flags over it, and compares.
///
/// # Errors
/// `running` came from no file; or everything that is wrong with the file now.
pub fn reload(
    running: &Options,
    args: &[OsString],
    world: &dyn World,
) -> Result<Reloaded, Refused> {
    let Some(file) = &running.file else {
        return Err(Refused(vec![Error {
            at: None,
            text: "can only reload config when a file is provided using -c or --config".to_owned(),
        }]));
    };
    let mut loaded = load(file, args, world)?;
    // What is equal becomes the same, so that the loop need not compare very many users and accounts.
    if loaded.options.config.auth == running.config.auth {
        loaded.options.config.auth = running.config.auth.clone();
    }
    if loaded.options.config.accounts == running.config.accounts {
        loaded.options.config.accounts = Arc::clone(&running.config.accounts);
    }
    let mut emptied = emptied(running, &loaded);
    emptied.extend(missing(running, &loaded, world));
    if !emptied.is_empty() {
        return Err(Refused(emptied));
    }
    let changes = changes(running, &loaded.options);
    Ok(Reloaded { loaded, changes })
}

/// Files that say nothing now, and did when they were last read, an error for each: an editor that empties
/// a file before it writes would open the broker to every client for that moment.
fn emptied(running: &Options, loaded: &Loaded) -> Vec<Error> {
    let filled = &loaded.options.filled;
    let is_emptied = |file: &&PathBuf| running.filled.contains(file) && !filled.contains(file);
    let error = |file: &PathBuf| {
        let name = file.display();
        let text = format!(
            "{name} is empty now and was not when it was last read; write it whole and reload again, \
             or restart midge if that is intended"
        );
        Error { at: None, text }
    };
    loaded.files.iter().filter(is_emptied).map(error).collect()
}

/// Files that are gone, and said something when they were last read, an error for each, if clients need
/// present no credentials without them: an editor may have renamed one before it writes it anew, and a name
/// with a wildcard then includes nothing.
fn missing(running: &Options, loaded: &Loaded, world: &dyn World) -> Vec<Error> {
    if running.config.auth == Auth::None || loaded.options.config.auth != Auth::None {
        return Vec::new();
    }
    let is_missing = |file: &&PathBuf| !loaded.files.contains(file) && !world.exists(file);
    let error = |file: &PathBuf| {
        let name = file.display();
        let text = format!(
            "{name} is gone, had values when it was last read, and without it clients would need no \
             credentials; write it again and reload again, or restart midge if that is intended"
        );
        Error { at: None, text }
    };
    running
        .filled
        .iter()
        .filter(is_missing)
        .map(error)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::language::{System, parse};
    use crate::config::options::settings;

    #[test]
    fn what_of_whom_is_another_is_told_where_the_users_are_the_same() {
        let users = |one: &str, other: &str| {
            let text = format!(
                "authorization {{ users = [ {{user: s, password: p, {one}}}, {{user: t, password: {other}}} ] }}"
            );
            let document = parse("f".as_ref(), text.as_bytes(), &System);
            settings(&document.expect("it is right")).options
        };
        let old = users("", "q");
        for (one, other, changed) in [
            ("", "r", "secrets of t"),
            ("permissions: {publish: a}", "q", "permissions of s"),
            (
                "allowed_connection_types: [WEBSOCKET]",
                "r",
                "secrets of t; allowed_connection_types of s",
            ),
        ] {
            let lines = changes(&old, &users(one, other));
            let expected =
                format!("Reloaded: authorization users = users s, t ({changed} changed)");
            assert_eq!(lines[0].to_string(), expected);
        }
        // Of very many the first are shown.
        let many = |last: &str| {
            let all = (0..200).map(|number| format!("{{user: {number}}}"));
            let all: Vec<String> = all.collect();
            let text = format!(
                "authorization {{ users = [ {}, {{user: {last}}} ] }}",
                all.join(", ")
            );
            let document = parse("f".as_ref(), text.as_bytes(), &System);
            settings(&document.expect("it is right")).options
        };
        let line = changes(&many("a"), &many("b"))[0].to_string();
        assert!(
            line.ends_with(" and 101 more (users that are not shown changed)"),
            "{line}"
        );
    }

    #[test]
    fn a_file_is_read_again_and_compared_with_what_runs() {
        let file = PathBuf::from(format!(
            "{}/midge-reload-{}.conf",
            std::env::temp_dir().display(),
            std::process::id()
        ));
        let write = |text: &str| std::fs::write(&file, text).expect("a file of this test");
        let args = [
            "-c".into(),
            file.clone().into_os_string(),
            "-p".into(),
            "5222".into(),
        ];
        let lines = |running: &Options| match reload(running, &args, &System) {
            Ok(reloaded) => reloaded.changes.iter().map(ToString::to_string).collect(),
            Err(refused) => vec![refused.to_string()],
        };
        write("port: 1\ndebug: true\nauthorization {user: a, password: b}");
        let running = load(&file, &args, &System).expect("it is right").options;
        assert_eq!(lines(&running), [""; 0]);
        // What is equal is the same, however much it is.
        let again = reload(&running, &args, &System).expect("it is right");
        let accounts = again.loaded.options.config.accounts;
        assert!(Arc::ptr_eq(&accounts, &running.config.accounts));
        // The flag counts over the file, also the second time.
        write("port: 2\nauthorization {user: a, password: c}\nmax_payload: 2048\nserver_name: n");
        assert_eq!(
            lines(&running),
            [
                "config reload not supported for ServerName: old=none, new=n",
                "Reloaded: authorization users = user a (secrets changed)",
                "Reloaded: max_payload = 2048 (was 1048576)",
                "Reloaded: debug = false (was true)",
            ]
        );
        for nothing in ["", " \n\t\n", "# port: 2\n// debug: true", "{}"] {
            write(nothing);
            let name = file.display();
            assert_eq!(
                lines(&running),
                [format!(
                    "{name} is empty now and was not when it was last read; write it whole and \
                     reload again, or restart midge if that is intended"
                )]
            );
        }
        write("prot: 2");
        let name = file.display();
        assert_eq!(
            lines(&running),
            [format!(
                "{name}:1:1: unknown field \"prot\"; did you mean port?"
            )]
        );
        std::fs::remove_file(&file).expect("it is there");
        assert_eq!(
            lines(&running),
            [format!("open {name}: no such file or directory")]
        );
        let no_file = Options::default();
        assert_eq!(
            lines(&no_file),
            ["can only reload config when a file is provided using -c or --config"]
        );
    }
}
