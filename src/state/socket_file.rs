//! `SocketFile`: the file of a Unix socket that is listened on, which is removed when its listener has ended.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file, which goes when this is dropped: unless another program has put its own there meanwhile.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and number.
    identity: (u64, u64),
}

impl SocketFile {
    /// That of a socket which was bound to this path a moment ago. `None` if there is none, as in a simulation.
    pub(crate) fn at(path: &Path) -> Option<SocketFile> {
        Some(SocketFile {
            identity: identity(path)?,
            path: path.to_owned(),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path) == Some(self.identity) {
            // Nothing depends on it any more.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_file_goes_with_its_listener_and_one_of_another_stays() {
        let name = format!("midge-socket-file-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _own = UnixListener::bind(&path).expect("the path is free");
        let file = SocketFile::at(&path).expect("it is there");
        let elsewhere = path.with_extension("moved");
        fs::rename(&path, &elsewhere).expect("it is there");
        let _other = UnixListener::bind(&path).expect("the path is free");
        drop(file);
        assert!(path.exists(), "it is another one");
        drop(SocketFile::at(&path));
        assert!(!path.exists());
        fs::remove_file(elsewhere).expect("it was moved there");
    }
}
