//! Other files: `include NAME`, without a separator, puts their pairs in this place.
//!
//! A name is relative to the directory of the file that it stands in. Beyond nats-server, a name that
//! begins with `/` and is not found there is one from the root; a name with `*`, `?` or `[` that is no
//! file's is all files that match, in the order of their names; and a file that would include itself, by
//! whatever detour, is refused. A pattern that no file matches includes nothing, and that is told: users may
//! be missed.
//!
//! A file does not see the variables of the one that includes it; that one sees its.

use super::error::{Error, Position, unreadable};
use super::parser::{DEPTH_MAX, Parser};
use super::values::Map;
use super::world::World;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most files that one may come to. Only a bomb has more.
const FILES_MAX: usize = 1000;

/// Most errors that are told. A file with more has one, early on.
const ERRORS_MAX: usize = 100;

/// One file being read, and all that it leads to.
pub(super) struct Reading<'w> {
    pub(super) world: &'w dyn World,
    pub(super) errors: Vec<Error>,
    pub(super) notices: Vec<Error>,
    pub(super) files: Vec<PathBuf>,
    /// Those of them that say something, themselves or by what they include.
    pub(super) filled: Vec<PathBuf>,
    /// The files that are being read, each included by the one before: what they are, and what they
    /// were called.
    open: Vec<(PathBuf, PathBuf)>,
    /// The environment variables that are being read, each named by the one before.
    pub(super) variables: Vec<Arc<str>>,
    /// Values that variables have stood for so far.
    pub(super) copied: usize,
    /// Maps, lists, files and variables that what is being read stands in.
    pub(super) depth: usize,
}

impl<'w> Reading<'w> {
    pub(super) fn new(world: &'w dyn World) -> Reading<'w> {
        Reading {
            world,
            errors: Vec::new(),
            notices: Vec::new(),
            files: Vec::new(),
            filled: Vec::new(),
            open: Vec::new(),
            variables: Vec::new(),
            copied: 0,
            depth: 0,
        }
    }

    /// Notes what is wrong, unless too much is already.
    pub(super) fn wrong(&mut self, error: Error) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }

    /// The pairs of one file.
    pub(super) fn file(&mut self, path: &Path, text: &[u8]) -> Map {
        self.files.push(path.to_owned());
        self.open
            .push((self.world.canonical(path), path.to_owned()));
        let map = Parser::of_file(self, path, text).file();
        self.open.pop();
        if !map.is_empty() {
            self.filled.push(path.to_owned());
        }
        map
    }

    /// The pairs of the files that `include name` names in the file at `from`.
    pub(super) fn include(&mut self, name: &str, from: &Path, at: &Position) -> Map {
        let mut pairs = Map::default();
        let files = self.named(name, from);
        if files.is_empty() && self.notices.len() < ERRORS_MAX {
            let text = format!("no file matches include '{name}'; nothing is included here");
            self.notices.push(Error::new(at, text));
        }
        for path in files {
            let before = self.errors.len();
            match self.included(&path) {
                Ok(map) => pairs.append(map),
                Err(text) => self.wrong(Error { at: None, text }),
            }
            for error in &mut self.errors[before..] {
                let text = format!("error parsing include file '{name}', {error}");
                *error = Error::new(at, text);
            }
        }
        pairs
    }

    /// The files that a name means.
    fn named(&self, name: &str, from: &Path) -> Vec<PathBuf> {
        let directory = from.parent().unwrap_or(Path::new(""));
        // Beside the file first, also where the name begins with a slash: nats-server knows no other.
        let beside = directory.join(name.trim_start_matches('/'));
        let absolute = directory.join(name);
        if self.world.exists(&beside) {
            return vec![beside];
        }
        if self.world.exists(&absolute) {
            return vec![absolute];
        }
        let matching = |path: &Path| self.world.matching(path);
        match (matching(&beside), matching(&absolute)) {
            (Some(files), _) if !files.is_empty() => files,
            (_, Some(files)) => files,
            _ => vec![absolute],
        }
    }

    fn included(&mut self, path: &Path) -> Result<Map, String> {
        let one = self.world.canonical(path);
        if self.open.iter().any(|(file, _)| *file == one) {
            let open = self.open.iter().map(|(_, name)| name.as_path());
            let names = open.chain([path]).map(|name| name.display().to_string());
            let cycle = names.collect::<Vec<_>>().join(" includes ");
            return Err(format!("a file cannot include itself: {cycle}"));
        }
        if self.depth == DEPTH_MAX {
            return Err(format!(
                "files, maps and lists stand more than {DEPTH_MAX} deep in one another"
            ));
        }
        if self.files.len() >= FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
        match self.world.read(path) {
            Ok(text) => {
                self.depth += 1;
                let map = self.file(path, &text);
                self.depth -= 1;
                Ok(map)
            }
            Err(cause) => Err(unreadable(path, &cause)),
        }
    }
}
