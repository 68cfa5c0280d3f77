//! The log in a file: appended to, rotated by size, opened again by name.

use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::{Timestamp, tz::TimeZone};

use super::stream::Stream;

/// A log file, open for appending. It may be a FIFO or a device as well, which are never rotated.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    stream: Stream,
    /// Bytes in it, as far as we know.
    len: u64,
    /// Bytes past which it is rotated; `None` for never.
    limit: Option<u64>,
    /// Past what it is rotated next: `limit`, or more when that has failed.
    next: u64,
    /// Most files, the one that is written among them; `None` for no end.
    files_max: Option<usize>,
}

/// What a rotation has come to: what the log is to be told.
#[derive(Debug)]
pub(super) enum Rotated {
    /// The full file has another name now.
    Renamed {
        /// That one.
        backup: PathBuf,
        /// Old files that were removed.
        purged: Vec<String>,
    },
    /// The full file was removed, or given another name; there is a new one.
    MadeAnew,
    /// It grows on.
    Failed(io::Error),
}

impl LogFile {
    /// Opens `path`, which is made if it is not there, with mode 0640.
    pub(super) fn open(
        path: &Path,
        limit: Option<u64>,
        files_max: Option<usize>,
    ) -> io::Result<LogFile> {
        let stream = Stream::open(path)?;
        let len = stream.metadata().map_or(0, |metadata| metadata.len());
        let next = limit.filter(|_| stream.is_file() && !is_device(path));
        Ok(LogFile {
            path: path.to_owned(),
            stream,
            len,
            limit,
            next: next.unwrap_or(u64::MAX),
            files_max,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the same name again: what logrotate wants when it has renamed the file. If that fails
    /// the old one stays.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = LogFile::open(&self.path, self.limit, self.files_max)?;
        Ok(())
    }

    /// Whether a line would not have to wait for a reader.
    pub(super) fn has_room(&self) -> bool {
        self.stream.has_room()
    }

    /// Writes one line in one piece. Answers whether it is there: with a full disk it is lost.
    pub(super) fn write(&mut self, line: &[u8]) -> bool {
        let written = self.stream.write(line);
        if written {
            self.len += line.len() as u64;
        }
        written
    }

    /// Why the last line that was lost is.
    pub(super) fn take_fault(&mut self) -> Option<io::Error> {
        self.stream.take_fault()
    }

    /// Begins a new file if this one has grown past its limit.
    pub(super) fn rotate_if_full(&mut self, now: Timestamp) -> Option<Rotated> {
        (self.len > self.next).then(|| self.rotate(now))
    }

    fn rotate(&mut self, now: Timestamp) -> Rotated {
        let mut backup = self.path.clone().into_os_string();
        let time = TimeZone::system().to_datetime(now);
        backup.push(time.strftime(".%Y.%m.%d.%H.%M.%S.%9f").to_string());
        let backup = PathBuf::from(backup);
        let renamed = fs::rename(&self.path, &backup);
        let was_there = match &renamed {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            _ => renamed.map(|()| true),
        };
        let reopened = was_there.and_then(|was_there| match self.reopen() {
            Ok(()) => Ok(was_there),
            Err(error) => {
                if was_there {
                    // Or the next lines would go into a file of another name.
                    let _ = fs::rename(&backup, &self.path);
                }
                Err(error)
            }
        });
        match reopened {
            Ok(true) => Rotated::Renamed {
                backup,
                purged: self.purge(),
            },
            Ok(false) => Rotated::MadeAnew,
            Err(error) => {
                // Not at each line from here on.
                self.next = self.len.saturating_add(self.limit.unwrap_or(u64::MAX));
                Rotated::Failed(error)
            }
        }
    }

    /// Removes the oldest backups, and answers their names.
    fn purge(&self) -> Vec<String> {
        let Some(backups_max) = self.files_max.map(|max| max.saturating_sub(1)) else {
            return Vec::new();
        };
        let (directory, Some(name)) = (directory(&self.path), self.path.file_name()) else {
            return Vec::new();
        };
        let prefix = format!("{}.", name.to_string_lossy());
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut backups: Vec<(SystemTime, String)> = entries
            .filter_map(|entry| Some((written(&entry)?, entry.file_name().into_string().ok()?)))
            .filter(|(_, name)| name.strip_prefix(&prefix).is_some_and(is_stamp))
            .collect();
        // Not by their names alone: these are local times, of which an hour comes twice a year.
        backups.sort_unstable();
        backups.truncate(backups.len().saturating_sub(backups_max));
        let names = backups.into_iter().map(|(_, name)| name);
        names
            .filter(|name| fs::remove_file(directory.join(name)).is_ok())
            .collect()
    }
}

/// When a file was written to last; `None` for what is no file.
fn written(entry: &DirEntry) -> Option<SystemTime> {
    let metadata = entry.metadata().ok().filter(Metadata::is_file)?;
    metadata.modified().ok()
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Whether this is another name for what is open already, as `/dev/stdout` is. It may be a file, but
/// the name is not one's own to give away.
fn is_device(path: &Path) -> bool {
    let directory = fs::canonicalize(directory(path)).unwrap_or_default();
    directory == Path::new("/dev") || directory.starts_with("/proc")
}

/// Whether this is the end of a backup's name: `2026.11.26.02.05.46.116676662`.
fn is_stamp(text: &str) -> bool {
    let widths = [4, 2, 2, 2, 2, 2, 9];
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == widths.len()
        && parts.iter().zip(widths).all(|(part, width)| {
            part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stamps_are_taken_for_backups() {
        assert!(is_stamp("2026.11.26.02.05.46.116676662"));
        for text in [
            "",
            "gz",
            "2026.11.26.02.05.46.116676662.gz",
            "2026.11.26",
            "2026.11.26.02.05.46.11667666x",
        ] {
            assert!(!is_stamp(text), "{text}");
        }
    }

    /// A directory of its own for a test, and a log file in it.
    fn scratch(test: &str) -> PathBuf {
        let name = format!("midge-log-{test}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).expect("a directory of this test");
        directory.join("midge.log")
    }

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory(path)).expect("a directory of this test");
        let name = |entry: io::Result<DirEntry>| entry.expect("an entry").file_name();
        let names = entries.map(|entry| name(entry).to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_was_removed_is_made_anew_when_it_would_be_full() {
        let path = scratch("removed");
        let mut file = LogFile::open(&path, Some(10), None).expect("it can be made");
        assert!(file.write(b"into nowhere\n"));
        fs::remove_file(&path).expect("it is there");
        let rotated = file.rotate_if_full(Timestamp::now());
        assert!(matches!(rotated, Some(Rotated::MadeAnew)), "{rotated:?}");
        assert!(file.write(b"here\n"));
        assert_eq!(fs::read(&path).expect("it is back"), b"here\n");
        assert_eq!(names(&path), ["midge.log"]);
        assert!(file.rotate_if_full(Timestamp::now()).is_none());
    }

    #[test]
    fn the_backups_that_go_are_those_that_were_written_first_whatever_their_names() {
        let path = scratch("summer");
        // The last hour of summer time comes twice; the second time its names are older again.
        let old = "midge.log.2026.10.25.02.59.00.000000000";
        let new = "midge.log.2026.10.25.02.01.00.000000000";
        let hour = std::time::Duration::from_secs(3600);
        for (name, age) in [(old, 2), (new, 1)] {
            let backup = fs::File::create(path.with_file_name(name)).expect("a file of this test");
            let modified = backup.set_modified(SystemTime::now() - hour * age);
            modified.expect("a file of this test");
        }
        let mut file = LogFile::open(&path, Some(1), Some(3)).expect("it can be made");
        assert!(file.write(b"full\n"));
        match file.rotate_if_full(Timestamp::now()) {
            Some(Rotated::Renamed { purged, .. }) => assert_eq!(purged, [old]),
            rotated => panic!("{rotated:?}"),
        }
        let names = names(&path);
        assert!(
            names.len() == 3 && names.iter().any(|name| name == new),
            "{names:?}"
        );
    }

    #[test]
    fn what_is_no_file_of_ones_own_is_never_rotated() {
        for path in ["/dev/null", "/dev/stderr", "/proc/self/fd/2"] {
            if let Ok(mut file) = LogFile::open(Path::new(path), Some(1), Some(1)) {
                file.len = 1000;
                assert!(file.rotate_if_full(Timestamp::now()).is_none(), "{path}");
            }
        }
    }
}
