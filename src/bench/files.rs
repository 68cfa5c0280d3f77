//! Whether a file can be written, asked before a measurement rather than behind it.

use std::fs::{self, OpenOptions};
use std::path::Path;

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
}
