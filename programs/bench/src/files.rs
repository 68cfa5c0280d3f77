//! Files that a measurement is written to: whether they can be written, and replace none, asked before it
//! rather than behind it; and errors that name them.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use midge_text::system_words;

use super::run::Error;

/// Opens the file that `flag` names as it will be opened in the end, and leaves everything as it was.
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn expect_writable(flag: &str, path: &Path) -> Result<(), Error> {
    let is_new = !path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    match opened {
        Ok(_) if is_new => {
            let _ = fs::remove_file(path);
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let path = path.display();
            let text = format!("{flag} {path}: {error}; name a file that can be written");
            Err(Error::Usage(text))
        }
    }
}

/// A file that `flag` names must not be there: what it holds belongs to the user. What is no plain file, as
/// `/dev/stdout`, holds nothing.
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn expect_new(flag: &str, path: &Path) -> Result<(), Error> {
    if path.is_file() {
        let path = path.display();
        let text = format!("{flag} {path}: it is there already; name another, or give --force");
        return Err(Error::Usage(text));
    }
    Ok(())
}

/// A file that `flag` names may get lines of comma-separated values at its end: it is new, empty, or
/// begins with `heading`.
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn expect_lines(flag: &str, path: &Path, heading: &str) -> Result<(), Error> {
    let mut first = Vec::new();
    if path.is_file()
        && let Ok(file) = fs::File::open(path)
    {
        // What cannot be read is error when it is written.
        let _ = BufReader::new(file).read_until(b'\n', &mut first);
    }
    if first.is_empty() || first.starts_with(heading.as_bytes()) {
        return Ok(());
    }
    let path = path.display();
    let text = format!("{flag} {path}: it holds something else than outcomes; name another");
    Err(Error::Usage(text))
}

/// `stem.kind` if there is no such file, else `stem-2.kind` and so on.
pub(crate) fn new_name(stem: &str, kind: &str) -> PathBuf {
    let first = std::iter::once(format!("{stem}.{kind}"));
    let names = first.chain((2..).map(|number| format!("{stem}-{number}.{kind}")));
    let mut paths = names.map(PathBuf::from);
    let free = paths.find(|path| path.symlink_metadata().is_err());
    free.expect("there are more numbers than files")
}

/// Gives an error of the system the file's name and what was done to it.
pub(crate) fn named(action: &str, path: &Path, error: &io::Error) -> io::Error {
    let said = system_words(error);
    let text = format!("{action} {}: {said}", path.display());
    io::Error::new(error.kind(), text)
}

/// Writes an answer to standard output. A reader that went away had enough.
///
/// # Errors
/// Those of the system, named.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(named("write", Path::new("standard output"), &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_leaves_no_file_and_changes_none() {
        let folder = std::env::temp_dir().join(format!("midge-files-{}", std::process::id()));
        fs::create_dir(&folder).expect("it is new");
        let file = folder.join("report.html");
        assert!(expect_writable("--report", &file).is_ok());
        assert!(!file.exists());
        fs::write(&file, "old").expect("it can be written");
        assert!(expect_writable("--report", &file).is_ok());
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "old");
        for bad in [folder.clone(), folder.join("nowhere/report.html")] {
            let error = expect_writable("--report", &bad).expect_err("it is no file");
            assert!(error.to_string().contains("name a file"), "{error}");
        }
        fs::remove_dir_all(&folder).expect("it is ours");
    }

    #[test]
    fn what_is_there_is_not_replaced() {
        let folder = std::env::temp_dir().join(format!("midge-new-files-{}", std::process::id()));
        fs::create_dir(&folder).expect("it is new");
        let stem = folder.join("report").display().to_string();
        let first = new_name(&stem, "html");
        assert!(expect_new("--report", &first).is_ok());
        fs::write(&first, "old").expect("it can be written");
        let error = expect_new("--report", &first).expect_err("it is there");
        assert!(error.to_string().contains("--force"), "{error}");
        let second = new_name(&stem, "html");
        assert!(second.ends_with("report-2.html"), "{second:?}");
        fs::write(&second, "workload,broker\n").expect("it can be written");
        assert!(new_name(&stem, "html").ends_with("report-3.html"));
        assert!(expect_new("--json", Path::new("/dev/null")).is_ok());
        assert!(expect_lines("--csv", &second, "workload,").is_ok());
        let error = expect_lines("--csv", &first, "workload,").expect_err("it is a report");
        assert!(error.to_string().contains("name another"), "{error}");
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
