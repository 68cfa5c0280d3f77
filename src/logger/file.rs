//! The log in a file: appended to, rotated by size, opened again by name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, tz::TimeZone};

/// A log file, open for appending.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
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
pub(super) struct Rotated {
    /// Where the full file is now, or why it stays.
    pub(super) backup: io::Result<PathBuf>,
    /// Old files that were removed.
    pub(super) purged: Vec<String>,
}

impl LogFile {
    /// Opens `path`, which is made if it is not there, with mode 0640.
    pub(super) fn open(
        path: &Path,
        limit: Option<u64>,
        files_max: Option<usize>,
    ) -> io::Result<LogFile> {
        let file = open(path)?;
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(LogFile {
            path: path.to_owned(),
            file,
            len,
            limit,
            next: limit.unwrap_or(u64::MAX),
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

    /// Writes one line in one piece. A line that cannot be written, with the disk full perhaps, is
    /// lost.
    pub(super) fn write(&mut self, line: &[u8]) {
        if self.file.write_all(line).is_ok() {
            self.len += line.len() as u64;
        }
    }

    /// Begins a new file if this one has grown past its limit.
    pub(super) fn rotate_if_full(&mut self, now: Timestamp) -> Option<Rotated> {
        if self.len <= self.next {
            return None;
        }
        let backup = self.rotate(now);
        let purged = match &backup {
            Ok(_) => self.purge(),
            Err(_) => {
                // Not at each line from here on.
                self.next = self.len.saturating_add(self.limit.unwrap_or(u64::MAX));
                Vec::new()
            }
        };
        Some(Rotated { backup, purged })
    }

    fn rotate(&mut self, now: Timestamp) -> io::Result<PathBuf> {
        let mut backup = self.path.clone().into_os_string();
        let time = TimeZone::system().to_datetime(now);
        backup.push(time.strftime(".%Y.%m.%d.%H.%M.%S.%9f").to_string());
        let backup = PathBuf::from(backup);
        fs::rename(&self.path, &backup)?;
        self.reopen().inspect_err(|_| {
            // Or the next lines would go into a file of another name.
            let _ = fs::rename(&backup, &self.path);
        })?;
        Ok(backup)
    }

    /// Removes the oldest backups, and answers their names.
    fn purge(&self) -> Vec<String> {
        let Some(backups_max) = self.files_max.map(|max| max.saturating_sub(1)) else {
            return Vec::new();
        };
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Vec::new();
        };
        let directory = if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        };
        let prefix = format!("{}.", name.to_string_lossy());
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut backups: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.strip_prefix(&prefix).is_some_and(is_stamp))
            .collect();
        // Their names are their ages.
        backups.sort_unstable();
        backups.truncate(backups.len().saturating_sub(backups_max));
        backups.retain(|name| fs::remove_file(directory.join(name)).is_ok());
        backups
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).open(path)
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
}
