//! What a file may refer to outside of itself.

use std::io;
use std::path::{Path, PathBuf};

/// Files and variables: the real ones, or some that a test has made up.
pub trait World {
    /// The bytes of a file.
    ///
    /// # Errors
    /// Those of the system.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Whether there is such a file.
    fn exists(&self, path: &Path) -> bool;

    /// The files whose names match a pattern of `*`, `?` and `[...]`, sorted. `None` for one that is
    /// no pattern.
    fn matching(&self, pattern: &Path) -> Option<Vec<PathBuf>>;

    /// One name for one file, whatever leads to it.
    fn canonical(&self, path: &Path) -> PathBuf;

    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The files and the environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl World for System {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn matching(&self, pattern: &Path) -> Option<Vec<PathBuf>> {
        let pattern = pattern.to_str()?;
        if !pattern.contains(['*', '?', '[']) {
            return None;
        }
        Some(glob::glob(pattern).ok()?.filter_map(Result::ok).collect())
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
