//! What this program is called, for `--help` and the name of the ports file.

use std::path::{Path, PathBuf};

/// The name this program was called by, without its directory.
pub(crate) fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from);
    let name = called.as_deref().and_then(Path::file_name);
    name.map_or_else(
        || "midge".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
