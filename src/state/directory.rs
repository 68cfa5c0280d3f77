//! The tokens of accounts in a directory, one in a file: `DIR/A....jwt`, as nats-server has them.
//!
//! A file is written beside its place, reaches the disk, and is then moved there: whatever ends the process or the
//! machine, what stands there is the former token or the present one, and whole. What such an end leaves behind has
//! another name, and is removed at the next start.
//!
//! All of this waits for the disk. While the broker serves it is done on other threads.

use crate::config::{AccountToken, Deletes};
use midge_text::system_words;
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".jwt";
const UNFINISHED: &str = ".jwt.new";

/// What a directory holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) tokens: Vec<AccountToken>,
    /// What is wrong with others, a line for each.
    pub(crate) doubts: Vec<String>,
    /// The keys of those.
    pub(crate) broken: Vec<Box<str>>,
}

/// Reads all tokens of a directory, which is made if it is not there, and writes those tokens there that are `wanted` and were
/// issued later than what is there. What is as it is `known` is not read anew: that would cost a check of its signature.
///
/// # Errors
/// What is wrong with the directory, as a line.
pub(crate) fn read(
    directory: &Path,
    known: &HashMap<Box<str>, AccountToken>,
    wanted: &[AccountToken],
) -> Result<Held, String> {
    let said = |error: io::Error| {
        let name = directory.display();
        format!("resolver dir {name}: {}", system_words(&error))
    };
    if !directory.is_dir() {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(said)?;
    }
    let mut held = Held::default();
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(said)? {
        files.push(entry.map_err(said)?.path());
    }
    // The order of a directory is any.
    files.sort();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(UNFINISHED) {
            fs::remove_file(&path).map_err(said)?;
        } else if let Some(key) = name.strip_suffix(SUFFIX) {
            match token(&path, key, known.get(key)) {
                Ok(token) => held.tokens.push(token),
                Err(text) => {
                    held.doubts.push(format!("{}: {text}", path.display()));
                    held.broken.push(key.into());
                }
            }
        }
    }
    for token in wanted {
        let there = held.tokens.iter().position(|one| one.key() == token.key());
        match there.map(|place| &mut held.tokens[place]) {
            Some(there) if there.claims().issued_at >= token.claims().issued_at => {}
            there => {
                write(directory, token)?;
                match there {
                    Some(there) => *there = token.clone(),
                    None => held.tokens.push(token.clone()),
                }
            }
        }
    }
    Ok(held)
}

/// The token in a file. One that is longer than any token is not read to its end.
fn token(path: &Path, key: &str, known: Option<&AccountToken>) -> Result<AccountToken, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| system_words(&error))?;
    let read = file
        .take(AccountToken::BYTES_MAX as u64 + 2)
        .read_to_string(&mut text);
    read.map_err(|error| system_words(&error))?;
    let text = text.trim_end();
    if let Some(known) = known.filter(|known| known.text() == text) {
        return Ok(known.clone());
    }
    let token = AccountToken::parse(text).map_err(|fault| fault.to_string())?;
    match token.key() == key {
        true => Ok(token),
        false => Err(format!(
            "it is of the account {}, so it is not used",
            token.key()
        )),
    }
}

/// Writes a token in place of the one that is there. When this returns it will be there after whatever comes.
///
/// # Errors
/// What the system said, as a line. The former one is still there.
pub(crate) fn write(directory: &Path, token: &AccountToken) -> Result<(), String> {
    let place = place(directory, token.key());
    let beside = directory.join(format!("{}{UNFINISHED}", token.key()));
    let attempt = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&beside)?;
        file.write_all(token.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &place)?;
        File::open(directory)?.sync_all()
    };
    attempt().map_err(|error| format!("{}: {}", place.display(), system_words(&error)))
}

/// Takes a token away; one that is not there is gone already.
///
/// # Errors
/// What the system said, as a line.
pub(crate) fn delete(directory: &Path, key: &str, deletes: Deletes) -> Result<(), String> {
    let place = place(directory, key);
    let done = match deletes {
        Deletes::Remove => fs::remove_file(&place),
        _ => {
            let mut kept = place.clone().into_os_string();
            kept.push(".deleted");
            fs::rename(&place, kept)
        }
    };
    match done.and_then(|()| File::open(directory)?.sync_all()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("{}: {}", place.display(), system_words(&error)))
        }
        _ => Ok(()),
    }
}

fn place(directory: &Path, key: &str) -> PathBuf {
    directory.join(format!("{key}{SUFFIX}"))
}

#[cfg(all(test, feature = "nkeys"))]
mod tests {
    use super::*;
    use crate::config::operators::made_for_tests as account;
    use std::os::unix::fs::PermissionsExt;

    /// A directory of this test, which is not there yet.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let name = format!("midge-directory-{name}-{}", std::process::id());
            Scratch(std::env::temp_dir().join(name))
        }

        /// The names in it.
        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("it is there");
            let name = |entry: io::Result<fs::DirEntry>| {
                let name = entry.expect("it can be read").file_name();
                name.into_string().expect("it is text")
            };
            let mut names: Vec<String> = entries.map(name).collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// All that the directory holds.
    fn all(directory: &Scratch) -> Result<Held, String> {
        read(&directory.0, &HashMap::new(), &[])
    }

    #[test]
    fn what_is_written_is_read_and_takes_the_place_of_what_was_there() {
        let directory = Scratch::new("write");
        assert!(all(&directory).expect("it is made").tokens.is_empty());
        let (one, later, other) = (account(2, 1), account(2, 2), account(3, 1));
        for token in [&one, &other, &later] {
            write(&directory.0, token).expect("there is room");
        }
        let mut held = all(&directory).expect("it can be read").tokens;
        held.sort_by(|one, other| one.key().cmp(other.key()));
        let mut expected = [later, other];
        expected.sort_by(|one, other| one.key().cmp(other.key()));
        assert_eq!(held, expected);
        let mode = |path: &Path| {
            fs::metadata(path)
                .expect("it is there")
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode(&directory.0), 0o700);
        assert_eq!(mode(&place(&directory.0, one.key())), 0o600);
    }

    #[test]
    fn what_was_not_finished_is_removed_and_what_is_no_token_is_told() {
        let directory = Scratch::new("unfinished");
        let token = account(2, 1);
        all(&directory).expect("it is made");
        write(&directory.0, &token).expect("there is room");
        let put = |name: &str, text: &str| {
            fs::write(directory.0.join(name), text).expect("there is room");
        };
        put(&format!("{}{UNFINISHED}", account(3, 1).key()), "eyJ");
        put("AOTHER.jwt", token.text());
        put("ABROKEN.jwt", "eyJ");
        put("readme.txt", "x");
        let held = all(&directory).expect("it can be read");
        assert_eq!(held.tokens, [token]);
        assert_eq!(held.doubts.len(), 2, "{:?}", held.doubts);
        assert_eq!(directory.names().len(), 4);
    }

    #[test]
    fn a_deleted_token_is_kept_under_another_name_or_removed() {
        let directory = Scratch::new("delete");
        let (kept, removed) = (account(2, 1), account(3, 1));
        all(&directory).expect("it is made");
        for token in [&kept, &removed] {
            write(&directory.0, token).expect("there is room");
        }
        for _ in 0..2 {
            delete(&directory.0, kept.key(), Deletes::Rename).expect("it is done");
            delete(&directory.0, removed.key(), Deletes::Remove).expect("it is done");
        }
        assert_eq!(directory.names(), [format!("{}.jwt.deleted", kept.key())]);
        assert!(all(&directory).expect("it can be read").tokens.is_empty());
    }

    #[test]
    fn what_cannot_be_written_names_the_file_and_leaves_the_former_one() {
        let directory = Scratch::new("full");
        let token = account(2, 1);
        let told = write(&directory.0, &token).expect_err("it is not there");
        assert!(
            told.contains(token.key()) && told.contains("no such file"),
            "{told}"
        );
    }
}
